//! What the paper reports, to compare with.

/// A row of the paper: N = 3, figures of Bailis et al., PVLDB 5(8), 2012, section 5.6 and table 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaperFigures {
    /// The fit's name.
    pub fit: &'static str,
    /// R.
    pub read_quorum: usize,
    /// W.
    pub write_quorum: usize,
    /// The consistent share of reads at the write's end; `None`: the text does not say.
    pub consistent_at_once: Option<f64>,
    /// The least t in ms for 99.9% consistent reads.
    pub t_999_ms: f64,
    /// The 99.9th percentile of read latency in ms.
    pub read_999_ms: f64,
    /// The 99.9th percentile of write latency in ms.
    pub write_999_ms: f64,
}

const fn row(
    (fit, read_quorum, write_quorum): (&'static str, usize, usize),
    consistent_at_once: Option<f64>,
    [read_999_ms, write_999_ms, t_999_ms]: [f64; 3],
) -> PaperFigures {
    PaperFigures {
        fit,
        read_quorum,
        write_quorum,
        consistent_at_once,
        t_999_ms,
        read_999_ms,
        write_999_ms,
    }
}

const FIGURES: [PaperFigures; 12] = [
    row(("lnkd-ssd", 1, 1), Some(0.974), [0.66, 0.66, 1.85]),
    row(("lnkd-ssd", 1, 2), None, [0.66, 1.63, 1.79]),
    row(("lnkd-ssd", 2, 1), None, [1.63, 0.65, 0.0]),
    row(("lnkd-disk", 1, 1), Some(0.439), [0.66, 10.99, 45.5]),
    row(("lnkd-disk", 1, 2), None, [0.65, 20.97, 43.3]),
    row(("lnkd-disk", 2, 1), None, [1.63, 10.9, 13.6]),
    row(("ymmr", 1, 1), Some(0.893), [5.58, 10.83, 1364.0]),
    row(("ymmr", 1, 2), None, [5.61, 427.12, 1352.0]),
    row(("ymmr", 2, 1), None, [32.6, 10.73, 202.0]),
    row(("wan", 1, 1), Some(0.33), [3.4, 55.12, 113.0]),
    row(("wan", 1, 2), None, [3.4, 167.64, 0.0]),
    row(("wan", 2, 1), None, [151.3, 56.36, 30.2]),
];

/// Returns what the paper reports of a setting with N = 3; `None`: nothing that is kept here.
pub fn paper_figures(setting: &super::Setting) -> Option<&'static PaperFigures> {
    FIGURES.iter().find(|row| {
        setting.replicas == 3
            && row.fit == setting.fit.name
            && row.read_quorum == setting.read_quorum
            && row.write_quorum == setting.write_quorum
    })
}

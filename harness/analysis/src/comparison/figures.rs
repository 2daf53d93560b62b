//! The figures of two sides, cell by cell.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rule::{FailIf, Metric};
use crate::Analysis;
use crate::statistics::Bounds;
use crate::summary::OperationSummary;

/// Which figure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    /// The first side's mode.
    pub mode: String,
    /// The clients' region.
    pub region: String,
    /// `write` or `read`.
    pub kind: &'static str,
    /// The metric.
    pub metric: Metric,
}

/// One run's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// A number and its interval within the run.
    Known(f64, Option<Bounds>),
    /// A percentile that falls among operations that did not succeed: above every latency.
    BeyondTimeout,
    /// A mean where some operation did not succeed: it has no number, and need not be large.
    Unstated,
    /// A percentile with fewer than 10 operations beyond it.
    TooFew,
}

impl Figure {
    /// Returns the number and its interval within the run.
    ///
    /// # Errors
    ///
    /// Says why there is no number to compare.
    pub const fn known(self) -> Result<(f64, Option<Bounds>), NotJudged> {
        match self {
            Figure::Known(value, bounds) => Ok((value, bounds)),
            Figure::BeyondTimeout => Err(NotJudged::BeyondTimeout),
            Figure::Unstated => Err(NotJudged::Unstated),
            Figure::TooFew => Err(NotJudged::TooFew),
        }
    }
}

/// Why a figure was not compared, or a limit on it not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum NotJudged {
    /// A percentile has fewer than 10 operations beyond it in some run.
    #[error("fewer than 10 operations lie beyond it; measure longer")]
    TooFew,
    /// A percentile falls among operations that did not succeed, in some runs.
    #[error("it falls among operations that did not succeed; see their errors")]
    BeyondTimeout,
    /// Some operation did not succeed, so that there is no mean.
    #[error("there is no mean where an operation did not succeed; set a limit on errors besides")]
    Unstated,
    /// A side is a single run.
    #[error("single runs decide no limit; repeat both sides 3 times or more")]
    SingleRuns,
    /// A side has fewer runs with the figure than inference between runs takes.
    #[error("it stands in fewer than 3 runs of a side; repeat both sides 3 times or more")]
    TooFewRepeats,
    /// A figure is zero.
    #[error("it is zero, so that no share of it can be told; set an absolute limit")]
    Zero,
    /// Every run of the other side has it beyond the time-out and none of the first, but so few
    /// runs among so many figures do not exclude chance.
    #[error(
        "it falls among operations that did not succeed in every run of the other side and in none \
         of the first, which chance may do among so many figures; repeat more often, and see their \
         errors"
    )]
    PerhapsLost,
}

/// The figures of one cell on both sides, one per run.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// Which figure.
    pub cell: Cell,
    /// Those of the first side.
    pub base: Vec<Figure>,
    /// Those of the other.
    pub other: Vec<Figure>,
}

/// Returns the figures of all cells that both sides have, ascending; a run without such operations
/// adds none.
pub(super) fn samples(base: &[&Analysis], other: &[&Analysis], rules: &[FailIf]) -> Vec<Samples> {
    let metrics = metrics(rules);
    let base = side_figures(base, &metrics);
    let mut other = side_figures(other, &metrics);
    let both = base.into_iter().filter_map(|(cell, base)| {
        let other = other.remove(&cell)?;
        Some(Samples { cell, base, other })
    });
    both.collect()
}

fn metrics(rules: &[FailIf]) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = Metric::COMPARED.to_vec();
    metrics.extend(rules.iter().map(|rule| rule.metric));
    metrics.sort_unstable();
    metrics.dedup();
    metrics
}

fn side_figures(runs: &[&Analysis], metrics: &[Metric]) -> BTreeMap<Cell, Vec<Figure>> {
    let mut cells: BTreeMap<Cell, Vec<Figure>> = BTreeMap::new();
    for mode in runs.iter().flat_map(|run| &run.summary.modes) {
        for region in &mode.regions {
            for (kind, operations) in region.operations() {
                for &metric in metrics {
                    let cell = Cell {
                        mode: mode.mode.clone(),
                        region: region.region.clone(),
                        kind,
                        metric,
                    };
                    let figures = cells.entry(cell).or_default();
                    figures.push(figure(operations, metric));
                }
            }
        }
    }
    cells
}

/// Returns one figure of some operations.
pub fn figure(operations: &OperationSummary, metric: Metric) -> Figure {
    let intervals = &operations.intervals;
    let latency = |value: Option<f64>, interval, otherwise| match value {
        Some(value) => Figure::Known(value, interval),
        None => otherwise,
    };
    match metric {
        Metric::Mean => latency(operations.latency_ms.mean, intervals.mean, Figure::Unstated),
        Metric::Percentile(percentile) if percentile.is_unsupported_by(operations.due) => {
            Figure::TooFew
        }
        Metric::Percentile(percentile) => latency(
            operations.latency_ms.at(percentile),
            intervals.at(percentile),
            Figure::BeyondTimeout,
        ),
        Metric::Goodput => Figure::Known(operations.goodput_ops, intervals.goodput),
        Metric::Errors => {
            let unsuccessful = operations.due - operations.ok;
            let share = unsuccessful as f64 / operations.due.max(1) as f64;
            Figure::Known(100.0 * share, None)
        }
    }
}

//! Tables of jitter for netem: how far a delay is from its mean, for 4096 equally likely draws.
//!
//! `tc` reads them from files (tc-netem(8), `distribution`); the kernel multiplies a drawn entry by
//! the stated deviation over 8192 and adds the mean. A table fits any marginal exactly, up to its
//! 4096 steps: p99.97 is its last.

use std::time::Duration;

use longhaul_experiment::profile::Marginal;

use crate::marginal::QuantileTable;

/// Entries of a table, as many as iproute2's own have.
pub const ENTRIES: u32 = 4096;

/// An entry of one deviation (`NETEM_DIST_SCALE` in linux/pkt_sched.h).
pub const SCALE: f64 = 8192.0;

/// The largest entry: they are 16 bits wide.
const ENTRY_MAX: f64 = 32_767.0;

/// A marginal in netem's terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The mean of what is added to the base delay.
    pub mean: Duration,
    /// What netem calls jitter: the scale of the table's entries. It is the marginal's deviation
    /// unless its tail would not fit, and a larger one then.
    pub scale: Duration,
    /// The table's entries, ascending.
    pub entries: Vec<i16>,
}

/// Returns a marginal in netem's terms; `None` when it never varies.
pub fn of_marginal(marginal: &Marginal) -> Option<Distribution> {
    let table = QuantileTable::new(marginal);
    if table.is_constant() {
        return None;
    }
    let delays: Vec<f64> = (0..ENTRIES)
        .map(|entry| (f64::from(entry) + 0.5) / f64::from(ENTRIES))
        .map(|probability| table.quantile(probability).as_secs_f64())
        .collect();
    let mean = delays.iter().sum::<f64>() / f64::from(ENTRIES);
    let squares = delays.iter().map(|delay| (delay - mean) * (delay - mean));
    let deviation = (squares.sum::<f64>() / f64::from(ENTRIES)).sqrt();
    let furthest = delays
        .iter()
        .map(|delay| (delay - mean).abs())
        .fold(0.0, f64::max);
    let scale = deviation.max(furthest * SCALE / ENTRY_MAX);
    let entry = |delay: f64| {
        ((delay - mean) / scale * SCALE)
            .round()
            .clamp(-ENTRY_MAX, ENTRY_MAX)
    };
    Some(Distribution {
        mean: Duration::from_secs_f64(mean),
        scale: Duration::from_secs_f64(scale),
        entries: delays
            .into_iter()
            .map(|delay| entry(delay) as i16)
            .collect(),
    })
}

impl Distribution {
    /// Returns the table as `tc` reads it: numbers separated by white space.
    pub fn to_text(&self) -> String {
        let lines = self.entries.chunks(8).map(|entries| {
            let words: Vec<String> = entries.iter().map(i16::to_string).collect();
            words.join(" ") + "\n"
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_draws_the_marginal_back_from_its_table() {
        let mean = Duration::from_micros(300);
        for deviation_us in [50, 450, 3000] {
            let deviation = Duration::from_micros(deviation_us);
            let marginal = Marginal::Gamma { mean, deviation };
            let distribution = of_marginal(&marginal).unwrap();
            let table = QuantileTable::new(&marginal);
            let scale = distribution.scale.as_secs_f64();
            for entry in [0, 2048, 3686, 4055, 4091, 4095] {
                // What the kernel computes (sch_netem.c, tabledist).
                let offset = scale * f64::from(distribution.entries[entry]) / SCALE;
                let drawn = distribution.mean.as_secs_f64() + offset;
                let asked = table.quantile((entry as f64 + 0.5) / f64::from(ENTRIES));
                // An entry is rounded to a step of scale / 8192.
                let error = (drawn - asked.as_secs_f64()).abs();
                assert!(error <= scale / SCALE, "{entry}: {drawn} {asked:?}");
            }
        }
    }

    #[test]
    fn what_never_varies_has_no_table() {
        assert_eq!(of_marginal(&Marginal::None), None);
        let text = of_marginal(&Marginal::Exponential {
            mean: Duration::from_millis(1),
        });
        let text = text.unwrap().to_text();
        assert_eq!(text.split_whitespace().count(), 4096);
        assert!(
            text.split_whitespace()
                .all(|word| word.parse::<i16>().is_ok())
        );
    }
}

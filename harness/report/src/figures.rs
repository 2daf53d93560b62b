//! All figures of a run as rows: a mode, a client region, the operations, what is ranked.

use longhaul_analysis::latency::LatencyMs;
use longhaul_analysis::{OperationSummary, Percentile, Summary};

/// What stands for a percentile that falls among operations that did not succeed.
pub const NO_SUCCESS: &str = "> time-out";

/// Returns a latency with its unit, or [`NO_SUCCESS`] where there is none.
pub fn latency(milliseconds: Option<f64>, decimals: usize) -> String {
    match milliseconds {
        Some(milliseconds) => format!("{milliseconds:.decimals$} ms"),
        None => NO_SUCCESS.to_owned(),
    }
}

/// What a row's percentiles rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// All operations due, from the instant due; those that did not succeed rank last.
    Due,
    /// The successes alone, from the instant due.
    Successes,
    /// The successes alone, from the instant first sent: service time.
    Service,
}

impl Basis {
    /// All, in the order of rows.
    pub const ALL: [Basis; 3] = [Basis::Due, Basis::Successes, Basis::Service];

    /// Returns its name for readers and files.
    pub const fn name(self) -> &'static str {
        match self {
            Basis::Due => "all due",
            Basis::Successes => "successes",
            Basis::Service => "service time",
        }
    }
}

/// One row of figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// The mode's canonical string.
    pub mode: &'a str,
    /// The clients' region.
    pub region: &'a str,
    /// `writes` (all kinds that change the store), `reads`, or one kind's name.
    pub operations: &'a str,
    /// What is ranked.
    pub basis: Basis,
    /// The counts and the floor.
    pub summary: &'a OperationSummary,
}

impl<'a> Row<'a> {
    /// Returns the latencies that it states.
    pub const fn latency(&self) -> &'a LatencyMs {
        match self.basis {
            Basis::Due => &self.summary.latency_ms,
            Basis::Successes => &self.summary.success_latency_ms,
            Basis::Service => &self.summary.service_time_ms,
        }
    }

    /// Returns how many operations are ranked.
    pub const fn ranked(&self) -> u64 {
        match self.basis {
            Basis::Due => self.summary.due,
            Basis::Successes | Basis::Service => self.summary.ok,
        }
    }

    /// Says whether fewer than 10 operations lie beyond a percentile.
    pub const fn is_unsupported(&self, percentile: Percentile) -> bool {
        percentile.is_unsupported_by(self.ranked())
    }

    /// Returns the floor, which bounds latencies from the instant due.
    pub fn floor_ms(&self) -> Option<f64> {
        self.summary.floor_ms
    }

    /// Returns the median over the floor, where both are known.
    pub fn p50_minus_floor_ms(&self) -> Option<f64> {
        match self.basis {
            Basis::Due => self.summary.p50_minus_floor_ms,
            // Whole nanoseconds, as in the summary.
            _ => Some(((self.latency().p50? - self.floor_ms()?) * 1e6).round() / 1e6),
        }
    }
}

/// Returns all rows of a summary: modes and regions in its order; per region writes, reads, then
/// single kinds where there were several; successes alone only where some did not succeed.
pub fn rows(summary: &Summary) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for mode in &summary.modes {
        for region in &mode.regions {
            let writes = region.writes.iter().map(|one| ("writes", one));
            let reads = region.reads.iter().map(|one| ("reads", one));
            let kinds = region.by_kind.iter().flatten();
            let further = kinds
                .filter(|(kind, _)| kind.as_str() != "read")
                .map(|(kind, one)| (kind.as_str(), one));
            for (operations, one) in writes.chain(reads).chain(further) {
                let shown = |basis: &Basis| *basis != Basis::Successes || one.ok < one.due;
                rows.extend(Basis::ALL.into_iter().filter(shown).map(|basis| Row {
                    mode: &mode.mode,
                    region: &region.region,
                    operations,
                    basis,
                    summary: one,
                }));
            }
        }
    }
    rows
}

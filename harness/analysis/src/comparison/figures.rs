//! The figures of two sides, cell by cell.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rule::{FailIf, Metric};
use super::{Options, Side};
use crate::statistics::Bounds;
use crate::summary::{ModeSummary, OperationSummary, RegionSummary};

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
    /// It falls among operations that did not succeed: above every latency.
    BeyondTimeout,
    /// Fewer than 10 operations lie beyond it.
    TooFew,
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

/// Returns the figures of all cells that both sides have in every run, ascending.
pub(super) fn samples(base: &Side<'_>, other: &Side<'_>, options: &Options) -> Vec<Samples> {
    let (base_mode, other_mode) = match &options.modes {
        Some((base, other)) => (Some(base.as_str()), Some(other.as_str())),
        None => (None, None),
    };
    let metrics = metrics(&options.rules);
    let base = side_figures(base, base_mode, &metrics);
    // A named mode of the other side stands for the first side's.
    let mut other = side_figures(other, other_mode, &metrics);
    if let (Some(from), Some(to)) = (other_mode, base_mode) {
        let renamed = other.into_iter().map(|(mut cell, figures)| {
            if cell.mode == from {
                to.clone_into(&mut cell.mode);
            }
            (cell, figures)
        });
        other = renamed.collect();
    }
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

fn side_figures(
    side: &Side<'_>,
    mode: Option<&str>,
    metrics: &[Metric],
) -> BTreeMap<Cell, Vec<Figure>> {
    let mut cells: BTreeMap<Cell, Vec<Figure>> = BTreeMap::new();
    for run in super::compared_runs(side) {
        let modes = run.summary.modes.iter();
        for one in modes.filter(|one| mode.is_none_or(|mode| one.mode == mode)) {
            for (region, kind, operations) in operations(one) {
                for &metric in metrics {
                    let cell = Cell {
                        mode: one.mode.clone(),
                        region: region.region.clone(),
                        kind,
                        metric,
                    };
                    cells
                        .entry(cell)
                        .or_default()
                        .push(figure(operations, metric));
                }
            }
        }
    }
    let runs = super::compared_runs(side).len();
    cells.retain(|_, figures| figures.len() == runs);
    cells
}

fn operations(
    mode: &ModeSummary,
) -> impl Iterator<Item = (&RegionSummary, &'static str, &OperationSummary)> {
    mode.regions.iter().flat_map(|region| {
        let writes = region.writes.iter().map(move |one| (region, "write", one));
        writes.chain(region.reads.iter().map(move |one| (region, "read", one)))
    })
}

/// Returns one figure of some operations.
pub fn figure(operations: &OperationSummary, metric: Metric) -> Figure {
    let intervals = &operations.intervals;
    let latency = |value: Option<f64>, interval| match value {
        Some(value) => Figure::Known(value, interval),
        None => Figure::BeyondTimeout,
    };
    match metric {
        Metric::Mean => latency(operations.latency_ms.mean, intervals.mean),
        Metric::Percentile(percentile) if percentile.is_unsupported_by(operations.due) => {
            Figure::TooFew
        }
        Metric::Percentile(percentile) => latency(
            operations.latency_ms.at(percentile),
            intervals.at(percentile),
        ),
        Metric::Goodput => Figure::Known(operations.goodput_ops, intervals.goodput),
        Metric::Errors => {
            let unsuccessful = operations.due - operations.ok;
            let share = unsuccessful as f64 / operations.due.max(1) as f64;
            Figure::Known(100.0 * share, None)
        }
    }
}

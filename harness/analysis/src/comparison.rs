//! What changed between runs, how sure that is, and whether it is more than a limit allows.
//!
//! Start at [`compare`]. With [`REPEATS_MIN`] runs or more on each side inference is at the level
//! of runs: the spread between repeats is the error, whatever happens within a run. Single runs
//! are compared by the intervals within them, labelled so, and decide no gate: what differs from
//! run to run is not in them.
//!
//! 1. [`differences`]: what must not, and what should not, differ between runs compared;
//! 2. [`figures`]: the figures of two sides, cell by cell: mode x region x kind x metric;
//! 3. [`change`]: the change of one figure with its interval;
//! 4. [`rule`]: limits such as `p99+10%`; [`gate`]: whether they are exceeded.

pub mod change;
pub mod differences;
pub mod figures;
pub mod gate;
pub mod rule;

use std::collections::BTreeSet;

use serde::Serialize;

pub use change::{Change, Interval};
pub use differences::{Difference, differences};
pub use figures::{Cell, Figure, NotJudged, Samples};
pub use gate::{Gate, Outcome, Pair};
pub use rule::{FailIf, Metric, RuleError};

use crate::Analysis;

/// The fewest runs on each side for inference at the level of runs.
pub const REPEATS_MIN: usize = 3;
/// The probability, over all figures of a comparison together, that a change is called
/// significant where there is none.
pub const SIGNIFICANCE: f64 = 0.05;

/// One side of a comparison: a run, or the repeats of one.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    /// What readers call it.
    pub name: String,
    /// Its runs, at least one.
    pub records: Vec<&'a Analysis>,
}

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Limits on the change.
    pub rules: Vec<FailIf>,
    /// Compares runs that differ in ways that matter, and says so, instead of refusing.
    pub despite_differences: bool,
}

/// What the intervals of a comparison rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The spread between repeated runs.
    Runs,
    /// The spread within single runs: says nothing of what differs from run to run, and decides
    /// no gate.
    SingleRuns,
}

/// What several sides differ in from the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The first side's name.
    pub base: String,
    /// What the reader must know, each saying what to do.
    pub warnings: Vec<String>,
    /// One per further side, in order.
    pub others: Vec<SideComparison>,
    /// How many changes were tested, over all sides: what significance is corrected for.
    pub tested: usize,
}

/// What one side differs in from the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideComparison {
    /// Its name.
    pub name: String,
    /// What the intervals rest on.
    pub level: Level,
    /// In what the runs' scenarios, machines and calibrations differ.
    pub differences: Vec<Difference>,
    /// One per mode, region, kind of operation and metric.
    pub changes: Vec<CellChange>,
    /// One per rule, in the options' order.
    pub gates: Vec<Gate>,
}

/// The change of one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellChange {
    /// Which figure.
    pub cell: Cell,
    /// Its change; null when it was not compared.
    pub change: Option<Change>,
    /// Why it was not compared; null when it was.
    pub not_compared: Option<NotJudged>,
    /// The probability of such a change by chance, corrected by Holm's method for all figures of
    /// the comparison; null when there is no interval.
    pub corrected_probability: Option<f64>,
}

impl CellChange {
    /// Says whether the change is significant after correction.
    pub fn is_significant(&self) -> bool {
        self.corrected_probability
            .is_some_and(|probability| probability < SIGNIFICANCE)
    }
}

impl Comparison {
    /// Says whether any gate fired.
    pub fn fires(&self) -> bool {
        self.any_gate(Outcome::Fires)
    }

    /// Says whether some limit could not be judged on some figure.
    pub fn leaves_a_limit_unjudged(&self) -> bool {
        self.any_gate(Outcome::CannotTell)
    }

    fn any_gate(&self, outcome: Outcome) -> bool {
        let mut gates = self.others.iter().flat_map(|other| &other.gates);
        gates.any(|gate| gate.outcome == outcome)
    }

    /// Corrects the probabilities of all changes by Holm's method.
    fn correct(&mut self) {
        let changes = self.others.iter_mut().flat_map(|other| &mut other.changes);
        let mut tested: Vec<(f64, &mut Option<f64>)> = changes
            .filter_map(|cell| {
                let probability = cell.change.as_ref()?.probability?;
                Some((probability, &mut cell.corrected_probability))
            })
            .collect();
        self.tested = tested.len();
        let raw: Vec<f64> = tested.iter().map(|(probability, _)| *probability).collect();
        for ((_, corrected), holm) in tested.iter_mut().zip(gate::holm(&raw)) {
            **corrected = Some(holm);
        }
    }
}

/// Why sides were not compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// There was nothing to compare.
    #[error(
        "a comparison needs two sides or more with a run each; give the directories of at least two runs"
    )]
    TooFewSides,
    /// The runs did different things.
    #[error("{base} and {other} cannot be compared: {}; run both with one scenario, or compare despite it", joined(.reasons))]
    Differ {
        /// The first side's name.
        base: String,
        /// The other's.
        other: String,
        /// In what they differ.
        reasons: Vec<Difference>,
    },
    /// Nothing stands on both sides.
    #[error(
        "{base} and {other} have no mode with clients of the same region in common; run a mode of \
         the one in the other too"
    )]
    NothingInCommon {
        /// The first side's name.
        base: String,
        /// The other's.
        other: String,
    },
}

fn joined(reasons: &[Difference]) -> String {
    let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// Compares every further side with the first.
///
/// # Errors
///
/// Refuses fewer than two sides, sides without a run, runs that differ in ways that matter (unless
/// told to compare despite it), and sides without a common mode and client region.
pub fn compare(sides: &[Side<'_>], options: &Options) -> Result<Comparison, CompareError> {
    let (base, others) = match sides {
        [base, others @ ..] if !others.is_empty() => (base, others),
        _ => return Err(CompareError::TooFewSides),
    };
    if sides.iter().any(|side| side.records.is_empty()) {
        return Err(CompareError::TooFewSides);
    }
    let mut pairs = Vec::new();
    for other in others {
        pairs.push(pair(base, other, options)?);
    }
    let judged: Vec<Pair<'_>> = pairs
        .iter()
        .map(|(side, samples)| Pair {
            samples,
            level: side.level,
        })
        .collect();
    let gates = gate::judge(&judged, &options.rules);
    let others = pairs.into_iter().zip(gates);
    let others = others.map(|((side, _), gates)| SideComparison { gates, ..side });
    let mut comparison = Comparison {
        base: base.name.clone(),
        warnings: Vec::new(),
        others: others.collect(),
        tested: 0,
    };
    comparison.correct();
    comparison.warnings = warnings(sides, &comparison);
    Ok(comparison)
}

/// Compares one side with the first, but for its gates, and returns the figures too.
fn pair(
    base: &Side<'_>,
    other: &Side<'_>,
    options: &Options,
) -> Result<(SideComparison, Vec<Samples>), CompareError> {
    let differences = differences::between(base, other);
    let reasons: Vec<Difference> = differences
        .iter()
        .filter(|difference| difference.matters)
        .cloned()
        .collect();
    if !reasons.is_empty() && !options.despite_differences {
        return Err(CompareError::Differ {
            base: base.name.clone(),
            other: other.name.clone(),
            reasons,
        });
    }
    let level = level(base, other);
    let compared = |side: &Side<'_>| match level {
        Level::Runs => side.records.len(),
        Level::SingleRuns => 1,
    };
    let samples = figures::samples(
        &base.records[..compared(base)],
        &other.records[..compared(other)],
        &options.rules,
    );
    if samples.is_empty() {
        return Err(CompareError::NothingInCommon {
            base: base.name.clone(),
            other: other.name.clone(),
        });
    }
    let side = SideComparison {
        name: other.name.clone(),
        level,
        differences,
        changes: samples.iter().map(|one| cell_change(one, level)).collect(),
        gates: Vec::new(),
    };
    Ok((side, samples))
}

fn level(base: &Side<'_>, other: &Side<'_>) -> Level {
    if base.records.len().min(other.records.len()) >= REPEATS_MIN {
        Level::Runs
    } else {
        Level::SingleRuns
    }
}

fn cell_change(samples: &Samples, level: Level) -> CellChange {
    let change = match level {
        Level::Runs => change::between_runs(samples),
        Level::SingleRuns => change::between_single_runs(samples),
    };
    let (change, not_compared) = match change {
        Ok(change) => (Some(change), None),
        Err(reason) => (None, Some(reason)),
    };
    CellChange {
        cell: samples.cell.clone(),
        change,
        not_compared,
        corrected_probability: None,
    }
}

fn warnings(sides: &[Side<'_>], comparison: &Comparison) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut levels = comparison.others.iter().map(|other| other.level);
    if levels.any(|level| level == Level::SingleRuns) {
        warnings.push(format!(
            "a comparison of single runs: what differs from run to run is not in its intervals and \
             no gate is decided; repeat each side {REPEATS_MIN} times or more"
        ));
    }
    for (other, side) in comparison.others.iter().zip(&sides[1..]) {
        let (before, after) = (sides[0].records.len(), side.records.len());
        if other.level == Level::SingleRuns && before.max(after) > 1 {
            warnings.push(format!(
                "{} has {before} runs and {} has {after}, so only the first of each is compared; \
                 give {REPEATS_MIN} runs or more of both",
                comparison.base, other.name
            ));
        }
        warnings.extend(alone(&sides[0], side));
        warnings.extend(alone(side, &sides[0]));
    }
    for side in sides {
        let count = side.records.len();
        let unpublishable = side.records.iter();
        let unpublishable = unpublishable.filter(|run| !run.summary.publishable).count();
        if unpublishable > 0 {
            warnings.push(format!(
                "{unpublishable} of {count} runs of {} warn of their own precision; see their \
                 warnings before you trust the change",
                side.name
            ));
        }
        warnings.extend(shared_seeds(side));
    }
    for other in &comparison.others {
        let named = other.differences.iter();
        warnings.extend(named.map(|difference| {
            let advice = if difference.matters {
                "the change is partly its doing"
            } else {
                "rule it out before you trust a small change"
            };
            format!(
                "{} and {}: {difference}: {advice}",
                comparison.base, other.name
            )
        }));
    }
    warnings
}

/// Says which modes ran on one side and not on the other.
fn alone(side: &Side<'_>, other: &Side<'_>) -> Option<String> {
    let modes = |side: &Side<'_>| {
        let modes = side.records.iter().flat_map(|run| &run.summary.modes);
        modes.map(|mode| mode.mode.clone()).collect::<BTreeSet<_>>()
    };
    let others = modes(other);
    let alone: Vec<String> = modes(side).difference(&others).cloned().collect();
    (!alone.is_empty()).then(|| {
        format!(
            "{} ran in {} and not in {}: compared with nothing, and under no limit",
            alone.join(", "),
            side.name,
            other.name
        )
    })
}

/// Repeats of one seed draw the same arrivals and jitter: their spread is too small.
fn shared_seeds(side: &Side<'_>) -> Option<String> {
    let mut seeds: Vec<u64> = side.records.iter().map(|run| run.summary.seed).collect();
    seeds.sort_unstable();
    let repeated = seeds.windows(2).find(|pair| pair[0] == pair[1])?[0];
    Some(format!(
        "repeats of {} share the seed {repeated}, so their spread leaves out arrivals and jitter; \
         give each repeat a seed of its own",
        side.name
    ))
}

#[cfg(test)]
mod tests;

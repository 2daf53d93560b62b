//! Whether limits on the change are exceeded.

use serde::Serialize;

use super::figures::{Cell, Figure, NotJudged, Samples};
use super::rule::FailIf;
use super::{Level, change};

/// The probability that gates fire although no figure changed beyond its limit, at most, over
/// all figures that the rules of one comparison judge, of all its sides together.
pub const GATE_ERROR: f64 = 0.05;

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The change exceeds the limit: its lower 95% bound, one-sided and corrected for the number
    /// of figures judged, lies beyond it.
    Fires,
    /// Every figure that the rule concerns was judged, and none is shown to exceed the limit.
    Holds,
    /// No figure is shown to exceed the limit, but some could not be judged, or there are none.
    CannotTell,
}

/// A rule and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// The rule as it is written.
    pub rule: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The figures that exceed the limit.
    pub exceeded: Vec<Cell>,
    /// How many figures were judged.
    pub judged: usize,
    /// The figures that were not, and why.
    pub not_judged: Vec<(Cell, NotJudged)>,
}

/// The figures of one further side beside those of the first.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The figures.
    pub samples: &'a [Samples],
    /// What they rest on: single runs decide no gate.
    pub level: Level,
}

/// A figure under a rule.
struct Judged<'a> {
    gate: usize,
    samples: &'a Samples,
    probability: f64,
}

/// Judges rules on the figures of all sides, corrected for all of them together; returns for each
/// side one gate per rule.
pub fn judge(pairs: &[Pair<'_>], rules: &[FailIf]) -> Vec<Vec<Gate>> {
    let mut gates: Vec<Gate> = Vec::new();
    let mut family: Vec<Judged<'_>> = Vec::new();
    for pair in pairs {
        for rule in rules {
            let concerned = pair.samples.iter();
            let concerned = concerned.filter(|one| one.cell.metric == rule.metric);
            let mut not_judged = Vec::new();
            for samples in concerned {
                let beyond = match pair.level {
                    Level::Runs => change::beyond_limit(samples, rule.limit),
                    Level::SingleRuns => Err(NotJudged::SingleRuns),
                };
                match beyond {
                    Ok(probability) => family.push(Judged {
                        gate: gates.len(),
                        samples,
                        probability,
                    }),
                    Err(reason) => not_judged.push((samples.cell.clone(), reason)),
                }
            }
            gates.push(Gate {
                rule: rule.to_string(),
                outcome: Outcome::CannotTell,
                exceeded: Vec::new(),
                judged: 0,
                not_judged,
            });
        }
    }
    let probabilities: Vec<f64> = family.iter().map(|one| one.probability).collect();
    for (judged, corrected) in family.iter().zip(holm(&probabilities)) {
        gates[judged.gate].take(judged.samples, corrected);
    }
    for gate in &mut gates {
        gate.conclude();
    }
    let mut gates = gates.into_iter();
    let of_one_side = |_: &Pair<'_>| gates.by_ref().take(rules.len()).collect();
    pairs.iter().map(of_one_side).collect()
}

impl Gate {
    /// Takes in a figure with the corrected probability of its change.
    fn take(&mut self, samples: &Samples, corrected: f64) {
        let cell = samples.cell.clone();
        if corrected < GATE_ERROR {
            self.judged += 1;
            self.exceeded.push(cell);
        } else if samples.base.iter().all(|one| one.known().is_ok())
            && samples.other.contains(&Figure::BeyondTimeout)
        {
            // It got worse beyond measure or it is chance: to say that the limit holds would be to
            // choose.
            self.not_judged.push((cell, NotJudged::PerhapsLost));
        } else {
            self.judged += 1;
        }
    }

    fn conclude(&mut self) {
        self.outcome = if !self.exceeded.is_empty() {
            Outcome::Fires
        } else if self.judged > 0 && self.not_judged.is_empty() {
            Outcome::Holds
        } else {
            Outcome::CannotTell
        };
    }
}

/// Corrects probabilities for their number (Holm, "A simple sequentially rejective multiple test
/// procedure", 1979): with those below a level rejected, the chance of any false rejection is
/// below it, whatever depends on whatever.
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut corrected = vec![1.0; probabilities.len()];
    let mut reached: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        let left = (probabilities.len() - rank) as f64;
        reached = reached.max((left * probabilities[index]).min(1.0));
        corrected[index] = reached;
    }
    corrected
}

//! Whether limits on the change are exceeded.

use serde::Serialize;

use super::figures::{Cell, Samples};
use super::rule::FailIf;
use super::{Level, change};

/// The probability that gates fire although no figure changed beyond its limit, at most, over
/// all figures that the rules of one comparison judge.
pub const GATE_ERROR: f64 = 0.05;

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The change exceeds the limit: its lower 95% bound, one-sided and corrected for the number
    /// of figures judged, lies beyond it.
    Fires,
    /// No figure is shown to exceed the limit.
    Holds,
    /// No figure could be judged.
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
    pub not_judged: Vec<(Cell, String)>,
}

/// Judges rules from the figures of repeated runs; single runs decide none.
pub fn judge(samples: &[Samples], level: Level, rules: &[FailIf]) -> Vec<Gate> {
    let mut gates: Vec<Gate> = Vec::new();
    let mut judged: Vec<(usize, &Cell)> = Vec::new();
    let mut probabilities = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let mut gate = Gate {
            rule: rule.to_string(),
            outcome: Outcome::CannotTell,
            exceeded: Vec::new(),
            judged: 0,
            not_judged: Vec::new(),
        };
        let concerned = samples.iter().filter(|one| one.cell.metric == rule.metric);
        for one in concerned {
            let beyond = match level {
                Level::Runs => change::beyond_limit(one, rule.limit),
                Level::SingleRuns => Err("single runs decide no gate; repeat them".to_owned()),
            };
            match beyond {
                Ok(probability) => {
                    gate.judged += 1;
                    judged.push((number, &one.cell));
                    probabilities.push(probability);
                }
                Err(reason) => gate.not_judged.push((one.cell.clone(), reason)),
            }
        }
        if gate.judged > 0 {
            gate.outcome = Outcome::Holds;
        }
        gates.push(gate);
    }
    for ((number, cell), corrected) in judged.into_iter().zip(holm(&probabilities)) {
        if corrected < GATE_ERROR {
            gates[number].outcome = Outcome::Fires;
            gates[number].exceeded.push(cell.clone());
        }
    }
    gates
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

//! The highest offered rate at which a limit holds.
//!
//! For each mode a [`search`] doubles the rate until the limit breaks, halves the bracket on the
//! logarithm of the rate, and at last repeats the rates at the edge with other seeds until it has
//! one at which all runs hold the limit and one above at which none does. Its runs are the points
//! of a [`Sweep`]; [`longhaul_analysis::capacity::capacity()`] says what they come to.

mod search;

use longhaul_analysis::capacity::{Figure, Slo, Sweep, Verdict, judge};
use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{RunError, Scenario, Seed};

use crate::sweep::{Conduct, Job, PointOrder, four_digits, run_jobs};

pub use search::{Outcome, Search, SearchBounds, Trial};

/// What is searched for.
#[derive(Clone, Debug)]
pub struct SaturatePlan {
    /// What is run; its own rate does not matter.
    pub scenario: Scenario,
    /// Where it runs.
    pub backend: BackendKind,
    /// The limit.
    pub slo: Slo,
    /// The client region in which alone it must hold; `None`: in every one by itself.
    pub slo_region: Option<String>,
    /// The rate to begin at, operations per second and client region.
    pub from: f64,
    /// The highest rate to try.
    pub to: f64,
    /// How many runs, each with a seed of its own, decide at the edge: 1 or more.
    pub repeats: u32,
    /// The seed of the first run at a rate; the others follow it.
    pub seed: Seed,
}

/// Rates to a doubling: neighbours are 2.2% apart.
pub const STEPS_PER_DOUBLING: i32 = 32;

impl SaturatePlan {
    /// Returns the lowest rate at which the limit can be judged within the measured window: where
    /// enough operations are due for its highest percentile, four standard deviations of their
    /// number included.
    pub fn lowest_judged(&self) -> f64 {
        let needed = |figure: Figure| match figure {
            Figure::Percentile(percentile) => percentile.operations_needed() as f64,
            _ => 1.0,
        };
        let figures = self.slo.objectives.iter().map(|one| needed(one.figure));
        let needed = figures.fold(1.0, f64::max);
        (needed + 4.0 * needed.sqrt()) / self.scenario.durations.measured.as_secs_f64()
    }

    /// Returns the rate to begin at: `from`, or the lowest that can be judged.
    pub fn start(&self) -> f64 {
        four_digits(self.from.max(1.01 * self.lowest_judged()).min(self.to))
    }

    /// Returns the rate so many steps above the start.
    fn rate(&self, step: i32) -> f64 {
        let factor = libm::exp2(f64::from(step) / f64::from(STEPS_PER_DOUBLING));
        four_digits(self.start() * factor)
    }

    fn bounds(&self) -> SearchBounds {
        let steps = |rate: f64| libm::log2(rate / self.start()) * f64::from(STEPS_PER_DOUBLING);
        SearchBounds {
            lowest: (libm::ceil(steps(self.lowest_judged())) as i32).min(0),
            highest: (libm::floor(steps(self.to)) as i32).max(0),
            doubling: STEPS_PER_DOUBLING,
            repeats: self.repeats.max(1),
        }
    }

    fn trial_seed(&self, trial: Trial) -> Seed {
        Seed(self.seed.0.wrapping_add(u64::from(trial.repeat)))
    }

    fn outcome(&self, sweep: &Sweep, mode: &str, trial: Trial) -> Option<Outcome> {
        let (rate_ops, seed) = (self.rate(trial.step), self.trial_seed(trial).0);
        let is_it = |of: (&str, f64, u64)| of == (mode, rate_ops, seed);
        let mut points = sweep.points.iter();
        if let Some(point) = points.find(|one| is_it((&one.mode, one.rate_ops, one.seed))) {
            return Some(match judge(&self.slo, self.slo_region.as_deref(), point) {
                Verdict::Holds => Outcome::Holds,
                Verdict::Breaks(_) => Outcome::Breaks,
                Verdict::MachineBound => Outcome::MachineBound,
                Verdict::TooFew { .. } => Outcome::NotJudged,
            });
        }
        let mut failures = sweep.failures.iter();
        let failed = failures.any(|one| is_it((&one.mode, one.rate_ops, one.seed)));
        failed.then_some(Outcome::Breaks)
    }
}

/// Searches for each mode's highest rate. After an interrupt the sweep holds the points taken until
/// then, what they come to, and says that it is not complete.
///
/// # Errors
///
/// Those of [`crate::sweep::sweep`].
pub fn saturate(plan: &SaturatePlan, conduct: &mut Conduct<'_>) -> Result<Sweep, RunError> {
    let scenario = &plan.scenario;
    let mut sweep = Sweep::begun(scenario, plan.backend, plan.seed.0, PointOrder::Search);
    let conclude = |sweep: &mut Sweep| {
        sweep.conclude(Some(&plan.slo), plan.slo_region.as_deref());
    };
    let names: Vec<String> = scenario.modes.iter().map(ToString::to_string).collect();
    let mut searches: Vec<Search> = names.iter().map(|_| Search::new(plan.bounds())).collect();
    loop {
        let wanted: Vec<(usize, Trial)> = searches
            .iter()
            .enumerate()
            .flat_map(|(mode, search)| search.wanted().into_iter().map(move |trial| (mode, trial)))
            .collect();
        if wanted.is_empty() {
            sweep.complete = true;
            break;
        }
        let job = |&(mode, trial): &(usize, Trial)| {
            Job::new(
                scenario,
                mode,
                plan.rate(trial.step),
                plan.trial_seed(trial),
            )
        };
        let jobs: Result<Vec<Job>, RunError> = wanted.iter().map(job).collect();
        if !run_jobs(&mut sweep, jobs?, conduct, &conclude)? {
            break;
        }
        for (mode, trial) in wanted {
            let outcome = plan.outcome(&sweep, &names[mode], trial);
            searches[mode].learn(trial, outcome.unwrap_or(Outcome::NotJudged));
        }
    }
    conclude(&mut sweep);
    Ok(sweep)
}

#[cfg(test)]
mod tests;

//! Many runs of one scenario at several offered rates: latency against throughput.
//!
//! A [`SweepPlan`] says which; [`sweep()`] makes the runs, each of one mode at one rate, and returns
//! the [`Sweep`] with a [`SweepPoint`] of each. [`runs`] is how runs are made: one after the other
//! on a machine that they would share, on all cores in virtual time.

#[cfg(test)]
pub(crate) mod queue;
mod rates;
mod runs;

use longhaul_analysis::capacity::Slo;
pub use longhaul_analysis::capacity::{PointOrder, Sweep, SweepPoint};
use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{RunError, Scenario, Seed, Stream};
use rand::Rng as _;

pub(crate) use rates::four_digits;
pub use rates::{RATES_MAX, RatesError, checked_rates, geometric_rates};
pub use runs::{Conduct, Progress, Runner, RunnerInVirtualTime};
pub(crate) use runs::{Job, run_jobs};

/// Which runs a sweep makes.
#[derive(Clone, Debug)]
pub struct SweepPlan {
    /// What is run: each of its modes at each rate. Its own rate does not matter.
    pub scenario: Scenario,
    /// Where it runs.
    pub backend: BackendKind,
    /// The rates, ascending: operations per second and client region.
    pub rates: Vec<f64>,
    /// The order of the runs.
    pub order: PointOrder,
    /// The seed of every run, and of the order.
    pub seed: Seed,
    /// A limit that is judged at each point.
    pub slo: Option<Slo>,
    /// The client region in which alone it must hold; `None`: in every one by itself.
    pub slo_region: Option<String>,
}

impl SweepPlan {
    /// Returns the runs as pairs of a mode's position and a rate's, in the order in which they are
    /// made: mode after mode from the lowest rate to the highest, or that shuffled by the seed
    /// (Fisher and Yates).
    pub fn schedule(&self) -> Vec<(usize, usize)> {
        let modes = 0..self.scenario.modes.len();
        let mut runs: Vec<(usize, usize)> = modes
            .flat_map(|mode| (0..self.rates.len()).map(move |rate| (mode, rate)))
            .collect();
        if self.order == PointOrder::Shuffled {
            let mut generator = self.seed.stream(Stream::SweepOrder, 0);
            for last in (1..runs.len()).rev() {
                // The bias of a remainder of 64 bits is far below one in 10^15 for so few runs.
                let other = (generator.next_u64() % (last as u64 + 1)) as usize;
                runs.swap(last, other);
            }
        }
        runs
    }
}

/// Makes the runs of a plan. A run that fails is stated and left out; after an interrupt the sweep
/// holds the points taken until then and says that it is not complete.
///
/// # Errors
///
/// The scenario cannot run at all: a mode, an operation or a fault does not fit, or its loop is
/// closed and has no rate.
pub fn sweep(plan: &SweepPlan, conduct: &mut Conduct<'_>) -> Result<Sweep, RunError> {
    let scenario = &plan.scenario;
    let mut sweep = Sweep::begun(scenario, plan.backend, plan.seed.0, plan.order);
    let jobs: Result<Vec<Job>, RunError> = plan
        .schedule()
        .into_iter()
        .map(|(mode, rate)| Job::new(scenario, mode, plan.rates[rate], plan.seed))
        .collect();
    let conclude = |sweep: &mut Sweep| {
        sweep.conclude(plan.slo.as_ref(), plan.slo_region.as_deref());
    };
    sweep.complete = run_jobs(&mut sweep, jobs?, conduct, &conclude)?;
    conclude(&mut sweep);
    Ok(sweep)
}

#[cfg(test)]
mod tests;

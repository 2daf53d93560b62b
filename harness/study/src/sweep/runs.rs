//! How the runs of a sweep are made.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use longhaul_analysis::capacity::{PointFailure, Sweep};
use longhaul_experiment::{Backend as _, RunError, RunRecord, Scenario, Seed, parallel};
use longhaul_sim::SimBackend;

/// Makes a run of a scenario with one mode.
type Run<'a> = dyn FnMut(&Scenario, Seed) -> Result<RunRecord, RunError> + 'a;

/// Who makes runs.
pub enum Runner<'a> {
    /// Runs share one machine: one after the other.
    OneByOne(&'a mut Run<'a>),
    /// Runs are in virtual time, and do not feel each other: on all cores.
    InVirtualTime(RunnerInVirtualTime),
}

/// Makes runs in virtual time.
#[derive(Clone, Debug, Default)]
pub struct RunnerInVirtualTime {
    /// What records say of the machine and the program.
    pub environment: longhaul_experiment::record::Environment,
}

impl RunnerInVirtualTime {
    fn run(&self, scenario: &Scenario, seed: Seed) -> Result<RunRecord, RunError> {
        // The cores are shared by runs already.
        let mut backend = SimBackend {
            threads: NonZeroUsize::MIN,
            ..SimBackend::default()
        };
        let mut record = backend.run(scenario, seed)?;
        record.environment = self.environment.clone();
        Ok(record)
    }
}

/// How runs are made, who can end them, and who hears of them.
pub struct Conduct<'a> {
    /// Who makes them.
    pub runner: Runner<'a>,
    /// Says whether to begin no further run.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Hears of each run that ended, with a valid sweep of all points until then.
    pub on_run: &'a mut (dyn FnMut(Progress<'_>) + Send),
}

/// A run ended.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// All points until now; it says that it is not complete.
    pub sweep: &'a Sweep,
    /// How many runs have ended.
    pub ended: usize,
    /// How many are known to be needed; a search learns of more as it goes.
    pub of: usize,
    /// What ended.
    pub mode: &'a str,
    /// Its rate, operations per second and client region.
    pub rate_ops: f64,
}

/// One run to be made.
pub(crate) struct Job {
    scenario: Scenario,
    rate_ops: f64,
    seed: Seed,
}

impl Job {
    /// Returns the run of one mode of a scenario at one rate.
    pub(crate) fn new(
        scenario: &Scenario,
        mode: usize,
        rate_ops: f64,
        seed: Seed,
    ) -> Result<Job, RunError> {
        let at_rate = scenario.at_rate(rate_ops);
        let mut at_rate = at_rate.map_err(|why| RunError::NotSupported {
            backend: "sweep",
            why: why.to_string(),
        })?;
        at_rate.modes = vec![scenario.modes[mode].clone()];
        Ok(Job {
            scenario: at_rate,
            rate_ops,
            seed,
        })
    }
}

/// What runs have come to so far, whichever thread made them.
struct Tally<'t, 'a> {
    sweep: &'t mut Sweep,
    on_run: &'t mut (dyn FnMut(Progress<'_>) + Send + 'a),
    fatal: Option<RunError>,
    ended: usize,
    of: usize,
}

/// Makes runs and adds them to a sweep; says whether all were made.
///
/// `conclude` brings what follows from the points up to date before a listener sees the sweep.
pub(crate) fn run_jobs(
    sweep: &mut Sweep,
    jobs: Vec<Job>,
    conduct: &mut Conduct<'_>,
    conclude: &(dyn Fn(&mut Sweep) + Sync),
) -> Result<bool, RunError> {
    let before = sweep.points.len() + sweep.failures.len();
    let wanted = jobs.len();
    let numbered: Vec<(u32, Job)> = (before as u32 + 1..).zip(jobs).collect();
    let tally = Mutex::new(Tally {
        sweep,
        on_run: &mut *conduct.on_run,
        fatal: None,
        ended: before,
        of: before + wanted,
    });
    let stop = conduct.stop;
    let ends = || stop() || lock(&tally).fatal.is_some();
    match &mut conduct.runner {
        Runner::OneByOne(run) => {
            for (position, job) in &numbered {
                if ends() {
                    break;
                }
                let outcome = run(&job.scenario, job.seed);
                lock(&tally).take(job, *position, outcome, conclude);
            }
        }
        Runner::InVirtualTime(runner) => {
            parallel::map(&numbered, parallel::processors(), |(position, job)| {
                if !ends() {
                    let outcome = runner.run(&job.scenario, job.seed);
                    lock(&tally).take(job, *position, outcome, conclude);
                }
            });
        }
    }
    let tally = tally
        .into_inner()
        .unwrap_or_else(|broken| broken.into_inner());
    match tally.fatal {
        Some(error) => Err(error),
        None => Ok(tally.ended == tally.of),
    }
}

fn lock<'m, 't, 'a>(tally: &'m Mutex<Tally<'t, 'a>>) -> std::sync::MutexGuard<'m, Tally<'t, 'a>> {
    // A thread that panicked while it held the lock ends the whole map.
    tally.lock().unwrap_or_else(|broken| broken.into_inner())
}

impl Tally<'_, '_> {
    fn take(
        &mut self,
        job: &Job,
        position: u32,
        outcome: Result<RunRecord, RunError>,
        conclude: &dyn Fn(&mut Sweep),
    ) {
        let mode = job.scenario.modes[0].to_string();
        match outcome {
            // An interrupted run is none, and no further one is begun.
            Ok(record) if !record.complete => return,
            Ok(record) => self.sweep.add(&record, position),
            Err(error @ (RunError::NotReady { .. } | RunError::Failed { .. })) => {
                self.sweep.failures.push(PointFailure {
                    mode: mode.clone(),
                    rate_ops: job.rate_ops,
                    seed: job.seed.0,
                    why: error.to_string(),
                });
            }
            Err(error) => {
                self.fatal.get_or_insert(error);
                return;
            }
        }
        self.ended += 1;
        conclude(self.sweep);
        (self.on_run)(Progress {
            sweep: self.sweep,
            ended: self.ended,
            of: self.of,
            mode: &mode,
            rate_ops: job.rate_ops,
        });
    }
}

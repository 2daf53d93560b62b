//! Many seeds, on as many threads as asked for.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_analysis::checkers::Guarantee;
use longhaul_experiment::fault::FaultError;
use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{ModeSpec, Seed};
use longhaul_protocol::modes::with_mode;
use longhaul_protocol::{Mode, ModeVisitor};

use super::judge::{Broken, Finding, Judgement};
use super::panics::caught;
use super::promises::{Nature, promises};
use super::run::RunOptions;
use super::{Case, CaseRun, generate, judge, run};

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The mode is unknown, or unfit for the case's topology.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// A fault does not fit the case's topology.
    #[error(transparent)]
    Fault(#[from] FaultError),
}

/// What is tested: it carries cases out.
pub trait Subject: Sync {
    /// Carries a case out.
    ///
    /// # Errors
    ///
    /// The case cannot be run.
    fn run(
        &self,
        case: &Case,
        nature: &Nature,
        options: RunOptions,
    ) -> Result<CaseRun, VerifyError>;
}

/// The modes as they are shipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shipped;

impl Subject for Shipped {
    fn run(
        &self,
        case: &Case,
        nature: &Nature,
        options: RunOptions,
    ) -> Result<CaseRun, VerifyError> {
        struct Carry<'a>(&'a Case, &'a Nature, RunOptions);
        impl ModeVisitor for Carry<'_> {
            type Output = Result<CaseRun, FaultError>;

            fn visit<M: Mode>(self, mode: M) -> Self::Output {
                run(mode, self.0, self.1, self.2)
            }
        }
        let visitor = Carry(case, nature, options);
        Ok(with_mode(&case.mode, &case.topology(), visitor)??)
    }
}

/// What to hunt for.
#[derive(Clone, Debug)]
pub struct HuntOptions {
    /// The mode.
    pub mode: ModeSpec,
    /// The first seed.
    pub first: Seed,
    /// How many seeds.
    pub seeds: u64,
    /// What is demanded besides what the mode promises.
    pub demanded: Vec<Guarantee>,
    /// How many threads share the seeds.
    pub threads: usize,
}

/// What a hunt came to.
#[derive(Clone, Debug, Default)]
pub struct HuntOutcome {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many operations their clients sent.
    pub operations: u64,
    /// How many faults they suffered.
    pub faults: u64,
    /// Seeds on which a checker gave up, and why.
    pub undecided: Vec<(Seed, String)>,
    /// The least seed that showed what must not be.
    pub caught: Option<Caught>,
}

/// A seed that showed what must not be.
#[derive(Clone, Debug)]
pub struct Caught {
    /// The case.
    pub case: Case,
    /// What it showed.
    pub findings: Vec<Finding>,
}

/// Runs seeds in order until one shows what must not be, all are done, or `goes_on` says no.
///
/// The outcome does not depend on the number of threads, unless `goes_on` ended it.
///
/// # Errors
///
/// The mode is unknown or unfit.
pub fn hunt(
    subject: &impl Subject,
    options: &HuntOptions,
    goes_on: &(dyn Fn(u64) -> bool + Sync),
) -> Result<HuntOutcome, VerifyError> {
    let next = AtomicU64::new(0);
    // Seeds from this on need not be run: a lesser one was caught.
    let end = AtomicU64::new(options.seeds);
    let outcome = Mutex::new(Ok(HuntOutcome::default()));
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end.load(Ordering::Relaxed) || !goes_on(number) {
                        return;
                    }
                    let seed = Seed(options.first.0.wrapping_add(number));
                    let tried = try_seed(subject, options, seed);
                    if !matches!(&tried, Ok(tried) if tried.judgement.findings.is_empty()) {
                        end.fetch_min(number, Ordering::Relaxed);
                    }
                    let mut outcome = match outcome.lock() {
                        Ok(outcome) => outcome,
                        Err(poisoned) => poisoned.into_inner(),
                    };
                    note(&mut outcome, seed, tried);
                }
            });
        }
    });
    match outcome.into_inner() {
        Ok(outcome) => outcome,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// A case that was run, and the verdict on it.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The case.
    pub case: Case,
    /// How many operations its clients sent.
    pub operations: u64,
    /// The verdict.
    pub judgement: Judgement,
}

fn try_seed(
    subject: &impl Subject,
    options: &HuntOptions,
    seed: Seed,
) -> Result<Tried, VerifyError> {
    let (case, nature) = generate(&options.mode, seed)?;
    try_case(subject, case, &nature, &options.demanded)
}

/// Runs a case and judges it. A replica that panics is a finding.
///
/// # Errors
///
/// The case cannot be run.
pub fn try_case(
    subject: &impl Subject,
    case: Case,
    nature: &Nature,
    demanded: &[Guarantee],
) -> Result<Tried, VerifyError> {
    let (run, judgement) = run_and_judge(subject, &case, nature, (demanded, false))?;
    Ok(Tried {
        case,
        operations: run.map_or(0, |run| run.history.len() as u64),
        judgement,
    })
}

/// Runs a case and judges it; `None` in place of the run when a replica panicked.
pub(super) fn run_and_judge(
    subject: &impl Subject,
    case: &Case,
    nature: &Nature,
    (demanded, trace): (&[Guarantee], bool),
) -> Result<(Option<CaseRun>, Judgement), VerifyError> {
    let mut all = promises(case, &case.topology())?;
    for &guarantee in demanded {
        if !all.contains(&guarantee) {
            all.push(guarantee);
        }
    }
    let options = RunOptions {
        trace,
        converges: all.contains(&Guarantee::Convergence),
    };
    let ran = caught(|| subject.run(case, nature, options));
    Ok(match ran {
        Ok(ran) => {
            let ran = ran?;
            let judgement = judge(case, &all, &ran);
            (Some(ran), judgement)
        }
        Err(panic) => (None, panicked(panic.as_ref())),
    })
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Judgement {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    Judgement {
        findings: vec![Finding {
            broken: Broken::Panic,
            explanation: text.to_owned(),
            operations: Vec::new(),
        }],
        undecided: Vec::new(),
    }
}

fn note(
    outcome: &mut Result<HuntOutcome, VerifyError>,
    seed: Seed,
    tried: Result<Tried, VerifyError>,
) {
    let Ok(noted) = outcome else { return };
    match tried {
        Err(error) => *outcome = Err(error),
        Ok(tried) => {
            noted.seeds += 1;
            noted.operations += tried.operations;
            noted.faults += tried.case.faults.len() as u64;
            for reason in tried.judgement.undecided {
                noted.undecided.push((seed, reason));
            }
            let is_least = noted
                .caught
                .as_ref()
                .is_none_or(|caught| seed < caught.case.seed);
            if !tried.judgement.findings.is_empty() && is_least {
                noted.caught = Some(Caught {
                    case: tried.case,
                    findings: tried.judgement.findings,
                });
            }
        }
    }
}

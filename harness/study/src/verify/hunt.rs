//! Many seeds, on as many threads as asked for.

use std::num::NonZeroUsize;

use longhaul_analysis::checkers::Guarantee;
use longhaul_experiment::fault::FaultError;
use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{ModeSpec, Seed, parallel};
use longhaul_protocol::modes::with_mode;

use super::counterexample::CounterexampleError;
use super::judge::{Broken, Finding, Judgement};
use super::panics::caught;
use super::promises::{Nature, promises};
use super::run::{Carry, RunOptions};
use super::{Case, CaseRun, generate, judge};

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The mode is unknown, or unfit for the case's topology.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// A fault does not fit the case's topology.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// A counterexample demands what is unknown.
    #[error(transparent)]
    Counterexample(#[from] CounterexampleError),
}

/// What is tested: it has the modes.
pub trait Subject: Sync {
    /// Hands the mode of a case to a visitor.
    ///
    /// # Errors
    ///
    /// The mode is unknown, or unfit for the case's topology.
    fn visit(
        &self,
        case: &Case,
        visitor: Carry<'_>,
    ) -> Result<Result<CaseRun, FaultError>, ModeError>;

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
    ) -> Result<CaseRun, VerifyError> {
        let visitor = Carry {
            case,
            nature,
            options,
        };
        Ok(self.visit(case, visitor)??)
    }
}

/// The modes as they are shipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shipped;

impl Subject for Shipped {
    fn visit(
        &self,
        case: &Case,
        visitor: Carry<'_>,
    ) -> Result<Result<CaseRun, FaultError>, ModeError> {
        with_mode(&case.mode, &case.topology(), visitor)
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
    pub threads: NonZeroUsize,
}

/// What a hunt came to: a function of its options, whatever the number of threads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HuntOutcome {
    /// How many seeds were run and count: none after one that was caught.
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
#[derive(Clone, Debug, PartialEq)]
pub struct Caught {
    /// The case.
    pub case: Case,
    /// What it showed.
    pub findings: Vec<Finding>,
}

/// Runs seeds in order until one shows what must not be, all are done, or `goes_on`, which is asked
/// before each with its number from 0, says no.
///
/// # Errors
///
/// The mode is unknown or unfit.
pub fn hunt(
    subject: &impl Subject,
    options: &HuntOptions,
    goes_on: &(dyn Fn(u64) -> bool + Sync),
) -> Result<HuntOutcome, VerifyError> {
    let run = |number: u64| {
        let seed = Seed(options.first.0.wrapping_add(number));
        goes_on(number).then(|| outcome_of(subject, options, seed))
    };
    let ends = |run: &Option<Result<HuntOutcome, VerifyError>>| match run {
        Some(Ok(outcome)) => outcome.caught.is_some(),
        Some(Err(_)) | None => true,
    };
    let mut total = HuntOutcome::default();
    let runs = parallel::map_until(options.seeds, options.threads, run, ends);
    for outcome in runs.into_iter().flatten() {
        total.add(outcome?);
    }
    Ok(total)
}

impl HuntOutcome {
    /// Adds what the seeds that follow came to.
    pub fn add(&mut self, following: HuntOutcome) {
        self.seeds += following.seeds;
        self.operations += following.operations;
        self.faults += following.faults;
        self.undecided.extend(following.undecided);
        self.caught = self.caught.take().or(following.caught);
    }
}

/// Returns what one seed comes to. Its case is kept only if it is caught: a hunt has many.
fn outcome_of(
    subject: &impl Subject,
    options: &HuntOptions,
    seed: Seed,
) -> Result<HuntOutcome, VerifyError> {
    let (case, nature) = generate(&options.mode, seed)?;
    let tried = try_case(subject, case, &nature, &options.demanded)?;
    let Judgement {
        findings,
        undecided,
    } = tried.judgement;
    Ok(HuntOutcome {
        seeds: 1,
        operations: tried.operations,
        faults: tried.case.faults.len() as u64,
        undecided: undecided.into_iter().map(|why| (seed, why)).collect(),
        caught: (!findings.is_empty()).then_some(Caught {
            case: tried.case,
            findings,
        }),
    })
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

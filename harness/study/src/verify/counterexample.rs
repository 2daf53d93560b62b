//! A case that showed what must not be, as a file that repeats it exactly.

use std::fmt::Write as _;

use longhaul_analysis::checkers::Guarantee;
use longhaul_experiment::{OperationId, OperationRecord, Time};
use longhaul_sim::trace::{TraceEvent, TraceKind};
use serde::{Deserialize, Serialize};

use super::Case;
use super::hunt::{Caught, Subject, VerifyError, run_and_judge};
use super::judge::{Finding, Judgement};
use super::promises::nature;

/// The version of the file's form. Version 1 had no work of replicas, no retention, no batches and
/// no fast clocks: it reads as one without them.
const VERSION: u32 = 2;

/// A case that breaks something, and what was demanded of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counterexample {
    /// The version of this form.
    pub version: u32,
    /// What was demanded besides the mode's own promises, by name.
    pub demanded: Vec<String>,
    /// What it showed when it was found, in words.
    pub showed: Vec<String>,
    /// The case.
    pub case: Case,
}

/// Why a file is no counterexample.
#[derive(Debug, thiserror::Error)]
pub enum CounterexampleError {
    /// It has not the form.
    #[error("not a counterexample of verify: {0}")]
    Form(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error(
        "it has version {found}, and this program reads up to {VERSION}: use the one that wrote it"
    )]
    Version {
        /// The version found.
        found: u32,
    },
    /// It demands a guarantee that is unknown.
    #[error("it demands '{name}', which is no guarantee")]
    Guarantee {
        /// The name found.
        name: String,
    },
}

/// A counterexample carried out again, with its trace.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What it shows.
    pub judgement: Judgement,
    /// All operations.
    pub history: Vec<OperationRecord>,
    /// All that happened; empty when a replica panicked.
    pub trace: Vec<TraceEvent>,
}

impl Counterexample {
    /// Writes a caught case down.
    pub fn of(caught: &Caught, demanded: &[Guarantee]) -> Counterexample {
        Counterexample {
            version: VERSION,
            demanded: demanded.iter().map(|it| it.name().to_owned()).collect(),
            showed: caught.findings.iter().map(Finding::to_string).collect(),
            case: caught.case.clone(),
        }
    }

    /// Returns the file's content.
    pub fn to_json(&self) -> String {
        // Its keys are strings and its numbers finite: writing into memory succeeds.
        serde_json::to_string_pretty(self).expect("a counterexample is written")
    }

    /// Reads a file's content.
    ///
    /// # Errors
    ///
    /// It has not the form, or another version's.
    pub fn parse(text: &str) -> Result<Counterexample, CounterexampleError> {
        let read: Counterexample = serde_json::from_str(text)?;
        if !(1..=VERSION).contains(&read.version) {
            let found = read.version;
            return Err(CounterexampleError::Version { found });
        }
        read.demanded()?;
        Ok(read)
    }

    /// Returns what is demanded besides the mode's promises.
    ///
    /// # Errors
    ///
    /// A name is no guarantee's.
    pub fn demanded(&self) -> Result<Vec<Guarantee>, CounterexampleError> {
        let named = |name: &String| {
            guarantee_named(name)
                .ok_or_else(|| CounterexampleError::Guarantee { name: name.clone() })
        };
        self.demanded.iter().map(named).collect()
    }

    /// Carries the case out again, traced. When a replica panics, history and trace are lost with
    /// the run.
    ///
    /// # Errors
    ///
    /// A demanded guarantee is unknown, or the case cannot be run.
    pub fn replay(&self, subject: &impl Subject) -> Result<Replay, VerifyError> {
        let nature = nature(&self.case.mode, &self.case.topology())?;
        let demanded = self.demanded()?;
        let (run, judgement) = run_and_judge(subject, &self.case, &nature, (&demanded, true))?;
        let (history, trace) = run.map_or_else(Default::default, |run| (run.history, run.trace));
        Ok(Replay {
            judgement,
            history,
            trace,
        })
    }
}

/// Returns the guarantee of that name, spaces or hyphens between its words, or the adjective
/// `linearizable`.
pub fn guarantee_named(name: &str) -> Option<Guarantee> {
    let spaced = name.replace('-', " ");
    if spaced == "linearizable" {
        return Some(Guarantee::Linearizability);
    }
    Guarantee::ALL.into_iter().find(|it| it.name() == spaced)
}

/// Writes a trace as text, an event a line.
pub fn trace_text(trace: &[TraceEvent]) -> String {
    let mut text = String::new();
    for event in trace {
        // Writing into a string succeeds.
        let _ = writeln!(
            text,
            "{:>14}  {}",
            milliseconds(event.at),
            told(&event.kind)
        );
    }
    text
}

fn milliseconds(at: Time) -> String {
    format!("{:.6} ms", at.as_nanos() as f64 / 1e6)
}

fn told(kind: &TraceKind) -> String {
    let asked = |operation: &OperationId| format!("operation {operation}");
    match kind {
        TraceKind::Asked {
            to,
            operation,
            kind,
            ..
        } => {
            format!(
                "client asks {to} for {} ({})",
                asked(operation),
                kind.name()
            )
        }
        TraceKind::Request {
            at_replica,
            operation,
            kind,
            ..
        } => {
            format!(
                "{at_replica} receives {} ({})",
                asked(operation),
                kind.name()
            )
        }
        TraceKind::Sent { from, to, name } => format!("{from} sends {name} to {to}"),
        TraceKind::Delivered { from, to, name } => format!("{to} receives {name} from {from}"),
        TraceKind::Persist { at_replica } => format!("{at_replica} begins to persist"),
        TraceKind::Persisted { at_replica } => format!("{at_replica} has persisted"),
        TraceKind::Timer { at_replica, name } => format!("{at_replica}'s timer {name} goes off"),
        TraceKind::Applied {
            at_replica,
            key,
            version,
        } => format!(
            "{at_replica} shows key {} in version {}.{}",
            key.0, version.major, version.minor
        ),
        TraceKind::Reply {
            from, operation, ..
        } => {
            format!("{from} answers {}", asked(operation))
        }
        TraceKind::Answered {
            from, operation, ..
        } => {
            format!("client hears {from}'s answer to {}", asked(operation))
        }
    }
}

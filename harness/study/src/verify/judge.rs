//! The verdict on a run.

use std::collections::BTreeSet;
use std::fmt;

use longhaul_analysis::checkers::{
    Guarantee, LinearizabilityOptions, SameInstant, Verdict, acknowledged_writes_kept, convergence,
    linearizability, session_guarantee,
};
use longhaul_experiment::{ClientId, Key, OperationId, OperationRecord, OperationResult, Outcome};

use super::case::WRITE_ONCE_KEYS;
use super::clients::AUDITORS;
use super::{Case, CaseRun};

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// A guarantee.
    Guarantee(Guarantee),
    /// Operations did not succeed though everything had healed.
    Liveness,
    /// A replica panicked.
    Panic,
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Guarantee(guarantee) => guarantee.fmt(formatter),
            Broken::Liveness => formatter.pad("liveness"),
            Broken::Panic => formatter.pad("no panic"),
        }
    }
}

/// Something that a run must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was broken.
    pub broken: Broken,
    /// How, in words.
    pub explanation: String,
    /// The operations that show it.
    pub operations: Vec<OperationId>,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is broken: {}", self.broken, self.explanation)
    }
}

/// What a run showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What it must not do.
    pub findings: Vec<Finding>,
    /// What could not be decided, and why.
    pub undecided: Vec<String>,
}

/// How many steps the search of one key may take. A case has few operations, so a search that
/// needs more has met a combinatorial knot, and is reported as undecided.
const STEP_LIMIT: u64 = 200_000;

/// Holds a run against what is demanded.
pub fn judge(case: &Case, demanded: &[Guarantee], run: &CaseRun) -> Judgement {
    let mut judgement = Judgement::default();
    if let Some(explanation) = &run.stuck {
        judgement.findings.push(Finding {
            broken: Broken::Liveness,
            explanation: explanation.clone(),
            operations: Vec::new(),
        });
    }
    for &guarantee in demanded {
        // A run that got stuck has not read everything to the end.
        let of_finals = matches!(
            guarantee,
            Guarantee::Convergence | Guarantee::AcknowledgedWritesKept
        );
        if of_finals && run.stuck.is_some() {
            continue;
        }
        match verdict(case, guarantee, run) {
            Verdict::Holds => {}
            Verdict::Unknown(reason) => judgement.undecided.push(format!("{guarantee}: {reason}")),
            Verdict::Violated(violation) => judgement.findings.push(Finding {
                broken: Broken::Guarantee(guarantee),
                explanation: violation.explanation,
                operations: violation.operations,
            }),
        }
    }
    judgement
}

fn verdict(case: &Case, guarantee: Guarantee, run: &CaseRun) -> Verdict {
    match guarantee {
        Guarantee::Linearizability => linearizability(
            &run.history,
            LinearizabilityOptions {
                step_limit: STEP_LIMIT,
                // Every message of a case takes time.
                same_instant: SameInstant::Ordered,
                ..LinearizabilityOptions::default()
            },
        ),
        Guarantee::Convergence => convergence(&run.finals),
        Guarantee::AcknowledgedWritesKept => {
            let once = |key: Key| key.0 >= WRITE_ONCE_KEYS;
            let history = run.history.iter();
            let written_once: Vec<OperationRecord> = history
                .filter(|record| once(record.operation.key()) && record.id.client.0 < AUDITORS)
                .cloned()
                .collect();
            acknowledged_writes_kept(&written_once, &run.finals)
        }
        Guarantee::ReadYourWrites
        | Guarantee::MonotonicReads
        | Guarantee::MonotonicWrites
        | Guarantee::WritesFollowReads => {
            session_guarantee(guarantee, &of_sticky_sessions(case, &run.history))
        }
    }
}

/// Returns the records of sessions that stay at one replica, without conditional operations that
/// changed nothing: a checker takes them for reads, but they may have been answered by the leader
/// where reads are answered by followers, and no mode promises that the two agree.
fn of_sticky_sessions(case: &Case, history: &[OperationRecord]) -> Vec<OperationRecord> {
    let roaming: BTreeSet<ClientId> = case
        .sessions
        .iter()
        .zip(0..AUDITORS)
        .filter(|(plan, _)| plan.home.is_none())
        .map(|(_, client)| ClientId(client))
        .collect();
    let sticky = history
        .iter()
        .filter(|record| !roaming.contains(&record.id.client) && !changed_nothing(record));
    sticky.cloned().collect()
}

fn changed_nothing(record: &OperationRecord) -> bool {
    matches!(
        record.outcome,
        Outcome::Ok(
            OperationResult::Swapped { swapped: false, .. }
                | OperationResult::Taken { taken: false, .. }
        )
    )
}

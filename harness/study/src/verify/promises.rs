//! What each mode promises, and under which faults.
//!
//! The table is the design's, made exact where the exact answer depends on parameters, on what
//! storage keeps, or on which faults happen. A promise that is too strong shows as a violation
//! that is no bug; one that is too weak hides bugs. So each entry says why it is what it is.

use std::time::Duration;

use longhaul_analysis::checkers::Guarantee;
use longhaul_experiment::mode::ModeError;
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::{Contact, FaultKind, ModeSpec, OperationKind, Topology};
use longhaul_protocol::eventual::Eventual;
use longhaul_protocol::leader_follower::{Acknowledgement, Fencing, LeaderFollower, ReadAt};
use longhaul_protocol::modes::with_mode;
use longhaul_protocol::quorum::paxos::Paxos;
use longhaul_protocol::quorum::raft::Raft;
use longhaul_protocol::quorum::register::{Phases, Register};
use longhaul_protocol::{Mode, ModeVisitor};

use super::Case;

/// The longest interval of anti-entropy that is counted on: with a longer one replicas converge
/// by hints alone, which a crash loses.
const INTERVAL_MAX: Duration = Duration::from_secs(5);

/// What a mode is like for its clients and under faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nature {
    /// The operations that it supports, with whom clients ask.
    pub contacts: Vec<(OperationKind, Contact)>,
    /// Whether a retry with the same identity is executed once.
    pub recognises_retries: bool,
    /// How many replicas may lose what they keep, at any time of a run, so that the promises
    /// hold and every operation succeeds once all is quiet.
    pub losses_max: usize,
    /// Whether replicas may crash at all, for the same.
    pub may_crash: bool,
}

impl Nature {
    /// Returns whom clients ask for an operation of this kind.
    pub fn contact(&self, kind: OperationKind) -> Contact {
        let listed = self.contacts.iter().find(|(listed, _)| *listed == kind);
        listed.map_or(Contact::Nearest, |&(_, contact)| contact)
    }

    /// Says whether every replica answers reads from what it has itself, or coordinates them.
    pub fn reads_anywhere(&self) -> bool {
        self.contact(OperationKind::Read) == Contact::Nearest
    }
}

/// A mode with its parameters read.
enum Parsed {
    LeaderFollower(LeaderFollower),
    Raft,
    Paxos(Paxos),
    Register(Register),
    Eventual(Eventual),
}

impl Parsed {
    fn of(spec: &ModeSpec, topology: &Topology) -> Result<Parsed, ModeError> {
        Ok(match (spec.family.as_str(), spec.variant.as_str()) {
            ("leader-follower", _) => {
                Parsed::LeaderFollower(LeaderFollower::parse(spec, topology)?)
            }
            ("quorum", "raft") => Raft::parse(spec, topology).map(|_| Parsed::Raft)?,
            ("quorum", "paxos") => Parsed::Paxos(Paxos::parse(spec, topology)?),
            ("quorum", "register") => Parsed::Register(Register::parse(spec, topology)?),
            ("eventual", "lww") => Parsed::Eventual(Eventual::parse(spec, topology)?),
            _ => {
                return Err(ModeError::Unknown {
                    text: spec.to_string(),
                });
            }
        })
    }
}

/// Finds out whom clients ask, from the message patterns of the mode that it visits.
struct Contacts<'a>(&'a Topology);

impl ModeVisitor for Contacts<'_> {
    type Output = Vec<(OperationKind, Contact)>;

    fn visit<M: Mode>(self, mode: M) -> Self::Output {
        OperationKind::ALL
            .into_iter()
            .filter_map(|kind| Some((kind, mode.path(kind, self.0)?.contact)))
            .collect()
    }
}

/// Returns what a mode is like.
///
/// # Errors
///
/// The mode is unknown, or unfit for the topology.
pub fn nature(spec: &ModeSpec, topology: &Topology) -> Result<Nature, ModeError> {
    let parsed = Parsed::of(spec, topology)?;
    let replicas = topology.replicas.len();
    let contacts = with_mode(spec, topology, Contacts(topology))?;
    let bears = |losses_max| Nature {
        contacts,
        recognises_retries: true,
        losses_max,
        may_crash: true,
    };
    Ok(match parsed {
        // Whoever lost its storage never votes again on who leads, and of the copies that an
        // acknowledgement waited for one must be left.
        Parsed::LeaderFollower(mode) => bears(match mode.acknowledgement {
            Acknowledgement::SemiSync(count) => count.min((replicas - 1) / 2),
            Acknowledgement::Async | Acknowledgement::Sync => (replicas - 1) / 2,
        }),
        // A replica that lost its storage never votes again, so a majority must keep theirs.
        Parsed::Raft => bears((replicas - 1) / 2),
        // The same with both kinds of quorum.
        Parsed::Paxos(paxos) => bears(replicas - paxos.prepare_quorum().max(paxos.accept_quorum())),
        // What is stored at w members survives the loss of w - 1 of them.
        Parsed::Register(register) => Nature {
            recognises_retries: false,
            ..bears(register.quorums.write - 1)
        },
        Parsed::Eventual(eventual) => Nature {
            recognises_retries: false,
            may_crash: eventual.interval <= INTERVAL_MAX,
            ..bears(replicas)
        },
    })
}

/// Returns what the mode of a case promises under the faults of the case, besides that every
/// operation succeeds once all is quiet.
///
/// Guarantees of sessions are promised to those that stay at one replica.
///
/// # Errors
///
/// The mode is unknown, or unfit for the topology.
pub fn promises(case: &Case, topology: &Topology) -> Result<Vec<Guarantee>, ModeError> {
    use Guarantee::{
        AcknowledgedWritesKept, Convergence, Linearizability, MonotonicReads, MonotonicWrites,
        ReadYourWrites, WritesFollowReads,
    };
    let crashes = case
        .faults
        .iter()
        .any(|fault| matches!(fault.kind, FaultKind::Crash));
    let forgets = crashes && case.durability == Durability::Memory;
    Ok(match Parsed::of(&case.mode, topology)? {
        Parsed::Raft | Parsed::Paxos(_) => vec![Linearizability, AcknowledgedWritesKept],
        Parsed::LeaderFollower(mode) => of_leader_follower(mode, may_change_leader(case)),
        Parsed::Register(Register { quorums, phases }) => {
            let meet = quorums.read + quorums.write > quorums.members;
            if phases == Phases::Two && meet {
                vec![Linearizability, AcknowledgedWritesKept]
            } else {
                Vec::new()
            }
        }
        Parsed::Eventual(_) if forgets => vec![Convergence],
        // A write is visible before it is safe: what a session read can be gone after a crash.
        // What was acknowledged to it cannot.
        Parsed::Eventual(_) if crashes => vec![
            ReadYourWrites,
            MonotonicWrites,
            Convergence,
            AcknowledgedWritesKept,
        ],
        Parsed::Eventual(_) => vec![
            ReadYourWrites,
            MonotonicReads,
            MonotonicWrites,
            WritesFollowReads,
            Convergence,
            AcknowledgedWritesKept,
        ],
    })
}

/// Says whether the faults of a case can cost a leader its lead: not those that leave it its
/// messages and its time.
fn may_change_leader(case: &Case) -> bool {
    let is_harmless = |kind: &FaultKind| {
        matches!(
            kind,
            FaultKind::SlowDisk { .. } | FaultKind::ClockJump { .. }
        )
    };
    !case.faults.iter().all(|fault| is_harmless(&fault.kind))
}

fn of_leader_follower(mode: LeaderFollower, may_change_leader: bool) -> Vec<Guarantee> {
    // What the leader alone has is lost with it.
    let keeps = mode.acknowledgement != Acknowledgement::Async || !may_change_leader;
    // Without a lease, a leader that is cut off answers reads from what it had.
    let is_fenced = mode.fencing == Fencing::Lease || !may_change_leader;
    match mode.read {
        ReadAt::Leader if keeps && is_fenced => {
            vec![
                Guarantee::Linearizability,
                Guarantee::AcknowledgedWritesKept,
            ]
        }
        ReadAt::Leader if keeps => vec![Guarantee::AcknowledgedWritesKept],
        ReadAt::Leader => Vec::new(),
        // A follower shows a prefix of the log that never gets shorter, and every write has a
        // place in the log behind all that its client has seen.
        ReadAt::Nearest if keeps => vec![
            Guarantee::MonotonicReads,
            Guarantee::MonotonicWrites,
            Guarantee::WritesFollowReads,
            Guarantee::Convergence,
            Guarantee::AcknowledgedWritesKept,
        ],
        // What a leader executed and nobody else had is undone.
        ReadAt::Nearest => vec![Guarantee::Convergence],
    }
}

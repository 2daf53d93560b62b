//! Protocols made wrong on purpose, to prove that a hunter of protocol bugs finds them.
//!
//! Compiled under the feature `mutations` alone, which is for tests. A [`Mutant`] wraps a mode and
//! tampers with what its replicas hear, say and keep, so that the protocols themselves need no
//! second version. Two mutations do not show in messages and have a switch inside: the deafness of
//! [`crate::eventual::stamp::HybridClock`], and the register's reads without write-back.

mod mutant;
mod tamper;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{ModeSpec, Topology};

use crate::eventual::Eventual;
use crate::leader_follower::LeaderFollower;
use crate::mode::{Mode, ModeVisitor};
use crate::quorum::paxos::Paxos;
use crate::quorum::raft::Raft;
use crate::quorum::register::Register;
pub use mutant::{Mutant, MutantReplica};
pub use tamper::{Tamper, Tampering};

/// A way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// A register counts one acknowledgement of each store that nobody gave.
    FewerAcknowledgements,
    /// What is on its way to storage counts as safe.
    AcknowledgesBeforePersisting,
    /// A register's read does not write back what repliers disagree on.
    ReadWithoutWriteBack,
    /// A register's write takes its tag from what the coordinator itself has.
    WriteWithoutTagPhase,
    /// The register's tags are counters alone.
    TagWithoutWriter,
    /// A voter does not compare the candidate's log with its own.
    VoteIgnoresLog,
    /// A leader takes silence for consent, and does not hear of later terms.
    LeaderDoesNotStepDown,
    /// A replica that restarts has lost the last record of its log.
    TruncatesAcknowledged,
    /// The hints for a peer that is back are lost.
    DropsHints,
    /// A hybrid clock does not learn from the readings that it receives.
    ClockDoesNotMerge,
    /// A replica that restarted does not recognise retries of what it took before.
    ForgetsDuplicates,
    /// A replica that lost its storage goes on as if it had never had any.
    RejoinsUnderOldIdentity,
}

impl Mutation {
    /// All mutations.
    pub const ALL: [Mutation; 12] = [
        Mutation::FewerAcknowledgements,
        Mutation::AcknowledgesBeforePersisting,
        Mutation::ReadWithoutWriteBack,
        Mutation::WriteWithoutTagPhase,
        Mutation::TagWithoutWriter,
        Mutation::VoteIgnoresLog,
        Mutation::LeaderDoesNotStepDown,
        Mutation::TruncatesAcknowledged,
        Mutation::DropsHints,
        Mutation::ClockDoesNotMerge,
        Mutation::ForgetsDuplicates,
        Mutation::RejoinsUnderOldIdentity,
    ];

    /// Returns the mutation's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Mutation::FewerAcknowledgements => "fewer acknowledgements",
            Mutation::AcknowledgesBeforePersisting => "acknowledges before persisting",
            Mutation::ReadWithoutWriteBack => "read without write-back",
            Mutation::WriteWithoutTagPhase => "write without tag phase",
            Mutation::TagWithoutWriter => "tag without writer",
            Mutation::VoteIgnoresLog => "vote ignores log",
            Mutation::LeaderDoesNotStepDown => "leader does not step down",
            Mutation::TruncatesAcknowledged => "truncates acknowledged entries",
            Mutation::DropsHints => "drops hints",
            Mutation::ClockDoesNotMerge => "clock does not merge",
            Mutation::ForgetsDuplicates => "forgets duplicates",
            Mutation::RejoinsUnderOldIdentity => "rejoins under old identity",
        }
    }

    /// Returns the modes that it makes wrong.
    pub const fn modes(self) -> &'static [&'static str] {
        match self {
            Mutation::FewerAcknowledgements
            | Mutation::ReadWithoutWriteBack
            | Mutation::WriteWithoutTagPhase
            | Mutation::TagWithoutWriter => &["quorum:register"],
            Mutation::AcknowledgesBeforePersisting => &[
                "quorum:raft",
                "quorum:paxos",
                "quorum:register",
                "eventual:lww",
                "leader-follower:semi-sync=1",
            ],
            Mutation::VoteIgnoresLog | Mutation::LeaderDoesNotStepDown => &["quorum:raft"],
            Mutation::TruncatesAcknowledged => &[
                "quorum:raft",
                "quorum:paxos",
                "quorum:register",
                "leader-follower:sync",
            ],
            // Hints alone must do: the next round of anti-entropy is an hour away.
            Mutation::DropsHints => &["eventual:lww,interval=3600000"],
            Mutation::ClockDoesNotMerge => &["eventual:lww"],
            Mutation::ForgetsDuplicates => {
                &["quorum:raft", "quorum:paxos", "leader-follower:semi-sync=1"]
            }
            Mutation::RejoinsUnderOldIdentity => &[
                "quorum:raft",
                "quorum:paxos",
                "quorum:register",
                "leader-follower:semi-sync=1",
            ],
        }
    }
}

/// Reads a mode's parameters and hands the mode, made wrong, to a visitor.
///
/// # Errors
///
/// No mode has that family and variant, or a parameter is unfit.
pub fn with_mutant<V: ModeVisitor>(
    mutation: Mutation,
    spec: &ModeSpec,
    topology: &Topology,
    visitor: V,
) -> Result<V::Output, ModeError> {
    Ok(match (spec.family.as_str(), spec.variant.as_str()) {
        ("leader-follower", _) => {
            visitor.visit(Mutant::of(LeaderFollower::parse(spec, topology)?, mutation))
        }
        ("quorum", "raft") => visitor.visit(Mutant::of(Raft::parse(spec, topology)?, mutation)),
        ("quorum", "paxos") => visitor.visit(Mutant::of(Paxos::parse(spec, topology)?, mutation)),
        ("quorum", "register") => {
            visitor.visit(Mutant::of(Register::parse(spec, topology)?, mutation))
        }
        ("eventual", "lww") => {
            visitor.visit(Mutant::of(Eventual::parse(spec, topology)?, mutation))
        }
        _ => {
            return Err(ModeError::Unknown {
                text: spec.to_string(),
            });
        }
    })
}

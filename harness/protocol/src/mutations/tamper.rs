//! What is done to the messages of each protocol.

use std::collections::BTreeSet;

use longhaul_experiment::{ReplicaId, Version};

use super::Mutation;
use crate::eventual::{self, EventualReplica, Resolver};
use crate::leader_follower::LeaderFollowerReplica;
use crate::quorum::paxos::PaxosReplica;
use crate::quorum::raft::{RaftMessage, RaftMessageKind, RaftReplica};
use crate::quorum::register::{self, Ask, Part, RegisterReplica};
use crate::replica::{PeerState, Replica};

/// A mutation at work in one life of a replica.
#[derive(Debug)]
pub struct Tampering {
    pub(super) mutation: Mutation,
    /// Peers that have been away.
    known_down: BTreeSet<ReplicaId>,
    /// Peers that came back within this batch.
    just_back: BTreeSet<ReplicaId>,
    /// Stores of which an acknowledgement was forged.
    forged_for: BTreeSet<Ask>,
    /// The last heartbeat's term while it leads.
    own_term: Option<u64>,
}

impl Tampering {
    pub(super) fn new(mutation: Mutation) -> Tampering {
        Tampering {
            mutation,
            known_down: BTreeSet::new(),
            just_back: BTreeSet::new(),
            forged_for: BTreeSet::new(),
            own_term: None,
        }
    }

    pub(super) fn on_peer(&mut self, peer: ReplicaId, state: PeerState) {
        match state {
            PeerState::Down => {
                self.known_down.insert(peer);
            }
            PeerState::Up if self.known_down.remove(&peer) => {
                self.just_back.insert(peer);
            }
            PeerState::Up => {}
        }
    }

    pub(super) fn on_batch_end(&mut self) {
        self.just_back.clear();
    }
}

/// A replica whose messages can be tampered with.
pub trait Tamper: Replica {
    /// Takes a message before it is sent: returns what is sent in its place. What is given to
    /// `forge` is heard as the receiver's answer.
    fn outgoing(
        _tampering: &mut Tampering,
        _to: ReplicaId,
        message: Self::Message,
        _forge: &mut dyn FnMut(Self::Message),
    ) -> Option<Self::Message> {
        Some(message)
    }

    /// Takes a message before it is heard: returns what is heard in its place.
    fn incoming(_tampering: &mut Tampering, message: Self::Message) -> Option<Self::Message> {
        Some(message)
    }

    /// Makes a replica wrong from within, where its messages do not show what it should do.
    fn weaken(&mut self, _mutation: Mutation) {}
}

impl Tamper for LeaderFollowerReplica {}

impl Tamper for PaxosReplica {}

impl<R: Resolver> Tamper for EventualReplica<R> {
    fn outgoing(
        tampering: &mut Tampering,
        to: ReplicaId,
        message: Self::Message,
        _forge: &mut dyn FnMut(Self::Message),
    ) -> Option<Self::Message> {
        let is_hand_off = matches!(message, eventual::Message::Replicate { .. })
            && tampering.just_back.contains(&to);
        let drops = tampering.mutation == Mutation::DropsHints;
        (!(drops && is_hand_off)).then_some(message)
    }

    fn weaken(&mut self, mutation: Mutation) {
        if mutation == Mutation::ClockDoesNotMerge {
            self.deafen_clock();
        }
    }
}

impl Tamper for RaftReplica {
    fn outgoing(
        tampering: &mut Tampering,
        _to: ReplicaId,
        message: Box<RaftMessage>,
        forge: &mut dyn FnMut(Box<RaftMessage>),
    ) -> Option<Box<RaftMessage>> {
        let from_leader = matches!(
            message.kind(),
            RaftMessageKind::Heartbeat | RaftMessageKind::Append
        );
        if tampering.mutation == Mutation::LeaderDoesNotStepDown && from_leader {
            tampering.own_term = Some(message.term());
            if message.kind() == RaftMessageKind::Heartbeat {
                forge(Box::new(message.consent()));
            }
        }
        Some(message)
    }

    fn incoming(
        tampering: &mut Tampering,
        mut message: Box<RaftMessage>,
    ) -> Option<Box<RaftMessage>> {
        let asks_for_vote = matches!(
            message.kind(),
            RaftMessageKind::RequestVote | RaftMessageKind::RequestPreVote
        );
        match tampering.mutation {
            Mutation::VoteIgnoresLog if asks_for_vote => message.claim_longest_log(),
            Mutation::LeaderDoesNotStepDown
                if tampering.own_term.is_some_and(|own| message.term() > own) =>
            {
                return None;
            }
            _ => {}
        }
        Some(message)
    }
}

impl Tamper for RegisterReplica {
    fn weaken(&mut self, mutation: Mutation) {
        if mutation == Mutation::ReadWithoutWriteBack {
            self.forget_write_back();
        }
    }

    fn outgoing(
        tampering: &mut Tampering,
        _to: ReplicaId,
        message: register::Message,
        forge: &mut dyn FnMut(register::Message),
    ) -> Option<register::Message> {
        let mut answers = Vec::new();
        let mut parts = message.parts;
        parts.retain_mut(|part| match tamper_with_part(tampering, part) {
            PartEnd::Sent => true,
            PartEnd::Answered(answer) => {
                answers.push(answer);
                false
            }
            PartEnd::SentAndAnswered(answer) => {
                answers.push(answer);
                true
            }
        });
        if !answers.is_empty() {
            forge(register::Message { parts: answers });
        }
        (!parts.is_empty()).then_some(register::Message { parts })
    }
}

enum PartEnd {
    Sent,
    /// It is not sent, but answered.
    Answered(Part),
    /// It is sent, and answered at once.
    SentAndAnswered(Part),
}

fn tamper_with_part(tampering: &mut Tampering, part: &mut Part) -> PartEnd {
    match (tampering.mutation, part) {
        (
            Mutation::WriteWithoutTagPhase,
            &mut Part::Query {
                ask,
                with_value: false,
                ..
            },
        ) => PartEnd::Answered(Part::Answer {
            ask,
            version: Version::NONE,
            value: None,
        }),
        (Mutation::FewerAcknowledgements, &mut Part::Store { ask, .. })
            if tampering.forged_for.insert(ask) =>
        {
            PartEnd::SentAndAnswered(Part::Stored { ask })
        }
        (Mutation::TagWithoutWriter, Part::Store { entry, .. }) => {
            entry.version.minor = 0;
            PartEnd::Sent
        }
        (Mutation::TagWithoutWriter, Part::Answer { version, .. }) => {
            version.minor = 0;
            PartEnd::Sent
        }
        _ => PartEnd::Sent,
    }
}

//! A replica between its host and itself: what passes is tampered with.

use std::collections::VecDeque;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{
    ClientId, ModeSpec, Now, OperationId, OperationKind, Path, ReplicaId, Topology,
};

use super::Mutation;
use super::tamper::{Tamper, Tampering};
use crate::mode::{Description, Mode};
use crate::outbox::{Effect, Outbox};
use crate::replica::{Member, OutboxOf, PeerState, PersistToken, Recovered, Replica, Request};

/// A mode whose replicas are wrong in one way.
#[derive(Clone, Debug)]
pub struct Mutant<M> {
    mode: M,
    mutation: Mutation,
}

impl<M> Mutant<M> {
    /// Makes a mode wrong.
    pub fn of(mode: M, mutation: Mutation) -> Mutant<M> {
        Mutant { mode, mutation }
    }
}

impl<M: Mode> Mode for Mutant<M>
where
    M::Replica: Tamper,
{
    type Replica = MutantReplica<M::Replica>;

    const DESCRIPTIONS: &'static [Description] = M::DESCRIPTIONS;

    fn parse(spec: &ModeSpec, _topology: &Topology) -> Result<Mutant<M>, ModeError> {
        // A mutant is made of a mode that was parsed before, and has no form of its own.
        Err(ModeError::Unknown {
            text: spec.to_string(),
        })
    }

    fn path(&self, kind: OperationKind, topology: &Topology) -> Option<Path> {
        self.mode.path(kind, topology)
    }

    fn replica(&self, member: Member) -> Self::Replica {
        let restarted = member.incarnation > 0;
        let mut inner = self.mode.replica(member);
        inner.weaken(self.mutation);
        MutantReplica {
            inner,
            tampering: Tampering::new(self.mutation),
            restarted,
            outbox: None,
            early: Vec::new(),
            forged: VecDeque::new(),
        }
    }
}

/// A replica that is wrong in one way.
pub struct MutantReplica<R: Replica> {
    inner: R,
    tampering: Tampering,
    /// Whether this is not its first life.
    restarted: bool,
    outbox: Option<OutboxOf<R>>,
    /// Persist effects that are reported before they are carried out.
    early: Vec<PersistToken>,
    /// What it will seem to have heard of peers.
    forged: VecDeque<(ReplicaId, R::Message)>,
}

/// What is added to a client's number where retries are not to be recognised. No client's own
/// number is as large.
const RENAMED: u32 = 1 << 31;

impl<R: Tamper> MutantReplica<R> {
    fn call(&mut self, out: &mut OutboxOf<R>, callback: impl FnOnce(&mut R, &mut OutboxOf<R>)) {
        let mut inner_out = self
            .outbox
            .take()
            .unwrap_or_else(|| Outbox::new(out.is_durable()));
        callback(&mut self.inner, &mut inner_out);
        for effect in inner_out.drain() {
            self.pass(effect, out);
        }
        self.outbox = Some(inner_out);
    }

    fn pass(&mut self, effect: Effect<R::Message, R::Timer>, out: &mut OutboxOf<R>) {
        match effect {
            Effect::Send { to, message } => {
                let forged = &mut self.forged;
                let passed = R::outgoing(&mut self.tampering, to, message, &mut |answer| {
                    forged.push_back((to, answer));
                });
                if let Some(message) = passed {
                    out.send(to, message);
                }
            }
            Effect::Reply { operation, outcome } => out.reply(unrenamed(operation), outcome),
            Effect::Persist { token, records } => {
                if self.tampering.mutation == Mutation::AcknowledgesBeforePersisting {
                    self.early.push(token);
                }
                out.persist(token, || records);
            }
            Effect::SetTimer { timer, after } => out.set_timer(timer, after),
            Effect::CancelTimer { timer } => out.cancel_timer(timer),
            Effect::Applied { key, version } => out.applied(key, version),
            Effect::Leader { term, leader } => out.leader(term, leader),
            Effect::Truncated { entries } => out.truncated(entries),
        }
    }

    fn renamed(&self, request: Request) -> Request {
        if self.tampering.mutation != Mutation::ForgetsDuplicates || !self.restarted {
            return request;
        }
        let id = OperationId {
            client: ClientId(request.id.client.0 | RENAMED),
            ..request.id
        };
        Request { id, ..request }
    }
}

fn unrenamed(operation: OperationId) -> OperationId {
    OperationId {
        client: ClientId(operation.client.0 & !RENAMED),
        ..operation
    }
}

impl<R: Tamper> Replica for MutantReplica<R> {
    type Message = R::Message;
    type Timer = R::Timer;

    fn name(message: &R::Message) -> String {
        R::name(message)
    }

    fn on_start(&mut self, now: Now, recovered: Recovered, out: &mut OutboxOf<Self>) {
        let recovered = match (self.tampering.mutation, recovered) {
            (Mutation::RejoinsUnderOldIdentity, Recovered::Lost) => Recovered::Nothing,
            (
                Mutation::TruncatesAcknowledged,
                Recovered::Storage {
                    checkpoint,
                    mut records,
                },
            ) => {
                records.pop();
                Recovered::Storage {
                    checkpoint,
                    records,
                }
            }
            (_, recovered) => recovered,
        };
        self.call(out, |inner, out| inner.on_start(now, recovered, out));
    }

    fn on_request(&mut self, now: Now, request: Request, out: &mut OutboxOf<Self>) {
        let request = self.renamed(request);
        self.call(out, |inner, out| inner.on_request(now, request, out));
    }

    fn on_message(
        &mut self,
        now: Now,
        from: ReplicaId,
        message: R::Message,
        out: &mut OutboxOf<Self>,
    ) {
        if let Some(message) = R::incoming(&mut self.tampering, message) {
            self.call(out, |inner, out| inner.on_message(now, from, message, out));
        }
    }

    fn on_timer(&mut self, now: Now, timer: R::Timer, out: &mut OutboxOf<Self>) {
        self.call(out, |inner, out| inner.on_timer(now, timer, out));
    }

    fn on_persisted(&mut self, now: Now, token: PersistToken, out: &mut OutboxOf<Self>) {
        if self.tampering.mutation != Mutation::AcknowledgesBeforePersisting {
            self.call(out, |inner, out| inner.on_persisted(now, token, out));
        }
    }

    fn on_peer(&mut self, now: Now, peer: ReplicaId, state: PeerState, out: &mut OutboxOf<Self>) {
        self.tampering.on_peer(peer, state);
        self.call(out, |inner, out| inner.on_peer(now, peer, state, out));
    }

    fn on_batch_end(&mut self, now: Now, out: &mut OutboxOf<Self>) {
        loop {
            self.call(out, |inner, out| inner.on_batch_end(now, out));
            for token in std::mem::take(&mut self.early) {
                self.call(out, |inner, out| inner.on_persisted(now, token, out));
            }
            while let Some((from, answer)) = self.forged.pop_front() {
                self.call(out, |inner, out| inner.on_message(now, from, answer, out));
            }
            // What was forged may have made new messages, and those new forgeries.
            if self.early.is_empty() && self.forged.is_empty() {
                break;
            }
        }
        self.call(out, |inner, out| inner.on_batch_end(now, out));
        self.tampering.on_batch_end();
    }
}

//! What follows from callbacks: batches end, and what replicas want done is done.

use longhaul_experiment::record::Leadership;
use longhaul_experiment::{OperationId, Outcome, ReplicaId};
use longhaul_protocol::{Effect, LogRecord, Mode, PersistToken, Replica};
use std::time::Duration;

use super::events::{Event, Frame, Sync};
use super::{MessageOf, Simulation, Truncation, Verdict};
use crate::network::Wire;
use crate::trace::{TraceId, TraceKind};

impl<M: Mode> Simulation<M> {
    pub(super) fn open_batch(&mut self, id: ReplicaId, cause: Option<TraceId>) {
        let node = &mut self.nodes[id.index()];
        node.cause = cause;
        if !node.batch_is_open {
            node.batch_is_open = true;
            self.open_batches.push(id);
        }
    }

    /// Ends all open batches and carries out their effects. Storage that takes no time answers
    /// with a new callback, and so with a new batch, within the same step.
    pub(super) fn end_batches(&mut self) {
        let mut next = 0;
        while let Some(&id) = self.open_batches.get(next) {
            next += 1;
            let now = self.now;
            let node = &mut self.nodes[id.index()];
            node.batch_is_open = false;
            node.call(now, |replica, now, out| replica.on_batch_end(now, out));
            self.carry_out_effects(id);
            if self.syncs.is_empty() {
                continue;
            }
            let mut syncs = std::mem::take(&mut self.syncs);
            for sync in syncs.drain(..) {
                self.carry_out_synced(id, sync);
            }
            self.syncs = syncs;
        }
        self.open_batches.clear();
    }

    /// Carries out what a replica wants done, but for syncs that take no time: it leaves them in
    /// `syncs`.
    fn carry_out_effects(&mut self, id: ReplicaId) {
        let node = &mut self.nodes[id.index()];
        if node.outbox.is_empty() {
            node.end_batch(self.now, &[]);
            return;
        }
        let mut effects = std::mem::take(&mut self.effects);
        node.outbox.swap_effects(&mut effects);
        node.end_batch(self.now, &effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => self.send(id, to, message),
                Effect::Reply { operation, outcome } => {
                    self.respond(id, operation, outcome);
                }
                Effect::Persist { token, records } => {
                    self.persist(id, token, records);
                }
                Effect::SetTimer { timer, after } => {
                    let node = &mut self.nodes[id.index()];
                    let key = self.queue.reserve(self.now + node.timer_takes(after));
                    let incarnation = node.incarnation;
                    if node.timers.set(timer, key) {
                        let event = Event::Timer {
                            replica: id,
                            incarnation,
                            timer,
                        };
                        self.queue.push_reserved(key, event);
                    }
                }
                Effect::CancelTimer { timer } => self.nodes[id.index()].timers.cancel(timer),
                Effect::Applied { key, version } => {
                    let cause = self.nodes[id.index()].cause;
                    self.tracer.add(self.now, cause, || TraceKind::Applied {
                        at_replica: id,
                        key,
                        version,
                    });
                }
                Effect::Leader { term, leader } => self.note_leader(id, term, leader),
                Effect::Truncated { entries } => self.truncations.push(Truncation {
                    at: self.now,
                    replica: id,
                    entries,
                }),
            }
        }
        self.effects = effects;
    }

    fn send(&mut self, from: ReplicaId, to: ReplicaId, message: MessageOf<M>) {
        let connected = self.nodes[from.index()].connected.get(to.index());
        let Some(epoch) = connected.copied().flatten() else {
            return;
        };
        let verdict = match &mut self.judge {
            Some(judge) => judge(self.now, from, to, &message),
            None => Verdict::Deliver,
        };
        let (longer, datagram) = match verdict {
            Verdict::Deliver => (Duration::ZERO, false),
            Verdict::Drop => return,
            Verdict::Hold(longer) => (longer, false),
            Verdict::DeliverAfter(delay) => (delay, true),
        };
        let cause = self.nodes[from.index()].cause;
        let cause = self.tracer.add(self.now, cause, || TraceKind::Sent {
            from,
            to,
            name: <M::Replica as Replica>::name(&message),
        });
        let bytes = self.network.frame_bytes(&message);
        let node = &mut self.nodes[from.index()];
        let at = node.take_sending_instant(self.now, bytes) + longer;
        let frame = Frame::Message {
            from,
            to,
            epoch,
            message,
            cause,
        };
        if datagram {
            self.queue.push(at, Event::Frame(frame));
            return;
        }
        self.transmit(at, Wire::Replicas(from, to), bytes, frame);
    }

    pub(super) fn respond(&mut self, id: ReplicaId, operation: OperationId, outcome: Outcome) {
        let Some(&client) = self.clients.get(operation.client.0.into()) else {
            return;
        };
        if !self.client_epochs.is_up(client, id) {
            return;
        }
        let cause = self.nodes[id.index()].cause;
        let cause = self.tracer.add(self.now, cause, || TraceKind::Reply {
            from: id,
            region: client.region,
            operation,
        });
        let bytes = self.network.frame_bytes(&(operation, &outcome));
        let at = self.nodes[id.index()].take_sending_instant(self.now, bytes);
        let wire = Wire::ToClient(client, id);
        let frame = Frame::Response {
            client,
            replica: id,
            epoch: self.client_epochs.of(client, id),
            operation,
            outcome,
            cause,
        };
        self.transmit(at, wire, bytes, frame);
    }

    /// Gives records to storage; a sync that takes no time is left in `syncs`.
    #[inline]
    fn persist(&mut self, id: ReplicaId, token: PersistToken, records: Vec<LogRecord>) {
        let node = &mut self.nodes[id.index()];
        let cause = self
            .tracer
            .add(self.now, node.cause, || TraceKind::Persist {
                at_replica: id,
            });
        let sync = Sync {
            token,
            records,
            cause,
        };
        let due = node.take_sync_instant(self.now);
        if due == self.now {
            self.syncs.push(sync);
            return;
        }
        let event = Event::Synced {
            replica: id,
            incarnation: node.incarnation,
            sync,
        };
        self.queue.push(due, event);
    }

    fn note_leader(&mut self, id: ReplicaId, term: u64, leader: Option<ReplicaId>) {
        self.nodes[id.index()].leader = leader;
        let latest = self.leaders.last().map(|leadership| leadership.term);
        if let Some(leader) = leader
            && latest.is_none_or(|latest| term > latest)
        {
            let at = self.now;
            self.leaders.push(Leadership { at, term, leader });
        }
    }
}

//! The register's replica: a coordinator for its clients and, among the first n, a member.

use std::collections::VecDeque;

use longhaul_experiment::{ErrorKind, Now, Operation, Outcome, ReplicaId, Version};

use super::catch_up::CatchUp;
use super::coordinator::{Coordinator, Goal, Next, Quorums};
use super::message::{Ask, Entry, Message, Part};
use super::shelf::{Shelf, Standing};
use crate::eventual::stamp::{HybridClock, Writer};
use crate::outbox::Outbox;
use crate::replica::{Member, OutboxOf, PeerState, PersistToken, Recovered, Replica, Request};

/// What the register's callbacks answer into.
pub(super) type RegisterOutbox = Outbox<Message, RegisterTimer>;

/// About the largest size of a message; a larger single part goes alone.
const MESSAGE_BYTES: usize = 256 << 10;

/// How many requests a member keeps while it is caught up; beyond that the oldest are dropped, as
/// their coordinators have long given up.
const HELD_MAX: usize = 65_536;

/// The timers of a register replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegisterTimer {
    /// The oldest operation has waited long enough.
    Patience,
}

/// How many phases an operation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phases {
    /// Writes go under a tag of the coordinator's clock; reads do not write back.
    One,
    /// Writes ask for tags first; reads write back when repliers disagree.
    Two,
}

/// A replica of the register.
#[derive(Debug)]
pub struct RegisterReplica {
    id: ReplicaId,
    quorums: Quorums,
    phases: Phases,
    clock: HybridClock,
    writer: Writer,
    coordinator: Coordinator,
    shelf: Shelf,
    catch_up: Option<CatchUp>,
    held: VecDeque<(ReplicaId, Part)>,
    peers: Vec<Peer>,
    /// What this replica says to itself; it is heard within the same callback.
    to_self: VecDeque<Part>,
    patience_is_set: bool,
    #[cfg(feature = "mutations")]
    forgets_write_back: bool,
}

#[derive(Debug, Default)]
struct Peer {
    up: bool,
    parts: Vec<Part>,
}

impl RegisterReplica {
    /// Returns a replica, not yet started.
    pub(super) fn new(member: &Member, quorums: Quorums, phases: Phases) -> RegisterReplica {
        RegisterReplica {
            id: member.id,
            quorums,
            phases,
            clock: HybridClock::default(),
            writer: Writer::new(member.id, member.incarnation),
            coordinator: Coordinator::new(quorums, member.incarnation),
            shelf: Shelf::recover(Recovered::Nothing, member.retention),
            catch_up: None,
            held: VecDeque::new(),
            peers: (0..member.replica_count())
                .map(|_| Peer::default())
                .collect(),
            to_self: VecDeque::new(),
            patience_is_set: false,
            #[cfg(feature = "mutations")]
            forgets_write_back: false,
        }
    }

    /// Says how many operations this replica is coordinating.
    pub fn operations_under_way(&self) -> usize {
        self.coordinator.len()
    }

    /// Says whether this replica counts in quorums: it stores data and has all of it.
    pub fn counts(&self) -> bool {
        self.is_member(self.id) && self.shelf.standing() == Standing::Serving
    }

    /// Makes reads leave the members as they are.
    #[cfg(feature = "mutations")]
    pub(crate) fn forget_write_back(&mut self) {
        self.forgets_write_back = true;
    }

    /// Says whether reads store what repliers disagree on at a write quorum.
    fn writes_back(&self) -> bool {
        #[cfg(feature = "mutations")]
        if self.forgets_write_back {
            return false;
        }
        self.phases == Phases::Two
    }

    fn is_member(&self, replica: ReplicaId) -> bool {
        replica.index() < self.quorums.members
    }

    fn post(&mut self, to: ReplicaId, part: Part) {
        if to == self.id {
            self.to_self.push_back(part);
        } else if let Some(peer) = self.peers.get_mut(to.index())
            && peer.up
        {
            peer.parts.push(part);
        }
    }

    fn ask_members(&mut self, part: Part) {
        for index in 0..self.quorums.members as u16 {
            self.post(ReplicaId(index), part.clone());
        }
    }

    /// Hears all that this replica said to itself.
    fn settle(&mut self, out: &mut RegisterOutbox) {
        while let Some(part) = self.to_self.pop_front() {
            self.hear(self.id, part, out);
        }
    }

    fn hear(&mut self, from: ReplicaId, part: Part, out: &mut RegisterOutbox) {
        match part {
            Part::Query { .. } | Part::Store { .. } | Part::Pull { .. } => {
                self.serve(from, part);
            }
            Part::Answer {
                ask,
                version,
                value,
            } => {
                self.clock.observe(version.major);
                let next = self.coordinator.answered(ask, from, version, value);
                self.proceed(ask, next, out);
            }
            Part::Stored { ask } => {
                let next = self.coordinator.stored(ask, from);
                self.proceed(ask, next, out);
            }
            Part::Pulled {
                after,
                entries,
                last,
            } => {
                let Some(catch_up) = &mut self.catch_up else {
                    return;
                };
                let reached = entries.last().map(|entry| entry.key);
                let next = catch_up.pulled(from, after, reached, last);
                for entry in entries {
                    self.shelf.store(entry, None);
                }
                if let Some(pull) = next {
                    self.post(from, pull);
                }
                self.join_when_caught_up();
            }
        }
    }

    /// Answers as a member.
    fn serve(&mut self, from: ReplicaId, part: Part) {
        if !self.is_member(self.id) {
            return;
        }
        if self.shelf.standing() == Standing::CatchingUp {
            if let Part::Store { entry, .. } = &part {
                self.shelf.store(entry.clone(), None);
            }
            if self.held.len() == HELD_MAX {
                self.held.pop_front();
            }
            self.held.push_back((from, part));
            return;
        }
        match part {
            Part::Query {
                ask,
                key,
                with_value,
            } => {
                let (version, value) = self.shelf.query(key);
                let value = value.filter(|_| with_value).cloned();
                let answer = Part::Answer {
                    ask,
                    version,
                    value,
                };
                self.post(from, answer);
            }
            Part::Store { ask, entry } => {
                self.clock.observe(entry.version.major);
                if self.shelf.store(entry, Some((from, ask))) {
                    self.post(from, Part::Stored { ask });
                }
            }
            Part::Pull { after } => {
                let (entries, last) = self.shelf.chunk(after);
                let pulled = Part::Pulled {
                    after,
                    entries,
                    last,
                };
                self.post(from, pulled);
            }
            Part::Answer { .. } | Part::Stored { .. } | Part::Pulled { .. } => {}
        }
    }

    fn proceed(&mut self, ask: Ask, next: Option<Next>, out: &mut RegisterOutbox) {
        match next {
            None => {}
            Some(Next::Reply(id, outcome)) => out.reply(id, outcome),
            Some(Next::WriteBack(part)) => self.ask_members(part),
            Some(Next::Tag { counter, value }) => {
                let Some(minor) = self.writer.number() else {
                    let refused = Outcome::Fail(ErrorKind::NotReady);
                    let end = self.coordinator.end(ask, refused);
                    return self.proceed(ask, end, out);
                };
                let version = Version {
                    major: counter,
                    minor,
                };
                if let Some(part) = self.coordinator.tagged(ask, version, value) {
                    self.ask_members(part);
                }
            }
        }
    }

    /// Sets the timer for the oldest operation, unless it is set for it or an earlier one.
    fn watch_patience(&mut self, now: Now, out: &mut RegisterOutbox) {
        if !self.patience_is_set
            && let Some(left) = self.coordinator.patience_left(now.monotonic)
        {
            self.patience_is_set = true;
            out.set_timer(RegisterTimer::Patience, left);
        }
    }

    fn join_when_caught_up(&mut self) {
        if self.catch_up.as_ref().is_some_and(CatchUp::is_complete) {
            self.catch_up = None;
            self.shelf.stand(Standing::Serving);
        }
    }
}

impl Replica for RegisterReplica {
    type Message = Message;
    type Timer = RegisterTimer;

    fn name(message: &Message) -> String {
        message.name()
    }

    fn on_start(&mut self, _now: Now, recovered: Recovered, _out: &mut OutboxOf<Self>) {
        if !self.is_member(self.id) {
            return;
        }
        self.shelf = Shelf::recover(recovered, self.shelf.retention());
        if self.shelf.standing() == Standing::CatchingUp {
            self.catch_up = Some(CatchUp::new(self.quorums));
            self.join_when_caught_up();
        }
    }

    fn on_request(&mut self, now: Now, request: Request, out: &mut OutboxOf<Self>) {
        let id = request.id;
        if self.coordinator.knows(id) {
            return;
        }
        if self.coordinator.is_full() {
            return out.refuse(id, ErrorKind::Overloaded);
        }
        let part = match (request.operation, self.phases) {
            (Operation::Read { key }, _) => {
                let write_back = self.writes_back();
                self.coordinator
                    .query(now.monotonic, id, key, Goal::Read { write_back })
            }
            (Operation::Write { key, value }, Phases::Two) => {
                self.coordinator
                    .query(now.monotonic, id, key, Goal::Write(value))
            }
            (Operation::Write { key, value }, Phases::One) => {
                let Some(minor) = self.writer.number() else {
                    return out.refuse(id, ErrorKind::NotReady);
                };
                let major = self.clock.tick(now.wall);
                let entry = Entry {
                    key,
                    version: Version { major, minor },
                    value,
                };
                self.coordinator.store(now.monotonic, id, entry)
            }
            _ => return out.refuse(id, ErrorKind::NotSupported),
        };
        self.watch_patience(now, out);
        self.ask_members(part);
        self.settle(out);
    }

    fn on_message(
        &mut self,
        _now: Now,
        from: ReplicaId,
        message: Message,
        out: &mut OutboxOf<Self>,
    ) {
        for part in message.parts {
            self.hear(from, part, out);
            self.settle(out);
        }
    }

    fn on_timer(&mut self, now: Now, timer: RegisterTimer, out: &mut OutboxOf<Self>) {
        match timer {
            RegisterTimer::Patience => {
                for (id, outcome) in self.coordinator.give_up(now.monotonic) {
                    out.reply(id, outcome);
                }
                self.patience_is_set = false;
                self.watch_patience(now, out);
            }
        }
    }

    fn on_persisted(&mut self, _now: Now, token: PersistToken, out: &mut OutboxOf<Self>) {
        let safe = self.shelf.persisted(token, out);
        for (to, ask) in safe.acknowledge {
            self.post(to, Part::Stored { ask });
        }
        if safe.joined {
            for (from, part) in std::mem::take(&mut self.held) {
                self.serve(from, part);
            }
        }
        self.settle(out);
    }

    fn on_peer(&mut self, _now: Now, peer: ReplicaId, state: PeerState, out: &mut OutboxOf<Self>) {
        let Some(connection) = self.peers.get_mut(peer.index()) else {
            return;
        };
        connection.up = state == PeerState::Up;
        connection.parts.clear();
        match state {
            PeerState::Down => {
                self.coordinator.take_back(peer);
                self.held.retain(|(from, _)| *from != peer);
            }
            PeerState::Up if self.is_member(peer) => {
                for part in self.coordinator.unanswered(peer) {
                    self.post(peer, part);
                }
                if let Some(pull) = self.catch_up.as_ref().and_then(|it| it.pull(peer)) {
                    self.post(peer, pull);
                }
            }
            PeerState::Up => {}
        }
        self.settle(out);
    }

    fn on_batch_end(&mut self, _now: Now, out: &mut OutboxOf<Self>) {
        self.shelf.flush(out);
        for (index, peer) in self.peers.iter_mut().enumerate() {
            let mut parts = Vec::new();
            let mut bytes = 0;
            for part in peer.parts.drain(..) {
                bytes += part.size();
                parts.push(part);
                if bytes >= MESSAGE_BYTES {
                    bytes = 0;
                    let parts = std::mem::take(&mut parts);
                    out.send(ReplicaId(index as u16), Message { parts });
                }
            }
            if !parts.is_empty() {
                out.send(ReplicaId(index as u16), Message { parts });
            }
        }
    }
}

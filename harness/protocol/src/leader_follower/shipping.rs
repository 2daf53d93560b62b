//! What a leader knows of one follower, and how it brings the log there.
//!
//! At the start of each connection epoch the follower is *probed* for the position up to which
//! its log agrees; then the log is *shipped* from there on without waiting for acknowledgements,
//! within a bound. The stream keeps order and loses nothing within an epoch, so nothing is sent
//! twice in one. A follower that needs what the log has forgotten gets a *snapshot* first.

use std::collections::VecDeque;

use longhaul_experiment::{ReplicaId, Time};

use super::attendance::Attendance;
use super::entries::Entries;
use super::leadership::Leadership;
use super::log::{Log, Position};
use super::message::{Append, Heartbeat, Lead, Message, Timer};
use super::snapshot::OutgoingSnapshot;
use crate::outbox::Outbox;
use crate::store::Store;

/// The most bytes of entries in one message, unless a single entry is larger.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// The most bytes of entries on their way to one follower, give or take a message: 220 MB/s over
/// a round trip of 300 ms.
const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;

/// The most entries on their way to one follower, give or take a message: 870 000 entries/s over
/// a round trip of 300 ms.
const IN_FLIGHT_ENTRIES_MAX: u64 = 1 << 18;

/// The most messages with nothing but the commit index between two acknowledgements, so that a
/// follower that stalls does not gather them. Heartbeats and entries carry the index too.
const COMMIT_MESSAGES_MAX: u32 = 1024;

/// What a leader knows of a follower.
#[derive(Debug)]
pub(super) struct Follower {
    id: ReplicaId,
    up: bool,
    /// How well it attends, and whether it counts.
    pub(super) attendance: Attendance,
    state: State,
    /// Numbers the probes.
    round: u64,
    /// What it has persisted of the log, as far as it said in this epoch.
    matched: u64,
    /// What it need not be sent again unless it loses its storage; outlives epochs.
    kept: u64,
    /// The next index to ship.
    next: u64,
    /// The commit index that it was told in this epoch.
    told_commit: u64,
    /// The last index and the weight of each message that is not acknowledged.
    in_flight: VecDeque<(u64, usize)>,
    in_flight_bytes: usize,
    /// How often it was told the commit index alone since its last acknowledgement.
    commit_messages: u32,
}

#[derive(Debug)]
enum State {
    /// It is asked for the position within `limit` up to which its log agrees.
    Probing { limit: Position, asked: bool },
    /// It gets the log from `next` on.
    Shipping,
    /// It gets the store.
    Snapshot(OutgoingSnapshot),
}

/// What shipping needs of the replica.
pub(super) struct View<'a> {
    pub(super) now: Time,
    pub(super) leadership: &'a Leadership,
    pub(super) log: &'a Log,
    pub(super) store: &'a Store,
    pub(super) executed: u64,
    pub(super) commit: u64,
    pub(super) readable_at: u64,
}

impl Follower {
    /// Returns a follower that is down, as of the beginning of a term.
    pub(super) fn new(id: ReplicaId, now: Time) -> Follower {
        Follower {
            id,
            up: false,
            attendance: Attendance::from(now),
            state: State::Probing {
                limit: Position::default(),
                asked: false,
            },
            round: 0,
            matched: 0,
            kept: 0,
            next: 1,
            told_commit: 0,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            commit_messages: 0,
        }
    }

    /// Returns its id.
    pub(super) fn id(&self) -> ReplicaId {
        self.id
    }

    /// Says whether there is a connection to it.
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Returns the last index that it has persisted with all before it.
    pub(super) fn matched(&self) -> u64 {
        self.matched
    }

    /// Returns the same as far as it counts for acknowledgements.
    pub(super) fn acknowledged(&self) -> u64 {
        if self.attendance.counts {
            self.matched
        } else {
            0
        }
    }

    /// Returns the index up to which it does not need the log, unless it loses its storage.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// Returns the snapshot that it is getting.
    pub(super) fn snapshot(&self) -> Option<&OutgoingSnapshot> {
        match &self.state {
            State::Snapshot(snapshot) => Some(snapshot),
            _ => None,
        }
    }

    /// Follows the end or the beginning of a connection epoch. At the beginning nothing counts
    /// as persisted by the follower any more: it may have lost its storage.
    pub(super) fn on_peer(&mut self, up: bool, log: &Log) {
        self.up = up;
        if up {
            self.matched = 0;
        }
        self.probe(log.last());
    }

    /// Takes the answer to a probe, from a follower that has executed up to `executed`; one to an
    /// earlier probe is ignored.
    pub(super) fn on_match(
        &mut self,
        round: u64,
        (position, executed): (Option<Position>, u64),
        log: &Log,
    ) {
        if !matches!(self.state, State::Probing { .. }) || round != self.round {
            return;
        }
        let Some(position) = position else {
            return self.replace_all();
        };
        if log.contains(position) {
            if position.index < executed {
                // It has executed what this log does not have: only a snapshot undoes that.
                return self.replace_all();
            }
            return self.go_on_after(position.index);
        }
        // Each limit is less than the answer before, so that this ends.
        match log.greatest_at_most(position) {
            Some(limit) => self.probe(limit),
            None => self.replace_all(),
        }
    }

    /// Takes an acknowledgement of everything up to an index.
    pub(super) fn on_acknowledge(&mut self, persisted: u64) {
        match &self.state {
            State::Probing { .. } => {}
            State::Shipping => {
                let persisted = persisted.min(self.next.saturating_sub(1));
                self.matched = self.matched.max(persisted);
                self.kept = self.kept.max(persisted);
                self.commit_messages = 0;
                while let Some(&(last, bytes)) = self.in_flight.front()
                    && last <= persisted
                {
                    self.in_flight_bytes -= bytes;
                    self.in_flight.pop_front();
                }
            }
            State::Snapshot(snapshot) => {
                let index = snapshot.position().index;
                if persisted >= index {
                    self.go_on_after(index);
                }
            }
        }
    }

    /// Takes the news of snapshot bytes that arrived.
    pub(super) fn on_piece_received(&mut self, position: Position, received: u64) {
        if let State::Snapshot(snapshot) = &mut self.state {
            snapshot.on_received(position, received);
        }
    }

    /// Takes the news that the follower could not use what was shipped.
    pub(super) fn on_reject(&mut self, log: &Log) {
        if !matches!(self.state, State::Probing { .. }) {
            self.probe(log.last());
        }
    }

    /// Says whether the log has forgotten what the follower is to get next.
    pub(super) fn needs_snapshot(&self, log: &Log) -> bool {
        self.up && matches!(self.state, State::Shipping) && self.next <= log.base().index
    }

    /// Begins to ship a snapshot.
    pub(super) fn begin_snapshot(&mut self, snapshot: OutgoingSnapshot) {
        self.forget_in_flight();
        self.kept = snapshot.position().index;
        self.state = State::Snapshot(snapshot);
    }

    /// Sends what is new to the follower, within the bounds.
    pub(super) fn ship(&mut self, view: &View<'_>, out: &mut Outbox<Message, Timer>) {
        if !self.up {
            return;
        }
        match &mut self.state {
            State::Probing { asked: true, .. } => {}
            State::Probing { .. } => self.send_probe(view, out),
            State::Snapshot(snapshot) => {
                while let Some(piece) = snapshot.next_piece(view.leadership.term) {
                    out.send(self.id, Message::Piece(Box::new(piece)));
                }
            }
            State::Shipping => self.ship_entries(view, out),
        }
    }

    /// Sends a sign of life with the commit index; a follower that is probed is asked again.
    pub(super) fn heartbeat(&mut self, view: &View<'_>, out: &mut Outbox<Message, Timer>) {
        if !self.up {
            return;
        }
        let append = match self.state {
            State::Probing { .. } => return self.send_probe(view, out),
            State::Shipping => self.append(Vec::new().into(), view),
            State::Snapshot(_) => None,
        };
        let heartbeat = Heartbeat {
            term: view.leadership.term,
            sent_at: view.now,
            append,
        };
        out.send(self.id, Message::Heartbeat(Box::new(heartbeat)));
    }

    fn probe(&mut self, limit: Position) {
        self.forget_in_flight();
        self.round += 1;
        self.state = State::Probing {
            limit,
            asked: false,
        };
    }

    /// Lets a snapshot follow.
    fn replace_all(&mut self) {
        self.go_on_after(0);
        self.next = 0;
    }

    fn go_on_after(&mut self, index: u64) {
        self.state = State::Shipping;
        self.matched = index;
        self.kept = index;
        self.next = index + 1;
        self.told_commit = 0;
        self.commit_messages = 0;
    }

    fn forget_in_flight(&mut self) {
        self.in_flight.clear();
        self.in_flight_bytes = 0;
    }

    fn send_probe(&mut self, view: &View<'_>, out: &mut Outbox<Message, Timer>) {
        if let State::Probing { limit, asked } = &mut self.state {
            *asked = true;
            let lead = Lead {
                leadership: view.leadership.clone(),
                sent_at: view.now,
                round: self.round,
                limit: *limit,
                readable_at: view.readable_at,
            };
            out.send(self.id, Message::Lead(Box::new(lead)));
        }
    }

    fn ship_entries(&mut self, view: &View<'_>, out: &mut Outbox<Message, Timer>) {
        let last = view.log.last().index;
        while self.next <= last
            && self.in_flight_bytes < IN_FLIGHT_BYTES_MAX
            && self.next - self.matched <= IN_FLIGHT_ENTRIES_MAX
        {
            let mut bytes = 0;
            let mut count = 0;
            for entry in view.log.from(self.next) {
                if count > 0 && bytes + entry.weight() > MESSAGE_BYTES_MAX {
                    break;
                }
                bytes += entry.weight();
                count += 1;
            }
            let entries = Entries::first(count, view.log.from(self.next));
            self.send_append(entries, view, out);
            self.next += count as u64;
            self.in_flight.push_back((self.next - 1, bytes));
            self.in_flight_bytes += bytes;
        }
        if self.told_commit < view.commit && self.commit_messages < COMMIT_MESSAGES_MAX {
            self.commit_messages += 1;
            self.send_append(Vec::new().into(), view, out);
        }
    }

    fn send_append(&mut self, entries: Entries, view: &View<'_>, out: &mut Outbox<Message, Timer>) {
        if let Some(append) = self.append(entries, view) {
            out.send(self.id, Message::Append(append));
        }
    }

    fn append(&mut self, entries: Entries, view: &View<'_>) -> Option<Append> {
        let previous = view.log.position_at(self.next.saturating_sub(1))?;
        self.told_commit = view.commit;
        Some(Append {
            term: view.leadership.term,
            previous,
            entries,
            commit: view.commit,
        })
    }
}

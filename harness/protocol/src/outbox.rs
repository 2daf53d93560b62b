//! Effects as values: what a replica wants done.

use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::{ErrorKind, Key, OperationId, Outcome, ReplicaId, Version};

use crate::replica::PersistToken;

/// One thing that a replica wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<M, T> {
    /// Send a message to another replica. It is dropped while the peer is down.
    Send {
        /// The receiver.
        to: ReplicaId,
        /// The message.
        message: M,
    },
    /// Answer a client.
    Reply {
        /// The operation that ended.
        operation: OperationId,
        /// How.
        outcome: Outcome,
    },
    /// Store records, in order, and report when they and all before them are safe.
    Persist {
        /// What the report names.
        token: PersistToken,
        /// The records.
        records: Vec<LogRecord>,
    },
    /// Set a timer, replacing one of the same name.
    SetTimer {
        /// Its name.
        timer: T,
        /// After how long it goes off.
        after: Duration,
    },
    /// Cancel a timer; nothing happens when it is not set.
    CancelTimer {
        /// Its name.
        timer: T,
    },
    /// Note that a version of a key became visible to reads at this replica, for staleness.
    Applied {
        /// The key.
        key: Key,
        /// The version.
        version: Version,
    },
    /// Note whom the replica takes for the leader from now on.
    Leader {
        /// The term or ballot.
        term: u64,
        /// The leader, `None` when it knows of none.
        leader: Option<ReplicaId>,
    },
    /// Note that entries at the end of the replica's log were given up for another leader's. They
    /// may have been acknowledged to clients.
    Truncated {
        /// How many.
        entries: u64,
    },
}

/// One record of a replica's storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord {
    /// Follows all earlier records.
    Append(Bytes),
    /// Stands for all earlier records, which may be deleted once it is safe.
    Checkpoint(Bytes),
}

/// Collects the effects of callbacks.
#[derive(Debug)]
pub struct Outbox<M, T> {
    effects: Vec<Effect<M, T>>,
    durable: bool,
    notes_applied: bool,
}

impl<M, T> Outbox<M, T> {
    /// Returns an empty outbox. `durable` says whether the host's storage outlives the process.
    pub fn new(durable: bool) -> Outbox<M, T> {
        Outbox {
            effects: Vec::new(),
            durable,
            notes_applied: true,
        }
    }

    /// Says whether [`Effect::Applied`] is wanted, as it is at first: a host that does nothing
    /// with it saves an effect for every version.
    pub fn note_applied(&mut self, wanted: bool) {
        self.notes_applied = wanted;
    }

    /// Says whether the host's storage outlives the process.
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// Sends a message to another replica.
    #[inline]
    pub fn send(&mut self, to: ReplicaId, message: M) {
        self.effects.push(Effect::Send { to, message });
    }

    /// Answers a client.
    #[inline]
    pub fn reply(&mut self, operation: OperationId, outcome: Outcome) {
        self.effects.push(Effect::Reply { operation, outcome });
    }

    /// Refuses a client's operation: it certainly has no effect.
    pub fn refuse(&mut self, operation: OperationId, error: ErrorKind) {
        self.reply(operation, Outcome::Fail(error));
    }

    /// Persists records; the report comes as [`crate::Replica::on_persisted`]. `records` is
    /// called only when the host's storage outlives the process; otherwise the report alone
    /// comes.
    #[inline]
    pub fn persist(&mut self, token: PersistToken, records: impl FnOnce() -> Vec<LogRecord>) {
        let records = if self.durable { records() } else { Vec::new() };
        self.effects.push(Effect::Persist { token, records });
    }

    /// Sets a timer, replacing one of the same name.
    pub fn set_timer(&mut self, timer: T, after: Duration) {
        self.effects.push(Effect::SetTimer { timer, after });
    }

    /// Cancels a timer.
    pub fn cancel_timer(&mut self, timer: T) {
        self.effects.push(Effect::CancelTimer { timer });
    }

    /// Notes that a version became visible to reads here.
    #[inline]
    pub fn applied(&mut self, key: Key, version: Version) {
        if self.notes_applied {
            self.effects.push(Effect::Applied { key, version });
        }
    }

    /// Notes whom the replica takes for the leader.
    pub fn leader(&mut self, term: u64, leader: Option<ReplicaId>) {
        self.effects.push(Effect::Leader { term, leader });
    }

    /// Notes that entries at the end of the log were given up; none are no news.
    pub fn truncated(&mut self, entries: u64) {
        if entries > 0 {
            self.effects.push(Effect::Truncated { entries });
        }
    }

    /// Takes the effects out, in order, keeping the outbox's memory.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect<M, T>> {
        self.effects.drain(..)
    }

    /// Exchanges the effects for those in `effects`: a host that passes an empty list gets what
    /// there is to do, and lends its list's memory to what comes next.
    pub fn swap_effects(&mut self, effects: &mut Vec<Effect<M, T>>) {
        std::mem::swap(&mut self.effects, effects);
    }

    /// Says whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }
}

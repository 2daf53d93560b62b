//! Reads that do not go through the log: read rounds, and the lease that they renew.

use std::collections::VecDeque;
use std::time::Duration;

use longhaul_experiment::{Key, OperationId, Time};

use crate::quorum::timeouts::Timeouts;

/// For how many heartbeats after a read round was sent the lease holds, once a majority has
/// answered it.
///
/// A follower that heard the round grants no vote before its own timer went off
/// [`Timeouts::ELECTION_HEARTBEATS`] = 20 times, of which the first may come at once: at least 19
/// heartbeats by its clock. So the lease is safe while no replica's clock runs more than 19/15,
/// a quarter, faster than the leader's.
const LEASE_HEARTBEATS: u32 = Timeouts::ELECTION_HEARTBEATS * 3 / 4;

/// A client's read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// The operation.
    pub id: OperationId,
    /// The key read.
    pub key: Key,
}

/// One question to all followers whether the leader still leads.
#[derive(Debug)]
struct ReadRound {
    number: u64,
    sent_at: Time,
    reads: Vec<Read>,
}

/// A leader's reads on their way.
#[derive(Debug, Default)]
pub(super) struct Reads {
    asked: Vec<Read>,
    rounds: VecDeque<ReadRound>,
    /// Reads that may be answered once the entry at the index was executed.
    confirmed: VecDeque<(u64, Vec<Read>)>,
    last_round: u64,
    lease_until: Time,
}

impl Reads {
    /// Takes a read.
    pub(super) fn ask(&mut self, read: Read) {
        self.asked.push(read);
    }

    /// Says whether reads wait for a round or a lease.
    pub(super) fn has_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Puts the reads that wait into a new round and returns the context to send it with.
    pub(super) fn begin_round(&mut self, now: Time) -> Vec<u8> {
        self.last_round += 1;
        self.rounds.push_back(ReadRound {
            number: self.last_round,
            sent_at: now,
            reads: std::mem::take(&mut self.asked),
        });
        self.last_round.to_le_bytes().to_vec()
    }

    /// Notes that a majority answered the round with this context: its reads, and those of
    /// rounds before it, may be answered from `index` on, and the lease is renewed.
    pub(super) fn confirm(&mut self, context: &[u8], index: u64, heartbeat: Duration) {
        let Ok(number) = context.try_into().map(u64::from_le_bytes) else {
            return;
        };
        while let Some(round) = self.rounds.front() {
            if round.number > number {
                return;
            }
            let until = round.sent_at + heartbeat * LEASE_HEARTBEATS;
            self.lease_until = self.lease_until.max(until);
            if let Some(round) = self.rounds.pop_front()
                && !round.reads.is_empty()
            {
                self.confirmed.push_back((index, round.reads));
            }
        }
    }

    /// Lets the reads that wait be answered from `index` on when the lease holds.
    pub(super) fn use_lease(&mut self, now: Time, index: u64) {
        if now < self.lease_until && self.has_asked() {
            let reads = std::mem::take(&mut self.asked);
            self.confirmed.push_back((index, reads));
        }
    }

    /// Returns the next read that may be answered with entries executed up to `applied`.
    pub(super) fn answerable(&mut self, applied: u64) -> Option<Vec<Read>> {
        let (index, _) = self.confirmed.front()?;
        if *index > applied {
            return None;
        }
        self.confirmed.pop_front().map(|(_, reads)| reads)
    }

    /// Gives all reads back, and the lease up: the replica no longer leads.
    pub(super) fn abandon(&mut self) -> Vec<Read> {
        let rounds = self.rounds.drain(..).flat_map(|round| round.reads);
        let confirmed = self.confirmed.drain(..).flat_map(|(_, reads)| reads);
        let mut reads: Vec<Read> = confirmed.chain(rounds).collect();
        reads.append(&mut self.asked);
        self.lease_until = Time::ZERO;
        reads
    }
}

//! One session's operations in flight, by sequence number.

use std::collections::VecDeque;
use std::time::Duration;

use longhaul_experiment::workload::{PlannedOperation, ValueMaker};
use longhaul_experiment::{
    ClientId, OperationId, OperationRecord, Outcome, RegionIndex, ReplicaId, Time,
};

/// An operation without a known end.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    /// What is asked: the operation follows from it and the identity, whenever it is needed.
    pub(super) planned: PlannedOperation,
    pub(super) replica: ReplicaId,
    pub(super) attempts: u32,
    pub(super) sent_at: Time,
}

impl InFlight {
    pub(super) fn into_record(
        self,
        (id, values): (OperationId, &ValueMaker),
        region: RegionIndex,
        completed_at: Option<Time>,
        outcome: Outcome,
    ) -> OperationRecord {
        OperationRecord {
            id,
            region,
            replica: self.replica,
            operation: self.planned.operation(id, values),
            attempts: self.attempts,
            intended_at: self.planned.intended_at,
            sent_at: Some(self.sent_at),
            completed_at,
            outcome,
        }
    }
}

/// A client session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: ClientId,
    /// The sequence number of the first slot.
    first: u64,
    /// From the first incomplete operation on; `None`: ended. The first is never `None`.
    slots: VecDeque<Option<InFlight>>,
}

impl Session {
    pub(super) fn new(client: ClientId) -> Session {
        Session {
            client,
            first: 0,
            slots: VecDeque::new(),
        }
    }

    /// The identity of the next operation.
    pub(super) fn next_id(&self) -> OperationId {
        OperationId {
            client: self.client,
            sequence: self.first + self.slots.len() as u64,
        }
    }

    /// The least sequence number without a known end.
    pub(super) fn first_incomplete(&self) -> u64 {
        self.first
    }

    /// Begins the operation that [`Session::next_id`] named.
    pub(super) fn begin(&mut self, operation: InFlight) {
        self.slots.push_back(Some(operation));
    }

    /// Uses a sequence number up without an operation.
    pub(super) fn skip(&mut self) {
        self.slots.push_back(None);
        self.forget_ended();
    }

    pub(super) fn get_mut(&mut self, sequence: u64) -> Option<&mut InFlight> {
        let offset = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(offset)?.as_mut()
    }

    /// Ends an operation; `None` when it has ended before.
    pub(super) fn end(&mut self, sequence: u64) -> Option<InFlight> {
        let offset = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        let ended = self.slots.get_mut(offset)?.take();
        self.forget_ended();
        ended
    }

    /// The sequence numbers of the operations that a replica was asked for last, in order.
    pub(super) fn asked_of(&self, replica: ReplicaId) -> Vec<u64> {
        (self.first..)
            .zip(&self.slots)
            .filter(|(_, slot)| {
                let asked = slot.as_ref().map(|operation| operation.replica);
                asked == Some(replica)
            })
            .map(|(sequence, _)| sequence)
            .collect()
    }

    /// Ends the oldest operation if it was sent at least `timeout` ago. Operations are sent in
    /// the order of their numbers.
    pub(super) fn end_expired(&mut self, now: Time, timeout: Duration) -> Option<(u64, InFlight)> {
        let sequence = self.first;
        let oldest = self.oldest_sent_at()?;
        (now.since(oldest) >= timeout)
            .then(|| self.end(sequence))
            .flatten()
            .map(|ended| (sequence, ended))
    }

    pub(super) fn oldest_sent_at(&self) -> Option<Time> {
        self.slots
            .front()?
            .as_ref()
            .map(|operation| operation.sent_at)
    }

    fn forget_ended(&mut self) {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
    }
}

//! What a replica does about clients' requests.

use longhaul_experiment::{ErrorKind, Operation, OperationId, Outcome, ReplicaId};

use super::ReadAt;
use super::log::Entry;
use super::message::{Message, Timer};
use super::replica::{LeaderFollowerReplica, Role};
use crate::outbox::Outbox;
use crate::replica::Request;

/// The most entries that wait for their execution at the leader. Further writes end as unknown:
/// they are not refused, because an earlier attempt of the same operation may be waiting.
const WAITING_ENTRIES_MAX: u64 = 1 << 18;

/// The most weight of the entries that wait for their execution at the leader, in bytes.
const WAITING_BYTES_MAX: usize = 64 << 20;

impl LeaderFollowerReplica {
    /// Takes a write into the log.
    pub(super) fn append(&mut self, request: Request, out: &mut Outbox<Message, Timer>) {
        let (id, hint) = (request.id, self.leader_hint());
        let Role::Leader(leading) = &mut self.role else {
            return out.refuse(id, ErrorKind::NotLeader { hint });
        };
        if !leading.accepts(self.now) {
            return out.refuse(id, ErrorKind::NotReady);
        }
        let waiting = self.log.last().index - self.executed;
        if waiting >= WAITING_ENTRIES_MAX || leading.waiting_bytes >= WAITING_BYTES_MAX {
            return out.reply(id, Outcome::Unknown(ErrorKind::Overloaded));
        }
        let entry = Entry {
            term: self.standing.agreed.term,
            request: Some(request.into()),
        };
        leading.waiting_bytes += entry.weight();
        self.log.push(entry);
    }

    /// Answers a read, holds it until it can be answered, or refuses it.
    pub(super) fn read(
        &mut self,
        id: OperationId,
        operation: &Operation,
        out: &mut Outbox<Message, Timer>,
    ) {
        if let Role::Follower(_) = self.role
            && self.mode.read == ReadAt::Leader
        {
            let hint = self.leader_hint();
            return out.refuse(id, ErrorKind::NotLeader { hint });
        }
        let is_readable = self.is_readable();
        match &mut self.role {
            Role::Leader(leading) if self.mode.read == ReadAt::Leader => {
                if is_readable && leading.has_lease(self.now) {
                    out.reply(id, Outcome::Ok(self.store.read(operation.key())));
                } else if !leading.hold(self.now, id, operation.key()) {
                    out.refuse(id, ErrorKind::NotReady);
                }
            }
            _ if is_readable => out.reply(id, Outcome::Ok(self.store.read(operation.key()))),
            _ => out.refuse(id, ErrorKind::NotReady),
        }
    }

    /// Says whether what was executed is enough to be shown.
    pub(super) fn is_readable(&self) -> bool {
        self.readable_at.is_some_and(|index| index <= self.executed)
    }

    /// Answers the reads that wait, once that is possible.
    pub(super) fn answer_held_reads(&mut self, out: &mut Outbox<Message, Timer>) {
        let is_readable = self.is_readable();
        if let Role::Leader(leading) = &mut self.role
            && is_readable
            && leading.has_lease(self.now)
        {
            for (id, key) in leading.take_held() {
                out.reply(id, Outcome::Ok(self.store.read(key)));
            }
        }
    }

    /// Returns whom clients should ask.
    pub(super) fn leader_hint(&self) -> Option<ReplicaId> {
        if let Role::Leader(_) = self.role {
            return Some(self.member.id);
        }
        let is_missing = self.watch.is_missing(self.now);
        let leader = self.standing.agreed.leader;
        leader.filter(|&leader| leader != self.member.id && !is_missing)
    }
}

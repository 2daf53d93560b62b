//! The follower's part: taking the leader's log, and saying what of it is safe.

use longhaul_experiment::ReplicaId;

use super::journal::Journal;
use super::log::{Log, Position};
use super::message::{Append, Lead, Message, Piece, Timer};
use super::snapshot::{IncomingSnapshot, Progress};
use crate::outbox::Outbox;

/// What a follower knows of its leader.
#[derive(Debug, Default)]
pub(super) struct Following {
    leader: Option<ReplicaId>,
    /// The last index up to which the log is known to agree with the leader's.
    verified: u64,
    /// The last index that was acknowledged to the leader in this epoch.
    acknowledged: u64,
    /// The probe that is to be answered.
    probe: Option<(u64, Position)>,
    /// The snapshot that is being collected.
    incoming: Option<IncomingSnapshot>,
    /// The index up to which its log agrees with the leader's, as far as probes have shown.
    agreed: u64,
}

/// An append that does not fit the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit;

impl Following {
    /// Returns the leader that it follows.
    pub(super) fn leader(&self) -> Option<ReplicaId> {
        self.leader
    }

    /// Returns the last index up to which the log is known to agree with the leader's.
    pub(super) fn verified(&self) -> u64 {
        self.verified
    }

    /// Takes a probe; [`Following::answer`] answers it.
    ///
    /// Nothing counts as verified any more: even what was executed may not be in the log of a
    /// later leader.
    pub(super) fn on_lead(&mut self, from: ReplicaId, lead: &Lead) {
        *self = Following {
            leader: Some(from),
            verified: 0,
            acknowledged: 0,
            probe: Some((lead.round, lead.limit)),
            incoming: None,
            agreed: u64::MAX,
        };
    }

    /// Takes entries into the log, replacing a tail that disagrees. Returns how many entries of
    /// such a tail were cut off.
    ///
    /// # Errors
    ///
    /// The log does not reach to the entries, or disagrees about one that was executed.
    pub(super) fn on_append(
        &mut self,
        append: Append,
        executed: u64,
        (log, journal): (&mut Log, &mut Journal),
    ) -> Result<u64, Unfit> {
        let mut cut = 0;
        let base = log.base().index;
        let Position { mut index, .. } = append.previous;
        if index >= base && !log.contains(append.previous) {
            return Err(Unfit);
        }
        for entry in append.entries {
            index += 1;
            match log.position_at(index) {
                Some(held) if held.term == entry.term => continue,
                Some(_) if index <= executed => return Err(Unfit),
                Some(_) => {
                    cut = log.last().index - (index - 1);
                    log.truncate_after(index - 1);
                    journal.truncate_after(index - 1);
                }
                // What was compacted away was executed, and is the same at the leader.
                None if index <= base => continue,
                None => {}
            }
            log.push(entry);
        }
        self.verified = self.verified.max(index);
        // A leader that ships had its answer; the probe was one that it repeated.
        self.probe = None;
        Ok(cut)
    }

    /// Takes a piece of a snapshot.
    pub(super) fn on_piece(&mut self, piece: &Piece) -> Progress {
        self.probe = None;
        IncomingSnapshot::add(&mut self.incoming, piece)
    }

    /// Follows the installation of a snapshot, which holds everything up to `index`, in place of
    /// a log up to `last`. Returns how many entries of that the leader does not have: at least,
    /// where the log does not reach back to where they began to differ.
    pub(super) fn on_installed(&mut self, index: u64, last: u64) -> u64 {
        self.verified = index;
        self.acknowledged = 0;
        last.saturating_sub(self.agreed)
    }

    /// Answers a probe when all is safe, and acknowledges what became safe.
    pub(super) fn answer(
        &mut self,
        (term, life): (u64, u32),
        executed: u64,
        (log, journal): (&Log, &Journal),
        out: &mut Outbox<Message, Timer>,
    ) {
        let Some(leader) = self.leader else {
            return;
        };
        if let Some((round, limit)) = self.probe {
            if journal.is_settled(log) {
                let position = log.greatest_at_most(limit);
                self.agreed = position.map_or(limit.index, |position| position.index);
                let is_kept = self.agreed >= executed;
                self.acknowledged = if is_kept { self.agreed } else { 0 };
                self.probe = None;
                let answer = Message::Match {
                    term,
                    round,
                    position,
                    executed,
                    life,
                };
                out.send(leader, answer);
            }
            return;
        }
        let persisted = journal.persisted().min(self.verified);
        if persisted > self.acknowledged {
            self.acknowledged = persisted;
            out.send(leader, Message::Acknowledge { term, persisted });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::Entry;
    use super::*;

    fn entry(term: u64) -> Entry {
        Entry {
            term,
            request: None,
        }
    }

    #[test]
    fn a_tail_counts_only_when_the_leader_has_confirmed_it() {
        let mut log = Log::default();
        for term in [1, 1, 1] {
            log.push(entry(term));
        }
        let mut journal = Journal::default();
        let mut following = Following::default();
        let mut append = |index, entries: Vec<Entry>| {
            let append = Append {
                term: 2,
                previous: Position { term: 1, index },
                entries: entries.into(),
                commit: 3,
            };
            let taken = following.on_append(append, 0, (&mut log, &mut journal));
            (taken, following.verified(), log.last())
        };
        let end = |term, index| Position { term, index };
        assert_eq!(append(1, vec![]), (Ok(0), 1, end(1, 3)));
        assert_eq!(append(1, vec![entry(1)]), (Ok(0), 2, end(1, 3)));
        // The third entry was another leader's.
        assert_eq!(append(2, vec![entry(2)]), (Ok(1), 3, end(2, 3)));
        assert_eq!(append(3, vec![entry(2)]), (Err(Unfit), 3, end(2, 3)));
    }
}

//! The replicated log: entries in order, each with the term that wrote it.

use std::collections::VecDeque;
use std::collections::vec_deque::Iter;

use longhaul_experiment::Operation;
use serde::{Deserialize, Serialize};

use crate::replica::Request;
use crate::shared_request::SharedRequest;

/// A place in the log. Two logs that hold the same position are equal up to it (the log matching
/// property of Ongaro and Ousterhout's Raft, section 5.3).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// The term of the leader that wrote the entry; 0 before the first entry.
    pub term: u64,
    /// The entry's number, from 1; 0 before the first entry.
    pub index: u64,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that wrote it.
    pub term: u64,
    /// What is executed; `None` for the entry that opens a term on a log that is not empty.
    pub request: Option<SharedRequest>,
}

impl Entry {
    /// What an entry takes in memory beside values, in bytes: its term and its request.
    pub(super) const BYTES: usize = size_of::<(u64, Request)>();

    /// Returns what the entry takes in memory, in bytes; an upper bound of what it takes in a
    /// message.
    pub fn weight(&self) -> usize {
        let values = match self.request.as_deref().map(|request| &request.operation) {
            Some(Operation::Write { value, .. }) => value.len(),
            Some(Operation::CompareAndSet {
                expected, value, ..
            }) => value.len() + expected.as_ref().map_or(0, |expected| expected.len()),
            _ => 0,
        };
        Entry::BYTES + values
    }
}

/// The entries after a base that was compacted away.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    base: Position,
    /// The last entry's position, or the base: asked for far more often than it changes.
    last: Position,
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Log {
    /// Returns a log without entries after `base`.
    pub(super) fn new(base: Position) -> Log {
        Log {
            base,
            last: base,
            entries: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Returns the position of the last entry that is no longer held.
    pub(super) fn base(&self) -> Position {
        self.base
    }

    /// Returns the position of the last entry.
    pub(super) fn last(&self) -> Position {
        self.last
    }

    /// Returns how many entries are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the weight of all entries held, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the entry at an index, `None` when it is not held.
    pub(super) fn get(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.base.index + 1)?;
        self.entries.get(offset as usize)
    }

    /// Returns the position at an index, `None` outside the base and the entries held.
    pub(super) fn position_at(&self, index: u64) -> Option<Position> {
        if index == self.base.index {
            return Some(self.base);
        }
        self.get(index).map(|entry| Position {
            term: entry.term,
            index,
        })
    }

    /// Says whether a position is the base or an entry held.
    pub(super) fn contains(&self, position: Position) -> bool {
        self.position_at(position.index) == Some(position)
    }

    /// Returns the greatest position of which neither term nor index exceeds the limit's; `None`
    /// when that lies before the base.
    pub(super) fn greatest_at_most(&self, limit: Position) -> Option<Position> {
        if self.base.term > limit.term {
            return None;
        }
        // Terms never decrease along a log.
        let eligible = self
            .entries
            .partition_point(|entry| entry.term <= limit.term) as u64;
        self.position_at(limit.index.min(self.base.index + eligible))
    }

    /// Returns the held entries from an index on.
    pub(super) fn from(&self, first: u64) -> Iter<'_, Entry> {
        let offset = first.saturating_sub(self.base.index + 1) as usize;
        self.entries.range(offset.min(self.entries.len())..)
    }

    /// Appends an entry.
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += entry.weight();
        self.last = Position {
            term: entry.term,
            index: self.last.index + 1,
        };
        self.entries.push_back(entry);
    }

    /// Removes all entries after an index.
    pub(super) fn truncate_after(&mut self, index: u64) {
        while self.last().index > index {
            let Some(entry) = self.entries.pop_back() else {
                return;
            };
            self.bytes -= entry.weight();
            self.last = self.entries.back().map_or(self.base, |entry| Position {
                term: entry.term,
                index: self.last.index - 1,
            });
        }
    }

    /// Forgets entries from the front, never past `executed`: those up to `needed`, and more as
    /// long as the rest weighs more than `bytes_max`.
    pub(super) fn compact(&mut self, executed: u64, needed: u64, bytes_max: usize) {
        while self.base.index < executed && (self.base.index < needed || self.bytes > bytes_max) {
            let Some(entry) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= entry.weight();
            self.base = Position {
                term: entry.term,
                index: self.base.index + 1,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::default();
        for &term in terms {
            log.push(Entry {
                term,
                request: None,
            });
        }
        log
    }

    fn position(term: u64, index: u64) -> Position {
        Position { term, index }
    }

    #[test]
    fn the_greatest_position_within_a_limit_skips_whole_terms() {
        let log = log(&[1, 1, 3, 3, 3]);
        let greatest = |term, index| log.greatest_at_most(position(term, index));
        assert_eq!(greatest(9, 9), Some(position(3, 5)));
        assert_eq!(greatest(2, 5), Some(position(1, 2)));
        assert_eq!(greatest(3, 4), Some(position(3, 4)));
        assert_eq!(greatest(0, 4), Some(Position::default()));
    }

    #[test]
    fn compaction_stops_at_what_was_executed_and_moves_the_base() {
        let mut log = log(&[1, 1, 2, 2]);
        log.compact(3, 2, usize::MAX);
        assert_eq!((log.base(), log.len()), (position(1, 2), 2));
        log.compact(3, 0, 0);
        assert_eq!((log.base(), log.len()), (position(2, 3), 1));
        assert_eq!(log.bytes(), Entry::BYTES);
        assert_eq!(log.greatest_at_most(position(1, 9)), None);
        log.truncate_after(3);
        assert_eq!((log.last(), log.bytes()), (position(2, 3), 0));
    }
}

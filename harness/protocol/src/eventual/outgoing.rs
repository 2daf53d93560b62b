//! What a peer has yet to be told: replication under way, and hints for when there is room.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use longhaul_experiment::Key;

/// How many keys may be under way to a peer without acknowledgement; more wait as hints. At
/// 150 000 writes a second that is the replication of 1.7 s.
pub(super) const UNDER_WAY_KEYS_MAX: usize = 262_144;

/// How many hints are kept for a peer. When there would be more, all are discarded, and
/// anti-entropy tells the peer what it missed.
pub(super) const HINTS_MAX: usize = 65_536;

/// One peer's backlog.
///
/// A hint is a key: what the peer will be sent is the key's state of that later time, so a key
/// written many times while the peer is away is one hint (DeCandia et al., "Dynamo: Amazon's
/// Highly Available Key-value Store", SOSP 2007, section 4.6, keeps every hinted write instead).
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    up: bool,
    next_number: u64,
    under_way: VecDeque<(u64, Arc<[Key]>)>,
    under_way_keys: usize,
    hints: BTreeSet<Key>,
    hints_discarded: u64,
}

impl Outgoing {
    /// Says whether there is a connection.
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// Takes the beginning of a connection epoch.
    pub(super) fn connect(&mut self) {
        self.up = true;
    }

    /// Takes the end of a connection epoch: what was not acknowledged becomes hints.
    pub(super) fn disconnect(&mut self) {
        self.up = false;
        self.under_way_keys = 0;
        for (_, keys) in std::mem::take(&mut self.under_way) {
            self.hint(&keys);
        }
    }

    /// Says whether states may be sent at once. Their order does not matter, so new ones need not
    /// wait for hints.
    pub(super) fn has_room(&self) -> bool {
        self.up && self.under_way_keys < UNDER_WAY_KEYS_MAX
    }

    /// Numbers a message about `keys`, to be sent now.
    pub(super) fn number(&mut self, keys: Arc<[Key]>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.under_way_keys += keys.len();
        self.under_way.push_back((number, keys));
        number
    }

    /// Takes a cumulative acknowledgement. One of an earlier epoch names nothing under way.
    pub(super) fn acknowledged(&mut self, through: u64) {
        while let Some((number, keys)) = self.under_way.front() {
            if *number > through {
                break;
            }
            self.under_way_keys -= keys.len();
            self.under_way.pop_front();
        }
    }

    /// Keeps keys until they can be sent.
    pub(super) fn hint(&mut self, keys: &[Key]) {
        for &key in keys {
            self.hints.insert(key);
            if self.hints.len() > HINTS_MAX {
                self.hints_discarded += self.hints.len() as u64;
                self.hints.clear();
            }
        }
    }

    /// Takes the least hinted key out.
    pub(super) fn next_hint(&mut self) -> Option<Key> {
        self.hints.pop_first()
    }

    /// Returns how many hints there are.
    pub(super) fn hints(&self) -> usize {
        self.hints.len()
    }

    /// Returns how many hints were discarded for want of room.
    pub(super) fn hints_discarded(&self) -> u64 {
        self.hints_discarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(range: std::ops::Range<u64>) -> Arc<[Key]> {
        range.map(Key).collect()
    }

    #[test]
    fn what_was_not_acknowledged_becomes_hints_when_the_epoch_ends() {
        let mut outgoing = Outgoing::default();
        outgoing.connect();
        assert_eq!(outgoing.number(keys(0..2)), 0);
        assert_eq!(outgoing.number(keys(2..4)), 1);
        assert_eq!(outgoing.number(keys(3..5)), 2);
        outgoing.acknowledged(0);
        outgoing.disconnect();
        // Keys 2, 3 and 4; key 3 was under way twice.
        assert_eq!(outgoing.hints(), 3);
        outgoing.connect();
        assert_eq!(outgoing.number(keys(2..4)), 3, "numbers go on");
        outgoing.acknowledged(1);
        outgoing.disconnect();
        assert_eq!(outgoing.hints(), 3, "an old acknowledgement frees nothing");
    }

    #[test]
    fn the_window_closes_at_its_bound_and_opens_with_acknowledgements() {
        let mut outgoing = Outgoing::default();
        outgoing.connect();
        outgoing.number(keys(0..UNDER_WAY_KEYS_MAX as u64));
        assert!(!outgoing.has_room());
        outgoing.acknowledged(0);
        assert!(outgoing.has_room());
    }

    #[test]
    fn hints_beyond_the_bound_are_discarded_and_counted() {
        let mut outgoing = Outgoing::default();
        let most = HINTS_MAX as u64;
        for _ in 0..3 {
            outgoing.hint(&keys(0..most));
        }
        assert_eq!(outgoing.hints(), HINTS_MAX);
        outgoing.hint(&keys(most..most + 1));
        assert_eq!(outgoing.hints(), 0);
        assert_eq!(outgoing.hints_discarded(), most + 1);
    }
}

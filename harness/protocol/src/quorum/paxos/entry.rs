//! What the Paxos log holds, and the snapshots that stand for a part of it.

use omnipaxos::storage::{Entry, Snapshot};
use serde::{Deserialize, Serialize};

use crate::replica::Request;
use crate::store::Store;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its place in the log, from 1. A leader that accepts entries knows it when it proposes.
    pub number: u64,
    /// The client's request.
    pub request: Request,
}

impl Entry for Command {
    type Snapshot = StoreSnapshot;
}

/// A state of the store, or entries that lead from one state to another.
///
/// The library makes a snapshot of entries alone and merges it into an earlier snapshot. A
/// request's result depends on the state before it, so entries alone are kept as they are until
/// they meet the state that they follow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoreSnapshot {
    /// The state that the entries follow, if it is known.
    base: Option<Base>,
    /// Decided entries, in order.
    entries: Vec<Command>,
}

/// A store and its place in the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Base {
    store: Store,
    /// How many entries the store has executed.
    executed: u64,
    /// How many entries of the replica's own log were decided, until its own entries have been
    /// merged. A replica that is brought up to date merges first its own entries and then those
    /// sent to it, but the library counts the decided ones among the former with the sender's
    /// number: those beyond its own number may not be what was decided.
    decided_here: Option<u64>,
}

impl StoreSnapshot {
    /// Returns a snapshot of a store that executed `executed` of `decided` entries.
    pub(super) fn of(store: Store, executed: u64, decided: u64) -> StoreSnapshot {
        StoreSnapshot {
            base: Some(Base {
                store,
                executed,
                decided_here: Some(decided),
            }),
            entries: Vec::new(),
        }
    }

    /// Returns the store and how many entries it has executed; `None` for entries alone.
    pub(super) fn into_store(self) -> Option<(Store, u64)> {
        self.base.map(|base| (base.store, base.executed))
    }
}

impl Snapshot<Command> for StoreSnapshot {
    fn create(entries: &[Command]) -> StoreSnapshot {
        StoreSnapshot {
            base: None,
            entries: entries.to_vec(),
        }
    }

    fn merge(&mut self, delta: StoreSnapshot) {
        if delta.base.is_some() {
            *self = delta;
            return;
        }
        let Some(base) = &mut self.base else {
            self.entries.extend(delta.entries);
            return;
        };
        let last = base.decided_here.take().unwrap_or(u64::MAX);
        for Command { number, request } in &delta.entries {
            // A replica keeps executed entries for others, so the first ones may be known.
            if *number == base.executed + 1 && *number <= last {
                base.store.execute(request, *number);
                base.executed = *number;
            }
        }
    }

    fn use_snapshots() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::test_network::write;

    /// Entry `number` writes `number`, but from `other` on something else.
    fn log(numbers: std::ops::RangeInclusive<u64>, other: u64) -> Vec<Command> {
        let request = |number| if number < other { number } else { number + 100 };
        numbers
            .map(|number| Command {
                number,
                request: write(request(number)),
            })
            .collect()
    }

    fn executed(count: u64) -> Store {
        let mut store = Store::default();
        for Command { number, request } in log(1..=count, u64::MAX) {
            store.execute(&request, number);
        }
        store
    }

    #[test]
    fn entries_that_the_store_has_executed_are_not_executed_again() {
        let mut snapshot = StoreSnapshot::of(executed(5), 5, 8);
        snapshot.merge(StoreSnapshot::create(&log(4..=8, u64::MAX)));
        assert_eq!(snapshot.into_store().unwrap(), (executed(8), 8));
    }

    #[test]
    fn own_entries_that_were_not_decided_are_left_out_for_the_decided_ones() {
        // Entries 7 and 8 of its own were never decided; others were in their place.
        let mut snapshot = StoreSnapshot::of(executed(5), 5, 6);
        snapshot.merge(StoreSnapshot::create(&log(4..=8, 7)));
        snapshot.merge(StoreSnapshot::create(&log(7..=9, u64::MAX)));
        assert_eq!(snapshot.into_store().unwrap(), (executed(9), 9));
    }
}

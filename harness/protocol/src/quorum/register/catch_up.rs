//! How a member that lost its storage gets back what acknowledged writes left at the others.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_experiment::{Key, ReplicaId};

use super::coordinator::Quorums;
use super::message::Part;

/// A member's transfer of all entries from enough others.
///
/// With n members and write quorums of w, any n - w + 1 of them meet every write quorum, so their
/// entries together hold every acknowledged write. With w = 1 that would take all n, and the
/// member itself is one: what it alone held is gone, and all others are enough for what is left.
///
/// Writes that complete meanwhile do not count this member, so its quorums need not know of them.
/// A write that counted its earlier life is the reason that coordinators take an acknowledgement
/// back when the connection ends; a coordinator that does not notice the end before the transfer
/// is over may still miscount one.
#[derive(Debug)]
pub(super) struct CatchUp {
    needed: usize,
    reached: BTreeMap<ReplicaId, Option<Key>>,
    complete: BTreeSet<ReplicaId>,
}

impl CatchUp {
    /// Returns a transfer that has not begun.
    pub(super) fn new(quorums: Quorums) -> CatchUp {
        let Quorums { members, write, .. } = quorums;
        CatchUp {
            needed: (members - write + 1).min(members - 1),
            reached: BTreeMap::new(),
            complete: BTreeSet::new(),
        }
    }

    /// Says whether enough members were read to the end.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.len() >= self.needed
    }

    /// Returns what to ask a member whose connection epoch began.
    pub(super) fn pull(&self, from: ReplicaId) -> Option<Part> {
        (!self.complete.contains(&from)).then(|| Part::Pull {
            after: self.reached.get(&from).copied().flatten(),
        })
    }

    /// Takes note of a chunk that followed `after` and reached `reached`; returns what to ask
    /// next. A chunk that answers an earlier epoch's pull again is out of turn and changes nothing.
    pub(super) fn pulled(
        &mut self,
        from: ReplicaId,
        after: Option<Key>,
        reached: Option<Key>,
        last: bool,
    ) -> Option<Part> {
        if self.reached.get(&from).copied().flatten() != after {
            return None;
        }
        self.reached.insert(from, reached.or(after));
        if last {
            self.complete.insert(from);
        }
        self.pull(from)
    }
}

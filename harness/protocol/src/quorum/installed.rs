//! What becomes visible when a replica takes over another's store.

use longhaul_experiment::{Key, Version};

use crate::outbox::Outbox;
use crate::store::Store;

/// Notes every version that `new` shows and `old` did not. A version may stand for another value
/// than before where a log lost its end.
pub(crate) fn note_changes<M, T>(old: &Store, new: &Store, out: &mut Outbox<M, T>) {
    for (key, version) in changes(old, new) {
        out.applied(key, version);
    }
}

fn changes<'a>(old: &'a Store, new: &'a Store) -> impl Iterator<Item = (Key, Version)> + 'a {
    let mut earlier = old.entries().peekable();
    new.entries().filter_map(move |(key, entry)| {
        while earlier.next_if(|(other, _)| *other < key).is_some() {}
        let known = earlier
            .next_if(|(other, _)| *other == key)
            .is_some_and(|(_, other)| other == entry);
        (!known).then_some((key, entry.version))
    })
}

//! Clusters: each write with the reads of its value, gathered in one pass over the history.

use std::collections::BTreeSet;

use bytes::Bytes;
use longhaul_experiment::{Key, OperationKind};

use crate::checkers::calls::{Call, NEVER};

/// A write and the reads of its value; without a write where the key began with the value, which
/// is none, or where nobody wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cluster<'a> {
    pub(super) key: Key,
    pub(super) value: Option<&'a Bytes>,
    /// The call that wrote the value.
    pub(super) write: Option<u32>,
    /// The first end of a call, and whose it is; `None` when it is the initial write.
    pub(super) first_finish: u64,
    pub(super) finisher: Option<u32>,
    /// The last beginning of a call, and whose it is.
    pub(super) last_start: u64,
    pub(super) starter: Option<u32>,
}

/// The clusters of all keys, in the order in which the history first speaks of them.
pub(super) struct Clusters<'a> {
    pub(super) clusters: Vec<Cluster<'a>>,
    /// Keys with other operations than reads and writes, or with a value that was written twice.
    pub(super) not_registers: BTreeSet<Key>,
}

impl<'a> Clusters<'a> {
    /// Gathers the clusters of a history's calls.
    pub(super) fn of(calls: &[Call<'a>]) -> Clusters<'a> {
        let mut table = Table::with_room_for(calls.len());
        let mut clusters: Vec<Cluster<'a>> = Vec::with_capacity(calls.len() / 2);
        let mut not_registers = BTreeSet::new();
        for (index, call) in (0u32..).zip(calls) {
            let key = call.record.operation.key();
            let is_write = match call.record.operation.kind() {
                OperationKind::Read => false,
                OperationKind::Write => true,
                _ => {
                    not_registers.insert(key);
                    continue;
                }
            };
            let value = call.register_value();
            let slot = table.slot(hash(key, value), |number| {
                let cluster = &clusters[number as usize];
                cluster.key == key && same(cluster.value, value)
            });
            let number = *slot.get_or_insert_with(|| {
                clusters.push(Cluster::new(key, value));
                clusters.len() as u32 - 1
            });
            let cluster = &mut clusters[number as usize];
            if is_write && cluster.write.replace(index).is_some() {
                not_registers.insert(key);
            }
            cluster.add(index, call);
        }
        Clusters {
            clusters,
            not_registers,
        }
    }
}

impl<'a> Cluster<'a> {
    fn new(key: Key, value: Option<&'a Bytes>) -> Cluster<'a> {
        Cluster {
            key,
            value,
            write: None,
            // No value at all is what the key began with, before all calls.
            first_finish: if value.is_some() { NEVER } else { 0 },
            finisher: None,
            last_start: 0,
            starter: None,
        }
    }

    fn add(&mut self, index: u32, call: &Call<'_>) {
        if call.finish < self.first_finish {
            self.first_finish = call.finish;
            self.finisher = Some(index);
        }
        if call.start >= self.last_start {
            self.last_start = call.start;
            self.starter = Some(index);
        }
    }
}

fn same(one: Option<&Bytes>, other: Option<&Bytes>) -> bool {
    match (one, other) {
        // Copies of a value mostly share its memory, and then need not be compared.
        (Some(one), Some(other)) => {
            one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
        }
        (None, None) => true,
        _ => false,
    }
}

/// Hashes a key and the first 16 bytes of a value, which name its writer. The same everywhere:
/// the order of clusters does not depend on it, only the time it takes to find them.
fn hash(key: Key, value: Option<&Bytes>) -> u64 {
    let mut first = [0; 16];
    if let Some(value) = value {
        let length = value.len().min(16);
        first[..length].copy_from_slice(&value[..length]);
    }
    let bits = u128::from_le_bytes(first);
    [bits as u64, (bits >> 64) as u64]
        .into_iter()
        .fold(key.0, |hash, word| {
            // The odd number nearest to 2^64 divided by the golden ratio.
            let mixed = (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            mixed ^ (mixed >> 29)
        })
}

/// An open hash table of clusters' numbers. It has no order to iterate in.
struct Table {
    slots: Vec<Option<u32>>,
}

impl Table {
    /// Builds a table that is at most half full with `count` entries.
    fn with_room_for(count: usize) -> Table {
        Table {
            slots: vec![None; (2 * count).next_power_of_two()],
        }
    }

    /// Returns the slot of the entry that `is_it`, or the empty one where it belongs.
    fn slot(&mut self, hash: u64, is_it: impl Fn(u32) -> bool) -> &mut Option<u32> {
        let mask = self.slots.len() - 1;
        // The upper bits are the well-mixed ones.
        let mut position = (hash >> 20) as usize & mask;
        while self.slots[position].is_some_and(|number| !is_it(number)) {
            position = (position + 1) & mask;
        }
        &mut self.slots[position]
    }
}

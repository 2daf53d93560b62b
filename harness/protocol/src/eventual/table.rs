//! The states of all keys, in buckets whose digests are kept up to date with every change.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use longhaul_experiment::{ErrorKind, Key, Operation, OperationResult, Time, Version};

use super::resolver::{Resolver, mix};

/// How many buckets the keys are spread over, by hash.
pub(super) const BUCKETS: usize = 1_024;

/// All keys with their states.
///
/// A bucket's digest is the wrapping sum of its states' fingerprints, so a change costs one
/// subtraction and one addition. Equal digests are taken for equal buckets: two that differ share
/// a sum with a chance of about 2^-64, and only until the next change.
#[derive(Debug)]
pub(super) struct Table<R: Resolver> {
    resolver: R,
    buckets: Vec<Bucket<R::State>>,
}

#[derive(Debug)]
struct Bucket<S> {
    sum: u64,
    slots: BTreeMap<Key, Slot<S>>,
}

/// A key's state, and when it last changed here.
#[derive(Debug)]
pub(super) struct Slot<S> {
    /// The state.
    pub(super) state: S,
    /// The instant of the last change.
    pub(super) changed: Time,
}

impl<R: Resolver> Table<R> {
    /// Returns an empty table.
    pub(super) fn new(resolver: R) -> Table<R> {
        let empty = || Bucket {
            sum: 0,
            slots: BTreeMap::new(),
        };
        Table {
            resolver,
            buckets: (0..BUCKETS).map(|_| empty()).collect(),
        }
    }

    /// Returns what resolves the states' conflicts.
    pub(super) fn resolver(&self) -> &R {
        &self.resolver
    }

    /// Returns a key's state.
    pub(super) fn get(&self, key: Key) -> Option<&R::State> {
        let slot = self.buckets[bucket_of(key)].slots.get(&key);
        slot.map(|slot| &slot.state)
    }

    /// Applies a client's operation; returns the key's new state and what the client hears.
    ///
    /// # Errors
    ///
    /// Those of [`Resolver::apply`]; nothing changes.
    pub(super) fn apply(
        &mut self,
        now: Time,
        operation: &Operation,
        version: Version,
    ) -> Result<(R::State, OperationResult), ErrorKind> {
        let key = operation.key();
        let bucket = &mut self.buckets[bucket_of(key)];
        let current = bucket.slots.get_mut(&key);
        let before = current.as_ref().map(|slot| &slot.state);
        let removed = before.map_or(0, |state| self.resolver.fingerprint(key, state));
        let (state, result) = self.resolver.apply(before, operation, version)?;
        let added = self.resolver.fingerprint(key, &state);
        bucket.sum = bucket.sum.wrapping_sub(removed).wrapping_add(added);
        let slot = Slot {
            state: state.clone(),
            changed: now,
        };
        match current {
            Some(current) => *current = slot,
            None => {
                bucket.slots.insert(key, slot);
            }
        }
        Ok((state, result))
    }

    /// Merges a copy; says whether that changed the state.
    pub(super) fn merge(&mut self, now: Time, key: Key, other: &R::State) -> bool {
        use std::collections::btree_map::Entry::{Occupied, Vacant};
        let bucket = &mut self.buckets[bucket_of(key)];
        match bucket.slots.entry(key) {
            Occupied(mut occupied) => {
                let slot = occupied.get_mut();
                let removed = self.resolver.fingerprint(key, &slot.state);
                if !self.resolver.merge(&mut slot.state, other) {
                    return false;
                }
                slot.changed = now;
                let added = self.resolver.fingerprint(key, &slot.state);
                bucket.sum = bucket.sum.wrapping_sub(removed).wrapping_add(added);
            }
            Vacant(vacant) => {
                let added = self.resolver.fingerprint(key, other);
                bucket.sum = bucket.sum.wrapping_add(added);
                vacant.insert(Slot {
                    state: other.clone(),
                    changed: now,
                });
            }
        }
        true
    }

    /// Returns all states.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &R::State)> {
        self.buckets
            .iter()
            .flat_map(|bucket| &bucket.slots)
            .map(|(&key, slot)| (key, &slot.state))
    }

    /// Returns a bucket's keys in order.
    ///
    /// # Panics
    ///
    /// Panics when there is no such bucket.
    pub(super) fn bucket(&self, bucket: usize) -> &BTreeMap<Key, Slot<R::State>> {
        &self.buckets[bucket].slots
    }

    /// Returns every bucket's digest, 8 bytes each, little-endian.
    pub(super) fn sums(&self) -> Bytes {
        let mut sums = BytesMut::with_capacity(BUCKETS * 8);
        for bucket in &self.buckets {
            sums.put_u64_le(bucket.sum);
        }
        sums.freeze()
    }

    /// Returns the buckets whose digest differs from another table's, in order; none when `sums`
    /// has not the length of all digests.
    pub(super) fn differing(&self, sums: &Bytes) -> Vec<usize> {
        if sums.len() != BUCKETS * 8 {
            return Vec::new();
        }
        let others = sums.chunks_exact(8);
        let pairs = self.buckets.iter().zip(others).enumerate();
        pairs
            .filter(|(_, (bucket, other))| bucket.sum.to_le_bytes() != **other)
            .map(|(index, _)| index)
            .collect()
    }
}

/// Returns the bucket of a key.
pub(super) fn bucket_of(key: Key) -> usize {
    // The top ten bits: 2^10 buckets.
    (mix(key.0) >> 54) as usize
}

#[cfg(test)]
mod tests {
    use super::super::resolver::{LastWriterWins, Written};
    use super::*;

    fn written(major: u64) -> Written {
        Written {
            version: Version { major, minor: 0 },
            value: Bytes::new(),
        }
    }

    #[test]
    fn digests_depend_on_the_states_and_not_on_how_they_came() {
        let mut straight = Table::new(LastWriterWins);
        let mut crooked = Table::new(LastWriterWins);
        for key in (0..100).map(Key) {
            straight.merge(Time::ZERO, key, &written(9));
        }
        for key in (0..100).rev().map(Key) {
            for major in [3, 9, 5, 9] {
                crooked.merge(Time::ZERO, key, &written(major));
            }
        }
        assert_eq!(straight.sums(), crooked.sums());
        crooked.merge(Time::ZERO, Key(4), &written(10));
        assert_eq!(crooked.differing(&straight.sums()), vec![bucket_of(Key(4))]);
    }

    #[test]
    fn consecutive_keys_spread_evenly_over_the_buckets() {
        let mut counts = vec![0; BUCKETS];
        for key in 0..102_400 {
            counts[bucket_of(Key(key))] += 1;
        }
        // Mean 100, deviation 10: six deviations on either side.
        assert!(counts.iter().all(|count| (40..160).contains(count)));
    }

    #[test]
    fn digests_of_another_length_are_no_digests() {
        let table = Table::new(LastWriterWins);
        assert!(table.differing(&Bytes::from_static(b"12345678")).is_empty());
    }
}

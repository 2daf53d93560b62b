//! Operations without an end and, but for the instant given, without time.

use super::draws::happens;
use super::keys::KeyChooser;
use super::value::ValueMaker;
use super::{Workload, WriteMix};
use crate::ids::{Key, OperationId};
use crate::operation::{Operation, OperationKind};
use crate::random::unit;
use crate::random::{Generator, Seed, Stream};
use crate::time::Time;

/// One operation of the load, before a client gives it an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedOperation {
    /// When it is due.
    pub intended_at: Time,
    /// What is asked.
    pub kind: OperationKind,
    /// The key asked for.
    pub key: Key,
}

impl PlannedOperation {
    /// Returns the operation as the client `id` names it: at most one allocation, of a value's
    /// size.
    ///
    /// Adds add 1 and takes take 1. A compare-and-set claims its key: it expects none to be
    /// there, so of all claims of one key at most one may succeed.
    pub fn operation(&self, id: OperationId, values: &ValueMaker) -> Operation {
        let key = self.key;
        match self.kind {
            OperationKind::Read => Operation::Read { key },
            OperationKind::Write => Operation::Write {
                key,
                value: values.value(id),
            },
            OperationKind::CompareAndSet => Operation::CompareAndSet {
                key,
                expected: None,
                value: values.value(id),
            },
            OperationKind::Add => Operation::Add { key, amount: 1 },
            OperationKind::TakeIfEnough => Operation::TakeIfEnough { key, amount: 1 },
        }
    }
}

/// An endless source of the operations of one client region, the same for the same seed.
///
/// Integers live in a second key space of the same size, from `key_count` on, so that no add
/// meets a value of bytes. Reads go to it in the proportion of adds and takes among the
/// operations that are not reads.
#[derive(Clone, Debug)]
pub struct OperationSource {
    generator: Generator,
    keys: KeyChooser,
    read_share: f64,
    mix: WriteMix,
    integer_share: f64,
    key_count: u64,
}

impl OperationSource {
    /// Returns the source of a client region: `region` counts from 0 among `regions`. The
    /// workload is valid.
    pub fn new(workload: &Workload, seed: Seed, region: usize, regions: usize) -> OperationSource {
        let mix = workload.write_mix;
        OperationSource {
            generator: seed.stream(Stream::Operations, region as u64),
            keys: KeyChooser::new(workload, region, regions),
            read_share: workload.read_share,
            mix,
            integer_share: mix.add + mix.take_if_enough,
            key_count: workload.key_count,
        }
    }

    /// Draws the next operation and makes it due at an instant.
    pub fn plan(&mut self, intended_at: Time) -> PlannedOperation {
        let kind = self.kind();
        let key = self.keys.choose(kind.is_write(), &mut self.generator);
        let integer = match kind {
            OperationKind::Add | OperationKind::TakeIfEnough => true,
            OperationKind::Read => happens(&mut self.generator, self.integer_share),
            OperationKind::Write | OperationKind::CompareAndSet => false,
        };
        PlannedOperation {
            intended_at,
            kind,
            key: if integer {
                Key(self.key_count + key.0)
            } else {
                key
            },
        }
    }

    fn kind(&mut self) -> OperationKind {
        if happens(&mut self.generator, self.read_share) {
            return OperationKind::Read;
        }
        if self.mix == WriteMix::default() {
            return OperationKind::Write;
        }
        let shares = [
            (self.mix.compare_and_set, OperationKind::CompareAndSet),
            (self.mix.add, OperationKind::Add),
            (self.mix.take_if_enough, OperationKind::TakeIfEnough),
        ];
        let mut left = unit(&mut self.generator);
        for (share, kind) in shares {
            if left < share {
                return kind;
            }
            left -= share;
        }
        // Shares that sum to 1 may leave a rounding error: it goes to no kind that was not asked.
        match shares.iter().rev().find(|(share, _)| *share > 0.0) {
            Some((_, kind)) if left < WriteMix::ROUNDING => *kind,
            _ => OperationKind::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ids::ClientId;
    use crate::workload::writer_of;

    fn mixed() -> Workload {
        Workload {
            read_share: 0.5,
            write_mix: WriteMix {
                compare_and_set: 0.2,
                add: 0.3,
                take_if_enough: 0.1,
            },
            ..Workload::default()
        }
    }

    #[test]
    fn kinds_come_in_the_shares_asked_for() {
        let mut source = OperationSource::new(&mixed(), Seed(5), 0, 1);
        let mut counts: BTreeMap<OperationKind, f64> = BTreeMap::new();
        let total = 100_000.0;
        for _ in 0..100_000 {
            *counts.entry(source.plan(Time::ZERO).kind).or_default() += 1.0;
        }
        // Half are reads; the mix divides the other half, 40% of it plain writes.
        let expected = [0.5, 0.2, 0.1, 0.15, 0.05];
        for (kind, expected) in OperationKind::ALL.into_iter().zip(expected) {
            let share = counts[&kind] / total;
            // Five standard deviations of a binomial share.
            let bound = 5.0 * f64::sqrt(expected * (1.0 - expected) / total);
            assert!((share - expected).abs() < bound, "{kind:?}: {share}");
        }
    }

    #[test]
    fn integers_and_bytes_never_share_a_key_and_reads_see_both() {
        let mut source = OperationSource::new(&mixed(), Seed(5), 0, 1);
        let mut integer_reads = 0;
        let mut reads = 0;
        for _ in 0..10_000 {
            let planned = source.plan(Time::ZERO);
            let integer = planned.key.0 >= 10_000;
            match planned.kind {
                OperationKind::Read => {
                    reads += 1;
                    integer_reads += i32::from(integer);
                }
                OperationKind::Add | OperationKind::TakeIfEnough => assert!(integer),
                OperationKind::Write | OperationKind::CompareAndSet => assert!(!integer),
            }
        }
        // Adds and takes are 40% of the writes. Of about 5000 reads, five deviations are
        // 5 x sqrt(0.24 / 5000) = 3.5%.
        let share = f64::from(integer_reads) / f64::from(reads);
        assert!((share - 0.4).abs() < 0.035, "{share}");
    }

    #[test]
    fn a_written_value_carries_the_id_that_the_client_gave() {
        let values = ValueMaker::new(128);
        let id = OperationId {
            client: ClientId(4),
            sequence: 9,
        };
        let planned = OperationSource::new(&Workload::default(), Seed(1), 0, 1).plan(Time(5));
        let Operation::Write { key, value } = planned.operation(id, &values) else {
            panic!("the default workload writes");
        };
        assert_eq!(key, planned.key);
        assert_eq!(value.len(), 128);
        assert_eq!(writer_of(&value), Some(id));
    }
}

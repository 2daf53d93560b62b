//! Written values: unique, and naming their writer.

use bytes::Bytes;

use crate::ids::{ClientId, OperationId};
use crate::random::{Generator, Seed, Stream};

/// Makes values of one size.
///
/// A value's first 16 bytes are its writer's operation id: the client as 4 bytes, 4 zero bytes,
/// the sequence number as 8 bytes, all little-endian. The rest is a fixed run of random bytes, so
/// that a store that compresses a value gains nothing.
#[derive(Clone, Debug)]
pub struct ValueMaker {
    template: Vec<u8>,
}

impl ValueMaker {
    /// The bytes that the operation id takes: no value is smaller.
    pub const ID_BYTES: usize = 16;

    /// Returns a maker of values of `size` bytes, at least [`ValueMaker::ID_BYTES`].
    pub fn new(size: u32) -> ValueMaker {
        let mut template = vec![0; (size as usize).max(ValueMaker::ID_BYTES)];
        let mut generator: Generator = Seed(0).stream(Stream::Operations, u64::MAX);
        rand_chacha::rand_core::Rng::fill_bytes(
            &mut generator,
            &mut template[ValueMaker::ID_BYTES..],
        );
        ValueMaker { template }
    }

    /// Returns the value that the operation `id` writes: one allocation.
    pub fn value(&self, id: OperationId) -> Bytes {
        let mut value = self.template.clone();
        value[0..4].copy_from_slice(&id.client.0.to_le_bytes());
        value[8..16].copy_from_slice(&id.sequence.to_le_bytes());
        Bytes::from(value)
    }
}

/// Returns the operation that wrote a value; `None` when no [`ValueMaker`] made it.
pub fn writer_of(value: &[u8]) -> Option<OperationId> {
    let id = value.get(..ValueMaker::ID_BYTES)?;
    if id[4..8] != [0; 4] {
        return None;
    }
    Some(OperationId {
        client: ClientId(u32::from_le_bytes(id[0..4].try_into().ok()?)),
        sequence: u64::from_le_bytes(id[8..16].try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_its_writer_and_has_the_size_asked_for() {
        let id = OperationId {
            client: ClientId(3_000_000_000),
            sequence: 1 << 40,
        };
        for size in [16, 17, 1000] {
            let value = ValueMaker::new(size).value(id);
            assert_eq!(value.len(), size as usize);
            assert_eq!(writer_of(&value), Some(id));
        }
        assert_eq!(writer_of(&[0; 15]), None);
        assert_eq!(writer_of(&[1; 16]), None);
    }

    #[test]
    fn values_of_two_makers_differ_by_the_id_alone() {
        let id = |sequence| OperationId {
            client: ClientId(1),
            sequence,
        };
        let (first, second) = (
            ValueMaker::new(64).value(id(1)),
            ValueMaker::new(64).value(id(2)),
        );
        assert_ne!(first, second);
        assert_eq!(first[16..], second[16..]);
        assert_ne!(first[16..], [0; 48]);
    }
}

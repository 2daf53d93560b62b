//! A key's place in the store. A run's keys are met in no order and each of them at every replica,
//! so a place is small, and a value that a shared request holds is not touched when it is written.

use bytes::Bytes;
use longhaul_experiment::{Operation, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Entry;
use crate::shared_request::SharedRequest;

/// A value and the log position that wrote it. It is written and read by serde like an
/// [`Entry`].
#[derive(Clone, Debug)]
pub(super) struct Slot {
    value: Value,
    index: u64,
}

/// Where a value is.
#[derive(Clone, Debug)]
enum Value {
    /// In the request that wrote it, always a write.
    Written(SharedRequest),
    /// Here.
    Own(Bytes),
}

impl Slot {
    /// Returns the place of a value, which a log position wrote.
    pub(super) fn own(value: Bytes, index: u64) -> Slot {
        let value = Value::Own(value);
        Slot { value, index }
    }

    /// Returns the place of the value of a write at a log position.
    pub(super) fn written(request: SharedRequest, index: u64) -> Slot {
        let value = Value::Written(request);
        Slot { value, index }
    }

    /// Returns what it holds.
    pub(super) fn entry(&self) -> Entry<'_> {
        static NOTHING: Bytes = Bytes::new();
        let value = match &self.value {
            Value::Own(value) => value,
            Value::Written(request) => match &request.operation {
                Operation::Write { value, .. } => value,
                _ => &NOTHING,
            },
        };
        Entry {
            value,
            version: version(self.index),
        }
    }
}

/// Returns the version that a log position gives.
pub(super) fn version(index: u64) -> Version {
    Version {
        major: index,
        minor: 0,
    }
}

impl PartialEq for Slot {
    fn eq(&self, other: &Slot) -> bool {
        self.entry() == other.entry()
    }
}

impl Eq for Slot {}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entry().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Slot, D::Error> {
        /// An [`Entry`] with a value of its own.
        #[derive(Deserialize)]
        #[serde(rename = "Entry")]
        struct Stored {
            value: Bytes,
            version: Version,
        }
        let Stored { value, version } = Stored::deserialize(deserializer)?;
        Ok(Slot::own(value, version.major))
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{ClientId, Key, OperationId};

    use super::*;
    use crate::replica::Request;

    #[test]
    fn a_shared_value_equals_one_of_its_own_and_is_written_and_read_like_it() {
        let value = Bytes::from_static(b"value");
        let request = SharedRequest::from(Request {
            id: OperationId {
                client: ClientId(1),
                sequence: 2,
            },
            first_incomplete: 0,
            operation: Operation::Write {
                key: Key(3),
                value: value.clone(),
            },
        });
        let shared = Slot::written(request, 9);
        let own = Slot::own(value.clone(), 9);
        assert_eq!(shared, own);
        assert_ne!(shared, Slot::own(Bytes::new(), 9));
        assert_ne!(shared, Slot::own(value, 8));
        let bytes = postcard::to_stdvec(&shared).unwrap();
        assert_eq!(bytes, postcard::to_stdvec(&own).unwrap());
        assert_eq!(postcard::from_bytes::<Slot>(&bytes).unwrap(), shared);
    }

    #[test]
    fn an_optional_slot_takes_no_more_than_a_value_and_a_version() {
        assert!(size_of::<Option<Slot>>() <= size_of::<Bytes>() + size_of::<Version>());
    }
}

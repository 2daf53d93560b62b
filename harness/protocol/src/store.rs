//! The key-value state machine that log modes execute, with retries recognised in its state.

mod sessions;
mod slot;

use bytes::Bytes;
use longhaul_experiment::operation::{integer_bytes, integer_value};
use longhaul_experiment::{ErrorKind, Key, Operation, OperationResult, Outcome, Version};
use serde::{Deserialize, Serialize};

use crate::paged::PagedMap;
use crate::replica::Request;
use crate::shared_request::SharedRequest;
use sessions::{Admission, Sessions};
use slot::Slot;

/// A replicated key-value store: the same requests in the same order give the same state and the
/// same outcomes at every replica.
///
/// A request that was executed before is not executed again: its first outcome is returned
/// (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", section 8; Lee
/// et al., RIFL, for forgetting what the client has acknowledged).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    entries: PagedMap<Slot>,
    sessions: Sessions,
}

/// A key's value and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry<'a> {
    /// The value.
    pub value: &'a Bytes,
    /// The log position that wrote it.
    pub version: Version,
}

/// What executing a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// What the client hears.
    pub outcome: Outcome,
    /// The key that got a new version, if one did.
    pub changed: Option<(Key, Version)>,
}

impl Store {
    /// Executes the request at log position `index` (from 1).
    pub fn execute(&mut self, request: &Request, index: u64) -> Execution {
        self.execute_with(request, index, |value| Slot::own(value.clone(), index))
    }

    /// Executes the request at log position `index` (from 1), and shares the value that it writes
    /// with whoever else holds the request.
    pub fn execute_shared(&mut self, request: &SharedRequest, index: u64) -> Execution {
        self.execute_with(request, index, |_| Slot::written(request.clone(), index))
    }

    /// Executes a request; `written` makes a slot of the value that it writes.
    #[inline]
    fn execute_with(
        &mut self,
        request: &Request,
        index: u64,
        written: impl FnOnce(&Bytes) -> Slot,
    ) -> Execution {
        if let Operation::Read { key } = request.operation {
            // A read changes nothing, so a retried one may simply be executed again.
            return unchanged(Outcome::Ok(self.read(key)));
        }
        let session = self.sessions.of(request.id.client);
        match session.admit(request.id.sequence, request.first_incomplete) {
            Admission::New => {}
            Admission::Repeated(outcome) => return unchanged(outcome),
            Admission::Refused => return unchanged(Outcome::Fail(ErrorKind::Overloaded)),
        }
        let (key, version) = (request.operation.key(), slot::version(index));
        let new = match &request.operation {
            Operation::Write { value, .. } => {
                Ok((written(value), OperationResult::Written { version }))
            }
            operation => computed(&self.entries, operation, version)
                .map(|(value, result)| (Slot::own(value, index), result)),
        };
        let execution = match new {
            Ok((slot, result)) => {
                self.entries.insert(key.0, slot);
                Execution {
                    outcome: Outcome::Ok(result),
                    changed: Some((key, version)),
                }
            }
            Err(outcome) => unchanged(outcome),
        };
        session.remember(request.id.sequence, execution.outcome.clone());
        execution
    }

    /// Reads a key.
    pub fn read(&self, key: Key) -> OperationResult {
        read(&self.entries, key)
    }

    /// Returns all entries in key order.
    pub fn entries(&self) -> impl Iterator<Item = (Key, Entry<'_>)> {
        self.entries
            .iter()
            .map(|(key, slot)| (Key(key), slot.entry()))
    }
}

fn unchanged(outcome: Outcome) -> Execution {
    Execution {
        outcome,
        changed: None,
    }
}

fn read(entries: &PagedMap<Slot>, key: Key) -> OperationResult {
    let entry = entries.get(key.0).map(Slot::entry);
    OperationResult::Read {
        value: entry.map(|entry| entry.value.clone()),
        version: entry.map_or(Version::NONE, |entry| entry.version),
    }
}

/// Returns the value and the result of an operation that depends on the value before it.
///
/// # Errors
///
/// It changes nothing, and ends so.
fn computed(
    entries: &PagedMap<Slot>,
    operation: &Operation,
    version: Version,
) -> Result<(Bytes, OperationResult), Outcome> {
    let current = entries.get(operation.key().0).map(Slot::entry);
    let current_version = current.map_or(Version::NONE, |entry| entry.version);
    let value = current.map(|entry| entry.value);
    let integer = || integer_value(value).ok_or(Outcome::Fail(ErrorKind::WrongType));
    match operation {
        Operation::Read { key } => Err(Outcome::Ok(read(entries, *key))),
        Operation::Write { value, .. } => Ok((value.clone(), OperationResult::Written { version })),
        Operation::CompareAndSet {
            expected,
            value: new,
            ..
        } => {
            let swapped = |swapped, version| OperationResult::Swapped { swapped, version };
            if value != expected.as_ref() {
                return Err(Outcome::Ok(swapped(false, current_version)));
            }
            Ok((new.clone(), swapped(true, version)))
        }
        Operation::Add { amount, .. } => {
            let total = integer()?.saturating_add(*amount);
            let added = OperationResult::Added { total, version };
            Ok((integer_bytes(total), added))
        }
        Operation::TakeIfEnough { amount, .. } => {
            let integer = integer()?;
            let left = i64::try_from(*amount)
                .ok()
                .and_then(|amount| integer.checked_sub(amount))
                .filter(|&left| left >= 0);
            let taken = |taken, left, version| OperationResult::Taken {
                taken,
                left,
                version,
            };
            match left {
                Some(left) => Ok((integer_bytes(left), taken(true, left, version))),
                None => Err(Outcome::Ok(taken(false, integer, current_version))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{ClientId, OperationId};

    use super::*;

    const KEY: Key = Key(7);

    fn request(sequence: u64, operation: Operation) -> Request {
        Request {
            id: OperationId {
                client: ClientId(1),
                sequence,
            },
            first_incomplete: 0,
            operation,
        }
    }

    fn write(text: &'static str) -> Operation {
        Operation::Write {
            key: KEY,
            value: Bytes::from_static(text.as_bytes()),
        }
    }

    fn version(index: u64) -> Version {
        Version {
            major: index,
            minor: 0,
        }
    }

    #[test]
    fn a_retried_add_is_executed_once_and_hears_its_first_outcome() {
        let mut store = Store::default();
        let add = request(
            0,
            Operation::Add {
                key: KEY,
                amount: 5,
            },
        );
        let first = store.execute(&add, 1);
        let again = store.execute(&add, 2);
        assert_eq!(first.outcome, again.outcome);
        assert_eq!(again.changed, None);
        assert_eq!(
            store
                .execute(
                    &request(
                        1,
                        Operation::Add {
                            key: KEY,
                            amount: 1
                        }
                    ),
                    3
                )
                .outcome,
            Outcome::Ok(OperationResult::Added {
                total: 6,
                version: version(3)
            })
        );
    }

    #[test]
    fn compare_and_set_replaces_only_the_expected_value() {
        let mut store = Store::default();
        store.execute(&request(0, write("a")), 1);
        let swap = |expected: Option<&'static str>| Operation::CompareAndSet {
            key: KEY,
            expected: expected.map(|text| Bytes::from_static(text.as_bytes())),
            value: Bytes::from_static(b"c"),
        };
        let refused = store.execute(&request(1, swap(Some("b"))), 2);
        assert_eq!(
            refused.outcome,
            Outcome::Ok(OperationResult::Swapped {
                swapped: false,
                version: version(1)
            })
        );
        let done = store.execute(&request(2, swap(Some("a"))), 3);
        assert_eq!(done.changed, Some((KEY, version(3))));
        assert!(store.execute(&request(3, swap(None)), 4).changed.is_none());
    }

    #[test]
    fn stock_is_never_taken_below_zero() {
        let mut store = Store::default();
        store.execute(
            &request(
                0,
                Operation::Add {
                    key: KEY,
                    amount: 3,
                },
            ),
            1,
        );
        let take = |amount| Operation::TakeIfEnough { key: KEY, amount };
        let taken = store.execute(&request(1, take(2)), 2).outcome;
        assert_eq!(
            taken,
            Outcome::Ok(OperationResult::Taken {
                taken: true,
                left: 1,
                version: version(2)
            })
        );
        for (sequence, amount) in [(2, 2), (3, u64::MAX)] {
            let refused = store
                .execute(&request(sequence, take(amount)), 1 + sequence)
                .outcome;
            assert_eq!(
                refused,
                Outcome::Ok(OperationResult::Taken {
                    taken: false,
                    left: 1,
                    version: version(2)
                })
            );
        }
    }

    #[test]
    fn arithmetic_on_a_value_that_is_no_integer_fails_without_effect() {
        let mut store = Store::default();
        store.execute(&request(0, write("text")), 1);
        let added = store.execute(
            &request(
                1,
                Operation::Add {
                    key: KEY,
                    amount: 1,
                },
            ),
            2,
        );
        assert_eq!(
            added,
            Execution {
                outcome: Outcome::Fail(ErrorKind::WrongType),
                changed: None
            }
        );
    }

    #[test]
    fn a_snapshot_carries_the_memory_of_executed_requests() {
        let mut store = Store::default();
        let add = request(
            0,
            Operation::Add {
                key: KEY,
                amount: 5,
            },
        );
        store.execute(&add, 1);
        let bytes = postcard::to_stdvec(&store).unwrap();
        let mut copy: Store = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(copy, store);
        assert_eq!(copy.execute(&add, 9).changed, None);
    }
}

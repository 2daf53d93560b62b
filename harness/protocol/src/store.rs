//! The key-value state machine that log modes execute, with retries recognised in its state.

mod sessions;

use bytes::Bytes;
use longhaul_experiment::operation::{integer_bytes, integer_value};
use longhaul_experiment::{ErrorKind, Key, Operation, OperationResult, Outcome, Version};
use serde::{Deserialize, Serialize};

use crate::paged::PagedMap;
use crate::replica::Request;
use sessions::{Admission, Sessions};

/// A replicated key-value store: the same requests in the same order give the same state and the
/// same outcomes at every replica.
///
/// A request that was executed before is not executed again: its first outcome is returned
/// (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", section 8; Lee
/// et al., RIFL, for forgetting what the client has acknowledged).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    entries: PagedMap<Entry>,
    sessions: Sessions,
}

/// A key's value and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
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
        if let Operation::Read { key } = request.operation {
            // A read changes nothing, so a retried one may simply be executed again.
            return Execution {
                outcome: Outcome::Ok(self.read(key)),
                changed: None,
            };
        }
        let session = self.sessions.of(request.id.client);
        match session.admit(request.id.sequence, request.first_incomplete) {
            Admission::New => {}
            Admission::Repeated(outcome) => {
                return Execution {
                    outcome,
                    changed: None,
                };
            }
            Admission::Refused => {
                return Execution {
                    outcome: Outcome::Fail(ErrorKind::Overloaded),
                    changed: None,
                };
            }
        }
        let version = Version {
            major: index,
            minor: 0,
        };
        let execution = change(&mut self.entries, &request.operation, version);
        session.remember(request.id.sequence, execution.outcome.clone());
        execution
    }

    /// Reads a key.
    pub fn read(&self, key: Key) -> OperationResult {
        read(&self.entries, key)
    }

    /// Returns all entries in key order.
    pub fn entries(&self) -> impl Iterator<Item = (Key, &Entry)> {
        self.entries.iter().map(|(key, entry)| (Key(key), entry))
    }
}

fn read(entries: &PagedMap<Entry>, key: Key) -> OperationResult {
    let entry = entries.get(key.0);
    OperationResult::Read {
        value: entry.map(|entry| entry.value.clone()),
        version: entry.map_or(Version::NONE, |entry| entry.version),
    }
}

fn change(entries: &mut PagedMap<Entry>, operation: &Operation, version: Version) -> Execution {
    let key = operation.key();
    let current = entries.get(key.0);
    let current_version = current.map_or(Version::NONE, |entry| entry.version);
    let value = current.map(|entry| &entry.value);
    let unchanged = |outcome| Execution {
        outcome,
        changed: None,
    };
    let (new, result) = match operation {
        Operation::Read { key } => return unchanged(Outcome::Ok(read(entries, *key))),
        Operation::Write { value, .. } => (value.clone(), OperationResult::Written { version }),
        Operation::CompareAndSet {
            expected,
            value: new,
            ..
        } => {
            if value != expected.as_ref() {
                return unchanged(Outcome::Ok(OperationResult::Swapped {
                    swapped: false,
                    version: current_version,
                }));
            }
            (
                new.clone(),
                OperationResult::Swapped {
                    swapped: true,
                    version,
                },
            )
        }
        Operation::Add { amount, .. } => {
            let Some(integer) = integer_value(value) else {
                return unchanged(Outcome::Fail(ErrorKind::WrongType));
            };
            let total = integer.saturating_add(*amount);
            (
                integer_bytes(total),
                OperationResult::Added { total, version },
            )
        }
        Operation::TakeIfEnough { amount, .. } => {
            let Some(integer) = integer_value(value) else {
                return unchanged(Outcome::Fail(ErrorKind::WrongType));
            };
            let left = i64::try_from(*amount)
                .ok()
                .and_then(|amount| integer.checked_sub(amount))
                .filter(|&left| left >= 0);
            let Some(left) = left else {
                return unchanged(Outcome::Ok(OperationResult::Taken {
                    taken: false,
                    left: integer,
                    version: current_version,
                }));
            };
            (
                integer_bytes(left),
                OperationResult::Taken {
                    taken: true,
                    left,
                    version,
                },
            )
        }
    };
    entries.insert(
        key.0,
        Entry {
            value: new,
            version,
        },
    );
    Execution {
        outcome: Outcome::Ok(result),
        changed: Some((key, version)),
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

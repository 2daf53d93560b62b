//! Reading a request from the log without copying its values.

use bytes::{Buf, Bytes};
use longhaul_experiment::{Key, Operation, OperationId};
use serde::Deserialize;

use crate::replica::Request;

/// A [`Request`] that borrows its values from its encoded form. The fields and their order are
/// the same, and so is the form.
#[derive(Deserialize)]
struct Borrowed<'a> {
    id: OperationId,
    first_incomplete: u64,
    #[serde(borrow)]
    operation: BorrowedOperation<'a>,
}

#[derive(Deserialize)]
enum BorrowedOperation<'a> {
    Read {
        key: Key,
    },
    Write {
        key: Key,
        value: &'a [u8],
    },
    CompareAndSet {
        key: Key,
        #[serde(borrow)]
        expected: Option<&'a [u8]>,
        value: &'a [u8],
    },
    Add {
        key: Key,
        amount: i64,
    },
    TakeIfEnough {
        key: Key,
        amount: u64,
    },
}

/// Reads a request whose values are parts of `bytes` and keep it in memory.
pub(super) fn request_in(mut bytes: Bytes) -> Result<Request, postcard::Error> {
    let borrowed: Borrowed<'_> = postcard::from_bytes(&bytes)?;
    let (id, first_incomplete) = (borrowed.id, borrowed.first_incomplete);
    if let BorrowedOperation::Write { key, value } = borrowed.operation {
        // By far the most frequent, so it takes the bytes over instead of counting one user more.
        let begin = value.as_ptr() as usize - bytes.as_ptr() as usize;
        let length = value.len();
        bytes.advance(begin);
        bytes.truncate(length);
        let operation = Operation::Write { key, value: bytes };
        return Ok(Request {
            id,
            first_incomplete,
            operation,
        });
    }
    let share = |value: &[u8]| bytes.slice_ref(value);
    let operation = match borrowed.operation {
        BorrowedOperation::Read { key } => Operation::Read { key },
        BorrowedOperation::Write { key, value } => Operation::Write {
            key,
            value: share(value),
        },
        BorrowedOperation::CompareAndSet {
            key,
            expected,
            value,
        } => Operation::CompareAndSet {
            key,
            expected: expected.map(share),
            value: share(value),
        },
        BorrowedOperation::Add { key, amount } => Operation::Add { key, amount },
        BorrowedOperation::TakeIfEnough { key, amount } => Operation::TakeIfEnough { key, amount },
    };
    Ok(Request {
        id,
        first_incomplete,
        operation,
    })
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::ClientId;

    use super::*;

    /// Returns the operation to try after another; the last is followed by none. A kind that is
    /// added has no place here until it is tried as well.
    fn after(operation: &Operation) -> Option<Operation> {
        let (key, value) = (Key(300), Bytes::from_static(b"a value"));
        Some(match operation {
            Operation::Read { .. } => Operation::Write { key, value },
            Operation::Write { .. } => Operation::CompareAndSet {
                key,
                expected: None,
                value,
            },
            Operation::CompareAndSet { expected: None, .. } => Operation::CompareAndSet {
                key,
                expected: Some(Bytes::from_static(b"another")),
                value,
            },
            Operation::CompareAndSet {
                expected: Some(_), ..
            } => Operation::Add { key, amount: -5 },
            Operation::Add { .. } => Operation::TakeIfEnough { key, amount: 7 },
            Operation::TakeIfEnough { .. } => return None,
        })
    }

    #[test]
    fn every_operation_is_read_back_and_shares_its_values() {
        let mut next = Some(Operation::Read { key: Key(300) });
        while let Some(operation) = next {
            next = after(&operation);
            let request = Request {
                id: OperationId {
                    client: ClientId(70_000),
                    sequence: 9,
                },
                first_incomplete: 8,
                operation,
            };
            let bytes = Bytes::from(postcard::to_stdvec(&request).unwrap());
            let memory = bytes.as_ptr_range();
            let read = request_in(bytes).unwrap();
            assert_eq!(read, request);
            if let Operation::Write { value, .. } | Operation::CompareAndSet { value, .. } =
                &read.operation
            {
                assert!(memory.contains(&value.as_ptr()));
            }
        }
        assert!(request_in(Bytes::new()).is_err());
    }
}

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

    #[test]
    fn every_operation_is_read_back() {
        let (key, value) = (Key(300), Bytes::from_static(b"a value"));
        let operations = [
            Operation::Read { key },
            Operation::Write {
                key,
                value: value.clone(),
            },
            Operation::CompareAndSet {
                key,
                expected: None,
                value: value.clone(),
            },
            Operation::CompareAndSet {
                key,
                expected: Some(Bytes::new()),
                value,
            },
            Operation::Add { key, amount: -5 },
            Operation::TakeIfEnough { key, amount: 7 },
        ];
        for operation in operations {
            let request = Request {
                id: OperationId {
                    client: ClientId(70_000),
                    sequence: 9,
                },
                first_incomplete: 8,
                operation,
            };
            let bytes = Bytes::from(postcard::to_stdvec(&request).unwrap());
            assert_eq!(request_in(bytes).unwrap(), request);
        }
        assert!(request_in(Bytes::new()).is_err());
    }
}

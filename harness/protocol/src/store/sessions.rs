//! What is remembered of each client's recent operations, so that a retry is not executed twice.

use std::collections::VecDeque;

use longhaul_experiment::{OperationId, Outcome};
use serde::{Deserialize, Serialize};

use crate::paged::PagedMap;

/// The most sequence numbers between a client's first incomplete operation and its latest.
const WINDOW_MAX: u64 = 1 << 20;

/// The sessions of all clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sessions(PagedMap<Session>);

/// One client's outcomes from its first incomplete operation on; `None`: not executed here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    first: u64,
    outcomes: VecDeque<Option<Outcome>>,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Execute it.
    New,
    /// It was executed: this was its outcome.
    Repeated(Outcome),
    /// It is outside the session's window: its outcome was forgotten, or it is too far ahead.
    Refused,
}

impl Sessions {
    /// Looks a request up, forgetting what its client has acknowledged.
    pub(super) fn admit(&mut self, id: OperationId, first_incomplete: u64) -> Admission {
        let session = self.0.get_or_default(id.client.0.into());
        session.forget_before(first_incomplete);
        let Some(offset) = id.sequence.checked_sub(session.first) else {
            return Admission::Refused;
        };
        if offset >= WINDOW_MAX {
            return Admission::Refused;
        }
        match session.outcomes.get(offset as usize) {
            Some(Some(outcome)) => Admission::Repeated(outcome.clone()),
            _ => Admission::New,
        }
    }

    /// Remembers the outcome of an admitted request.
    pub(super) fn remember(&mut self, id: OperationId, outcome: Outcome) {
        let session = self.0.get_or_default(id.client.0.into());
        let offset = (id.sequence - session.first) as usize;
        if session.outcomes.len() <= offset {
            session.outcomes.resize(offset + 1, None);
        }
        session.outcomes[offset] = Some(outcome);
    }
}

impl Session {
    fn forget_before(&mut self, first: u64) {
        while self.first < first && self.outcomes.pop_front().is_some() {
            self.first += 1;
        }
        self.first = self.first.max(first);
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{ClientId, OperationResult, Version};

    use super::*;

    fn id(sequence: u64) -> OperationId {
        OperationId {
            client: ClientId(3),
            sequence,
        }
    }

    fn outcome(major: u64) -> Outcome {
        Outcome::Ok(OperationResult::Written {
            version: Version { major, minor: 0 },
        })
    }

    #[test]
    fn operations_may_be_executed_out_of_order_within_the_window() {
        let mut sessions = Sessions::default();
        for sequence in [2, 0, 1] {
            assert_eq!(sessions.admit(id(sequence), 0), Admission::New);
            sessions.remember(id(sequence), outcome(sequence));
        }
        assert_eq!(sessions.admit(id(0), 0), Admission::Repeated(outcome(0)));
    }

    #[test]
    fn what_the_client_acknowledged_is_forgotten_and_then_refused() {
        let mut sessions = Sessions::default();
        for sequence in 0..1000 {
            assert_eq!(sessions.admit(id(sequence), sequence), Admission::New);
            sessions.remember(id(sequence), outcome(sequence));
        }
        assert_eq!(
            sessions.0.get(3).map(|session| session.outcomes.len()),
            Some(1)
        );
        assert_eq!(sessions.admit(id(5), 0), Admission::Refused);
        assert_eq!(sessions.admit(id(999 + WINDOW_MAX), 0), Admission::Refused);
    }
}

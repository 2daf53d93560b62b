//! What is remembered of each client's recent operations, so that a retry is not executed twice.

use std::collections::VecDeque;

use longhaul_experiment::{ClientId, Outcome};
use serde::{Deserialize, Serialize};

use crate::paged::PagedMap;

/// The most sequence numbers between a client's first incomplete operation and its latest.
const WINDOW_MAX: u64 = 1 << 20;

/// The sessions of all clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sessions(PagedMap<Session>);

/// One client's outcomes from its first incomplete operation on; `None`: not executed here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
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
    /// Returns a client's session.
    pub(super) fn of(&mut self, client: ClientId) -> &mut Session {
        self.0.get_or_default(client.0.into())
    }
}

impl Session {
    /// Looks a request up, forgetting what its client has acknowledged.
    pub(super) fn admit(&mut self, sequence: u64, first_incomplete: u64) -> Admission {
        self.forget_before(first_incomplete);
        let Some(offset) = sequence.checked_sub(self.first) else {
            return Admission::Refused;
        };
        if offset >= WINDOW_MAX {
            return Admission::Refused;
        }
        match self.outcomes.get(offset as usize) {
            Some(Some(outcome)) => Admission::Repeated(outcome.clone()),
            _ => Admission::New,
        }
    }

    /// Remembers the outcome of an admitted request.
    pub(super) fn remember(&mut self, sequence: u64, outcome: Outcome) {
        let offset = (sequence - self.first) as usize;
        while self.outcomes.len() < offset {
            self.outcomes.push_back(None);
        }
        match self.outcomes.get_mut(offset) {
            Some(slot) => *slot = Some(outcome),
            None => self.outcomes.push_back(Some(outcome)),
        }
    }

    fn forget_before(&mut self, first: u64) {
        while self.first < first && self.outcomes.pop_front().is_some() {
            self.first += 1;
        }
        self.first = self.first.max(first);
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{OperationResult, Version};

    use super::*;

    fn outcome(major: u64) -> Outcome {
        Outcome::Ok(OperationResult::Written {
            version: Version { major, minor: 0 },
        })
    }

    #[test]
    fn operations_may_be_executed_out_of_order_within_the_window() {
        let mut session = Session::default();
        for sequence in [2, 0, 1] {
            assert_eq!(session.admit(sequence, 0), Admission::New);
            session.remember(sequence, outcome(sequence));
        }
        assert_eq!(session.admit(0, 0), Admission::Repeated(outcome(0)));
    }

    #[test]
    fn what_the_client_acknowledged_is_forgotten_and_then_refused() {
        let mut sessions = Sessions::default();
        let session = sessions.of(ClientId(3));
        for sequence in 0..1000 {
            assert_eq!(session.admit(sequence, sequence), Admission::New);
            session.remember(sequence, outcome(sequence));
        }
        assert_eq!(session.outcomes.len(), 1);
        assert_eq!(session.admit(5, 0), Admission::Refused);
        assert_eq!(session.admit(999 + WINDOW_MAX, 0), Admission::Refused);
    }
}

//! What a backend can do of all faults.

use super::{Fault, FaultKind};
use crate::backend::RunError;

/// The kinds of faults that a backend can make happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSupport {
    /// The backend's name.
    pub backend: &'static str,
    /// The names of the kinds, of [`FaultKind::NAMES`].
    pub kinds: &'static [&'static str],
}

impl FaultSupport {
    /// Says whether the backend can make a kind happen.
    pub fn supports(&self, kind: FaultKind) -> bool {
        self.kinds.contains(&kind.name())
    }

    /// Refuses faults that the backend cannot make happen.
    ///
    /// # Errors
    ///
    /// [`RunError::NotSupported`], for the first of them.
    pub fn check(&self, faults: &[Fault]) -> Result<(), RunError> {
        let unsupported = |fault: &&Fault| !self.supports(fault.kind);
        let Some(fault) = faults.iter().find(unsupported) else {
            return Ok(());
        };
        Err(RunError::NotSupported {
            backend: self.backend,
            why: format!(
                "it has no fault '{}' (asked for: {fault}); it has {}; leave the fault out or use \
                 the sim backend, which has all",
                fault.kind.name(),
                self.kinds.join(", ")
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::FaultTarget;
    use super::*;

    #[test]
    fn a_kind_that_is_not_listed_is_refused_with_those_that_are() {
        let support = FaultSupport {
            backend: "local",
            kinds: &["crash", "pause"],
        };
        let fault = |kind| Fault {
            at: Duration::from_secs(1),
            lasts: Duration::from_secs(2),
            target: FaultTarget::Leader,
            kind,
        };
        assert!(support.check(&[fault(FaultKind::Crash)]).is_ok());
        let factor = 4.0;
        let slow = fault(FaultKind::SlowReplica { factor });
        let message = support
            .check(&[fault(FaultKind::Pause), slow])
            .expect_err("it is not listed")
            .to_string();
        assert_eq!(
            message,
            "the local backend cannot run this scenario: it has no fault 'slow-replica' (asked \
             for: slow-replica by a factor of 4 on the leader at 1s for 2s); it has crash, pause; \
             leave the fault out or use the sim backend, which has all"
        );
    }
}

//! The list of all modes. A new mode is a module and one line here.

use std::collections::BTreeMap;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{ModeSpec, OperationKind, Path, RunError, Scenario, Topology};

use crate::mode::{Description, Mode, ModeVisitor};

/// Defines the functions that know every mode.
macro_rules! modes {
    ($($mode:ty,)*) => {
        /// Returns the descriptions of all modes, in listing order.
        pub fn descriptions() -> Vec<&'static Description> {
            let lists: &[&'static [Description]] = &[$(<$mode as Mode>::DESCRIPTIONS),*];
            lists.iter().copied().flatten().collect()
        }

        /// Reads a mode's parameters and hands the mode to a visitor.
        ///
        /// # Errors
        ///
        /// No mode has that family and variant, or a parameter is unfit.
        pub fn with_mode<V: ModeVisitor>(
            spec: &ModeSpec,
            topology: &Topology,
            visitor: V,
        ) -> Result<V::Output, ModeError> {
            $(if describes::<$mode>(spec) {
                return Ok(visitor.visit(<$mode as Mode>::parse(spec, topology)?));
            })*
            Err(ModeError::Unknown { text: spec.to_string() })
        }
    };
}

modes! {
    crate::leader_follower::LeaderFollower,
    crate::quorum::raft::Raft,
    crate::quorum::paxos::Paxos,
    crate::quorum::register::Register,
    crate::eventual::Eventual,
}

fn describes<M: Mode>(spec: &ModeSpec) -> bool {
    M::DESCRIPTIONS
        .iter()
        .any(|description| description.family == spec.family && description.variant == spec.variant)
}

/// Checks all modes of a scenario before anything runs.
///
/// # Errors
///
/// A mode is unknown, has unfit parameters, or has not an operation that the workload asks for.
pub fn check(scenario: &Scenario) -> Result<(), RunError> {
    struct Check<'a>(&'a ModeSpec, &'a Scenario);
    impl ModeVisitor for Check<'_> {
        type Output = Result<(), RunError>;

        fn visit<M: Mode>(self, mode: M) -> Self::Output {
            paths(&mode, self.0, self.1).map(drop)
        }
    }
    for spec in &scenario.modes {
        with_mode(spec, &scenario.topology, Check(spec, scenario))??;
    }
    Ok(())
}

/// Returns the message patterns of the operations that a scenario's workload asks for.
///
/// # Errors
///
/// The mode has not one of them.
pub fn paths<M: Mode>(
    mode: &M,
    spec: &ModeSpec,
    scenario: &Scenario,
) -> Result<BTreeMap<OperationKind, Path>, RunError> {
    let kinds = scenario.workload.kinds().into_iter();
    kinds
        .map(|kind| match mode.path(kind, &scenario.topology) {
            Some(path) => Ok((kind, path)),
            None => Err(RunError::Operation {
                mode: spec.to_string(),
                operation: kind.name(),
            }),
        })
        .collect()
}

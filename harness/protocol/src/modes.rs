//! The list of all modes. A new mode is a module and one line here.

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{ModeSpec, Topology};

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
    crate::quorum::register::Register,
    crate::eventual::Eventual,
}

fn describes<M: Mode>(spec: &ModeSpec) -> bool {
    M::DESCRIPTIONS
        .iter()
        .any(|description| description.family == spec.family && description.variant == spec.variant)
}

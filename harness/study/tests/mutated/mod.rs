//! Modes made wrong, as subjects of a hunt.

use longhaul_experiment::fault::FaultError;
use longhaul_experiment::mode::ModeError;
use longhaul_protocol::mutations::{Mutation, with_mutant};
use longhaul_study::verify::{Carry, Case, CaseRun, Subject};

/// A mode made wrong.
pub struct Mutated(pub Mutation);

impl Subject for Mutated {
    fn visit(
        &self,
        case: &Case,
        visitor: Carry<'_>,
    ) -> Result<Result<CaseRun, FaultError>, ModeError> {
        with_mutant(self.0, &case.mode, &case.topology(), visitor)
    }
}

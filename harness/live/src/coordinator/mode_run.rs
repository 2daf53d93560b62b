//! What running one mode needs to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use longhaul_experiment::{ModeSpec, OperationKind, Path, Scenario, Seed, Topology};

use super::LocalOptions;
use crate::links::Links;

/// The message patterns of the operations that are asked for.
pub(super) type Paths = BTreeMap<OperationKind, Path>;

/// One mode's run.
pub(super) struct ModeRun<'a> {
    pub(super) spec: &'a ModeSpec,
    pub(super) position: usize,
    pub(super) scenario: &'a Arc<Scenario>,
    pub(super) topology: &'a Arc<Topology>,
    pub(super) seed: Seed,
    pub(super) links: Links,
    pub(super) probe_links: bool,
    pub(super) options: &'a mut LocalOptions,
}

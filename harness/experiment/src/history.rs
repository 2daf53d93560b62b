//! Histories: one record per operation, for checkers and exact counts.

use serde::{Deserialize, Serialize};

use crate::ids::{OperationId, RegionIndex, ReplicaId};
use crate::operation::{Operation, Outcome};
use crate::time::Time;

/// All that is known of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// Its identity.
    pub id: OperationId,
    /// The client's region.
    pub region: RegionIndex,
    /// The replica last asked.
    pub replica: ReplicaId,
    /// What was asked.
    pub operation: Operation,
    /// How often it was sent.
    pub attempts: u32,
    /// When it was due. Latency counts from here.
    pub intended_at: Time,
    /// When it was first sent; `None` when it never was. Service time counts from here.
    pub sent_at: Option<Time>,
    /// When its end was known; `None` when the run ended first.
    pub completed_at: Option<Time>,
    /// How it ended.
    pub outcome: Outcome,
}

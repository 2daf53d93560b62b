//! Placeholder until the schedule lands.

use crate::operation::Operation;
use crate::time::Time;

/// One operation of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedOperation {
    /// When it is due.
    pub intended_at: Time,
    /// What is asked.
    pub operation: Operation,
}

/// The operations of one region.
#[derive(Debug)]
pub struct Schedule;

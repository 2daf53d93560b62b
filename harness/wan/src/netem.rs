//! The kernel's own delay emulation between regions, set up with `tc`.
//!
//! Every region has one end of a virtual cable, whose other end is in a bridge in the fabric's
//! namespace. What a region sends passes a class for its destination, with a netem queue that
//! delays it. [`plan`] says with which commands, as data; [`fabric`] runs them.
//!
//! Differences from the link core: jitter is drawn per packet, not in time, so with packets in
//! order (netem keeps the order of a queue with a rate, and every queue with jitter has one here)
//! the jitter of a dense stream is a running maximum.

pub mod distribution;
mod fabric;
pub mod plan;
pub mod report;

pub use fabric::NetemFabric;
pub use report::NetemReport;

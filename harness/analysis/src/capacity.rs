//! How much load a mode takes: points of latency against throughput, where their line bends, and
//! up to which rate a limit holds.
//!
//! A sweep is many runs of one scenario that differ in mode, offered rate and seed. [`measure`]
//! makes a [`SweepPoint`] of each; [`form`] is the published form of all of them, with a schema;
//! [`objective`] reads limits such as `p99=250ms,errors=0.1%`; [`verdict`] holds a point against
//! one; [`knee`] and [`capacity()`] say what the points of a mode come to.
//!
//! Rates are operations per second and client region, as in a scenario; whatever is offered or
//! done is of all client regions together.

mod doubts;
pub mod form;
pub mod knee;
mod level;
pub mod measure;
pub mod objective;
#[cfg(test)]
mod synthetic;
pub mod verdict;

pub use doubts::unsaturable;
pub use form::{PointFailure, PointOrder, SWEEP_VERSION, ServiceSummary, Sweep, SweepMode};
pub use knee::{Knee, knee};
pub use level::{Capacity, CapacityEnd, capacity, short_rate};
pub use measure::{RegionPoint, SweepPoint};
pub use objective::{Figure, Objective, Slo, SloError};
pub use verdict::{Breach, Verdict, judge};

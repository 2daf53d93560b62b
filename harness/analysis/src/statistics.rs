//! How sure a figure is: 95% intervals that respect autocorrelation, and whether a run settled.
//!
//! Latencies of one run depend on their neighbours: jitter and queues last. So no interval here
//! treats operations as independent. The measured window is cut into time slices; neighbouring
//! slices are joined to batches, and the spread between batches says how sure the whole is.
//!
//! 1. [`slices`]: the latencies of a window, time slice by time slice;
//! 2. [`batches`]: the variance of a ratio from batch means;
//! 3. [`intervals`]: intervals of mean, percentiles and goodput;
//! 4. [`steady`]: whether the latency still moved while it was measured;
//! 5. [`student`]: Student's t distribution.
//!
//! Nothing here draws random numbers: the same record gives the same interval.

pub mod batches;
pub mod intervals;
pub mod slices;
pub mod steady;
pub mod student;

pub use intervals::{Bounds, Intervals};
pub use slices::{Slice, Slices};
pub use steady::Drift;

#[cfg(test)]
mod tests;

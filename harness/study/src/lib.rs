//! What runs many runs: repeated measurement, sweeps, searches, suites, and testing by simulation.
//!
//! It may call every other crate, and none but the root calls it.

mod attempts;
pub mod leaderless;
pub mod pbs;
pub mod repeats;
pub mod saturate;
pub mod service;
pub mod sweep;
pub mod verify;

pub use attempts::measure_until_carried;

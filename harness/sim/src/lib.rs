//! Replicas in virtual time: a small deterministic event loop, and the `sim` backend on it.
//!
//! Read in this order:
//!
//! 1. `queue`: events by instant, and among equals by insertion;
//! 2. [`simulation`]: replicas, their timers and storage, the network between them, and what
//!    [`faults`] do to all of it;
//! 3. `clients`: the clients of a region, which follow a schedule;
//! 4. [`backend`]: a scenario and a seed in, a record out;
//! 5. [`mod@explain`]: one operation in a quiet system, hop by hop.
//!
//! Everything is a function of scenario and seed: no clock is read, nothing is drawn from
//! outside the run's streams, no unordered map is iterated.
//!
//! What the simulation leaves out: memory has no end, connections over one link share nothing,
//! and processors take no time unless the scenario states service times
//! ([`longhaul_experiment::service`]), which leave out caches and the operating system.

pub mod backend;
mod clients;
pub mod explain;
pub mod faults;
mod frame_size;
mod network;
mod peers;
mod queue;
pub mod simulation;
mod storage;
mod timers;
pub mod trace;

pub use backend::SimBackend;
pub use explain::{ExplainOrder, Explanation, explain};
pub use simulation::{Simulation, SimulationOptions};

//! Replicas in virtual time: a small deterministic event loop, and the `sim` backend on it.
//!
//! Read in this order:
//!
//! 1. [`queue`]: events by instant, and among equals by insertion;
//! 2. [`simulation`]: replicas, their timers and storage, the network between them, and what
//!    faults do to all of it;
//! 3. [`clients`]: the clients of a region, which follow a schedule;
//! 4. [`backend`]: a scenario and a seed in, a record out;
//! 5. [`mod@explain`]: one operation in a quiet system, hop by hop.
//!
//! Everything is a function of scenario and seed: no clock is read, nothing is drawn from
//! outside the run's streams, no unordered map is iterated.
//!
//! What the simulation leaves out: processors take no time, memory has no end, and connections
//! over one link share nothing.

pub mod backend;
pub mod clients;
pub mod explain;
mod faults;
mod network;
mod peers;
pub mod queue;
pub mod simulation;
mod storage;
mod timers;
pub mod trace;

pub use backend::SimBackend;
pub use explain::{ExplainOrder, Explanation, explain};
pub use network::FRAMING_BYTES;
pub use simulation::{Simulation, SimulationOptions};

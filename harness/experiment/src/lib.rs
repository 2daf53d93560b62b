//! The words of a longhaul experiment: what is run, on what, and what comes out.
//!
//! This crate is the vocabulary of the house. Every other crate speaks in its types and none of
//! them may be imported here. Read the modules in this order:
//!
//! 1. [`time`], [`ids`], [`random`]: instants, names and seeded streams;
//! 2. [`operation`]: what a client asks for and what it hears back;
//! 3. [`profile`], [`topology`]: regions, links, and who is placed where;
//! 4. [`mode`], [`path`]: which protocol, and the message pattern of one of its operations;
//! 5. [`workload`], [`fault`], [`scenario`]: the load, what breaks, and the whole order;
//! 6. [`histogram`], [`history`], [`record`]: what a run leaves behind;
//! 7. [`backend`]: where scenarios run;
//! 8. [`mod@parallel`]: many pieces of work at once.

pub mod backend;
pub mod fault;
pub mod histogram;
pub mod history;
pub mod ids;
pub mod mode;
pub mod operation;
pub mod parallel;
pub mod path;
pub mod profile;
pub mod random;
pub mod record;
pub mod scenario;
pub mod service;
pub mod time;
pub mod topology;
pub mod workload;

pub use backend::{Backend, RunError};
pub use fault::{Fault, FaultKind, FaultTarget};
pub use history::OperationRecord;
pub use ids::{ClientId, Key, LinkId, OperationId, RegionIndex, ReplicaId, Version};
pub use mode::ModeSpec;
pub use operation::{ErrorKind, Operation, OperationKind, OperationResult, Outcome};
pub use path::{Contact, Path, Round};
pub use profile::Profile;
pub use random::{Seed, Stream};
pub use record::RunRecord;
pub use scenario::Scenario;
pub use time::{Now, Time, WallTime};
pub use topology::Topology;
pub use workload::Workload;

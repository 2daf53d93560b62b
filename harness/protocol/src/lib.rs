//! The replication modes, as state machines without clock, socket, thread or unseeded randomness.
//!
//! Read in this order:
//!
//! 1. [`replica`]: the trait every mode implements, and [`outbox`]: the effects it answers with;
//!    [`shared_request`]: requests that are kept in several places, [`retention`]: how long a
//!    replica's memory is;
//! 2. [`mode`]: what a mode declares of itself, and [`modes`]: the list of all modes;
//! 3. [`store`]: the key-value state machine that log modes execute, with retries recognised, on
//!    a map of [`paged`] numbers;
//! 4. the modes: [`leader_follower`], [`quorum`], [`eventual`].
//!
//! To add a mode, write one module with a type that implements [`mode::Mode`] and add its name to
//! the list in [`modes`].

pub mod client;
pub mod eventual;
pub mod leader_follower;
pub mod mode;
pub mod modes;
#[cfg(feature = "mutations")]
pub mod mutations;
pub mod outbox;
pub mod paged;
pub mod quorum;
pub mod replica;
pub mod retention;
pub mod shared_request;
pub mod store;

pub use mode::{Description, Mode, ModeVisitor};
pub use outbox::{Effect, LogRecord, Outbox};
pub use replica::{Member, PeerState, PersistToken, Recovered, Replica, Request};
pub use retention::Retention;
pub use shared_request::SharedRequest;

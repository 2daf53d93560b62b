//! Replicas and clients over real TCP on loopback, with the WAN's delays added in user space.
//!
//! [`LocalBackend`] runs a scenario: a coordinator starts one agent per region (in `agent`), which
//! has a thread for its replica (`replica_host`) and one for its clients (`clients`). They talk
//! over [`transport`]; what arrives passes the emulated link (`receiving_end`) and waits on the precise
//! thread until its time has come (`delivery`). Replicas keep what they persist in [`storage`].
//! A scenario's faults are made to happen by a thread of their own (`faults`), on links through
//! their `conditions`. Agents that share a process are a `site`: one site has all, or each is in a
//! process of its own (`agent_process`) that a [`Launcher`] started.

pub mod storage;
pub mod transport;

mod agent;
mod agent_process;
mod clients;
mod conditions;
mod coordinator;
mod delivery;
mod environment;
mod faults;
mod interrupt;
mod launcher;
mod links;
mod message_stream;
mod messages;
mod processors;
mod receiving_end;
mod replica_host;
mod site;
mod traffic;
mod wire;

pub use agent_process::{AgentError, run_agent};
pub use coordinator::{LocalBackend, LocalOptions, Phase, Progress};
pub use environment::describe as describe_environment;
pub use faults::order::LinkFault;
pub use interrupt::Interrupt;
pub use launcher::{Launcher, Places};
pub use processors::busy_share;
pub use receiving_end::Emulation;

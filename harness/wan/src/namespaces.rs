//! Regions as Linux network namespaces, on one machine, in namespaces of their own.
//!
//! A *network* is what one run or one `net up` makes: a namespace per region, a namespace for the
//! fabric between them, and a backend ([`crate::tun`] or [`crate::netem`]) that delays what passes.
//! Nothing of it is in the machine's own namespaces: no link, address, route, queue, sysctl or
//! mount. Three processes hold it, each the same program started again with a hidden command:
//!
//! ```text
//! supervisor (run, net up)       asks for a network, waits until it is ready
//!   +- holder  (net hold)        makes the user and the PID namespace; has the lock
//!        +- init  (net init)     PID 1 inside; makes the mount and the fabric's network namespace
//!             +- keeper (net keep)   makes the regions, moves packets, answers on the socket
//! ```
//!
//! Who ends whom: the kernel kills all that is in the PID namespace when init ends. Init ends when
//! the keeper does, or when the pipe from the holder closes, which it does however the holder dies.
//! The holder ends when init does, or when its supervisor's socket closes, unless the supervisor
//! said that the network is to outlive it. Files (a lock and a socket, see [`place`]) are removed by
//! the holder, by init when the holder was killed, and by the next command when both were.
//!
//! Root needs no user namespace; others get one in which they are root, if the system permits it.
//!
//! Start with [`supervisor`]; then [`enter`] for processes inside regions, and [`control`] for what
//! a network can be asked while it is up.

pub mod address;
pub mod control;
pub mod enter;
mod error;
pub mod fault;
pub mod hold;
mod identity;
pub mod init;
pub mod keep;
mod message;
pub mod network;
pub(crate) mod own_way;
pub mod place;
pub mod probe;
pub mod program;
pub mod request;
pub mod supervisor;
mod sysctl;

pub use error::NetError;
pub use fault::{FaultChange, FaultRequest, LinkFault};
pub use keep::FabricReport;
pub use network::NetworkNamespace;
pub use place::Place;
pub use request::{Backend, NetRequest, NetState, RegionState};
pub use supervisor::Supervisor;

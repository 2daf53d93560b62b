//! Quorum modes: consensus on a log ([`raft`], [`paxos`]), and a register without a leader ([`register`]).

pub(crate) mod installed;
pub mod paxos;
pub mod raft;
pub mod register;
#[cfg(test)]
mod test_network;
#[cfg(test)]
mod test_suite;
pub mod timeouts;

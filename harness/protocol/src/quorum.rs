//! Quorum modes: consensus on a log ([`raft`]), and a register without a leader ([`register`]).

mod installed;
pub mod raft;
pub mod register;
#[cfg(test)]
mod test_network;
#[cfg(test)]
mod test_suite;
pub mod timeouts;

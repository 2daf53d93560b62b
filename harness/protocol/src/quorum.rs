//! Quorum modes.

mod installed;
pub mod paxos;
pub mod raft;
#[cfg(test)]
mod test_network;
#[cfg(test)]
mod test_suite;
pub mod timeouts;

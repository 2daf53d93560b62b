//! Quorum modes.

pub mod register;

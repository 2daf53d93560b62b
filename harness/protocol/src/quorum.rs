//! Quorum modes.

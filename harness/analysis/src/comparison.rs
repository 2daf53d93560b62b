//! What changed between runs.

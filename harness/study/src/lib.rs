//! What runs many runs: sweeps, searches, suites, and testing by simulation.
//!
//! It may call every other crate, and none but the root calls it. Nothing is in it yet.

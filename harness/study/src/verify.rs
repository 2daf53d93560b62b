//! Testing by simulation: random cases, run in virtual time, judged by what clients saw.
//!
//! A [`Case`] is all that one run depends on: topology, durability, sessions with their
//! operations, and faults. [`generate()`] draws one from a seed; [`run()`] carries it out on the
//! replicas of its mode; [`judge()`] holds the history against what the mode promises
//! ([`promises`]). Whatever breaks, heals: a run ends with a time without faults, in which
//! new operations must succeed (TigerBeetle's simulator calls the two halves safety and
//! liveness). Each seed lets only a random part of all kinds of fault happen (Groce, Zhang,
//! Eide, Chen and Regehr, "Swarm Testing", ISSTA 2012).
//!
//! What is found is made small by [`shrink()`] and kept as a file that repeats it exactly.
//!
//! Read in this order:
//!
//! 1. [`case`], [`generate`](mod@generate): what a case is and how one is drawn;
//! 2. [`promises`]: what each mode promises under which faults;
//! 3. [`run`](mod@run), with its clients and its audit;
//! 4. [`judge`](mod@judge), [`shrink`](mod@shrink);
//! 5. [`hunt`](mod@hunt): many seeds.

pub mod case;
mod clients;
pub mod counterexample;
pub mod diagram;
mod draws;
pub mod generate;
pub mod hunt;
pub mod judge;
mod panics;
pub mod promises;
pub mod run;
pub mod shrink;

pub use case::Case;
pub use counterexample::{Counterexample, Replay, guarantee_named, trace_text};
pub use diagram::diagram;
pub use generate::generate;
pub use hunt::{Caught, HuntOptions, HuntOutcome, Shipped, Subject, VerifyError, hunt};
pub use judge::{Finding, judge};
pub use run::{Carry, CaseRun, RunOptions, run};
pub use shrink::shrink;

//! Pure functions from a run record to metrics.
//!
//! Start at [`analyse`]: it turns one [`RunRecord`](longhaul_experiment::RunRecord) into a
//! [`Summary`], whose JSON is a published form with a schema, and the [`Curves`] that charts draw.
//!
//! 1. [`floor`]: the least latency that a message pattern can have, and its Monte Carlo;
//! 2. [`latency`]: percentiles over all operations due, and whole percentile curves;
//! 3. [`traffic`]: what a write sends over the WAN;
//! 4. [`warnings`]: what casts doubt on a run, and whether it may be published;
//! 5. [`summary`]: the form of the result; [`scenario`]: the run's order in it;
//! 6. [`checkers`]: from a history to a verdict on each guarantee;
//! 7. [`statistics`]: how sure a figure is, and whether the run had settled;
//! 8. [`comparison`]: what changed between runs, and whether that is more than allowed;
//! 9. [`capacity`]: how much load a mode takes, and up to which rate a limit holds.
//!
//! Nothing here reads a clock, a file or a socket.

mod analyse;
pub mod capacity;
pub mod checkers;
pub mod comparison;
pub mod floor;
pub mod latency;
pub mod scenario;
pub mod statistics;
pub mod summary;
pub mod traffic;
pub mod warnings;

#[cfg(test)]
mod synthetic;

pub use analyse::{Analysis, Curves, ModeCurves, RegionCurves, analyse};
pub use floor::{Route, floor, monte_carlo};
pub use latency::{Curve, CurvePoint, FloorStep, Percentile};
pub use summary::{ModeSummary, OperationSummary, RegionSummary, Summary};

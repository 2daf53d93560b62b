//! Figures of a run in the forms that other tools read; each says which it holds.

mod csv;
mod latex;
mod markdown;
mod openmetrics;
mod percentiles;

pub use csv::csv;
pub(crate) use csv::quoted;
pub use latex::latex;
pub(crate) use markdown::escaped;
pub use markdown::markdown;
pub use openmetrics::openmetrics;
pub use percentiles::{PercentileFile, percentiles};

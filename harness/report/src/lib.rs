//! Pure renderers from an analysis to what people read.
//!
//! 1. [`table()`]: the terminal's table;
//! 2. [`charts`]: each as SVG and PNG from one [`scene`]; [`chart`] holds their layouts and
//!    [`render`] the two outputs;
//! 3. [`html()`]: the report of a run, one page that needs nothing else;
//! 4. [`export`]: the figures in the forms of other tools;
//! 5. [`changes()`]: what changed between runs;
//! 6. [`sweep`]: latency against throughput, as table, chart and page;
//! 7. [`published`]: the index of published runs;
//! 8. [`space_time`]: who sent what to whom in one run, as SVG.
//!
//! Nothing here runs anything, reads a clock or writes a file.

mod changes;
pub mod chart;
pub mod export;
pub mod figures;
pub mod font;
pub mod html;
pub mod matrix;
pub mod overall;
pub mod published;
pub mod render;
pub mod scene;
pub mod space_time;
pub mod sweep;
pub mod table;

#[cfg(test)]
mod synthetic;

pub use changes::changes;
pub use chart::{Chart, charts, paper_charts};
pub use html::{html, sweep_html};
pub use matrix::matrix_table;
pub use sweep::{sweep_charts, sweep_table};
pub use table::{TableOptions, table};

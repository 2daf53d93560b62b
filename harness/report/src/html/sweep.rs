//! The page of a sweep.

use longhaul_analysis::capacity::Sweep;

/// Renders a sweep as one HTML page.
pub fn sweep_html(_sweep: &Sweep) -> String {
    String::new()
}

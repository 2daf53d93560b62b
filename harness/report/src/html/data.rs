//! What can be downloaded: it lies in the page itself.

use longhaul_analysis::Summary;
use maud::{Markup, html};

use super::inline::inert_json;
use crate::export;

/// Renders the section with the data of the page.
pub fn section(summary: &Summary) -> Markup {
    let json = serde_json::to_string(summary).unwrap_or_else(|_| "null".to_owned());
    let csv = serde_json::Value::String(export::csv(summary)).to_string();
    html! {
        section #data {
            h2 { "Data" }
            p.note {
                "The summary is the file summary.json beside this page, of a documented schema; it \
                 and the figures as one row each are also held in this page."
            }
            p.downloads hidden {
                button type="button" data-download="summary" { "Download summary.json" }
                button type="button" data-download="figures" { "Download figures.csv" }
            }
            script #summary type="application/json" { (inert_json(&json)) }
            script #figures-csv type="application/json" { (inert_json(&csv)) }
        }
    }
}

//! The report of a run: one HTML page that loads nothing, in light and dark, for screens of any
//! width and for paper.
//!
//! [`html`] builds it from parts: [`sentences`] computes the summary, [`inline`] draws charts that
//! answer a pointer, [`table`] is the table of all figures, [`trust`] the section on how far to
//! trust them, [`data`] what can be downloaded. Names come from profiles and scenarios of others:
//! whatever is written here is escaped by its type.

mod data;
mod inline;
mod sentences;
mod table;
mod trust;

use longhaul_analysis::{Analysis, Summary};
use longhaul_experiment::RunRecord;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use crate::chart::{Drawing, Run, Surroundings, drawings, page};
use inline::Palette;

pub use sentences::sentences;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// What the page may do: its own styles and scripts, nothing from anywhere else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

/// Renders the report of a run as one HTML page.
///
/// The page needs no network and no other file; without scripts it still shows everything but
/// sorting and the download. With `#selftest` in its address it tries its own controls and states
/// the result as the attribute `data-selftest` of the root element.
pub fn html(record: &RunRecord, analysis: &Analysis) -> String {
    let run = Run {
        record,
        analysis,
        surroundings: Surroundings::Elsewhere,
    };
    let mut palette = Palette::default();
    let figures: Vec<Markup> = drawings(&run)
        .iter()
        .map(|drawing| figure(drawing, &mut palette))
        .collect();
    let summary = &analysis.summary;
    let title = format!("{} on {}", summary.scenario.name, summary.scenario.profile);
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                title { (title) " · longhaul" }
                style { (PreEscaped(STYLE)) (PreEscaped(palette.css())) }
            }
            body {
                header {
                    div.bar {
                        p.brand { "longhaul" }
                        button #theme type="button" hidden { "Theme: system" }
                    }
                    h1 { (title) }
                    p.run { (page::what_was_run(summary)) }
                }
                main {
                    (warnings(summary))
                    section aria-label="Summary" {
                        @for sentence in sentences(&run) { p.sentence { (sentence) } }
                    }
                    nav aria-label="Sections" {
                        a href="#charts" { "Charts" }
                        a href="#figures" { "All figures" }
                        a href="#trust" { "How far to trust this" }
                        a href="#data" { "Data" }
                    }
                    section #charts {
                        @for figure in figures { (figure) }
                    }
                    (table::section(summary))
                    (trust::section(&run))
                    (data::section(summary))
                }
                div #tip role="status" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn figure(drawing: &Drawing, palette: &mut Palette) -> Markup {
    let svg = inline::svg(drawing, palette);
    markup! {
        figure id=(drawing.name) {
            h2 { (drawing.title) }
            figcaption { (drawing.reading) }
            div.scroll tabindex="0" { (svg) }
        }
    }
}

/// What casts doubt on the run, before anything else.
fn warnings(summary: &Summary) -> Markup {
    let warnings = |mode: &'_ longhaul_analysis::ModeSummary| -> Vec<(String, String)> {
        let named = |warning: &String| (mode.mode.clone(), warning.clone());
        mode.warnings.iter().map(named).collect()
    };
    let of_modes: Vec<(String, String)> = summary.modes.iter().flat_map(warnings).collect();
    markup! {
        @if !summary.unpublishable_because.is_empty() {
            div.alarm role="alert" {
                strong { "Not for publication" }
                ul { @for reason in &summary.unpublishable_because { li { (reason) } } }
            }
        }
        @if !summary.warnings.is_empty() || !of_modes.is_empty() {
            div.warnings role="note" {
                strong { "Warnings" }
                ul {
                    @for warning in &summary.warnings { li { (warning) } }
                    @for (mode, warning) in &of_modes { li { b { (mode) } ": " (warning) } }
                }
            }
        }
    }
}

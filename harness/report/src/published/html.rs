//! The index as one HTML page beside the folders of the runs.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{FIRST, Published};
use crate::html::STYLE;

/// What the page may do: its own styles, and the pictures beside it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:; \
                      base-uri 'none'; form-action 'none'";

/// What this page needs beyond the style of reports: pictures of charts have white paper.
const OWN_STYLE: &str = "figure img{display:block;width:100%;max-width:720px;height:auto;background:#fff;\
                         border-radius:6px}figure dl{margin-top:12px}";

/// Renders the index as HTML; paragraphs of the introduction are shown as plain text, with code
/// between backticks.
pub fn index_html(runs: &[Published], introduction: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                title { "Published runs · longhaul" }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body {
                header { div.bar { p.brand { "longhaul" } } h1 { "Published runs" } }
                main {
                    p.run { (FIRST) }
                    @for paragraph in introduction.split("\n\n").filter(|one| !one.trim().is_empty()) {
                        p { (with_code(paragraph)) }
                    }
                    nav aria-label="Runs" {
                        @for run in runs { a href=(format!("#{}", run.name)) { (run.name) } }
                    }
                    @for run in runs { (section(run)) }
                }
            }
        }
    };
    page.into_string()
}

fn section(run: &Published) -> Markup {
    let name = &run.name;
    let files = ["report.html", "table.txt", "summary.json"];
    html! {
        figure id=(name) {
            h2 { (name) }
            p.sentence { (run.sentence()) }
            @if let Some(chart) = run.main_chart("svg").or_else(|| run.main_chart("png")) {
                a href=(format!("{name}/report.html")) {
                    img src=(format!("{name}/{chart}")) loading="lazy"
                        alt="Latency by mode and client region";
                }
            }
            dl {
                @for (what, fact) in run.facts() { dt { (what) } dd { (fact) } }
                dt { "Command" }
                dd { code { (run.command()) } }
                dt { "Files" }
                dd {
                    @for file in files.into_iter().filter(|file| run.has(file)) {
                        a href=(format!("{name}/{file}")) { (file) } " "
                    }
                }
            }
        }
    }
}

fn with_code(paragraph: &str) -> Markup {
    let parts = paragraph.split('`').enumerate();
    html! {
        @for (number, part) in parts {
            @if number % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::published;
    use super::*;

    #[test]
    fn a_page_has_a_figure_per_run_and_hostile_text_is_inert() {
        let mut run = published("a");
        run.summary.environment.processor = "<script>alert(1)</script>".to_owned();
        run.summary.backend = longhaul_experiment::record::BackendKind::Local;
        let page = index_html(&[run, published("b")], "Plain `code`.\n\n<img src=x>");
        assert_eq!(page.matches("<figure").count(), 2);
        assert!(page.contains("<code>code</code>"));
        assert!(!page.contains("<script") && !page.contains("<img src=x"));
        assert!(page.contains("<img src=\"b/write-latency-grid.svg\""));
    }
}

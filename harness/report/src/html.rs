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
mod sweep;
mod table;
mod trust;

use longhaul_analysis::{Analysis, Summary};
use longhaul_experiment::RunRecord;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use crate::chart::{Drawing, Run, Surroundings, drawings, page};
use inline::Palette;

pub use sentences::sentences;
pub use sweep::sweep_html;

pub(crate) const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// Reasons and warnings that are shown at once; more are a click away, and on paper.
const REASONS_SHOWN: usize = 3;

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
    let reasons = &summary.unpublishable_because;
    let (first, further) = reasons.split_at(reasons.len().min(REASONS_SHOWN));
    markup! {
        @if !reasons.is_empty() {
            div.alarm role="alert" {
                strong { "Not for publication" }
                ul { @for reason in first { li { (reason) } } }
                @if !further.is_empty() {
                    details {
                        summary { (further.len()) " more reasons" }
                        ul { @for reason in further { li { (reason) } } }
                    }
                }
            }
        }
        @if !summary.warnings.is_empty() || !of_modes.is_empty() {
            div.warnings role="note" {
                strong { "Warnings" }
                ul { @for warning in &summary.warnings { li { (warning) } } }
                @if !of_modes.is_empty() {
                    details open[of_modes.len() <= REASONS_SHOWN] {
                        summary { (of_modes.len()) " about single modes" }
                        ul { @for (mode, warning) in &of_modes { li { b { (mode) } ": " (warning) } } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    const SHAPE: Shape = Shape {
        modes: 2,
        regions: 3,
        due: 1500,
        reads: 0.0,
        failures: 20,
    };

    /// A run of three regions with everything that charts can show.
    fn run() -> (RunRecord, Analysis) {
        let record = synthetic::repeated_record(&synthetic::record(SHAPE), 2, 3);
        let mut analysis = longhaul_analysis::analyse(&record);
        synthetic::add_accuracy(&mut analysis, &record);
        (record, analysis)
    }

    /// Returns how often each tag opens.
    fn opened(page: &str, tag: &str) -> usize {
        let start = format!("<{tag}");
        let tags = page.match_indices(&start);
        let ends = |at: usize| page[at + 1 + tag.len()..].starts_with([' ', '>']);
        tags.filter(|(at, _)| ends(*at)).count()
    }

    #[test]
    fn a_page_has_its_parts_and_asks_for_nothing_from_elsewhere() {
        let (record, mut analysis) = run();
        analysis.summary.unpublishable_because = vec!["the machine was 91% busy".to_owned()];
        let page = html(&record, &analysis);
        // Percentiles, regions, grid, distribution, over time; traffic, map, delays, lateness.
        assert_eq!(opened(&page, "figure"), 9);
        assert_eq!(opened(&page, "figcaption"), 9);
        assert_eq!(opened(&page, "script"), 3);
        for part in [
            "id=\"figures\"",
            "id=\"trust\"",
            "id=\"data\"",
            "<code>longhaul run</code>",
        ] {
            assert!(page.contains(part), "{part}");
        }
        let alarm = page.find("the machine was 91% busy").unwrap();
        assert!(alarm < page.find("<figure").unwrap());
        for from_elsewhere in ["src=", "href=\"http", "url(", "@import", "fetch("] {
            assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
        }
        // The figures of the first row stand in the table, and its median in a cell's mark.
        let writes = analysis.summary.modes[0].regions[0]
            .writes
            .as_ref()
            .unwrap();
        let median = writes.latency_ms.p50.unwrap();
        assert!(page.contains(&format!("data-v=\"{median}\"")));
        assert!(page.contains(&format!("p50 {median:.3} ms")));
    }

    #[test]
    fn hostile_names_are_inert() {
        const HOSTILE: &str = "</script><script>alert(1)</script>]]><img src=x onerror=alert(2)>\
                               \" ' `onmouseover=alert(3) javascript:alert(4) &lt; --> <!-- \u{2028}";
        let clean = {
            let (record, analysis) = run();
            html(&record, &analysis)
        };
        let (mut record, _) = run();
        let hostile = || HOSTILE.to_owned();
        record.scenario.name = hostile();
        let profile = &mut record.scenario.topology.profile;
        profile.name = hostile();
        profile.source.title = hostile();
        profile.source.method = hostile();
        for region in &mut profile.regions {
            (region.name, region.place) = (hostile(), hostile());
        }
        record.environment.command = vec![hostile()];
        record.environment.processor = hostile();
        for mode in &mut record.modes {
            mode.warnings = vec![hostile()];
            mode.mode.argument = Some(hostile());
        }
        let mut analysis = longhaul_analysis::analyse(&record);
        synthetic::add_accuracy(&mut analysis, &record);
        analysis.summary.calibration.scheduling = hostile();
        analysis.summary.unpublishable_because = vec![hostile()];
        let page = html(&record, &analysis);
        for tag in ["script", "img", "a", "button", "style", "figure"] {
            assert_eq!(opened(&page, tag), opened(&clean, tag), "{tag}");
        }
        assert_eq!(page.matches("</script>").count(), 3);
        assert!(!page.contains("<!--") && !page.contains("<img"));
        // Every attribute is still closed where it should be: no name brought one of its own.
        let text_of = |tag: &str| tag.contains("onerror=") || tag.contains("onmouseover=");
        for tag in page.split('<').skip(1) {
            let mut quoted = false;
            let outside: String = tag
                .chars()
                .take_while(|character| {
                    quoted ^= *character == '"';
                    quoted || *character != '>'
                })
                .scan(false, |quoted, character| {
                    *quoted ^= character == '"';
                    Some(if *quoted { ' ' } else { character })
                })
                .collect();
            assert!(!text_of(&outside), "<{tag}");
        }
        // The data still is what it was.
        let json = page
            .split("<script id=\"summary\" type=\"application/json\">")
            .nth(1)
            .unwrap();
        let json = json.split("</script>").next().unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(value["scenario"]["name"], HOSTILE);
    }

    #[test]
    fn an_empty_run_is_a_page() {
        let (mut record, _) = run();
        record.modes.clear();
        let analysis = longhaul_analysis::analyse(&record);
        let page = html(&record, &analysis);
        assert!(page.contains("No mode completed half of its operations"));
        assert!(page.ends_with("</html>"));
    }

    #[test]
    fn the_summary_names_the_fastest_and_what_did_not_succeed() {
        let (record, analysis) = run();
        let run = Run {
            record: &record,
            analysis: &analysis,
            surroundings: Surroundings::Elsewhere,
        };
        let sentences = sentences(&run);
        assert_eq!(sentences.len(), 3);
        // Raft waits for a majority, async for its leader alone.
        assert!(
            sentences[0].contains("ms in leader-follower:async and"),
            "{sentences:?}"
        );
        assert!(sentences[0].contains("in quorum:raft"), "{sentences:?}");
        // 20 of 1000 operations of the second mode fail: 30 of 1500 in each of 3 regions.
        assert!(
            sentences[1].contains("90 of 9000 writes due did not succeed, 90 of them in leader-"),
            "{sentences:?}"
        );
        assert!(sentences[2].contains("virtual time"), "{sentences:?}");
    }
}

//! The table of all figures, which readers sort and filter.

use longhaul_analysis::{Percentile, Summary};
use maud::{Markup, html};

use crate::figures::{NO_SUCCESS, Row, rows};

/// Renders the section.
pub fn section(summary: &Summary) -> Markup {
    let rows = rows(summary);
    let marked = rows.iter().any(|row| {
        let unsupported = |percentile: &Percentile| row.is_unsupported(*percentile);
        Percentile::ALL.iter().any(unsupported)
    });
    html! {
        section #figures {
            h2 { "All figures" }
            p.note {
                "Latencies in milliseconds, from the instant an operation was due. “All due” ranks \
                 operations that did not succeed above every success; “service time” counts from \
                 the instant sent. Click a heading to sort."
                @if marked { " * fewer than 10 operations beyond: do not compare." }
            }
            p.filter hidden { label { "Show rows with " input #filter type="search"; } }
            div.scroll.wide tabindex="0" {
                table #all {
                    thead { tr {
                        @for heading in ["mode", "clients in", "operations", "ranked"] {
                            th scope="col" { (heading) }
                        }
                        @for heading in ["floor", "p50 − floor"] { th.n scope="col" { (heading) } }
                        @for percentile in Percentile::ALL { th.n scope="col" { (percentile.label()) } }
                        @for heading in ["max", "mean", "due", "succeeded", "per second"] {
                            th.n scope="col" { (heading) }
                        }
                    } }
                    tbody { @for row in &rows { (row_markup(row)) } }
                }
            }
        }
    }
}

fn row_markup(row: &Row<'_>) -> Markup {
    let (summary, latency) = (row.summary, row.latency());
    html! {
        tr {
            th scope="row" { (row.mode) }
            td { (row.region) }
            td { (row.operations) }
            td { (row.basis.name()) }
            (figure(row.floor_ms(), 2))
            (figure(row.p50_minus_floor_ms(), 2))
            @for percentile in Percentile::ALL {
                (latency_cell(latency.at(percentile), row.is_unsupported(percentile), row.ranked()))
            }
            (latency_cell(latency.max, false, row.ranked()))
            (figure(latency.mean, 2))
            td.n data-v=(summary.due) { (summary.due) }
            td.n data-v=(summary.ok) { (summary.ok) }
            (figure(Some(summary.goodput_ops), 1))
        }
    }
}

/// A latency: beyond every success where it has none, and last when sorted.
fn latency_cell(value: Option<f64>, unsupported: bool, ranked: u64) -> Markup {
    match value {
        Some(value) => html! {
            td.n.few[unsupported] data-v=(value) {
                (format!("{value:.2}")) @if unsupported { "*" }
            }
        },
        None if ranked > 0 => html! { td.n data-v="1e300" { (NO_SUCCESS) } },
        None => figure(None, 0),
    }
}

fn figure(value: Option<f64>, decimals: usize) -> Markup {
    match value {
        Some(value) => html! { td.n data-v=(value) { (format!("{value:.decimals$}")) } },
        None => html! { td.n data-v="-1e300" { "–" } },
    }
}

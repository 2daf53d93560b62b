//! Markdown tables (GitHub's form), one a sort of operations.

use std::fmt::Write as _;

use longhaul_analysis::{Percentile, Summary};

use crate::chart::axis::short;
use crate::chart::page;
use crate::figures::{Basis, NO_SUCCESS, Row, rows};

/// Renders the latencies of all operations due as Markdown tables, writes first.
pub fn markdown(summary: &Summary) -> String {
    let mut text = format!(
        "{}, backend {}, seed {}, longhaul {}.\n",
        escaped(&page::what_was_run(summary)),
        summary.backend.name(),
        summary.seed,
        escaped(&summary.environment.longhaul_version)
    );
    for reason in &summary.unpublishable_because {
        let _ = write!(text, "\n**Not for publication:** {}.\n", escaped(reason));
    }
    let rows = rows(summary);
    let mut marked = false;
    for (operations, rows) in by_operations(&rows) {
        let _ = write!(
            text,
            "\nLatency of {operations}, ms\n\n\
             | mode | clients in | due | p50 | p90 | p99 | p99.9 | floor | p50 − floor |\n\
             | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        );
        for row in rows {
            let cells: Vec<String> = SHOWN.iter().map(|one| latency(row, *one)).collect();
            marked |= SHOWN.iter().any(|one| row.is_unsupported(*one));
            let figure = |value: Option<f64>| value.map_or("–".to_owned(), short);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                escaped(row.mode),
                escaped(row.region),
                row.summary.due,
                cells.join(" | "),
                figure(row.floor_ms()),
                figure(row.p50_minus_floor_ms())
            );
        }
    }
    if marked {
        text.push_str("\n\\* fewer than 10 operations beyond: do not compare.\n");
    }
    text
}

/// The percentiles that fit a page.
pub(super) const SHOWN: [Percentile; 4] = [
    Percentile::P50,
    Percentile::P90,
    Percentile::P99,
    Percentile::P999,
];

/// Returns the rows that rank all operations due, by sort of operations, in order of appearance.
pub(super) fn by_operations<'r, 'a>(rows: &'r [Row<'a>]) -> Vec<(&'a str, Vec<&'r Row<'a>>)> {
    let mut groups: Vec<(&str, Vec<&Row<'_>>)> = Vec::new();
    for row in rows.iter().filter(|row| row.basis == Basis::Due) {
        match groups.iter_mut().find(|(name, _)| *name == row.operations) {
            Some((_, group)) => group.push(row),
            None => groups.push((row.operations, vec![row])),
        }
    }
    groups
}

fn latency(row: &Row<'_>, percentile: Percentile) -> String {
    let mark = if row.is_unsupported(percentile) {
        "\\*"
    } else {
        ""
    };
    match row.latency().at(percentile) {
        Some(value) => short(value) + mark,
        None => NO_SUCCESS.replace('>', "&gt;"),
    }
}

/// Returns text that Markdown and the HTML in it leave as it is.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push(' '),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn a_table_has_a_row_per_mode_and_region_and_marks_what_rests_on_too_few() {
        let record = synthetic::record(Shape {
            modes: 2,
            regions: 2,
            due: 300,
            reads: 0.5,
            failures: 0,
        });
        let text = markdown(&longhaul_analysis::analyse(&record).summary);
        assert_eq!(
            text.matches("| quorum:raft | us-west-2 | 150 |").count(),
            2,
            "{text}"
        );
        assert!(text.contains("Latency of reads, ms"));
        // p99 of 150: 1.5 operations lie beyond.
        assert!(text.contains("\\*"), "{text}");
    }

    #[test]
    fn hostile_names_are_plain_text() {
        let text = escaped("<script>|[x](javascript:1)\n`");
        assert_eq!(text, "&lt;script&gt;\\|\\[x\\](javascript:1) \\`");
    }
}

//! LaTeX tables for the booktabs package.

use std::fmt::Write as _;

use longhaul_analysis::{Percentile, Summary};

use super::markdown::{SHOWN, by_operations};
use crate::chart::axis::short;
use crate::figures::{NO_SUCCESS, Row, rows};

/// Renders the latencies of all operations due as LaTeX tables, one a sort of operations, whose
/// captions say what was run. They need `\usepackage{booktabs}`.
pub fn latex(summary: &Summary) -> String {
    let mut text = String::from("% Needs \\usepackage{booktabs}.\n");
    let rows = rows(summary);
    let scenario = &summary.scenario;
    for (operations, rows) in by_operations(&rows) {
        let marked = rows
            .iter()
            .any(|row| SHOWN.iter().any(|one| row.is_unsupported(*one)));
        let mark = if marked {
            " $^{*}$: fewer than 10 operations beyond."
        } else {
            ""
        };
        let doubt = match summary.unpublishable_because.first() {
            Some(reason) => format!(" Not for publication: {}.", escaped(reason)),
            None => String::new(),
        };
        let _ = write!(
            text,
            "\\begin{{table}}\n\\centering\n\\caption{{Latency of {} in milliseconds, all \
             operations due: scenario {} on {}, backend {}, seed {}, longhaul {}.{doubt}{mark}}}\n\
             \\begin{{tabular}}{{llrrrrrr}}\n\\toprule\n\
             mode & clients in & p50 & p90 & p99 & p99.9 & floor & p50 $-$ floor \\\\\n\\midrule\n",
            escaped(operations),
            escaped(&scenario.name),
            escaped(&scenario.profile),
            summary.backend.name(),
            summary.seed,
            escaped(&summary.environment.longhaul_version),
        );
        for row in rows {
            let cells: Vec<String> = SHOWN.iter().map(|one| latency(row, *one)).collect();
            let figure = |value: Option<f64>| value.map_or("--".to_owned(), short);
            let _ = writeln!(
                text,
                "{} & {} & {} & {} & {} \\\\",
                escaped(row.mode),
                escaped(row.region),
                cells.join(" & "),
                figure(row.floor_ms()),
                figure(row.p50_minus_floor_ms())
            );
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n\\end{table}\n");
    }
    text
}

fn latency(row: &Row<'_>, percentile: Percentile) -> String {
    let mark = if row.is_unsupported(percentile) {
        "$^{*}$"
    } else {
        ""
    };
    match row.latency().at(percentile) {
        Some(value) => short(value) + mark,
        None => NO_SUCCESS.replace('>', "$>$"),
    }
}

/// Returns text in which LaTeX sees no command.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '\n' | '\r' => escaped.push(' '),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
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
    fn every_row_has_eight_cells_and_names_hold_no_commands() {
        let record = synthetic::record(Shape {
            modes: 2,
            regions: 2,
            due: 300,
            reads: 0.0,
            failures: 100,
        });
        let mut summary = longhaul_analysis::analyse(&record).summary;
        summary.scenario.name = "50%_\\input{x}".to_owned();
        let text = latex(&summary);
        let rows = text.lines().filter(|line| line.ends_with("\\\\"));
        assert!(
            rows.clone().all(|line| line.matches(" & ").count() == 7),
            "{text}"
        );
        // The heading, and two modes in two regions.
        assert_eq!(rows.count(), 5);
        assert!(text.contains("50\\%\\_\\textbackslash{}input\\{x\\}"));
        assert!(text.contains("$>$ time-out"), "{text}");
    }
}

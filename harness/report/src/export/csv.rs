//! Tidy CSV: one row a figure, after RFC 4180.

use longhaul_analysis::{Percentile, Summary};

use crate::figures::{Basis, Row, rows};

const HEADER: &str = "mode,region,operations,ranked,figure,value,unit,too_few\n";

/// Renders the figures of every row and the WAN traffic of every mode of a summary as CSV with the columns `mode`, `region`, `operations`,
/// `ranked`, `figure`, `value`, `unit` and `too_few`.
///
/// A figure of the whole mode has the region `*`. A value is empty where a percentile falls among
/// operations that did not succeed; `too_few` is `true` for percentiles with fewer than 10
/// operations beyond them. Names that a spreadsheet would take for a formula get a leading `'`.
pub fn csv(summary: &Summary) -> String {
    let mut table = Table {
        text: HEADER.to_owned(),
    };
    for row in rows(summary) {
        table.row(&row);
    }
    for mode in &summary.modes {
        let wan = &mode.wan;
        let figures = [
            ("goodput", Some(mode.goodput_ops), "operations/s"),
            ("wan_messages_per_write", wan.messages_per_write, "messages"),
            ("wan_bytes_per_write", wan.bytes_per_write, "bytes"),
            (
                "wan_client_messages_per_write",
                wan.client_messages_per_write,
                "messages",
            ),
            (
                "wan_client_bytes_per_write",
                wan.client_bytes_per_write,
                "bytes",
            ),
        ];
        for (figure, value, unit) in figures {
            let key = [mode.mode.as_str(), "*", "all", ""];
            table.figure(
                key,
                figure,
                Cell {
                    value,
                    unit,
                    too_few: false,
                },
            );
        }
    }
    table.text
}

struct Cell {
    value: Option<f64>,
    unit: &'static str,
    too_few: bool,
}

struct Table {
    text: String,
}

impl Table {
    fn row(&mut self, row: &Row<'_>) {
        let key = [row.mode, row.region, row.operations, row.basis.name()];
        let plain = |value: Option<f64>, unit| Cell {
            value,
            unit,
            too_few: false,
        };
        let (one, latency) = (row.summary, row.latency());
        for percentile in Percentile::ALL {
            let cell = Cell {
                too_few: row.is_unsupported(percentile),
                ..plain(latency.at(percentile), "ms")
            };
            self.figure(key, percentile.label(), cell);
        }
        self.figure(key, "max", plain(latency.max, "ms"));
        self.figure(key, "mean", plain(latency.mean, "ms"));
        if row.basis != Basis::Due {
            return;
        }
        let counts = [
            ("due", one.due),
            ("ok", one.ok),
            ("failed", one.failed),
            ("unknown", one.unknown),
        ];
        for (name, count) in counts {
            self.figure(key, name, plain(Some(count as f64), "operations"));
        }
        self.figure(key, "goodput", plain(Some(one.goodput_ops), "operations/s"));
        self.figure(key, "floor", plain(one.floor_ms, "ms"));
        let figures = [
            ("p50_minus_floor", one.p50_minus_floor_ms),
            ("p99_minus_floor", one.p99_minus_floor_ms),
        ];
        for (name, value) in figures {
            self.figure(key, name, plain(value, "ms"));
        }
    }

    fn figure(&mut self, key: [&str; 4], figure: &str, cell: Cell) {
        let value = cell.value.map_or(String::new(), |value| value.to_string());
        let mut fields: Vec<String> = key.into_iter().map(quoted).collect();
        fields.extend([
            quoted(figure),
            value,
            quoted(cell.unit),
            cell.too_few.to_string(),
        ]);
        self.text.push_str(&fields.join(","));
        self.text.push('\n');
    }
}

/// Returns a field of text: quoted where it must be, and never a formula.
pub(crate) fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn every_row_has_eight_fields_and_the_figures_of_the_summary() {
        let record = synthetic::record(Shape {
            modes: 2,
            regions: 2,
            due: 300,
            reads: 0.0,
            failures: 100,
        });
        let summary = longhaul_analysis::analyse(&record).summary;
        let csv = csv(&summary);
        assert!(
            csv.lines().all(|line| line.matches(',').count() == 7),
            "{csv}"
        );
        let writes = summary.modes[0].regions[0].writes.as_ref().unwrap();
        let median = writes.latency_ms.p50.unwrap();
        let wanted = format!("quorum:raft,us-east-1,writes,all due,p50,{median},ms,false");
        assert!(csv.contains(&wanted), "{csv}");
        // 30 of 300 did not succeed: p99 of all due falls among them, and 3 lie beyond it.
        assert!(csv.contains("leader-follower:async,us-west-2,writes,all due,p99,,ms,true"));
        assert!(
            csv.contains("leader-follower:async,us-west-2,writes,all due,due,300,operations,false")
        );
    }

    #[test]
    fn names_are_quoted_and_are_never_formulas() {
        assert_eq!(quoted("a,b\"c"), "\"a,b\"\"c\"");
        assert_eq!(quoted("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(quoted("quorum:raft"), "quorum:raft");
    }
}

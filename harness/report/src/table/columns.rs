//! Rows of figures, and which of their columns fit a width.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, Table, Width};
use longhaul_analysis::latency::LatencyMs;
use longhaul_analysis::{OperationSummary, Percentile};

use crate::figures::NO_SUCCESS;

/// A column of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Due,
    Ok,
    Failed,
    Unknown,
    Goodput,
    P50,
    P90,
    P99,
    P999,
    Max,
    Floor,
    OverFloor,
}

impl Column {
    const ALL: [Column; 12] = [
        Column::Due,
        Column::Ok,
        Column::Failed,
        Column::Unknown,
        Column::Goodput,
        Column::P50,
        Column::P90,
        Column::P99,
        Column::P999,
        Column::Max,
        Column::Floor,
        Column::OverFloor,
    ];

    const fn header(self) -> &'static str {
        match self {
            Column::Due => "due",
            Column::Ok => "ok",
            Column::Failed => "failed",
            Column::Unknown => "unknown",
            Column::Goodput => "ok/s",
            Column::P50 => "p50",
            Column::P90 => "p90",
            Column::P99 => "p99",
            Column::P999 => "p99.9",
            Column::Max => "max",
            Column::Floor => "floor",
            Column::OverFloor => "p50-floor",
        }
    }

    const fn is_count(self) -> bool {
        matches!(
            self,
            Column::Due | Column::Ok | Column::Failed | Column::Unknown | Column::Goodput
        )
    }
}

/// A row: its label and one cell per column, empty where it has none.
#[derive(Clone, Debug)]
pub struct Row {
    label: String,
    cells: [String; Column::ALL.len()],
    all_succeeded: bool,
}

impl Row {
    /// Returns the row of headline figures: percentiles over all operations due.
    pub fn latency(label: &str, operations: &OperationSummary) -> Row {
        let mut row = Row::of_latencies(label, operations, &operations.latency_ms);
        row.set(Column::Due, operations.due.to_string());
        row.set(Column::Ok, operations.ok.to_string());
        row.set(Column::Failed, operations.failed.to_string());
        row.set(Column::Unknown, operations.unknown.to_string());
        row.set(Column::Goodput, format!("{:.1}", operations.goodput_ops));
        let figure =
            |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
        row.set(Column::Floor, figure(operations.floor_ms));
        row.set(Column::OverFloor, figure(operations.p50_minus_floor_ms));
        row.all_succeeded = operations.ok == operations.due;
        row
    }

    /// Returns the row of percentiles of the successes alone.
    pub fn of_successes(label: &str, operations: &OperationSummary) -> Row {
        Row::of_latencies(label, operations, &operations.success_latency_ms)
    }

    /// Returns the row of service times.
    pub fn service_time(label: &str, operations: &OperationSummary) -> Row {
        Row::of_latencies(label, operations, &operations.service_time_ms)
    }

    fn of_latencies(label: &str, operations: &OperationSummary, latency: &LatencyMs) -> Row {
        let mut row = Row {
            label: label.to_owned(),
            cells: Default::default(),
            all_succeeded: true,
        };
        for (column, percentile) in [
            (Column::P50, Percentile::P50),
            (Column::P90, Percentile::P90),
            (Column::P99, Percentile::P99),
            (Column::P999, Percentile::P999),
        ] {
            let too_few = operations.too_few.contains(&percentile);
            row.set(column, latency_cell(latency.at(percentile), too_few));
        }
        row.set(Column::Max, latency_cell(latency.max, false));
        row
    }

    /// Says whether a figure in it is marked.
    pub fn has_too_few(&self) -> bool {
        self.cells.iter().any(|cell| cell.ends_with('*'))
    }

    /// Says whether a figure in it falls among operations that did not succeed.
    pub fn has_no_success(&self) -> bool {
        self.cells.iter().any(|cell| cell.starts_with(NO_SUCCESS))
    }

    fn set(&mut self, column: Column, text: String) {
        self.cells[column as usize] = text;
    }

    fn cell(&self, column: Column) -> &str {
        &self.cells[column as usize]
    }
}

/// A latency; the last character is the mark or a space, so that figures stay aligned.
fn latency_cell(latency_ms: Option<f64>, too_few: bool) -> String {
    let mark = if too_few { '*' } else { ' ' };
    match latency_ms {
        Some(latency_ms) => format!("{latency_ms:.2}{mark}"),
        None => NO_SUCCESS.to_owned(),
    }
}

/// Which columns are shown, in which tables, how wide.
#[derive(Clone, Debug)]
pub struct Layout {
    label_width: usize,
    /// One or two tables, one below the other, with the width of each column.
    tables: Vec<Vec<(Column, usize)>>,
}

impl Layout {
    /// Between columns.
    const GAP: usize = 2;

    /// Returns the richest layout of these rows that fits a width.
    ///
    /// Columns are left out in this order: failed and unknown when all are zero, p90, ok when it
    /// equals due. When that is not enough, counts get a table of their own.
    pub fn fitting<'a>(rows: impl Iterator<Item = &'a Row> + Clone, width: usize) -> Layout {
        let all_succeeded = rows.clone().all(|row| row.all_succeeded);
        let label_width = rows.clone().map(|row| row.label.chars().count());
        let label_width = label_width.max().unwrap_or(0).max("writes from".len());
        let shown = |hidden: &[Column]| -> Vec<(Column, usize)> {
            let columns = Column::ALL.into_iter();
            let columns = columns.filter(|column| !hidden.contains(column));
            columns
                .map(|column| (column, column_width(column, rows.clone())))
                .collect()
        };
        let zero: &[Column] = if all_succeeded {
            &[Column::Failed, Column::Unknown]
        } else {
            &[]
        };
        let same: &[Column] = if all_succeeded { &[Column::Ok] } else { &[] };
        let steps = [
            Vec::new(),
            zero.to_vec(),
            [zero, &[Column::P90]].concat(),
            [zero, &[Column::P90], same].concat(),
        ];
        let fits = |columns: &Vec<(Column, usize)>| total(label_width, columns) <= width;
        let tables = match steps.iter().map(|hidden| shown(hidden)).find(fits) {
            Some(columns) => vec![columns],
            None => {
                let (counts, mut latencies): (Vec<_>, Vec<_>) = shown(&[])
                    .into_iter()
                    .partition(|(column, _)| column.is_count());
                if !fits(&latencies) {
                    latencies.retain(|(column, _)| *column != Column::P90);
                }
                vec![latencies, counts]
            }
        };
        Layout {
            label_width,
            tables,
        }
    }

    /// Returns the lines of one block of rows.
    pub fn render(&self, header: &str, rows: &[Row]) -> Vec<String> {
        let mut lines = Vec::new();
        let all_succeeded = rows.iter().all(|row| row.all_succeeded);
        for (index, columns) in self.tables.iter().enumerate() {
            // Counts that say nothing but that all succeeded need no table of their own.
            if index > 0 && all_succeeded {
                continue;
            }
            let mut table = Table::new();
            table.load_style(NOTHING);
            let mut head = vec![header];
            head.extend(columns.iter().map(|(column, _)| column.header()));
            table.set_header(head);
            for row in rows {
                let cells = columns.iter().map(|(column, _)| row.cell(*column));
                // Rows without counts have nothing to say in a table of counts.
                let mut cells = cells.peekable();
                let blank = columns
                    .iter()
                    .all(|(column, _)| row.cell(*column).is_empty());
                if !blank && cells.peek().is_some() {
                    table.add_row(std::iter::once(row.label.as_str()).chain(cells));
                }
            }
            self.align(&mut table, columns);
            let mut rendered = table.lines().map(|line| line.trim_end().to_owned());
            lines.extend(rendered.next());
            lines.push("─".repeat(total(self.label_width, columns)));
            lines.extend(rendered);
        }
        lines
    }

    fn align(&self, table: &mut Table, columns: &[(Column, usize)]) {
        let widths = std::iter::once(self.label_width).chain(columns.iter().map(|one| one.1));
        for (index, (width, column)) in widths.zip(table.column_iter_mut()).enumerate() {
            let gap = if index == 0 { 0 } else { Layout::GAP };
            column.set_padding((gap as u16, 0));
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(
                (width + gap) as u16,
            )));
            if index > 0 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
}

fn column_width<'a>(column: Column, rows: impl Iterator<Item = &'a Row>) -> usize {
    rows.map(|row| row.cell(column).chars().count())
        .max()
        .unwrap_or(0)
        .max(column.header().len())
}

fn total(label_width: usize, columns: &[(Column, usize)]) -> usize {
    let figures: usize = columns.iter().map(|(_, width)| width + Layout::GAP).sum();
    label_width + figures
}

//! The terminal's table: a block per mode, a row per client region.
//!
//! [`columns`] holds the rows and fits their columns to the width; this file holds what stands
//! around them.

mod columns;

use longhaul_analysis::{Analysis, ModeSummary, OperationSummary, RegionSummary, Summary};

use crate::chart::page;
use crate::figures::NO_SUCCESS;
use columns::{Layout, Row};

/// How a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// The terminal's width in characters; below 72 lines may be longer.
    pub width: usize,
    /// Whether to use ANSI colours.
    pub colour: bool,
    /// Whether to add a row with the service time, from the instant sent, below each latency.
    pub service_time: bool,
}

impl Default for TableOptions {
    /// Returns 100 characters without colours and service times.
    fn default() -> TableOptions {
        TableOptions {
            width: 100,
            colour: false,
            service_time: false,
        }
    }
}

/// A mode's rows of one sort, under one header.
struct Block {
    header: &'static str,
    rows: Vec<Row>,
}

/// Renders an analysis as text that ends with a line break.
pub fn table(analysis: &Analysis, options: &TableOptions) -> String {
    let summary = &analysis.summary;
    let blocks: Vec<Vec<Block>> = summary
        .modes
        .iter()
        .map(|mode| blocks(mode, options))
        .collect();
    let rows = blocks.iter().flatten().flat_map(|block| &block.rows);
    let layout = Layout::fitting(rows, options.width);
    let mut page = Page {
        text: String::new(),
        options,
    };
    page.wrapped("", &what_was_run(summary));
    for (mode, blocks) in summary.modes.iter().zip(&blocks) {
        page.mode(mode);
        for block in blocks {
            page.lines(&layout.render(block.header, &block.rows));
        }
        for warning in &mode.warnings {
            page.warning(warning);
        }
    }
    page.legend(&blocks);
    for warning in &summary.warnings {
        page.warning(warning);
    }
    for reason in &summary.unpublishable_because {
        page.warning(&format!("not for publication: {reason}"));
    }
    page.text
}

fn what_was_run(summary: &Summary) -> String {
    let scenario = &summary.scenario;
    format!(
        "longhaul {}, scenario {}, profile {}, backend {}, seed {}: {}, measured for {} s; \
         replicas in {}",
        summary.environment.longhaul_version,
        scenario.name,
        scenario.profile,
        summary.backend.name(),
        summary.seed,
        page::load(&scenario.workload),
        scenario.measured_s,
        scenario.replicas.join(", "),
    )
}

fn blocks(mode: &ModeSummary, options: &TableOptions) -> Vec<Block> {
    type Pick = fn(&RegionSummary) -> Option<&OperationSummary>;
    let sorts: [(&'static str, Pick); 2] = [
        ("writes from", |region| region.writes.as_ref()),
        ("reads from", |region| region.reads.as_ref()),
    ];
    let block = |(header, pick): (&'static str, Pick)| {
        let mut rows = Vec::new();
        for region in &mode.regions {
            let Some(operations) = pick(region) else {
                continue;
            };
            rows.extend(rows_of(&region.region, operations, options));
            let kinds = region.by_kind.iter().flatten();
            if header == "writes from" {
                let further = kinds.filter(|(kind, _)| kind.as_str() != "read");
                rows.extend(further.map(|(kind, one)| Row::latency(&format!("  {kind}"), one)));
            }
        }
        (!rows.is_empty()).then_some(Block { header, rows })
    };
    sorts.into_iter().filter_map(block).collect()
}

/// The rows of one region: latency of all due; of the successes alone where any did not succeed;
/// service time when asked for.
fn rows_of(label: &str, operations: &OperationSummary, options: &TableOptions) -> Vec<Row> {
    let mut rows = vec![Row::latency(label, operations)];
    if operations.ok < operations.due {
        rows.push(Row::of_successes("  successes", operations));
    }
    if options.service_time {
        rows.push(Row::service_time("  service", operations));
    }
    rows
}

struct Page<'a> {
    text: String,
    options: &'a TableOptions,
}

impl Page<'_> {
    fn mode(&mut self, mode: &ModeSummary) {
        self.text.push('\n');
        let name = self.painted("1", &mode.mode);
        self.text.push_str(&name);
        self.text.push('\n');
        let operations = || {
            let regions = mode.regions.iter();
            regions.flat_map(|region| region.operations().map(|(_, one)| one))
        };
        let due: u64 = operations().map(|one| one.due).sum();
        let ok: u64 = operations().map(|one| one.ok).sum();
        let share = if ok == due {
            format!("all {due} due succeeded")
        } else {
            format!("{ok} of {due} due succeeded")
        };
        let mut facts = vec![format!(
            "goodput {:.1} operations/s, {share}",
            mode.goodput_ops
        )];
        match mode.leaders.as_slice() {
            [] => facts.push("no leader".to_owned()),
            [leader] => facts.push(format!("leader {}", leader.region)),
            leaders => facts.push(format!(
                "leaders {}",
                leaders
                    .iter()
                    .map(|leader| format!("{} from {:.1} s", leader.region, leader.at_s))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
        if let (Some(messages), Some(bytes)) =
            (mode.wan.messages_per_write, mode.wan.bytes_per_write)
        {
            facts.push(format!(
                "WAN per write {messages:.1} messages, {} between replicas",
                short_bytes(bytes)
            ));
        }
        if let (Some(messages), Some(bytes)) = (
            mode.wan.client_messages_per_write,
            mode.wan.client_bytes_per_write,
        ) {
            facts.push(format!(
                "{messages:.1}, {} with clients",
                short_bytes(bytes)
            ));
        }
        let total = |count: fn(&RegionSummary) -> u64| mode.regions.iter().map(count).sum::<u64>();
        let redirects = total(|region| region.redirects);
        if redirects > 0 {
            facts.push(format!("{redirects} redirects"));
        }
        if let Some(load) = &mode.load
            && load.attempts > 1
        {
            facts.push(format!("attempt {}", load.attempts));
        }
        self.wrapped("  ", &facts.join("; "));
    }

    fn lines(&mut self, lines: &[String]) {
        for line in lines {
            let line = if self.options.colour {
                line.replace(NO_SUCCESS, &self.painted("31", NO_SUCCESS))
            } else {
                line.clone()
            };
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// Explains the units and the marks that occur.
    fn legend(&mut self, blocks: &[Vec<Block>]) {
        let mut notes = vec![
            "Latency in ms, from the instant each operation was due; floor: the least that the \
             mode's own messages can take.",
        ];
        let rows = || blocks.iter().flatten().flat_map(|block| &block.rows);
        if rows().any(Row::has_too_few) {
            notes.push("* fewer than 10 operations beyond: do not compare.");
        }
        if rows().any(Row::has_no_success) {
            notes.push("> time-out: among operations that did not succeed.");
        }
        self.text.push('\n');
        self.wrapped("", &notes.join(" "));
    }

    fn warning(&mut self, warning: &str) {
        let start = self.text.len();
        self.wrapped("  ", &format!("warning: {warning}"));
        if self.options.colour {
            let lines = self.text.split_off(start);
            self.text
                .push_str(&self.painted("33", lines.trim_end_matches('\n')));
            self.text.push('\n');
        }
    }

    /// Adds a text broken at spaces; further lines are indented by `indent`.
    fn wrapped(&mut self, indent: &str, text: &str) {
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.trim().is_empty()
                && line.chars().count() + 1 + word.chars().count() > self.options.width
            {
                self.text.push_str(&line);
                self.text.push('\n');
                line = indent.to_owned();
            }
            if !line.trim().is_empty() {
                line.push(' ');
            } else if line.is_empty() && !text.starts_with("warning") {
                line.push_str(indent);
            }
            line.push_str(word);
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.options.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn short_bytes(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1000.0 => format!("{bytes:.0} B"),
        bytes if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        bytes => format!("{:.1} MB", bytes / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    const SHAPE: Shape = Shape {
        modes: 3,
        regions: 3,
        due: 6000,
        reads: 0.0,
        failures: 0,
    };

    fn analysed(shape: Shape) -> Analysis {
        longhaul_analysis::analyse(&synthetic::record(shape))
    }

    fn at_width(analysis: &Analysis, width: usize) -> String {
        let options = TableOptions {
            width,
            ..TableOptions::default()
        };
        let text = table(analysis, &options);
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
            assert_eq!(line.trim_end(), line);
        }
        text
    }

    #[test]
    fn a_healthy_run_at_100_columns() {
        insta::assert_snapshot!(at_width(&analysed(SHAPE), 100));
    }

    #[test]
    fn a_healthy_run_at_80_columns() {
        insta::assert_snapshot!(at_width(&analysed(SHAPE), 80));
    }

    #[test]
    fn a_run_with_failures_and_reads_at_100_columns() {
        let shape = Shape {
            reads: 0.5,
            failures: 30,
            ..SHAPE
        };
        insta::assert_snapshot!(at_width(&analysed(shape), 100));
    }

    #[test]
    fn a_run_with_failures_at_80_columns() {
        let shape = Shape {
            failures: 600,
            ..SHAPE
        };
        insta::assert_snapshot!(at_width(&analysed(shape), 80));
    }

    #[test]
    fn a_wide_terminal_shows_every_column() {
        insta::assert_snapshot!(at_width(&analysed(SHAPE), 130));
    }

    #[test]
    fn nineteen_regions_and_twelve_modes_keep_to_the_width() {
        let shape = Shape {
            failures: 100,
            reads: 0.2,
            ..SHAPE
        };
        let analysis = synthetic::repeated(analysed(shape), 12, 19);
        at_width(&analysis, 80);
        at_width(&analysis, 100);
    }

    #[test]
    fn service_time_is_a_row_beside_latency_and_colours_change_no_width() {
        let options = TableOptions {
            service_time: true,
            colour: true,
            ..TableOptions::default()
        };
        let text = table(&analysed(SHAPE), &options);
        assert_eq!(text.matches("  service").count(), 9);
        assert!(text.contains("\u{1b}[1mquorum:raft\u{1b}[0m"));
    }

    #[test]
    fn an_analysis_without_modes_is_a_table() {
        let mut analysis = analysed(SHAPE);
        analysis.summary.modes.clear();
        analysis.curves.modes.clear();
        assert!(table(&analysis, &TableOptions::default()).contains("scenario default"));
    }
}

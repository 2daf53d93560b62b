//! The terminal's table of a sweep.

use std::fmt::Write as _;

use longhaul_analysis::capacity::{Knee, Sweep, SweepMode, SweepPoint, short_rate};
use longhaul_experiment::record::BackendKind;

use super::{origin, what_was_swept};
use crate::figures::NO_SUCCESS;

/// A column: its heading and a point's cell.
type Column = (&'static str, fn(&SweepPoint) -> String);

const OF_ALL: [Column; 9] = [
    ("rate", |one| short_rate(one.rate_ops)),
    ("offered", |one| format!("{:.1}", one.offered_ops)),
    ("done", |one| format!("{:.1}", one.throughput_ops)),
    ("goodput", |one| format!("{:.1}", one.goodput_ops)),
    ("p50", |one| latency(one.latency_ms.p50, one.due)),
    ("p99", |one| latency(one.latency_ms.p99, one.due)),
    ("errors", |one| format!("{:.2}%", 100.0 * one.error_share)),
    ("backlog", |one| one.backlog.to_string()),
    ("capped", |one| one.capped.to_string()),
];

/// Those of live backends, where machines have limits.
const OF_MACHINES: [Column; 6] = [
    ("busy", |one| {
        cpu(one, |cpu| format!("{:.0}%", 100.0 * cpu.machine_busy))
    }),
    ("clients", |one| {
        cpu(one, |cpu| format!("{:.2}", cpu.generator_cores))
    }),
    ("links", |one| {
        cpu(one, |cpu| format!("{:.2}", cpu.delay_line_cores))
    }),
    ("replicas", |one| {
        cpu(one, |cpu| format!("{:.2}", cpu.replica_cores))
    }),
    ("late", |one| lateness(one)),
    ("", |one| {
        if one.machine_bound {
            "machine-bound"
        } else {
            ""
        }
        .to_owned()
    }),
];

/// Renders a sweep as text that ends with a line break.
pub fn sweep_table(sweep: &Sweep) -> String {
    let heading = [origin(sweep), what_was_swept(sweep)].map(|line| plain(&line));
    let mut text = format!("{}\n", heading.join("\n"));
    let mut columns: Vec<Column> = OF_ALL.to_vec();
    if sweep.backend != BackendKind::Sim {
        columns.extend(OF_MACHINES);
    }
    let widths: Vec<usize> = columns
        .iter()
        .map(|(heading, cell)| {
            let cells = sweep.points.iter().map(|point| cell(point).chars().count());
            cells.max().unwrap_or(0).max(heading.len())
        })
        .collect();
    for mode in &sweep.modes {
        block(&mut text, sweep, mode, (&columns, &widths));
    }
    text.push_str(
        "\nrate: operations per second and client region; offered, done (in the second half of the \
         window)\nand goodput: per second, all client regions. Latency in ms of all operations due; \
         errors of those due;\nbacklog: due and not done at the end of the window.",
    );
    if sweep.backend != BackendKind::Sim {
        text.push_str(
            " Clients, links, replicas: cores that\nthey used; late: us at p99 that frames or \
             operations were late.",
        );
    }
    text.push('\n');
    for warning in &sweep.warnings {
        let _ = writeln!(text, "warning: {}", plain(warning));
    }
    text
}

fn block(
    text: &mut String,
    sweep: &Sweep,
    mode: &SweepMode,
    (columns, widths): (&[Column], &[usize]),
) {
    let service = mode.service.as_ref().map_or(String::new(), |service| {
        format!(
            " ({} a replica, {} us a message, {} us a KiB)",
            counted_cores(service.cores),
            service.per_message_us,
            service.per_kib_us,
        )
    });
    let _ = writeln!(text, "\n{}{service}", plain(&mode.mode));
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(widths);
        let padded = padded.map(|(cell, width)| format!("{cell:>width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let headings = columns.iter().map(|(heading, _)| (*heading).to_owned());
    let _ = writeln!(text, "{}", line(headings.collect()));
    for point in sweep.points_of(&mode.mode) {
        let cells = columns.iter().map(|(_, cell)| cell(point));
        let _ = writeln!(text, "{}", line(cells.collect()));
    }
    if let Some(knee) = &mode.knee {
        let _ = writeln!(text, "knee: {}", knee_says(knee));
    }
    if let (Some(capacity), Some(limit)) = (&mode.capacity, &sweep.limit) {
        let _ = writeln!(text, "{}: {}", limit, plain(&capacity.says()));
    }
}

/// Says where a mode's line bends.
pub(crate) fn knee_says(knee: &Knee) -> String {
    let at = format!(
        "{}/s a client region, {:.0}/s offered in all",
        short_rate(knee.rate_ops),
        knee.offered_ops
    );
    match (knee.below_ops, knee.above_ops) {
        (_, None) => format!("not reached: throughput over latency still grows at {at}"),
        (None, Some(_)) => format!("at or below the lowest rate, {at}"),
        (Some(below), Some(above)) => format!(
            "about {at} (between {} and {}), where throughput over mean latency is greatest",
            short_rate(below),
            short_rate(above)
        ),
    }
}

/// Returns a latency in milliseconds.
pub(crate) fn latency(latency_ms: Option<f64>, due: u64) -> String {
    match latency_ms {
        Some(latency) => format!("{latency:.2}"),
        None if due > 0 => NO_SUCCESS.to_owned(),
        None => "-".to_owned(),
    }
}

pub(crate) fn counted_cores(cores: u32) -> String {
    match cores {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    }
}

fn cpu(point: &SweepPoint, cell: fn(&longhaul_experiment::record::CpuUse) -> String) -> String {
    let load = point.load.as_ref();
    load.and_then(|load| load.cpu.as_ref())
        .map_or("-".to_owned(), cell)
}

fn lateness(point: &SweepPoint) -> String {
    let load = point.load.as_ref();
    load.map_or("-".to_owned(), |load| {
        format!("{:.0}", load.release.p99_us.max(load.pacing.p99_us))
    })
}

/// Returns a text without what would steer a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .collect()
}

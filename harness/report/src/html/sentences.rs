//! The summary in three sentences, computed from the data.

use longhaul_analysis::Summary;
use longhaul_analysis::latency::LatencyMs;
use longhaul_experiment::record::{BackendKind, KindRecord};

use crate::chart::axis::short;
use crate::chart::{Run, Shown};
use crate::overall::{overall, percentiles};

/// A mode's operations of all client regions.
struct Overall<'a> {
    mode: &'a str,
    whole: KindRecord,
    latency: LatencyMs,
}

/// Returns three sentences: which mode was fastest and by how much; what the tail was and what did
/// not succeed; how far the emulation can be trusted.
pub fn sentences(run: &Run<'_>) -> Vec<String> {
    let (word, modes) = overalls(run);
    vec![
        fastest(run, word, &modes),
        tail(run, word, &modes),
        trust(&run.analysis.summary),
    ]
}

/// Returns the writes of each mode, or the reads of a run without writes.
fn overalls<'a>(run: &Run<'a>) -> (&'static str, Vec<Overall<'a>>) {
    for shown in [Shown::Writes, Shown::Reads] {
        let modes = run.record.modes.iter().zip(&run.analysis.summary.modes);
        let overall = |(record, summary): (_, &'a longhaul_analysis::ModeSummary)| {
            let whole = overall(record, shown)?;
            let latency = percentiles(&whole);
            Some(Overall {
                mode: &summary.mode,
                whole,
                latency,
            })
        };
        let modes: Vec<_> = modes.filter_map(overall).collect();
        if !modes.is_empty() {
            return (shown.name(), modes);
        }
    }
    (Shown::Writes.name(), Vec::new())
}

/// Returns the modes with a figure, by that figure.
fn ranked<'m, 'a>(
    modes: &'m [Overall<'a>],
    figure: fn(&LatencyMs) -> Option<f64>,
) -> Vec<(&'m Overall<'a>, f64)> {
    let with = |mode: &'m Overall<'a>| Some((mode, figure(&mode.latency)?));
    let mut ranked: Vec<_> = modes.iter().filter_map(with).collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    ranked
}

fn fastest(run: &Run<'_>, word: &str, modes: &[Overall<'_>]) -> String {
    let scenario = &run.analysis.summary.scenario;
    let place = format!(
        "with replicas in {} and clients in {} of {}",
        counted(scenario.replicas.len(), "region"),
        counted(scenario.clients.len(), "region"),
        scenario.profile,
    );
    match ranked(modes, |latency| latency.p50).as_slice() {
        [] => format!("No mode completed half of its operations {place}."),
        [(only, median)] => format!(
            "The median {word} of {} took {} ms {place}.",
            only.mode,
            short(*median)
        ),
        [(first, low), .., (last, high)] => format!(
            "The median {word} took {} ms in {} and {} ms in {}, {} times as long, {place}.",
            short(*low),
            first.mode,
            short(*high),
            last.mode,
            short(high / low.max(1e-6)),
        ),
    }
}

fn tail(run: &Run<'_>, word: &str, modes: &[Overall<'_>]) -> String {
    let (due, ok) = modes.iter().fold((0, 0), |(due, ok), mode| {
        (due + mode.whole.due, ok + mode.whole.ok)
    });
    let done = if due == ok {
        format!("all {due} {word}s due succeeded")
    } else {
        let worst = modes
            .iter()
            .max_by_key(|mode| mode.whole.due - mode.whole.ok);
        let of_worst = worst.map_or(String::new(), |mode| {
            format!(
                ", {} of them in {}",
                mode.whole.due - mode.whole.ok,
                mode.mode
            )
        });
        format!(
            "{} of {due} {word}s due did not succeed{of_worst}",
            due - ok
        )
    };
    let faults = match run.analysis.summary.scenario.faults.len() {
        0 => String::new(),
        faults => format!(", with {} injected", counted(faults, "fault")),
    };
    match ranked(modes, |latency| latency.p99).as_slice() {
        [] => format!("No mode has a 99th percentile below the time-out; {done}{faults}."),
        [(only, p99)] => format!(
            "At the 99th percentile it was {} ms in {}; {done}{faults}.",
            short(*p99),
            only.mode
        ),
        [(first, low), .., (last, high)] => format!(
            "At the 99th percentile they ranged from {} ms ({}) to {} ms ({}); {done}{faults}.",
            short(*low),
            first.mode,
            short(*high),
            last.mode
        ),
    }
}

fn trust(summary: &Summary) -> String {
    if let Some(reason) = summary.unpublishable_because.first() {
        let further = match summary.unpublishable_because.len() - 1 {
            0 => String::new(),
            further => format!(", and {}", counted(further, "further reason")),
        };
        return format!("These figures are not fit for publication: {reason}{further}.");
    }
    match summary.backend {
        BackendKind::Sim => "The run was in virtual time, where delays are exact and no machine \
                             disturbs them; what a real machine would add is left out."
            .to_owned(),
        BackendKind::Local | BackendKind::Tun | BackendKind::Netem => {
            let error = |link: &longhaul_experiment::record::LinkCalibration| {
                (link.achieved_p50_ms - link.asked_p50_ms).abs()
            };
            let worst = summary.calibration.links.iter().map(error);
            let lateness = summary.modes.iter().filter_map(|mode| mode.load.as_ref());
            let lateness = lateness.map(|load| load.release.p99_us.max(load.pacing.p99_us));
            format!(
                "The median delay of each probed link was within {:.2} ms of what was asked for, \
                 and under load 99 of 100 frames and operations were at most {:.0} µs late.",
                worst.fold(0.0, f64::max),
                lateness.fold(0.0, f64::max),
            )
        }
    }
}

fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

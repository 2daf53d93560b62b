//! How far to trust a run: what was asked and achieved, on what machine, and how to repeat it.

use longhaul_analysis::{Percentile, Summary};
use longhaul_experiment::record::{BackendKind, Lateness, LinkCalibration};
use maud::{Markup, html};

use crate::chart::Run;
use crate::figures::{Basis, rows};

/// Renders the section.
pub fn section(run: &Run<'_>) -> Markup {
    let summary = &run.analysis.summary;
    html! {
        section #trust {
            h2 { "How far to trust this" }
            (counts(summary))
            (emulation(summary))
            (load(summary))
            (origin(run))
        }
    }
}

fn counts(summary: &Summary) -> Markup {
    let rows = rows(summary);
    let due = || {
        let due = rows.iter().filter(|row| row.basis == Basis::Due);
        due.map(|row| row.summary.due)
    };
    let (least, most) = (due().min().unwrap_or(0), due().max().unwrap_or(0));
    let last = Percentile::ALL.into_iter().rev();
    let supported = last.clone().find(|one| !one.is_unsupported_by(least));
    html! {
        h3 { "Sample" }
        p {
            "Each row of figures rests on " (least) " to " (most) " operations due"
            @if !summary.complete { "; the run did not reach its end" }
            ". "
            @match supported {
                Some(percentile) => {
                    "Every row carries percentiles up to " (percentile.label())
                    "; beyond it some have fewer than 10 operations beyond them and are marked."
                }
                None => "Some rows carry no percentile: fewer than 10 operations lie beyond each.",
            }
        }
    }
}

fn emulation(summary: &Summary) -> Markup {
    let calibration = &summary.calibration;
    html! {
        h3 { "Delays asked for and achieved" }
        @if summary.backend == BackendKind::Sim {
            p {
                "In virtual time each message arrives at the very nanosecond that the link's model \
                 says. What a machine adds (scheduling, system calls, storage) is left out, but for \
                 the costs that the scenario states."
            }
        }
        @if !calibration.links.is_empty() {
            p {
                "Each link was probed before load. Scheduling: " (calibration.scheduling)
                "; compensation for the wake-up: "
                (format!("{:.1}", calibration.compensation_ns as f64 / 1e3)) " µs."
                @if calibration.links.iter().any(is_carried_by_few) {
                    " * fewer than 10 probes beyond: do not compare; below 100 probes it is the \
                     longest of them."
                }
            }
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { "from" } th scope="col" { "to" }
                    @for heading in ["probes", "asked p50, ms", "achieved p50, ms",
                        "asked p99, ms", "achieved p99, ms"] {
                        th.n scope="col" { (heading) }
                    }
                } }
                tbody { @for link in &calibration.links { tr {
                    td { (link.from) } td { (link.to) }
                    td.n data-v=(link.probes) { (link.probes) }
                    @for value in [link.asked_p50_ms, link.achieved_p50_ms] {
                        td.n data-v=(value) { (format!("{value:.3}")) }
                    }
                    @for value in [link.asked_p99_ms, link.achieved_p99_ms] {
                        td.n.few[is_carried_by_few(link)] data-v=(value) {
                            (format!("{value:.3}")) @if is_carried_by_few(link) { "*" }
                        }
                    }
                } } }
            } }
        }
    }
}

/// Says whether a link's probes are too few for their 99th percentile.
fn is_carried_by_few(link: &LinkCalibration) -> bool {
    Percentile::P99.is_unsupported_by(link.probes)
}

fn load(summary: &Summary) -> Markup {
    let modes = || {
        let modes = summary.modes.iter();
        modes.filter_map(|mode| Some((mode.mode.as_str(), mode.load.as_ref()?)))
    };
    html! {
        @if modes().next().is_some() {
            h3 { "Lateness and processor use under load" }
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { "mode" }
                    @for heading in ["attempts", "release p50, µs", "p99", "p99.9", "max",
                        "pacing p50, µs", "p99", "p99.9", "max", "generator, cores",
                        "delay line", "replicas", "machine busy", "stolen"] {
                        th.n scope="col" { (heading) }
                    }
                } }
                tbody { @for (mode, load) in modes() { tr {
                    th scope="row" { (mode) }
                    td.n data-v=(load.attempts) { (load.attempts) }
                    (lateness(&load.release))
                    (lateness(&load.pacing))
                    @match &load.cpu {
                        Some(cpu) => {
                            @for cores in [cpu.generator_cores, cpu.delay_line_cores,
                                cpu.replica_cores] {
                                td.n data-v=(cores) { (format!("{cores:.2}")) }
                            }
                            @for share in [cpu.machine_busy, cpu.machine_stolen] {
                                td.n data-v=(share) { (format!("{:.0}%", 100.0 * share)) }
                            }
                        }
                        None => { @for _ in 0..5 { td.n data-v="-1" { "–" } } }
                    }
                } } }
            } }
            p.note {
                "An attempt is given up, and the mode measured again, when the machine could not \
                 carry it; latencies are not looked at for that."
            }
        }
    }
}

fn lateness(lateness: &Lateness) -> Markup {
    html! {
        @for value in [lateness.p50_us, lateness.p99_us, lateness.p999_us, lateness.max_us] {
            td.n data-v=(value) { (format!("{value:.0}")) }
        }
    }
}

/// Where the figures come from and how to make them again.
fn origin(run: &Run<'_>) -> Markup {
    let summary = &run.analysis.summary;
    let environment = &summary.environment;
    let memory = environment.memory_bytes as f64 / (1u64 << 30) as f64;
    let scenario = &summary.scenario;
    let source = &run.record.scenario.topology.profile.source;
    html! {
        h3 { "Origin" }
        dl {
            dt { "Command" }
            dd { code { (environment.command.join(" ")) } }
            dt { "Seed" }
            dd { (summary.seed) }
            dt { "Versions" }
            dd { "longhaul " (environment.longhaul_version) ", record " (summary.record_version) }
            dt { "Backend" }
            dd { (summary.backend.name()) }
            dt { "Machine" }
            dd {
                @if environment.processor.is_empty() { "not recorded" } @else {
                    (environment.processors) " processors of " (environment.processor) ", "
                    (environment.system)
                    @if environment.memory_bytes > 0 { ", " (format!("{memory:.1}")) " GiB" }
                    @if let Some(busy) = environment.busy_before {
                        ", " (format!("{:.0}", 100.0 * busy)) "% busy just before the run"
                    }
                }
            }
            dt { "Delays" }
            dd { (source.title) " (" (source.date) "). " (source.method) }
            dt { "Durations" }
            dd {
                (scenario.warmup_s) " s of warm-up, " (scenario.measured_s)
                " s measured, at most " (scenario.drain_s) " s of drain; time-out "
                (scenario.operation_timeout_s) " s"
            }
            @if !scenario.faults.is_empty() {
                dt { "Faults" }
                dd { (scenario.faults.join(", ")) }
            }
        }
    }
}

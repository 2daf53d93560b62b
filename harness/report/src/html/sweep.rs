//! The page of a sweep: its limits and knees, the chart, every point, how far to trust them, and
//! the data.

use longhaul_analysis::capacity::{CapacityEnd, Sweep, SweepMode, SweepPoint, short_rate};
use longhaul_experiment::record::BackendKind;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::inline::{Palette, inert_json};
use super::{POLICY, SCRIPT, STYLE, figure};
use crate::figures::NO_SUCCESS;
use crate::sweep::{cores, csv, drawing, knee_says, origin, sentences, what_was_swept};

/// Renders a sweep as one HTML page that needs no network and no other file.
pub fn sweep_html(sweep: &Sweep) -> String {
    let mut palette = Palette::default();
    let chart = figure(&drawing(sweep, ""), &mut palette);
    let scenario = &sweep.scenario;
    let title = format!("{} on {}: load", scenario.name, scenario.profile);
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
                    p.run { (what_was_swept(sweep)) }
                }
                main {
                    (warnings(sweep))
                    section aria-label="Summary" {
                        @for sentence in sentences(sweep) { p.sentence { (sentence) } }
                    }
                    nav aria-label="Sections" {
                        a href="#modes" { "Modes" }
                        a href="#charts" { "Chart" }
                        a href="#figures" { "All points" }
                        a href="#trust" { "How far to trust this" }
                        a href="#data" { "Data" }
                    }
                    (modes(sweep))
                    section #charts { (chart) }
                    (points(sweep))
                    (trust(sweep))
                    (data(sweep))
                }
                div #tip role="status" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn warnings(sweep: &Sweep) -> Markup {
    markup! {
        @if !sweep.warnings.is_empty() {
            div.warnings role="note" {
                strong { "Warnings" }
                ul { @for warning in &sweep.warnings { li { (warning) } } }
            }
        }
    }
}

/// What the points of each mode come to.
fn modes(sweep: &Sweep) -> Markup {
    markup! {
        section #modes {
            h2 { "What each mode takes" }
            @if let Some(limit) = &sweep.limit {
                p.note {
                    "The limit " (limit) " must hold "
                    @match &sweep.limit_region {
                        Some(region) => { "for the clients in " (region) },
                        None => "in every client region by itself",
                    }
                    ", over all operations due: those that did not succeed rank above every success."
                    " Rates are per client region."
                }
            }
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { "mode" }
                    @if sweep.limit.is_some() {
                        th.n scope="col" { "highest rate, /s" }
                        th.n scope="col" { "every run held to" }
                        th.n scope="col" { "none held from" }
                        th scope="col" { "what it comes to" }
                    }
                    th scope="col" { "knee" }
                    @if sweep.backend == BackendKind::Sim {
                        th.n scope="col" { "cores a replica" }
                        th.n scope="col" { "µs a message" }
                        th.n scope="col" { "µs a KiB" }
                    }
                } }
                tbody { @for mode in &sweep.modes { (mode_row(sweep, mode)) } }
            } }
            p.note {
                "The knee is where throughput over mean latency is greatest (Kleinrock's power)."
            }
        }
    }
}

fn mode_row(sweep: &Sweep, mode: &SweepMode) -> Markup {
    let rate = |rate: Option<f64>| match rate {
        Some(rate) => markup! { td.n data-v=(rate) { (short_rate(rate)) } },
        None => markup! { td.n data-v="-1" { "–" } },
    };
    markup! {
        tr {
            th scope="row" { (mode.mode) }
            @if let Some(capacity) = &mode.capacity {
                (rate(capacity.rate_ops))
                (rate(capacity.holds_to_ops))
                (rate(capacity.breaks_from_ops))
                td.wrap { (capacity.says()) }
            } @else if sweep.limit.is_some() {
                td {} td {} td {} td {}
            }
            td.wrap { @match &mode.knee { Some(knee) => (knee_says(knee)), None => "too few rates" } }
            @if sweep.backend == BackendKind::Sim {
                @match &mode.service {
                    Some(service) => {
                        td.n data-v=(service.cores) { (service.cores) }
                        td.n data-v=(service.per_message_us) { (service.per_message_us) }
                        td.n data-v=(service.per_kib_us) { (service.per_kib_us) }
                    }
                    None => { td.n { "–" } td.n { "–" } td.n { "–" } }
                }
            }
        }
    }
}

fn points(sweep: &Sweep) -> Markup {
    let live = sweep.backend != BackendKind::Sim;
    markup! {
        section #figures {
            h2 { "All points" }
            p.note {
                "Rate: operations per second and client region; offered, done (in the second half of \
                 the window) and goodput: per second, all client regions. Latencies in milliseconds \
                 from the instant an operation was due, over all due. Backlog: due and not done when \
                 the window ended. * fewer than 10 operations beyond: do not compare. Click a heading \
                 to sort."
            }
            p.filter hidden { label { "Show rows with " input #filter type="search"; } }
            div.scroll tabindex="0" { table #all {
                thead { tr {
                    th scope="col" { "mode" }
                    @for heading in ["rate", "seed", "offered", "done", "goodput", "p50", "p90",
                        "p99", "p99.9", "errors", "backlog", "capped"] {
                        th.n scope="col" { (heading) }
                    }
                    @if live {
                        @for heading in ["machine busy", "clients, cores", "links", "replicas",
                            "late p99, µs"] { th.n scope="col" { (heading) } }
                        th scope="col" { "bound by" }
                    }
                } }
                tbody { @for point in &sweep.points { (row(point, live)) } }
            } }
        }
    }
}

fn row(point: &SweepPoint, live: bool) -> Markup {
    use longhaul_analysis::Percentile::{P50, P90, P99, P999};
    let figure = |value: f64, decimals: usize| {
        markup! {
            td.n data-v=(value) { (format!("{value:.decimals$}")) }
        }
    };
    let latency = |percentile| {
        let unsupported = point.too_few.contains(&percentile);
        match point.latency_ms.at(percentile) {
            Some(value) => markup! {
                td.n.few[unsupported] data-v=(value) {
                    (format!("{value:.2}")) @if unsupported { "*" }
                }
            },
            None => markup! { td.n data-v="1e300" { (NO_SUCCESS) } },
        }
    };
    markup! {
        tr {
            th scope="row" { (point.mode) }
            td.n data-v=(point.rate_ops) { (short_rate(point.rate_ops)) }
            td.n data-v=(point.seed) { (point.seed) }
            @for rate in [point.offered_ops, point.throughput_ops, point.goodput_ops] {
                (figure(rate, 1))
            }
            @for percentile in [P50, P90, P99, P999] { (latency(percentile)) }
            td.n data-v=(point.error_share) { (format!("{:.2}%", 100.0 * point.error_share)) }
            td.n data-v=(point.backlog) { (point.backlog) }
            td.n data-v=(point.capped) { (point.capped) }
            @if live { (machine(point)) }
        }
    }
}

/// Who used the processors, and how late the emulation was.
fn machine(point: &SweepPoint) -> Markup {
    let load = point.load.as_ref();
    let cores = |value: f64| markup! { td.n data-v=(value) { (format!("{value:.2}")) } };
    markup! {
        @match load.and_then(|load| load.cpu.as_ref()) {
            Some(cpu) => {
                td.n data-v=(cpu.machine_busy) { (format!("{:.0}%", 100.0 * cpu.machine_busy)) }
                (cores(cpu.generator_cores))
                (cores(cpu.delay_line_cores))
                (cores(cpu.replica_cores))
            }
            None => { @for _ in 0..4 { td.n data-v="-1" { "–" } } }
        }
        @match load {
            Some(load) => {
                @let late = load.release.p99_us.max(load.pacing.p99_us);
                td.n data-v=(late) { (format!("{late:.0}")) }
            }
            None => { td.n data-v="-1" { "–" } }
        }
        td { @if point.machine_bound { "the machine" } }
    }
}

fn trust(sweep: &Sweep) -> Markup {
    let dues = || sweep.points.iter().map(|point| point.due);
    let errors = sweep.points.iter().filter_map(|point| point.link_error_ms);
    let environment = &sweep.environment;
    let scenario = &sweep.scenario;
    let unsure = |mode: &&SweepMode| {
        let capacity = mode.capacity.as_ref();
        capacity.is_some_and(|capacity| capacity.end == CapacityEnd::Limit)
    };
    markup! {
        section #trust {
            h2 { "How far to trust this" }
            p {
                "Each point is a run of its own of " (scenario.measured_s) " s and rests on "
                (dues().min().unwrap_or(0)) " to " (dues().max().unwrap_or(0)) " operations due"
                @if !sweep.complete { "; the sweep did not reach its end" }
                ". “Done” and backlog are estimated from the interval log, in which operations are \
                 taken to be evenly spread over a fraction of a second."
            }
            @if sweep.modes.iter().any(|mode| unsure(&mode)) {
                p {
                    "Near its edge a limit holds in some runs and breaks in others: the edge lies \
                     between the rate up to which every run held it and the rate from which none did."
                }
            }
            @if sweep.backend == BackendKind::Sim {
                p {
                    "In virtual time each replica has processors of its own (" (cores(sweep)) "), \
                     which take the stated times for messages and bytes; caches, and whatever grows \
                     with the number of keys or connections, are left out. Clients and links take no \
                     processor."
                }
            } @else {
                p {
                    "Generator, links and replicas share this machine. A point taken with the machine \
                     over 80% busy is machine-bound: it says what the machine carries, not the mode. "
                    @if let Some(error) = errors.reduce(f64::max) {
                        "Links probed before each point were within " (format!("{error:.2}"))
                        " ms of the delay asked for at p99."
                    }
                }
            }
            dl {
                dt { "Command" } dd { code { (environment.command.join(" ")) } }
                dt { "Runs" } dd { (origin(sweep)) }
                dt { "Machine" }
                dd {
                    @if environment.processor.is_empty() { "not recorded" } @else {
                        (environment.processors) " processors of " (environment.processor) ", "
                        (environment.system)
                    }
                }
                @if sweep.backend != BackendKind::Sim {
                    dt { "Scheduling" } dd { (sweep.calibration.scheduling) }
                }
                dt { "Delays" } dd { (scenario.profile_source) " (" (scenario.profile_date) ")" }
                dt { "Durations" }
                dd {
                    (scenario.warmup_s) " s of warm-up, " (scenario.measured_s)
                    " s measured, at most " (scenario.drain_s) " s of drain; time-out "
                    (scenario.operation_timeout_s) " s"
                }
            }
        }
    }
}

fn data(sweep: &Sweep) -> Markup {
    let json = serde_json::to_string(sweep).unwrap_or_else(|_| "null".to_owned());
    let csv = serde_json::Value::String(csv(sweep)).to_string();
    markup! {
        section #data {
            h2 { "Data" }
            p.note {
                "The sweep is the file sweep.json beside this page, of a documented schema; it and \
                 the points as one row each are also held in this page."
            }
            p.downloads hidden {
                button type="button" data-download="summary" data-file="sweep.json" {
                    "Download sweep.json"
                }
                button type="button" data-download="figures" data-file="points.csv" {
                    "Download points.csv"
                }
            }
            script #summary type="application/json" { (inert_json(&json)) }
            script #figures-csv type="application/json" { (inert_json(&csv)) }
        }
    }
}

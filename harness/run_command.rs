//! `longhaul run`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use longhaul_experiment::record::{BackendKind, RunDirectory, percentile_support, run_name};
use longhaul_experiment::workload::Arrivals;
use longhaul_experiment::{RunRecord, Scenario, Seed};
use longhaul_live::{Interrupt, Phase, Progress};
use longhaul_study::repeats;

use crate::arguments::RunArguments;
use crate::exit_codes::{DONE, FAILED, INTERRUPTED};
use crate::output::{CommandError, note, print};
use crate::report_command::{analysed, summary_json, write_report};
use crate::run_folders;
use crate::scenario_arguments::scenario;
use crate::wiring::{self, RunOptions};

/// Runs a scenario and leaves its record, summary, table and charts.
pub(crate) fn run(arguments: RunArguments) -> Result<ExitCode, CommandError> {
    let (scenario, backend) = scenario(&arguments)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => run_name(unix_seconds(), &scenario.name),
    };
    if arguments.repeat.is_some() {
        run_folders::check_free(&arguments.out, &name)?;
    }
    note(&announcement(&scenario, backend, arguments.seed)?);
    let interrupt = Interrupt::default();
    raise_on_signal(&interrupt)?;
    let Some(count) = arguments.repeat else {
        let once = Once {
            arguments: &arguments,
            backend,
            seed: Seed(arguments.seed),
            name,
            interrupt,
        };
        return Ok(ExitCode::from(once.run(&scenario, &scenario)?));
    };
    let mut codes = Vec::new();
    for number in 1..=count {
        let seed = Seed(arguments.seed.wrapping_add(u64::from(number - 1)));
        note(&format!("repeat {number} of {count}, seed {}\n", seed.0));
        let once = Once {
            arguments: &arguments,
            backend,
            seed,
            name: format!("{name}-{number}"),
            interrupt: interrupt.clone(),
        };
        codes.push(once.run(&repeats::shuffled(&scenario, seed), &scenario)?);
        if interrupt.is_raised() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    let worse = codes.into_iter().find(|&code| code != DONE);
    Ok(ExitCode::from(worse.unwrap_or(DONE)))
}

/// One run of a scenario, and what it leaves.
struct Once<'a> {
    arguments: &'a RunArguments,
    backend: BackendKind,
    seed: Seed,
    name: String,
    interrupt: Interrupt,
}

impl Once<'_> {
    /// Runs a scenario and leaves a folder, with the modes in the order of `asked`.
    fn run(self, scenario: &Scenario, asked: &Scenario) -> Result<u8, CommandError> {
        let arguments = self.arguments;
        let directory = RunDirectory::create(&arguments.out, &self.name)?;
        let options = RunOptions {
            backend: self.backend,
            seed: self.seed,
            attempts: arguments.attempts,
            data_directory: directory.path().join("wal"),
            interrupt: self.interrupt.clone(),
            on_progress: reporter(scenario),
        };
        let outcome = wiring::run(scenario, options);
        // Whatever came of it, no log of a replica stays behind.
        let _ = std::fs::remove_dir_all(directory.path().join("wal"));
        let Ok(Some(record)) = outcome else {
            // Nothing was measured: a folder without a record would only be in the way.
            let _ = std::fs::remove_dir(directory.path());
            outcome?;
            note("interrupted: nothing was measured\n");
            return Ok(INTERRUPTED);
        };
        let record = repeats::in_order(record, asked);
        leave(arguments, &directory, &record)?;
        if self.interrupt.is_raised() {
            if !record.complete {
                note("interrupted: the record is partial and says so\n");
            }
            return Ok(INTERRUPTED);
        }
        Ok(if record.complete { DONE } else { FAILED })
    }
}

/// Writes what came of a run into its folder.
fn leave(
    arguments: &RunArguments,
    directory: &RunDirectory,
    record: &RunRecord,
) -> Result<(), CommandError> {
    directory.write_record(record)?;
    directory.write_interval_logs(record)?;
    directory.write_history(record)?;
    let analysis = analysed(record);
    let table = write_report(directory, record, &analysis)?;
    if arguments.json {
        print(&summary_json(&analysis)?)?;
    } else {
        print(&table)?;
    }
    note(&format!(
        "\nrecord, report.html, charts and summary: {}\n",
        directory.path().display()
    ));
    for failure in &record.failures {
        note(&format!(
            "failed, so the record lacks it: {}\n",
            failure.why
        ));
    }
    Ok(())
}

pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Says before anything runs what will: seed, options, and what the figures will support.
fn announcement(
    scenario: &Scenario,
    backend: BackendKind,
    seed: u64,
) -> Result<String, CommandError> {
    let topology = &scenario.topology;
    let names = |regions: &mut dyn Iterator<Item = longhaul_experiment::RegionIndex>| {
        regions
            .map(|region| topology.region_name(region))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = String::new();
    writeln!(text, "seed      {seed}")?;
    writeln!(
        text,
        "backend   {}, scenario {}",
        backend.name(),
        scenario.name
    )?;
    writeln!(
        text,
        "profile   {} ({})",
        topology.profile.name, topology.profile.source.date
    )?;
    writeln!(
        text,
        "replicas  {}",
        names(&mut topology.replicas.iter().copied())
    )?;
    writeln!(
        text,
        "clients   {}",
        names(&mut topology.clients.iter().copied())
    )?;
    writeln!(
        text,
        "leader    {}",
        topology.region_name(topology.region_of(topology.leader))
    )?;
    let modes: Vec<String> = scenario.modes.iter().map(ToString::to_string).collect();
    writeln!(text, "modes     {}", modes.join(", "))?;
    let load = &scenario.workload;
    writeln!(
        text,
        "load      {}, reads {:.0}%, values of {} B, {} keys, {}",
        arrivals(load.arrivals),
        load.read_share * 100.0,
        load.value_size,
        load.key_count,
        serde_json::to_string(&load.keys)?,
    )?;
    let durations = scenario.durations;
    writeln!(
        text,
        "time      {:?} warm-up, {:?} measured, at most {:?} drain, for each mode",
        durations.warmup, durations.measured, durations.drain
    )?;
    writeln!(
        text,
        "limits    {} in flight and region, {} connections, time-out {:?}, durability {}",
        scenario.limits.max_in_flight,
        scenario.limits.connections,
        scenario.limits.operation_timeout,
        serde_json::to_value(scenario.durability)?
            .as_str()
            .unwrap_or_default(),
    )?;
    if let Some(expected) = expected_operations(scenario) {
        writeln!(text, "supports  {}", supported(expected))?;
    }
    Ok(text)
}

fn arrivals(arrivals: Arrivals) -> String {
    match arrivals {
        Arrivals::Poisson { rate } => format!("open loop, Poisson, {rate}/s per region"),
        Arrivals::Constant { rate } => format!("open loop, constant, {rate}/s per region"),
        Arrivals::Closed { in_flight } => {
            format!("closed loop, {in_flight} in flight per connection (service times)")
        }
    }
}

fn expected_operations(scenario: &Scenario) -> Option<u64> {
    match scenario.workload.arrivals {
        Arrivals::Poisson { rate } | Arrivals::Constant { rate } => {
            Some((rate * scenario.durations.measured.as_secs_f64()) as u64)
        }
        Arrivals::Closed { .. } => None,
    }
}

fn supported(expected: u64) -> String {
    match percentile_support(expected) {
        Some(percentile) => format!(
            "percentiles up to p{}: about {expected} operations per region and mode",
            // Rounded down: what 3 million operations support is not all percentiles.
            format!("{:.3}", (percentile * 1e5 + 1e-6).floor() / 1e3)
                .trim_end_matches('0')
                .trim_end_matches('.')
        ),
        None => format!(
            "no percentile: {expected} operations per region and mode are too few, measure longer"
        ),
    }
}

/// Shows progress on standard error: a live line on a terminal, a line per phase elsewhere.
fn reporter(scenario: &Scenario) -> Box<dyn FnMut(Progress<'_>)> {
    let modes = scenario.modes.clone();
    let count = modes.len();
    let style = ProgressStyle::with_template("{prefix:.bold} [{bar:30}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let bar = ProgressBar::new(1000).with_style(style);
    let live = std::io::stderr().is_terminal();
    let mut last: Option<(usize, Phase)> = None;
    Box::new(move |progress| {
        // A repetition runs one mode alone: its place is that in the whole run.
        let position = modes.iter().position(|mode| mode == progress.mode);
        let position = position.unwrap_or(progress.position);
        let step = (position, progress.phase);
        let began = last.replace(step) != Some(step);
        if live {
            bar.set_prefix(format!("{}/{count} {}", position + 1, progress.mode));
            bar.set_message(phase(progress.phase));
            bar.set_position((progress.share.clamp(0.0, 1.0) * 1000.0) as u64);
            if progress.phase == Phase::Drain && position + 1 == count {
                bar.finish_and_clear();
            }
        } else if began && progress.phase == Phase::Measuring {
            note(&format!(
                "{}/{count} {}: measuring\n",
                position + 1,
                progress.mode
            ));
        }
    })
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Bootstrap => "connecting",
        Phase::Calibration => "probing links",
        Phase::Warmup => "warming up",
        Phase::Measuring => "measuring",
        Phase::Drain => "draining",
    }
}

/// Raises the interrupt at the first Ctrl-C; the second one ends the program.
pub(crate) fn raise_on_signal(interrupt: &Interrupt) -> Result<(), CommandError> {
    let interrupt = interrupt.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                if tokio::signal::ctrl_c().await.is_ok() {
                    note("\ninterrupted: ending the run (once more to end at once)\n");
                    interrupt.raise();
                }
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(i32::from(INTERRUPTED));
                }
            });
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentiles_that_a_number_of_operations_supports_are_rounded_down() {
        // 10 of 1600 lie beyond p99.375, 10 of 3 million beyond p99.99967.
        assert!(
            supported(1_600).contains("p99.375:"),
            "{}",
            supported(1_600)
        );
        assert!(
            supported(3_000_000).contains("p99.999:"),
            "{}",
            supported(3_000_000)
        );
        assert!(supported(5).starts_with("no percentile"));
    }
}

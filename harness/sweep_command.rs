//! `longhaul sweep`, and what `saturate` shares with it.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use longhaul_analysis::capacity::{SWEEP_VERSION, Slo, short_rate, unsaturable};
use longhaul_experiment::record::{BackendKind, RunDirectory, run_name};
use longhaul_experiment::{RunError, RunRecord, Scenario, Seed};
use longhaul_live::{Interrupt, describe_environment};
use longhaul_report::{sweep_charts, sweep_html, sweep_table};
use longhaul_study::sweep::{
    Conduct, PointOrder, Progress, Runner, RunnerInVirtualTime, Sweep, SweepPlan, checked_rates,
    geometric_rates, sweep,
};

use crate::arguments::RunArguments;
use crate::exit_codes::INTERRUPTED;
use crate::output::{CommandError, note, print};
use crate::run_command::{raise_on_signal, unix_seconds};
use crate::scenario_arguments::scenario;
use crate::sweep_arguments::{OrderArgument, SweepArguments};
use crate::wiring::{self, RunOptions, VERSION};

/// The file of a sweep.
const SWEEP: &str = "sweep.json";

/// The largest such file that is read, in bytes.
const SWEEP_BYTES_MAX: u64 = 1 << 28;

/// How often what was measured so far is written while runs are made.
const WRITTEN_EVERY: Duration = Duration::from_secs(1);

/// Sweeps the rates of a scenario and leaves the points, a table, a chart and a page.
pub(crate) fn run(arguments: SweepArguments) -> Result<ExitCode, CommandError> {
    let (scenario, backend) = swept_scenario(&arguments.run)?;
    let rates = match arguments.rates.as_slice() {
        [] => geometric_rates(arguments.from, arguments.to, arguments.steps)?,
        rates => checked_rates(rates.to_vec())?,
    };
    let slo = arguments
        .slo
        .as_deref()
        .map(str::parse::<Slo>)
        .transpose()?;
    let plan = SweepPlan {
        slo,
        slo_region: slo_region(arguments.region.as_deref(), &scenario)?,
        scenario,
        backend,
        rates,
        order: match arguments.order {
            OrderArgument::Shuffled => PointOrder::Shuffled,
            OrderArgument::Ramp => PointOrder::Ramp,
        },
        seed: Seed(arguments.run.seed),
    };
    let runs = plan.scenario.modes.len() * plan.rates.len();
    let rates: Vec<String> = plan.rates.iter().map(|rate| short_rate(*rate)).collect();
    note(&format!(
        "seed      {}\nbackend   {}, scenario {}\nrates     {} per second and client region\n\
         runs      {runs}{}\n",
        plan.seed.0,
        backend.name(),
        plan.scenario.name,
        rates.join(", "),
        estimate(&plan.scenario, backend, runs),
    ));
    conducted(
        &arguments.run,
        (&plan.scenario, backend),
        "sweep",
        |conduct| sweep(&plan, conduct),
    )
}

/// Returns the scenario that the flags of `run` ask for, without those that do not go with many
/// rates.
pub(crate) fn swept_scenario(
    arguments: &RunArguments,
) -> Result<(Scenario, BackendKind), CommandError> {
    let refused = [
        (
            "--rate",
            arguments.rate.is_some(),
            "the rates are stated by --rates, --from and --to",
        ),
        (
            "--closed-loop",
            arguments.closed_loop.is_some(),
            "a closed loop offers no rate",
        ),
        ("--repeat", arguments.repeat.is_some(), "it goes with `run`"),
        (
            "--history",
            arguments.history,
            "points keep no history; use `run` at one rate",
        ),
    ];
    if let Some((flag, _, why)) = refused.iter().find(|(_, given, _)| *given) {
        return Err(format!("{flag} does not go with this command: {why}").into());
    }
    let (scenario, backend) = scenario(arguments)?;
    Ok((scenario, backend))
}

/// Checks the region that a limit names.
pub(crate) fn slo_region(
    name: Option<&str>,
    scenario: &Scenario,
) -> Result<Option<String>, CommandError> {
    let topology = &scenario.topology;
    let clients = || {
        topology
            .clients
            .iter()
            .map(|&region| topology.region_name(region))
    };
    match name {
        Some(name) if !clients().any(|client| client == name) => Err(format!(
            "--region {name}: no clients are there; they are in {}",
            clients().collect::<Vec<_>>().join(", ")
        )
        .into()),
        name => Ok(name.map(str::to_owned)),
    }
}

/// Says how long runs on a live backend will take; virtual time does not tell.
pub(crate) fn estimate(scenario: &Scenario, backend: BackendKind, runs: usize) -> String {
    if backend == BackendKind::Sim {
        return String::new();
    }
    // Connecting, probing and draining take about two seconds more.
    let one = scenario.durations.warmup + scenario.durations.measured + Duration::from_secs(2);
    let minutes = one.as_secs_f64() * runs as f64 / 60.0;
    format!(", about {minutes:.0} minutes and more where operations time out")
}

/// Makes the runs of a command and writes what they come to.
pub(crate) fn conducted(
    arguments: &RunArguments,
    (scenario, backend): (&Scenario, BackendKind),
    command: &str,
    study: impl FnOnce(&mut Conduct<'_>) -> Result<Sweep, RunError>,
) -> Result<ExitCode, CommandError> {
    let name = arguments.name.clone();
    let name =
        name.unwrap_or_else(|| run_name(unix_seconds(), &format!("{command}-{}", scenario.name)));
    let begun = Sweep::begun(scenario, backend, arguments.seed, PointOrder::Search);
    if let Some(warning) = unsaturable(&begun) {
        note(&format!("warning: {warning}\n"));
    }
    let directory = RunDirectory::create(&arguments.out, &name)?;
    let interrupt = Interrupt::default();
    raise_on_signal(&interrupt)?;
    let mut local = |scenario: &Scenario, seed: Seed| -> Result<RunRecord, RunError> {
        let options = RunOptions {
            backend,
            seed,
            attempts: arguments.attempts,
            data_directory: directory.path().join("wal"),
            interrupt: interrupt.clone(),
            on_progress: Box::new(|_| {}),
        };
        wiring::measure(scenario, options)
    };
    let runner = if backend == BackendKind::Sim {
        Runner::InVirtualTime(RunnerInVirtualTime {
            environment: describe_environment(VERSION, std::env::args().collect()),
        })
    } else {
        Runner::OneByOne(&mut local)
    };
    let mut written = Instant::now();
    let mut on_run = |progress: Progress<'_>| {
        note(&format!(
            "{}/{} {} at {}/s\n",
            progress.ended,
            progress.of,
            progress.mode,
            short_rate(progress.rate_ops)
        ));
        if written.elapsed() >= WRITTEN_EVERY {
            // The last writing reports what is wrong with the folder.
            let _ = write_json(&directory, progress.sweep);
            written = Instant::now();
        }
    };
    let mut conduct = Conduct {
        runner,
        stop: &|| interrupt.is_raised(),
        on_run: &mut on_run,
    };
    let outcome = study(&mut conduct);
    // Whatever came of it, no log of a replica stays behind.
    let _ = std::fs::remove_dir_all(directory.path().join("wal"));
    let swept = match outcome {
        Ok(swept) => swept,
        Err(why) => {
            // Nothing was measured: an empty folder would only be in the way.
            let _ = std::fs::remove_dir(directory.path());
            return Err(why.into());
        }
    };
    leave(&directory, &swept, arguments.json)
}

/// Writes what a sweep came to, and prints it.
fn leave(directory: &RunDirectory, sweep: &Sweep, json: bool) -> Result<ExitCode, CommandError> {
    write_json(directory, sweep)?;
    print_drawn(directory, sweep, json)?;
    note(&format!(
        "\nsweep.json, sweep.html, chart and table: {}\n",
        directory.path().display()
    ));
    if !sweep.complete {
        note("interrupted: the sweep is partial and says so\n");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    Ok(ExitCode::SUCCESS)
}

/// Draws table, chart and page into a sweep's folder, and prints the table or the JSON.
fn print_drawn(directory: &RunDirectory, sweep: &Sweep, json: bool) -> Result<(), CommandError> {
    let table = sweep_table(sweep);
    directory.write_file("table.txt", table.as_bytes())?;
    directory.write_file("sweep.html", sweep_html(sweep).as_bytes())?;
    for chart in sweep_charts(sweep) {
        directory.write_file(&format!("{}.svg", chart.name), chart.svg.as_bytes())?;
        directory.write_file(&format!("{}.png", chart.name), &chart.png)?;
    }
    print(&if json { sweep_json(sweep)? } else { table })
}

/// Draws a former sweep again; `None` when the folder holds none.
pub(crate) fn redraw(path: &Path, json: bool) -> Result<Option<ExitCode>, CommandError> {
    if !path.join(SWEEP).is_file() {
        return Ok(None);
    }
    let directory = RunDirectory::open_holding(path, SWEEP)?;
    let mut sweep = read(&path.join(SWEEP))?;
    let slo: Option<Slo> = sweep.limit.as_deref().map(str::parse).transpose()?;
    let region = sweep.limit_region.clone();
    sweep.conclude(slo.as_ref(), region.as_deref());
    print_drawn(&directory, &sweep, json)?;
    Ok(Some(ExitCode::SUCCESS))
}

/// Reads a sweep's file.
fn read(path: &Path) -> Result<Sweep, CommandError> {
    let reading = || format!("reading '{}'", path.display());
    let bytes = std::fs::metadata(path).map_err(|why| CommandError::new(reading(), why))?;
    if bytes.len() > SWEEP_BYTES_MAX {
        let why = format!("it has {} bytes; is it a sweep?", bytes.len());
        return Err(CommandError::new(reading(), why));
    }
    let text = std::fs::read_to_string(path).map_err(|why| CommandError::new(reading(), why))?;
    // The version first: a newer sweep may differ in everything else.
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|why| CommandError::new(reading(), why))?;
    match value["sweep_version"].as_u64() {
        Some(version) if version > u64::from(SWEEP_VERSION) => {
            let why = format!(
                "it is of version {version}, and this longhaul reads up to {SWEEP_VERSION}: use a \
                 newer one"
            );
            Err(CommandError::new(reading(), why))
        }
        _ => serde_json::from_value(value).map_err(|why| CommandError::new(reading(), why)),
    }
}

fn write_json(directory: &RunDirectory, sweep: &Sweep) -> Result<(), CommandError> {
    directory.write_file(SWEEP, sweep_json(sweep)?.as_bytes())?;
    Ok(())
}

fn sweep_json(sweep: &Sweep) -> Result<String, CommandError> {
    let mut json = serde_json::to_string_pretty(sweep)?;
    json.push('\n');
    Ok(json)
}

//! `longhaul calibrate`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use longhaul_experiment::Seed;
use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::scenario::{
    ArrivalKind, DurationText, DurationsFile, JitterChoice, LimitsFile, ScenarioFile,
    ServiceFields, ServiceFile, WorkloadFile,
};
use longhaul_live::Interrupt;
use longhaul_live::storage::sync_times;
use longhaul_study::service::{ServiceMeasurement, measure_service};

use crate::arguments::CalibrateArguments;
use crate::flags;
use crate::output::{CommandError, note, print};
use crate::scenario_arguments::find_profile;
use crate::wiring::{VERSION, command, local};

/// Syncs that are timed.
const SYNCS: u32 = 500;
/// Bytes written before each: a group of a few dozen small writes.
const SYNC_BYTES: usize = 4096;
/// Which quantiles of the sync's time are printed.
const SYNC_QUANTILES: [f64; 8] = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0];

/// Measures service times on real connections and prints them as part of a scenario file.
pub(crate) fn calibrate(arguments: &CalibrateArguments) -> Result<ExitCode, CommandError> {
    let scenario = saturating(arguments)?;
    let profile = find_profile(scenario.profile_name())?;
    let scenario = scenario.resolve(profile)?;
    let scratch = std::env::temp_dir().join(format!("longhaul-calibrate-{}", std::process::id()));
    let mut backend = local(scratch, Interrupt::default(), Box::new(|_| {}));
    note(&format!(
        "driving {} modes to saturation over connections without delay, three value sizes each\n",
        scenario.modes.len()
    ));
    let measured = measure_service(&mut backend, &scenario, Seed(1))?;
    for one in &measured {
        note(&described(one)?);
    }
    let syncs = sync_times(&arguments.directory, SYNCS, SYNC_BYTES)?;
    let machine = longhaul_live::describe_environment(VERSION, command());
    let mut text = format!(
        "# What replicas' work costs: give this file to `run --backend sim --service`.\n\
         # Measured by longhaul {VERSION} on {} ({} processors), {}; syncs of {SYNC_BYTES} B.\n\n",
        machine.processor, machine.processors, machine.system
    );
    text.push_str(&service_file(&measured, &syncs).to_toml());
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A closed loop over connections without delay, as `run --profile loopback-3 --closed-loop 64
/// --connections 8`.
fn saturating(arguments: &CalibrateArguments) -> Result<ScenarioFile, CommandError> {
    Ok(ScenarioFile {
        name: Some("service-times".to_owned()),
        profile: Some("loopback-3".to_owned()),
        clients: None,
        modes: flags::modes(&arguments.modes)?,
        jitter: Some(JitterChoice::None),
        durations: DurationsFile {
            warmup: Some(DurationText(Duration::from_millis(500))),
            measured: Some(flags::stated_time("--duration", &arguments.duration)?),
            drain: None,
        },
        limits: LimitsFile {
            connections: Some(8),
            ..LimitsFile::default()
        },
        workload: WorkloadFile {
            arrivals: Some(ArrivalKind::Closed),
            in_flight: Some(64),
            ..WorkloadFile::default()
        },
        ..ScenarioFile::default()
    })
}

fn described(one: &ServiceMeasurement) -> Result<String, CommandError> {
    let mut text = format!(
        "{}: {:?} a message, {:?} a KiB (the fit misses by {:.0}% at most)\n",
        one.mode,
        one.times.per_message,
        one.times.per_kib,
        100.0 * one.worst_miss
    );
    for point in &one.points {
        writeln!(
            text,
            "  values of {:>5} B: {:>7.0} operations/s, {:.2} us of a replica's processor and {:.0} B a message",
            point.value_size,
            point.goodput,
            point.busy.as_secs_f64() * 1e6 / point.messages as f64,
            point.bytes as f64 / point.messages as f64,
        )?;
    }
    Ok(text)
}

/// The default is the median mode's; syncs belong to the disk, so all modes share them.
fn service_file(measured: &[ServiceMeasurement], syncs: &Histogram) -> ServiceFile {
    let times = |one: &ServiceMeasurement| ServiceFields {
        per_message: Some(DurationText(one.times.per_message)),
        per_kib: Some(DurationText(one.times.per_kib)),
        ..ServiceFields::default()
    };
    let mut ranked: Vec<&ServiceMeasurement> = measured.iter().collect();
    ranked.sort_by_key(|one| one.times.per_message);
    let median = ranked.get(ranked.len() / 2).map(|one| times(one));
    let quantiles = SYNC_QUANTILES.iter().filter_map(|&quantile| {
        let time = syncs.quantile_ns(quantile)?;
        Some((quantile, DurationText(Duration::from_nanos(time))))
    });
    ServiceFile {
        default: ServiceFields {
            cores: Some(1),
            sync: Some(quantiles.collect()),
            ..median.unwrap_or_default()
        },
        modes: measured
            .iter()
            .map(|one| (one.mode.clone(), times(one)))
            .collect(),
    }
}

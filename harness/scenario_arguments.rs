//! From the flags of `run` to a scenario: file, flags, profile, validation.

use std::fs;
use std::path::Path;

use longhaul_experiment::profile::{Profile, bundled};
use longhaul_experiment::record::BackendKind;
use longhaul_experiment::scenario::{
    ArrivalKind, Durability, DurationsFile, JitterChoice, LimitsFile, ScenarioFile, ServiceFile,
    WorkloadFile,
};
use longhaul_experiment::workload::KeyDistribution;
use longhaul_experiment::{ModeSpec, Scenario};

use crate::arguments::{
    ArrivalsArgument, BackendArgument, DurabilityArgument, JitterArgument, KeysArgument,
    PlacementArguments, RunArguments,
};
use crate::flags;
use crate::output::{CommandError, read_file};

/// Returns the scenario that the flags ask for, and where it is to run.
///
/// # Errors
///
/// A flag, the scenario file or the profile file is wrong, or they do not fit together.
pub fn scenario(arguments: &RunArguments) -> Result<(Scenario, BackendKind), CommandError> {
    let file = match &arguments.scenario {
        None => ScenarioFile::default(),
        Some(path) => read_scenario(path)?,
    };
    let file = file.merge(from_flags(arguments)?);
    let profile = find_profile(file.profile_name())?;
    let backend = file.backend.unwrap_or(BackendKind::Local);
    Ok((file.resolve(profile)?, backend))
}

/// Returns the topology of placement flags alone, as a scenario of one mode would have it.
///
/// # Errors
///
/// As [`scenario`].
pub fn placed(placement: &PlacementArguments, mode: ModeSpec) -> Result<Scenario, CommandError> {
    let file = ScenarioFile {
        modes: Some(vec![mode]),
        jitter: Some(JitterChoice::None),
        ..from_placement(placement)
    };
    let profile = find_profile(file.profile_name())?;
    Ok(file.resolve(profile)?)
}

/// Finds a bundled profile by its name, or reads a profile file.
///
/// # Errors
///
/// There is neither, or the file is no profile.
pub fn find_profile(name: &str) -> Result<Profile, CommandError> {
    if let Some(profile) = bundled::bundled(name) {
        return Ok(profile);
    }
    if !Path::new(name).exists() {
        let bundled = bundled::bundled_names().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "no profile '{name}': it is neither a file nor one of the bundled {bundled}"
        )
        .into());
    }
    Ok(Profile::load(name)?)
}

fn read_scenario(path: &Path) -> Result<ScenarioFile, CommandError> {
    let reading = || format!("reading scenario '{}'", path.display());
    let bytes = fs::metadata(path)
        .map_err(|why| CommandError::new(reading(), why))?
        .len();
    if bytes > ScenarioFile::BYTES_MAX as u64 {
        let why = format!(
            "it has {bytes} bytes, at most {} are read",
            ScenarioFile::BYTES_MAX
        );
        return Err(CommandError::new(reading(), why));
    }
    let text = read_file(path)?;
    Ok(ScenarioFile::parse(&text, &path.display().to_string())?)
}

fn read_service(path: &Path) -> Result<ServiceFile, CommandError> {
    let service = read_scenario(path)?.service;
    service.ok_or_else(|| {
        format!(
            "'{}' has no [service]; `longhaul calibrate --service` prints one",
            path.display()
        )
        .into()
    })
}

fn from_placement(placement: &PlacementArguments) -> ScenarioFile {
    ScenarioFile {
        profile: placement.profile.clone(),
        regions: placement.regions.clone(),
        clients: placement.clients.clone(),
        leader: placement.leader.clone(),
        ..ScenarioFile::default()
    }
}

fn from_flags(arguments: &RunArguments) -> Result<ScenarioFile, CommandError> {
    Ok(ScenarioFile {
        modes: flags::modes(&arguments.modes)?,
        backend: arguments.backend.map(|backend| match backend {
            BackendArgument::Local => BackendKind::Local,
            BackendArgument::Sim => BackendKind::Sim,
            BackendArgument::Tun => BackendKind::Tun,
            BackendArgument::Netem => BackendKind::Netem,
        }),
        jitter: arguments.jitter.map(|jitter| match jitter {
            JitterArgument::Profile => JitterChoice::Profile,
            JitterArgument::None => JitterChoice::None,
        }),
        durability: arguments.durability.map(|durability| match durability {
            DurabilityArgument::Memory => Durability::Memory,
            DurabilityArgument::Wal => Durability::Wal,
        }),
        history: arguments.history.then_some(true),
        durations: DurationsFile {
            warmup: flags::time("--warmup", arguments.warmup.as_deref())?,
            measured: flags::time("--duration", arguments.duration.as_deref())?,
            drain: None,
        },
        limits: LimitsFile {
            operation_timeout: flags::time("--timeout", arguments.timeout.as_deref())?,
            max_in_flight: None,
            connections: arguments.connections,
        },
        workload: workload(arguments),
        service: arguments.service.as_deref().map(read_service).transpose()?,
        ..from_placement(&arguments.placement)
    })
}

fn workload(arguments: &RunArguments) -> WorkloadFile {
    let open_loop = arguments.arrivals.map(|arrivals| match arrivals {
        ArrivalsArgument::Poisson => ArrivalKind::Poisson,
        ArrivalsArgument::Constant => ArrivalKind::Constant,
    });
    WorkloadFile {
        ycsb: arguments.ycsb,
        arrivals: arguments
            .closed_loop
            .map(|_| ArrivalKind::Closed)
            .or(open_loop),
        rate: arguments.rate,
        in_flight: arguments.closed_loop,
        read_share: arguments.read_share,
        write_mix: None,
        value_size: arguments.value_size,
        key_count: arguments.key_count,
        keys: arguments.keys.map(|keys| match keys {
            KeysArgument::Uniform => KeyDistribution::Uniform,
            KeysArgument::Zipfian => KeyDistribution::Zipfian { exponent: 0.99 },
            KeysArgument::Hotspot => KeyDistribution::Hotspot {
                hot_keys: 0.1,
                hot_operations: 0.9,
            },
            KeysArgument::Latest => KeyDistribution::Latest { exponent: 0.99 },
        }),
        conflict_rate: arguments.conflict_rate,
        locality: arguments.locality,
    }
}

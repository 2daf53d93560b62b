//! From what is written to a valid scenario: defaults and checks.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::duration::DurationText;
use super::error::{ScenarioError, duration_out_of_range};
use super::faults::{durability_under, resolve_faults};
use super::file::{
    ArrivalKind, DurationsFile, JitterChoice, LimitsFile, ScenarioFile, WorkloadFile,
};
use super::service::resolve_service;
use super::{Durations, Limits, Scenario};
use crate::mode::ModeSpec;
use crate::profile::Profile;
use crate::topology::{PlacementError, Topology};
use crate::workload::{Arrivals, Workload};

/// The modes of a run that names none.
const DEFAULT_MODES: [&str; 7] = [
    "leader-follower:async",
    "leader-follower:semi-sync=1",
    "leader-follower:sync",
    "quorum:raft",
    "quorum:paxos",
    "quorum:register",
    "eventual:lww",
];
const DEFAULT_WARMUP: Duration = Duration::from_millis(1500);
const DEFAULT_MEASURED: Duration = Duration::from_secs(8);

const NAME_LENGTH_MAX: usize = 64;
const WARMUP_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
const MEASURED_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(600);
const CONNECTIONS_RANGE: RangeInclusive<u32> = 1..=1024;
const IN_FLIGHT_RANGE: RangeInclusive<u32> = 1..=10_000_000;

impl Scenario {
    /// The most operations that a run keeps a history of, over all modes: about 1 GB with values
    /// of the default size.
    pub const HISTORY_MAX: u64 = 2_000_000;
}

impl ScenarioFile {
    /// Checks what is written, fills in the defaults and places everything in the profile that
    /// [`ScenarioFile::profile_name`] asks for.
    ///
    /// The defaults: replicas and clients in every region of the profile, the first leading; all
    /// built-in modes; writes alone, Poisson, 200 per second and region; 1.5 s of warm-up, 8 s
    /// measured, and a drain as long as the operation time-out of 10 s; one connection; a cap on
    /// operations in flight by [`Limits::in_flight_for`] of four times the longest round trip;
    /// storage in memory, or a log when a replica crashes or its disk is slow; the profile's jitter; no history.
    ///
    /// # Errors
    ///
    /// The first field that is out of its range or does not fit the others.
    pub fn resolve(self, profile: Profile) -> Result<Scenario, ScenarioError> {
        let name = self.name.clone().unwrap_or_else(|| "default".to_owned());
        check_name(&name)?;
        let topology = self.place(profile)?;
        let modes = resolve_modes(self.modes)?;
        let workload = resolve_workload(self.workload)?;
        workload.validate_for(topology.clients.len())?;
        let limits = resolve_limits(self.limits, &workload, &topology)?;
        let durations = resolve_durations(self.durations, &limits)?;
        let faults = resolve_faults(self.faults.unwrap_or_default(), &topology, &durations)?;
        let durability = durability_under(&faults, self.durability)?;
        let scenario = Scenario {
            name,
            topology,
            modes,
            workload,
            faults,
            durability,
            durations,
            limits,
            service: self.service.map(resolve_service).transpose()?,
            keep_history: self.history.unwrap_or(false),
        };
        let operations = scenario.expected_operations().map_or(0, |operations| {
            operations.saturating_mul(scenario.modes.len() as u64)
        });
        if scenario.keep_history && operations > Scenario::HISTORY_MAX {
            return Err(ScenarioError::HistoryTooLarge {
                operations,
                limit: Scenario::HISTORY_MAX,
            });
        }
        Ok(scenario)
    }

    /// Places replicas and clients, and leaves out the regions that hold neither.
    fn place(&self, profile: Profile) -> Result<Topology, PlacementError> {
        let profile = match self.jitter {
            Some(JitterChoice::None) => profile.without_jitter(),
            Some(JitterChoice::Profile) | None => profile,
        };
        let all: Vec<String> = profile.regions.iter().map(|r| r.name.clone()).collect();
        let replicas = names(self.regions.as_ref().unwrap_or(&all));
        let clients = self.clients.as_ref().map_or(replicas.clone(), |c| names(c));
        let leader = self.leader.as_deref();
        // Placed in the whole profile first, so that an unknown region is told of all of them.
        let placed = Topology::place(profile, &replicas, &clients, leader)?;
        let mut used = placed.replicas.clone();
        used.extend(
            placed
                .clients
                .iter()
                .filter(|client| !placed.replicas.contains(client)),
        );
        Topology::place(placed.profile.subset(&used), &replicas, &clients, leader)
    }
}

impl Scenario {
    /// Returns how many operations one mode's measured window has due on average, over all client
    /// regions; `None` in a closed loop, where the system decides.
    pub fn expected_operations(&self) -> Option<u64> {
        let per_region = self.workload.rate()? * self.durations.measured.as_secs_f64();
        Some((per_region * self.topology.clients.len() as f64) as u64)
    }
}

impl Scenario {
    /// Returns the same scenario at another rate, in operations per second and client region. A
    /// cap on operations in flight that was made for the rate is made for the new one.
    ///
    /// # Errors
    ///
    /// The loop is closed and has no rate, or the rate is out of its range.
    pub fn at_rate(&self, rate: f64) -> Result<Scenario, ScenarioError> {
        let cap = |rate| {
            let path = 4 * longest_round_trip(&self.topology);
            Limits::in_flight_for(rate, path).min(*IN_FLIGHT_RANGE.end())
        };
        let mut scenario = self.clone();
        let before = match &mut scenario.workload.arrivals {
            Arrivals::Poisson { rate: old } | Arrivals::Constant { rate: old } => {
                std::mem::replace(old, rate)
            }
            Arrivals::Closed { .. } => {
                return Err(ScenarioError::UnfitArrivals {
                    field: "rate",
                    arrivals: "closed",
                    instead: "arrivals = \"poisson\"",
                });
            }
        };
        scenario.workload.validate()?;
        if self.limits.max_in_flight == cap(before) {
            scenario.limits.max_in_flight = cap(rate);
        }
        Ok(scenario)
    }
}

fn names(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn check_name(name: &str) -> Result<(), ScenarioError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let valid = name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(fits);
    if valid {
        return Ok(());
    }
    Err(ScenarioError::OutOfRange {
        field: "name",
        value: format!("'{}'", name.chars().take(80).collect::<String>()),
        allowed: format!(
            "1 to {NAME_LENGTH_MAX} letters, digits, '-', '_' or '.', beginning with a letter or \
             digit: it names the run's folder"
        ),
    })
}

fn resolve_modes(modes: Option<Vec<ModeSpec>>) -> Result<Vec<ModeSpec>, ScenarioError> {
    let modes = modes.unwrap_or_else(|| {
        DEFAULT_MODES
            .iter()
            .map(|mode| mode.parse().expect("the default modes are well-formed"))
            .collect()
    });
    if modes.is_empty() {
        return Err(ScenarioError::OutOfRange {
            field: "modes",
            value: "empty".to_owned(),
            allowed: "at least one mode, or leave it out to run all".to_owned(),
        });
    }
    let mut seen = BTreeSet::new();
    match modes.iter().find(|mode| !seen.insert(*mode)) {
        Some(mode) => Err(ScenarioError::RepeatedMode {
            mode: mode.to_string(),
        }),
        None => Ok(modes),
    }
}

fn resolve_workload(file: WorkloadFile) -> Result<Workload, ScenarioError> {
    let base = match file.ycsb {
        Some(letter) => Workload::ycsb(letter)?,
        None => Workload::default(),
    };
    let workload = Workload {
        arrivals: resolve_arrivals(&file)?,
        read_share: file.read_share.unwrap_or(base.read_share),
        write_mix: file.write_mix.unwrap_or(base.write_mix),
        value_size: file.value_size.unwrap_or(base.value_size),
        key_count: file.key_count.unwrap_or(base.key_count),
        keys: file.keys.unwrap_or(base.keys),
        conflict_rate: file.conflict_rate.unwrap_or(base.conflict_rate),
        locality: file.locality.unwrap_or(base.locality),
    };
    workload.validate()?;
    Ok(workload)
}

fn resolve_arrivals(file: &WorkloadFile) -> Result<Arrivals, ScenarioError> {
    let unfit = |field, arrivals, instead| {
        Err(ScenarioError::UnfitArrivals {
            field,
            arrivals,
            instead,
        })
    };
    let rate = file.rate.unwrap_or(Workload::DEFAULT_RATE);
    match (file.arrivals, file.rate, file.in_flight) {
        (Some(ArrivalKind::Closed), Some(_), _) => {
            unfit("rate", "closed", "arrivals = \"poisson\"")
        }
        (Some(ArrivalKind::Closed), None, in_flight) => Ok(Arrivals::Closed {
            in_flight: in_flight.unwrap_or(1),
        }),
        (_, _, Some(_)) => unfit("in_flight", "open-loop", "arrivals = \"closed\""),
        (Some(ArrivalKind::Constant), _, None) => Ok(Arrivals::Constant { rate }),
        (Some(ArrivalKind::Poisson) | None, _, None) => Ok(Arrivals::Poisson { rate }),
    }
}

fn resolve_limits(
    file: LimitsFile,
    workload: &Workload,
    topology: &Topology,
) -> Result<Limits, ScenarioError> {
    let operation_timeout = duration_or(file.operation_timeout, Limits::OPERATION_TIMEOUT);
    check_duration("limits.operation_timeout", operation_timeout, TIMEOUT_RANGE)?;
    let connections = file.connections.unwrap_or(1);
    check_count("limits.connections", connections, CONNECTIONS_RANGE)?;
    let max_in_flight = file.max_in_flight.unwrap_or_else(|| {
        match workload.arrivals {
            Arrivals::Poisson { rate } | Arrivals::Constant { rate } => {
                Limits::in_flight_for(rate, 4 * longest_round_trip(topology))
            }
            // A closed loop limits itself: the cap only must not.
            Arrivals::Closed { in_flight } => in_flight
                .saturating_mul(connections)
                .saturating_mul(topology.replicas.len() as u32)
                .max(1024),
        }
        .min(*IN_FLIGHT_RANGE.end())
    });
    check_count("limits.max_in_flight", max_in_flight, IN_FLIGHT_RANGE)?;
    Ok(Limits {
        operation_timeout,
        max_in_flight,
        connections,
    })
}

/// Returns the longest round trip that an operation can meet: between replicas or from a client
/// to one.
fn longest_round_trip(topology: &Topology) -> Duration {
    let to_replicas = topology.clients.iter().flat_map(|&client| {
        topology
            .replicas
            .iter()
            .map(move |&replica| topology.profile.round_trip(client, replica))
    });
    to_replicas
        .chain([topology.largest_round_trip()])
        .max()
        .unwrap_or(Duration::ZERO)
}

fn resolve_durations(file: DurationsFile, limits: &Limits) -> Result<Durations, ScenarioError> {
    let durations = Durations {
        warmup: duration_or(file.warmup, DEFAULT_WARMUP),
        measured: duration_or(file.measured, DEFAULT_MEASURED),
        drain: duration_or(file.drain, limits.operation_timeout),
    };
    check_duration("durations.warmup", durations.warmup, WARMUP_RANGE)?;
    check_duration("durations.measured", durations.measured, MEASURED_RANGE)?;
    if durations.drain > limits.operation_timeout {
        let allowed = format!(
            "at most limits.operation_timeout, {}: nothing is under way for longer",
            DurationText(limits.operation_timeout)
        );
        return Err(duration_out_of_range(
            "durations.drain",
            durations.drain,
            allowed,
        ));
    }
    Ok(durations)
}

fn duration_or(text: Option<DurationText>, default: Duration) -> Duration {
    text.map_or(default, Duration::from)
}

fn check_duration(
    field: &'static str,
    value: Duration,
    range: RangeInclusive<Duration>,
) -> Result<(), ScenarioError> {
    if range.contains(&value) {
        return Ok(());
    }
    let allowed = format!(
        "{} to {}",
        DurationText(*range.start()),
        DurationText(*range.end())
    );
    Err(duration_out_of_range(field, value, allowed))
}

fn check_count(
    field: &'static str,
    value: u32,
    range: RangeInclusive<u32>,
) -> Result<(), ScenarioError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(ScenarioError::OutOfRange {
        field,
        value: value.to_string(),
        allowed: format!("{} to {}", range.start(), range.end()),
    })
}

#[cfg(test)]
mod tests;

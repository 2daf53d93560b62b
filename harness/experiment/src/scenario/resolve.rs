//! From what is written to a valid scenario: defaults and checks.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::duration::DurationText;
use super::error::{ScenarioError, duration_out_of_range};
use super::faults::resolve_faults;
use super::file::{
    ArrivalKind, DurationsFile, JitterChoice, LimitsFile, ScenarioFile, WorkloadFile,
};
use super::{Durability, Durations, Limits, Scenario};
use crate::fault::FaultKind;
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
    /// storage in memory, or a log when a replica crashes; the profile's jitter; no history.
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
        let crashes = faults.iter().any(|fault| fault.kind == FaultKind::Crash);
        let scenario = Scenario {
            name,
            topology,
            modes,
            workload,
            faults,
            durability: self.durability.unwrap_or(if crashes {
                Durability::Wal
            } else {
                Durability::Memory
            }),
            durations,
            limits,
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
mod tests {
    use super::*;
    use crate::ids::{RegionIndex, ReplicaId};
    use crate::profile::{Jitter, Link, Marginal, Region, Source};

    /// Four regions on a line: `i` and `j` are |i - j| x 10 ms apart one way, 0.25 ms at home,
    /// with a jitter.
    fn profile() -> Profile {
        let regions = ["a", "b", "c", "d"];
        let links = (0..4i64).flat_map(|i| {
            (0..4i64).map(move |j| Link {
                jitter: Jitter {
                    marginal: Marginal::Exponential {
                        mean: Duration::from_millis(1),
                    },
                    ..Jitter::NONE
                },
                ..Link::fixed(Duration::from_micros(if i == j {
                    250
                } else {
                    (i - j).unsigned_abs() * 10_000
                }))
            })
        });
        Profile::new(
            "line-4",
            "Four regions on a line.",
            Source {
                title: "made up".to_owned(),
                date: "2026-01".to_owned(),
                method: "assumed".to_owned(),
            },
            regions
                .iter()
                .map(|name| Region {
                    name: (*name).to_owned(),
                    place: String::new(),
                })
                .collect(),
            links.collect(),
        )
    }

    fn resolve(text: &str) -> Result<Scenario, String> {
        ScenarioFile::parse(text, "x.toml")
            .and_then(|file| file.resolve(profile()))
            .map_err(|error| error.to_string())
    }

    fn assert_refused(text: &str, why: &str) {
        let message = resolve(text).expect_err(text);
        assert!(message.contains(why), "{text}: {message}");
    }

    #[test]
    fn an_empty_file_is_the_default_scenario() {
        let scenario = resolve("").expect("it is valid");
        assert_eq!(scenario.name, "default");
        assert_eq!(scenario.modes.len(), 7);
        assert_eq!(scenario.topology.leader, ReplicaId(0));
        assert_eq!(scenario.topology.replicas.len(), 4);
        assert_eq!(scenario.topology.clients, scenario.topology.replicas);
        assert_eq!(scenario.workload, Workload::default());
        assert_eq!(scenario.durability, Durability::Memory);
        assert_eq!(scenario.durations.warmup, Duration::from_millis(1500));
        assert_eq!(scenario.durations.measured, Duration::from_secs(8));
        assert_eq!(scenario.durations.drain, Duration::from_secs(10));
        assert_eq!(scenario.limits.connections, 1);
        // 4 x 200/s x (4 x 60 ms) = 192 is below the least cap.
        assert_eq!(scenario.limits.max_in_flight, 1024);
        // 200/s x 8 s x 4 regions.
        assert_eq!(scenario.expected_operations(), Some(6400));
        assert!(!scenario.keep_history);
    }

    #[test]
    fn the_cap_in_flight_follows_the_rate_and_the_longest_round_trip() {
        let scenario = resolve("workload.rate = 10_000").expect("it is valid");
        // 4 x 10 000/s x (4 x 60 ms) = 9600.
        assert_eq!(scenario.limits.max_in_flight, 9600);
        // Replicas in a and b are 20 ms apart, but clients in d are 60 ms from a.
        let text = "regions = ['a', 'b']\nclients = ['d']\nworkload.rate = 10_000";
        let scenario = resolve(text).expect("it is valid");
        assert_eq!(scenario.limits.max_in_flight, 9600);
    }

    #[test]
    fn regions_without_replica_or_client_leave_the_profile() {
        let text = "regions = ['c', 'a']\nclients = ['d', 'a']\nleader = 'a'";
        let topology = resolve(text).expect("it is valid").topology;
        let names: Vec<&str> = topology
            .profile
            .region_indexes()
            .map(|region| topology.region_name(region))
            .collect();
        assert_eq!(names, ["c", "a", "d"]);
        assert_eq!(topology.replicas, [RegionIndex(0), RegionIndex(1)]);
        assert_eq!(topology.clients, [RegionIndex(2), RegionIndex(1)]);
        assert_eq!(topology.leader, ReplicaId(1));
        // c to d is one step of the line, 2 x 10 ms.
        let round_trip = topology.profile.round_trip(RegionIndex(0), RegionIndex(2));
        assert_eq!(round_trip, Duration::from_millis(20));
    }

    #[test]
    fn without_jitter_the_base_delays_remain() {
        let jitter = |text| {
            let topology = resolve(text).expect("it is valid").topology;
            let link = topology.replica_link(ReplicaId(0), ReplicaId(3));
            topology.profile.link(link).clone()
        };
        assert_ne!(jitter("").jitter, Jitter::NONE);
        let bare = jitter("jitter = 'none'");
        assert_eq!(bare, Link::fixed(Duration::from_millis(30)));
    }

    #[test]
    fn placements_that_do_not_fit_are_told_all_regions() {
        assert_refused("regions = ['a', 'x']", "it has a, b, c, d");
        assert_refused("regions = ['a', 'a']", "named twice");
        assert_refused("regions = []", "no replicas");
        assert_refused("clients = []", "no clients");
        assert_refused("regions = ['a']\nleader = 'b'", "has no replica");
    }

    #[test]
    fn values_out_of_range_name_field_value_and_range() {
        assert_refused("name = '../x'", "it names the run's folder");
        assert_refused("name = ''", "name is ''");
        assert_refused("modes = []", "at least one mode");
        assert_refused("modes = ['quorum:raft', 'quorum:raft']", "listed twice");
        assert_refused("workload.rate = 0", "rate is 0");
        assert_refused("workload.ycsb = 'e'", "no scans");
        assert_refused("durations.measured = '1ms'", "100ms to 24h");
        assert_refused(
            "durations.drain = '11s'",
            "at most limits.operation_timeout",
        );
        assert_refused("limits.connections = 0", "limits.connections is 0");
        assert_refused("limits.max_in_flight = 0", "limits.max_in_flight is 0");
        assert_refused("limits.operation_timeout = '0s'", "1ms to 10min");
        assert_refused(
            "workload = { locality = 0.5, key_count = 3 }",
            "give at least 4",
        );
    }

    #[test]
    fn arrivals_take_the_number_of_their_own_loop() {
        let arrivals = |text| resolve(text).map(|scenario| scenario.workload.arrivals);
        assert_eq!(
            arrivals("workload = { arrivals = 'closed', in_flight = 8 }"),
            Ok(Arrivals::Closed { in_flight: 8 })
        );
        assert_eq!(
            arrivals("workload.arrivals = 'constant'"),
            Ok(Arrivals::Constant { rate: 200.0 })
        );
        assert_refused(
            "workload = { arrivals = 'closed', rate = 5 }",
            "workload.rate",
        );
        assert_refused("workload.in_flight = 5", "workload.in_flight");
    }

    #[test]
    fn faults_are_checked_against_topology_and_window() {
        let fault = |at: &str, lasts: &str, kind: &str, target: &str| {
            format!(
                "faults = [{{ at = '{at}', lasts = '{lasts}', kind = '{kind}', target = {target} }}]"
            )
        };
        let crash = resolve(&fault("2s", "3s", "crash", "'leader'")).expect("it is valid");
        assert_eq!(crash.faults.len(), 1);
        assert_eq!(
            crash.durability,
            Durability::Wal,
            "what restarts needs a log"
        );
        let cut = fault("2s", "3s", "partition", "{ link = ['a', 'd'] }");
        assert!(resolve(&cut).is_ok());
        let clients_only = format!("regions = ['a']\nclients = ['b']\n{cut}");
        assert_refused(&clients_only, "'d' is not in this topology; it has a, b");
        let on_replica = fault("2s", "3s", "pause", "{ replica = 'b' }");
        assert!(resolve(&on_replica).is_ok());
        let elsewhere = format!("regions = ['a']\nclients = ['b']\n{on_replica}");
        assert_refused(
            &elsewhere,
            "fault 1 (pause at 2s): region 'b' has no replica",
        );
        let refusals = [
            (fault("8s", "1s", "pause", "'leader'"), "begins after"),
            (fault("1s", "0s", "pause", "'leader'"), "lasts no time"),
            (fault("1s", "1s", "partition", "'leader'"), "cuts links"),
            (
                fault("1s", "1s", "crash", "{ link = ['a', 'b'] }"),
                "a link cannot",
            ),
            (
                fault("1s", "1s", "partition", "{ link = ['a', 'a'] }"),
                "to itself",
            ),
        ];
        for (text, why) in refusals {
            assert_refused(&text, why);
        }
    }

    #[test]
    fn a_history_beyond_the_limit_is_refused() {
        // 10 000/s x 8 s x 4 regions x 7 modes = 2.24 million.
        assert_refused(
            "history = true\nworkload.rate = 10_000",
            "about 2240000 operations",
        );
        assert!(resolve("history = true").is_ok());
    }
}

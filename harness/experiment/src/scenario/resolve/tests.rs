use super::*;
use crate::ids::{RegionIndex, ReplicaId};
use crate::profile::{Jitter, Link, Marginal, Region, Source};
use crate::scenario::Durability;

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
        regions.iter().map(|name| Region::named(*name)).collect(),
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
    let slow_disk = fault("2s", "3s", "slow-disk', added = '9ms", "'leader'");
    let slowed = resolve(&slow_disk).expect("it is valid");
    assert_eq!(slowed.durability, Durability::Wal, "a disk is a log's");
    assert_refused(
        &format!("durability = 'memory'\n{slow_disk}"),
        "fault 1 (slow-disk at 2s): durability \"memory\" has no disk",
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
        (
            fault("1s", "1s", "crash", "{ link = ['a', 'b'] }"),
            "crash is done to a replica, not to a link",
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

#[test]
fn another_rate_gives_the_scenario_that_the_file_gives_at_that_rate() {
    let at = |rate: f64, limits: &str| {
        let text = format!("[workload]\nrate = {rate:?}\n{limits}");
        let file = ScenarioFile::parse(&text, "rate.toml").unwrap();
        file.resolve(profile()).unwrap()
    };
    // a-d is 60 ms there and back: 16 x 0.06 s x 5000/s = 4800, and at 200/s the least cap, 1024.
    for limits in ["", "[limits]\nmax_in_flight = 50\n"] {
        let moved = at(200.0, limits).at_rate(5000.0).unwrap();
        assert_eq!(moved, at(5000.0, limits));
    }
    assert!(at(200.0, "").at_rate(0.0).is_err());
}

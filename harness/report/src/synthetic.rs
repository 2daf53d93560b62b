//! Made-up runs of any size, for tests and the gallery.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_analysis::{Analysis, Route, floor};
use longhaul_experiment::histogram::{EncodedHistogram, Histogram};
use longhaul_experiment::profile::{Coordinates, Link, Region, Source};
use longhaul_experiment::record::{
    BackendKind, Calibration, Environment, Interval, KindRecord, Lateness, Leadership,
    LinkCalibration, LinkTraffic, LoadCalibration, ModeRecord, RECORD_VERSION, RegionRecord,
};
use longhaul_experiment::scenario::{Durability, Durations, Limits};
use longhaul_experiment::{
    Contact, LinkId, OperationKind, Path, Profile, RegionIndex, ReplicaId, Round, RunRecord,
    Scenario, Seed, Time, Topology, Workload,
};

/// Region names and places on a line, in milliseconds of one-way delay.
const REGIONS: [(&str, f64); 19] = [
    ("us-east-1", 0.0),
    ("us-west-2", 31.0),
    ("eu-west-1", -34.0),
    ("ap-northeast-1", 78.0),
    ("ap-southeast-1", 105.0),
    ("sa-east-1", -57.0),
    ("us-east-2", 6.5),
    ("us-west-1", 30.0),
    ("ca-central-1", 7.5),
    ("eu-central-1", -44.0),
    ("eu-west-2", -38.0),
    ("eu-west-3", -40.0),
    ("eu-north-1", -55.0),
    ("eu-south-1", -50.0),
    ("me-south-1", -88.0),
    ("af-south-1", -112.0),
    ("ap-south-1", -95.0),
    ("ap-northeast-2", 88.0),
    ("ap-southeast-2", 98.0),
];

/// Where those regions are: several close together in Europe and in North America.
const PLACES: [Coordinates; 19] = [
    place(39.0, -77.5),
    place(45.8, -119.7),
    place(53.3, -6.3),
    place(35.7, 139.7),
    place(1.3, 103.8),
    place(-23.5, -46.6),
    place(40.0, -83.0),
    place(37.4, -121.9),
    place(45.5, -73.6),
    place(50.1, 8.7),
    place(51.5, -0.1),
    place(48.9, 2.4),
    place(59.3, 18.1),
    place(45.5, 9.2),
    place(26.1, 50.5),
    place(-33.9, 18.4),
    place(19.1, 72.9),
    place(37.6, 127.0),
    place(-33.9, 151.2),
];

const fn place(latitude: f64, longitude: f64) -> Coordinates {
    Coordinates {
        latitude,
        longitude,
    }
}

const MODES: [&str; 12] = [
    "quorum:raft",
    "leader-follower:async",
    "eventual:lww",
    "quorum:register",
    "leader-follower:semi-sync=2",
    "quorum:paxos",
    "quorum:register,phases=1,r=3,w=3",
    "leader-follower:sync",
    "eventual:crdt",
    "quorum:raft,reads=lease",
    "quorum:paxos,accept=2",
    "leader-follower:semi-sync=1",
];

/// What a made-up run is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Modes, 1 to 12.
    pub modes: usize,
    /// Client regions, 1 to 19.
    pub regions: usize,
    /// Operations due per region and mode.
    pub due: u64,
    /// The share of reads.
    pub reads: f64,
    /// Operations per thousand of the second mode that do not succeed.
    pub failures: u64,
}

/// Returns a made-up run's record.
pub fn record(shape: Shape) -> RunRecord {
    let topology = topology(shape.regions);
    let modes: Vec<ModeRecord> = (0..shape.modes)
        .map(|mode| mode_record(shape, mode, &topology))
        .collect();
    RunRecord {
        record_version: RECORD_VERSION,
        scenario: Scenario {
            name: "default".to_owned(),
            topology,
            modes: modes.iter().map(|mode| mode.mode.clone()).collect(),
            workload: Workload {
                read_share: shape.reads,
                ..Workload::default()
            },
            faults: Vec::new(),
            durability: Durability::Memory,
            durations: Durations {
                warmup: Duration::from_secs(5),
                measured: Duration::from_secs(30),
                drain: Duration::from_secs(10),
            },
            limits: Limits {
                operation_timeout: Limits::OPERATION_TIMEOUT,
                max_in_flight: 1024,
                connections: 4,
            },
            service: None,
            keep_history: false,
        },
        backend: BackendKind::Sim,
        seed: Seed(1),
        complete: true,
        failures: Vec::new(),
        calibration: Calibration::default(),
        environment: Environment {
            longhaul_version: "0.1.0".to_owned(),
            command: vec!["longhaul".to_owned(), "run".to_owned()],
            system: "Linux 6.8".to_owned(),
            processor: "a made-up processor".to_owned(),
            processors: 2,
            ..Environment::default()
        },
        modes,
    }
}

/// Repeats an analysis' modes and client regions under the names of further ones: layouts of any
/// size, at no cost.
pub fn repeated(mut analysis: Analysis, modes: usize, regions: usize) -> Analysis {
    fn fill<T: Clone>(list: &mut Vec<T>, length: usize, rename: impl Fn(&mut T, usize)) {
        *list = list.iter().cycle().take(length).cloned().collect();
        list.iter_mut()
            .enumerate()
            .for_each(|(index, one)| rename(one, index));
    }
    fill(&mut analysis.summary.modes, modes, |mode, index| {
        mode.mode = MODES[index].to_owned();
        fill(&mut mode.regions, regions, |region, index| {
            region.region = REGIONS[index].0.to_owned();
        });
    });
    fill(&mut analysis.curves.modes, modes, |mode, index| {
        mode.mode = MODES[index].to_owned();
        fill(&mut mode.regions, regions, |region, index| {
            region.region = REGIONS[index].0.to_owned();
        });
    });
    analysis
}

/// Repeats a record's modes, and sets its topology to that many regions; each mode keeps the
/// client regions it had.
pub fn repeated_record(record: &RunRecord, modes: usize, regions: usize) -> RunRecord {
    let mut scenario = record.scenario.clone();
    scenario.topology = topology(regions);
    for (number, region) in scenario.topology.profile.regions.iter_mut().enumerate() {
        region.coordinates = Some(PLACES[number]);
    }
    let numbered = record.modes.iter().cycle().take(modes).enumerate();
    let modes = numbered.map(|(index, mode)| ModeRecord {
        mode: MODES[index].parse().expect("a mode string"),
        regions: mode
            .regions
            .iter()
            .take(regions)
            .cloned()
            .map(with_intervals)
            .collect(),
        ..mode.clone()
    });
    RunRecord {
        modes: modes.collect(),
        scenario,
        ..record.clone()
    }
}

/// Adds an interval log of three seconds, of which the second loses an operation.
fn with_intervals(mut region: RegionRecord) -> RegionRecord {
    for kind in region.kinds.values_mut() {
        let intervals = (0..3u64).map(|second| {
            let mut latency = Histogram::new();
            (1..=20).for_each(|value: u64| latency.record_ns(value * 1_000_000 * (second + 1)));
            Interval {
                start: Duration::from_secs(second),
                length: Duration::from_secs(1),
                due: 20 + second % 2,
                latency: EncodedHistogram::encode(&latency),
            }
        });
        kind.intervals = intervals.collect();
    }
    region
}

/// Adds probes of every link and the lateness of every mode to an analysis.
pub fn add_accuracy(analysis: &mut Analysis, record: &RunRecord) {
    let profile = &record.scenario.topology.profile;
    let links = profile.region_indexes().flat_map(|from| {
        profile.region_indexes().map(move |to| {
            let asked_ms = profile.link(LinkId { from, to }).one_way.as_secs_f64() * 1e3;
            let late_ms = 0.01 * f64::from(from.0 + 1) - 0.02 * f64::from(to.0);
            LinkCalibration {
                from: profile.regions[usize::from(from.0)].name.clone(),
                to: profile.regions[usize::from(to.0)].name.clone(),
                probes: 200,
                asked_p50_ms: asked_ms,
                asked_p99_ms: asked_ms * 1.01,
                achieved_p50_ms: asked_ms + late_ms,
                achieved_p99_ms: asked_ms * 1.01 + 3.0 * late_ms,
            }
        })
    });
    analysis.summary.calibration.links = links.collect();
    for mode in &mut analysis.summary.modes {
        let late = |p50_us| Lateness {
            count: 4000,
            p50_us,
            p99_us: 9.0 * p50_us,
            p999_us: 40.0 * p50_us,
            max_us: 210.0 * p50_us,
        };
        mode.load = Some(LoadCalibration {
            release: late(6.0),
            pacing: late(40.0),
            ..LoadCalibration::default()
        });
    }
}

fn topology(regions: usize) -> Topology {
    let chosen = &REGIONS[..regions];
    let links = chosen.iter().flat_map(|from| {
        chosen.iter().map(move |to| {
            let milliseconds = (from.1 - to.1).abs().max(0.25);
            Link::fixed(Duration::from_secs_f64(milliseconds / 1e3))
        })
    });
    let source = Source {
        title: "made up".to_owned(),
        date: "2026-11".to_owned(),
        method: "by hand".to_owned(),
    };
    let region = |&(name, _): &(&str, f64)| Region::named(name);
    Topology::everywhere(Profile::new(
        format!("made-up-{regions}"),
        "Regions on a line.",
        source,
        chosen.iter().map(region).collect(),
        links.collect(),
    ))
}

fn path(mode: usize, replicas: usize) -> Path {
    let round = |acknowledgements: usize| Round {
        acknowledgements: acknowledgements.min(replicas),
        among: replicas,
    };
    let majority = replicas / 2 + 1;
    let (contact, rounds) = match mode {
        0 | 5 | 9 => (Contact::Leader, vec![round(majority)]),
        1 => (Contact::Leader, Vec::new()),
        2 | 8 => (Contact::Nearest, Vec::new()),
        3 => (Contact::Nearest, vec![round(majority), round(majority)]),
        4 => (Contact::Leader, vec![round(3)]),
        6 => (Contact::Nearest, vec![round(3)]),
        7 => (Contact::Leader, vec![round(replicas)]),
        _ => (Contact::Leader, vec![round(2)]),
    };
    Path { contact, rounds }
}

fn mode_record(shape: Shape, mode: usize, topology: &Topology) -> ModeRecord {
    let path = path(mode, topology.replicas.len());
    let leads = path.contact == Contact::Leader;
    let regions = topology.clients.iter().map(|&region| {
        let route = Route {
            topology,
            leader: topology.leader,
            region,
        };
        let floor = floor(&path, &route);
        let reads = (shape.due as f64 * shape.reads).round() as u64;
        let mut kinds = BTreeMap::new();
        for (kind, due) in [
            (OperationKind::Read, reads),
            (OperationKind::Write, shape.due - reads),
        ] {
            if due > 0 {
                let failures = if mode == 1 {
                    due * shape.failures / 1000
                } else {
                    0
                };
                let seed = (mode as u64) << 32 | u64::from(region.0) << 8 | kind as u64;
                kinds.insert(kind, kind_record(floor, due, failures, seed));
            }
        }
        RegionRecord {
            region,
            kinds,
            capped: 0,
            redirects: 0,
        }
    });
    let leadership = Leadership {
        at: Time::from_millis(200),
        term: 2,
        leader: ReplicaId(0),
    };
    let mut record = ModeRecord {
        mode: MODES[mode].parse().expect("a mode string"),
        paths: [
            (OperationKind::Read, path.clone()),
            (OperationKind::Write, path.clone()),
        ]
        .into(),
        leaders: if leads { vec![leadership] } else { Vec::new() },
        faults: Vec::new(),
        window_start: Time::from_millis(5000),
        window: Duration::from_secs(30),
        regions: regions.collect(),
        traffic: Vec::new(),
        load: None,
        warnings: Vec::new(),
        history: None,
    };
    if topology.replicas.len() > 1 {
        record.traffic.push(LinkTraffic {
            link: LinkId {
                from: RegionIndex(0),
                to: RegionIndex(1),
            },
            replica_messages: shape.due * 8,
            replica_bytes: shape.due * 1930,
            client_messages: shape.due * 2,
            client_bytes: shape.due * 410,
        });
    }
    record
}

/// Latencies: the floor and an exponential tail of 3% of it and 0.4 ms.
fn kind_record(floor: Duration, due: u64, failures: u64, seed: u64) -> KindRecord {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut latency = Histogram::new();
    let mut service = Histogram::new();
    for _ in failures..due {
        // Xorshift: any even spread over (0, 1) does here.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let uniform = (state >> 11) as f64 / (1u64 << 53) as f64;
        let tail = floor.mul_f64(0.03) + Duration::from_micros(400);
        let extra = tail.mul_f64(-(1.0 - uniform).max(1e-9).ln());
        latency.record(floor + extra + Duration::from_micros(60));
        service.record(floor + extra);
    }
    let errors = match failures {
        0 => BTreeMap::new(),
        _ => [("timed-out".to_owned(), failures)].into(),
    };
    KindRecord {
        due,
        ok: due - failures,
        failed: 0,
        unknown: failures,
        errors,
        latency,
        service,
        intervals: Vec::new(),
    }
}

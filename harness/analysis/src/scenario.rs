//! The run's order in a summary: names and plain units instead of indexes.

mod link;
mod service;

use longhaul_experiment::scenario::Durability;
use longhaul_experiment::workload::{Arrivals, KeyDistribution, Workload};
use longhaul_experiment::{Fault, RegionIndex, Scenario};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use link::LinkSummary;
pub use service::ServiceSummary;

/// Everything that defined a run but its seed and its machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioSummary {
    /// Its name.
    pub name: String,
    /// The profile's name.
    pub profile: String,
    /// Who measured the profile's delays, and where it is published.
    pub profile_source: String,
    /// The date of that measurement.
    pub profile_date: String,
    /// The links as they were in this run, whatever the profile of that name says; empty in
    /// summaries of before they were stated.
    #[serde(default)]
    pub links: Vec<LinkSummary>,
    /// The replicas' regions.
    pub replicas: Vec<String>,
    /// The region of the replica that should lead.
    pub leader: String,
    /// The clients' regions.
    pub clients: Vec<String>,
    /// The modes asked for.
    pub modes: Vec<String>,
    /// The load.
    pub workload: WorkloadSummary,
    /// What broke, one sentence each.
    pub faults: Vec<String>,
    /// What replicas kept: `memory` or `wal`.
    pub durability: String,
    /// What replicas' work cost in virtual time; empty where it took none, and on real processors.
    #[serde(default)]
    pub service: Vec<ServiceSummary>,
    /// Seconds of load before the measured window.
    pub warmup_s: f64,
    /// Seconds of the measured window that was asked for.
    pub measured_s: f64,
    /// The longest wait afterwards for operations still under way, in seconds.
    pub drain_s: f64,
    /// When an operation without an answer counts as unknown, in seconds.
    pub operation_timeout_s: f64,
    /// The most operations in flight per client region.
    pub max_in_flight: u32,
    /// Connections from each client region to each replica it asks.
    pub connections: u32,
}

/// The load that clients put on the system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadSummary {
    /// `poisson` or `constant` for an open loop, `closed`.
    pub arrivals: String,
    /// Operations per second and client region; null for a closed loop.
    pub rate_ops: Option<f64>,
    /// Operations in flight per connection; null for an open loop.
    pub in_flight: Option<u32>,
    /// The share of reads, 0 to 1.
    pub read_share: f64,
    /// The share of compare-and-set among operations that are not reads.
    pub compare_and_set_share: f64,
    /// The share of add among operations that are not reads.
    pub add_share: f64,
    /// The share of take-if-enough among operations that are not reads.
    pub take_if_enough_share: f64,
    /// Bytes of a written value.
    pub value_bytes: u32,
    /// How many keys there are.
    pub key_count: u64,
    /// Which keys are asked for, e.g. `uniform` or `zipfian 0.99`.
    pub keys: String,
    /// The share of operations on one key common to all clients.
    pub conflict_rate: f64,
    /// The share of operations that stay on keys of the client's own region.
    pub locality: f64,
}

impl ScenarioSummary {
    /// Returns the summary of a scenario.
    pub fn new(scenario: &Scenario) -> ScenarioSummary {
        let topology = &scenario.topology;
        let names = |regions: &[RegionIndex]| {
            let name = |&region| topology.region_name(region).to_owned();
            regions.iter().map(name).collect()
        };
        ScenarioSummary {
            name: scenario.name.clone(),
            profile: topology.profile.name.clone(),
            profile_source: topology.profile.source.title.clone(),
            profile_date: topology.profile.source.date.clone(),
            links: LinkSummary::all(&topology.profile),
            replicas: names(&topology.replicas),
            leader: topology
                .region_name(topology.region_of(topology.leader))
                .to_owned(),
            clients: names(&topology.clients),
            modes: scenario.modes.iter().map(ToString::to_string).collect(),
            workload: WorkloadSummary::new(&scenario.workload),
            faults: scenario.faults.iter().map(Fault::to_string).collect(),
            durability: match scenario.durability {
                Durability::Memory => "memory",
                Durability::Wal => "wal",
            }
            .to_owned(),
            service: scenario
                .service
                .as_ref()
                .map_or_else(Vec::new, ServiceSummary::all),
            warmup_s: scenario.durations.warmup.as_secs_f64(),
            measured_s: scenario.durations.measured.as_secs_f64(),
            drain_s: scenario.durations.drain.as_secs_f64(),
            operation_timeout_s: scenario.limits.operation_timeout.as_secs_f64(),
            max_in_flight: scenario.limits.max_in_flight,
            connections: scenario.limits.connections,
        }
    }
}

impl WorkloadSummary {
    fn new(workload: &Workload) -> WorkloadSummary {
        let (arrivals, rate_ops, in_flight) = match workload.arrivals {
            Arrivals::Poisson { rate } => ("poisson", Some(rate), None),
            Arrivals::Constant { rate } => ("constant", Some(rate), None),
            Arrivals::Closed { in_flight } => ("closed", None, Some(in_flight)),
        };
        WorkloadSummary {
            arrivals: arrivals.to_owned(),
            rate_ops,
            in_flight,
            read_share: workload.read_share,
            compare_and_set_share: workload.write_mix.compare_and_set,
            add_share: workload.write_mix.add,
            take_if_enough_share: workload.write_mix.take_if_enough,
            value_bytes: workload.value_size,
            key_count: workload.key_count,
            keys: describe_keys(workload.keys),
            conflict_rate: workload.conflict_rate,
            locality: workload.locality,
        }
    }
}

fn describe_keys(keys: KeyDistribution) -> String {
    match keys {
        KeyDistribution::Uniform => "uniform".to_owned(),
        KeyDistribution::Zipfian { exponent } => format!("zipfian {exponent}"),
        KeyDistribution::Hotspot {
            hot_keys,
            hot_operations,
        } => format!("hotspot: {hot_operations} of the operations on {hot_keys} of the keys"),
        KeyDistribution::Latest { exponent } => format!("latest {exponent}"),
    }
}

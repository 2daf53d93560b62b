//! What the agents have told the coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::record::{FaultRecord, Leadership, LinkTraffic};
use longhaul_experiment::{RegionIndex, ReplicaId, Topology};

use crate::messages::{ClientsReport, FaultReport, FromAgent, ProbeSample, SiteLoad};
use crate::processors::ThreadTimes;

/// What the agents have told so far.
#[derive(Default)]
pub(super) struct Heard {
    /// Where each replica listens.
    pub(super) addresses: Vec<Option<SocketAddr>>,
    pub(super) replicas_connected: usize,
    pub(super) clients_connected: usize,
    /// Whom each replica takes for the leader.
    pub(super) leaders: Vec<Option<ReplicaId>>,
    pub(super) leaderships: Vec<Leadership>,
    faults: Vec<FaultReport>,
    /// What the clients of each region left that are done.
    pub(super) clients: Vec<ClientsReport>,
    /// The replicas that have ended.
    pub(super) stopped: BTreeSet<ReplicaId>,
    pub(super) traffic: Vec<LinkTraffic>,
    pub(super) probes: Vec<ProbeSample>,
    /// What the measured window took in each place.
    pub(super) loads: Vec<SiteLoad>,
    pub(super) failure: Option<String>,
}

impl Heard {
    /// Returns what is known before anyone has told anything.
    pub(super) fn nothing(topology: &Topology) -> Heard {
        Heard {
            addresses: vec![None; topology.replicas.len()],
            leaders: vec![None; topology.replicas.len()],
            ..Heard::default()
        }
    }

    /// Returns the leader of the latest term.
    pub(super) fn leader(&self) -> Option<ReplicaId> {
        let latest = self.leaderships.iter().max_by_key(|known| known.term);
        latest.map(|latest| latest.leader)
    }

    /// Takes what an agent tells.
    pub(super) fn take(&mut self, message: FromAgent) {
        match message {
            FromAgent::Listening { replica, address } => {
                self.addresses[replica.index()] = Some(address);
            }
            FromAgent::ReplicaConnected(_) => self.replicas_connected += 1,
            FromAgent::ClientsConnected => self.clients_connected += 1,
            FromAgent::Leader {
                replica,
                at,
                term,
                leader,
            } => {
                self.leaders[replica.index()] = leader;
                let known = |leader| {
                    self.leaderships
                        .iter()
                        .any(|known| known.term == term && known.leader == leader)
                };
                if let Some(leader) = leader
                    && !known(leader)
                {
                    self.leaderships.push(Leadership { at, term, leader });
                }
            }
            FromAgent::Fault(report) => self.faults.push(report),
            FromAgent::Finished(report) => self.clients.push(*report),
            FromAgent::Stopped(report) => {
                self.stopped.insert(report.replica);
                self.traffic.extend(report.traffic);
                self.probes.extend(report.probes);
            }
            FromAgent::Load(load) => self.loads.push(*load),
            FromAgent::Failed(why) => {
                self.failure.get_or_insert(why);
            }
        }
    }

    /// Returns the regions whose clients have not reported, by name.
    pub(super) fn silent_clients<'a>(&self, topology: &'a Topology) -> Vec<&'a str> {
        let has_reported = |region: &RegionIndex| {
            let mut reported = self.clients.iter().map(|report| report.record.region);
            reported.any(|reported| reported == *region)
        };
        let silent = topology.clients.iter().filter(|it| !has_reported(it));
        silent.map(|&region| topology.region_name(region)).collect()
    }

    /// Returns the regions whose replicas have not ended, by name.
    pub(super) fn running_replicas<'a>(&self, topology: &'a Topology) -> Vec<&'a str> {
        let ids = topology.replica_ids();
        ids.filter(|id| !self.stopped.contains(id))
            .map(|id| topology.region_name(topology.region_of(id)))
            .collect()
    }

    /// Returns how late frames were released in the measured window.
    pub(super) fn lateness(&self) -> Histogram {
        let mut all = Histogram::new();
        self.loads.iter().for_each(|load| all.merge(&load.release));
        all
    }

    /// Returns what all threads used of the processors in the measured window, where the system
    /// tells.
    pub(super) fn used(&self) -> Option<ThreadTimes> {
        let mut used = self.loads.iter().map(|load| load.used);
        used.try_fold(ThreadTimes::default(), |all, used| Some(all.and(&used?)))
    }

    /// Returns how the precise threads are scheduled: in one way, unless places differ.
    pub(super) fn scheduling(&self) -> String {
        let ways: BTreeSet<&str> = self.loads.iter().map(|load| &*load.scheduling).collect();
        let ways: Vec<&str> = ways.into_iter().collect();
        ways.join(", elsewhere ")
    }

    /// Returns when each fault really began and ended, in the order of the scenario.
    ///
    /// Where it was done in several places, the last of them counts.
    pub(super) fn fault_records(&self) -> Vec<FaultRecord> {
        let mut records: BTreeMap<usize, FaultRecord> = BTreeMap::new();
        let mut by_time = self.faults.clone();
        by_time.sort_by_key(|report| (report.at, !report.begins));
        for report in by_time {
            let record = records.entry(report.number).or_insert(FaultRecord {
                number: report.number,
                replica: None,
                began_at: report.at,
                ended_at: None,
            });
            record.replica = record.replica.or(report.replica);
            if report.begins {
                record.began_at = report.at;
            } else {
                record.ended_at = Some(report.at);
            }
        }
        records.into_values().collect()
    }
}

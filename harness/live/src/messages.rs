//! What the coordinator and the region agents tell each other.
//!
//! Agents share nothing else with it but the run's clock and what is in their setup, so that they
//! can be in processes of their own.

use std::net::SocketAddr;

use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::record::{LinkTraffic, RegionRecord};
use longhaul_experiment::{LinkId, OperationRecord, RegionIndex, ReplicaId, Time};
use serde::{Deserialize, Serialize};

use crate::faults::order::FaultOrder;
use crate::processors::ThreadTimes;

/// From the coordinator to the regions that share a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ToSite {
    /// All its replicas and clients are to do this.
    Everyone(ToAgent),
    /// Its clients are.
    Clients(ToAgent),
    /// Its replicas are.
    Replicas(ToAgent),
    /// Frames sent from this instant on are delayed.
    Emulate(Time),
    /// The measured window begins: its lateness and its use of the processors count from here on.
    BeginWindow,
    /// The measured window has ended: they are to be reported.
    EndWindow,
    /// A fault begins or ends.
    Fault(FaultOrder),
    /// End all replicas and clients.
    Stop,
}

/// From the coordinator to an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ToAgent {
    /// Connect to the replicas, which listen at these addresses, in the order of their ids.
    Connect(Vec<SocketAddr>),
    /// Start the replica.
    Start,
    /// Probe every link.
    Probe(ProbePlan),
    /// Put load on.
    Load(LoadPlan),
    /// End the load now.
    Cut,
    /// Connections between two regions end now and stay down. `a` may be `b`.
    EndConnections {
        /// The lower region.
        a: RegionIndex,
        /// The higher one.
        b: RegionIndex,
    },
    /// Connections between two regions may come up again.
    RestoreConnections {
        /// The lower region.
        a: RegionIndex,
        /// The higher one.
        b: RegionIndex,
        /// Not before.
        ready_at: Time,
    },
    /// End.
    Stop,
}

/// How links are probed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ProbePlan {
    /// When the first probe is sent.
    pub(crate) start: Time,
    /// How many are sent on each directed link.
    pub(crate) count: u32,
    /// Nanoseconds between two.
    pub(crate) gap_ns: u64,
}

/// When the load begins and ends and what of it is measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct LoadPlan {
    /// The first operations are due from here.
    pub(crate) start: Time,
    /// Operations due from here are measured.
    pub(crate) window_start: Time,
    /// Operations are due until here.
    pub(crate) end: Time,
    /// Operations under way are waited for until here.
    pub(crate) drained_by: Time,
}

/// From an agent to the coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FromAgent {
    /// The replica listens.
    Listening {
        /// Which.
        replica: ReplicaId,
        /// Where.
        address: SocketAddr,
    },
    /// The replica is connected to all its peers, both ways.
    ReplicaConnected(ReplicaId),
    /// The region's clients are connected to the replicas they ask.
    ClientsConnected,
    /// A replica's view of who leads changed.
    Leader {
        /// Whose view.
        replica: ReplicaId,
        /// When.
        at: Time,
        /// The term or ballot.
        term: u64,
        /// Who leads.
        leader: Option<ReplicaId>,
    },
    /// A fault began or ended here.
    Fault(FaultReport),
    /// The region's clients are done.
    Finished(Box<ClientsReport>),
    /// The replica has ended.
    Stopped(ReplicaReport),
    /// What the measured window took where the agent is.
    Load(Box<SiteLoad>),
    /// Something failed; the run cannot go on.
    Failed(String),
}

/// What a fault's beginning or end did, and when.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct FaultReport {
    /// The fault's position in the scenario.
    pub(crate) number: usize,
    /// Whether it is the beginning; else the end.
    pub(crate) begins: bool,
    /// When it was to be.
    pub(crate) planned_at: Time,
    /// When it was.
    pub(crate) at: Time,
    /// The replica that it was done to, if it was one.
    pub(crate) replica: Option<ReplicaId>,
}

/// What the clients of a region leave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClientsReport {
    /// What they saw.
    pub(crate) record: RegionRecord,
    /// How late operations were sent that the cap did not hold back.
    pub(crate) pacing: Histogram,
    /// Every operation due in the window, when asked for.
    pub(crate) history: Vec<OperationRecord>,
    /// What they sent.
    pub(crate) traffic: Vec<LinkTraffic>,
    /// What probes saw.
    pub(crate) probes: Vec<ProbeSample>,
}

/// What the regions that share a process took in the measured window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SiteLoad {
    /// How late the precise thread released frames.
    pub(crate) release: Histogram,
    /// What their threads used of the processors; `None` where the system does not tell.
    pub(crate) used: Option<ThreadTimes>,
    /// How the precise thread is scheduled.
    pub(crate) scheduling: String,
}

/// What a replica leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReplicaReport {
    /// Which.
    pub(crate) replica: ReplicaId,
    /// What it sent.
    pub(crate) traffic: Vec<LinkTraffic>,
    /// What probes saw.
    pub(crate) probes: Vec<ProbeSample>,
}

/// One probe's delay on one link.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ProbeSample {
    /// The link.
    pub(crate) link: LinkId,
    /// The delay that the link core asked for, in nanoseconds.
    pub(crate) asked_ns: u64,
    /// The delay that the receiver saw, in nanoseconds.
    pub(crate) achieved_ns: u64,
}

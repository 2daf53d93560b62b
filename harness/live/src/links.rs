//! Link cores for connections: one each, sharing the tabulated jitter of their link.

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::profile::Link;
use longhaul_experiment::random::{Seed, Stream};
use longhaul_experiment::{LinkId, RegionIndex, Topology};
use longhaul_wan::link::LinkCore;
use longhaul_wan::marginal::QuantileTable;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Messages between replicas.
    Replicas,
    /// A client's requests.
    ToReplica,
    /// Replies to a client.
    ToClient,
}

/// Returns the number of a connection's random stream: its use, who is at the other end, and how
/// often that connection was made before (64 times are told apart).
pub(crate) fn stream_of(used: Use, end: u32, times: u64) -> u64 {
    (times % 64) << 34 | (used as u64) << 32 | u64::from(end)
}

/// Makes the link cores of a run.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    topology: Arc<Topology>,
    tables: Arc<Vec<Arc<QuantileTable>>>,
    seed: Seed,
}

impl Links {
    pub(crate) fn new(topology: Arc<Topology>, seed: Seed) -> Links {
        let regions = || topology.profile.region_indexes();
        let tables = regions()
            .flat_map(|from| regions().map(move |to| LinkId { from, to }))
            .map(|link| {
                Arc::new(QuantileTable::new(
                    &topology.profile.link(link).jitter.marginal,
                ))
            })
            .collect();
        Links {
            topology: Arc::clone(&topology),
            tables: Arc::new(tables),
            seed,
        }
    }

    /// Returns the core of a connection over a link. `connection`, below 2^40, tells connections of
    /// one link apart: each draws from a stream of its own.
    pub(crate) fn core(&self, link: LinkId, connection: u64) -> LinkCore {
        let regions = self.topology.profile.regions.len();
        let position = link.from.index() * regions + link.to.index();
        let generator = self
            .seed
            .stream(Stream::Link, (position as u64) << 40 | connection);
        let table = Arc::clone(&self.tables[position]);
        LinkCore::with_table(self.link(link), table, generator)
            .with_round_trip(self.round_trip(link.from, link.to))
    }

    /// Returns a link as the profile has it.
    pub(crate) fn link(&self, link: LinkId) -> &Link {
        self.topology.profile.link(link)
    }

    /// Returns the round trip between two regions at the profile's base delays.
    pub(crate) fn round_trip(&self, a: RegionIndex, b: RegionIndex) -> Duration {
        self.topology.profile.round_trip(a, b)
    }
}

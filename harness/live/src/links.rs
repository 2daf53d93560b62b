//! Link cores for connections: one each, sharing the tabulated jitter of their link.

use std::sync::Arc;

use longhaul_experiment::random::{Seed, Stream};
use longhaul_experiment::{LinkId, RegionIndex, Topology};
use longhaul_wan::link::LinkCore;
use longhaul_wan::marginal::QuantileTable;

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

    /// Returns the core of a connection over a link. `connection` tells connections of one link
    /// apart: each draws from a stream of its own.
    pub(crate) fn core(&self, link: LinkId, connection: u64) -> LinkCore {
        let regions = self.topology.profile.regions.len();
        let position = link.from.index() * regions + link.to.index();
        let generator = self
            .seed
            .stream(Stream::Link, (position as u64) << 40 | connection);
        let table = Arc::clone(&self.tables[position]);
        let back = LinkId {
            from: link.to,
            to: link.from,
        };
        let round_trip = self.round_trip(link.from, back.from);
        LinkCore::with_table(self.topology.profile.link(link), table, generator)
            .with_round_trip(round_trip)
    }

    fn round_trip(&self, from: RegionIndex, to: RegionIndex) -> std::time::Duration {
        self.topology.profile.round_trip(from, to)
    }
}

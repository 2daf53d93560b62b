//! The network: a link for every connection, cuts, and the count of what crosses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::backend::FRAME_HEADER_BYTES;
use longhaul_experiment::fault::faulted_link;
use longhaul_experiment::profile::{Link, Marginal};
use longhaul_experiment::record::LinkTraffic;
use longhaul_experiment::{LinkId, RegionIndex, ReplicaId, Seed, Stream, Time, Topology};
use longhaul_protocol::paged::PagedMap;
use longhaul_wan::link::{LinkCore, Verdict};
use longhaul_wan::marginal::QuantileTable;
use serde::Serialize;

use crate::frame_size::frame_size;
use crate::queue::Lane;
use crate::simulation::ClientAddress;

/// One direction of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wire {
    /// From one replica to another.
    Replicas(ReplicaId, ReplicaId),
    /// From a client to a replica.
    ToReplica(ClientAddress, ReplicaId),
    /// Back.
    ToClient(ClientAddress, ReplicaId),
}

impl Wire {
    /// Returns the directed link that the connection runs over.
    pub fn link(self, topology: &Topology) -> LinkId {
        match self {
            Wire::Replicas(from, to) => topology.replica_link(from, to),
            Wire::ToReplica(client, replica) => LinkId {
                from: client.region,
                to: topology.region_of(replica),
            },
            Wire::ToClient(client, replica) => LinkId {
                from: topology.region_of(replica),
                to: client.region,
            },
        }
    }

    /// Returns the index of the connection's random stream. It names the regions, not positions
    /// in a placement: placing one more replica changes no draw of another connection.
    fn stream_index(self, link: LinkId) -> u64 {
        let use_of = match self {
            Wire::Replicas(..) => 0u64,
            Wire::ToReplica(..) => 1,
            Wire::ToClient(..) => 2,
        };
        (use_of << 60)
            | (u64::from(self.connection() & 0x0fff_ffff) << 32)
            | (u64::from(link.from.0) << 16)
            | u64::from(link.to.0)
    }

    /// Says whether it is a connection between two replicas, in either direction.
    pub fn joins(self, a: ReplicaId, b: ReplicaId) -> bool {
        matches!(self, Wire::Replicas(from, to) if (from, to) == (a, b) || (from, to) == (b, a))
    }

    /// Says whether it is a connection between a region's clients and a replica.
    pub fn clients_of(self, region: RegionIndex, replica: ReplicaId) -> bool {
        match self {
            Wire::Replicas(..) => false,
            Wire::ToReplica(client, to) | Wire::ToClient(client, to) => {
                client.region == region && to == replica
            }
        }
    }

    /// Says whether it is one client's connection to a replica.
    pub fn is_of(self, client: ClientAddress, replica: ReplicaId) -> bool {
        self == Wire::ToReplica(client, replica) || self == Wire::ToClient(client, replica)
    }

    /// Returns the number of a client's connection; 0 between replicas.
    fn connection(self) -> u32 {
        match self {
            Wire::Replicas(..) => 0,
            Wire::ToReplica(client, _) | Wire::ToClient(client, _) => client.connection,
        }
    }

    fn is_between_replicas(self) -> bool {
        matches!(self, Wire::Replicas(..))
    }
}

/// All connections of a simulation. `F` is what they carry.
#[derive(Debug)]
pub(crate) struct Network<F> {
    topology: Arc<Topology>,
    seed: Seed,
    /// Between replicas, row-major; one look-up for each message.
    replica_wires: Vec<LinkCore>,
    /// Between clients and replicas: by lane, then by connection.
    client_wires: Vec<PagedMap<LinkCore>>,
    /// One table for all connections and links of the same marginal: tabulating is slow.
    tables: Vec<(Marginal, Arc<QuantileTable>)>,
    delays: bool,
    /// Cut links, with the number of each cut.
    cuts: BTreeMap<LinkId, u32>,
    cuts_so_far: u32,
    held: Vec<Held<F>>,
    /// What faults do to links.
    burdens: BTreeMap<LinkId, Burden>,
    counting: bool,
    /// Whether any link's delay depends on a frame's size.
    size_matters: bool,
    /// By link, row-major; empty until something is counted.
    traffic: Vec<LinkTraffic>,
}

/// What faults add to a link.
#[derive(Clone, Copy, Debug, Default)]
struct Burden {
    delay: Duration,
    loss: f64,
}

/// What becomes of a frame that enters the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It arrives then, on this lane of the event queue.
    Arrives(Lane, Time),
    /// Its link is cut: [`Network::hold`] keeps it until that heals.
    Waits,
    /// It is lost, and its connection is given up then: losses delayed it for too long.
    GivenUp(Time),
}

#[derive(Debug)]
struct Held<F> {
    /// When it was sent.
    at: Time,
    wire: Wire,
    bytes: usize,
    frame: F,
}

impl<F> Network<F> {
    /// Returns the network of a topology, with delays on.
    pub fn new(topology: Arc<Topology>, seed: Seed) -> Network<F> {
        let regions: Vec<RegionIndex> = topology.profile.region_indexes().collect();
        let size_matters = regions.iter().any(|&from| {
            regions.iter().any(|&to| {
                let link = topology.profile.link(LinkId { from, to });
                link.rate_bps.is_some() || link.loss > 0.0
            })
        });
        let mut network = Network {
            topology,
            seed,
            replica_wires: Vec::new(),
            client_wires: Vec::new(),
            tables: Vec::new(),
            delays: true,
            cuts: BTreeMap::new(),
            cuts_so_far: 0,
            held: Vec::new(),
            burdens: BTreeMap::new(),
            counting: false,
            size_matters,
            traffic: Vec::new(),
        };
        let ids: Vec<ReplicaId> = network.topology.replica_ids().collect();
        for &from in &ids {
            for &to in &ids {
                let core = network.core(Wire::Replicas(from, to));
                network.replica_wires.push(core);
            }
        }
        network
    }

    /// Turns delays on or off. Off, everything arrives at the instant it is sent.
    pub fn set_delays(&mut self, on: bool) {
        self.delays = on;
    }

    /// Turns the count of traffic on or off.
    pub fn set_counting(&mut self, on: bool) {
        self.counting = on;
    }

    /// Returns what was counted, by link.
    pub fn traffic(&self) -> Vec<LinkTraffic> {
        let crossed = self.traffic.iter();
        crossed
            .filter(|traffic| traffic.replica_messages + traffic.client_messages > 0)
            .copied()
            .collect()
    }

    /// Has the size of every frame known from now on.
    pub fn need_sizes(&mut self) {
        self.size_matters = true;
    }

    /// Returns the size of a frame with this content, or 0 when nobody needs it: walking every
    /// message of a run costs more than delivering it.
    ///
    /// # Panics
    ///
    /// Panics on content without a form in postcard, which is a fault of the mode.
    pub fn frame_bytes(&self, content: &impl Serialize) -> usize {
        if !self.counting && !self.size_matters {
            return 0;
        }
        let size = frame_size(content);
        size.expect("what has no form in postcard could not be sent by any backend")
            + FRAME_HEADER_BYTES
    }

    /// Returns the lane of the event queue for a connection's frames: one for all connections
    /// between the same two places in one direction, whose frames mostly arrive in order.
    pub fn lane(&self, wire: Wire) -> Lane {
        let replicas = self.topology.replicas.len();
        let of_client = |client: ClientAddress, replica: ReplicaId| {
            replicas * replicas + 2 * (client.region.index() * replicas + replica.index())
        };
        Lane(match wire {
            Wire::Replicas(from, to) => self.index(from, to),
            Wire::ToReplica(client, replica) => of_client(client, replica),
            Wire::ToClient(client, replica) => of_client(client, replica) + 1,
        } as u32)
    }

    /// Sends a frame, and returns what becomes of it.
    #[inline]
    pub fn send(&mut self, at: Time, wire: Wire, bytes: usize) -> Passage {
        let link = wire.link(&self.topology);
        if self.counting {
            self.count(wire, link, bytes);
        }
        if self.cuts.contains_key(&link) {
            return Passage::Waits;
        }
        self.release(at, wire, bytes)
    }

    /// Keeps a frame whose link is cut.
    pub fn hold(&mut self, at: Time, (wire, bytes): (Wire, usize), frame: F) {
        let held = Held {
            at,
            wire,
            bytes,
            frame,
        };
        self.held.push(held);
    }

    /// Cuts a directed link: what is sent from now on is kept at its entrance. Returns the number
    /// of the cut; `None`: it is cut already.
    pub fn cut(&mut self, link: LinkId) -> Option<u32> {
        if self.cuts.contains_key(&link) {
            return None;
        }
        self.cuts_so_far += 1;
        self.cuts.insert(link, self.cuts_so_far);
        Some(self.cuts_so_far)
    }

    /// Returns the number of the cut of a link that is cut.
    pub fn cut_of(&self, link: LinkId) -> Option<u32> {
        self.cuts.get(&link).copied()
    }

    /// Heals a cut link, and returns what was kept with what becomes of it: it sets out now, or
    /// when it is sent if that is later.
    pub fn heal(&mut self, now: Time, link: LinkId) -> Vec<(Passage, Wire, F)> {
        self.cuts.remove(&link);
        self.take_held(|held_on, _| held_on == link)
            .into_iter()
            .map(|held| {
                let passage = self.release(held.at.max(now), held.wire, held.bytes);
                (passage, held.wire, held.frame)
            })
            .collect()
    }

    /// Forgets what was kept of connections that ended.
    pub fn lose(&mut self, is_lost: impl Fn(Wire) -> bool) {
        self.take_held(|_, wire| is_lost(wire));
    }

    /// Makes a link's delay longer for what enters it from now on; zero: as the profile says.
    pub fn set_delay_added(&mut self, link: LinkId, delay: Duration) {
        self.burdens.entry(link).or_default().delay = delay;
        self.burden(link);
        // Retransmissions on the way back wait for this direction too.
        self.burden(LinkId {
            from: link.to,
            to: link.from,
        });
    }

    /// Loses a share of what enters a link from now on, beside what the profile's loss takes.
    pub fn set_loss_added(&mut self, link: LinkId, loss: f64) {
        self.burdens.entry(link).or_default().loss = loss;
        self.size_matters |= loss > 0.0;
        self.burden(link);
    }

    /// Begins a new epoch of the connection between two replicas, in both directions.
    pub fn begin_epoch(&mut self, a: ReplicaId, b: ReplicaId) {
        for index in [self.index(a, b), self.index(b, a)] {
            self.replica_wires[index].begin_epoch();
        }
    }

    /// Begins a new epoch of the connections between a region's clients and a replica.
    pub fn begin_client_epoch(&mut self, region: RegionIndex, replica: ReplicaId) {
        let replicas = self.topology.replicas.len();
        let to = 2 * (region.index() * replicas + replica.index());
        for cores in self.client_wires.iter_mut().skip(to).take(2) {
            cores.values_mut().for_each(LinkCore::begin_epoch);
        }
    }

    /// Begins a new epoch of one client's connection to a replica.
    pub fn begin_epoch_of(&mut self, client: ClientAddress, replica: ReplicaId) {
        for wire in [
            Wire::ToReplica(client, replica),
            Wire::ToClient(client, replica),
        ] {
            self.client_wire(wire).begin_epoch();
        }
    }

    fn take_held(&mut self, is_taken: impl Fn(LinkId, Wire) -> bool) -> Vec<Held<F>> {
        let topology = &self.topology;
        let (taken, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held| is_taken(held.wire.link(topology), held.wire));
        self.held = held;
        taken
    }

    /// Gives all connections over a link the link's present parameters.
    fn burden(&mut self, id: LinkId) {
        let link = self.burdened_link(id);
        let round_trip = self.round_trip(id);
        let topology = &self.topology;
        let pairs = topology.replica_ids().flat_map(|from| {
            topology
                .replica_ids()
                .map(move |to| Wire::Replicas(from, to))
        });
        let replicas = pairs.zip(&mut self.replica_wires);
        let count = topology.replicas.len();
        // Lanes of clients alternate: to a replica, and back.
        let lanes = self.client_wires.iter_mut().enumerate();
        let clients = lanes.flat_map(|(lane, cores)| {
            let client = ClientAddress {
                region: RegionIndex((lane / 2 / count) as u16),
                connection: 0,
            };
            let replica = ReplicaId((lane / 2 % count) as u16);
            let wire = if lane % 2 == 0 {
                Wire::ToReplica(client, replica)
            } else {
                Wire::ToClient(client, replica)
            };
            cores.values_mut().map(move |core| (wire, core))
        });
        let cores = replicas.chain(clients);
        for (_, core) in cores.filter(|(wire, _)| wire.link(topology) == id) {
            core.set_link(&link, round_trip);
        }
    }

    fn burdened_link(&self, id: LinkId) -> Link {
        let link = self.topology.profile.link(id);
        match self.burdens.get(&id) {
            Some(burden) => faulted_link(link, burden.delay, burden.loss),
            None => link.clone(),
        }
    }

    /// Returns what a retransmission on a link waits for: its round trip, with what faults add.
    fn round_trip(&self, id: LinkId) -> Duration {
        let back = LinkId {
            from: id.to,
            to: id.from,
        };
        let added = |link| {
            self.burdens
                .get(&link)
                .map_or(Duration::ZERO, |burden| burden.delay)
        };
        let round_trip = self.topology.profile.round_trip(id.from, id.to);
        round_trip + added(id) + added(back)
    }

    #[inline]
    fn release(&mut self, at: Time, wire: Wire, bytes: usize) -> Passage {
        let lane = self.lane(wire);
        if !self.delays {
            return Passage::Arrives(lane, at);
        }
        let core = match wire {
            // The first lanes are those between replicas.
            Wire::Replicas(..) => &mut self.replica_wires[lane.0 as usize],
            Wire::ToReplica(..) | Wire::ToClient(..) => self.client_wire(wire),
        };
        match core.send(at, bytes) {
            Verdict::Deliver(release) => Passage::Arrives(lane, release),
            Verdict::GivenUp(given_up) => Passage::GivenUp(given_up),
            // The cores themselves are never cut: cuts are kept here.
            Verdict::Held => Passage::Waits,
        }
    }

    /// Returns the core of a wire between a client and a replica.
    fn client_wire(&mut self, wire: Wire) -> &mut LinkCore {
        let replicas = self.topology.replicas.len();
        let lane = self.lane(wire).0 as usize - replicas * replicas;
        let connection = u64::from(wire.connection());
        if self.client_wires.len() <= lane {
            self.client_wires.resize_with(lane + 1, PagedMap::default);
        }
        if self.client_wires[lane].get(connection).is_none() {
            let core = self.core(wire);
            self.client_wires[lane].insert(connection, core);
        }
        self.client_wires[lane]
            .get_mut(connection)
            .expect("it was inserted where it was missing")
    }

    fn index(&self, from: ReplicaId, to: ReplicaId) -> usize {
        from.index() * self.topology.replicas.len() + to.index()
    }

    fn core(&mut self, wire: Wire) -> LinkCore {
        let id = wire.link(&self.topology);
        let generator = self.seed.stream(Stream::Link, wire.stream_index(id));
        let link = self.burdened_link(id);
        let marginal = &link.jitter.marginal;
        let known = self.tables.iter().find(|(known, _)| known == marginal);
        let table = match known {
            Some((_, table)) => Arc::clone(table),
            None => {
                let table = Arc::new(QuantileTable::new(marginal));
                self.tables.push((marginal.clone(), Arc::clone(&table)));
                table
            }
        };
        let round_trip = self.round_trip(id);
        LinkCore::with_table(&link, table, generator).with_round_trip(round_trip)
    }

    fn count(&mut self, wire: Wire, link: LinkId, bytes: usize) {
        let regions = self.topology.profile.regions.len();
        if self.traffic.is_empty() {
            self.traffic = no_traffic(&self.topology);
        }
        let traffic = &mut self.traffic[link.from.index() * regions + link.to.index()];
        if wire.is_between_replicas() {
            traffic.replica_messages += 1;
            traffic.replica_bytes += bytes as u64;
        } else {
            traffic.client_messages += 1;
            traffic.client_bytes += bytes as u64;
        }
    }
}

/// Returns an empty count for every link, row-major.
fn no_traffic(topology: &Topology) -> Vec<LinkTraffic> {
    let regions: Vec<RegionIndex> = topology.profile.region_indexes().collect();
    let links = regions
        .iter()
        .flat_map(|&from| regions.iter().map(move |&to| LinkId { from, to }));
    links
        .map(|link| LinkTraffic {
            link,
            replica_messages: 0,
            replica_bytes: 0,
            client_messages: 0,
            client_bytes: 0,
        })
        .collect()
}

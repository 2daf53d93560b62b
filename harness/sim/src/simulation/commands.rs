//! What is done to replicas and links from outside.

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::fault::silence_timeout;
use longhaul_experiment::{LinkId, Now, RegionIndex, ReplicaId};
use longhaul_protocol::{Member, Mode, Outbox, PeerState};

use super::Simulation;
use super::events::Event;
use crate::network::Passage;

impl<M: Mode> Simulation<M> {
    /// Kills a replica's process. Nothing happens when it is dead.
    ///
    /// Its connection epochs end and what is under way in them is lost. Peers and clients learn
    /// of it after the one-way delay from it to them, when the closed connection shows; over a
    /// link that is cut by silence, after [`silence_timeout`].
    pub fn crash(&mut self, id: ReplicaId) {
        self.end_batches();
        let node = &mut self.nodes[id.index()];
        if node.replica.take().is_none() {
            return;
        }
        node.die();
        for peer in self.peers(id) {
            let ended = self.epochs.end(id, peer);
            self.network.lose(|wire| wire.joins(id, peer));
            let event = Event::Peer {
                replica: peer,
                peer: id,
                state: PeerState::Down,
                epoch: ended,
            };
            let known_after = self.news_delay(self.topology.replica_link(id, peer));
            self.queue.push(self.now + known_after, event);
        }
        for region in self.client_regions() {
            let from = self.topology.region_of(id);
            let known_after = self.news_delay(LinkId { from, to: region });
            let event = Event::ClientsLost {
                region,
                replica: id,
                epoch: self.client_epochs.shared(region, id),
            };
            self.queue.push(self.now + known_after, event);
        }
    }

    /// Starts a dead replica's process again, from what its storage kept. Nothing happens when
    /// it lives.
    ///
    /// It is connected to each living peer after one round trip at base delays.
    pub fn restart(&mut self, id: ReplicaId) {
        self.end_batches();
        let durable = self.nodes[id.index()].outbox.is_durable();
        let node = &mut self.nodes[id.index()];
        if node.replica.is_some() {
            return;
        }
        node.incarnation += 1;
        node.outbox = Outbox::new(durable);
        node.outbox.note_applied(self.tracer.is_on());
        let member = Member {
            id,
            incarnation: node.incarnation,
            topology: Arc::clone(&self.topology),
            seed: self.seed,
            retention: self.options.retention,
        };
        node.replica = Some(self.mode.replica(member));
        let recovered = node.storage.recover();
        self.start(id, recovered);
        for peer in self.peers(id) {
            let round_trip = self.topology.replica_round_trip(id, peer);
            self.connect(id, peer, self.now + round_trip);
        }
    }

    /// Stops a replica's process without ending it: its connections stay up, and what comes for
    /// it waits. Nothing happens when it is dead or paused.
    pub fn pause(&mut self, id: ReplicaId) {
        self.end_batches();
        let node = &mut self.nodes[id.index()];
        if node.replica.is_some() && node.paused.is_none() {
            node.paused = Some(Vec::new());
        }
    }

    /// Lets a paused replica go on: it finds what came meanwhile, in order of arrival.
    pub fn resume(&mut self, id: ReplicaId) {
        self.end_batches();
        let waiting = self.nodes[id.index()].paused.take().unwrap_or_default();
        for (key, event) in waiting {
            self.carry_out(key, event);
        }
        self.end_batches();
    }

    /// Cuts a directed link between two regions: what enters it, of replicas and of clients,
    /// waits until [`Simulation::heal`]. What is under way arrives. Connections over the link end
    /// after [`silence_timeout`], with what waits. Nothing happens when it is cut.
    pub fn cut(&mut self, link: LinkId) {
        if let Some(cut) = self.network.cut(link) {
            let round_trip = self.topology.profile.round_trip(link.from, link.to);
            let ends = self.now + silence_timeout(round_trip);
            self.queue.push(ends, Event::Silence { link, cut });
        }
    }

    /// Heals a cut link: what waited sets out now, in order. Connections that ended are up again
    /// after a round trip, unless something else keeps them down.
    pub fn heal(&mut self, link: LinkId) {
        for (passage, wire, frame) in self.network.heal(self.now, link) {
            match passage {
                Passage::Arrives(_, arrival) => self.queue.push(arrival, Event::Frame(frame)),
                Passage::GivenUp(at) => self.give_up_at(at, wire, frame.epoch()),
                // The link was healed just now.
                Passage::Waits => {}
            }
        }
        self.reconnect_between(link.from, link.to);
    }

    /// Makes a link's delay longer for what enters it from now on; zero: as the profile says.
    /// Order is kept: what enters later still leaves later.
    pub fn set_link_delay(&mut self, link: LinkId, added: Duration) {
        self.network.set_delay_added(link, added);
    }

    /// Loses a share (0 to 1) of what enters a link from now on, beside the profile's own loss.
    /// It costs streams the delay of retransmissions, and ends connections on which that takes
    /// longer than [`silence_timeout`].
    pub fn set_link_loss(&mut self, link: LinkId, loss: f64) {
        self.network.set_loss_added(link, loss);
    }

    /// Ends all connections between two regions, of replicas and of clients, and keeps them down
    /// until [`Simulation::restore_connections`]. What is under way in them is lost, and both
    /// ends know at once. Of one region given twice: its clients' connections to its replica.
    pub fn end_connections(&mut self, a: RegionIndex, b: RegionIndex) {
        if self.disconnected.begin_reset(a, b, self.now) {
            self.end_epochs_between(a, b);
        }
    }

    /// Lets connections that [`Simulation::end_connections`] ended come up again: now, and one
    /// round trip after they ended at the earliest.
    pub fn restore_connections(&mut self, a: RegionIndex, b: RegionIndex) {
        if let Some(ended_at) = self.disconnected.end_reset(a, b) {
            let round_trip = self.topology.profile.round_trip(a, b);
            self.reconnect_at(a, b, self.now.max(ended_at + round_trip));
        }
    }

    /// Sets a replica's wall clock apart from the true one, in nanoseconds.
    pub fn set_wall_offset(&mut self, id: ReplicaId, offset_ns: i64) {
        self.nodes[id.index()].wall_offset = offset_ns;
    }

    /// Sets how far faults move a replica's wall clock, in nanoseconds, beside its own offset.
    pub fn set_clock_shift(&mut self, id: ReplicaId, shift_ns: i64) {
        self.nodes[id.index()].clock_shift = shift_ns;
    }

    /// Sets how many times as long everything takes that a replica computes; 1: as usual.
    pub fn set_slow_factor(&mut self, id: ReplicaId, factor: f64) {
        self.nodes[id.index()].slow_factor = factor.max(1.0);
    }

    /// Makes each of a replica's syncs that begin from now on take longer; zero: as usual.
    /// Storage in memory does not sync.
    pub fn set_sync_delay_added(&mut self, id: ReplicaId, added: Duration) {
        self.nodes[id.index()].sync_added = added;
    }

    /// Returns both clocks of a replica, as its callbacks see them now.
    pub fn clocks(&self, id: ReplicaId) -> Now {
        self.nodes[id.index()].clocks(self.now)
    }

    /// Says whether a replica's process lives.
    pub fn is_alive(&self, id: ReplicaId) -> bool {
        self.nodes[id.index()].replica.is_some()
    }

    /// Returns the regions whose clients have asked for anything.
    fn client_regions(&self) -> Vec<RegionIndex> {
        let regions = self.topology.profile.region_indexes();
        regions
            .filter(|region| self.has_clients[region.index()])
            .collect()
    }

    fn peers(&self, id: ReplicaId) -> Vec<ReplicaId> {
        let all = self.topology.replica_ids();
        all.filter(|&peer| peer != id).collect()
    }

    /// Returns how long the news of a death takes over a link.
    fn news_delay(&self, link: LinkId) -> Duration {
        let profile = &self.topology.profile;
        match self.network.cut_of(link) {
            None => profile.link(link).one_way,
            Some(_) => silence_timeout(profile.round_trip(link.from, link.to)),
        }
    }
}

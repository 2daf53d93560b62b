//! What is done to replicas and links from outside.

use std::collections::BTreeSet;

use longhaul_experiment::{LinkId, RegionIndex, ReplicaId};
use longhaul_protocol::{Member, Mode, Outbox, PeerState};
use std::sync::Arc;
use std::time::Duration;

use super::Simulation;
use super::events::Event;
use crate::timers::Timers;

impl<M: Mode> Simulation<M> {
    /// Kills a replica's process. Nothing happens when it is dead.
    ///
    /// Its connection epochs end and what is under way in them is lost. Peers and clients learn
    /// of it after the one-way delay from it to them, when the closed connection shows.
    pub fn crash(&mut self, id: ReplicaId) {
        self.end_batches();
        let node = &mut self.nodes[id.index()];
        if node.replica.take().is_none() {
            return;
        }
        node.paused = None;
        node.leader = None;
        node.timers = Timers::new();
        node.connected.fill(None);
        for peer in self.peers(id) {
            let ended = self.epochs.of(id, peer);
            self.epochs.end(id, peer);
            let link = self.topology.replica_link(id, peer);
            let event = Event::Peer {
                replica: peer,
                peer: id,
                state: PeerState::Down,
                epoch: ended,
            };
            self.queue.push(self.now + self.base_delay(link), event);
        }
        let regions: BTreeSet<RegionIndex> = self
            .clients
            .iter()
            .map(|(_, client)| client.region)
            .collect();
        for region in regions {
            let from = self.topology.region_of(id);
            let delay = self.base_delay(LinkId { from, to: region });
            let event = Event::ClientsLost {
                region,
                replica: id,
            };
            self.queue.push(self.now + delay, event);
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
        let member = Member {
            id,
            incarnation: node.incarnation,
            topology: Arc::clone(&self.topology),
            seed: self.seed,
        };
        node.replica = Some(self.mode.replica(member));
        let recovered = node.storage.recover();
        self.start(id, recovered);
        for peer in self.peers(id) {
            let epoch = self.epochs.end(id, peer);
            self.network.begin_epoch(id, peer);
            let event = Event::Connected {
                pair: (id.min(peer), id.max(peer)),
                epoch,
            };
            let round_trip = self.topology.replica_round_trip(id, peer);
            self.queue.push(self.now + round_trip, event);
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
    /// waits until [`Simulation::heal`]. What is under way arrives.
    pub fn cut(&mut self, link: LinkId) {
        self.network.cut(link);
    }

    /// Heals a cut link: what waited sets out now, in order.
    pub fn heal(&mut self, link: LinkId) {
        for (arrival, frame) in self.network.heal(self.now, link) {
            self.queue.push(arrival, Event::Frame(frame));
        }
    }

    /// Sets a replica's wall clock apart from the true one, in nanoseconds.
    pub fn set_wall_offset(&mut self, id: ReplicaId, offset_ns: i64) {
        self.nodes[id.index()].wall_offset = offset_ns;
    }

    /// Says whether a replica's process lives.
    pub fn is_alive(&self, id: ReplicaId) -> bool {
        self.nodes[id.index()].replica.is_some()
    }

    fn peers(&self, id: ReplicaId) -> Vec<ReplicaId> {
        let all = self.topology.replica_ids();
        all.filter(|&peer| peer != id).collect()
    }

    fn base_delay(&self, link: LinkId) -> Duration {
        self.topology.profile.link(link).one_way
    }
}

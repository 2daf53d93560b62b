//! How connections end and come up again: the stream contract.
//!
//! A connection is up until a process at its end dies, a cut link is silent for too long, losses
//! delay a frame for too long, or it is reset. Then its epoch ends: what was not delivered is lost, and both ends hear of it. It comes
//! up again a round trip after nothing prevents it any more.
//!
//! - **Silence.** A link that stays cut for [`silence_timeout`] of its ends' round trip ends every
//!   connection over it, in both directions, whether or not anything was sent: keep-alives would
//!   have shown it. Both ends know at that instant. So a partition of one direction becomes one of
//!   both, as it does with TCP, whose acknowledgements are lost.
//! - **Losses.** A sender that would wait longer than that for the acknowledgement of a frame
//!   ([`longhaul_wan::loss`]) gives its connection up then: that one alone, between two replicas or
//!   of one client. Both ends know at that instant.
//! - **Reset.** Both ends know at once.
//! - **Clients** wait for a connection that is down to come up, for [`silence_timeout`] at the
//!   longest; their requests then fail as not ready, having been sent to nobody. All that wait for
//!   one replica in one region share one attempt.
//!
//! What it leaves out: that silence and resets end connections of one region one by one, the
//! back-off of dialling and what losses do to it, and a dead machine that answers nothing (a dead process refuses at once).

use std::collections::BTreeMap;

use longhaul_experiment::fault::silence_timeout;
use longhaul_experiment::{ErrorKind, LinkId, Outcome, RegionIndex, ReplicaId, Time};
use longhaul_protocol::{Mode, PeerState, Request};

use super::events::Event;
use super::{ClientAddress, OccurrenceKind, Simulation};
use crate::network::Wire;
use crate::peers::Epoch;
use crate::trace::TraceId;

/// A request that waits for its client's connection.
pub(super) struct Unsent {
    client: ClientAddress,
    replica: ReplicaId,
    request: Request,
    cause: Option<TraceId>,
    /// The attempt to connect that it waits for.
    attempt: u32,
}

/// Connections that are down because of faults, and what waits for them.
#[derive(Default)]
pub(super) struct Disconnected {
    /// Pairs of regions, the lower first, whose connections a reset keeps down, and since when.
    resets: BTreeMap<(RegionIndex, RegionIndex), Time>,
    unsent: Vec<Unsent>,
    attempts: u32,
}

impl Disconnected {
    /// Notes a reset between two regions; `false` when one is under way.
    pub fn begin_reset(&mut self, a: RegionIndex, b: RegionIndex, now: Time) -> bool {
        let pair = a.paired_with(b);
        let is_new = !self.resets.contains_key(&pair);
        self.resets.entry(pair).or_insert(now);
        is_new
    }

    /// Ends a reset between two regions, and returns when it began; `None`: there is none.
    pub fn end_reset(&mut self, a: RegionIndex, b: RegionIndex) -> Option<Time> {
        self.resets.remove(&a.paired_with(b))
    }

    fn take_unsent(&mut self, is_taken: impl Fn(&Unsent) -> bool) -> Vec<Unsent> {
        let all = std::mem::take(&mut self.unsent);
        let (taken, kept) = all.into_iter().partition(is_taken);
        self.unsent = kept;
        taken
    }
}

impl<M: Mode> Simulation<M> {
    /// Begins to connect two replicas, unless they are connected or something prevents it. They
    /// are connected at `up_at`.
    pub(super) fn connect(&mut self, a: ReplicaId, b: ReplicaId, up_at: Time) {
        let both_live = self.is_alive(a) && self.is_alive(b);
        let regions = (self.topology.region_of(a), self.topology.region_of(b));
        if !both_live || self.epochs.is_open(a, b) || self.is_blocked(regions) {
            return;
        }
        let epoch = self.epochs.open(a, b);
        self.network.begin_epoch(a, b);
        let pair = (a.min(b), a.max(b));
        self.queue.push(up_at, Event::Connected { pair, epoch });
    }

    /// Begins to connect the clients of a region to a replica, like [`Simulation::connect`].
    fn connect_clients(&mut self, region: RegionIndex, replica: ReplicaId, up_at: Time) {
        let regions = (region, self.topology.region_of(replica));
        if self.is_blocked(regions) {
            return;
        }
        for (client, epoch) in self.client_epochs.down_alone(region, replica) {
            let event = Event::ClientConnected {
                client,
                replica,
                epoch,
            };
            self.queue.push(up_at, event);
        }
        if self.client_epochs.is_shared_up(region, replica) {
            return;
        }
        let epoch = self.client_epochs.shared(region, replica);
        let event = Event::ClientsConnected {
            region,
            replica,
            epoch,
        };
        self.queue.push(up_at, event);
    }

    pub(super) fn carry_out_clients_connected(
        &mut self,
        (region, replica): (RegionIndex, ReplicaId),
        epoch: Epoch,
    ) {
        let regions = (region, self.topology.region_of(replica));
        let is_stale = self.client_epochs.shared(region, replica) != epoch
            || self.client_epochs.is_shared_up(region, replica);
        if is_stale || self.is_blocked(regions) {
            return;
        }
        self.client_epochs.open(region, replica);
        self.network.begin_client_epoch(region, replica);
        let is_theirs =
            |unsent: &Unsent| unsent.client.region == region && unsent.replica == replica;
        let unsent = self.disconnected.take_unsent(is_theirs);
        self.send_all(unsent);
    }

    pub(super) fn carry_out_client_connected(
        &mut self,
        (client, replica): (ClientAddress, ReplicaId),
        epoch: Epoch,
    ) {
        let regions = (client.region, self.topology.region_of(replica));
        let is_stale = self.client_epochs.of(client, replica) != epoch
            || self.client_epochs.is_up(client, replica);
        // Once nothing blocks them any more, all that is down connects again.
        if is_stale || self.is_blocked(regions) {
            return;
        }
        self.client_epochs.open_alone(client, replica);
        self.network.begin_epoch_of(client, replica);
        let is_own = |unsent: &Unsent| unsent.client == client && unsent.replica == replica;
        let unsent = self.disconnected.take_unsent(is_own);
        self.send_all(unsent);
    }

    fn send_all(&mut self, all: Vec<Unsent>) {
        for unsent in all {
            let Unsent {
                client,
                replica,
                request,
                cause,
                ..
            } = unsent;
            self.send_request(self.now, (client, replica), request, cause);
        }
    }

    /// Has a connection's epoch end at an instant, because its sender gives it up then.
    pub(super) fn give_up_at(&mut self, at: Time, wire: Wire, epoch: Epoch) {
        self.queue.push(at, Event::GivenUp { wire, epoch });
    }

    /// Ends an epoch that was given up, unless it has ended, and connects anew.
    pub(super) fn carry_out_given_up(&mut self, wire: Wire, epoch: Epoch) {
        match wire {
            Wire::Replicas(a, b) if self.epochs.of(a, b) == epoch => {
                self.end_batches();
                self.end_epoch(a, b);
                let round_trip = self.topology.replica_round_trip(a, b);
                self.connect(a, b, self.now + round_trip);
            }
            Wire::ToReplica(client, replica) | Wire::ToClient(client, replica)
                if self.client_epochs.of(client, replica) == epoch
                    && self.client_epochs.is_up(client, replica) =>
            {
                self.end_batches();
                self.end_client_alone(client, replica);
            }
            // It ended otherwise meanwhile.
            _ => {}
        }
    }

    fn end_client_alone(&mut self, client: ClientAddress, replica: ReplicaId) {
        let region = client.region;
        self.client_epochs.end_alone(client, replica);
        self.network.lose(|wire| wire.is_of(client, replica));
        self.tell(OccurrenceKind::ConnectionLost {
            region,
            connection: Some(client.connection),
            replica,
        });
        let there = self.topology.region_of(replica);
        let round_trip = self.topology.profile.round_trip(region, there);
        let event = Event::ClientConnected {
            client,
            replica,
            epoch: self.client_epochs.of(client, replica),
        };
        self.queue.push(self.now + round_trip, event);
    }

    /// Keeps a request until its client's connection is up.
    pub(super) fn await_connection(
        &mut self,
        (client, replica): (ClientAddress, ReplicaId),
        request: Request,
        cause: Option<TraceId>,
    ) {
        let region = client.region;
        // A connection that was given up alone is waited for alone.
        let is_alone = self.client_epochs.is_shared_up(region, replica);
        let disconnected = &mut self.disconnected;
        let waits_too = |unsent: &&Unsent| {
            let is_near = unsent.client.region == region && unsent.replica == replica;
            is_near && (unsent.client == client || !is_alone)
        };
        let under_way = disconnected.unsent.iter().find(waits_too);
        let attempt = match under_way {
            Some(unsent) => unsent.attempt,
            None => {
                disconnected.attempts += 1;
                let there = self.topology.region_of(replica);
                let patience = silence_timeout(self.topology.profile.round_trip(region, there));
                let attempt = disconnected.attempts;
                self.queue
                    .push(self.now + patience, Event::ClientsGiveUp { attempt });
                attempt
            }
        };
        disconnected.unsent.push(Unsent {
            client,
            replica,
            request,
            cause,
            attempt,
        });
    }

    /// Fails what waited for an attempt to connect that took too long.
    pub(super) fn carry_out_give_up(&mut self, attempt: u32) {
        let waited = |unsent: &Unsent| unsent.attempt == attempt;
        for unsent in self.disconnected.take_unsent(waited) {
            self.tell(OccurrenceKind::Reply {
                client: unsent.client,
                replica: unsent.replica,
                operation: unsent.request.id,
                outcome: Outcome::Fail(ErrorKind::NotReady),
            });
        }
    }

    /// Takes the news that a link has been cut for as long as connections bear.
    pub(super) fn carry_out_silence(&mut self, link: LinkId, cut: u32) {
        if self.network.cut_of(link) == Some(cut) {
            self.end_epochs_between(link.from, link.to);
        }
    }

    /// Ends all connections between two regions, and lets both ends know now.
    pub(super) fn end_epochs_between(&mut self, a: RegionIndex, b: RegionIndex) {
        self.end_batches();
        for (here, there) in directions(a, b) {
            let Some(replica) = self.replica_in(there) else {
                continue;
            };
            if let Some(peer) = self.replica_in(here).filter(|&peer| peer < replica) {
                self.end_epoch(peer, replica);
            }
            self.end_client_epoch(here, replica);
        }
    }

    fn end_epoch(&mut self, a: ReplicaId, b: ReplicaId) {
        if !self.epochs.is_open(a, b) {
            return;
        }
        let ended = self.epochs.end(a, b);
        self.network.lose(|wire| wire.joins(a, b));
        for (replica, peer) in [(a, b), (b, a)] {
            let event = Event::Peer {
                replica,
                peer,
                state: PeerState::Down,
                epoch: ended,
            };
            self.queue.push(self.now, event);
        }
    }

    fn end_client_epoch(&mut self, region: RegionIndex, replica: ReplicaId) {
        let was_up = self.client_epochs.is_shared_up(region, replica);
        // One that is being made ends too.
        self.client_epochs.end(region, replica);
        if was_up && self.has_clients[region.index()] {
            self.network.lose(|wire| wire.clients_of(region, replica));
            let connection = None;
            self.tell(OccurrenceKind::ConnectionLost {
                region,
                connection,
                replica,
            });
        }
    }

    /// Lets what is down between two regions come up again, a round trip from now.
    pub(super) fn reconnect_between(&mut self, a: RegionIndex, b: RegionIndex) {
        let up_at = self.now + self.topology.profile.round_trip(a, b);
        self.reconnect_at(a, b, up_at);
    }

    /// Lets what is down between two regions come up again at an instant.
    pub(super) fn reconnect_at(&mut self, a: RegionIndex, b: RegionIndex, up_at: Time) {
        for (here, there) in directions(a, b) {
            let Some(replica) = self.replica_in(there) else {
                continue;
            };
            if let Some(peer) = self.replica_in(here).filter(|&peer| peer < replica) {
                self.connect(peer, replica, up_at);
            }
            self.connect_clients(here, replica, up_at);
        }
    }

    /// Says whether no connection can be made between two regions now.
    pub(super) fn is_blocked(&self, (a, b): (RegionIndex, RegionIndex)) -> bool {
        let is_cut =
            directions(a, b).any(|(from, to)| self.network.cut_of(LinkId { from, to }).is_some());
        is_cut || self.disconnected.resets.contains_key(&a.paired_with(b))
    }

    fn replica_in(&self, region: RegionIndex) -> Option<ReplicaId> {
        let mut ids = self.topology.replica_ids();
        ids.find(|&id| self.topology.region_of(id) == region)
    }
}

/// Returns both directions between two regions, or the one of a region to itself.
fn directions(a: RegionIndex, b: RegionIndex) -> impl Iterator<Item = (RegionIndex, RegionIndex)> {
    let back = (a != b).then_some((b, a));
    std::iter::once((a, b)).chain(back)
}

//! Connections of a replica with its peers, in epochs.
//!
//! Each replica dials every other and only sends on what it dialled, so a pair has two
//! connections. An epoch is the time in which both stand; when one ends, so does the other.
//! Connecting takes a round trip, counted from the first dial that is answered.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use longhaul_experiment::{ClientId, LinkId, Now, RegionIndex, ReplicaId, Time};
use longhaul_protocol::{PeerState, Replica};
use tokio::sync::Notify;

use super::{Host, sessions};
use crate::delivery::{Delivery, ReplicaInput};
use crate::links::{Use, stream_of};
use crate::messages::FromAgent;
use crate::receiving_end::{Reading, ReceivingEnd};
use crate::transport::{Inbound, Outbound, Received, dial};
use crate::wire::{Hello, PeerFrame};

/// How long a replica waits before it dials a peer again.
pub(super) const REDIAL_AFTER: Duration = Duration::from_millis(100);

/// The connections with a peer.
pub(super) struct Peer<M> {
    /// What this replica dialled.
    pub(super) outgoing: Option<Outbound>,
    /// What the peer dialled; nothing is written to it.
    incoming: Option<Outbound>,
    /// Whether the replica was told that an epoch stands.
    pub(super) up: bool,
    /// Counts the epochs that ended.
    epoch: u64,
    /// What the peer sent while it took the epoch for begun and this replica did not yet.
    early: Vec<M>,
    is_dialling: bool,
    will_redial: bool,
    /// Connections that a fault ended come up from here on.
    ready_at: Time,
    /// Tells a dial that waits for its round trip that the peer's own dial has come.
    greeted: Rc<Notify>,
}

impl<M> Default for Peer<M> {
    fn default() -> Peer<M> {
        Peer {
            outgoing: None,
            incoming: None,
            up: false,
            epoch: 0,
            early: Vec::new(),
            is_dialling: false,
            will_redial: false,
            ready_at: Time::ZERO,
            greeted: Rc::default(),
        }
    }
}

impl<M> Peer<M> {
    pub(super) fn is_connected(&self) -> bool {
        self.outgoing.is_some() && self.incoming.is_some()
    }

    /// Returns the message if the replica may have it now. What was under way when an epoch
    /// ended is lost with it; what came before the epoch began here waits for that.
    pub(super) fn admit(&mut self, epoch: u64, message: M) -> Option<M> {
        if epoch != self.epoch {
            return None;
        }
        if self.up {
            return Some(message);
        }
        self.early.push(message);
        None
    }

    /// Closes both connections; `false` when there was none.
    fn close(&mut self) -> bool {
        let connections = [self.outgoing.take(), self.incoming.take()];
        let any = connections.iter().any(Option::is_some);
        for outbound in connections.into_iter().flatten() {
            outbound.close();
        }
        self.epoch += 1;
        self.early.clear();
        any
    }

    /// Ends all that this replica's process had with the peer.
    pub(super) fn die(&mut self) {
        self.close();
        self.up = false;
        self.is_dialling = false;
    }
}

/// A dial under way.
struct Dialling {
    peer: ReplicaId,
    /// The life of the replica that dials.
    incarnation: u32,
    address: SocketAddr,
    /// When a round trip has passed: it stands from here on at the earliest.
    answered_at: Time,
}

impl<R: Replica + 'static> Host<R> {
    /// Tells the coordinator once all peers are connected.
    pub(super) fn report_connected(&mut self) {
        if !self.started && self.peers.values().all(|peer| peer.is_connected()) {
            let _ = self.reports.send(FromAgent::ReplicaConnected(self.id));
        }
    }

    /// Tells the replica that an epoch began or ended, if that is news.
    pub(super) fn set_peer(&mut self, id: ReplicaId, state: PeerState, now: Now) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let up = state == PeerState::Up;
        if self.started && peer.up != up {
            peer.up = up;
            let early = std::mem::take(&mut peer.early);
            self.call(|replica, out| {
                replica.on_peer(now, id, state, out);
                for message in early.into_iter().filter(|_| up) {
                    replica.on_message(now, id, message, out);
                }
            });
        }
    }

    /// Dials all peers.
    pub(super) fn dial_all(&mut self, host: &Rc<RefCell<Host<R>>>) {
        let ids: Vec<ReplicaId> = self.peers.keys().copied().collect();
        for id in ids {
            self.dial_peer(host, id);
        }
    }

    /// Dials a peer again, as was decided before.
    pub(super) fn redial(&mut self, host: &Rc<RefCell<Host<R>>>, id: ReplicaId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.will_redial = false;
        }
        self.dial_peer(host, id);
    }

    /// Dials a peer, unless that is done or under way.
    fn dial_peer(&mut self, host: &Rc<RefCell<Host<R>>>, id: ReplicaId) {
        let now = self.gate.clock.now();
        let (own, other) = (
            self.topology.region_of(self.id),
            self.topology.region_of(id),
        );
        let link = LinkId {
            from: own,
            to: other,
        };
        let handshake = if self.gate.delays(link, now) {
            self.gate.links.round_trip(own, other)
        } else {
            Duration::ZERO
        };
        // Before the coordinator told the addresses, a peer may have dialled already.
        let address = self.addresses.get(id.index()).copied();
        let (Some(peer), Some(address)) = (self.peers.get_mut(&id), address) else {
            return;
        };
        if self.replica.is_none() || peer.outgoing.is_some() || peer.is_dialling {
            return;
        }
        if !self.gate.conditions.are_connectable(own, other) {
            self.redial_later(id);
            return;
        }
        peer.is_dialling = true;
        let dialling = Dialling {
            peer: id,
            incarnation: self.incarnation,
            address,
            answered_at: now + handshake,
        };
        tokio::task::spawn_local(connect_to_peer(Rc::clone(host), dialling));
    }

    fn redial_later(&mut self, id: ReplicaId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut peer.will_redial, true) {
            let at = self.gate.clock.now() + REDIAL_AFTER;
            let dial = Delivery::Replica(self.id, ReplicaInput::Dial(id));
            self.gate.line.push_unordered(at, dial.into());
        }
    }

    /// Takes what came of a dial, and returns the connection with its epoch, if there is one.
    fn dialled(
        &mut self,
        dialling: &Dialling,
        dialled: std::io::Result<(Inbound, Outbound)>,
    ) -> Option<(Inbound, Outbound, u64)> {
        let id = dialling.peer;
        // The process that dialled may have died meanwhile.
        if self.incarnation != dialling.incarnation || self.replica.is_none() {
            return None;
        }
        let peer = self.peers.get_mut(&id)?;
        peer.is_dialling = false;
        let (own, other) = (
            self.topology.region_of(self.id),
            self.topology.region_of(id),
        );
        let connectable = self.gate.conditions.are_connectable(own, other);
        let hello = Hello::Peer(self.id);
        match dialled {
            Ok((inbound, outbound)) if connectable && outbound.push(Time::ZERO, &hello).is_ok() => {
                outbound.flush();
                peer.outgoing = Some(outbound.clone());
                let epoch = peer.epoch;
                self.connected(id);
                Some((inbound, outbound, epoch))
            }
            _ => {
                self.redial_later(id);
                None
            }
        }
    }

    /// Takes the connection of whoever said hello, unless the process died meanwhile.
    fn accept(
        &mut self,
        host: &Rc<RefCell<Host<R>>>,
        hello: Hello,
        connection: (Inbound, Outbound),
    ) -> Option<Accepted<R>> {
        self.replica.as_ref()?;
        match hello {
            Hello::Peer(peer) => {
                let (reading, origin) = self.accept_peer(host, peer, connection)?;
                Some(Accepted::Peer(reading, origin))
            }
            Hello::Client { client, region } => {
                let is_known = region.index() < self.topology.profile.regions.len();
                is_known.then(|| {
                    let reading = self.accept_client((client, region), connection);
                    Accepted::Client(reading, self.id, client)
                })
            }
        }
    }

    /// Takes the connection that a peer dialled.
    fn accept_peer(
        &mut self,
        host: &Rc<RefCell<Host<R>>>,
        id: ReplicaId,
        (inbound, outbound): (Inbound, Outbound),
    ) -> Option<(Reading<R>, Origin)> {
        let peer = self.peers.get(&id)?;
        if peer.incoming.is_some() {
            // The peer begins anew before the end of the old epoch has come.
            self.end_epoch(id, peer.epoch);
        }
        let peer = self.peers.get_mut(&id)?;
        let epoch = peer.epoch;
        peer.incoming = Some(outbound.clone());
        peer.greeted.notify_waiters();
        let stream = stream_of(Use::Replicas, u32::from(id.0), epoch);
        let ended = ReplicaInput::PeerEnded { peer: id, epoch };
        let reading = Reading {
            inbound,
            outbound,
            receiving: self.receiving_from(self.topology.region_of(id), stream),
            ended: Delivery::Replica(self.id, ended),
        };
        self.dial_peer(host, id);
        self.connected(id);
        let origin = Origin {
            own: self.id,
            peer: id,
            epoch,
        };
        Some((reading, origin))
    }

    /// Tells the replica if both connections stand now.
    fn connected(&mut self, id: ReplicaId) {
        if self.peers.get(&id).is_some_and(Peer::is_connected) {
            let now = self.now();
            self.set_peer(id, PeerState::Up, now);
            self.report_connected();
            self.settle_or_report(now);
        }
    }

    /// Ends an epoch with a peer, unless it has ended.
    pub(super) fn end_epoch(&mut self, id: ReplicaId, epoch: u64) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if peer.epoch == epoch && peer.close() {
            let now = self.now();
            self.set_peer(id, PeerState::Down, now);
            self.redial_later(id);
            self.settle_or_report(now);
        }
    }

    /// Ends the connections with the replica and the clients of the other region of a pair.
    pub(super) fn end_connections(&mut self, pair: (RegionIndex, RegionIndex)) {
        let region = self.other_region(pair);
        for id in self.peers_in(region) {
            let epoch = self.peers[&id].epoch;
            self.end_epoch(id, epoch);
        }
        self.end_sessions_of(region);
    }

    /// Lets them come up again. Clients dial by themselves.
    pub(super) fn restore_connections(
        &mut self,
        host: &Rc<RefCell<Host<R>>>,
        pair: (RegionIndex, RegionIndex),
        ready_at: Time,
    ) {
        for id in self.peers_in(self.other_region(pair)) {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.ready_at = ready_at;
            }
            self.dial_peer(host, id);
        }
    }

    fn other_region(&self, (a, b): (RegionIndex, RegionIndex)) -> RegionIndex {
        let own = self.topology.region_of(self.id);
        if own == a { b } else { a }
    }

    fn peers_in(&self, region: RegionIndex) -> Vec<ReplicaId> {
        let ids = self.peers.keys().copied();
        ids.filter(|&id| self.topology.region_of(id) == region)
            .collect()
    }

    fn settle_or_report(&mut self, now: Now) {
        if let Err(why) = self.settle(now) {
            let _ = self.reports.send(FromAgent::Failed(why));
        }
    }

    pub(super) fn receiving_from(&self, region: RegionIndex, stream: u64) -> ReceivingEnd<R> {
        let link = LinkId {
            from: region,
            to: self.topology.region_of(self.id),
        };
        ReceivingEnd::new(link, stream, self.gate.clone())
    }
}

/// Waits while the process is paused: the system takes connections and bytes for it, which it
/// finds when it goes on.
async fn while_paused<R: Replica + 'static>(host: &Rc<RefCell<Host<R>>>) {
    loop {
        let running = {
            let this = host.borrow();
            if !this.is_paused {
                return;
            }
            Rc::clone(&this.running)
        };
        running.notified().await;
    }
}

/// Dials a peer once, and holds the connection until it ends.
async fn connect_to_peer<R: Replica + 'static>(host: Rc<RefCell<Host<R>>>, dialling: Dialling) {
    let dialled = dial(dialling.address).await;
    if dialled.is_ok() {
        wait_until_ready(&host, &dialling).await;
    }
    while_paused(&host).await;
    let connected = host.borrow_mut().dialled(&dialling, dialled);
    let Some((mut inbound, outbound, epoch)) = connected else {
        return;
    };
    // Nothing is sent back on this connection: a read ends when the peer has gone.
    tokio::select! {
        _ = inbound.fill() => {
            while_paused(&host).await;
            let mut this = host.borrow_mut();
            // That is news when the end of the peer's own connection, after all that it sent, is.
            if this.peers[&dialling.peer].incoming.is_none() {
                this.end_epoch(dialling.peer, epoch);
            }
        }
        () = outbound.closed() => {}
    }
}

/// Waits until a connection may stand, which faults may put off meanwhile. A peer whose own dial
/// has come has waited for both.
async fn wait_until_ready<R: Replica + 'static>(host: &Rc<RefCell<Host<R>>>, dialling: &Dialling) {
    loop {
        let (wake, greeted) = {
            let this = host.borrow();
            let peer = &this.peers[&dialling.peer];
            let ready_at = peer.ready_at.max(dialling.answered_at);
            if peer.incoming.is_some() || ready_at <= this.gate.clock.now() {
                return;
            }
            (this.gate.until(ready_at), Rc::clone(&peer.greeted))
        };
        tokio::select! {
            () = wake => {}
            () = greeted.notified() => {}
        }
    }
}

/// Serves a connection that someone dialled.
pub(super) async fn serve_connection<R: Replica + 'static>(
    host: Rc<RefCell<Host<R>>>,
    mut inbound: Inbound,
    outbound: Outbound,
) {
    let incarnation = host.borrow().incarnation;
    // Whoever does not say hello, or is no replica of this run, is hung up on.
    let Ok(hello) = inbound.receive::<Hello>().await else {
        return;
    };
    while_paused(&host).await;
    if host.borrow().incarnation != incarnation {
        return;
    }
    let connection = (inbound, outbound);
    let accepted = host.borrow_mut().accept(&host, hello.message, connection);
    match accepted {
        Some(Accepted::Peer(reading, origin)) => read_peer(reading, origin).await,
        Some(Accepted::Client(reading, own, client)) => {
            sessions::read_client(reading, own, client).await;
        }
        None => {}
    }
}

/// A connection that is served.
enum Accepted<R: Replica + 'static> {
    Peer(Reading<R>, Origin),
    Client(Reading<R>, ReplicaId, ClientId),
}

/// Whose messages a connection carries, to whom, in which epoch.
#[derive(Clone, Copy)]
struct Origin {
    own: ReplicaId,
    peer: ReplicaId,
    epoch: u64,
}

async fn read_peer<R: Replica + 'static>(reading: Reading<R>, Origin { own, peer, epoch }: Origin) {
    let admit = |receiving: &mut ReceivingEnd<R>, frame: Received<PeerFrame<R::Message>>| {
        let Received {
            sent_at,
            bytes,
            message,
        } = frame;
        match message {
            PeerFrame::Message(message) => {
                let input = ReplicaInput::Message {
                    from: peer,
                    epoch,
                    message,
                };
                receiving.admit(sent_at, bytes, Delivery::Replica(own, input));
            }
            PeerFrame::Probe => receiving.admit_probe(sent_at, bytes, |sample| {
                let input = ReplicaInput::Probe {
                    sent_at,
                    sample,
                    client: None,
                };
                Delivery::Replica(own, input)
            }),
        }
    };
    reading.run(admit).await;
}

//! Connections of a replica: epochs with its peers, and clients that come and go.
//!
//! Each replica dials every other and only sends on what it dialled, so a pair has two
//! connections. An epoch is the time in which both stand; when one ends, so does the other.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use longhaul_experiment::{ClientId, Now, RegionIndex, ReplicaId};
use longhaul_protocol::{PeerState, Replica};

use super::Host;
use crate::delivery::{Delivery, ReplicaInput};
use crate::messages::FromAgent;
use crate::receiving_end::{ReceivingEnd, read_frames};
use crate::transport::{Inbound, Outbound, Received, dial};
use crate::wire::{ClientFrame, Hello, PeerFrame};

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
}

impl<M> Default for Peer<M> {
    fn default() -> Peer<M> {
        Peer {
            outgoing: None,
            incoming: None,
            up: false,
            epoch: 0,
            early: Vec::new(),
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
            self.replica.on_peer(now, id, state, &mut self.outbox);
            for message in early.into_iter().filter(|_| up) {
                self.replica.on_message(now, id, message, &mut self.outbox);
            }
        }
    }

    fn connected(&mut self, id: ReplicaId, connect: impl FnOnce(&mut Peer<R::Message>)) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        connect(peer);
        if peer.is_connected() {
            let now = self.now();
            self.set_peer(id, PeerState::Up, now);
            self.report_connected();
            self.settle_or_report(now);
        }
    }

    /// Ends the epoch with a peer: both connections.
    fn disconnected(&mut self, id: ReplicaId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        for outbound in [peer.outgoing.take(), peer.incoming.take()]
            .into_iter()
            .flatten()
        {
            outbound.close();
        }
        peer.epoch += 1;
        peer.early.clear();
        let now = self.now();
        self.set_peer(id, PeerState::Down, now);
        self.settle_or_report(now);
    }

    fn settle_or_report(&mut self, now: Now) {
        if let Err(why) = self.settle(now) {
            let _ = self.reports.send(FromAgent::Failed(why));
        }
    }
}

/// Dials a peer, and again whenever the connection ends.
pub(super) async fn keep_dialling<R: Replica + 'static>(
    host: Rc<RefCell<Host<R>>>,
    peer: ReplicaId,
    address: SocketAddr,
) {
    loop {
        if let Ok((mut inbound, outbound)) = dial(address).await {
            let hello = {
                let mut this = host.borrow_mut();
                let now = this.gate.clock.now();
                let hello = outbound.push(now, &Hello::Peer(this.id));
                outbound.flush();
                this.connected(peer, |peer| peer.outgoing = Some(outbound.clone()));
                hello
            };
            if hello.is_ok() {
                // Nothing is sent back on this connection: a read ends when the peer has gone.
                tokio::select! {
                    _ = inbound.fill() => {}
                    () = outbound.closed() => {}
                }
            }
            host.borrow_mut().disconnected(peer);
        }
        tokio::time::sleep(REDIAL_AFTER).await;
    }
}

/// Serves a connection that someone dialled.
pub(super) async fn serve_connection<R: Replica + 'static>(
    host: Rc<RefCell<Host<R>>>,
    mut inbound: Inbound,
    outbound: Outbound,
) {
    // Whoever does not say hello, or is no replica of this run, is hung up on.
    let Ok(hello) = inbound.receive::<Hello>().await else {
        return;
    };
    match hello.message {
        Hello::Peer(peer) if host.borrow().peers.contains_key(&peer) => {
            let (mut receiving, origin) = {
                let mut this = host.borrow_mut();
                let region = this.topology.region_of(peer);
                let receiving = this.receiving_from(region, u64::from(peer.0));
                let epoch = this.peers.get(&peer).map_or(0, |state| state.epoch);
                this.connected(peer, |state| state.incoming = Some(outbound.clone()));
                (
                    receiving,
                    Origin {
                        own: this.id,
                        peer,
                        epoch,
                    },
                )
            };
            tokio::select! {
                () = read_peer(&mut inbound, &mut receiving, origin) => {}
                () = outbound.closed() => {}
            }
            host.borrow_mut().disconnected(peer);
        }
        Hello::Client { client, region }
            if region.index() < host.borrow().topology.profile.regions.len() =>
        {
            let (mut receiving, own) = {
                let mut this = host.borrow_mut();
                let receiving = this.receiving_from(region, 1 << 32 | u64::from(client.0));
                this.clients.insert(client, (region, outbound));
                (receiving, this.id)
            };
            read_client(&mut inbound, &mut receiving, own, client).await;
            host.borrow_mut().clients.remove(&client);
        }
        _ => {}
    }
}

impl<R: Replica + 'static> Host<R> {
    fn receiving_from(&mut self, region: RegionIndex, connection: u64) -> ReceivingEnd<R> {
        let link = longhaul_experiment::LinkId {
            from: region,
            to: self.topology.region_of(self.id),
        };
        ReceivingEnd::new(link, self.links.core(link, connection), self.gate.clone())
    }
}

/// Whose messages a connection carries, to whom, in which epoch.
#[derive(Clone, Copy)]
struct Origin {
    own: ReplicaId,
    peer: ReplicaId,
    epoch: u64,
}

async fn read_peer<R: Replica + 'static>(
    inbound: &mut Inbound,
    receiving: &mut ReceivingEnd<R>,
    Origin { own, peer, epoch }: Origin,
) {
    read_frames(inbound, receiving, |receiving, frame| {
        let Received {
            sent_at,
            bytes,
            message,
        } = frame;
        match message {
            PeerFrame::<R::Message>::Message(message) => {
                let input = ReplicaInput::Message {
                    from: peer,
                    epoch,
                    message,
                };
                receiving.admit(sent_at, bytes, Delivery::Replica(own, input));
            }
            PeerFrame::Probe => receiving.admit_probe(sent_at, bytes, |sample| {
                Delivery::Replica(
                    own,
                    ReplicaInput::Probe {
                        sent_at,
                        sample,
                        client: None,
                    },
                )
            }),
        }
    })
    .await;
}

async fn read_client<R: Replica + 'static>(
    inbound: &mut Inbound,
    receiving: &mut ReceivingEnd<R>,
    own: ReplicaId,
    client: ClientId,
) {
    read_frames(inbound, receiving, |receiving, frame| {
        let Received {
            sent_at,
            bytes,
            message,
        } = frame;
        match message {
            ClientFrame::Request(request) => {
                let delivery = Delivery::Replica(own, ReplicaInput::Request(request));
                receiving.admit(sent_at, bytes, delivery);
            }
            ClientFrame::Probe => receiving.admit_probe(sent_at, bytes, |sample| {
                let client = Some(client);
                Delivery::Replica(
                    own,
                    ReplicaInput::Probe {
                        sent_at,
                        sample,
                        client,
                    },
                )
            }),
        }
    })
    .await;
}

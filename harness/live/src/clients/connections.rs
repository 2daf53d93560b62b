//! Connections of a region's clients to the replicas: dialled when they are first needed, and
//! again after they ended.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use longhaul_experiment::fault::silence_timeout;
use longhaul_experiment::{ErrorKind, LinkId, Outcome, RegionIndex, ReplicaId, Time};
use longhaul_protocol::Replica;
use longhaul_protocol::client::ClientSend;

use super::Clients;
use crate::delivery::{ClientInput, Delivery};
use crate::links::{Use, stream_of};
use crate::messages::FromAgent;
use crate::receiving_end::{Reading, ReceivingEnd};
use crate::traffic::Sender;
use crate::transport::{Inbound, Outbound, Received, dial};
use crate::wire::{ClientFrame, Hello, ReplyFrame};

/// The position of a session and the replica that its connection leads to.
pub(super) type Key = (usize, ReplicaId);

/// All connections of a region's clients.
#[derive(Default)]
pub(super) struct Connections {
    standing: BTreeMap<Key, Standing>,
    /// Connections that are being made.
    awaited: BTreeMap<Key, Awaited>,
    /// Counts the attempts at each connection: a connection's random draws must not depend on
    /// which other was made before it.
    attempts: BTreeMap<Key, u64>,
    /// Connections that a fault ended come up from here on.
    ready_at: BTreeMap<ReplicaId, Time>,
}

/// A connection that stands.
struct Standing {
    /// Which attempt at it made it.
    number: u64,
    outbound: Outbound,
}

/// A connection that does not stand yet.
struct Awaited {
    attempt: u64,
    is_dialling: bool,
    sends: Vec<ClientSend>,
}

impl Connections {
    /// Returns the connections of a session that stand.
    pub(super) fn of_session(&self, session: usize) -> impl Iterator<Item = Key> {
        let keys = self.standing.keys().copied();
        keys.filter(move |key| key.0 == session)
    }

    /// Writes what waits on all of them.
    pub(super) fn flush(&self) {
        self.standing
            .values()
            .for_each(|standing| standing.outbound.flush());
    }
}

impl<R: Replica + 'static> Clients<R> {
    /// Writes what the batch caused.
    pub(super) fn write(&mut self, clients: &Rc<RefCell<Clients<R>>>) -> Result<(), String> {
        if self.sends.is_empty() {
            return Ok(());
        }
        let now = self.gate.clock.now();
        let mut sends = std::mem::take(&mut self.sends);
        for send in sends.drain(..) {
            let key = (send.session, send.to);
            if self.connections.standing.contains_key(&key) {
                self.push(key, now, &ClientFrame::Request(send.request))?;
            } else {
                self.begin_dialling(clients, key);
                if let Some(awaited) = self.connections.awaited.get_mut(&key) {
                    awaited.sends.push(send);
                }
            }
        }
        self.sends = sends;
        self.connections.flush();
        Ok(())
    }

    /// Adds a frame to what is to be written on a connection.
    pub(super) fn push(&mut self, key: Key, now: Time, frame: &ClientFrame) -> Result<(), String> {
        let Some(Standing { outbound, .. }) = self.connections.standing.get(&key) else {
            return Ok(());
        };
        let bytes = outbound
            .push(now, frame)
            .map_err(|why| format!("to {}: {why}", key.1))?;
        let link = LinkId {
            from: self.region,
            to: self.scenario.topology.region_of(key.1),
        };
        self.traffic.sent(link, Sender::Client, now, bytes);
        Ok(())
    }

    /// Begins to make a connection, unless that is under way.
    pub(super) fn begin_dialling(&mut self, clients: &Rc<RefCell<Clients<R>>>, key: Key) {
        if self.connections.awaited.contains_key(&key) {
            return;
        }
        let attempts = self.connections.attempts.entry(key).or_default();
        *attempts += 1;
        let awaited = Awaited {
            attempt: *attempts,
            is_dialling: false,
            sends: Vec::new(),
        };
        self.connections.awaited.insert(key, awaited);
        self.dial(clients, key);
    }

    /// Dials, or waits for the connection to become possible, but not longer than connections
    /// bear silence.
    fn dial(&mut self, clients: &Rc<RefCell<Clients<R>>>, key: Key) {
        let there = self.scenario.topology.region_of(key.1);
        let is_connectable = self.gate.conditions.are_connectable(self.region, there);
        let Some(awaited) = self.connections.awaited.get_mut(&key) else {
            return;
        };
        let attempt = awaited.attempt;
        if is_connectable {
            awaited.is_dialling = true;
            let dialling = Dialling {
                key,
                attempt,
                address: self.addresses[key.1.index()],
            };
            tokio::task::spawn_local(connect(Rc::clone(clients), dialling));
        } else {
            awaited.is_dialling = false;
            let patience = silence_timeout(self.gate.links.round_trip(self.region, there));
            let until = self.gate.clock.now() + patience;
            self.schedule(until, ClientInput::GiveUp { key, attempt });
        }
    }

    /// Takes what came of a dial; returns the connection to be read if there is one.
    fn dialled(
        &mut self,
        clients: &Rc<RefCell<Clients<R>>>,
        dialling: &Dialling,
        dialled: io::Result<(Inbound, Outbound)>,
    ) -> Result<Option<Reading<R>>, String> {
        let key = dialling.key;
        let there = self.scenario.topology.region_of(key.1);
        match dialled {
            Ok(_) if !self.gate.conditions.are_connectable(self.region, there) => {
                self.dial(clients, key);
                Ok(None)
            }
            Ok((inbound, outbound)) => {
                let reading = self.connected(dialling, (inbound, outbound))?;
                self.write(clients)?;
                Ok(Some(reading))
            }
            Err(why) if self.load.is_none() => {
                Err(format!("cannot connect to replica {}: {why}", key.1))
            }
            Err(_) => {
                self.refused(key);
                Ok(None)
            }
        }
    }

    fn connected(
        &mut self,
        dialling: &Dialling,
        (inbound, outbound): (Inbound, Outbound),
    ) -> Result<Reading<R>, String> {
        let (key, number) = (dialling.key, dialling.attempt);
        let hello = Hello::Client {
            client: self.sessions[key.0],
            region: self.region,
        };
        outbound
            .push(Time::ZERO, &hello)
            .map_err(|why| why.to_string())?;
        outbound.flush();
        let standing = Standing {
            number,
            outbound: outbound.clone(),
        };
        self.connections.standing.insert(key, standing);
        if let Some(awaited) = self.connections.awaited.remove(&key) {
            self.sends.extend(awaited.sends);
        }
        if self.core.is_none() && self.connections.awaited.is_empty() {
            let _ = self.reports.send(FromAgent::ClientsConnected);
        }
        let link = LinkId {
            from: self.scenario.topology.region_of(key.1),
            to: self.region,
        };
        let stream = stream_of(Use::ToClient, self.sessions[key.0].0, number);
        let ended = ClientInput::ConnectionEnded { key, number };
        Ok(Reading {
            inbound,
            outbound,
            receiving: ReceivingEnd::new(link, stream, self.gate.clone()),
            ended: Delivery::Clients(self.position, ended),
        })
    }

    /// Nobody takes the connection, which is known after a round trip: what waited was sent to
    /// nobody.
    fn refused(&mut self, (session, replica): Key) {
        let Some(awaited) = self.connections.awaited.remove(&(session, replica)) else {
            return;
        };
        let there = self.scenario.topology.region_of(replica);
        let known_at = self.gate.clock.now() + self.gate.links.round_trip(self.region, there);
        for send in awaited.sends {
            let refusal = ClientInput::Reply {
                operation: send.request.id,
                outcome: Outcome::Fail(ErrorKind::NotReady),
            };
            self.schedule(known_at, refusal);
        }
    }

    /// Fails what waited too long for a connection: it was sent to nobody.
    pub(super) fn give_up(&mut self, key: Key, attempt: u64) {
        let is_current = |awaited: &Awaited| awaited.attempt == attempt && !awaited.is_dialling;
        if !self.connections.awaited.get(&key).is_some_and(is_current) {
            return;
        }
        let awaited = self.connections.awaited.remove(&key);
        let (now, Some(core)) = (self.gate.clock.now(), &mut self.core) else {
            return;
        };
        for send in awaited.into_iter().flat_map(|awaited| awaited.sends) {
            let refusal = Outcome::Fail(ErrorKind::NotReady);
            core.on_reply(now, send.request.id, refusal, &mut self.sends);
        }
    }

    /// Takes the end of a connection, unless a new one took its place.
    pub(super) fn connection_ended(&mut self, key: Key, number: u64) {
        let standing = self.connections.standing.get(&key);
        if standing.is_some_and(|standing| standing.number == number) {
            self.lose(key);
        }
    }

    /// Ends the connections to the replica of the other region of a pair.
    pub(super) fn end_connections(&mut self, pair: (RegionIndex, RegionIndex)) {
        let lost: Vec<Key> = self
            .connections
            .standing
            .keys()
            .copied()
            .filter(|key| self.leads_across(*key, pair))
            .collect();
        for key in lost {
            self.lose(key);
        }
    }

    /// Makes the connections that are wanted and that could not be made.
    pub(super) fn restore_connections(
        &mut self,
        clients: &Rc<RefCell<Clients<R>>>,
        pair: (RegionIndex, RegionIndex),
        ready_at: Time,
    ) {
        for replica in self.scenario.topology.replica_ids() {
            if self.leads_across((0, replica), pair) {
                self.connections.ready_at.insert(replica, ready_at);
            }
        }
        let wanted: Vec<Key> = self
            .connections
            .awaited
            .iter()
            .filter(|(key, awaited)| !awaited.is_dialling && self.leads_across(**key, pair))
            .map(|(&key, _)| key)
            .collect();
        for key in wanted {
            self.dial(clients, key);
        }
    }

    fn leads_across(&self, key: Key, (a, b): (RegionIndex, RegionIndex)) -> bool {
        let there = self.scenario.topology.region_of(key.1);
        (a, b) == (self.region.min(there), self.region.max(there))
    }

    fn lose(&mut self, key: Key) {
        if let Some(standing) = self.connections.standing.remove(&key) {
            standing.outbound.close();
        }
        let now = self.gate.clock.now();
        if let Some(core) = &mut self.core {
            core.on_connection_lost(now, key.0, key.1, &mut self.sends);
        }
    }
}

/// A dial under way.
struct Dialling {
    key: Key,
    attempt: u64,
    address: SocketAddr,
}

async fn connect<R: Replica + 'static>(clients: Rc<RefCell<Clients<R>>>, dialling: Dialling) {
    let dialled = dial(dialling.address).await;
    if dialled.is_ok() {
        wait_until_ready(&clients, dialling.key.1).await;
    }
    let reading = clients.borrow_mut().dialled(&clients, &dialling, dialled);
    match reading {
        Ok(Some(reading)) => {
            let position = clients.borrow().position;
            // The clients themselves live on in their own task.
            drop(clients);
            read_replies(reading, position).await;
        }
        Ok(None) => {}
        Err(why) => {
            let _ = clients.borrow().reports.send(FromAgent::Failed(why));
        }
    }
}

/// Waits until a connection to a replica may stand, which faults may put off meanwhile.
async fn wait_until_ready<R: Replica + 'static>(
    clients: &Rc<RefCell<Clients<R>>>,
    replica: ReplicaId,
) {
    loop {
        let wake = {
            let this = clients.borrow();
            let ready_at = this.connections.ready_at.get(&replica);
            match ready_at.filter(|&&ready_at| ready_at > this.gate.clock.now()) {
                Some(&ready_at) => this.gate.until(ready_at),
                None => return,
            }
        };
        wake.await;
    }
}

async fn read_replies<R: Replica + 'static>(reading: Reading<R>, position: usize) {
    let admit = |receiving: &mut ReceivingEnd<R>, frame: Received<ReplyFrame>| {
        let Received {
            sent_at,
            bytes,
            message,
        } = frame;
        match message {
            ReplyFrame::Reply { operation, outcome } => {
                let input = ClientInput::Reply { operation, outcome };
                receiving.admit(sent_at, bytes, Delivery::Clients(position, input));
            }
            ReplyFrame::Probe => receiving.admit_probe(sent_at, bytes, |sample| {
                Delivery::Clients(position, ClientInput::Probe { sent_at, sample })
            }),
        }
    };
    reading.run(admit).await;
}

//! A small real protocol: a primary that waits for a majority. The suite is tested on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{
    Contact, ErrorKind, ModeSpec, Now, Operation, OperationKind, Outcome, Path, ReplicaId, Round,
    Topology,
};
use longhaul_protocol::replica::OutboxOf;
use longhaul_protocol::store::Store;
use longhaul_protocol::{
    Description, LogRecord, Member, Mode, PeerState, PersistToken, Recovered, Replica, Request,
};
use serde::{Deserialize, Serialize};

/// A primary, the topology's leader, executes a request once a majority has stored it. There is
/// no failover.
#[derive(Clone, Debug)]
pub struct Toy;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// The request at a log position, from 1.
    Append { index: u64, request: Request },
    /// Everything up to there is stored.
    Stored { up_to: u64 },
    /// Everything up to there may be executed.
    Execute { up_to: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    Heartbeat,
}

const HEARTBEAT: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct ToyReplica {
    member: Member,
    log: Vec<Request>,
    stored: u64,
    executed: u64,
    store: Store,
    stored_by: BTreeMap<ReplicaId, u64>,
    up: BTreeSet<ReplicaId>,
}

impl Mode for Toy {
    type Replica = ToyReplica;

    const DESCRIPTIONS: &'static [Description] = &[];

    fn parse(_spec: &ModeSpec, _topology: &Topology) -> Result<Toy, ModeError> {
        Ok(Toy)
    }

    fn path(&self, kind: OperationKind, topology: &Topology) -> Option<Path> {
        let among = topology.replicas.len();
        let acknowledgements = among / 2 + 1;
        let majority = Round {
            acknowledgements,
            among,
        };
        let rounds = if kind.is_write() {
            vec![majority]
        } else {
            Vec::new()
        };
        Some(Path {
            contact: Contact::Leader,
            rounds,
        })
    }

    fn replica(&self, member: Member) -> ToyReplica {
        ToyReplica {
            member,
            log: Vec::new(),
            stored: 0,
            executed: 0,
            store: Store::default(),
            stored_by: BTreeMap::new(),
            up: BTreeSet::new(),
        }
    }
}

impl ToyReplica {
    fn primary(&self) -> ReplicaId {
        self.member.topology.leader
    }

    fn is_primary(&self) -> bool {
        self.member.id == self.primary()
    }

    fn append(&mut self, request: Request, out: &mut OutboxOf<ToyReplica>) {
        let bytes = postcard::to_stdvec(&request).unwrap();
        self.log.push(request);
        let records = || vec![LogRecord::Append(Bytes::from(bytes))];
        out.persist(PersistToken(self.log.len() as u64), records);
    }

    fn execute(&mut self, up_to: u64, out: &mut OutboxOf<ToyReplica>) {
        while self.executed < up_to.min(self.stored) {
            self.executed += 1;
            let request = self.log[self.executed as usize - 1].clone();
            let execution = self.store.execute(&request, self.executed);
            if let Some((key, version)) = execution.changed {
                out.applied(key, version);
            }
            if self.is_primary() {
                out.reply(request.id, execution.outcome);
            }
        }
    }

    fn advance(&mut self, out: &mut OutboxOf<ToyReplica>) {
        let mut stored: Vec<u64> = self.stored_by.values().copied().collect();
        stored.push(self.stored);
        stored.sort_unstable_by(|a, b| b.cmp(a));
        let majority = self.member.replica_count() / 2 + 1;
        let Some(&up_to) = stored.get(majority - 1) else {
            return;
        };
        if up_to > self.executed {
            self.execute(up_to, out);
            for &peer in &self.up {
                out.send(peer, Message::Execute { up_to });
            }
        }
    }
}

impl Replica for ToyReplica {
    type Message = Message;
    type Timer = Timer;

    fn on_start(&mut self, _now: Now, recovered: Recovered, out: &mut OutboxOf<Self>) {
        if let Recovered::Storage { records, .. } = recovered {
            self.log = records
                .iter()
                .map(|bytes| postcard::from_bytes(bytes).unwrap())
                .collect();
            self.stored = self.log.len() as u64;
        }
        out.leader(1, Some(self.primary()));
        if self.is_primary() {
            out.set_timer(Timer::Heartbeat, HEARTBEAT);
        }
    }

    fn on_request(&mut self, _now: Now, request: Request, out: &mut OutboxOf<Self>) {
        if !self.is_primary() {
            let hint = Some(self.primary());
            out.refuse(request.id, ErrorKind::NotLeader { hint });
            return;
        }
        if let Operation::Read { key } = request.operation {
            out.reply(request.id, Outcome::Ok(self.store.read(key)));
            return;
        }
        self.append(request.clone(), out);
        let index = self.log.len() as u64;
        for &peer in &self.up {
            out.send(
                peer,
                Message::Append {
                    index,
                    request: request.clone(),
                },
            );
        }
    }

    fn on_message(
        &mut self,
        _now: Now,
        from: ReplicaId,
        message: Message,
        out: &mut OutboxOf<Self>,
    ) {
        match message {
            Message::Append { index, request } => {
                if index == self.log.len() as u64 + 1 {
                    self.append(request, out);
                }
            }
            Message::Stored { up_to } => {
                self.stored_by.insert(from, up_to);
                self.advance(out);
            }
            Message::Execute { up_to } => self.execute(up_to, out),
        }
    }

    fn on_timer(&mut self, _now: Now, timer: Timer, out: &mut OutboxOf<Self>) {
        for &peer in &self.up {
            out.send(
                peer,
                Message::Execute {
                    up_to: self.executed,
                },
            );
        }
        out.set_timer(timer, HEARTBEAT);
    }

    fn on_persisted(&mut self, _now: Now, token: PersistToken, out: &mut OutboxOf<Self>) {
        self.stored = token.0;
        if self.is_primary() {
            self.advance(out);
        } else {
            out.send(self.primary(), Message::Stored { up_to: token.0 });
        }
    }

    fn on_peer(&mut self, _now: Now, peer: ReplicaId, state: PeerState, out: &mut OutboxOf<Self>) {
        if state == PeerState::Down {
            self.up.remove(&peer);
            return;
        }
        self.up.insert(peer);
        if self.is_primary() {
            for (position, request) in self.log.iter().enumerate() {
                let index = position as u64 + 1;
                out.send(
                    peer,
                    Message::Append {
                        index,
                        request: request.clone(),
                    },
                );
            }
            out.send(
                peer,
                Message::Execute {
                    up_to: self.executed,
                },
            );
        }
    }
}

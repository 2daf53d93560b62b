//! Multi-Paxos: a leader with the highest ballot has entries accepted by a quorum.
//!
//! Lamport, "The Part-Time Parliament" (1998); Howard, Malkhi and Spiegelman, "Flexible Paxos"
//! (2016) for accept quorums smaller than a majority; run by the `omnipaxos` crate (Ng, Haridi
//! and Carbone, "Omni-Paxos", 2023) as a state machine. Around it, here: the leader's placement
//! at the first start, execution, persistence, compaction and recovery.
//!
//! What is left out: the set of replicas is fixed. A replica that lost its storage could have
//! promised or accepted what it no longer knows, so it stays silent and refuses requests for the
//! rest of the run. A leader that cannot reach a quorum does not notice: its clients time out.
//! Leadership that moved after a failure is not moved back.

mod entry;
mod participant;
mod storage;
#[cfg(test)]
mod tests;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{
    Contact, ErrorKind, ModeSpec, Now, OperationKind, Path, ReplicaId, Round, Topology,
};
use omnipaxos::messages::Message;
use serde::{Deserialize, Serialize};

use crate::mode::{Description, Mode, check_parameters, parameter_error};
use crate::outbox::Outbox;
use crate::replica::{Member, PeerState, PersistToken, Recovered, Replica, Request, first_word};
use entry::Command;
use participant::{Beginning, Participant};
use storage::State;

/// The mode `quorum:paxos[,write-quorum=W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paxos {
    quorums: Quorums,
}

/// How many replicas make a quorum of each kind; any two of different kinds share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quorums {
    /// Promises that make a leader.
    prepare: usize,
    /// Acceptances that decide an entry.
    accept: usize,
    /// Whether they differ from majorities by intent.
    flexible: bool,
}

impl Paxos {
    /// Returns how many acceptances decide an entry, the leader's own included.
    pub fn accept_quorum(&self) -> usize {
        self.quorums.accept
    }

    /// Returns how many promises make a leader, its own included.
    pub fn prepare_quorum(&self) -> usize {
        self.quorums.prepare
    }
}

impl Mode for Paxos {
    type Replica = PaxosReplica;

    const DESCRIPTIONS: &'static [Description] = &[Description {
        family: "quorum",
        variant: "paxos",
        form: "quorum:paxos[,write-quorum=W]",
        summary: "A leader orders all operations in a log; a write is acknowledged when W replicas accepted it.",
        parameters: &[(
            "write-quorum",
            "W, how many replicas must accept a write, the leader included, from 2 to half of \
             the N replicas, rounded up; a new leader then needs N-W+1 promises; default: a \
             majority for both",
        )],
        guarantee: "Linearizable; reads go through the log. Nothing acknowledged is lost while \
                    fewer than W replicas lose their storage. After a failure another leads only \
                    when N-W+1 replicas are alive.",
        write_floor: "d(c,l) + (W-1)-th d(l,f)",
        read_floor: "d(c,l) + (W-1)-th d(l,f)",
        source: "Lamport, The Part-Time Parliament, TOCS 1998; Howard et al., Flexible Paxos, OPODIS 2016; Ng et al., Omni-Paxos, EuroSys 2023",
    }];

    fn parse(spec: &ModeSpec, topology: &Topology) -> Result<Paxos, ModeError> {
        check_parameters(spec, false, &["write-quorum"])?;
        let replicas = topology.replicas.len();
        if replicas < 2 {
            let why = "it needs at least 2 replicas, and 1 is placed";
            return Err(parameter_error(spec, "paxos", why));
        }
        let Some(text) = spec.parameters.get("write-quorum") else {
            let majority = replicas / 2 + 1;
            return Ok(Paxos {
                quorums: Quorums {
                    prepare: majority,
                    accept: majority,
                    flexible: false,
                },
            });
        };
        let most = replicas.div_ceil(2);
        match text.parse::<usize>() {
            Ok(accept) if (2..=most).contains(&accept) => Ok(Paxos {
                quorums: Quorums {
                    prepare: replicas - accept + 1,
                    accept,
                    flexible: true,
                },
            }),
            _ if most < 2 => {
                let why = format!("{replicas} replicas leave no choice: leave it out");
                Err(parameter_error(spec, "write-quorum", why))
            }
            _ => {
                let why = format!(
                    "'{text}' is not a whole number from 2 to {most}, half of {replicas} replicas \
                     rounded up; leave it out for a majority"
                );
                Err(parameter_error(spec, "write-quorum", why))
            }
        }
    }

    fn path(&self, _kind: OperationKind, topology: &Topology) -> Option<Path> {
        Some(Path {
            contact: Contact::Leader,
            rounds: vec![Round {
                acknowledgements: self.quorums.accept,
                among: topology.replicas.len(),
            }],
        })
    }

    fn replica(&self, member: Member) -> PaxosReplica {
        PaxosReplica {
            member,
            quorums: self.quorums,
            participant: None,
        }
    }
}

/// A Paxos replica.
///
/// Requests at a replica that does not lead are refused with a hint. Proposals of a leader that
/// learns of a higher ballot before they are decided are answered
/// [`longhaul_experiment::Outcome::Unknown`]: the next leader may still decide them.
pub struct PaxosReplica {
    member: Member,
    quorums: Quorums,
    /// `None` before the start, and in a replica that lost its storage or cannot read it.
    participant: Option<Box<Participant>>,
}

/// A message between Paxos replicas: the library's own, for log and leader election.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaxosMessageOnWire(Message<Command>);

/// The timers of a Paxos replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PaxosTimer {
    /// A heartbeat's interval passed.
    Tick,
}

impl Replica for PaxosReplica {
    type Message = PaxosMessageOnWire;
    type Timer = PaxosTimer;

    fn name(message: &PaxosMessageOnWire) -> String {
        match &message.0 {
            Message::SequencePaxos(message) => first_word(&message.msg),
            Message::BLE(message) => first_word(&message.msg),
        }
    }

    fn on_start(
        &mut self,
        _now: Now,
        recovered: Recovered,
        out: &mut Outbox<PaxosMessageOnWire, PaxosTimer>,
    ) {
        let Some(beginning) = beginning(recovered, out.is_durable()) else {
            return;
        };
        let mut participant = Participant::new(&self.member, self.quorums, beginning);
        participant.on_start(out);
        self.participant = Some(Box::new(participant));
    }

    fn on_request(
        &mut self,
        _now: Now,
        request: Request,
        out: &mut Outbox<PaxosMessageOnWire, PaxosTimer>,
    ) {
        match &mut self.participant {
            Some(participant) => participant.on_request(request, out),
            None => out.refuse(request.id, ErrorKind::NotReady),
        }
    }

    fn on_message(
        &mut self,
        _now: Now,
        from: ReplicaId,
        message: PaxosMessageOnWire,
        _out: &mut Outbox<PaxosMessageOnWire, PaxosTimer>,
    ) {
        if let Some(participant) = &mut self.participant {
            participant.on_message(from, message);
        }
    }

    fn on_timer(
        &mut self,
        _now: Now,
        PaxosTimer::Tick: PaxosTimer,
        out: &mut Outbox<PaxosMessageOnWire, PaxosTimer>,
    ) {
        if let Some(participant) = &mut self.participant {
            participant.on_tick(out);
        }
    }

    fn on_persisted(
        &mut self,
        _now: Now,
        token: PersistToken,
        out: &mut Outbox<PaxosMessageOnWire, PaxosTimer>,
    ) {
        if let Some(participant) = &mut self.participant {
            participant.on_persisted(token, out);
        }
    }

    fn on_peer(
        &mut self,
        _now: Now,
        peer: ReplicaId,
        state: PeerState,
        _out: &mut Outbox<PaxosMessageOnWire, PaxosTimer>,
    ) {
        if let Some(participant) = &mut self.participant {
            participant.on_peer(peer, state);
        }
    }

    fn on_batch_end(&mut self, _now: Now, out: &mut Outbox<PaxosMessageOnWire, PaxosTimer>) {
        if let Some(participant) = &mut self.participant {
            participant.on_batch_end(out);
        }
    }
}

fn beginning(recovered: Recovered, durable: bool) -> Option<Beginning> {
    match recovered {
        Recovered::Nothing => Some(Beginning {
            state: State::new(durable),
            first: true,
        }),
        Recovered::Lost => None,
        Recovered::Storage {
            checkpoint,
            records,
        } => Some(Beginning {
            state: State::recover(checkpoint.as_ref(), &records).ok()?,
            first: false,
        }),
    }
}

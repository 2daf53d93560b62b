//! Raft: a leader orders all operations in a log that a majority stores.
//!
//! Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014), run by the
//! `raft` crate as a state machine. Around it, here: a deterministic election time-out, the
//! leader's placement at the first start, reads beside the log, compaction and recovery.
//!
//! What is left out: the set of voters is fixed. A replica that lost its storage could have voted
//! or acknowledged what it no longer knows, so it stays silent and refuses requests for the rest
//! of the run; admitting it again would take a change of membership. Leadership that moved after
//! a failure is not moved back.

pub(crate) mod adapter;
mod participant;
mod reads;
mod request;
pub(crate) mod storage;
#[cfg(test)]
mod tests;
pub(crate) mod ticking;
mod wire;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{
    Contact, ErrorKind, ModeSpec, Now, OperationKind, Path, ReplicaId, Round, Topology,
};

use crate::mode::{Description, Mode, check_parameters, parameter_error};
use crate::outbox::Outbox;
use crate::replica::{Member, PeerState, PersistToken, Recovered, Replica, Request, first_word};
use participant::{Beginning, Participant};
use storage::LogStorage;
pub use ticking::ElectionTimeout;
pub use wire::{RaftEntry, RaftMessage, RaftMessageKind, RaftSnapshot};

/// The mode `quorum:raft[,read=index|lease|log][,election=MIN-MAX]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raft {
    /// How reads are made linearizable.
    pub reads: RaftReads,
    /// The election time-outs; `None`: they follow from the topology, as
    /// [`Timeouts`](crate::quorum::timeouts::Timeouts) says.
    pub election: Option<ElectionTimeout>,
}

/// How the leader makes sure that a read sees every write acknowledged before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RaftReads {
    /// It asks a majority whether it still leads (Ongaro's dissertation, section 6.4). The reads
    /// of one batch share a round.
    #[default]
    Index,
    /// It answers at once while a lease holds, renewed with every heartbeat: for 3/4 of the
    /// election time-out after a round that a majority answered. Linearizable only while no
    /// replica's clock runs more than a quarter faster than the leader's.
    Lease,
    /// It puts the read into the log.
    Log,
}

impl Mode for Raft {
    type Replica = RaftReplica;

    const DESCRIPTIONS: &'static [Description] = &[Description {
        family: "quorum",
        variant: "raft",
        form: "quorum:raft[,read=index|lease|log][,election=MIN-MAX]",
        summary: "A leader orders all operations in a log; a write is acknowledged when a majority stores it.",
        parameters: &[
            (
                "read",
                "index (default): the leader asks a majority whether it still leads; lease: it \
                 answers at once while its lease holds; log: the read goes through the log",
            ),
            (
                "election",
                "the bounds between which each replica draws its election time-out for a term, \
                 e.g. 150ms-300ms, MIN 20 ms to 10 min, MAX up to 10 MIN; heartbeats are MIN/20 \
                 apart; default: 10 to 20 round trips of the slowest pair, at least 1 s to 2 s",
            ),
        ],
        guarantee: "Linearizable; with read=lease only while no replica's clock runs more than a \
                    quarter faster than the leader's. Nothing acknowledged is lost while a \
                    majority keeps its storage.",
        write_floor: "d(c,l) + (majority-1)-th d(l,f)",
        read_floor: "index, log: d(c,l) + (majority-1)-th d(l,f); lease: d(c,l)",
        source: "Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm, USENIX ATC 2014",
    }];

    fn parse(spec: &ModeSpec, _topology: &Topology) -> Result<Raft, ModeError> {
        check_parameters(spec, false, &["read", "election"])?;
        let reads = match spec.parameters.get("read").map(String::as_str) {
            None | Some("index") => RaftReads::Index,
            Some("lease") => RaftReads::Lease,
            Some("log") => RaftReads::Log,
            Some(other) => {
                let why = format!("'{other}' is none of index, lease, log");
                return Err(parameter_error(spec, "read", why));
            }
        };
        let election = match spec.parameters.get("election") {
            None => None,
            Some(text) => {
                let read = text.parse::<ElectionTimeout>();
                Some(read.map_err(|why| parameter_error(spec, "election", why.to_string()))?)
            }
        };
        Ok(Raft { reads, election })
    }

    fn path(&self, kind: OperationKind, topology: &Topology) -> Option<Path> {
        let among = topology.replicas.len();
        let majority = Round {
            acknowledgements: among / 2 + 1,
            among,
        };
        let at_once = kind == OperationKind::Read && self.reads == RaftReads::Lease;
        Some(Path {
            contact: Contact::Leader,
            rounds: if at_once { vec![] } else { vec![majority] },
        })
    }

    fn replica(&self, member: Member) -> RaftReplica {
        RaftReplica {
            member,
            mode: *self,
            participant: None,
        }
    }
}

/// A raft replica.
///
/// Requests at a replica that does not lead are refused with a hint. Proposals of a leader that
/// is deposed before they are committed are answered [`longhaul_experiment::Outcome::Unknown`]:
/// the next leader may still commit them.
pub struct RaftReplica {
    member: Member,
    mode: Raft,
    /// `None` before the start, and in a replica that lost its storage or cannot read it.
    participant: Option<Box<Participant>>,
}

/// The timers of a raft replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RaftTimer {
    /// A heartbeat's interval passed.
    Tick,
}

impl RaftReplica {
    fn beginning(&self, recovered: Recovered) -> Option<Beginning> {
        let voters = self.member.topology.replica_ids().map(adapter::node_id);
        let voters: Vec<u64> = voters.collect();
        match recovered {
            Recovered::Nothing => Some(Beginning {
                storage: LogStorage::new(voters),
                first: true,
            }),
            Recovered::Lost => None,
            Recovered::Storage {
                checkpoint,
                records,
            } => {
                let storage = LogStorage::recover(voters, checkpoint.as_ref(), &records).ok()?;
                Some(Beginning {
                    storage,
                    first: false,
                })
            }
        }
    }
}

impl Replica for RaftReplica {
    // Boxed: a message is moved more often than it is looked at.
    type Message = Box<RaftMessage>;
    type Timer = RaftTimer;

    fn name(message: &Box<RaftMessage>) -> String {
        first_word(&message.kind)
    }

    fn on_start(
        &mut self,
        _now: Now,
        recovered: Recovered,
        out: &mut Outbox<Box<RaftMessage>, RaftTimer>,
    ) {
        if let Some(beginning) = self.beginning(recovered) {
            let mut participant = Participant::new(self.member.clone(), self.mode, beginning);
            participant.on_start(out);
            self.participant = Some(Box::new(participant));
        }
    }

    fn on_request(
        &mut self,
        _now: Now,
        request: Request,
        out: &mut Outbox<Box<RaftMessage>, RaftTimer>,
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
        message: Box<RaftMessage>,
        _out: &mut Outbox<Box<RaftMessage>, RaftTimer>,
    ) {
        if let Some(participant) = &mut self.participant {
            participant.on_message(from, *message);
        }
    }

    fn on_timer(
        &mut self,
        now: Now,
        RaftTimer::Tick: RaftTimer,
        out: &mut Outbox<Box<RaftMessage>, RaftTimer>,
    ) {
        if let Some(participant) = &mut self.participant {
            participant.on_tick(now, out);
        }
    }

    fn on_persisted(
        &mut self,
        _now: Now,
        token: PersistToken,
        out: &mut Outbox<Box<RaftMessage>, RaftTimer>,
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
        _out: &mut Outbox<Box<RaftMessage>, RaftTimer>,
    ) {
        if let Some(participant) = &mut self.participant {
            participant.on_peer(peer, state);
        }
    }

    fn on_batch_end(&mut self, now: Now, out: &mut Outbox<Box<RaftMessage>, RaftTimer>) {
        if let Some(participant) = &mut self.participant {
            participant.on_batch_end(now, out);
        }
    }
}

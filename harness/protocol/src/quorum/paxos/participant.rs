//! A Paxos node at work: proposals in, effects out, once for every batch of callbacks.

use std::collections::{BTreeSet, VecDeque};

use longhaul_experiment::{ErrorKind, OperationId, Outcome, ReplicaId};
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use omnipaxos::messages::sequence_paxos::{Compaction, PaxosMessage, PaxosMsg};
use omnipaxos::util::FlexibleQuorum;
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig};

use super::entry::Command;
use super::storage::{SharedState, State};
use super::{PaxosMessageOnWire, PaxosTimer, Quorums};
use crate::outbox::{LogRecord, Outbox};
use crate::quorum::installed;
use crate::quorum::timeouts::Timeouts;
use crate::replica::{Member, PeerState, PersistToken, Request};
use crate::retention::Retention;

/// How many executed entries the log keeps for replicas that reconnect; one that missed more is
/// sent the store.
pub(super) const ENTRIES_KEPT: usize = 1 << 14;

/// The most entries that are proposed and not decided; beyond it, requests are refused.
const UNDECIDED_MAX: u64 = 1 << 20;

/// The least bytes of log records between two checkpoints.
const CHECKPOINT_BYTES_MIN: usize = 16 << 20;

/// The size of a checkpoint that earns as many bytes of log records before the next.
const CHECKPOINT_RATIO: u64 = 2;

/// Heartbeats in a round of ballot leader election: five round trips of the slowest pair.
/// A leader's end is noticed after one to two rounds, and another takes over within one more.
const ELECTION_ROUND_HEARTBEATS: u64 = Timeouts::ELECTION_HEARTBEATS as u64 / 2;

type PaxosOutbox = Outbox<PaxosMessageOnWire, PaxosTimer>;

/// What waits for a persist effect's report.
#[derive(Debug)]
struct Persisting {
    token: PersistToken,
    /// How many entries the log had, all of them safe once this report comes; 0 when the log was
    /// overwritten since.
    end: u64,
    messages: Vec<Message<Command>>,
}

/// How many ticks a replica that came back waits for another's ballot before it stands again: four
/// rounds of an election, so that an ordinary one is over.
const UNFOLLOWED_TICKS: u64 = 4 * ELECTION_ROUND_HEARTBEATS;

/// How a participant begins.
#[derive(Debug)]
pub(super) struct Beginning {
    /// What its storage holds.
    pub state: State,
    /// Whether it is the very first start.
    pub first: bool,
}

/// A replica that promises and accepts.
pub(super) struct Participant {
    own: u64,
    timeouts: Timeouts,
    node: OmniPaxos<Command, SharedState>,
    state: SharedState,
    up: BTreeSet<ReplicaId>,
    /// Whether it stands for election as soon as a prepare quorum can hear it.
    stands_first: bool,
    /// How many peers must have been up before it says anything.
    peers_awaited: usize,
    /// Ticks that it lets pass while nobody ever led.
    patience: u32,
    /// After a restart: ticks during which what it promised last was an old ballot of its own.
    /// `None`: it did not restart, or has promised another's since.
    unfollowed: Option<u64>,
    /// Peers that make a prepare quorum with it.
    peers_for_prepare: usize,
    queue: Vec<Request>,
    proposed: VecDeque<(u64, OperationId)>,
    proposed_in: Ballot,
    persisting: VecDeque<Persisting>,
    /// How many of its own log's entries are safe.
    safe_end: u64,
    /// Acceptances by others of entries that are not yet safe here.
    early: Vec<Message<Command>>,
    last_token: u64,
    reported: Option<Ballot>,
    outgoing: Vec<Message<Command>>,
    unchecked_bytes: u64,
    checkpoint_bytes: u64,
    retention: Retention,
}

impl Participant {
    pub(super) fn new(member: &Member, quorums: Quorums, beginning: Beginning) -> Participant {
        let preferred = member.topology.leader == member.id;
        let stands_first = beginning.first && preferred;
        let safe_end = beginning.state.end();
        let state = SharedState::new(beginning.state);
        Participant {
            own: node_id(member.id),
            timeouts: Timeouts::of(&member.topology),
            node: node(member, quorums, state.clone()),
            state,
            up: BTreeSet::new(),
            stands_first,
            peers_awaited: if stands_first { quorums.prepare - 1 } else { 1 },
            patience: if beginning.first && !preferred {
                Timeouts::BOOTSTRAP_HEARTBEATS
            } else {
                0
            },
            unfollowed: (!beginning.first).then_some(0),
            peers_for_prepare: quorums.prepare - 1,
            queue: Vec::new(),
            proposed: VecDeque::new(),
            proposed_in: Ballot::default(),
            persisting: VecDeque::new(),
            safe_end,
            early: Vec::new(),
            last_token: 0,
            reported: None,
            outgoing: Vec::new(),
            unchecked_bytes: 0,
            checkpoint_bytes: 0,
            retention: member.retention,
        }
    }

    pub(super) fn on_start(&mut self, out: &mut PaxosOutbox) {
        out.set_timer(PaxosTimer::Tick, self.timeouts.heartbeat);
    }

    pub(super) fn on_request(&mut self, request: Request, out: &mut PaxosOutbox) {
        if self.leads() {
            self.queue.push(request);
        } else {
            self.refuse(request.id, out);
        }
    }

    pub(super) fn on_message(&mut self, from: ReplicaId, message: PaxosMessageOnWire) {
        let message = message.0;
        let honest = message.get_sender() == node_id(from) && message.get_receiver() == self.own;
        if !honest {
            return;
        }
        if self.is_early(&message) {
            self.early.push(message);
        } else {
            self.node.handle_incoming(message);
        }
    }

    pub(super) fn on_tick(&mut self, out: &mut PaxosOutbox) {
        out.set_timer(PaxosTimer::Tick, self.timeouts.heartbeat);
        if self.peers_awaited > 0 {
            return;
        }
        if self.patience > 0 && self.node.get_promise() == Ballot::default() {
            self.patience -= 1;
            return;
        }
        self.node.tick();
        self.stand_again_if_unfollowed();
    }

    /// Stands for election when, long after a restart, what it promised last is still an old ballot
    /// of its own.
    ///
    /// A leader that dies and is back before anybody misses it may leave others with a promise to
    /// its last ballot while a majority elects a leader with a lower one. They can follow neither,
    /// and the library's election has nothing that ends it. A higher ballot of this replica does;
    /// it stands only while it is connected to a prepare quorum, as the election itself demands.
    fn stand_again_if_unfollowed(&mut self) {
        let Some(ticks) = self.unfollowed else { return };
        let promise = self.node.get_promise();
        if promise != Ballot::default() && promise.pid != self.own {
            self.unfollowed = None;
        } else if promise.pid != self.own || self.leads() {
            self.unfollowed = Some(0);
        } else if ticks < UNFOLLOWED_TICKS || self.up.len() < self.peers_for_prepare {
            self.unfollowed = Some(ticks + 1);
        } else {
            self.unfollowed = Some(0);
            self.node.try_become_leader();
        }
    }

    pub(super) fn on_persisted(&mut self, token: PersistToken, out: &mut PaxosOutbox) {
        while let Some(persisting) = self.persisting.pop_front_if(|front| front.token <= token) {
            self.safe_end = self.safe_end.max(persisting.end);
            send(persisting.messages, out);
        }
        let early = std::mem::take(&mut self.early);
        for message in early {
            if self.is_early(&message) {
                self.early.push(message);
            } else {
                self.node.handle_incoming(message);
            }
        }
    }

    pub(super) fn on_peer(&mut self, peer: ReplicaId, state: PeerState) {
        if state == PeerState::Down {
            self.up.remove(&peer);
            return;
        }
        self.up.insert(peer);
        self.node.reconnected(node_id(peer));
        if self.up.len() >= self.peers_awaited {
            self.peers_awaited = 0;
            if std::mem::take(&mut self.stands_first)
                && self.node.get_promise() == Ballot::default()
            {
                self.node.try_become_leader();
            }
        }
    }

    pub(super) fn on_batch_end(&mut self, out: &mut PaxosOutbox) {
        self.propose(out);
        self.execute(out);
        self.note_leader(out);
        self.abandon_if_deposed(out);
        self.write_down(out);
        self.send_outgoing(out);
        self.tidy();
    }

    /// Says whether another's acceptance must wait for this replica's own storage. The library
    /// counts a leader's own acceptance at once; its entries travel while they are being stored,
    /// and the count is held back here.
    fn is_early(&self, message: &Message<Command>) -> bool {
        match message {
            Message::SequencePaxos(PaxosMessage {
                msg: PaxosMsg::Accepted(accepted),
                ..
            }) => !self.persisting.is_empty() && accepted.accepted_idx as u64 > self.safe_end,
            _ => false,
        }
    }

    fn leads(&self) -> bool {
        self.node.get_current_leader() == Some((self.own, true))
    }

    fn refuse(&self, operation: OperationId, out: &mut PaxosOutbox) {
        let error = match self.node.get_current_leader() {
            // It was promised leadership and is being told what others accepted.
            Some((leader, _)) if leader == self.own => ErrorKind::NotReady,
            leader => ErrorKind::NotLeader {
                hint: leader.and_then(|(leader, _)| replica_id(leader)),
            },
        };
        out.refuse(operation, error);
    }

    /// Proposes the batch's requests as one.
    fn propose(&mut self, out: &mut PaxosOutbox) {
        if self.queue.is_empty() {
            return;
        }
        let requests = std::mem::take(&mut self.queue);
        if !self.leads() {
            for request in requests {
                self.refuse(request.id, out);
            }
            return;
        }
        let end = self.node.get_accepted_idx() as u64;
        if end - self.node.get_decided_idx() as u64 + requests.len() as u64 > UNDECIDED_MAX {
            for request in requests {
                out.refuse(request.id, ErrorKind::Overloaded);
            }
            return;
        }
        self.proposed_in = self.node.get_promise();
        let ids = requests.iter().map(|request| request.id);
        self.proposed.extend((end + 1..).zip(ids));
        // What a follower would forward is appended as one, where the library's own way to
        // append takes entries one by one.
        let entries = requests.into_iter().zip(end + 1..);
        let entries = entries
            .map(|(request, number)| Command { number, request })
            .collect();
        self.tell_own_node(PaxosMsg::ProposalForward(entries));
    }

    fn tell_own_node(&mut self, msg: PaxosMsg<Command>) {
        let message = PaxosMessage {
            from: self.own,
            to: self.own,
            msg,
        };
        self.node.handle_incoming(Message::SequencePaxos(message));
    }

    fn execute(&mut self, out: &mut PaxosOutbox) {
        let mut state = self.state.get();
        while let Some((Command { number, request }, store)) = state.next_decided() {
            let execution = store.execute(request, *number);
            let own = self
                .proposed
                .pop_front_if(|(proposed, _)| proposed == number);
            if let Some((_, operation)) = own {
                out.reply(operation, execution.outcome);
            }
            if let Some((key, version)) = execution.changed {
                out.applied(key, version);
            }
        }
    }

    fn note_leader(&mut self, out: &mut PaxosOutbox) {
        let ballot = self.node.get_promise();
        let accepting = matches!(self.node.get_current_leader(), Some((_, true)));
        if accepting && self.reported != Some(ballot) {
            out.leader(ballot_number(ballot), replica_id(ballot.pid));
            self.reported = Some(ballot);
        }
    }

    /// Answers what a deposed leader cannot bring to an end: the next one may still decide it.
    fn abandon_if_deposed(&mut self, out: &mut PaxosOutbox) {
        if self.proposed.is_empty() || (self.leads() && self.node.get_promise() == self.proposed_in)
        {
            return;
        }
        let leader = self.node.get_current_leader();
        let hint = leader.and_then(|(leader, _)| replica_id(leader));
        for (_, operation) in self.proposed.drain(..) {
            let unknown = Outcome::Unknown(ErrorKind::NotLeader { hint });
            out.reply(operation, unknown);
        }
    }

    /// Has the batch's changes persisted.
    fn write_down(&mut self, out: &mut PaxosOutbox) {
        let mut state = self.state.get();
        let replaced = state.take_replaced();
        if let Some(ours) = &replaced {
            installed::note_changes(ours, state.store(), out);
        }
        if state.take_overwritten() {
            self.safe_end = 0;
            for persisting in &mut self.persisting {
                persisting.end = 0;
            }
        }
        if !out.is_durable() {
            return;
        }
        let least = self.retention.of(CHECKPOINT_BYTES_MIN) as u64;
        let due = least.max(CHECKPOINT_RATIO * self.checkpoint_bytes);
        let record = if replaced.is_some() || self.unchecked_bytes > due {
            let bytes = state.checkpoint();
            self.unchecked_bytes = 0;
            self.checkpoint_bytes = bytes.len() as u64;
            LogRecord::Checkpoint(bytes)
        } else if let Some(bytes) = state.take_record() {
            self.unchecked_bytes += bytes.len() as u64;
            LogRecord::Append(bytes)
        } else {
            return;
        };
        self.last_token += 1;
        let token = PersistToken(self.last_token);
        self.persisting.push_back(Persisting {
            token,
            end: state.end(),
            messages: Vec::new(),
        });
        out.persist(token, || vec![record]);
    }

    /// Sends the batch's messages; what states something that is not yet safe waits.
    fn send_outgoing(&mut self, out: &mut PaxosOutbox) {
        if self.peers_awaited > 0 {
            return;
        }
        let mut outgoing = std::mem::take(&mut self.outgoing);
        self.node.take_outgoing_messages(&mut outgoing);
        let mut held = self
            .persisting
            .iter()
            .any(|persisting| !persisting.messages.is_empty());
        for message in outgoing.drain(..) {
            match self.persisting.back_mut() {
                Some(last) if !may_precede_storage(&message, held) => {
                    held = true;
                    last.messages.push(message);
                }
                _ => send_one(message, out),
            }
        }
        self.outgoing = outgoing;
    }

    /// Keeps the log from growing with the run's length.
    fn tidy(&mut self) {
        let (length, executed) = {
            let state = self.state.get();
            (state.len(), state.executed())
        };
        let kept = self.retention.of(ENTRIES_KEPT);
        if length > 2 * kept {
            let until = executed.saturating_sub(kept as u64) as usize;
            self.tell_own_node(PaxosMsg::Compaction(Compaction::Trim(until)));
        }
    }

    #[cfg(test)]
    pub(super) fn copy_of_store(&self) -> crate::store::Store {
        self.state.get().store().clone()
    }

    #[cfg(test)]
    pub(super) fn log_len(&self) -> usize {
        self.state.get().len()
    }
}

/// Says whether a message may be sent before the batch it comes from is stored. Entries may:
/// nothing is decided before their leader's storage reported too. But they must not overtake
/// other messages of the same leader that wait.
fn may_precede_storage(message: &Message<Command>, held: bool) -> bool {
    match message {
        Message::BLE(_) => true,
        Message::SequencePaxos(message) => {
            !held && matches!(message.msg, PaxosMsg::AcceptDecide(_) | PaxosMsg::Decide(_))
        }
    }
}

fn send(messages: Vec<Message<Command>>, out: &mut PaxosOutbox) {
    for message in messages {
        send_one(message, out);
    }
}

fn send_one(message: Message<Command>, out: &mut PaxosOutbox) {
    if let Some(to) = replica_id(message.get_receiver()) {
        out.send(to, PaxosMessageOnWire(message));
    }
}

/// Returns the library's id of a replica; 0 means nobody there.
fn node_id(replica: ReplicaId) -> u64 {
    u64::from(replica.0) + 1
}

/// Returns the replica with the library's id.
fn replica_id(node: u64) -> Option<ReplicaId> {
    Some(ReplicaId(u16::try_from(node.checked_sub(1)?).ok()?))
}

/// Returns a ballot as one number in the ballots' order.
fn ballot_number(ballot: Ballot) -> u64 {
    u64::from(ballot.n) << 17 | u64::from(ballot.priority.min(1)) << 16 | (ballot.pid & 0xffff)
}

fn node(member: &Member, quorums: Quorums, state: SharedState) -> OmniPaxos<Command, SharedState> {
    let preferred = member.topology.leader == member.id;
    let flexible = quorums.flexible.then_some(FlexibleQuorum {
        read_quorum_size: quorums.prepare,
        write_quorum_size: quorums.accept,
    });
    let config = OmniPaxosConfig {
        cluster_config: ClusterConfig {
            configuration_id: 1,
            nodes: member.topology.replica_ids().map(node_id).collect(),
            flexible_quorum: flexible,
        },
        server_config: ServerConfig {
            pid: node_id(member.id),
            election_tick_timeout: ELECTION_ROUND_HEARTBEATS,
            resend_message_tick_timeout: 2 * ELECTION_ROUND_HEARTBEATS,
            buffer_size: 64,
            // Among equal ballots the preferred leader's is the highest.
            leader_priority: u32::from(preferred),
            ..ServerConfig::default()
        },
    };
    config
        .build(state)
        .expect("the quorums were checked when the mode was read")
}

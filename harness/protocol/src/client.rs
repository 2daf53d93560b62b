//! The clients of one region, as a state machine: `sim` and `live` drive the same one.
//!
//! It never skips an operation that is due and never looks at completions to decide when the next
//! is: what the cap on operations in flight holds back is queued, counted, and charged from the
//! instant it was due.

mod session;

use std::collections::VecDeque;
use std::time::Duration;

use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::record::{Completion, Recorder, RegionRecord};
use longhaul_experiment::workload::{OperationSource, PlannedOperation, ValueMaker};
use longhaul_experiment::{
    ClientId, Contact, ErrorKind, Operation, OperationId, OperationKind, OperationRecord, Outcome,
    RegionIndex, ReplicaId, Time,
};

use crate::replica::Request;
use session::{InFlight, Session};

/// How often a client sends a refused operation to another replica.
const REDIRECTS_MAX: u32 = 3;

/// What the clients of a region are told.
#[derive(Debug)]
pub struct ClientSettings {
    /// Their region.
    pub region: RegionIndex,
    /// Their sessions, one per connection.
    pub sessions: Vec<ClientId>,
    /// Whom they take for the leader at first.
    pub leader: ReplicaId,
    /// The replica nearest to them.
    pub nearest: ReplicaId,
    /// How many replicas there are.
    pub replicas: u16,
    /// Whom they ask for each kind of operation; the nearest replica for kinds not listed.
    pub contacts: Vec<(OperationKind, Contact)>,
    /// Makes the values that they write.
    pub values: ValueMaker,
    /// The most operations in flight in the region.
    pub max_in_flight: u32,
    /// How long after it was first sent an operation without an answer is given up.
    pub operation_timeout: Duration,
    /// When the measured window begins.
    pub window_start: Time,
    /// How long it is.
    pub window: Duration,
    /// Whether to keep a record of every operation due in the window.
    pub keep_history: bool,
    /// The closed loop, if the load is one.
    pub closed_loop: Option<ClosedLoop>,
}

/// A load that sends the next operation when one ends.
#[derive(Debug)]
pub struct ClosedLoop {
    /// Operations in flight per session.
    pub in_flight: u32,
    /// No operation is begun from here on.
    pub end: Time,
    /// What they are.
    pub source: OperationSource,
}

/// A request to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSend {
    /// The position of the session whose connection carries it.
    pub session: usize,
    /// The replica asked.
    pub to: ReplicaId,
    /// The request.
    pub request: Request,
}

/// What the clients of a region leave.
#[derive(Debug)]
pub struct ClientsOutcome {
    /// What they saw.
    pub record: RegionRecord,
    /// How late operations were sent that the cap did not hold back.
    pub pacing: Histogram,
    /// Every operation due in the window, in the order of their ends; empty unless asked for.
    pub history: Vec<OperationRecord>,
}

/// The clients of one region.
#[derive(Debug)]
pub struct ClientCore {
    settings: ClientSettings,
    sessions: Vec<Session>,
    next_session: usize,
    in_flight: u32,
    /// Due and held back by the cap, oldest first.
    waiting: VecDeque<PlannedOperation>,
    /// Whom they take for the leader now.
    leader: ReplicaId,
    recorder: Recorder,
    pacing: Histogram,
    history: Vec<OperationRecord>,
    capped: u64,
    redirects: u64,
}

impl ClientCore {
    /// Returns clients that have done nothing yet.
    pub fn new(settings: ClientSettings) -> ClientCore {
        ClientCore {
            sessions: settings
                .sessions
                .iter()
                .map(|&client| Session::new(client))
                .collect(),
            next_session: 0,
            in_flight: 0,
            waiting: VecDeque::new(),
            leader: settings.leader,
            recorder: Recorder::new(settings.window_start, settings.window),
            pacing: Histogram::new(),
            history: Vec::new(),
            capped: 0,
            redirects: 0,
            settings,
        }
    }

    /// Begins a closed loop; does nothing for an open one.
    pub fn on_start(&mut self, now: Time, out: &mut Vec<ClientSend>) {
        let per_session = self
            .settings
            .closed_loop
            .as_ref()
            .map_or(0, |closed| closed.in_flight);
        for session in 0..self.sessions.len() {
            for _ in 0..per_session {
                self.continue_closed_loop(session, now, out);
            }
        }
    }

    /// Takes an operation that is due.
    pub fn on_due(&mut self, now: Time, planned: PlannedOperation, out: &mut Vec<ClientSend>) {
        self.recorder.due(planned.kind, planned.intended_at);
        if self.in_flight >= self.settings.max_in_flight {
            self.capped += 1;
            self.waiting.push_back(planned);
            return;
        }
        if self.recorder.measures(planned.intended_at) {
            self.pacing.record(now.since(planned.intended_at));
        }
        let session = self.next_session;
        self.next_session = (session + 1) % self.sessions.len();
        self.send(session, now, planned, out);
    }

    /// Takes an operation's end. One that is known to have ended is ignored.
    pub fn on_reply(
        &mut self,
        now: Time,
        operation: OperationId,
        outcome: Outcome,
        out: &mut Vec<ClientSend>,
    ) {
        let Some(session) = self.position(operation.client) else {
            return;
        };
        if let Some(leader) = self.other_leader(session, operation.sequence, &outcome)
            && self.redirect(session, operation.sequence, leader, out)
        {
            return;
        }
        if let Some(ended) = self.sessions[session].end(operation.sequence) {
            self.complete(operation, ended, now, outcome);
            self.go_on(session, now, out);
        }
    }

    /// Takes the end of a session's connection to a replica: what was asked of it and not
    /// answered may have happened. A leader that is lost is not taken for one any more.
    ///
    /// `session` is the position of the session among the settings' sessions.
    pub fn on_connection_lost(
        &mut self,
        now: Time,
        session: usize,
        replica: ReplicaId,
        out: &mut Vec<ClientSend>,
    ) {
        if replica == self.leader {
            self.leader = self.next_replica(replica);
        }
        // Closed loops go on with the next operation, which this connection did not carry.
        for sequence in self.sessions[session].asked_of(replica) {
            if let Some(ended) = self.sessions[session].end(sequence) {
                let client = self.sessions[session].client;
                let lost = Outcome::Unknown(ErrorKind::ConnectionLost);
                self.complete(OperationId { client, sequence }, ended, now, lost);
                self.go_on(session, now, out);
            }
        }
    }

    /// Gives up operations without an answer for longer than the time-out.
    pub fn on_tick(&mut self, now: Time, out: &mut Vec<ClientSend>) {
        let timeout = self.settings.operation_timeout;
        for session in 0..self.sessions.len() {
            while let Some((sequence, expired)) = self.sessions[session].end_expired(now, timeout) {
                let id = OperationId {
                    client: self.sessions[session].client,
                    sequence,
                };
                let given_up_at = expired.sent_at + timeout;
                self.complete(
                    id,
                    expired,
                    given_up_at,
                    Outcome::Unknown(ErrorKind::TimedOut),
                );
                self.go_on(session, now, out);
            }
        }
    }

    /// Returns the instant at which [`ClientCore::on_tick`] next gives an operation up, unless
    /// it ends before.
    pub fn next_timeout(&self) -> Option<Time> {
        let oldest = self
            .sessions
            .iter()
            .filter_map(Session::oldest_sent_at)
            .min()?;
        Some(oldest + self.settings.operation_timeout)
    }

    /// Says whether nothing is in flight and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }

    /// Returns the region's clients' settings.
    pub fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// Ends: what is still under way is unknown, as unfinished.
    pub fn finish(mut self, now: Time) -> ClientsOutcome {
        if self.settings.keep_history {
            self.note_unfinished(now);
        }
        ClientsOutcome {
            record: RegionRecord {
                region: self.settings.region,
                kinds: self.recorder.finish(),
                capped: self.capped,
                redirects: self.redirects,
            },
            pacing: self.pacing,
            history: self.history,
        }
    }

    /// Returns the position of a client's session.
    fn position(&self, client: ClientId) -> Option<usize> {
        // Sessions are mostly numbered without gaps, and then the first tells where each is.
        let first = self.sessions.first()?.client.0;
        let likely = client.0.wrapping_sub(first) as usize;
        if self
            .sessions
            .get(likely)
            .is_some_and(|session| session.client == client)
        {
            return Some(likely);
        }
        let mut sessions = self.sessions.iter();
        sessions.position(|session| session.client == client)
    }

    fn send(
        &mut self,
        session: usize,
        now: Time,
        planned: PlannedOperation,
        out: &mut Vec<ClientSend>,
    ) {
        let id = self.sessions[session].next_id();
        let operation = planned.operation(id, &self.settings.values);
        let to = self.target(planned.kind);
        self.sessions[session].begin(InFlight {
            planned,
            replica: to,
            attempts: 1,
            sent_at: now,
        });
        self.in_flight += 1;
        out.push(self.request(session, to, id, operation));
    }

    fn target(&self, kind: OperationKind) -> ReplicaId {
        match self.contact(kind) {
            Contact::Leader => self.leader,
            Contact::Nearest => self.settings.nearest,
        }
    }

    fn contact(&self, kind: OperationKind) -> Contact {
        let mut contacts = self.settings.contacts.iter();
        contacts
            .find(|(listed, _)| *listed == kind)
            .map_or(Contact::Nearest, |&(_, contact)| contact)
    }

    /// Returns the replica to ask instead of the one that refused: the leader that it names; or,
    /// where the leader was wanted and nobody was there or knew one, the next replica in the
    /// placement, which may.
    fn other_leader(
        &mut self,
        session: usize,
        sequence: u64,
        outcome: &Outcome,
    ) -> Option<ReplicaId> {
        match outcome {
            Outcome::Fail(ErrorKind::NotLeader { hint: Some(leader) }) => Some(*leader),
            Outcome::Fail(ErrorKind::NotReady | ErrorKind::NotLeader { hint: None }) => {
                let refused = self.sessions[session].get_mut(sequence)?;
                let (kind, asked) = (refused.planned.kind, refused.replica);
                let next = self.next_replica(asked);
                (self.contact(kind) == Contact::Leader).then_some(next)
            }
            _ => None,
        }
    }

    fn request(
        &self,
        session: usize,
        to: ReplicaId,
        id: OperationId,
        operation: Operation,
    ) -> ClientSend {
        let first_incomplete = self.sessions[session].first_incomplete();
        ClientSend {
            session,
            to,
            request: Request {
                id,
                first_incomplete,
                operation,
            },
        }
    }

    fn next_replica(&self, replica: ReplicaId) -> ReplicaId {
        ReplicaId((replica.0 + 1) % self.settings.replicas.max(1))
    }

    /// Sends a refused operation to another replica, which is taken for the leader from here on;
    /// `false` when it was sent on often enough, or has ended.
    fn redirect(
        &mut self,
        session: usize,
        sequence: u64,
        leader: ReplicaId,
        out: &mut Vec<ClientSend>,
    ) -> bool {
        let Some(in_flight) = self.sessions[session].get_mut(sequence) else {
            return false;
        };
        if in_flight.attempts > REDIRECTS_MAX || in_flight.replica == leader {
            return false;
        }
        in_flight.attempts += 1;
        in_flight.replica = leader;
        let planned = in_flight.planned;
        self.redirects += 1;
        self.leader = leader;
        let id = OperationId {
            client: self.sessions[session].client,
            sequence,
        };
        let operation = planned.operation(id, &self.settings.values);
        out.push(self.request(session, leader, id, operation));
        true
    }

    fn complete(&mut self, id: OperationId, ended: InFlight, at: Time, outcome: Outcome) {
        self.in_flight -= 1;
        self.recorder.complete(Completion {
            kind: ended.planned.kind,
            intended_at: ended.planned.intended_at,
            sent_at: ended.sent_at,
            completed_at: at,
            outcome: &outcome,
        });
        if self.settings.keep_history && self.recorder.measures(ended.planned.intended_at) {
            let of = (id, &self.settings.values);
            self.history
                .push(ended.into_record(of, self.settings.region, Some(at), outcome));
        }
    }

    /// After an operation ended: sends what waited longest, or the closed loop's next.
    fn go_on(&mut self, session: usize, now: Time, out: &mut Vec<ClientSend>) {
        if let Some(planned) = self.waiting.pop_front() {
            self.send(session, now, planned, out);
        } else {
            self.continue_closed_loop(session, now, out);
        }
    }

    fn continue_closed_loop(&mut self, session: usize, now: Time, out: &mut Vec<ClientSend>) {
        let Some(closed) = &mut self.settings.closed_loop else {
            return;
        };
        if now >= closed.end {
            return;
        }
        let planned = closed.source.plan(now);
        self.recorder.due(planned.kind, now);
        self.send(session, now, planned, out);
    }

    fn note_unfinished(&mut self, now: Time) {
        let unfinished = Outcome::Unknown(ErrorKind::Unfinished);
        let region = self.settings.region;
        for session in &mut self.sessions {
            let client = session.client;
            while let Some((sequence, open)) = session.end_expired(Time::MAX, Duration::ZERO) {
                if self.recorder.measures(open.planned.intended_at) {
                    let id = OperationId { client, sequence };
                    let of = (id, &self.settings.values);
                    self.history
                        .push(open.into_record(of, region, None, unfinished.clone()));
                }
            }
        }
        for planned in std::mem::take(&mut self.waiting) {
            if self.recorder.measures(planned.intended_at) {
                let id = self.sessions[0].next_id();
                self.sessions[0].skip();
                self.history.push(OperationRecord {
                    id,
                    region,
                    replica: self.target(planned.kind),
                    operation: planned.operation(id, &self.settings.values),
                    attempts: 0,
                    intended_at: planned.intended_at.min(now),
                    sent_at: None,
                    completed_at: None,
                    outcome: unfinished.clone(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;

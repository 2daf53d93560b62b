//! The clients of a case: simple sessions with time-outs and bounded retries.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::workload::ValueMaker;
use longhaul_experiment::{
    ClientId, Contact, ErrorKind, Key, Operation, OperationId, OperationKind, OperationRecord,
    OperationResult, Outcome, RegionIndex, ReplicaId, Time,
};
use longhaul_protocol::{Mode, Request};
use longhaul_sim::Simulation;
use longhaul_sim::simulation::{ClientAddress, Occurrence, OccurrenceKind};

use super::Case;
use super::case::Patience;
use super::promises::Nature;

/// The first client id of the sessions that audit a run.
pub(super) const AUDITORS: u32 = 1_000;

/// What one session is to do next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub due: Time,
    pub kind: OperationKind,
    pub key: Key,
    pub amount: u8,
    pub replica: ReplicaId,
}

/// A session and its operation under way.
#[derive(Debug)]
struct Session {
    client: ClientId,
    address: ClientAddress,
    home: Option<ReplicaId>,
    /// Goes on until each of its operations succeeds.
    insists: bool,
    patience: Patience,
    /// Whom it takes for the leader.
    leader: ReplicaId,
    steps: VecDeque<Step>,
    next_sequence: u64,
    current: Option<Current>,
    /// Tells what a wake was meant for: it changes whenever the session goes on.
    turn: u32,
    /// The last value that it saw or wrote, by key.
    seen: BTreeMap<Key, Option<Bytes>>,
}

#[derive(Debug)]
struct Current {
    step: Step,
    id: OperationId,
    operation: Operation,
    attempts: u32,
    replica: ReplicaId,
    /// Whether an attempt is under way, or a pause before the next.
    waits: bool,
    /// Whether an earlier attempt may have had an effect.
    uncertain: bool,
    sent_at: Time,
}

/// What a wake of the simulation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// A session's next step is due.
    Due(usize),
    /// A session's time-out or pause ended.
    Turn(usize, u32),
}

impl Wake {
    pub(super) fn token(self) -> u64 {
        match self {
            Wake::Due(session) => 1 << 60 | session as u64,
            Wake::Turn(session, turn) => 2 << 60 | u64::from(turn) << 24 | session as u64,
        }
    }

    pub(super) fn of(token: u64) -> Wake {
        let session = (token & 0x00ff_ffff) as usize;
        match token >> 60 {
            1 => Wake::Due(session),
            _ => Wake::Turn(session, (token >> 24) as u32),
        }
    }
}

/// All sessions of a run, and what became of their operations.
#[derive(Debug)]
pub(super) struct Clients<'a> {
    nature: &'a Nature,
    replicas: usize,
    values: ValueMaker,
    sessions: Vec<Session>,
    pub(super) history: Vec<OperationRecord>,
}

impl<'a> Clients<'a> {
    /// Returns the sessions of a case, followed by one auditor in each replica's region.
    pub(super) fn new(case: &Case, nature: &'a Nature) -> Clients<'a> {
        let plans = case.sessions.iter().enumerate().map(|(index, plan)| {
            let client = ClientId(index as u32);
            session(client, (plan.region, plan.home), case.leader, case.patience)
        });
        let auditors = (0..case.replicas() as u16).map(|replica| {
            let place = (RegionIndex(replica), Some(ReplicaId(replica)));
            let client = ClientId(AUDITORS + u32::from(replica));
            let mut auditor = session(client, place, case.leader, Patience::OF_AUDITORS);
            auditor.insists = true;
            auditor
        });
        Clients {
            nature,
            replicas: case.replicas(),
            values: ValueMaker::new(case.value_size),
            sessions: plans.chain(auditors).collect(),
            history: Vec::new(),
        }
    }

    /// Gives a session something to do.
    pub(super) fn plan<M: Mode>(
        &mut self,
        simulation: &mut Simulation<M>,
        session: usize,
        step: Step,
    ) {
        self.sessions[session].steps.push_back(step);
        simulation.wake_at(step.due, Wake::Due(session).token());
    }

    /// Forgets what the sessions have not begun.
    pub(super) fn forget_plans(&mut self) {
        for session in &mut self.sessions {
            session.steps.clear();
        }
    }

    /// Says whether nothing is under way or planned.
    pub(super) fn is_idle(&self) -> bool {
        self.sessions
            .iter()
            .all(|session| session.current.is_none() && session.steps.is_empty())
    }

    /// Describes what is under way, for a message.
    pub(super) fn under_way(&self) -> Vec<(OperationId, Operation)> {
        let currents = self.sessions.iter().filter_map(|it| it.current.as_ref());
        currents
            .map(|current| (current.id, current.operation.clone()))
            .collect()
    }

    /// Takes what happened in the simulation, but for wakes of faults.
    pub(super) fn on_occurrence<M: Mode>(
        &mut self,
        simulation: &mut Simulation<M>,
        occurrence: Occurrence,
    ) {
        match occurrence.kind {
            OccurrenceKind::Reply {
                replica,
                operation,
                outcome,
                ..
            } => self.on_reply(simulation, (replica, operation), outcome),
            OccurrenceKind::ConnectionLost {
                region,
                connection,
                replica,
            } => {
                for index in 0..self.sessions.len() {
                    let session = &self.sessions[index];
                    let address = session.address;
                    let concerned = address.region == region
                        && connection.is_none_or(|connection| address.connection == connection)
                        && session
                            .current
                            .as_ref()
                            .is_some_and(|current| current.waits && current.replica == replica);
                    if concerned {
                        self.attempt_ended(simulation, index, ErrorKind::ConnectionLost, true);
                    }
                }
            }
            OccurrenceKind::Wake(token) => match Wake::of(token) {
                Wake::Due(session) => self.begin_next(simulation, session),
                Wake::Turn(session, turn) => self.on_turn(simulation, session, turn),
            },
        }
    }

    /// Notes what never ended.
    pub(super) fn finish(mut self) -> Vec<OperationRecord> {
        for session in &mut self.sessions {
            if let Some(current) = session.current.take() {
                let outcome = Outcome::Unknown(ErrorKind::Unfinished);
                self.history.push(record(session, current, None, outcome));
            }
        }
        self.history
    }

    fn begin_next<M: Mode>(&mut self, simulation: &mut Simulation<M>, index: usize) {
        let now = simulation.now();
        let session = &mut self.sessions[index];
        if session.current.is_some() {
            return;
        }
        let Some(step) = session.steps.pop_front_if(|step| step.due <= now) else {
            return;
        };
        let id = OperationId {
            client: session.client,
            sequence: session.next_sequence,
        };
        session.next_sequence += 1;
        let operation = operation(&step, id, &self.values, &session.seen);
        let replica = match (self.nature.contact(step.kind), session.home) {
            (Contact::Leader, _) => session.leader,
            (Contact::Nearest, Some(home)) => home,
            (Contact::Nearest, None) => step.replica,
        };
        session.current = Some(Current {
            step,
            id,
            operation,
            attempts: 0,
            replica,
            waits: false,
            uncertain: false,
            sent_at: now,
        });
        self.send(simulation, index);
    }

    fn send<M: Mode>(&mut self, simulation: &mut Simulation<M>, index: usize) {
        let session = &mut self.sessions[index];
        let Some(current) = &mut session.current else {
            return;
        };
        current.attempts += 1;
        current.waits = true;
        let request = Request {
            id: current.id,
            // One operation after the other: all earlier ones have ended.
            first_incomplete: current.id.sequence,
            operation: current.operation.clone(),
        };
        let now = simulation.now();
        simulation.submit(now, session.address, current.replica, request);
        session.wake(simulation, index, session.patience.attempt);
    }

    fn on_turn<M: Mode>(&mut self, simulation: &mut Simulation<M>, index: usize, turn: u32) {
        let session = &self.sessions[index];
        match &session.current {
            Some(current) if session.turn == turn => {
                if current.waits {
                    self.attempt_ended(simulation, index, ErrorKind::TimedOut, true);
                } else {
                    self.send(simulation, index);
                }
            }
            _ => {}
        }
    }

    fn on_reply<M: Mode>(
        &mut self,
        simulation: &mut Simulation<M>,
        (replica, id): (ReplicaId, OperationId),
        outcome: Outcome,
    ) {
        let position = self.sessions.iter().position(|it| it.client == id.client);
        let Some(index) = position else { return };
        let session = &mut self.sessions[index];
        let Some(current) = &session.current else {
            return;
        };
        if current.id != id {
            return;
        }
        match outcome {
            // The answer to an earlier attempt is as good as that to the last.
            Outcome::Ok(result) => {
                session.note_result(&result);
                self.end(simulation, index, Outcome::Ok(result));
            }
            // A refusal counts for the attempt that is under way alone.
            Outcome::Fail(error) if current.waits && current.replica == replica => {
                self.attempt_ended(simulation, index, error, false);
            }
            Outcome::Unknown(error) if current.waits && current.replica == replica => {
                self.attempt_ended(simulation, index, error, true);
            }
            Outcome::Fail(_) | Outcome::Unknown(_) => {}
        }
    }

    /// Ends an attempt without success: the next follows, or the operation ends.
    fn attempt_ended<M: Mode>(
        &mut self,
        simulation: &mut Simulation<M>,
        index: usize,
        error: ErrorKind,
        uncertain: bool,
    ) {
        let session = &mut self.sessions[index];
        let Some(current) = &mut session.current else {
            return;
        };
        current.waits = false;
        current.uncertain |= uncertain;
        let may_repeat = self.nature.recognises_retries
            || current.step.kind == OperationKind::Read
            || !current.uncertain;
        let for_good = matches!(error, ErrorKind::NotSupported | ErrorKind::WrongType);
        if current.attempts >= session.patience.attempts || !may_repeat || for_good {
            let outcome = if current.uncertain {
                Outcome::Unknown(error)
            } else {
                Outcome::Fail(error)
            };
            return self.end(simulation, index, outcome);
        }
        let next = ReplicaId((current.replica.0 + 1) % self.replicas as u16);
        match (self.nature.contact(current.step.kind), error) {
            (Contact::Leader, ErrorKind::NotLeader { hint: Some(hint) }) => {
                session.leader = hint;
                current.replica = hint;
            }
            (Contact::Leader, _) => {
                session.leader = next;
                current.replica = next;
            }
            (Contact::Nearest, _) if session.home.is_none() => current.replica = next,
            (Contact::Nearest, _) => {}
        }
        session.wake(simulation, index, session.patience.pause);
    }

    fn end<M: Mode>(&mut self, simulation: &mut Simulation<M>, index: usize, outcome: Outcome) {
        let now = simulation.now();
        let session = &mut self.sessions[index];
        let Some(current) = session.current.take() else {
            return;
        };
        session.turn += 1;
        if session.insists && !outcome.is_ok() {
            let due = now + session.patience.pause;
            let step = Step {
                due,
                ..current.step
            };
            session.steps.push_front(step);
            simulation.wake_at(due, Wake::Due(index).token());
        }
        self.history
            .push(record(session, current, Some(now), outcome));
        self.begin_next(simulation, index);
    }
}

impl Patience {
    /// That of auditors, which never give up.
    const OF_AUDITORS: Patience = Patience {
        attempt: Duration::from_secs(2),
        attempts: 20,
        pause: Duration::from_millis(50),
    };
}

impl Session {
    fn wake<M: Mode>(&mut self, simulation: &mut Simulation<M>, index: usize, after: Duration) {
        self.turn += 1;
        let at = simulation.now() + after;
        simulation.wake_at(at, Wake::Turn(index, self.turn).token());
    }

    fn note_result(&mut self, result: &OperationResult) {
        let Some(current) = &self.current else { return };
        let value = match (result, &current.operation) {
            (OperationResult::Read { value, .. }, _) => value.clone(),
            (OperationResult::Written { .. }, Operation::Write { value, .. })
            | (
                OperationResult::Swapped { swapped: true, .. },
                Operation::CompareAndSet { value, .. },
            ) => Some(value.clone()),
            _ => return,
        };
        self.seen.insert(current.operation.key(), value);
    }
}

fn session(
    client: ClientId,
    (region, home): (RegionIndex, Option<ReplicaId>),
    leader: ReplicaId,
    patience: Patience,
) -> Session {
    Session {
        client,
        // Sessions share no connection: what one waits for never holds up another.
        address: ClientAddress {
            region,
            connection: client.0,
        },
        home,
        insists: false,
        patience,
        leader,
        steps: VecDeque::new(),
        next_sequence: 0,
        current: None,
        turn: 0,
        seen: BTreeMap::new(),
    }
}

fn operation(
    step: &Step,
    id: OperationId,
    values: &ValueMaker,
    seen: &BTreeMap<Key, Option<Bytes>>,
) -> Operation {
    let key = step.key;
    match step.kind {
        OperationKind::Read => Operation::Read { key },
        OperationKind::Write => Operation::Write {
            key,
            value: values.value(id),
        },
        OperationKind::CompareAndSet => Operation::CompareAndSet {
            key,
            expected: seen.get(&key).cloned().flatten(),
            value: values.value(id),
        },
        OperationKind::Add => Operation::Add {
            key,
            amount: i64::from(step.amount),
        },
        OperationKind::TakeIfEnough => Operation::TakeIfEnough {
            key,
            amount: u64::from(step.amount),
        },
    }
}

fn record(
    session: &Session,
    current: Current,
    completed_at: Option<Time>,
    outcome: Outcome,
) -> OperationRecord {
    OperationRecord {
        id: current.id,
        region: session.address.region,
        replica: current.replica,
        operation: current.operation,
        attempts: current.attempts,
        intended_at: current.step.due,
        sent_at: Some(current.sent_at),
        completed_at,
        outcome,
    }
}

//! One case carried out in virtual time: load and faults, then healing, then an audit.

use std::time::Duration;

use longhaul_analysis::checkers::FinalRead;
use longhaul_experiment::fault::FaultError;
use longhaul_experiment::{
    Key, OperationKind, OperationRecord, OperationResult, Outcome, ReplicaId, Time,
};
use longhaul_protocol::{Mode, ModeVisitor};
use longhaul_sim::faults::Faults;
use longhaul_sim::simulation::{OccurrenceKind, Simulation};
use longhaul_sim::trace::TraceEvent;

use super::Case;
use super::clients::{AUDITORS, Clients, Step};
use super::promises::Nature;

/// How long after everything has healed every new operation must have succeeded, and replicas
/// that converge must agree.
///
/// The slowest way back to work is an election among replicas that never had a leader: 100
/// heartbeats of patience and then at most 40 to the election's end. Delays in cases are at most
/// 40 ms one way, so a heartbeat takes 50 ms and that is 7 s; connections that ended come up
/// within a second. The rest is margin, which costs nothing while all is well.
pub const QUIET: Duration = Duration::from_secs(30);

/// How long auditors wait between two rounds of final reads that disagree.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(250);

/// The least key that auditors write.
const AUDIT_KEYS: u64 = 1 << 32;

/// What a run left.
#[derive(Clone, Debug)]
pub struct CaseRun {
    /// Every operation, those of the auditors included.
    pub history: Vec<OperationRecord>,
    /// What the last round of final reads returned.
    pub finals: Vec<FinalRead>,
    /// What did not come to its end within [`QUIET`]; `None`: everything did.
    pub stuck: Option<String>,
    /// What happened, if it was traced.
    pub trace: Vec<TraceEvent>,
}

/// How a case is carried out.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Whether to trace it.
    pub trace: bool,
    /// Whether final reads are repeated until all replicas agree.
    pub converges: bool,
}

/// Carries a case out on the mode that it visits.
#[derive(Clone, Copy, Debug)]
pub struct Carry<'a> {
    /// The case.
    pub case: &'a Case,
    /// What its mode is like.
    pub nature: &'a Nature,
    /// How it is carried out.
    pub options: RunOptions,
}

impl ModeVisitor for Carry<'_> {
    type Output = Result<CaseRun, FaultError>;

    fn visit<M: Mode>(self, mode: M) -> Self::Output {
        run(mode, self.case, self.nature, self.options)
    }
}

/// Carries a case out.
///
/// # Errors
///
/// A fault does not fit the topology.
pub fn run<M: Mode>(
    mode: M,
    case: &Case,
    nature: &Nature,
    options: RunOptions,
) -> Result<CaseRun, FaultError> {
    let topology = case.topology();
    let faults = Faults::new(&case.faults, &topology, Time::ZERO)?;
    let simulation = Simulation::new(mode, topology, case.seed, case.simulation_options());
    let mut course = Course {
        simulation,
        clients: Clients::new(case, nature),
        faults,
        sessions: case.sessions.len(),
    };
    if options.trace {
        course.simulation.start_trace();
    }
    course.load(case);
    let mut audit = Audit {
        keys: case.keys().into_iter().map(Key).collect(),
        readers: if nature.reads_anywhere() {
            case.replicas()
        } else {
            1
        },
        replicas: case.replicas(),
        deadline: course.simulation.now() + QUIET,
        finals: Vec::new(),
    };
    let stuck = audit.carry_out(&mut course, options.converges);
    Ok(CaseRun {
        trace: course.simulation.take_trace(),
        history: course.clients.finish(),
        finals: audit.finals,
        stuck,
    })
}

/// A run under way.
struct Course<'a, M: Mode> {
    simulation: Simulation<M>,
    clients: Clients<'a>,
    faults: Faults,
    /// How many sessions there are besides the auditors.
    sessions: usize,
}

impl<M: Mode> Course<'_, M> {
    /// Lets operations and faults happen, and heals everything.
    fn load(&mut self, case: &Case) {
        let end = Time::ZERO + case.load;
        self.faults.schedule(&mut self.simulation, end);
        for planned in &case.operations {
            let step = Step {
                due: Time::ZERO + Duration::from_micros(planned.at_us),
                kind: planned.kind,
                key: Key(planned.key),
                amount: planned.amount,
                replica: planned.replica,
            };
            self.clients
                .plan(&mut self.simulation, planned.session, step);
        }
        self.go_on(end, false);
        self.simulation.run_until(end);
        self.clients.forget_plans();
        self.faults.end_all(&mut self.simulation);
    }

    /// Goes on until an instant, or, when asked for, until the clients are idle. Says whether
    /// they are.
    fn go_on(&mut self, until: Time, while_busy: bool) -> bool {
        loop {
            self.take_occurrences();
            if while_busy && self.clients.is_idle() {
                return true;
            }
            let next = self.simulation.next_event_time();
            if next.is_none_or(|next| next > until) {
                return self.clients.is_idle();
            }
            self.simulation.step();
        }
    }

    fn take_occurrences(&mut self) {
        while let Some(occurrence) = self.simulation.next_occurrence() {
            let is_fault = match occurrence.kind {
                OccurrenceKind::Wake(token) => self.faults.on_wake(&mut self.simulation, token),
                _ => false,
            };
            if !is_fault {
                self.clients.on_occurrence(&mut self.simulation, occurrence);
            }
        }
    }
}

/// What is asked of the replicas once everything has healed.
struct Audit {
    keys: Vec<Key>,
    /// How many auditors read.
    readers: usize,
    replicas: usize,
    deadline: Time,
    finals: Vec<FinalRead>,
}

impl Audit {
    /// Demands that all clients and an auditor at each replica get on with their work, and reads
    /// every key. Returns what did not end in time.
    fn carry_out<M: Mode>(
        &mut self,
        course: &mut Course<'_, M>,
        converges: bool,
    ) -> Option<String> {
        for auditor in 0..self.replicas {
            self.plan(
                course,
                auditor,
                OperationKind::Write,
                AUDIT_KEYS + auditor as u64,
            );
        }
        if !course.go_on(self.deadline, true) {
            return Some(self.unfinished(course));
        }
        loop {
            let begin = course.clients.history.len();
            for auditor in 0..self.readers {
                for key in self.keys.clone() {
                    self.plan(course, auditor, OperationKind::Read, key.0);
                }
            }
            if !course.go_on(self.deadline, true) {
                return Some(self.unfinished(course));
            }
            self.finals = finals(&course.clients.history[begin..]);
            let next = course.simulation.now() + BETWEEN_ROUNDS;
            if !converges || self.agree() || next > self.deadline {
                return None;
            }
            course.go_on(next, false);
            course.simulation.run_until(next);
        }
    }

    fn plan<M: Mode>(
        &self,
        course: &mut Course<'_, M>,
        auditor: usize,
        kind: OperationKind,
        key: u64,
    ) {
        let step = Step {
            due: course.simulation.now(),
            kind,
            key: Key(key),
            amount: 1,
            replica: ReplicaId(auditor as u16),
        };
        let session = course.sessions + auditor;
        course.clients.plan(&mut course.simulation, session, step);
    }

    fn agree(&self) -> bool {
        let value_of = |key: Key| {
            self.finals
                .iter()
                .find(|read| read.key == key)
                .map(|read| (read.version, &read.value))
        };
        self.finals
            .iter()
            .all(|read| value_of(read.key) == Some((read.version, &read.value)))
    }

    fn unfinished<M: Mode>(&self, course: &Course<'_, M>) -> String {
        let waiting: Vec<String> = course
            .clients
            .under_way()
            .iter()
            .map(|(id, operation)| {
                format!(
                    "{id} ({} of key {})",
                    operation.kind().name(),
                    operation.key().0
                )
            })
            .collect();
        format!(
            "{} s after everything had healed these operations had not succeeded: {}",
            QUIET.as_secs(),
            waiting.join(", ")
        )
    }
}

fn finals(records: &[OperationRecord]) -> Vec<FinalRead> {
    let auditors = records
        .iter()
        .filter(|record| record.id.client.0 >= AUDITORS);
    auditors
        .filter_map(|record| match &record.outcome {
            Outcome::Ok(OperationResult::Read { value, version }) => Some(FinalRead {
                replica: record.replica,
                key: record.operation.key(),
                value: value.clone(),
                version: *version,
            }),
            _ => None,
        })
        .collect()
}

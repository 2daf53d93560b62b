//! One operation in a quiet system, hop by hop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::backend::RunError;
use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{
    ClientId, Contact, Key, ModeSpec, Operation, OperationId, OperationKind, Outcome, Path,
    RegionIndex, ReplicaId, Seed, Time, Topology,
};
use longhaul_protocol::modes::with_mode;
use longhaul_protocol::{Mode, ModeVisitor, Request};

use crate::backend::agree_on_leader;
use crate::simulation::{ClientAddress, OccurrenceKind, Simulation, SimulationOptions};
use crate::trace::{TraceEvent, TraceId, TraceKind};

/// How long a quiet system runs before the operation, and at most for it.
const QUIET: Duration = Duration::from_secs(10);

/// Which operation to explain.
#[derive(Clone, Debug)]
pub struct ExplainOrder<'a> {
    /// Who is where. Jitter, loss and rates are left out.
    pub topology: &'a Topology,
    /// The mode.
    pub mode: &'a ModeSpec,
    /// The client's region.
    pub client: RegionIndex,
    /// The kind of the operation: [`OperationKind::Read`] or [`OperationKind::Write`].
    pub kind: OperationKind,
    /// The seed.
    pub seed: Seed,
}

/// An operation, hop by hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its message pattern.
    pub path: Path,
    /// The replica that the client asked.
    pub contact: ReplicaId,
    /// What was sent because of it, in order of arrival, answers to the client included.
    pub hops: Vec<Hop>,
    /// The message with whose delivery the contacted replica could answer: what completed the
    /// quorum. Counts into `hops`; `None` when the replica answered at once.
    pub completed_by: Option<usize>,
    /// From the request's sending to the answer's arrival.
    pub latency: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// One message's way. Instants count from the request's sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The sender.
    pub from: Station,
    /// The receiver.
    pub to: Station,
    /// The message's name.
    pub name: String,
    /// When it was sent.
    pub sent_at: Duration,
    /// When it arrived.
    pub arrived_at: Duration,
    /// Whether the answer waited for it: the hops without which it could not have been given.
    pub is_critical: bool,
}

/// Where a hop begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// The client.
    Client(RegionIndex),
    /// A replica.
    Replica(ReplicaId),
}

/// Runs one operation in a quiet system without jitter, and returns what it caused.
///
/// # Errors
///
/// The mode is unknown or has not the operation, the replicas do not get ready, or the operation
/// is not answered within 10 seconds.
pub fn explain(order: &ExplainOrder<'_>) -> Result<Explanation, RunError> {
    with_mode(order.mode, order.topology, ExplainMode(order))?
}

struct ExplainMode<'a>(&'a ExplainOrder<'a>);

impl ModeVisitor for ExplainMode<'_> {
    type Output = Result<Explanation, RunError>;

    fn visit<M: Mode>(self, mode: M) -> Self::Output {
        explain_mode(mode, self.0)
    }
}

/// Explains an operation of a mode that was parsed already.
///
/// # Errors
///
/// As [`explain`].
pub fn explain_mode<M: Mode>(mode: M, order: &ExplainOrder<'_>) -> Result<Explanation, RunError> {
    let path = mode
        .path(order.kind, order.topology)
        .ok_or_else(|| RunError::NotSupported {
            backend: BackendKind::Sim.name(),
            why: format!("mode {} does not support {}", order.mode, order.kind.name()),
        })?;
    let mut topology = order.topology.clone();
    topology.profile = topology.profile.without_jitter();
    let topology = Arc::new(topology);
    let contact = match path.contact {
        Contact::Leader => topology.leader,
        Contact::Nearest => topology.nearest_replica(order.client),
    };
    let options = SimulationOptions::default();
    let mut simulation = Simulation::new(mode, topology, order.seed, options);
    if path.contact == Contact::Leader {
        agree_on_leader(&mut simulation, order.mode)?;
    }
    let start = simulation.now() + QUIET;
    simulation.run_until(start);
    simulation.start_trace();
    let request = request(order.kind);
    let client = ClientAddress {
        region: order.client,
        connection: 0,
    };
    let id = request.id;
    simulation.submit(start, client, contact, request);
    let answer = await_answer(&mut simulation, start + QUIET);
    let (answered_at, outcome) = answer.ok_or_else(|| RunError::Failed {
        mode: order.mode.to_string(),
        why: format!(
            "the {} was not answered within {QUIET:?}",
            order.kind.name()
        ),
    })?;
    // What was sent before the answer and is still under way belongs to the picture.
    let longest = simulation.topology().largest_round_trip();
    simulation.run_until(answered_at + longest);
    let trace = simulation.take_trace();
    let (hops, completed_by) = hops(&trace, id, start);
    Ok(Explanation {
        path,
        contact,
        hops,
        completed_by,
        latency: answered_at.since(start),
        outcome,
    })
}

fn request(kind: OperationKind) -> Request {
    let key = Key(0);
    let operation = match kind {
        OperationKind::Read => Operation::Read { key },
        OperationKind::Add => Operation::Add { key, amount: 1 },
        OperationKind::TakeIfEnough => Operation::TakeIfEnough { key, amount: 1 },
        OperationKind::CompareAndSet => Operation::CompareAndSet {
            key,
            expected: None,
            value: Bytes::from_static(&[0; 16]),
        },
        OperationKind::Write => Operation::Write {
            key,
            value: Bytes::from_static(&[0; 16]),
        },
    };
    let client = ClientId(0);
    Request {
        id: OperationId {
            client,
            sequence: 0,
        },
        first_incomplete: 0,
        operation,
    }
}

fn await_answer<M: Mode>(simulation: &mut Simulation<M>, until: Time) -> Option<(Time, Outcome)> {
    loop {
        while let Some(occurrence) = simulation.next_occurrence() {
            if let OccurrenceKind::Reply { outcome, .. } = occurrence.kind {
                return Some((occurrence.at, outcome));
            }
        }
        if simulation.next_event_time().is_none_or(|next| next > until) {
            return None;
        }
        simulation.step();
    }
}

/// Returns the hops that descend from the request or led to its answer, and which of them
/// completed the quorum.
fn hops(trace: &[TraceEvent], id: OperationId, start: Time) -> (Vec<Hop>, Option<usize>) {
    let critical = critical_events(trace, id);
    let mut caused: BTreeSet<TraceId> = BTreeSet::new();
    let mut hops: Vec<(TraceId, Hop)> = Vec::new();
    for event in trace {
        let descends = event.cause.is_some_and(|cause| caused.contains(&cause));
        let is_request =
            matches!(event.kind, TraceKind::Asked { operation, .. } if operation == id);
        if !(descends || is_request || critical.contains(&event.id)) {
            continue;
        }
        caused.insert(event.id);
        let Some((from, to, name)) = arrival(&event.kind) else {
            continue;
        };
        let Some(sent) = event.cause.and_then(|cause| find(trace, cause)) else {
            continue;
        };
        let hop = Hop {
            from,
            to,
            name,
            sent_at: sent.at.since(start),
            arrived_at: event.at.since(start),
            is_critical: critical.contains(&event.id),
        };
        hops.push((event.id, hop));
    }
    let completing = critical.iter().rev().find(|&&id| {
        find(trace, id).is_some_and(|event| matches!(event.kind, TraceKind::Delivered { .. }))
    });
    let completed_by =
        completing.and_then(|&completing| hops.iter().position(|&(id, _)| id == completing));
    (hops.into_iter().map(|(_, hop)| hop).collect(), completed_by)
}

/// Returns the chain of events that ends with the operation's answer, each the cause of the next.
fn critical_events(trace: &[TraceEvent], id: OperationId) -> BTreeSet<TraceId> {
    let answer = trace.iter().find(
        |event| matches!(event.kind, TraceKind::Answered { operation, .. } if operation == id),
    );
    let chain = std::iter::successors(answer, |event| {
        event.cause.and_then(|cause| find(trace, cause))
    });
    chain.map(|event| event.id).collect()
}

/// Returns the event of that name: ids increase along a trace.
fn find(trace: &[TraceEvent], id: TraceId) -> Option<&TraceEvent> {
    let position = trace.binary_search_by_key(&id, |event| event.id).ok()?;
    trace.get(position)
}

/// Returns from where to where a message went and what it was, if the event is its arrival.
fn arrival(kind: &TraceKind) -> Option<(Station, Station, String)> {
    match kind {
        TraceKind::Request {
            at_replica,
            region,
            kind,
            ..
        } => Some((
            Station::Client(*region),
            Station::Replica(*at_replica),
            kind.name().to_owned(),
        )),
        TraceKind::Delivered { from, to, name } => {
            Some((Station::Replica(*from), Station::Replica(*to), name.clone()))
        }
        TraceKind::Answered { region, from, .. } => Some((
            Station::Replica(*from),
            Station::Client(*region),
            "answer".to_owned(),
        )),
        _ => None,
    }
}

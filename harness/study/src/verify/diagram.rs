//! A replay as a space-time diagram.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_experiment::workload::writer_of;
use longhaul_experiment::{
    Fault, FaultTarget, Operation, OperationId, OperationRecord, OperationResult, Outcome,
    ReplicaId, Time,
};
use longhaul_report::space_time::{Arrow, Bar, Shade, SpaceTime};
use longhaul_sim::trace::{TraceEvent, TraceKind};

use super::Case;
use super::clients::AUDITORS;
use super::counterexample::Replay;

/// The most messages that are drawn.
const ARROWS_MAX: usize = 600;

/// Lays a replay out. Drawn are the clients that matter, all replicas, and the messages between
/// the first and the last operation that matters.
pub fn diagram(case: &Case, replay: &Replay) -> SpaceTime {
    let marked: BTreeSet<OperationId> = replay
        .judgement
        .findings
        .iter()
        .flat_map(|finding| finding.operations.iter().copied())
        .collect();
    let drawn: Vec<&OperationRecord> = replay
        .history
        .iter()
        .filter(|record| {
            marked.is_empty() || marked.contains(&record.id) || record.id.client.0 < AUDITORS
        })
        .collect();
    let lanes = Lanes::of(case, &drawn);
    let span = span(&drawn, &marked);
    let in_span = |at: Time| span.0 <= at && at <= span.1;
    let mut arrows = arrows(&replay.trace, &lanes, in_span);
    arrows.truncate(ARROWS_MAX);
    SpaceTime {
        title: title(case, replay),
        lanes: lanes.names(),
        arrows,
        bars: drawn
            .iter()
            .filter(|record| record.sent_at.is_some_and(in_span))
            .filter_map(|record| bar(record, &lanes, marked.contains(&record.id)))
            .collect(),
        shades: case
            .faults
            .iter()
            .filter_map(|fault| shade(case, fault, &lanes, span))
            .collect(),
    }
}

fn title(case: &Case, replay: &Replay) -> String {
    let broken = replay.judgement.findings.first();
    let broken = broken.map_or("nothing broken".to_owned(), |it| {
        format!("{} is broken", it.broken)
    });
    format!("{}, seed {}: {broken}", case.mode, case.seed.0)
}

/// Clients above, replicas below.
struct Lanes {
    clients: Vec<u32>,
    replicas: usize,
}

impl Lanes {
    fn of(case: &Case, drawn: &[&OperationRecord]) -> Lanes {
        let clients: BTreeSet<u32> = drawn.iter().map(|record| record.id.client.0).collect();
        Lanes {
            clients: clients.into_iter().collect(),
            replicas: case.replicas(),
        }
    }

    fn client(&self, id: OperationId) -> Option<usize> {
        self.clients
            .iter()
            .position(|&client| client == id.client.0)
    }

    fn replica(&self, id: ReplicaId) -> usize {
        self.clients.len() + id.index()
    }

    fn names(&self) -> Vec<String> {
        let clients = self
            .clients
            .iter()
            .map(|client| format!("client c{client}"));
        let replicas = (0..self.replicas).map(|replica| format!("replica r{replica}"));
        clients.chain(replicas).collect()
    }
}

/// Returns the time from the first to the last operation that matters, with a margin.
fn span(drawn: &[&OperationRecord], marked: &BTreeSet<OperationId>) -> (Time, Time) {
    let matters = |record: &&&OperationRecord| marked.is_empty() || marked.contains(&record.id);
    let begins = drawn
        .iter()
        .filter(matters)
        .filter_map(|record| record.sent_at);
    let ends = drawn
        .iter()
        .filter(matters)
        .filter_map(|record| record.completed_at.or(record.sent_at));
    let (first, last) = (
        begins.min().unwrap_or(Time::ZERO),
        ends.max().unwrap_or(Time::MAX),
    );
    let margin = last.since(first) / 10;
    (first - margin, last + margin)
}

fn arrows(trace: &[TraceEvent], lanes: &Lanes, in_span: impl Fn(Time) -> bool) -> Vec<Arrow> {
    let sent: BTreeMap<_, _> = trace.iter().map(|event| (event.id, event)).collect();
    let mut arrows = Vec::new();
    for event in trace.iter().filter(|event| in_span(event.at)) {
        let Some(cause) = event.cause.and_then(|cause| sent.get(&cause)) else {
            continue;
        };
        let ends = match &event.kind {
            TraceKind::Delivered { from, to, name } => {
                Some((lanes.replica(*from), lanes.replica(*to), name.clone()))
            }
            TraceKind::Request {
                at_replica,
                operation,
                kind,
                ..
            } => lanes
                .client(*operation)
                .map(|lane| (lane, lanes.replica(*at_replica), kind.name().to_owned())),
            TraceKind::Answered {
                from, operation, ..
            } => lanes
                .client(*operation)
                .map(|lane| (lanes.replica(*from), lane, "answer".to_owned())),
            _ => None,
        };
        if let Some((from, to, label)) = ends {
            arrows.push(Arrow {
                is_faint: label.contains("eartbeat"),
                from: (from, cause.at.as_nanos()),
                to: (to, event.at.as_nanos()),
                label,
            });
        }
    }
    arrows
}

fn bar(record: &OperationRecord, lanes: &Lanes, is_marked: bool) -> Option<Bar> {
    let ended = match record.outcome {
        Outcome::Unknown(_) => None,
        Outcome::Ok(_) | Outcome::Fail(_) => record.completed_at,
    };
    Some(Bar {
        lane: lanes.client(record.id)?,
        from: record.sent_at?.as_nanos(),
        to: ended.map(Time::as_nanos),
        label: label(record),
        is_marked,
    })
}

fn label(record: &OperationRecord) -> String {
    let key = record.operation.key().0;
    let value =
        |bytes: &bytes::Bytes| match longhaul_experiment::operation::integer_value(Some(bytes)) {
            Some(integer) => integer.to_string(),
            None => writer_of(bytes).map_or("?".to_owned(), |writer| writer.to_string()),
        };
    let asked = match &record.operation {
        Operation::Read { .. } => format!("read {key}"),
        Operation::Write { value: new, .. } => format!("write {key} = {}", value(new)),
        Operation::CompareAndSet { value: new, .. } => format!("swap {key} to {}", value(new)),
        Operation::Add { amount, .. } => format!("add {amount} to {key}"),
        Operation::TakeIfEnough { amount, .. } => format!("take {amount} of {key}"),
    };
    let came = match &record.outcome {
        Outcome::Ok(OperationResult::Read { value: read, .. }) => {
            format!(": {}", read.as_ref().map_or("none".to_owned(), value))
        }
        Outcome::Ok(OperationResult::Written { .. }) => String::new(),
        Outcome::Ok(OperationResult::Swapped { swapped, .. }) => format!(": {swapped}"),
        Outcome::Ok(OperationResult::Added { total, .. }) => format!(": {total}"),
        Outcome::Ok(OperationResult::Taken { taken, left, .. }) => {
            format!(": {taken}, {left} left")
        }
        Outcome::Fail(error) => format!(": refused, {}", error.name()),
        Outcome::Unknown(error) => format!(": unknown, {}", error.name()),
    };
    format!("{}: {asked}{came}", record.id)
}

/// Returns a fault's shade; `None`: it did not happen before everything healed, or not in the span.
fn shade(case: &Case, fault: &Fault, lanes: &Lanes, span: (Time, Time)) -> Option<Shade> {
    let from = Time::ZERO + fault.at;
    let to = Time::ZERO + (fault.at + fault.lasts).min(case.load);
    if fault.at >= case.load || from > span.1 || to < span.0 {
        return None;
    }
    let named = |name: &String| {
        (0..case.replicas())
            .find(|&replica| Case::region_name(replica) == *name)
            .map(|replica| lanes.replica(ReplicaId(replica as u16)))
    };
    let hit: Vec<usize> = match &fault.target {
        FaultTarget::Leader => vec![lanes.replica(case.leader)],
        FaultTarget::Replica(name) => named(name).into_iter().collect(),
        FaultTarget::Link(a, b) | FaultTarget::Pair(a, b) => {
            [a, b].into_iter().filter_map(named).collect()
        }
        FaultTarget::Regions(names) => names.iter().filter_map(named).collect(),
    };
    (!hit.is_empty()).then(|| Shade {
        lanes: hit,
        from: from.max(span.0).as_nanos(),
        to: to.min(span.1).as_nanos(),
        label: fault.to_string(),
    })
}

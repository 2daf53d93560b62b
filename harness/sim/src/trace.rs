//! Traces: what happened in a simulation, with what caused it.

use std::fmt::Debug;

use longhaul_experiment::{Key, OperationId, OperationKind, RegionIndex, ReplicaId, Time, Version};

/// Names an event of a trace; ids increase with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceId(pub u32);

/// One event of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// Its name.
    pub id: TraceId,
    /// The event without which it would not have happened: of a delivery its sending, of a
    /// sending or a reply the last callback before it. `None` when that was not traced.
    pub cause: Option<TraceId>,
    /// When it happened.
    pub at: Time,
    /// What happened.
    pub kind: TraceKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceKind {
    /// A client sent a request.
    Asked {
        /// The client's region.
        region: RegionIndex,
        /// The replica asked.
        to: ReplicaId,
        /// The operation.
        operation: OperationId,
        /// Its kind.
        kind: OperationKind,
    },
    /// A replica received a request.
    Request {
        /// The replica.
        at_replica: ReplicaId,
        /// The client's region.
        region: RegionIndex,
        /// The operation.
        operation: OperationId,
        /// Its kind.
        kind: OperationKind,
    },
    /// A replica sent a message to another.
    Sent {
        /// The sender.
        from: ReplicaId,
        /// The receiver.
        to: ReplicaId,
        /// The message's name.
        name: String,
    },
    /// A replica received a message from another.
    Delivered {
        /// The sender.
        from: ReplicaId,
        /// The receiver.
        to: ReplicaId,
        /// The message's name.
        name: String,
    },
    /// A replica asked its storage to keep records.
    Persist {
        /// The replica.
        at_replica: ReplicaId,
    },
    /// A replica heard that its records are safe.
    Persisted {
        /// The replica.
        at_replica: ReplicaId,
    },
    /// A replica's timer went off.
    Timer {
        /// The replica.
        at_replica: ReplicaId,
        /// The timer's name.
        name: String,
    },
    /// A version became visible to reads at a replica.
    Applied {
        /// The replica.
        at_replica: ReplicaId,
        /// The key.
        key: Key,
        /// The version.
        version: Version,
    },
    /// A replica answered a client.
    Reply {
        /// The replica.
        from: ReplicaId,
        /// The client's region.
        region: RegionIndex,
        /// The operation.
        operation: OperationId,
    },
    /// A client received an answer.
    Answered {
        /// The client's region.
        region: RegionIndex,
        /// The replica that answered.
        from: ReplicaId,
        /// The operation.
        operation: OperationId,
    },
}

/// Collects a trace while it is on.
#[derive(Debug, Default)]
pub(crate) struct Tracer {
    on: bool,
    next: u32,
    events: Vec<TraceEvent>,
}

impl Tracer {
    /// Begins a trace.
    pub fn start(&mut self) {
        self.on = true;
        self.events.clear();
    }

    /// Says whether a trace is on.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Ends the trace.
    pub fn take(&mut self) -> Vec<TraceEvent> {
        self.on = false;
        std::mem::take(&mut self.events)
    }

    /// Adds an event. `kind` is called only while a trace is on: a simulation without a trace
    /// pays one branch.
    #[inline]
    pub fn add(
        &mut self,
        at: Time,
        cause: Option<TraceId>,
        kind: impl FnOnce() -> TraceKind,
    ) -> Option<TraceId> {
        if !self.on {
            return None;
        }
        let id = TraceId(self.next);
        self.next += 1;
        self.events.push(TraceEvent {
            id,
            cause,
            at,
            kind: kind(),
        });
        Some(id)
    }
}

/// Returns the name of a message or timer: the first word of its debug text.
pub(crate) fn name_of(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let end = text
        .find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    text[..end].to_owned()
}

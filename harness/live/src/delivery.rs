//! What the precise thread delivers, and to whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use longhaul_experiment::workload::PlannedOperation;
use longhaul_experiment::{OperationId, Outcome, ReplicaId, Time};
use longhaul_protocol::{Replica, Request};
use longhaul_wan::delay_line::{DelayLine, Release, Sink};
use tokio::sync::mpsc::UnboundedSender;

use crate::messages::{ProbeSample, ToAgent};
use crate::storage::Persisted;

/// What a replica's thread takes from its mailbox.
pub(crate) enum ReplicaInput<R: Replica> {
    /// A client's request.
    Request(Request),
    /// A peer's message.
    Message {
        /// The peer.
        from: ReplicaId,
        /// The connection epoch in which it came.
        epoch: u64,
        /// Its message.
        message: R::Message,
    },
    /// A timer, unless it was set again or cancelled since.
    Timer {
        /// Its name.
        timer: R::Timer,
        /// Which setting of it went off.
        setting: u64,
    },
    /// The storage's report.
    Persisted(Persisted),
    /// A link's probe.
    Probe {
        /// When it was sent.
        sent_at: Time,
        /// What is known of it.
        sample: ProbeSample,
        /// Whose probe it is, if it wants an answer.
        client: Option<longhaul_experiment::ClientId>,
    },
    /// The time to send a probe on every link.
    SendProbe,
    /// The coordinator's order.
    Order(ToAgent),
}

/// What a region's clients take from their mailbox.
pub(crate) enum ClientInput {
    /// An operation that is due.
    Due(PlannedOperation),
    /// An operation's end.
    Reply {
        /// Which.
        operation: OperationId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The time to look for operations without an answer.
    Tick,
    /// A link's probe.
    Probe {
        /// When it was sent.
        sent_at: Time,
        /// What is known of it.
        sample: ProbeSample,
    },
    /// The time to send a probe on every link.
    SendProbe,
    /// The coordinator's order.
    Order(ToAgent),
}

/// What waits on the precise thread.
pub(crate) enum Delivery<R: Replica> {
    /// For a replica.
    Replica(ReplicaId, ReplicaInput<R>),
    /// For the clients at a position of the topology's client regions.
    Clients(usize, ClientInput),
}

/// A delivery, and the count of its connection's held frames.
pub(crate) struct Delayed<R: Replica> {
    pub(crate) delivery: Delivery<R>,
    pub(crate) held: Option<Arc<AtomicU32>>,
}

impl<R: Replica> From<Delivery<R>> for Delayed<R> {
    fn from(delivery: Delivery<R>) -> Delayed<R> {
        Delayed {
            delivery,
            held: None,
        }
    }
}

/// The precise thread of a run.
pub(crate) type PreciseLine<R> = DelayLine<Delayed<R>>;

/// Everyone's mailbox. Mailboxes are bounded by what clients may have in flight and by the
/// replication windows of the modes.
pub(crate) struct Mailboxes<R: Replica> {
    pub(crate) replicas: Vec<UnboundedSender<ReplicaInput<R>>>,
    pub(crate) clients: Vec<UnboundedSender<ClientInput>>,
}

impl<R: Replica> Clone for Mailboxes<R> {
    fn clone(&self) -> Mailboxes<R> {
        Mailboxes {
            replicas: self.replicas.clone(),
            clients: self.clients.clone(),
        }
    }
}

impl<R: Replica> Mailboxes<R> {
    /// Delivers; what is for a thread that has ended is dropped.
    pub(crate) fn deliver(&self, delivery: Delivery<R>) {
        match delivery {
            Delivery::Replica(replica, input) => {
                let _ = self.replicas[replica.index()].send(input);
            }
            Delivery::Clients(position, input) => {
                let _ = self.clients[position].send(input);
            }
        }
    }
}

impl<R: Replica + 'static> Sink<Delayed<R>> for Mailboxes<R>
where
    R::Message: Send,
    R::Timer: Send,
{
    fn release(&mut self, release: Release<Delayed<R>>) {
        let Delayed { delivery, held } = release.item;
        self.deliver(delivery);
        if let Some(held) = held {
            held.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

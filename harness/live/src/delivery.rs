//! What the precise thread delivers, and to whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use longhaul_experiment::workload::PlannedOperation;
use longhaul_experiment::{ClientId, OperationId, Outcome, ReplicaId, Time};
use longhaul_protocol::{Replica, Request};
use longhaul_wan::delay_line::{DelayLine, Release, Sink};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::faults::order::ReplicaFault;
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
    Persisted {
        /// Of which life of the replica.
        incarnation: u32,
        /// What it reports.
        report: Persisted,
    },
    /// The end of a connection epoch, as a peer ended it.
    PeerEnded {
        /// The peer.
        peer: ReplicaId,
        /// The epoch.
        epoch: u64,
    },
    /// The time to dial a peer that is not connected.
    Dial(ReplicaId),
    /// The end of a client's connection.
    ClientEnded {
        /// The client.
        client: ClientId,
        /// Which of its connections.
        connection: u64,
    },
    /// A link's probe.
    Probe {
        /// When it was sent.
        sent_at: Time,
        /// What is known of it.
        sample: ProbeSample,
        /// Whose probe it is, if it wants an answer.
        client: Option<ClientId>,
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
    /// The end of a connection, as the replica ended it.
    ConnectionEnded {
        /// The position of the session whose connection it was, and the replica.
        key: (usize, ReplicaId),
        /// Which of the connections between them.
        number: u64,
    },
    /// The time at which waiting for a connection that cannot come up takes too long.
    GiveUp {
        /// The position of the session whose connection it is, and the replica.
        key: (usize, ReplicaId),
        /// Which attempt to connect.
        attempt: u64,
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
    /// For a task that waits for an instant.
    Wake(oneshot::Sender<()>),
}

/// What a replica's thread does before anything that waits in its mailbox.
pub(crate) enum HostCommand {
    /// A fault's beginning or end does something to the replica.
    Suffer(ReplicaFault),
    /// The run ends.
    Stop,
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

/// A replica's mailbox.
pub(crate) struct ReplicaMailbox<R: Replica> {
    pub(crate) inputs: UnboundedSender<ReplicaInput<R>>,
    pub(crate) commands: UnboundedSender<HostCommand>,
}

/// The other end of a replica's mailbox.
pub(crate) struct ReplicaMail<R: Replica> {
    pub(crate) inputs: UnboundedReceiver<ReplicaInput<R>>,
    pub(crate) commands: UnboundedReceiver<HostCommand>,
}

impl<R: Replica> ReplicaMailbox<R> {
    /// Returns a mailbox and its other end.
    pub(crate) fn new() -> (ReplicaMailbox<R>, ReplicaMail<R>) {
        let (inputs, inputs_received) = unbounded_channel();
        let (commands, commands_received) = unbounded_channel();
        let mail = ReplicaMail {
            inputs: inputs_received,
            commands: commands_received,
        };
        (ReplicaMailbox { inputs, commands }, mail)
    }
}

impl<R: Replica> Clone for ReplicaMailbox<R> {
    fn clone(&self) -> ReplicaMailbox<R> {
        ReplicaMailbox {
            inputs: self.inputs.clone(),
            commands: self.commands.clone(),
        }
    }
}

/// The mailboxes of the regions that share this process, `None` in the others' places. They are bounded by what clients may have in flight and by the
/// replication windows of the modes.
pub(crate) struct Mailboxes<R: Replica> {
    pub(crate) replicas: Vec<Option<ReplicaMailbox<R>>>,
    pub(crate) clients: Vec<Option<UnboundedSender<ClientInput>>>,
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
    /// Delivers; what is for a thread that has ended, or is elsewhere, is dropped.
    pub(crate) fn deliver(&self, delivery: Delivery<R>) {
        match delivery {
            Delivery::Replica(replica, input) => {
                if let Some(mailbox) = &self.replicas[replica.index()] {
                    let _ = mailbox.inputs.send(input);
                }
            }
            Delivery::Clients(position, input) => {
                if let Some(mailbox) = &self.clients[position] {
                    let _ = mailbox.send(input);
                }
            }
            Delivery::Wake(task) => {
                let _ = task.send(());
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

//! The trait that every mode implements.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use longhaul_experiment::random::Seed;
use longhaul_experiment::{Now, Operation, OperationId, ReplicaId, Topology};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::outbox::Outbox;
use crate::retention::Retention;

/// What a replica's callbacks answer into.
pub type OutboxOf<R> = Outbox<<R as Replica>::Message, <R as Replica>::Timer>;

/// A replica: a deterministic function of the callbacks it received.
///
/// Its host delivers callbacks one at a time and carries out the effects afterwards, in order.
/// Between two replicas the host keeps a FIFO stream without duplicates per connection epoch;
/// when an epoch ends, what was not delivered may be lost and both ends hear
/// [`Replica::on_peer`] with [`PeerState::Down`], then [`PeerState::Up`] with the next.
pub trait Replica {
    /// What replicas send each other.
    type Message: Clone + Debug + Serialize + DeserializeOwned + Send + 'static;
    /// The names of its timers. Setting a timer that is set replaces it.
    type Timer: Clone + Copy + Debug + Ord + Send + 'static;

    /// Returns what a message is called in traces: the first word of its debug text, unless the
    /// mode knows better.
    fn name(message: &Self::Message) -> String {
        first_word(message)
    }

    /// Begins. All peers are down until [`Replica::on_peer`] says otherwise.
    fn on_start(&mut self, now: Now, recovered: Recovered, out: &mut OutboxOf<Self>);

    /// Takes a client's request. Every request is answered at most once.
    fn on_request(&mut self, now: Now, request: Request, out: &mut OutboxOf<Self>);

    /// Takes a peer's message.
    fn on_message(
        &mut self,
        now: Now,
        from: ReplicaId,
        message: Self::Message,
        out: &mut OutboxOf<Self>,
    );

    /// Takes a timer that went off.
    fn on_timer(&mut self, now: Now, timer: Self::Timer, out: &mut OutboxOf<Self>);

    /// Takes the news that everything persisted under `token`, and before it, is safe.
    fn on_persisted(&mut self, now: Now, token: PersistToken, out: &mut OutboxOf<Self>);

    /// Takes the end or the beginning of a connection epoch with a peer.
    fn on_peer(&mut self, now: Now, peer: ReplicaId, state: PeerState, out: &mut OutboxOf<Self>);

    /// Follows the last callback of a batch: everything that had arrived was delivered.
    ///
    /// A host may deliver several callbacks before it carries out their effects. What is worth
    /// doing once for many of them (one message for many log entries) belongs here. A host that
    /// does not batch calls it after every callback.
    fn on_batch_end(&mut self, _now: Now, _out: &mut OutboxOf<Self>) {}
}

/// Returns the first word of a value's debug text: a variant's or a type's name.
pub(crate) fn first_word(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let end = text
        .find(|character: char| !character.is_alphanumeric())
        .unwrap_or(text.len());
    text[..end].to_owned()
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its identity; a retry carries the same.
    pub id: OperationId,
    /// The client's least sequence number without a known end: what was remembered for retries
    /// of earlier ones may be forgotten.
    pub first_incomplete: u64,
    /// What is asked.
    pub operation: Operation,
}

/// Names a persist effect; a replica uses increasing tokens.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PersistToken(pub u64);

/// Whether there is a connection to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// A new connection epoch began.
    Up,
    /// The epoch ended; what was under way may be lost.
    Down,
}

/// What a starting replica has of its past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// It has none: the first start.
    Nothing,
    /// It had one and its storage kept nothing: it must rejoin as a new replica that does not
    /// vote or count in quorums until it has been caught up.
    Lost,
    /// What its storage kept.
    Storage {
        /// The latest checkpoint, if one was persisted.
        checkpoint: Option<Bytes>,
        /// The records persisted after it, in order.
        records: Vec<Bytes>,
    },
}

/// What a replica is told of itself when it is made.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its own id.
    pub id: ReplicaId,
    /// How often its process was started before: 0 the first time. No two lives share one.
    pub incarnation: u32,
    /// Who is where.
    pub topology: Arc<Topology>,
    /// The run's seed; a replica draws from the stream `Stream::Replica` with its own index.
    pub seed: Seed,
    /// How much of its past it keeps.
    pub retention: Retention,
}

impl Member {
    /// Returns the number of replicas.
    pub fn replica_count(&self) -> usize {
        self.topology.replicas.len()
    }

    /// Returns the other replicas in order.
    pub fn peers(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        let own = self.id;
        self.topology
            .replica_ids()
            .filter(move |&replica| replica != own)
    }
}

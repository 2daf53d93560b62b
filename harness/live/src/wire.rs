//! What connections carry: hello first, then messages or requests one way and replies the other.

use longhaul_experiment::{ClientId, OperationId, Outcome, RegionIndex, ReplicaId};
use longhaul_protocol::Request;
use serde::{Deserialize, Serialize};

/// The first frame of every connection: who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hello {
    /// A replica, which only sends on this connection.
    Peer(ReplicaId),
    /// A client session.
    Client {
        /// Its id.
        client: ClientId,
        /// Its region.
        region: RegionIndex,
    },
}

/// What a replica sends another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum PeerFrame<M> {
    /// A protocol message.
    Message(M),
    /// Measures the link.
    Probe,
}

/// What a client sends a replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ClientFrame {
    /// An operation.
    Request(Request),
    /// Measures the link, and the way back: it is answered by [`ReplyFrame::Probe`].
    Probe,
}

/// What a replica sends a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ReplyFrame {
    /// An operation's end.
    Reply {
        /// Which.
        operation: OperationId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Measures the link.
    Probe,
}

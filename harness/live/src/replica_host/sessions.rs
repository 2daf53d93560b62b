//! Connections of clients, which come and go.

use longhaul_experiment::{ClientId, RegionIndex};
use longhaul_protocol::Replica;

use super::Host;
use crate::delivery::{Delivery, ReplicaInput};
use crate::links::{Use, stream_of};
use crate::receiving_end::{Reading, ReceivingEnd};
use crate::transport::{Inbound, Outbound, Received};
use crate::wire::ClientFrame;

/// A client's connection.
pub(super) struct Session {
    /// Which of the connections that the client made.
    connection: u64,
    pub(super) region: RegionIndex,
    pub(super) outbound: Outbound,
}

impl<R: Replica + 'static> Host<R> {
    /// Takes a client's connection, in place of the one before if there is one.
    pub(super) fn accept_client(
        &mut self,
        (client, region): (ClientId, RegionIndex),
        (inbound, outbound): (Inbound, Outbound),
    ) -> Reading<R> {
        let connections = self.connections.entry(client).or_default();
        *connections += 1;
        let connection = *connections;
        let session = Session {
            connection,
            region,
            outbound: outbound.clone(),
        };
        if let Some(before) = self.sessions.insert(client, session) {
            before.outbound.close();
        }
        let stream = stream_of(Use::ToReplica, client.0, connection);
        Reading {
            inbound,
            outbound,
            receiving: self.receiving_from(region, stream),
            ended: Delivery::Replica(self.id, ReplicaInput::ClientEnded { client, connection }),
        }
    }

    /// Ends a client's connection unless it made a new one meanwhile.
    pub(super) fn end_session(&mut self, client: ClientId, connection: u64) {
        let ended = self
            .sessions
            .get(&client)
            .is_some_and(|session| session.connection == connection);
        if ended && let Some(session) = self.sessions.remove(&client) {
            session.outbound.close();
        }
    }

    /// Ends the connections of a region's clients.
    pub(super) fn end_sessions_of(&mut self, region: RegionIndex) {
        self.sessions.retain(|_, session| {
            if session.region == region {
                session.outbound.close();
            }
            session.region != region
        });
    }
}

/// Serves a client until the connection ends.
pub(super) async fn read_client<R: Replica + 'static>(
    reading: Reading<R>,
    own: longhaul_experiment::ReplicaId,
    client: ClientId,
) {
    let admit = |receiving: &mut ReceivingEnd<R>, frame: Received<ClientFrame>| {
        let Received {
            sent_at,
            bytes,
            message,
        } = frame;
        match message {
            ClientFrame::Request(request) => {
                let delivery = Delivery::Replica(own, ReplicaInput::Request(request));
                receiving.admit(sent_at, bytes, delivery);
            }
            ClientFrame::Probe => receiving.admit_probe(sent_at, bytes, |sample| {
                let input = ReplicaInput::Probe {
                    sent_at,
                    sample,
                    client: Some(client),
                };
                Delivery::Replica(own, input)
            }),
        }
    };
    reading.run(admit).await;
}

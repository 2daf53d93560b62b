//! What a site does about a fault that begins or ends.

use longhaul_experiment::Topology;
use longhaul_protocol::Replica;

use super::order::{FaultOrder, Pair};
use crate::delivery::{ClientInput, Delivery, HostCommand, ReplicaInput};
use crate::messages::ToAgent;
use crate::receiving_end::Gate;

/// Carries an order out, where it concerns the regions of this site.
pub(crate) fn carry_out<R: Replica>(gate: &Gate<R>, topology: &Topology, order: &FaultOrder) {
    match *order {
        FaultOrder::Replica(fault) => {
            if let Some(mailbox) = &gate.mailboxes.replicas[fault.replica.index()] {
                let _ = mailbox.commands.send(HostCommand::Suffer(fault));
            }
        }
        FaultOrder::Link { link, from, fault } => gate.conditions.change(link, from, fault),
        FaultOrder::EndConnections((a, b)) => {
            if gate.conditions.end_connections((a, b)) {
                let order = ToAgent::EndConnections { a, b };
                tell((a, b), &order, gate, topology);
            }
        }
        FaultOrder::RestoreConnections {
            pair: (a, b),
            ready_at,
        } => {
            gate.conditions.restore_connections((a, b));
            let order = ToAgent::RestoreConnections { a, b, ready_at };
            tell((a, b), &order, gate, topology);
        }
    }
}

/// Orders the replicas and clients of both regions.
fn tell<R: Replica>((a, b): Pair, order: &ToAgent, gate: &Gate<R>, topology: &Topology) {
    for id in topology.replica_ids() {
        if [a, b].contains(&topology.region_of(id)) {
            let input = ReplicaInput::Order(order.clone());
            gate.mailboxes.deliver(Delivery::Replica(id, input));
        }
    }
    for (position, region) in topology.clients.iter().enumerate() {
        if [a, b].contains(region) {
            let input = ClientInput::Order(order.clone());
            gate.mailboxes.deliver(Delivery::Clients(position, input));
        }
    }
}

//! A region's agent: starts the region's threads and passes the coordinator's orders on.
//!
//! A region has one thread for its replica, if it has one, and one for its clients, so that the
//! system tells who used the processors. The agent itself holds no state of the run.

use std::io;
use std::thread::{self, JoinHandle};

use longhaul_protocol::{Mode, Replica};
use longhaul_wan::delay_line::make_precise;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::LocalSet;

use crate::clients::{self, ClientsSetup};
use crate::delivery::{ClientInput, HostCommand, ReplicaInput, ReplicaMailbox};
use crate::messages::ToAgent;
use crate::replica_host::{self, ReplicaSetup};

/// The SCHED_FIFO priority of clients' threads, below the precise thread's: in the system that is
/// measured they are on other machines, so replicas that are busy here must not make them late.
const CLIENTS_PRIORITY: u8 = 10;

/// The threads of a region. Dropping it stops and joins them.
pub(crate) struct Agent<R: Replica> {
    replica: Option<ReplicaMailbox<R>>,
    clients: Option<UnboundedSender<ClientInput>>,
    threads: Vec<JoinHandle<()>>,
}

impl<R: Replica + Send + 'static> Agent<R> {
    /// Starts a region's threads; they wait for orders.
    ///
    /// # Errors
    ///
    /// The system starts no more threads.
    pub(crate) fn start<M: Mode<Replica = R>>(
        region: &str,
        replica: Option<(ReplicaMailbox<R>, ReplicaSetup<M>)>,
        clients: Option<(UnboundedSender<ClientInput>, ClientsSetup<R>)>,
    ) -> io::Result<Agent<R>> {
        let mut agent = Agent {
            replica: None,
            clients: None,
            threads: Vec::new(),
        };
        if let Some((mailbox, setup)) = replica {
            agent.replica = Some(mailbox);
            agent
                .threads
                .push(spawn(format!("replica-{region}"), None, || {
                    replica_host::run(setup)
                })?);
        }
        if let Some((mailbox, setup)) = clients {
            agent.clients = Some(mailbox);
            agent.threads.push(spawn(
                format!("client-{region}"),
                Some(CLIENTS_PRIORITY),
                || clients::run(setup),
            )?);
        }
        Ok(agent)
    }

    /// Passes an order on to the region's threads.
    pub(crate) fn order(&self, order: ToAgent) {
        self.order_replica(order.clone());
        self.order_clients(order);
    }

    /// Passes an order on to the region's clients alone.
    pub(crate) fn order_clients(&self, order: ToAgent) {
        if let Some(clients) = &self.clients {
            let _ = clients.send(ClientInput::Order(order));
        }
    }

    /// Passes an order on to the region's replica alone.
    pub(crate) fn order_replica(&self, order: ToAgent) {
        if let Some(replica) = &self.replica {
            let _ = replica.inputs.send(ReplicaInput::Order(order));
        }
    }
}

impl<R: Replica> Agent<R> {
    /// Ends the region's threads, whatever waits in their mailboxes.
    pub(crate) fn stop(&self) {
        if let Some(replica) = &self.replica {
            let _ = replica.commands.send(HostCommand::Stop);
        }
        if let Some(clients) = &self.clients {
            let _ = clients.send(ClientInput::Order(ToAgent::Stop));
        }
    }
}

impl<R: Replica> Drop for Agent<R> {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

fn spawn<F: Future<Output = ()>>(
    name: String,
    priority: Option<u8>,
    run: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new().name(name).spawn(move || {
        // How the precise thread is scheduled is in the record; this is permitted when that is.
        let _ = make_precise(priority);
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, run());
    })
}

//! Starting the agents of one mode's run, and what this backend cannot run.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use longhaul_experiment::fault::FaultPlan;
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::{Contact, OperationKind, ReplicaId, RunError, Topology};
use longhaul_protocol::{Member, Mode, Replica, Retention};
use longhaul_wan::clock::Clock;
use longhaul_wan::delay_line::{DelayLine, Options};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::mode_run::{ModeRun, Paths};
use crate::agent::Agent;
use crate::clients::ClientsSetup;
use crate::conditions::LinkConditions;
use crate::delivery::{Cue, Delivery, Mailboxes, PreciseLine, ReplicaMailbox};
use crate::faults::{Faults, FaultsSetup};
use crate::messages::{FromAgent, ToAgent};
use crate::receiving_end::{EmulatedFrom, Gate};
use crate::replica_host::ReplicaSetup;

/// What is subtracted from every due time for the wake-up of the thread that a delivery is for.
/// Waking a sleeping thread takes some 40 us at the median; half of that is always gone, so that
/// nothing arrives before its time.
const WAKE_UP: Duration = Duration::from_micros(20);

/// The running parts of one mode. Dropping it ends them and removes what they wrote.
pub(super) struct Cluster<R: Replica> {
    pub(super) clock: Clock,
    pub(super) line: PreciseLine<R>,
    pub(super) emulated_from: EmulatedFrom,
    pub(super) reports: UnboundedReceiver<FromAgent>,
    gate: Gate<R>,
    reports_to: UnboundedSender<FromAgent>,
    /// Until the faults' thread takes them.
    cues: Option<mpsc::Receiver<Cue>>,
    faults: Option<Faults>,
    agents: Vec<Agent<R>>,
    _data: Option<DataDirectory>,
}

impl<R: Replica + Send + 'static> Cluster<R> {
    /// Starts a precise thread and an agent per region.
    pub(super) fn start<M: Mode<Replica = R>>(
        run: &ModeRun<'_>,
        mode: &M,
        paths: &Paths,
    ) -> Result<Cluster<R>, RunError> {
        let failed = |why: &dyn std::fmt::Display| RunError::Failed {
            mode: run.spec.to_string(),
            why: why.to_string(),
        };
        let data = match run.scenario.durability {
            Durability::Memory => None,
            Durability::Wal => Some(DataDirectory::create(run).map_err(|why| failed(&why))?),
        };
        let topology = run.topology;
        let (replica_mailboxes, replica_mail): (Vec<_>, Vec<_>) = topology
            .replica_ids()
            .map(|_| ReplicaMailbox::new())
            .unzip();
        let (client_mailboxes, client_inputs): (Vec<_>, Vec<_>) =
            topology.clients.iter().map(|_| unbounded_channel()).unzip();
        let (cues_to, cues) = mpsc::channel();
        let mailboxes = Mailboxes {
            replicas: replica_mailboxes,
            clients: client_mailboxes,
            faults: cues_to,
        };
        let clock = Clock::start();
        let options = Options {
            compensation: WAKE_UP,
            ..Options::new(clock)
        };
        let line = DelayLine::spawn(options, mailboxes.clone()).map_err(|why| failed(&why))?;
        let gate = Gate {
            clock,
            line: line.clone(),
            mailboxes: mailboxes.clone(),
            emulated_from: EmulatedFrom::default(),
            links: run.links.clone(),
            conditions: LinkConditions::new(topology),
        };
        let (reports, reported) = unbounded_channel();
        let mut replicas: Vec<Option<_>> = topology
            .replica_ids()
            .zip(replica_mail)
            .map(|(id, mail)| {
                let setup = ReplicaSetup {
                    mode: mode.clone(),
                    member: Member {
                        id,
                        incarnation: 0,
                        topology: Arc::clone(topology),
                        seed: run.seed,
                        retention: Retention::FULL,
                    },
                    gate: gate.clone(),
                    log_directory: data.as_ref().map(|data| data.0.join(id.to_string())),
                    mail,
                    reports: reports.clone(),
                };
                Some((mailboxes.replicas[id.index()].clone(), setup))
            })
            .collect();
        let mut clients: Vec<Option<_>> = client_inputs
            .into_iter()
            .enumerate()
            .map(|(position, inputs)| {
                let setup = ClientsSetup {
                    scenario: Arc::clone(run.scenario),
                    seed: run.seed,
                    position,
                    contacts: contacts(paths),
                    gate: gate.clone(),
                    inputs,
                    reports: reports.clone(),
                };
                Some((mailboxes.clients[position].clone(), setup))
            })
            .collect();
        let emulated_from = gate.emulated_from.clone();
        let mut agents = Vec::new();
        for region in topology.profile.region_indexes() {
            let replica = topology.replicas.iter().position(|&at| at == region);
            let client = topology.clients.iter().position(|&at| at == region);
            agents.push(
                Agent::start(
                    topology.region_name(region),
                    replica.and_then(|position| replicas[position].take()),
                    client.and_then(|position| clients[position].take()),
                )
                .map_err(|why| failed(&why))?,
            );
        }
        Ok(Cluster {
            clock,
            line,
            emulated_from,
            reports: reported,
            gate,
            reports_to: reports,
            cues: Some(cues),
            faults: None,
            agents,
            _data: data,
        })
    }

    /// Has the faults of a plan happen.
    ///
    /// # Errors
    ///
    /// The system starts no more threads.
    pub(super) fn start_faults(
        &mut self,
        plan: FaultPlan,
        topology: &Arc<Topology>,
    ) -> io::Result<()> {
        if let Some(cues) = self.cues.take_if(|_| !plan.is_empty()) {
            let setup = FaultsSetup {
                plan,
                topology: Arc::clone(topology),
                gate: self.gate.clone(),
                cues,
                reports: self.reports_to.clone(),
            };
            self.faults = Some(Faults::start(setup)?);
        }
        Ok(())
    }

    /// Tells the faults' thread who leads, for faults that hit the leader.
    pub(super) fn tell_leader(&self, leader: ReplicaId) {
        let cue = Delivery::Faults(Cue::Leader(leader));
        self.gate.mailboxes.deliver(cue);
    }

    /// Ends all agents.
    pub(super) fn stop(&self) {
        self.agents.iter().for_each(Agent::stop);
    }

    /// Orders all agents.
    pub(super) fn order(&self, order: ToAgent) {
        self.agents
            .iter()
            .for_each(|agent| agent.order(order.clone()));
    }

    /// Orders all clients.
    pub(super) fn order_clients(&self, order: ToAgent) {
        self.agents
            .iter()
            .for_each(|agent| agent.order_clients(order.clone()));
    }

    /// Orders all replicas.
    pub(super) fn order_replicas(&self, order: ToAgent) {
        self.agents
            .iter()
            .for_each(|agent| agent.order_replica(order.clone()));
    }
}

fn contacts(paths: &Paths) -> Vec<(OperationKind, Contact)> {
    paths
        .iter()
        .map(|(&kind, path)| (kind, path.contact))
        .collect()
}

/// Where one mode's replicas keep their logs; removed with everything in it when dropped.
struct DataDirectory(PathBuf);

impl DataDirectory {
    fn create(run: &ModeRun<'_>) -> Result<DataDirectory, String> {
        let name = format!("{}-{}", std::process::id(), run.position);
        let path = run.options.data_directory.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|why| format!("cannot create '{}' for logs: {why}", path.display()))?;
        Ok(DataDirectory(path))
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        // What cannot be removed is left where the user chose to have it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

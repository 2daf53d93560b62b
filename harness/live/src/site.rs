//! The regions that share a process: their agents, and what all of them share.
//!
//! The `local` backend has one site with all regions; where every region has a network of its own,
//! a site is a process with one region. Either way the coordinator orders it by [`ToSite`].

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::{
    Contact, OperationKind, Path, RegionIndex, ReplicaId, Scenario, Seed, Topology,
};
use longhaul_protocol::{Member, Mode, Replica, Retention};
use longhaul_wan::clock::Clock;
use longhaul_wan::delay_line::{DelayLine, Options, ReleaseKind};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::agent::Agent;
use crate::clients::ClientsSetup;
use crate::conditions::LinkConditions;
use crate::delivery::{ClientInput, Mailboxes, ReplicaMail, ReplicaMailbox};
use crate::faults::SiteHand;
use crate::faults::on_site::carry_out;
use crate::links::Links;
use crate::messages::{FromAgent, SiteLoad, ToSite};
use crate::processors::ThreadTimes;
use crate::receiving_end::{EmulatedFrom, Emulation, Gate};
use crate::replica_host::ReplicaSetup;

/// What is subtracted from every due time for the wake-up of the thread that a delivery is for.
/// Waking a sleeping thread takes some 40 us at the median; half of that is always gone, so that
/// nothing arrives before its time.
pub(crate) const WAKE_UP: Duration = Duration::from_micros(20);

/// What a site is given.
pub(crate) struct SiteSetup<M: Mode> {
    pub(crate) mode: M,
    pub(crate) scenario: Arc<Scenario>,
    /// The scenario's.
    pub(crate) topology: Arc<Topology>,
    pub(crate) seed: Seed,
    /// The regions that it has.
    pub(crate) regions: Vec<RegionIndex>,
    pub(crate) clock: Clock,
    pub(crate) links: Links,
    pub(crate) emulation: Emulation,
    /// Where its replicas listen.
    pub(crate) address: IpAddr,
    /// Where its replicas keep their logs, each in a folder of its own; `None`: memory.
    pub(crate) log_directory: Option<PathBuf>,
    /// Whom clients ask for each kind of operation.
    pub(crate) contacts: Vec<(OperationKind, Contact)>,
    pub(crate) reports: UnboundedSender<FromAgent>,
}

/// The running agents of a site. Dropping it ends them.
pub(crate) struct Site<R: Replica> {
    gate: Gate<R>,
    topology: Arc<Topology>,
    reports: UnboundedSender<FromAgent>,
    agents: Vec<Agent<R>>,
    /// What had been used of the processors when the measured window began.
    used_before: Option<ThreadTimes>,
}

/// The mailboxes of a site's regions, and their other ends.
struct Post<R: Replica> {
    mailboxes: Mailboxes<R>,
    replicas: Vec<Option<ReplicaMail<R>>>,
    clients: Vec<Option<UnboundedReceiver<ClientInput>>>,
}

impl<R: Replica> Post<R> {
    fn new(topology: &Topology, regions: &[RegionIndex]) -> Post<R> {
        let mut post = Post {
            mailboxes: Mailboxes {
                replicas: Vec::new(),
                clients: Vec::new(),
            },
            replicas: Vec::new(),
            clients: Vec::new(),
        };
        for region in &topology.replicas {
            let (mailbox, mail) = regions.contains(region).then(ReplicaMailbox::new).unzip();
            post.mailboxes.replicas.push(mailbox);
            post.replicas.push(mail);
        }
        for region in &topology.clients {
            let (mailbox, inputs) = regions.contains(region).then(unbounded_channel).unzip();
            post.mailboxes.clients.push(mailbox);
            post.clients.push(inputs);
        }
        post
    }
}

impl<R: Replica + Send + 'static> Site<R> {
    /// Starts a precise thread and an agent per region.
    ///
    /// # Errors
    ///
    /// The system starts no more threads.
    pub(crate) fn start<M: Mode<Replica = R>>(setup: &SiteSetup<M>) -> io::Result<Site<R>> {
        let topology = &setup.topology;
        let mut post = Post::new(topology, &setup.regions);
        let options = Options {
            compensation: WAKE_UP,
            ..Options::new(setup.clock)
        };
        let line = DelayLine::spawn(options, post.mailboxes.clone()).map_err(io::Error::other)?;
        let gate = Gate {
            clock: setup.clock,
            line,
            mailboxes: post.mailboxes.clone(),
            emulation: setup.emulation,
            emulated_from: EmulatedFrom::default(),
            links: setup.links.clone(),
            conditions: LinkConditions::new(topology),
        };
        let mut site = Site {
            gate,
            topology: Arc::clone(topology),
            reports: setup.reports.clone(),
            agents: Vec::new(),
            used_before: None,
        };
        for &region in &setup.regions {
            let agent = site.start_agent(setup, &mut post, region)?;
            site.agents.push(agent);
        }
        Ok(site)
    }

    fn start_agent<M: Mode<Replica = R>>(
        &self,
        setup: &SiteSetup<M>,
        post: &mut Post<R>,
        region: RegionIndex,
    ) -> io::Result<Agent<R>> {
        let topology = &setup.topology;
        let at_region = |places: &[RegionIndex]| places.iter().position(|&at| at == region);
        let replica = at_region(&topology.replicas).and_then(|position| {
            let mail = post.replicas[position].take()?;
            let mailbox = post.mailboxes.replicas[position].clone()?;
            let id = ReplicaId(position as u16);
            Some((mailbox, self.replica_setup(setup, id, mail)))
        });
        let clients = at_region(&topology.clients).and_then(|position| {
            let inputs = post.clients[position].take()?;
            let mailbox = post.mailboxes.clients[position].clone()?;
            let setup = ClientsSetup {
                scenario: Arc::clone(&setup.scenario),
                seed: setup.seed,
                position,
                contacts: setup.contacts.clone(),
                gate: self.gate.clone(),
                inputs,
                reports: setup.reports.clone(),
            };
            Some((mailbox, setup))
        });
        Agent::start(topology.region_name(region), replica, clients)
    }

    fn replica_setup<M: Mode<Replica = R>>(
        &self,
        setup: &SiteSetup<M>,
        id: ReplicaId,
        mail: ReplicaMail<R>,
    ) -> ReplicaSetup<M> {
        let directory = setup.log_directory.as_ref();
        ReplicaSetup {
            mode: setup.mode.clone(),
            member: Member {
                id,
                incarnation: 0,
                topology: Arc::clone(&setup.topology),
                seed: setup.seed,
                retention: Retention::FULL,
            },
            gate: self.gate.clone(),
            address: setup.address,
            log_directory: directory.map(|directory| directory.join(id.to_string())),
            mail,
            reports: setup.reports.clone(),
        }
    }

    /// Returns what has the site carry out what is ordered about faults, from any thread.
    pub(crate) fn fault_hand(&self) -> SiteHand {
        let (gate, topology) = (self.gate.clone(), Arc::clone(&self.topology));
        Box::new(move |order| carry_out(&gate, &topology, order))
    }

    /// Carries out the coordinator's order.
    pub(crate) fn obey(&mut self, order: ToSite) {
        match order {
            ToSite::Everyone(order) => self.agents.iter().for_each(|it| it.order(order.clone())),
            ToSite::Clients(order) => {
                let agents = self.agents.iter();
                agents.for_each(|agent| agent.order_clients(order.clone()));
            }
            ToSite::Replicas(order) => {
                let agents = self.agents.iter();
                agents.for_each(|agent| agent.order_replica(order.clone()));
            }
            ToSite::Emulate(from) => self.gate.emulated_from.set(from),
            ToSite::BeginWindow => {
                self.gate.line.reset_lateness();
                self.used_before = ThreadTimes::read();
            }
            ToSite::EndWindow => self.report_load(),
            ToSite::Fault(order) => carry_out(&self.gate, &self.topology, &order),
            ToSite::Stop => self.agents.iter().for_each(Agent::stop),
        }
    }

    fn report_load(&self) {
        let line = &self.gate.line;
        let used = self.used_before.as_ref().zip(ThreadTimes::read());
        let load = SiteLoad {
            release: line.lateness(ReleaseKind::Frame),
            used: used.map(|(before, after)| before.until(&after)),
            scheduling: line.scheduling().to_owned(),
        };
        let _ = self.reports.send(FromAgent::Load(Box::new(load)));
    }
}

/// Returns whom clients ask for each kind of operation.
pub(crate) fn contacts(paths: &BTreeMap<OperationKind, Path>) -> Vec<(OperationKind, Contact)> {
    let contacts = paths.iter().map(|(&kind, path)| (kind, path.contact));
    contacts.collect()
}

//! Faults made to happen: a thread that takes the steps of the scenario's plan at their instants
//! and has replicas, links and connections suffer them, wherever their agents are.
//!
//! A precise thread of its own says when. What is to be done goes to every site (`on_site`).
//! Replicas suffer on their own threads, before anything that waits in their mailboxes; links
//! change for frames sent from that instant on; connections are ended by the threads of both ends.

pub(crate) mod on_site;
pub(crate) mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use longhaul_experiment::fault::{
    FaultAction, FaultCommand, FaultEdge, FaultPlan, silence_timeout,
};
use longhaul_experiment::{LinkId, ReplicaId, Time, Topology};
use longhaul_wan::clock::Clock;
use longhaul_wan::delay_line::{DelayLine, Options, Release, make_precise};
use tokio::sync::mpsc::UnboundedSender;

use crate::launcher::Launcher;
use crate::messages::{FaultReport, FromAgent};
use crate::site::WAKE_UP;
use order::{FaultOrder, LinkFault, Pair, replica_fault};

/// The SCHED_FIFO priority of the faults' thread, that of clients: replicas that are busy must not
/// make faults late.
const FAULTS_PRIORITY: u8 = 10;

/// Has a site carry orders out.
pub(crate) type SiteHand = Box<dyn FnMut(&FaultOrder) + Send>;

/// What the faults' thread is given.
pub(crate) struct FaultsSetup {
    pub(crate) plan: FaultPlan,
    pub(crate) topology: Arc<Topology>,
    pub(crate) clock: Clock,
    /// Whoever leads when the plan begins.
    pub(crate) leader: ReplicaId,
    /// All sites.
    pub(crate) sites: Vec<SiteHand>,
    /// Whose network delays frames, so that it must be told of what faults do to links; `None`:
    /// nobody's.
    pub(crate) network: Option<Arc<dyn Launcher>>,
    pub(crate) reports: UnboundedSender<FromAgent>,
}

/// What is to be done about faults.
enum Cue {
    /// The step at this position of the plan is due.
    Step(usize),
    /// A link has been cut for the time after which connections over it end, unless it healed
    /// since.
    Silence { link: LinkId, cut_at: Time },
    /// Whoever leads now.
    Leader(ReplicaId),
    /// The run ends.
    Stop,
}

/// The faults' thread. Dropping it ends it; what is broken then stays so.
pub(crate) struct Faults {
    cues: mpsc::Sender<Cue>,
    thread: Option<JoinHandle<()>>,
}

impl Faults {
    /// Starts the thread, and arranges for it to be woken at every step of the plan.
    ///
    /// # Errors
    ///
    /// The system starts no more threads.
    pub(crate) fn start(setup: FaultsSetup) -> io::Result<Faults> {
        let (cues, received) = mpsc::channel();
        let options = Options {
            name: "faults-line".to_owned(),
            compensation: WAKE_UP,
            ..Options::new(setup.clock)
        };
        let due = cues.clone();
        let sink = move |release: Release<Cue>| {
            // The thread has ended when nobody takes it.
            let _ = due.send(release.item);
        };
        let line = DelayLine::spawn(options, sink).map_err(io::Error::other)?;
        for (position, step) in setup.plan.steps().iter().enumerate() {
            line.push_unordered(step.at, Cue::Step(position));
        }
        let conductor = Conductor {
            leader: setup.leader,
            setup,
            line,
            links: BTreeMap::new(),
            cut: BTreeMap::new(),
            silenced: BTreeSet::new(),
            reset: BTreeMap::new(),
        };
        let thread = thread::Builder::new()
            .name("faults".to_owned())
            .spawn(move || {
                let _ = make_precise(Some(FAULTS_PRIORITY));
                conductor.run(&received);
            })?;
        Ok(Faults {
            cues,
            thread: Some(thread),
        })
    }

    /// Tells who leads, for faults that hit the leader.
    pub(crate) fn tell_leader(&self, leader: ReplicaId) {
        let _ = self.cues.send(Cue::Leader(leader));
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let _ = self.cues.send(Cue::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

struct Conductor {
    setup: FaultsSetup,
    line: DelayLine<Cue>,
    leader: ReplicaId,
    /// What faults have made of links.
    links: BTreeMap<LinkId, LinkFault>,
    /// The links that are cut, and since when.
    cut: BTreeMap<LinkId, Time>,
    /// Pairs whose connections ended because nothing was heard.
    silenced: BTreeSet<Pair>,
    /// Pairs whose connections a reset ended, and when.
    reset: BTreeMap<Pair, Time>,
}

impl Conductor {
    fn run(mut self, cues: &mpsc::Receiver<Cue>) {
        while let Ok(cue) = cues.recv() {
            match cue {
                Cue::Step(position) => self.take_step(position),
                Cue::Silence { link, cut_at } => self.silence(link, cut_at),
                Cue::Leader(leader) => self.leader = leader,
                Cue::Stop => return,
            }
        }
    }

    fn take_step(&mut self, position: usize) {
        // Whatever it does happens from now on.
        let at = self.setup.clock.now();
        let commands = self.setup.plan.take_step(position, Some(self.leader));
        let mut is_reported = false;
        for command in &commands {
            if let Some(fault) = replica_fault(command) {
                // A replica reports what was done to it itself.
                is_reported = true;
                self.order(&FaultOrder::Replica(fault));
            } else {
                self.carry_out(*command);
            }
        }
        let Some(step) = self
            .setup
            .plan
            .steps()
            .get(position)
            .filter(|_| !is_reported)
        else {
            return;
        };
        let report = FaultReport {
            number: step.number,
            begins: step.edge == FaultEdge::Begin,
            planned_at: step.at,
            at,
            replica: self.setup.plan.hit(step.number),
        };
        let _ = self.setup.reports.send(FromAgent::Fault(report));
    }

    /// Carries out what is done to links and connections.
    fn carry_out(&mut self, command: FaultCommand) {
        let now = self.setup.clock.now();
        match command.action {
            FaultAction::CutLink(link) => {
                self.change_link(link, now, |fault| fault.is_cut = true);
                self.cut.insert(link, now);
                let timeout = silence_timeout(self.round_trip(link.ends()));
                let cue = Cue::Silence { link, cut_at: now };
                self.line.push_unordered(now + timeout, cue);
            }
            FaultAction::HealLink(link) => {
                self.change_link(link, now, |fault| fault.is_cut = false);
                self.cut.remove(&link);
                self.hear(link.ends(), now);
            }
            FaultAction::LinkDelay { link, added } => {
                self.change_link(link, now, |fault| fault.added = added);
            }
            FaultAction::LinkLoss { link, loss } => {
                self.change_link(link, now, |fault| fault.loss = loss);
            }
            FaultAction::EndConnections { a, b } => {
                self.reset.insert((a, b), now);
                self.order(&FaultOrder::EndConnections((a, b)));
            }
            FaultAction::RestoreConnections { a, b } => {
                let ended_at = self.reset.remove(&(a, b)).unwrap_or(now);
                if !self.silenced.contains(&(a, b)) {
                    let ready_at = now.max(ended_at + self.round_trip((a, b)));
                    self.restore((a, b), ready_at);
                }
            }
            // These are done to replicas.
            _ => {}
        }
    }

    fn change_link(&mut self, link: LinkId, from: Time, change: impl FnOnce(&mut LinkFault)) {
        let fault = self.links.entry(link).or_default();
        change(fault);
        let fault = *fault;
        self.order(&FaultOrder::Link { link, from, fault });
        if let Some(network) = &self.setup.network
            && let Err(why) = network.change_link(link, fault)
        {
            let why = format!("a fault cannot change the network: {why}");
            let _ = self.setup.reports.send(FromAgent::Failed(why));
        }
    }

    /// Ends the connections over a link that has been cut for the time-out.
    fn silence(&mut self, link: LinkId, cut_at: Time) {
        if self.cut.get(&link) == Some(&cut_at) && self.silenced.insert(link.ends()) {
            self.order(&FaultOrder::EndConnections(link.ends()));
        }
    }

    /// Lets connections come up again, a round trip from now, if neither way is cut any more.
    fn hear(&mut self, (a, b): Pair, now: Time) {
        let cut = |from, to| self.cut.contains_key(&LinkId { from, to });
        if cut(a, b) || cut(b, a) {
            return;
        }
        self.silenced.remove(&(a, b));
        if !self.reset.contains_key(&(a, b)) {
            let ready_at = now + self.round_trip((a, b));
            self.restore((a, b), ready_at);
        }
    }

    fn restore(&mut self, pair: Pair, ready_at: Time) {
        self.order(&FaultOrder::RestoreConnections { pair, ready_at });
    }

    fn order(&mut self, order: &FaultOrder) {
        self.setup.sites.iter_mut().for_each(|site| site(order));
    }

    fn round_trip(&self, (a, b): Pair) -> Duration {
        self.setup.topology.profile.round_trip(a, b)
    }
}

//! Faults made to happen: a thread that takes the steps of the scenario's plan at their instants
//! and has replicas, links and connections suffer them.
//!
//! The precise thread says when. Replicas suffer on their own threads, before anything that waits
//! in their mailboxes; links change here, for frames sent from that instant on; connections are
//! ended by the threads of both ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use longhaul_experiment::fault::{
    FaultAction, FaultCommand, FaultEdge, FaultPlan, silence_timeout,
};
use longhaul_experiment::{LinkId, RegionIndex, ReplicaId, Time, Topology};
use longhaul_protocol::Replica;
use longhaul_wan::delay_line::make_precise;
use tokio::sync::mpsc::UnboundedSender;

use crate::delivery::{ClientInput, Cue, Delivery, HostCommand, ReplicaInput};
use crate::messages::{FaultReport, FromAgent, ToAgent};
use crate::receiving_end::Gate;

/// The SCHED_FIFO priority of the faults' thread, that of clients: replicas that are busy must not
/// make faults late.
const FAULTS_PRIORITY: u8 = 10;

/// What the faults' thread is given.
pub(crate) struct FaultsSetup<R: Replica> {
    pub(crate) plan: FaultPlan,
    pub(crate) topology: Arc<Topology>,
    pub(crate) gate: Gate<R>,
    pub(crate) cues: mpsc::Receiver<Cue>,
    pub(crate) reports: UnboundedSender<FromAgent>,
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
    pub(crate) fn start<R: Replica + Send + 'static>(setup: FaultsSetup<R>) -> io::Result<Faults> {
        for (position, step) in setup.plan.steps().iter().enumerate() {
            let cue = Delivery::Faults(Cue::Step(position));
            setup.gate.line.push_unordered(step.at, cue.into());
        }
        let cues = setup.gate.mailboxes.faults.clone();
        let thread = thread::Builder::new()
            .name("faults".to_owned())
            .spawn(move || {
                let _ = make_precise(Some(FAULTS_PRIORITY));
                Conductor::new(setup).run();
            })?;
        Ok(Faults {
            cues,
            thread: Some(thread),
        })
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

/// Two regions, the lower first.
type Pair = (RegionIndex, RegionIndex);

struct Conductor<R: Replica> {
    setup: FaultsSetup<R>,
    leader: Option<ReplicaId>,
    /// The links that are cut, and since when.
    cut: BTreeMap<LinkId, Time>,
    /// Pairs whose connections ended because nothing was heard.
    silenced: BTreeSet<Pair>,
    /// Pairs whose connections a reset ended, and when.
    reset: BTreeMap<Pair, Time>,
}

impl<R: Replica + Send + 'static> Conductor<R> {
    fn new(setup: FaultsSetup<R>) -> Conductor<R> {
        Conductor {
            setup,
            leader: None,
            cut: BTreeMap::new(),
            silenced: BTreeSet::new(),
            reset: BTreeMap::new(),
        }
    }

    fn run(mut self) {
        while let Ok(cue) = self.setup.cues.recv() {
            match cue {
                Cue::Step(position) => self.take_step(position),
                Cue::Silence { link, cut_at } => self.silence(link, cut_at),
                Cue::Leader(leader) => self.leader = Some(leader),
                Cue::Stop => return,
            }
        }
    }

    fn take_step(&mut self, position: usize) {
        // Whatever it does happens from now on.
        let at = self.setup.gate.clock.now();
        let commands = self.setup.plan.take_step(position, self.leader);
        for command in &commands {
            self.carry_out(*command);
        }
        // A replica reports what was done to it itself.
        if commands
            .iter()
            .any(|command| replica_of(command.action).is_some())
        {
            return;
        }
        if let Some(step) = self.setup.plan.steps().get(position) {
            let report = FaultReport {
                number: step.number,
                begins: step.edge == FaultEdge::Begin,
                planned_at: step.at,
                at,
                replica: self.setup.plan.hit(step.number),
            };
            let _ = self.setup.reports.send(FromAgent::Fault(report));
        }
    }

    fn carry_out(&mut self, command: FaultCommand) {
        let now = self.setup.gate.clock.now();
        let conditions = &self.setup.gate.conditions;
        if let Some(replica) = replica_of(command.action) {
            if let Some(mailbox) = &self.setup.gate.mailboxes.replicas[replica.index()] {
                let _ = mailbox.commands.send(HostCommand::Suffer(command));
            }
            return;
        }
        match command.action {
            FaultAction::CutLink(link) => {
                conditions.change(link, now, |condition| condition.is_cut = true);
                self.cut.insert(link, now);
                let timeout = silence_timeout(self.round_trip(pair(link)));
                let cue = Delivery::Faults(Cue::Silence { link, cut_at: now });
                let line = &self.setup.gate.line;
                line.push_unordered(now + timeout, cue.into());
            }
            FaultAction::HealLink(link) => {
                conditions.change(link, now, |condition| condition.is_cut = false);
                self.cut.remove(&link);
                self.hear(pair(link), now);
            }
            FaultAction::LinkDelay { link, added } => {
                conditions.change(link, now, |condition| condition.added = added);
            }
            FaultAction::LinkLoss { link, loss } => {
                conditions.change(link, now, |condition| condition.loss = loss);
            }
            FaultAction::EndConnections { a, b } => {
                self.reset.insert((a, b), now);
                self.end((a, b));
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

    /// Ends the connections over a link that has been cut for the time-out.
    fn silence(&mut self, link: LinkId, cut_at: Time) {
        if self.cut.get(&link) == Some(&cut_at) && self.silenced.insert(pair(link)) {
            self.end(pair(link));
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

    fn end(&self, (a, b): Pair) {
        if self.setup.gate.conditions.end_connections((a, b)) {
            self.order((a, b), &ToAgent::EndConnections { a, b });
        }
    }

    fn restore(&self, (a, b): Pair, ready_at: Time) {
        self.setup.gate.conditions.restore_connections((a, b));
        self.order((a, b), &ToAgent::RestoreConnections { a, b, ready_at });
    }

    /// Orders the replicas and clients of both regions.
    fn order(&self, (a, b): Pair, order: &ToAgent) {
        let (topology, mailboxes) = (&self.setup.topology, &self.setup.gate.mailboxes);
        for id in topology.replica_ids() {
            if [a, b].contains(&topology.region_of(id)) {
                let input = ReplicaInput::Order(order.clone());
                mailboxes.deliver(Delivery::Replica(id, input));
            }
        }
        for (position, region) in topology.clients.iter().enumerate() {
            if [a, b].contains(region) {
                let input = ClientInput::Order(order.clone());
                mailboxes.deliver(Delivery::Clients(position, input));
            }
        }
    }

    fn round_trip(&self, (a, b): Pair) -> Duration {
        self.setup.gate.links.round_trip(a, b)
    }
}

fn pair(link: LinkId) -> Pair {
    (link.from.min(link.to), link.from.max(link.to))
}

/// Returns the replica that an action is done to, if it is one.
fn replica_of(action: FaultAction) -> Option<ReplicaId> {
    match action {
        FaultAction::Crash(replica)
        | FaultAction::Restart(replica)
        | FaultAction::Pause(replica)
        | FaultAction::Resume(replica)
        | FaultAction::Slow { replica, .. }
        | FaultAction::SlowDisk { replica, .. }
        | FaultAction::ClockShift { replica, .. } => Some(replica),
        FaultAction::CutLink(_)
        | FaultAction::HealLink(_)
        | FaultAction::LinkDelay { .. }
        | FaultAction::LinkLoss { .. }
        | FaultAction::EndConnections { .. }
        | FaultAction::RestoreConnections { .. } => None,
    }
}

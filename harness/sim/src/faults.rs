//! Faults on the simulation: the shared plan's commands, carried out.

use std::collections::BTreeMap;

use longhaul_experiment::fault::{FaultAction, FaultEdge, FaultError, FaultPlan};
use longhaul_experiment::record::FaultRecord;
use longhaul_experiment::{Fault, RunError, Scenario, Time, Topology};
use longhaul_protocol::Mode;

use crate::simulation::Simulation;

/// Tells the tokens of faults from all others: whoever drives a simulation with faults leaves this
/// bit of its own tokens free.
pub const FAULT_TOKEN: u64 = 1 << 63;

/// The faults of a run: scheduled before it, then given every wake.
#[derive(Debug)]
pub struct Faults(FaultPlan);

impl Faults {
    /// Compiles a scenario's faults.
    ///
    /// # Errors
    ///
    /// A fault cannot happen in the scenario's topology.
    pub(crate) fn of_scenario(scenario: &Scenario, window_start: Time) -> Result<Faults, RunError> {
        Ok(Faults::new(
            &scenario.faults,
            &scenario.topology,
            window_start,
        )?)
    }

    /// Compiles faults; their instants count from `start`.
    ///
    /// # Errors
    ///
    /// A fault cannot happen in the topology.
    pub fn new(faults: &[Fault], topology: &Topology, start: Time) -> Result<Faults, FaultError> {
        FaultPlan::new(faults, topology, start).map(Faults)
    }

    /// Says whether nothing breaks.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks the simulation to wake the plan at the beginning and the end of every fault, as far as
    /// they come before an instant.
    pub fn schedule<M: Mode>(&self, simulation: &mut Simulation<M>, before: Time) {
        let steps = self.0.steps().iter().enumerate();
        for (position, step) in steps.filter(|(_, step)| step.at < before) {
            simulation.wake_at(step.at, FAULT_TOKEN | position as u64);
        }
    }

    /// Returns what has happened until now: in virtual time, exactly what was planned.
    pub fn records(&self, now: Time) -> Vec<FaultRecord> {
        let mut records: BTreeMap<usize, FaultRecord> = BTreeMap::new();
        for step in self.0.steps().iter().filter(|step| step.at <= now) {
            let record = records.entry(step.number).or_insert(FaultRecord {
                number: step.number,
                replica: self.0.hit(step.number),
                began_at: step.at,
                ended_at: None,
            });
            if step.edge == FaultEdge::End {
                record.ended_at = Some(step.at);
            }
        }
        records.into_values().collect()
    }

    /// Takes a wake; `false` when it is not the plan's.
    pub fn on_wake<M: Mode>(&mut self, simulation: &mut Simulation<M>, token: u64) -> bool {
        if token & FAULT_TOKEN == 0 {
            return false;
        }
        let position = (token & !FAULT_TOKEN) as usize;
        let leader = simulation
            .leaders()
            .last()
            .map(|leadership| leadership.leader);
        for command in self.0.take_step(position, leader) {
            simulation.suffer(command.action);
        }
        true
    }

    /// Ends all faults that are active now: everything heals.
    pub fn end_all<M: Mode>(&mut self, simulation: &mut Simulation<M>) {
        for command in self.0.end_all(simulation.now()) {
            simulation.suffer(command.action);
        }
    }
}

impl<M: Mode> Simulation<M> {
    /// Carries out what a plan of faults commands.
    pub fn suffer(&mut self, action: FaultAction) {
        match action {
            FaultAction::Crash(replica) => self.crash(replica),
            FaultAction::Restart(replica) => self.restart(replica),
            FaultAction::Pause(replica) => self.pause(replica),
            FaultAction::Resume(replica) => self.resume(replica),
            FaultAction::CutLink(link) => self.cut(link),
            FaultAction::HealLink(link) => self.heal(link),
            FaultAction::Slow { replica, factor } => self.set_slow_factor(replica, factor),
            FaultAction::SlowDisk { replica, added } => self.set_sync_delay_added(replica, added),
            FaultAction::ClockShift { replica, by } => self.set_clock_shift(replica, by.0),
            FaultAction::LinkDelay { link, added } => self.set_link_delay(link, added),
            FaultAction::LinkLoss { link, loss } => self.set_link_loss(link, loss),
            FaultAction::EndConnections { a, b } => self.end_connections(a, b),
            FaultAction::RestoreConnections { a, b } => self.restore_connections(a, b),
        }
    }
}

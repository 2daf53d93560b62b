//! The running agents of one mode, wherever they are.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use longhaul_experiment::fault::FaultPlan;
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::{RegionIndex, ReplicaId, RunError};
use longhaul_protocol::{Mode, Replica};
use longhaul_wan::clock::Clock;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::mode_run::{ModeRun, Paths};
use super::processes::AgentProcess;
use crate::agent_process::ProcessSetup;
use crate::faults::{Faults, FaultsSetup, SiteHand};
use crate::launcher::Places;
use crate::messages::{FromAgent, ToSite};
use crate::receiving_end::Emulation;
use crate::site::{Site, SiteSetup, contacts};

/// Regions that share a process, whichever it is. Dropping it ends them.
pub(super) trait Place {
    /// Orders them.
    fn order(&mut self, order: &ToSite);

    /// Returns what has them suffer faults, from any thread.
    fn fault_hand(&self) -> SiteHand;
}

impl<R: Replica + Send + 'static> Place for Site<R> {
    fn order(&mut self, order: &ToSite) {
        self.obey(order.clone());
    }

    fn fault_hand(&self) -> SiteHand {
        Site::fault_hand(self)
    }
}

/// The running parts of one mode. Dropping it ends them and removes what they wrote.
pub(super) struct Cluster {
    pub(super) clock: Clock,
    pub(super) reports: UnboundedReceiver<FromAgent>,
    /// Ended before what they break.
    faults: Option<Faults>,
    places: Vec<Box<dyn Place>>,
    reports_to: UnboundedSender<FromAgent>,
    _data: Option<DataDirectory>,
}

impl Cluster {
    /// Starts the agents of all regions.
    pub(super) fn start<M: Mode>(
        run: &ModeRun<'_>,
        mode: &M,
        paths: &Paths,
    ) -> Result<Cluster, RunError> {
        let mode_name = run.spec.to_string();
        let failed = |why: &dyn std::fmt::Display| RunError::Failed {
            mode: mode_name.clone(),
            why: why.to_string(),
        };
        let data = match run.scenario.durability {
            Durability::Memory => None,
            Durability::Wal => Some(DataDirectory::create(run).map_err(|why| failed(&why))?),
        };
        let (reports, reported) = unbounded_channel();
        let start = Start {
            clock: Clock::start(),
            regions: regions_in_use(run),
            log_directory: data.as_ref().map(|data| data.0.clone()),
            reports: reports.clone(),
        };
        let clock = start.clock;
        let places = start_places(run, (mode, paths), start).map_err(|why| failed(&why))?;
        Ok(Cluster {
            clock,
            reports: reported,
            faults: None,
            places,
            reports_to: reports,
            _data: data,
        })
    }

    /// Returns in how many places the agents are.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Orders all agents.
    pub(super) fn order(&mut self, order: ToSite) {
        self.places.iter_mut().for_each(|place| place.order(&order));
    }

    /// Has the faults of a plan happen; `leader` leads.
    ///
    /// # Errors
    ///
    /// The system starts no more threads.
    pub(super) fn start_faults(
        &mut self,
        run: &ModeRun<'_>,
        plan: FaultPlan,
        leader: ReplicaId,
    ) -> io::Result<()> {
        if plan.is_empty() {
            return Ok(());
        }
        self.faults = Some(Faults::start(FaultsSetup {
            plan,
            topology: Arc::clone(run.topology),
            clock: self.clock,
            leader,
            sites: self.places.iter().map(|place| place.fault_hand()).collect(),
            network: run.options.places.network().cloned(),
            reports: self.reports_to.clone(),
        })?);
        Ok(())
    }

    /// Tells who leads, for faults that hit the leader.
    pub(super) fn tell_leader(&self, leader: ReplicaId) {
        if let Some(faults) = &self.faults {
            faults.tell_leader(leader);
        }
    }
}

/// What the agents of a run are started with, besides what the run says.
struct Start {
    clock: Clock,
    regions: Vec<RegionIndex>,
    log_directory: Option<PathBuf>,
    reports: UnboundedSender<FromAgent>,
}

/// Returns the regions that have a replica or clients.
fn regions_in_use(run: &ModeRun<'_>) -> Vec<RegionIndex> {
    let topology = run.topology;
    let is_used = |region: &RegionIndex| {
        topology.replicas.contains(region) || topology.clients.contains(region)
    };
    topology.profile.region_indexes().filter(is_used).collect()
}

fn start_places<M: Mode>(
    run: &ModeRun<'_>,
    (mode, paths): (&M, &Paths),
    start: Start,
) -> Result<Vec<Box<dyn Place>>, String> {
    match &run.options.places {
        Places::Threads => {
            let site = Site::start(&SiteSetup {
                mode: mode.clone(),
                contacts: contacts(paths),
                links: run.links.clone(),
                topology: Arc::clone(run.topology),
                scenario: Arc::clone(run.scenario),
                seed: run.seed,
                regions: start.regions,
                clock: start.clock,
                emulation: Emulation::UserSpace,
                address: Ipv4Addr::LOCALHOST.into(),
                log_directory: start.log_directory,
                reports: start.reports,
            });
            Ok(vec![Box::new(site.map_err(|why| why.to_string())?)])
        }
        Places::Processes(launcher) => {
            let scenario = serde_json::to_string(&**run.scenario).map_err(|why| why.to_string())?;
            let mut places: Vec<Box<dyn Place>> = Vec::new();
            for &region in &start.regions {
                let setup = ProcessSetup {
                    scenario: scenario.clone(),
                    mode: run.spec.clone(),
                    seed: run.seed,
                    region,
                    clock: start.clock,
                    emulation: launcher.emulation(),
                    address: launcher.address(region),
                    log_directory: start.log_directory.clone(),
                };
                let name = run.topology.region_name(region);
                let agent = AgentProcess::start(&**launcher, &setup, name, start.reports.clone());
                let agent = agent.map_err(|why| {
                    format!("cannot start the process of the agent of {name}: {why}")
                })?;
                places.push(Box::new(agent));
            }
            Ok(places)
        }
    }
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

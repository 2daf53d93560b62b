//! Where the agents of regions are: on threads of this process, or in processes of their own.

use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{LinkId, RegionIndex};

use crate::faults::order::LinkFault;
use crate::receiving_end::Emulation;

/// Where the agents of a run are.
#[derive(Clone)]
pub enum Places {
    /// On threads of this process.
    Threads,
    /// In a process for each region.
    Processes(Arc<dyn Launcher>),
}

impl Places {
    /// Returns what records call the backend that has its agents there.
    pub(crate) fn backend(&self) -> BackendKind {
        match self {
            Places::Threads => BackendKind::Local,
            Places::Processes(launcher) => launcher.backend(),
        }
    }

    /// Returns whose network delays what regions send each other; `None`: nobody's, so that this
    /// program does.
    pub(crate) fn network(&self) -> Option<&Arc<dyn Launcher>> {
        match self {
            Places::Threads => None,
            Places::Processes(launcher) => {
                (launcher.emulation() == Emulation::Network).then_some(launcher)
            }
        }
    }
}

/// Knows how processes are started where regions are, and what their network can do.
pub trait Launcher: Send + Sync {
    /// Returns the command by which the agent of a region is started: a program that calls
    /// [`run_agent`](crate::run_agent) and does nothing else. Its standard input will be the
    /// connection with the coordinator, and the agent ends when that does; a program in between
    /// must hand it on.
    fn command(&self, region: RegionIndex) -> Command;

    /// Returns the address on which a region's replica listens, by which all regions reach it.
    fn address(&self, region: RegionIndex) -> IpAddr;

    /// Returns what records call the backend that has its agents there: `local`, unless said
    /// otherwise.
    fn backend(&self) -> BackendKind {
        BackendKind::Local
    }

    /// Says who delays what regions send each other.
    fn emulation(&self) -> Emulation;

    /// Says whether [`Launcher::change_link`] can do it; asked where the network emulates.
    fn changes_links(&self) -> bool {
        false
    }

    /// Makes a link what faults have made of it; asked where the network emulates, and called
    /// from a thread that should not have to wait long.
    ///
    /// # Errors
    ///
    /// The system's, or this network cannot do it.
    fn change_link(&self, link: LinkId, fault: LinkFault) -> io::Result<()> {
        let _ = (link, fault);
        Err(io::ErrorKind::Unsupported.into())
    }
}

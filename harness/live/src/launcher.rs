//! Where the agents of regions are: on threads of this process, or in processes of their own.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Command};

use longhaul_experiment::RegionIndex;

use crate::receiving_end::Emulation;

/// Where the agents of a run are.
pub enum Places {
    /// On threads of this process.
    Threads,
    /// In a process for each region. Faults do not reach them: scenarios with faults are refused.
    Processes(Processes),
}

/// How the agents' processes are started.
pub struct Processes {
    /// The program: it must call [`run_agent`](crate::run_agent) and do nothing else.
    pub program: PathBuf,
    /// The arguments with which it does.
    pub arguments: Vec<OsString>,
    /// Who starts it where a region is.
    pub launcher: Box<dyn Launcher>,
}

/// Starts processes where regions are.
pub trait Launcher {
    /// Starts the command of a region's agent. Its standard input is the connection with the
    /// coordinator, and the agent ends when that does; a process in between must hand it on.
    ///
    /// # Errors
    ///
    /// The system's.
    fn launch(&mut self, region: RegionIndex, agent: Command) -> io::Result<Child>;

    /// Returns the address on which a region's replica listens, by which all regions reach it.
    fn address(&self, region: RegionIndex) -> IpAddr;

    /// Says who delays what regions send each other.
    fn emulation(&self) -> Emulation;
}

/// Starts processes side by side on this machine's loopback.
#[derive(Clone, Copy, Debug)]
pub struct Loopback {
    /// Who delays frames: loopback itself does not.
    pub emulation: Emulation,
}

impl Launcher for Loopback {
    fn launch(&mut self, _region: RegionIndex, mut agent: Command) -> io::Result<Child> {
        agent.spawn()
    }

    fn address(&self, _region: RegionIndex) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn emulation(&self) -> Emulation {
        self.emulation
    }
}

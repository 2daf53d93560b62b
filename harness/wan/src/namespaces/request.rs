//! What a network is asked to be, and what it then is.

use std::net::Ipv4Addr;
use std::time::Duration;

use longhaul_experiment::{Profile, Seed};
use serde::{Deserialize, Serialize};

use super::fault::LinkFault;

/// What delays packets between regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// A router in user space over TUN devices, see [`crate::tun`].
    Tun,
    /// The kernel's own emulation, see [`crate::netem`].
    Netem,
}

impl Backend {
    /// Returns the backend's name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Tun => "tun",
            Backend::Netem => "netem",
        }
    }
}

/// A network to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetRequest {
    /// The regions and their links.
    pub profile: Profile,
    /// What delays packets.
    pub backend: Backend,
    /// The seed of the TUN router's draws; netem draws from the kernel's own generator.
    pub seed: Seed,
    /// The SCHED_FIFO priority to ask for the TUN router, 1 to 99; `None`: normal priority.
    pub priority: Option<u8>,
    /// Subtracted from every delay of the TUN router, to make up for the mean cost of wake-ups.
    pub compensation: Duration,
    /// Whether the TUN router may take several segments as one packet where no link of a region
    /// loses packets or has a rate.
    pub offload: bool,
}

impl NetRequest {
    /// Subtracted from every delay by default: a round trip takes some 170 us longer than asked, for
    /// the router and the receiver have to wake up in each direction (measured on two processors).
    pub const COMPENSATION: Duration = Duration::from_micros(50);

    /// Returns a request with the defaults: the TUN router at SCHED_FIFO 20 where permitted, with
    /// compensation and offloads.
    pub fn new(profile: Profile) -> NetRequest {
        NetRequest {
            profile,
            backend: Backend::Tun,
            seed: Seed(1),
            priority: Some(20),
            compensation: NetRequest::COMPENSATION,
            offload: true,
        }
    }
}

/// A network that is up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetState {
    /// Its name.
    pub name: String,
    /// The profile's name.
    pub profile: String,
    /// What delays packets.
    pub backend: Backend,
    /// The regions, in the profile's order.
    pub regions: Vec<RegionState>,
    /// The least delay from each region to each, in that order, as it is now.
    pub one_way: Vec<Vec<Duration>>,
    /// How the thread that moves packets is scheduled, in the record's words; `None` with netem.
    pub scheduling: Option<String>,
    /// What is subtracted from every delay, in microseconds.
    pub compensation_us: f64,
    /// What the system refused that is not essential, one sentence each.
    pub warnings: Vec<String>,
    /// The links that are broken at present.
    pub faults: Vec<LinkFault>,
}

/// A region of a network that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionState {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The descriptor of its network namespace in the keeper, under `/proc/PID/fd`.
    pub descriptor: i32,
}

impl NetState {
    /// Returns the region of that name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn region(&self, name: &str) -> Result<&RegionState, super::NetError> {
        let found = self.regions.iter().find(|region| region.name == name);
        found.ok_or_else(|| super::NetError::UnknownRegion {
            name: name.to_owned(),
            known: self
                .regions
                .iter()
                .map(|region| region.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

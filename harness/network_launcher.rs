//! Agents inside a network of namespaces: how a run starts them there, and how its faults change
//! the network's links.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longhaul_experiment::fault::FaultTarget;
use longhaul_experiment::record::BackendKind;
use longhaul_experiment::{LinkId, RegionIndex};
use longhaul_live::{Emulation, Launcher, LinkFault};
use longhaul_wan::namespaces::address::address;
use longhaul_wan::namespaces::control::Connection;
use longhaul_wan::namespaces::{
    Backend, FaultChange, FaultRequest, NetError, NetRequest, Place, Supervisor,
};

/// A network that lives as long as this, with agents in its regions.
pub struct NetworkLauncher {
    supervisor: Supervisor,
    program: PathBuf,
    regions: Vec<String>,
    backend: BackendKind,
    /// What faults have made of links.
    faults: Mutex<BTreeMap<LinkId, LinkFault>>,
}

impl NetworkLauncher {
    /// Makes a network, which takes a second and more. Its profile must be that of the scenarios
    /// whose agents are started in it; `program` is longhaul itself.
    ///
    /// # Errors
    ///
    /// A network of that name is up, or the system does not permit what is needed.
    pub fn start(
        program: &Path,
        place: &Place,
        request: &NetRequest,
    ) -> Result<NetworkLauncher, NetError> {
        let supervisor = Supervisor::start(program, place, request)?;
        let regions = request.profile.regions.iter();
        Ok(NetworkLauncher {
            faults: Mutex::default(),
            regions: regions.map(|region| region.name.clone()).collect(),
            backend: match request.backend {
                Backend::Tun => BackendKind::Tun,
                Backend::Netem => BackendKind::Netem,
            },
            supervisor,
            program: program.to_owned(),
        })
    }

    fn faults(&self) -> MutexGuard<'_, BTreeMap<LinkId, LinkFault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Launcher for NetworkLauncher {
    fn command(&self, region: RegionIndex) -> Command {
        let name = &self.regions[region.index()];
        let mut command = self.supervisor.command(name, &self.program);
        command.arg("agent");
        command
    }

    fn address(&self, region: RegionIndex) -> IpAddr {
        address(region).into()
    }

    fn backend(&self) -> BackendKind {
        self.backend
    }

    fn emulation(&self) -> Emulation {
        Emulation::Network
    }

    fn changes_links(&self) -> bool {
        true
    }

    fn change_link(&self, link: LinkId, fault: LinkFault) -> io::Result<()> {
        let name = |region: RegionIndex| self.regions[region.index()].clone();
        // Held until the link is changed, so that changes come in order.
        let mut faults = self.faults();
        let before = faults.insert(link, fault).unwrap_or_default();
        // A network answers one connection at a time: one that is kept would keep agents out.
        let connection = Connection::open(self.supervisor.place());
        let mut connection = connection.map_err(io::Error::other)?;
        for change in changes(before, fault) {
            let target = Some(FaultTarget::Link(name(link.from), name(link.to)));
            let request = FaultRequest { target, change };
            connection.fault(&request).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Returns the steps from what faults had made of a link to what they have made of it now.
fn changes(before: LinkFault, now: LinkFault) -> Vec<FaultChange> {
    let mut changes = Vec::new();
    if now.is_cut && !before.is_cut {
        changes.push(FaultChange::Partition);
    }
    // Healing a link makes it what the profile says: what else is wrong with it is said again.
    let heals = before.is_cut && !now.is_cut;
    if heals {
        changes.push(FaultChange::Heal);
    }
    if now.added != before.added || (heals && !now.added.is_zero()) {
        changes.push(FaultChange::Delay(now.added));
    }
    if now.loss != before.loss || (heals && now.loss > 0.0) {
        changes.push(FaultChange::Loss(now.loss));
    }
    changes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_link_that_heals_keeps_what_else_is_wrong_with_it() {
        let none = LinkFault::default();
        let added = Duration::from_millis(5);
        let slow = LinkFault { added, ..none };
        let cut = LinkFault {
            is_cut: true,
            ..slow
        };
        assert_eq!(changes(none, slow), [FaultChange::Delay(added)]);
        assert_eq!(changes(slow, cut), [FaultChange::Partition]);
        let healed = [FaultChange::Heal, FaultChange::Delay(added)];
        assert_eq!(changes(cut, slow), healed);
        assert_eq!(changes(slow, none), [FaultChange::Delay(Duration::ZERO)]);
        assert_eq!(changes(none, none), []);
    }
}

//! netem as a network's fabric: a bridge, a virtual cable to every region, and the plan's commands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use longhaul_experiment::Profile;
use longhaul_experiment::ids::{LinkId, RegionIndex};
use longhaul_experiment::profile::Link;

use super::distribution::Distribution;
use super::plan::{self, Plan};
use super::report::{self, NetemLink, NetemReport};
use crate::namespaces::address::{DEVICE, PREFIX_LENGTH, address};
use crate::namespaces::keep::{Fabric, FabricReport, Site};
use crate::namespaces::program::{ip, run};
use crate::namespaces::{NetError, NetworkNamespace, own_way};

/// The bridge in the fabric's namespace.
const BRIDGE: &str = "wan";

/// Where `tc` looks for tables of jitter.
const TABLES_VARIABLE: &str = "TC_LIB_DIR";

/// A network whose packets the kernel delays.
#[derive(Debug)]
pub struct NetemFabric {
    profile: Profile,
    regions: Vec<NetworkNamespace>,
    scratch: PathBuf,
}

impl NetemFabric {
    /// Lays cables and queues. The calling thread must be in the fabric's namespace.
    pub(crate) fn lay(site: &Site<'_>) -> Result<NetemFabric, NetError> {
        let profile = &site.request.profile;
        ip(&format!("link add {BRIDGE} type bridge"))?;
        ip(&format!("link set {BRIDGE} up"))?;
        let mut regions = Vec::with_capacity(site.regions.len());
        for (index, region) in profile.region_indexes().zip(site.regions) {
            lay_cable(index, region)?;
            let kept = region.try_clone();
            regions.push(kept.map_err(NetError::doing("keeping a region"))?);
        }
        let plan = Plan::of(profile);
        let _tables = Tables::write(&site.scratch, &plan.tables)?;
        for (region, planned) in regions.iter().zip(&plan.regions) {
            let laid = region.run(|| {
                let environment = [(TABLES_VARIABLE, site.scratch.as_path())];
                let mut commands = planned.commands.iter();
                commands.try_for_each(|command| {
                    run(command, &environment).map(|_| ()).map_err(explained)
                })
            });
            laid.map_err(NetError::doing("entering a region"))??;
        }
        Ok(NetemFabric {
            profile: profile.clone(),
            regions,
            scratch: site.scratch.clone(),
        })
    }

    fn name(&self, region: RegionIndex) -> String {
        self.profile.regions[region.index()].name.clone()
    }

    fn counts_of(&self, from: RegionIndex) -> Result<(Vec<NetemLink>, String), NetError> {
        let show = |flags: &[&str]| {
            let words = ["tc"]
                .iter()
                .chain(flags)
                .chain(&["qdisc", "show", "dev", DEVICE]);
            run(&words.map(|&word| word.to_owned()).collect::<Vec<_>>(), &[])
        };
        let shown = self.regions[from.index()].run(|| {
            let json = show(&["-s", "-j"])?;
            let text = show(&[])?;
            Ok::<_, NetError>((json, text))
        });
        let (json, text) = shown.map_err(NetError::doing("entering a region"))??;
        let counts = report::parse(&json).map_err(NetError::doing("reading what `tc` printed"))?;
        let counts: BTreeMap<_, _> = counts.into_iter().collect();
        let links = self.profile.region_indexes().filter_map(|to| {
            Some(NetemLink {
                from: self.name(from),
                to: self.name(to),
                counts: *counts.get(&plan::class(to))?,
            })
        });
        let text = String::from_utf8_lossy(&text);
        Ok((links.collect(), format!("{}:\n{text}", self.name(from))))
    }
}

impl Fabric for NetemFabric {
    fn set_link(&mut self, link: LinkId, parameters: &Link, is_cut: bool) -> Result<(), NetError> {
        let (command, tables) = plan::change(link, parameters, is_cut);
        let _tables = Tables::write(&self.scratch, &tables)?;
        let environment = [(TABLES_VARIABLE, self.scratch.as_path())];
        self.regions[link.from.index()]
            .run(|| run(&command, &environment).map(|_| ()))
            .map_err(NetError::doing("entering a region"))?
    }

    fn report(&mut self) -> Result<FabricReport, NetError> {
        let mut report = NetemReport::default();
        for from in self.profile.region_indexes() {
            let (links, installed) = self.counts_of(from)?;
            report.links.extend(links);
            report.installed.push(installed);
        }
        Ok(FabricReport::Netem(report))
    }
}

/// Says what to do where the kernel has no netem: `tc` only says that it does not know it.
fn explained(error: NetError) -> NetError {
    match error {
        NetError::Command { command, message } if message.contains("kind is unknown") => {
            NetError::Command {
                command,
                message: format!(
                    "{message} This kernel has no netem: use the tun backend, or \
                     scripts/netem-uml.sh, which brings a kernel that has it"
                ),
            }
        }
        other => other,
    }
}

/// Makes a cable from a region to the bridge.
fn lay_cable(index: RegionIndex, region: &NetworkNamespace) -> Result<(), NetError> {
    let other_end = format!("r{}", index.0 + 1);
    // The keeper's first thread stands in the fabric's namespace.
    let fabric = std::process::id();
    let address = address(index);
    // A locally administered address, as the region's way to itself needs to know it.
    let hardware = format!("02:00:0a:4d:{:02x}:01", index.0 + 1);
    let laid = region.run(|| {
        ip(&format!(
            "link add {DEVICE} address {hardware} type veth peer name {other_end} netns {fabric}"
        ))?;
        ip(&format!(
            "address add {address}/{PREFIX_LENGTH} dev {DEVICE}"
        ))?;
        ip(&format!("link set {DEVICE} up"))?;
        ip(&format!(
            "neighbour add {address} lladdr {hardware} dev {DEVICE}"
        ))?;
        own_way::lay(address)
    });
    laid.map_err(NetError::doing("entering a region"))??;
    ip(&format!("link set {other_end} master {BRIDGE} up"))?;
    // Lets the bridge send back where it came from what a region sends to itself.
    ip(&format!(
        "link set {other_end} type bridge_slave hairpin on"
    ))?;
    Ok(())
}

/// Tables of jitter as files, for as long as `tc` needs them.
struct Tables<'a>(&'a Path);

impl<'a> Tables<'a> {
    fn write(
        directory: &'a Path,
        tables: &BTreeMap<String, Distribution>,
    ) -> Result<Tables<'a>, NetError> {
        let made = Tables(directory);
        if tables.is_empty() {
            return Ok(made);
        }
        let writing = || NetError::doing(format!("writing to '{}'", directory.display()));
        fs::create_dir_all(directory).map_err(writing())?;
        for (name, table) in tables {
            let file = directory.join(format!("{name}.dist"));
            fs::write(file, table.to_text()).map_err(writing())?;
        }
        Ok(made)
    }
}

impl Drop for Tables<'_> {
    fn drop(&mut self) {
        // What is left in spite of this goes with the network's other files.
        let _ = fs::remove_dir_all(self.0);
    }
}

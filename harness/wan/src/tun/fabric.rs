//! The TUN router as a network's fabric.

use std::fs;
use std::io;

use longhaul_experiment::ids::{LinkId, RegionIndex};
use longhaul_experiment::profile::Link;

use super::device::{CLONE_FILE, TunDevice};
use super::report;
use super::router::{Router, RouterOptions};
use crate::namespaces::address::{DEVICE, PREFIX_LENGTH, address};
use crate::namespaces::keep::{Fabric, FabricReport, Site};
use crate::namespaces::program::ip;
use crate::namespaces::{NetError, NetworkNamespace, own_way};

/// The largest packet, as on the links that it stands for.
const MTU: u32 = 1500;

/// Packets that the kernel keeps for the router of each region while it does something else: at
/// 200 000 packets a second a third of a second.
const KERNEL_QUEUE: u32 = 65_536;

/// A network whose packets pass through a router in user space.
#[derive(Debug)]
pub struct TunFabric {
    router: Router,
    regions: Vec<NetworkNamespace>,
}

impl TunFabric {
    pub(crate) fn lay(site: &Site<'_>) -> Result<TunFabric, NetError> {
        let mut devices = Vec::with_capacity(site.regions.len());
        let mut regions = Vec::with_capacity(site.regions.len());
        for (index, region) in site.request.profile.region_indexes().zip(site.regions) {
            let laid = region.run(|| lay_device(index));
            devices.push(laid.map_err(NetError::doing("entering a region"))??);
            let kept = region.try_clone();
            regions.push(kept.map_err(NetError::doing("keeping a region"))?);
        }
        let options = RouterOptions {
            seed: site.request.seed,
            priority: site.request.priority,
            compensation: site.request.compensation,
            offload: site.request.offload,
        };
        let router = Router::start(site.request.profile.clone(), devices, options)
            .map_err(NetError::doing("starting the router"))?;
        Ok(TunFabric { router, regions })
    }
}

impl Fabric for TunFabric {
    fn set_link(&mut self, link: LinkId, parameters: &Link, is_cut: bool) -> Result<(), NetError> {
        self.router
            .set_link(link, parameters, is_cut)
            .map_err(NetError::doing("changing a link"))
    }

    fn report(&mut self) -> Result<FabricReport, NetError> {
        let mut report = self
            .router
            .report()
            .map_err(NetError::doing("asking the router"))?;
        for (device, region) in report.devices.iter_mut().zip(&self.regions) {
            let devices = region.run(|| fs::read_to_string("/proc/thread-self/net/dev"));
            let devices = devices.and_then(|text| text);
            device.kernel_dropped = devices
                .ok()
                .and_then(|text| report::kernel_dropped(&text, DEVICE));
        }
        Ok(FabricReport::Tun(Box::new(report)))
    }

    fn scheduling(&self) -> Option<String> {
        Some(self.router.scheduling().to_owned())
    }
}

/// Makes the device of the region that the calling thread is in.
fn lay_device(region: RegionIndex) -> Result<TunDevice, NetError> {
    let device = TunDevice::open(DEVICE).map_err(refused)?;
    let address = address(region);
    ip(&format!(
        "address add {address}/{PREFIX_LENGTH} dev {DEVICE}"
    ))?;
    ip(&format!(
        "link set {DEVICE} mtu {MTU} txqueuelen {KERNEL_QUEUE} up"
    ))?;
    own_way::lay(address)?;
    Ok(device)
}

fn refused(error: io::Error) -> NetError {
    let what = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("opening {CLONE_FILE} (load the kernel module tun: `modprobe tun`)")
        }
        io::ErrorKind::PermissionDenied => format!(
            "opening {CLONE_FILE} (be root, or have it opened to users: `chmod 666 {CLONE_FILE}`)"
        ),
        _ => format!("making a device with {CLONE_FILE}"),
    };
    NetError::doing(what)(error)
}

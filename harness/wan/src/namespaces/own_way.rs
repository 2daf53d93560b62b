//! A region's way to itself: through its own link, as clients and replica of a region are a LAN apart.

use std::net::Ipv4Addr;

use super::NetError;
use super::address::DEVICE;
use super::program::ip;

/// The routing table of the way out.
const TABLE: u32 = 77;

/// Lays it for the region that the calling thread is in, whose device is up.
///
/// What a machine sends to its own address takes the loopback device, because the table of local
/// addresses is looked up first. Here that table is looked up first for what comes in from the
/// link, and for the rest only after one that leads to the link.
pub(crate) fn lay(address: Ipv4Addr) -> Result<(), NetError> {
    ip(&format!(
        "route add {address} dev {DEVICE} src {address} table {TABLE}"
    ))?;
    ip(&format!("rule add priority 1 iif {DEVICE} lookup local"))?;
    ip(&format!("rule add priority 2 to {address} lookup {TABLE}"))?;
    ip("rule add priority 3 lookup local")?;
    ip("rule del priority 0")?;
    Ok(())
}

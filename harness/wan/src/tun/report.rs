//! What passed through a router.

use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::record::Lateness;
use serde::{Deserialize, Serialize};

/// What a router saw since it started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouterReport {
    /// How long it has run, in seconds.
    pub seconds: f64,
    /// How its thread is scheduled, in the record's words.
    pub scheduling: String,
    /// The processor time of its thread over its life, in cores; `None` where the system does not
    /// tell.
    pub processor_cores: Option<f64>,
    /// What is subtracted from every delay, in microseconds.
    pub compensation_us: f64,
    /// Packets written to their receivers, over all links.
    pub packets: u64,
    /// The same per second, from the first packet read to the last written.
    pub packets_per_second: f64,
    /// How late packets were written, counted from when they were due.
    pub lateness: Lateness,
    /// The same as a histogram.
    pub lateness_histogram: Histogram,
    /// The links that were used, by their regions' names.
    pub links: Vec<LinkReport>,
    /// What happened at the regions' devices.
    pub devices: Vec<DeviceReport>,
}

/// What passed over one directed link. Packets are IP packets; where segments may pass as one,
/// that one is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The region that sends.
    pub from: String,
    /// The region that receives.
    pub to: String,
    /// The counts.
    #[serde(flatten)]
    pub counts: LinkCounts,
}

/// Counts of one directed link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounts {
    /// Packets written to the receiver.
    pub delivered: u64,
    /// Their bytes, from the IP header on.
    pub delivered_bytes: u64,
    /// Packets that were drawn to be lost.
    pub lost: u64,
    /// Packets dropped because the link was cut.
    pub cut: u64,
    /// Packets dropped because the queue before the wire, or the link's memory, was full.
    pub overflown: u64,
    /// Packets that the receiver's kernel refused.
    pub refused: u64,
    /// Packets under way.
    pub waiting: u64,
}

impl LinkCounts {
    /// Says whether the link was used at all.
    pub(super) fn is_used(&self) -> bool {
        *self != LinkCounts::default()
    }
}

/// What happened at one region's device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// The region.
    pub region: String,
    /// Packets that the kernel dropped because the router did not read fast enough; `None` where it
    /// does not tell.
    pub kernel_dropped: Option<u64>,
    /// Packets to no region's address: other protocols, multicast.
    pub unroutable: u64,
    /// Whether several segments pass as one packet.
    pub offload: bool,
}

/// Returns how many packets the kernel dropped on their way out of a device, from the text of
/// `/proc/net/dev`: after the name eight numbers of reception, then bytes, packets, errors, drops.
pub(super) fn kernel_dropped(devices: &str, name: &str) -> Option<u64> {
    let numbers = devices
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
    numbers.split_whitespace().nth(11)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_on_the_way_out_are_read_by_name() {
        let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  wan0:    1000      10    1    2    3     4          5         6     2000      20    7   42    9     0       0          0
";
        assert_eq!(kernel_dropped(text, "wan0"), Some(42));
        assert_eq!(kernel_dropped(text, "lo"), Some(0));
        assert_eq!(kernel_dropped(text, "wan"), None);
    }
}

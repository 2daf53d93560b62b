//! What a write sends between regions.

use longhaul_experiment::record::LinkTraffic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// WAN traffic in the measured window over the writes due in it that succeeded; `null` when none
/// did.
///
/// Only links between different regions count. All replica traffic is charged to the writes:
/// heartbeats, and what reads make replicas send, are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WanSummary {
    /// Frames between replicas per write.
    pub messages_per_write: Option<f64>,
    /// Bytes between replicas per write, framing included.
    pub bytes_per_write: Option<f64>,
    /// Frames between clients and replicas of other regions per write, answers included.
    pub client_messages_per_write: Option<f64>,
    /// Bytes of those per write.
    pub client_bytes_per_write: Option<f64>,
}

impl WanSummary {
    /// Divides the traffic between regions by the number of successful writes.
    pub fn new(traffic: &[LinkTraffic], writes: u64) -> WanSummary {
        let per_write = |count: fn(&LinkTraffic) -> u64| {
            let wan = traffic.iter().filter(|one| one.link.from != one.link.to);
            let total: u64 = wan.map(count).sum();
            (writes > 0).then(|| total as f64 / writes as f64)
        };
        WanSummary {
            messages_per_write: per_write(|link| link.replica_messages),
            bytes_per_write: per_write(|link| link.replica_bytes),
            client_messages_per_write: per_write(|link| link.client_messages),
            client_bytes_per_write: per_write(|link| link.client_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{LinkId, RegionIndex};

    use super::*;

    fn link(from: u16, to: u16, messages: u64) -> LinkTraffic {
        LinkTraffic {
            link: LinkId {
                from: RegionIndex(from),
                to: RegionIndex(to),
            },
            replica_messages: messages,
            replica_bytes: 100 * messages,
            client_messages: 2 * messages,
            client_bytes: 50 * messages,
        }
    }

    #[test]
    fn links_within_a_region_do_not_count() {
        let wan = WanSummary::new(&[link(0, 1, 30), link(1, 0, 10), link(1, 1, 999)], 20);
        // (30 + 10) / 20 = 2 messages; the clients' part is twice that, its bytes half.
        assert_eq!(wan.messages_per_write, Some(2.0));
        assert_eq!(wan.bytes_per_write, Some(200.0));
        assert_eq!(wan.client_messages_per_write, Some(4.0));
        assert_eq!(wan.client_bytes_per_write, Some(100.0));
        assert_eq!(WanSummary::new(&[link(0, 1, 30)], 0), WanSummary::default());
    }
}

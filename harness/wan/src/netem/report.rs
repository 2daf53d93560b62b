//! What the kernel counted on netem's queues.

use serde::{Deserialize, Serialize};

/// What passed over netem's queues since they were laid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetemReport {
    /// The links, by their regions' names.
    pub links: Vec<NetemLink>,
    /// The queues as `tc` shows them, by region.
    pub installed: Vec<String>,
}

/// What passed over one directed link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetemLink {
    /// The region that sends.
    pub from: String,
    /// The region that receives.
    pub to: String,
    /// The counts.
    #[serde(flatten)]
    pub counts: QueueCounts,
}

/// The counts of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCounts {
    /// Packets that left it.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
    /// Packets that it dropped: those drawn to be lost, and those beyond its limit. The kernel does
    /// not tell them apart.
    pub drops: u64,
    /// Packets in it.
    #[serde(default, rename = "waiting", alias = "qlen")]
    pub qlen: u64,
}

/// A queue as `tc -s -j qdisc show` prints it.
#[derive(Deserialize)]
struct ShownQueue {
    kind: String,
    parent: Option<String>,
    #[serde(flatten)]
    counts: QueueCounts,
}

/// Returns the netem queues that `tc -s -j qdisc show` printed, as (class, counts).
///
/// # Errors
///
/// The output is not what `tc` is known to print.
pub fn parse(json: &[u8]) -> Result<Vec<(String, QueueCounts)>, serde_json::Error> {
    let queues: Vec<ShownQueue> = serde_json::from_slice(json)?;
    let netem = queues.into_iter().filter(|queue| queue.kind == "netem");
    Ok(netem
        .filter_map(|queue| Some((queue.parent?, queue.counts)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_class_and_other_queues_left_out() {
        // Printed by iproute2 6.1, shortened.
        let json = br#"[
            {"kind":"htb","handle":"1:","root":true,"options":{"r2q":10},
             "bytes":1,"packets":1,"drops":0,"overlimits":0,"requeues":0,"backlog":0,"qlen":0},
            {"kind":"netem","handle":"1001:","parent":"1:2","options":{"limit":33438},
             "bytes":5684,"packets":58,"drops":3,"overlimits":0,"requeues":0,"backlog":98,"qlen":1}
        ]"#;
        let counts = QueueCounts {
            packets: 58,
            bytes: 5684,
            drops: 3,
            qlen: 1,
        };
        assert_eq!(parse(json).unwrap(), [("1:2".to_owned(), counts)]);
        assert!(parse(b"no json").is_err());
    }
}

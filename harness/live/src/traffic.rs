//! Counts of what was sent on each link in the measured window.

use std::collections::BTreeMap;

use longhaul_experiment::record::LinkTraffic;
use longhaul_experiment::{LinkId, Time};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Replica,
    Client,
}

/// What one thread sent.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    window: Option<(Time, Time)>,
    links: BTreeMap<LinkId, LinkTraffic>,
}

impl Traffic {
    /// Counts from now on what is sent in a window.
    pub(crate) fn measure(&mut self, start: Time, end: Time) {
        self.window = Some((start, end));
    }

    /// Counts a frame.
    pub(crate) fn sent(&mut self, link: LinkId, sender: Sender, at: Time, bytes: usize) {
        if !self
            .window
            .is_some_and(|(start, end)| start <= at && at < end)
        {
            return;
        }
        let traffic = self.links.entry(link).or_insert(LinkTraffic {
            link,
            replica_messages: 0,
            replica_bytes: 0,
            client_messages: 0,
            client_bytes: 0,
        });
        match sender {
            Sender::Replica => {
                traffic.replica_messages += 1;
                traffic.replica_bytes += bytes as u64;
            }
            Sender::Client => {
                traffic.client_messages += 1;
                traffic.client_bytes += bytes as u64;
            }
        }
    }

    /// Returns the counts, by link.
    pub(crate) fn into_links(self) -> Vec<LinkTraffic> {
        self.links.into_values().collect()
    }
}

/// Adds the counts of several threads up, by link.
pub(crate) fn merge(parts: impl IntoIterator<Item = LinkTraffic>) -> Vec<LinkTraffic> {
    let mut links: BTreeMap<LinkId, LinkTraffic> = BTreeMap::new();
    for part in parts {
        links
            .entry(part.link)
            .and_modify(|sum| {
                sum.replica_messages += part.replica_messages;
                sum.replica_bytes += part.replica_bytes;
                sum.client_messages += part.client_messages;
                sum.client_bytes += part.client_bytes;
            })
            .or_insert(part);
    }
    links.into_values().collect()
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::RegionIndex;

    use super::*;

    #[test]
    fn only_the_window_counts_and_parts_add_up() {
        let link = LinkId {
            from: RegionIndex(0),
            to: RegionIndex(1),
        };
        let count = |sender| {
            let mut traffic = Traffic::default();
            traffic.sent(link, sender, Time(15), 100);
            traffic.measure(Time(10), Time(20));
            for at in [9, 10, 19, 20] {
                traffic.sent(link, sender, Time(at), 100);
            }
            traffic.into_links()
        };
        let sum = merge(
            [
                count(Sender::Replica),
                count(Sender::Client),
                count(Sender::Client),
            ]
            .concat(),
        );
        assert_eq!(sum.len(), 1);
        assert_eq!((sum[0].replica_messages, sum[0].replica_bytes), (2, 200));
        assert_eq!((sum[0].client_messages, sum[0].client_bytes), (4, 400));
    }
}

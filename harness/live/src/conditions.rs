//! What faults have made of the links: written by whoever carries the faults out, followed by the
//! receiving ends of connections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longhaul_experiment::{LinkId, RegionIndex, Time, Topology};
use tokio::sync::watch;

use crate::faults::order::LinkFault;

/// What a link is like for frames sent from an instant on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LinkCondition {
    /// Since when.
    pub(crate) from: Time,
    /// What faults have made of it. While it is cut, frames wait at its entrance.
    pub(crate) fault: LinkFault,
    /// What is added to the one-way delay of the link back: retransmissions wait for it, too.
    pub(crate) added_back: Duration,
}

/// A link's conditions in the order of their beginnings, at most one per command of a fault.
pub(crate) type Followed = watch::Receiver<Vec<LinkCondition>>;

/// The conditions of all links of a run.
#[derive(Clone, Debug)]
pub(crate) struct LinkConditions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    links: BTreeMap<LinkId, watch::Sender<Vec<LinkCondition>>>,
    /// Pairs of regions, the lower first, whose connections have ended and stay down.
    ended: Mutex<BTreeSet<(RegionIndex, RegionIndex)>>,
}

impl LinkConditions {
    /// Returns the conditions without faults.
    pub(crate) fn new(topology: &Topology) -> LinkConditions {
        let regions = || topology.profile.region_indexes();
        let links = regions()
            .flat_map(|from| regions().map(move |to| LinkId { from, to }))
            .map(|link| (link, watch::Sender::new(Vec::new())))
            .collect();
        LinkConditions(Arc::new(Shared {
            links,
            ended: Mutex::default(),
        }))
    }

    /// Returns what follows a link's conditions.
    pub(crate) fn follow(&self, link: LinkId) -> Followed {
        self.0.links[&link].subscribe()
    }

    /// Changes a link's condition from an instant on, which is not before that of the last change.
    pub(crate) fn change(&self, link: LinkId, from: Time, fault: LinkFault) {
        let before = self.latest(link).fault;
        self.edit(link, from, |condition| condition.fault = fault);
        if fault.added != before.added {
            let back = LinkId {
                from: link.to,
                to: link.from,
            };
            self.edit(back, from, |condition| condition.added_back = fault.added);
        }
    }

    fn edit(&self, link: LinkId, from: Time, edit: impl FnOnce(&mut LinkCondition)) {
        let mut next = LinkCondition {
            from,
            ..self.latest(link)
        };
        edit(&mut next);
        self.0.links[&link].send_modify(|conditions| conditions.push(next));
    }

    fn latest(&self, link: LinkId) -> LinkCondition {
        let latest = self.0.links[&link].borrow().last().copied();
        latest.unwrap_or_default()
    }

    /// Says whether a link is cut now.
    pub(crate) fn is_cut(&self, link: LinkId) -> bool {
        self.latest(link).fault.is_cut
    }

    /// Ends the connections between two regions until they are restored; `false` when they had
    /// ended.
    pub(crate) fn end_connections(&self, pair: (RegionIndex, RegionIndex)) -> bool {
        self.ended().insert(pair)
    }

    /// Lets connections between two regions come up again.
    pub(crate) fn restore_connections(&self, pair: (RegionIndex, RegionIndex)) {
        self.ended().remove(&pair);
    }

    /// Says whether a connection between two regions can come up now.
    pub(crate) fn are_connectable(&self, a: RegionIndex, b: RegionIndex) -> bool {
        let is_cut = |from, to| self.is_cut(LinkId { from, to });
        !is_cut(a, b) && !is_cut(b, a) && !self.ended().contains(&a.paired_with(b))
    }

    fn ended(&self) -> MutexGuard<'_, BTreeSet<(RegionIndex, RegionIndex)>> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::profile::bundled;

    use super::*;

    #[test]
    fn a_connection_comes_up_when_no_way_is_cut_and_nothing_keeps_it_down() {
        let profile = bundled::bundled("aws-5").expect("it is bundled");
        let conditions = LinkConditions::new(&Topology::everywhere(profile));
        let (a, b, c) = (RegionIndex(0), RegionIndex(1), RegionIndex(2));
        let back = LinkId { from: b, to: a };
        let cut = LinkFault {
            is_cut: true,
            ..LinkFault::default()
        };
        conditions.change(back, Time(1), cut);
        assert!(!conditions.are_connectable(a, b) && !conditions.are_connectable(b, a));
        assert!(conditions.are_connectable(a, c));
        assert!(conditions.end_connections((a, b)));
        assert!(!conditions.end_connections((a, b)), "they had ended");
        conditions.change(back, Time(2), LinkFault::default());
        assert!(!conditions.are_connectable(a, b));
        conditions.restore_connections((a, b));
        assert!(conditions.are_connectable(a, b));
    }

    #[test]
    fn conditions_are_kept_in_order_and_a_delay_is_known_on_the_way_back() {
        let profile = bundled::bundled("aws-5").expect("it is bundled");
        let conditions = LinkConditions::new(&Topology::everywhere(profile));
        let (a, b) = (RegionIndex(0), RegionIndex(1));
        let (link, back) = (LinkId { from: a, to: b }, LinkId { from: b, to: a });
        let added = Duration::from_millis(5);
        let slow = LinkFault {
            added,
            ..LinkFault::default()
        };
        let lossy = LinkFault { loss: 0.5, ..slow };
        conditions.change(link, Time(1), slow);
        conditions.change(link, Time(2), lossy);
        let condition = |from, fault, added_back| LinkCondition {
            from,
            fault,
            added_back,
        };
        let (none, zero) = (LinkFault::default(), Duration::ZERO);
        let seen = |link| conditions.follow(link).borrow().clone();
        let expected = [
            condition(Time(1), slow, zero),
            condition(Time(2), lossy, zero),
        ];
        assert_eq!(seen(link), expected);
        assert_eq!(seen(back), [condition(Time(1), none, added)]);
    }
}

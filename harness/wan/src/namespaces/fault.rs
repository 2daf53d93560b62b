//! What is broken on which link of a network that is up: pure.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::Profile;
use longhaul_experiment::fault::{FaultTarget, faulted_link};
use longhaul_experiment::ids::{LinkId, RegionIndex};
use longhaul_experiment::profile::Link;
use serde::{Deserialize, Serialize};

use super::NetError;

/// A change to some links. It lasts until the next one; what it does not name stays as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRequest {
    /// The links; `None`: all between different regions.
    pub target: Option<FaultTarget>,
    /// What becomes of them.
    pub change: FaultChange,
}

/// What becomes of a link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultChange {
    /// Every packet that enters it is dropped.
    Partition,
    /// It loses this share of packets, 0 to 1, beside what the profile says. Zero ends it.
    Loss(f64),
    /// It takes that much longer than the profile says. Zero ends it.
    Delay(Duration),
    /// It is as the profile says.
    Heal,
}

/// A link that is not as the profile says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkFault {
    /// The region that sends.
    pub from: String,
    /// The region that receives.
    pub to: String,
    /// What is wrong with it.
    #[serde(flatten)]
    pub condition: LinkCondition,
}

/// What faults add to a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkCondition {
    /// Whether it drops every packet.
    pub is_cut: bool,
    /// How much longer it takes.
    pub added: Duration,
    /// The share of packets lost beside the profile's, 0 to 1.
    pub loss: f64,
}

impl LinkCondition {
    /// Returns a profile's link under this condition; that it is cut is not part of it.
    pub(crate) fn applied_to(&self, link: &Link) -> Link {
        faulted_link(link, self.added, self.loss)
    }
}

/// The condition of every link of a network.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    profile: Profile,
    faulty: BTreeMap<LinkId, LinkCondition>,
}

impl Conditions {
    /// Returns the conditions of a network on which nothing is broken.
    pub(crate) fn new(profile: Profile) -> Conditions {
        Conditions {
            profile,
            faulty: BTreeMap::new(),
        }
    }

    /// Takes a change and returns the links that it changes, with what they are then.
    pub(crate) fn change(
        &mut self,
        request: &FaultRequest,
    ) -> Result<Vec<(LinkId, Link, LinkCondition)>, NetError> {
        check(request.change)?;
        let links = self.links(request.target.as_ref())?;
        let mut changed = Vec::new();
        for link in links {
            let before = self.faulty.get(&link).copied().unwrap_or_default();
            let after = match request.change {
                FaultChange::Partition => LinkCondition {
                    is_cut: true,
                    ..before
                },
                FaultChange::Loss(loss) => LinkCondition { loss, ..before },
                FaultChange::Delay(added) => LinkCondition { added, ..before },
                FaultChange::Heal => LinkCondition::default(),
            };
            if after == LinkCondition::default() {
                self.faulty.remove(&link);
            } else {
                self.faulty.insert(link, after);
            }
            if after != before {
                changed.push((link, after.applied_to(self.profile.link(link)), after));
            }
        }
        Ok(changed)
    }

    /// Returns the links that are broken.
    pub(crate) fn faults(&self) -> Vec<LinkFault> {
        let name = |region: RegionIndex| self.profile.regions[region.index()].name.clone();
        self.faulty
            .iter()
            .map(|(link, &condition)| LinkFault {
                from: name(link.from),
                to: name(link.to),
                condition,
            })
            .collect()
    }

    /// Returns the least delay of every link, a row for every region that sends.
    pub(crate) fn one_way(&self) -> Vec<Vec<Duration>> {
        let delay = |from, to| {
            let id = LinkId { from, to };
            let condition = self.faulty.get(&id).copied().unwrap_or_default();
            self.profile.link(id).one_way + condition.added
        };
        let regions = || self.profile.region_indexes();
        regions()
            .map(|from| regions().map(|to| delay(from, to)).collect())
            .collect()
    }

    fn links(&self, target: Option<&FaultTarget>) -> Result<Vec<LinkId>, NetError> {
        let regions: Vec<RegionIndex> = self.profile.region_indexes().collect();
        let all = regions.iter().flat_map(|&from| {
            let others = regions.iter().filter(move |&&to| to != from);
            others.map(move |&to| LinkId { from, to })
        });
        let around = |names: &[String]| -> Result<Vec<LinkId>, NetError> {
            let inside: Result<Vec<RegionIndex>, _> =
                names.iter().map(|name| self.region(name)).collect();
            let inside = inside?;
            let crosses = |link: &LinkId| inside.contains(&link.from) != inside.contains(&link.to);
            Ok(all.clone().filter(crosses).collect())
        };
        match target {
            None => Ok(all.collect()),
            Some(FaultTarget::Link(from, to)) => Ok(vec![self.link(from, to)?]),
            Some(FaultTarget::Pair(a, b)) => Ok(vec![self.link(a, b)?, self.link(b, a)?]),
            Some(FaultTarget::Replica(region)) => around(std::slice::from_ref(region)),
            Some(FaultTarget::Regions(regions)) => around(regions),
            Some(FaultTarget::Leader) => Err(NetError::Fault(
                "a network has no leader: name a link, a pair of regions or regions".to_owned(),
            )),
        }
    }

    fn link(&self, from: &str, to: &str) -> Result<LinkId, NetError> {
        let link = LinkId {
            from: self.region(from)?,
            to: self.region(to)?,
        };
        if link.from == link.to {
            return Err(NetError::Fault(format!(
                "'{from}' is named twice: a link is between two regions"
            )));
        }
        Ok(link)
    }

    fn region(&self, name: &str) -> Result<RegionIndex, NetError> {
        let regions = &self.profile.regions;
        self.profile
            .region(name)
            .ok_or_else(|| NetError::UnknownRegion {
                name: name.to_owned(),
                known: regions
                    .iter()
                    .map(|region| region.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

fn check(change: FaultChange) -> Result<(), NetError> {
    match change {
        FaultChange::Loss(loss) if !(0.0..=1.0).contains(&loss) => Err(NetError::Fault(format!(
            "{loss} is no share of packets: give a number from 0 to 1"
        ))),
        FaultChange::Delay(added) if added > Duration::from_secs(60) => Err(NetError::Fault(
            format!("{added:?} is too long a delay: give at most 60s"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::profile::bundled;

    use super::*;

    fn conditions() -> Conditions {
        Conditions::new(bundled::bundled("lan-3").expect("it is bundled"))
    }

    fn names() -> (String, String, String) {
        let profile = conditions().profile;
        let name = |index: usize| profile.regions[index].name.clone();
        (name(0), name(1), name(2))
    }

    fn request(target: Option<FaultTarget>, change: FaultChange) -> FaultRequest {
        FaultRequest { target, change }
    }

    #[test]
    fn a_partitioned_region_loses_its_links_in_both_directions_and_no_other() {
        let (a, ..) = names();
        let mut conditions = conditions();
        let target = FaultTarget::Regions(vec![a.clone()]);
        let changed = conditions
            .change(&request(Some(target), FaultChange::Partition))
            .unwrap();
        // Of 3 x 2 links, two begin and two end in the region.
        assert_eq!(changed.len(), 4);
        assert!(changed.iter().all(|(.., condition)| condition.is_cut));
        assert!(
            conditions
                .faults()
                .iter()
                .all(|fault| fault.from == a || fault.to == a)
        );
        let healed = conditions
            .change(&request(None, FaultChange::Heal))
            .unwrap();
        assert_eq!(healed.len(), 4);
        assert!(conditions.faults().is_empty());
    }

    #[test]
    fn delay_and_loss_meet_on_one_link_and_end_apart() {
        let (a, b, _) = names();
        let mut conditions = conditions();
        let link = || Some(FaultTarget::Link(a.clone(), b.clone()));
        let added = Duration::from_millis(50);
        conditions
            .change(&request(link(), FaultChange::Delay(added)))
            .unwrap();
        let changed = conditions
            .change(&request(link(), FaultChange::Loss(0.25)))
            .unwrap();
        let [(id, parameters, _)] = changed.as_slice() else {
            panic!("{changed:?}")
        };
        assert_eq!(
            parameters.one_way,
            conditions.profile.link(*id).one_way + added
        );
        assert_eq!(parameters.loss, 0.25);
        let none = FaultChange::Delay(Duration::ZERO);
        conditions.change(&request(link(), none)).unwrap();
        let left = conditions.faults();
        assert_eq!((left.len(), left[0].condition.loss), (1, 0.25));
        // Nothing changes: nothing is to be done.
        assert!(
            conditions
                .change(&request(link(), none))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let (a, ..) = names();
        let mut conditions = conditions();
        for (target, change) in [
            (
                FaultTarget::Pair(a.clone(), a.clone()),
                FaultChange::Partition,
            ),
            (
                FaultTarget::Pair(a.clone(), "nowhere".to_owned()),
                FaultChange::Partition,
            ),
            (FaultTarget::Leader, FaultChange::Partition),
            (FaultTarget::Replica(a.clone()), FaultChange::Loss(1.5)),
            (FaultTarget::Replica(a.clone()), FaultChange::Loss(f64::NAN)),
        ] {
            assert!(conditions.change(&request(Some(target), change)).is_err());
        }
        assert!(conditions.faults().is_empty());
    }
}

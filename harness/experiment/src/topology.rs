//! Topologies: a profile with replicas and clients placed in it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{LinkId, RegionIndex, ReplicaId};
use crate::profile::Profile;

/// A profile and who is where in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// The regions and links.
    pub profile: Profile,
    /// The region of each replica; a [`ReplicaId`] counts into this list. At most one a region.
    pub replicas: Vec<RegionIndex>,
    /// The replica that should lead in modes with a leader.
    pub leader: ReplicaId,
    /// The regions that have clients.
    pub clients: Vec<RegionIndex>,
}

/// Why a placement is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// No replica was placed.
    #[error("no replicas placed: name at least one region")]
    NoReplicas,
    /// No clients were placed.
    #[error("no clients placed: name at least one region")]
    NoClients,
    /// A region's name is not in the profile.
    #[error("unknown region '{name}' in profile '{profile}': it has {known}")]
    UnknownRegion {
        /// The name given.
        name: String,
        /// The profile's name.
        profile: String,
        /// The profile's region names, joined.
        known: String,
    },
    /// A region was named twice.
    #[error("region '{name}' is named twice")]
    Duplicate {
        /// The name given.
        name: String,
    },
    /// The leader's region has no replica.
    #[error("the leader's region '{name}' has no replica: the replicas are in {replicas}")]
    LeaderWithoutReplica {
        /// The name given.
        name: String,
        /// The replicas' region names, joined.
        replicas: String,
    },
}

impl Topology {
    /// Places replicas and clients in the named regions and the leader in `leader`, which
    /// defaults to the first replica's region.
    ///
    /// # Errors
    ///
    /// Unknown or repeated names, empty placements, and a leader's region without a replica.
    pub fn place(
        profile: Profile,
        replicas: &[&str],
        clients: &[&str],
        leader: Option<&str>,
    ) -> Result<Topology, PlacementError> {
        let replica_regions = find_regions(&profile, replicas)?;
        let client_regions = find_regions(&profile, clients)?;
        if replica_regions.is_empty() {
            return Err(PlacementError::NoReplicas);
        }
        if client_regions.is_empty() {
            return Err(PlacementError::NoClients);
        }
        let leader = match leader {
            None => ReplicaId(0),
            Some(name) => {
                let region = find_regions(&profile, &[name])?[0];
                let position = replica_regions
                    .iter()
                    .position(|&replica| replica == region);
                ReplicaId(
                    position.ok_or_else(|| PlacementError::LeaderWithoutReplica {
                        name: name.to_owned(),
                        replicas: replicas.join(", "),
                    })? as u16,
                )
            }
        };
        Ok(Topology {
            profile,
            replicas: replica_regions,
            leader,
            clients: client_regions,
        })
    }

    /// Places a replica and clients in every region of the profile; the leader is in the first.
    pub fn everywhere(profile: Profile) -> Topology {
        let regions: Vec<RegionIndex> = profile.region_indexes().collect();
        Topology {
            profile,
            replicas: regions.clone(),
            leader: ReplicaId(0),
            clients: regions,
        }
    }

    /// Returns all replica ids in order.
    pub fn replica_ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.replicas.len() as u16).map(ReplicaId)
    }

    /// Returns a replica's region.
    pub fn region_of(&self, replica: ReplicaId) -> RegionIndex {
        self.replicas[replica.index()]
    }

    /// Returns a region's name.
    pub fn region_name(&self, region: RegionIndex) -> &str {
        &self.profile.regions[region.index()].name
    }

    /// Returns the link from one replica to another.
    pub fn replica_link(&self, from: ReplicaId, to: ReplicaId) -> LinkId {
        LinkId {
            from: self.region_of(from),
            to: self.region_of(to),
        }
    }

    /// Returns the round trip between two replicas at minimum delays; zero to itself.
    pub fn replica_round_trip(&self, a: ReplicaId, b: ReplicaId) -> Duration {
        if a == b {
            return Duration::ZERO;
        }
        self.profile
            .round_trip(self.region_of(a), self.region_of(b))
    }

    /// Returns the replica nearest to a region by round trip at minimum delays; the lowest id
    /// among equals.
    pub fn nearest_replica(&self, region: RegionIndex) -> ReplicaId {
        self.replica_ids()
            .min_by_key(|&replica| self.profile.round_trip(region, self.region_of(replica)))
            .expect("a topology has a replica")
    }

    /// Returns the largest round trip between two replicas: what time-outs are scaled from.
    pub fn largest_round_trip(&self) -> Duration {
        let pairs = self
            .replica_ids()
            .flat_map(|a| self.replica_ids().map(move |b| (a, b)));
        pairs
            .map(|(a, b)| self.replica_round_trip(a, b))
            .max()
            .unwrap_or(Duration::ZERO)
    }
}

fn find_regions(profile: &Profile, names: &[&str]) -> Result<Vec<RegionIndex>, PlacementError> {
    let mut found = Vec::with_capacity(names.len());
    for &name in names {
        let region = profile
            .region(name)
            .ok_or_else(|| PlacementError::UnknownRegion {
                name: name.to_owned(),
                profile: profile.name.clone(),
                known: profile
                    .regions
                    .iter()
                    .map(|region| region.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })?;
        if found.contains(&region) {
            return Err(PlacementError::Duplicate {
                name: name.to_owned(),
            });
        }
        found.push(region);
    }
    Ok(found)
}

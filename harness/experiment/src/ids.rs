//! Names of things: newtypes, so that one kind of number never passes for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A region of a profile: its index in the profile's list of regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegionIndex(pub u16);

impl RegionIndex {
    /// Returns the index for slices.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Returns the region with another as a pair that has no direction: the lower first.
    pub fn paired_with(self, other: RegionIndex) -> (RegionIndex, RegionIndex) {
        (self.min(other), self.max(other))
    }
}

/// A replica: its index in the topology's list of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId(pub u16);

impl ReplicaId {
    /// Returns the index for slices.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "r{}", self.0)
    }
}

/// A client session. Operations of one client carry increasing sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub u32);

impl fmt::Display for ClientId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "c{}", self.0)
    }
}

/// An operation's identity: a retry carries the same one, and no two operations share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId {
    /// The session that issued it.
    pub client: ClientId,
    /// Its number within the session, from 0, without gaps.
    pub sequence: u64,
}

impl fmt::Display for OperationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.client, self.sequence)
    }
}

/// A key of the replicated store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub u64);

/// The version of a key's value: totally ordered, unique per write, meaning fixed by the mode.
///
/// Log modes put the log index into `major`. The register packs its tag (counter; coordinator,
/// incarnation, sequence) and last-writer-wins its hybrid logical clock and writer. The least
/// version, [`Version::NONE`], is that of a key never written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Version {
    /// Compared first.
    pub major: u64,
    /// Breaks ties.
    pub minor: u64,
}

impl Version {
    /// The version of a key that was never written.
    pub const NONE: Version = Version { major: 0, minor: 0 };
}

/// One end of a directed link. Clients of a region and its replica are apart by that region's
/// LAN, so a client's link is the link from its region to the replica's region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkId {
    /// Where frames enter.
    pub from: RegionIndex,
    /// Where frames leave.
    pub to: RegionIndex,
}

impl LinkId {
    /// Returns the regions at its ends, the lower first: the same as of the link back.
    pub fn ends(self) -> (RegionIndex, RegionIndex) {
        self.from.paired_with(self.to)
    }
}

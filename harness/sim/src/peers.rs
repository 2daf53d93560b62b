//! Connections and their epochs: between replicas, and between clients and replicas.

use std::collections::BTreeMap;

use longhaul_experiment::{RegionIndex, ReplicaId};

use crate::simulation::ClientAddress;

/// Numbers a connection epoch of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u32);

/// One connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    epoch: Epoch,
    /// Whether the epoch's connection is up or being made.
    is_open: bool,
}

impl Connection {
    const FIRST: Connection = Connection {
        epoch: Epoch(0),
        is_open: true,
    };

    /// Ends the epoch and returns it.
    fn end(&mut self) -> Epoch {
        let ended = self.epoch;
        self.epoch = Epoch(ended.0 + 1);
        self.is_open = false;
        ended
    }
}

/// The current epoch of every pair of replicas. What was sent in an earlier one is lost.
#[derive(Debug)]
pub struct Epochs {
    count: usize,
    /// Row-major; only the half above the diagonal is used.
    current: Vec<Connection>,
}

impl Epochs {
    /// Returns the first epoch of every pair, with all connections open.
    pub fn new(replicas: usize) -> Epochs {
        Epochs {
            count: replicas,
            current: vec![Connection::FIRST; replicas * replicas],
        }
    }

    /// Returns a pair's epoch.
    pub fn of(&self, a: ReplicaId, b: ReplicaId) -> Epoch {
        self.current[self.index(a, b)].epoch
    }

    /// Says whether a pair's connection is up or being made.
    pub fn is_open(&self, a: ReplicaId, b: ReplicaId) -> bool {
        self.current[self.index(a, b)].is_open
    }

    /// Ends a pair's epoch, and returns the one that ended.
    pub fn end(&mut self, a: ReplicaId, b: ReplicaId) -> Epoch {
        let index = self.index(a, b);
        self.current[index].end()
    }

    /// Begins to connect a pair, and returns the epoch that this will be.
    pub fn open(&mut self, a: ReplicaId, b: ReplicaId) -> Epoch {
        let index = self.index(a, b);
        self.current[index].is_open = true;
        self.current[index].epoch
    }

    fn index(&self, a: ReplicaId, b: ReplicaId) -> usize {
        let (low, high) = (a.min(b), a.max(b));
        low.index() * self.count + high.index()
    }
}

/// The current epochs of the connections between clients and replicas.
///
/// All connections of one region's clients to one replica share their fate, but for those that
/// were given up alone.
#[derive(Debug)]
pub struct ClientEpochs {
    replicas: usize,
    /// Row-major: regions, then replicas.
    shared: Vec<Connection>,
    /// Connections that were given up alone since their region's last epoch began.
    alone: BTreeMap<(ClientAddress, ReplicaId), Connection>,
    /// The last epoch of every pair of region and replica: no two of its connections share one.
    last: Vec<Epoch>,
}

impl ClientEpochs {
    /// Returns the first epoch of every region's connections, all open.
    pub fn new(regions: usize, replicas: usize) -> ClientEpochs {
        ClientEpochs {
            replicas,
            shared: vec![Connection::FIRST; regions * replicas],
            alone: BTreeMap::new(),
            last: vec![Connection::FIRST.epoch; regions * replicas],
        }
    }

    /// Returns the epoch that a region's connections to a replica share.
    pub fn shared(&self, region: RegionIndex, replica: ReplicaId) -> Epoch {
        self.shared[self.index(region, replica)].epoch
    }

    /// Says whether they are up.
    pub fn is_shared_up(&self, region: RegionIndex, replica: ReplicaId) -> bool {
        self.shared[self.index(region, replica)].is_open
    }

    /// Returns the epoch of one client's connection to a replica.
    #[inline]
    pub fn of(&self, client: ClientAddress, replica: ReplicaId) -> Epoch {
        self.connection(client, replica).epoch
    }

    /// Says whether it is up.
    #[inline]
    pub fn is_up(&self, client: ClientAddress, replica: ReplicaId) -> bool {
        self.connection(client, replica).is_open
    }

    /// Ends the epoch of all connections of a region to a replica.
    pub fn end(&mut self, region: RegionIndex, replica: ReplicaId) {
        let epoch = self.next(region, replica);
        let index = self.index(region, replica);
        self.shared[index] = Connection {
            epoch,
            is_open: false,
        };
        self.alone
            .retain(|(client, to), _| (client.region, *to) != (region, replica));
    }

    /// Ends the epoch of one connection.
    pub fn end_alone(&mut self, client: ClientAddress, replica: ReplicaId) {
        let epoch = self.next(client.region, replica);
        let ended = Connection {
            epoch,
            is_open: false,
        };
        self.alone.insert((client, replica), ended);
    }

    /// Brings the connections of a region up again.
    pub fn open(&mut self, region: RegionIndex, replica: ReplicaId) {
        let index = self.index(region, replica);
        self.shared[index].is_open = true;
    }

    /// Brings one connection that was given up alone up again.
    pub fn open_alone(&mut self, client: ClientAddress, replica: ReplicaId) {
        if let Some(connection) = self.alone.get_mut(&(client, replica)) {
            connection.is_open = true;
        }
    }

    /// Returns the connections of a region that were given up alone and are down, with their
    /// epochs.
    pub fn down_alone(
        &self,
        region: RegionIndex,
        replica: ReplicaId,
    ) -> Vec<(ClientAddress, Epoch)> {
        let alone = self.alone.iter().filter(|((client, to), connection)| {
            (client.region, *to) == (region, replica) && !connection.is_open
        });
        alone
            .map(|(&(client, _), connection)| (client, connection.epoch))
            .collect()
    }

    #[inline]
    fn connection(&self, client: ClientAddress, replica: ReplicaId) -> Connection {
        if !self.alone.is_empty()
            && let Some(&connection) = self.alone.get(&(client, replica))
        {
            return connection;
        }
        self.shared[self.index(client.region, replica)]
    }

    fn next(&mut self, region: RegionIndex, replica: ReplicaId) -> Epoch {
        let index = self.index(region, replica);
        self.last[index].0 += 1;
        self.last[index]
    }

    fn index(&self, region: RegionIndex, replica: ReplicaId) -> usize {
        region.index() * self.replicas + replica.index()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_given_up_alone_leaves_the_others_and_goes_on_with_them() {
        let (region, replica) = (RegionIndex(1), ReplicaId(2));
        let client = |connection| ClientAddress { region, connection };
        let mut epochs = ClientEpochs::new(2, 3);
        let first = epochs.of(client(0), replica);
        epochs.end_alone(client(0), replica);
        let alone = epochs.of(client(0), replica);
        assert!(alone != first && !epochs.is_up(client(0), replica));
        assert_eq!(epochs.of(client(1), replica), first);
        assert!(epochs.is_up(client(1), replica));
        assert_eq!(epochs.down_alone(region, replica), [(client(0), alone)]);
        epochs.open_alone(client(0), replica);
        assert!(epochs.is_up(client(0), replica));
        assert_eq!(epochs.down_alone(region, replica), []);

        epochs.end(region, replica);
        let next = epochs.shared(region, replica);
        assert!(
            next != first && next != alone,
            "no frame of either survives"
        );
        assert_eq!(epochs.of(client(0), replica), next);
        assert!(!epochs.is_up(client(0), replica));
        epochs.open(region, replica);
        assert!(epochs.is_up(client(0), replica) && epochs.is_up(client(1), replica));
    }
}

//! Connections and their epochs: between replicas, and between clients and replicas.

use longhaul_experiment::{RegionIndex, ReplicaId};

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

/// The current epoch of the connections between the clients of every region and every replica.
/// All connections of one region's clients to one replica share their fate.
#[derive(Debug)]
pub struct ClientEpochs {
    replicas: usize,
    /// Row-major: regions, then replicas.
    current: Vec<Connection>,
}

impl ClientEpochs {
    /// Returns the first epoch of every region's connections, all open.
    pub fn new(regions: usize, replicas: usize) -> ClientEpochs {
        ClientEpochs {
            replicas,
            current: vec![Connection::FIRST; regions * replicas],
        }
    }

    /// Returns the epoch of the connections between a region's clients and a replica.
    pub fn of(&self, region: RegionIndex, replica: ReplicaId) -> Epoch {
        self.current[self.index(region, replica)].epoch
    }

    /// Says whether they are up.
    pub fn is_up(&self, region: RegionIndex, replica: ReplicaId) -> bool {
        self.current[self.index(region, replica)].is_open
    }

    /// Ends their epoch.
    pub fn end(&mut self, region: RegionIndex, replica: ReplicaId) {
        let index = self.index(region, replica);
        self.current[index].end();
    }

    /// Brings them up again.
    pub fn open(&mut self, region: RegionIndex, replica: ReplicaId) {
        let index = self.index(region, replica);
        self.current[index].is_open = true;
    }

    fn index(&self, region: RegionIndex, replica: ReplicaId) -> usize {
        region.index() * self.replicas + replica.index()
    }
}

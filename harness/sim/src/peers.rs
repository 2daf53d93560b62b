//! Connection epochs between replicas.

use longhaul_experiment::ReplicaId;

/// Numbers a connection epoch of one pair of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u32);

/// The current epoch of every pair. What was sent in an earlier one is lost.
#[derive(Debug)]
pub struct Epochs {
    count: usize,
    /// Row-major; only the half above the diagonal is used.
    current: Vec<Epoch>,
}

impl Epochs {
    /// Returns the first epoch of every pair.
    pub fn new(replicas: usize) -> Epochs {
        Epochs {
            count: replicas,
            current: vec![Epoch(0); replicas * replicas],
        }
    }

    /// Returns a pair's epoch.
    pub fn of(&self, a: ReplicaId, b: ReplicaId) -> Epoch {
        self.current[self.index(a, b)]
    }

    /// Ends a pair's epoch, and returns the next.
    pub fn end(&mut self, a: ReplicaId, b: ReplicaId) -> Epoch {
        let index = self.index(a, b);
        self.current[index].0 += 1;
        self.current[index]
    }

    fn index(&self, a: ReplicaId, b: ReplicaId) -> usize {
        let (low, high) = (a.min(b), a.max(b));
        low.index() * self.count + high.index()
    }
}

//! What a log's disk and process are like: both change while the log is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use longhaul_experiment::time::nanos;

/// How much longer each sync takes than the disk itself does: a slow disk. It is a property of
/// the machine, which outlives processes. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SyncDelay(Arc<AtomicU64>);

impl SyncDelay {
    /// Sets what is added to the syncs that begin from here on.
    pub fn set(&self, added: Duration) {
        self.0.store(nanos(added), Ordering::Release);
    }

    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }
}

/// A disk as one process sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    delay: SyncDelay,
    killed: Arc<AtomicBool>,
}

impl Disk {
    /// Returns the disk of a new process.
    pub(super) fn new(delay: SyncDelay) -> Disk {
        Disk {
            delay,
            killed: Arc::default(),
        }
    }

    /// Kills the process; a writer that waits has to be unparked.
    pub(super) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
    }

    /// Says whether the process is dead.
    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Waits for what is added to a sync; `false` when the process died meanwhile.
    pub(super) fn outlive_delay(&self) -> bool {
        let until = Instant::now() + self.delay.get();
        while !self.is_killed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::park_timeout(left);
        }
        false
    }
}

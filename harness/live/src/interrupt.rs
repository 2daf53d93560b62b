//! A request to end a run early, which leaves a valid partial record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells a run to end. Clones stand for the same request.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    raised: AtomicBool,
    wake: Notify,
}

impl Interrupt {
    /// Asks the run to end.
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::Release);
        // Both those who wait and the next to wait.
        self.0.wake.notify_waiters();
        self.0.wake.notify_one();
    }

    /// Says whether the run was asked to end.
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Waits until the run is asked to end.
    pub(crate) async fn raised(&self) {
        while !self.is_raised() {
            self.0.wake.notified().await;
        }
    }
}

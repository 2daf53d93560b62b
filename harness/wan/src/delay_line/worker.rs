//! The precise thread: take in, release what is due, wait for the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::time::nanos;

use super::inbox::{Order, Shared};
use super::queues::Queues;
use super::{Options, Release, ReleaseKind, Sink};

/// Items released before the sink is flushed and arrivals are taken in, even if more are due.
const BATCH_MAX: usize = 256;

/// Lateness kept aside while a reader copies the histograms; beyond it the thread waits for them.
const UNRECORDED_MAX: usize = 1 << 16;

/// Over this time the batches are counted that decide about spinning.
const DENSITY_WINDOW: Duration = Duration::from_millis(1);

pub(super) struct Worker<T, S> {
    shared: Arc<Shared<T>>,
    options: Options,
    sink: S,
    queues: Queues<T>,
    /// Swapped with the inbox; empty between rounds.
    orders: Vec<Order<T>>,
    /// Lateness in nanoseconds that is not in the shared histograms yet.
    unrecorded: Vec<(ReleaseKind, u64)>,
    /// When the latest batches were released, at most `spin_batches_max` of them.
    batches: VecDeque<Time>,
}

impl<T, S: Sink<T>> Worker<T, S> {
    pub(super) fn new(shared: Arc<Shared<T>>, options: Options, sink: S) -> Worker<T, S> {
        Worker {
            shared,
            options,
            sink,
            queues: Queues::new(),
            orders: Vec::new(),
            unrecorded: Vec::new(),
            batches: VecDeque::new(),
        }
    }

    /// Runs until the line is closed.
    pub(super) fn run(mut self) {
        // A sink that panics ends the thread: orders must not pile up behind it.
        let _closed = CloseOnDrop(Arc::clone(&self.shared));
        loop {
            let closed = self.shared.take(&mut self.orders);
            if closed {
                return;
            }
            self.take_in();
            let released = self.release_due();
            self.record_lateness();
            if !released {
                self.wait();
            }
        }
    }

    fn take_in(&mut self) {
        for order in self.orders.drain(..) {
            match order {
                Order::Push { queue, due, item } => self.queues.push(queue, due, item),
                Order::Source { queue, items } => self.queues.set_source(queue, items),
                Order::Timer { due, item } => self.queues.push_timer(due, item),
                Order::Close { queue } => self.queues.close(queue),
            }
        }
    }

    /// Releases one batch of what is due. Says whether there was anything.
    fn release_due(&mut self) -> bool {
        let mut count = 0;
        let mut now = self.options.clock.now();
        while count < BATCH_MAX {
            let Some(next) = self.queues.pop_due(now + self.options.compensation) else {
                break;
            };
            self.unrecorded
                .push((next.kind, nanos(now.since(next.due))));
            self.sink.release(Release {
                item: next.item,
                due: next.due,
                released_at: now,
                kind: next.kind,
                queue: next.queue,
            });
            count += 1;
            now = self.options.clock.now();
        }
        if count == 0 {
            return false;
        }
        self.sink.flush();
        if self.batches.len() >= self.options.spin_batches_max as usize {
            self.batches.pop_front();
        }
        self.batches.push_back(now);
        true
    }

    fn record_lateness(&mut self) {
        if self.unrecorded.is_empty() {
            return;
        }
        let histograms = match self.shared.try_lateness() {
            None if self.unrecorded.len() > UNRECORDED_MAX => Some(self.shared.lateness()),
            other => other,
        };
        if let Some(mut histograms) = histograms {
            for (kind, lateness_ns) in self.unrecorded.drain(..) {
                histograms[kind as usize].record_ns(lateness_ns);
            }
        }
    }

    /// Waits until the next item is due, or something arrives that is due before it. May return
    /// early.
    fn wait(&mut self) {
        let due = self.queues.next_due();
        if !self.shared.announce_wait(due) {
            return;
        }
        if due == Time::MAX {
            thread::park();
            return;
        }
        let clock = self.options.clock;
        let deadline = due - self.options.compensation;
        let now = clock.now();
        let spin = if self.is_sparse(now) {
            self.options.spin
        } else {
            Duration::ZERO
        };
        let sleep = (deadline - spin).since(now);
        if !sleep.is_zero() {
            // On Linux a futex with an absolute time-out: it obeys the thread's timer slack.
            thread::park_timeout(sleep);
            if clock.now() + spin < deadline {
                return;
            }
        }
        while clock.now() < deadline && !self.shared.has_arrivals() {
            std::hint::spin_loop();
        }
    }

    /// Says whether fewer batches than the limit were released within the last millisecond.
    fn is_sparse(&self, now: Time) -> bool {
        let limit = self.options.spin_batches_max as usize;
        if self.batches.len() < limit {
            return true;
        }
        limit > 0
            && self
                .batches
                .front()
                .is_some_and(|&oldest| now.since(oldest) > DENSITY_WINDOW)
    }
}

/// Closes the line when the thread ends, however it ends.
struct CloseOnDrop<T>(Arc<Shared<T>>);

impl<T> Drop for CloseOnDrop<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

//! The hand-over from any thread to the precise one.
//!
//! A locked vector, swapped out whole: a push holds the lock for some 20 ns. The precise thread is
//! woken only when it waits for something later than what was pushed. The lock sleeps in the
//! kernel when contended, so a real-time waiter lets a preempted holder run; a lock-free queue that
//! spins for its peer would not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use longhaul_experiment::Time;
use longhaul_experiment::histogram::Histogram;

use super::{Paced, QueueId};

/// Orders left lying from which on the thread is woken, so that taking them in never holds up a
/// release by more than a few microseconds.
const ORDERS_LYING_MAX: usize = 256;

/// What a handle asks of the thread.
pub(super) enum Order<T> {
    Push { queue: QueueId, due: Time, item: T },
    Source { queue: QueueId, items: Paced<T> },
    Timer { due: Time, item: T },
    Close { queue: QueueId },
}

/// What handles and thread share.
pub(super) struct Shared<T> {
    inbox: Mutex<Inbox<T>>,
    /// Set by a push, for a spinning thread to see without the lock.
    arrived: AtomicBool,
    /// One per release kind.
    lateness: Mutex<[Histogram; 3]>,
}

struct Inbox<T> {
    orders: Vec<Order<T>>,
    /// What the thread waits for; [`Time::ZERO`] while it is awake.
    waiting_until: Time,
    closed: bool,
}

impl<T> Shared<T> {
    pub(super) fn new() -> Shared<T> {
        Shared {
            inbox: Mutex::new(Inbox {
                orders: Vec::new(),
                waiting_until: Time::ZERO,
                closed: false,
            }),
            arrived: AtomicBool::new(false),
            lateness: Mutex::new([Histogram::new(), Histogram::new(), Histogram::new()]),
        }
    }

    /// Hands over an order due then. Says whether the thread must be woken.
    pub(super) fn submit(&self, due: Time, order: Order<T>) -> bool {
        let mut inbox = self.inbox();
        if inbox.closed {
            return false;
        }
        inbox.orders.push(order);
        self.arrived.store(true, Ordering::Relaxed);
        inbox.must_wake(due)
    }

    /// Hands over orders of which the earliest is due then. Says whether the thread must be woken.
    pub(super) fn submit_all(&self, due: Time, orders: Vec<Order<T>>) -> bool {
        let mut inbox = self.inbox();
        if inbox.closed {
            return false;
        }
        inbox.orders.extend(orders);
        self.arrived.store(true, Ordering::Relaxed);
        inbox.must_wake(due)
    }

    /// Swaps the orders out into an empty vector. Says whether the line is closed.
    pub(super) fn take(&self, orders: &mut Vec<Order<T>>) -> bool {
        let mut inbox = self.inbox();
        std::mem::swap(&mut inbox.orders, orders);
        inbox.waiting_until = Time::ZERO;
        self.arrived.store(false, Ordering::Relaxed);
        inbox.closed
    }

    /// Announces a wait. Says whether the thread may wait: nothing has arrived meanwhile.
    pub(super) fn announce_wait(&self, until: Time) -> bool {
        let mut inbox = self.inbox();
        let idle = inbox.orders.is_empty() && !inbox.closed;
        if idle {
            inbox.waiting_until = until;
        }
        idle
    }

    /// Says, without the lock, whether something has arrived since the last take.
    pub(super) fn has_arrivals(&self) -> bool {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Closes the line: orders are refused from here on, and the thread ends when it next looks.
    pub(super) fn close(&self) {
        let mut inbox = self.inbox();
        inbox.closed = true;
        self.arrived.store(true, Ordering::Relaxed);
    }

    pub(super) fn lateness(&self) -> MutexGuard<'_, [Histogram; 3]> {
        self.lateness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Shared::lateness`], without waiting for a reader that is copying.
    pub(super) fn try_lateness(&self) -> Option<MutexGuard<'_, [Histogram; 3]>> {
        self.lateness.try_lock().ok()
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox<T>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inbox<T> {
    fn must_wake(&mut self, due: Time) -> bool {
        let asleep = self.waiting_until != Time::ZERO;
        let wake = due < self.waiting_until || (asleep && self.orders.len() >= ORDERS_LYING_MAX);
        if wake {
            // Whoever pushes next need not wake it again.
            self.waiting_until = Time::ZERO;
        }
        wake
    }
}

//! The delay line: one precise thread that releases items at their instants.
//!
//! Timers of an asynchronous runtime are a millisecond coarse, so frames, paced operations and
//! replica timers wait here, outside of it. The thread sleeps with the least timer slack until
//! shortly before the next item is due, spins the rest while releases are few, and runs at a
//! real-time priority where that is permitted.
//!
//! Instants are logical: an item's due time is computed from when its frame was *sent*, so a late
//! release delays no later one. How late releases were is kept per kind and read at any time.
//!
//! Memory grows with what waits, which the callers bound: frames by rate times delay, paced items
//! by one per source, timers by one per replica and purpose.

mod inbox;
mod queues;
mod scheduling;
mod worker;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::histogram::Histogram;

use crate::clock::Clock;
use inbox::{Order, Shared};
use scheduling::ThreadId;
pub use scheduling::{make_precise, thread_processor_time};
use worker::Worker;

/// A queue of a delay line: its items leave in the order in which they were pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(u32);

impl QueueId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Items with the instants at which they are due, in order. It is pulled on the precise thread,
/// so a step must be cheap: no lock, no call into the system.
pub type Paced<T> = Box<dyn Iterator<Item = (Time, T)> + Send>;

/// How a released item came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseKind {
    /// Pushed into a queue.
    Frame,
    /// Pulled from a source.
    Paced,
    /// Pushed without order.
    Timer,
}

/// An item that leaves the line.
#[derive(Debug)]
pub struct Release<T> {
    /// The item.
    pub item: T,
    /// When it was due; in a queue never before its predecessor.
    pub due: Time,
    /// When it left. Lateness is `released_at - due`.
    pub released_at: Time,
    /// How it came in.
    pub kind: ReleaseKind,
    /// Its queue; `None` for timers.
    pub queue: Option<QueueId>,
}

/// Where items go. All calls come from the precise thread and must not block.
pub trait Sink<T>: Send + 'static {
    /// Takes one item.
    fn release(&mut self, release: Release<T>);

    /// Ends a batch: all that was due has been released, or 256 items have. Wake receivers here,
    /// once, instead of once an item.
    fn flush(&mut self) {}
}

impl<T, F: FnMut(Release<T>) + Send + 'static> Sink<T> for F {
    fn release(&mut self, release: Release<T>) {
        self(release);
    }
}

/// How a delay line waits.
#[derive(Clone, Debug)]
pub struct Options {
    /// The thread's name, at most 15 bytes on Linux.
    pub name: String,
    /// The clock that due times are on.
    pub clock: Clock,
    /// The SCHED_FIFO priority to ask for, 1 to 99; `None`: stay at normal priority.
    pub priority: Option<u8>,
    /// Subtracted from every due time, to make up for the mean cost of a wake-up. Lateness still
    /// counts from the due time, and is zero where an item left before it.
    pub compensation: Duration,
    /// How long before a due time the thread stops sleeping and spins; zero: never.
    pub spin: Duration,
    /// Batches in the last millisecond from which on it does not spin. With
    /// [`Options::spin`] it bounds spinning to a share of one processor: 4 x 100 us a ms, 40%,
    /// and about half of that where wake-ups are some 50 us late.
    pub spin_batches_max: u32,
}

impl Options {
    /// Returns the defaults: SCHED_FIFO 20 where permitted, no compensation, spins of 100 us
    /// while fewer than 4 batches were released in the last millisecond.
    pub fn new(clock: Clock) -> Options {
        Options {
            name: "delay-line".to_owned(),
            clock,
            priority: Some(20),
            compensation: Duration::ZERO,
            spin: Duration::from_micros(100),
            spin_batches_max: 4,
        }
    }
}

/// The precise thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("starting the delay line's thread failed, check the limit on threads: {0}")]
pub struct SpawnError(#[from] io::Error);

/// A handle to a delay line.
///
/// The thread ends when the last handle is dropped; what still waits is dropped with it. A sink
/// that keeps a handle keeps its own line alive for ever.
///
/// ```
/// use std::sync::mpsc::channel;
/// use std::time::Duration;
/// use longhaul_wan::clock::Clock;
/// use longhaul_wan::delay_line::{DelayLine, Options, Release};
///
/// let clock = Clock::start();
/// let (sender, receiver) = channel();
/// let sink = move |release: Release<&'static str>| sender.send(release).unwrap();
/// let line = DelayLine::spawn(Options::new(clock), sink)?;
/// let queue = line.open_queue();
/// line.push(queue, clock.now() + Duration::from_millis(2), "frame");
/// let release = receiver.recv().unwrap();
/// assert!(release.released_at >= release.due);
/// # Ok::<(), longhaul_wan::delay_line::SpawnError>(())
/// ```
pub struct DelayLine<T> {
    owner: Arc<Owner<T>>,
}

impl<T> Clone for DelayLine<T> {
    fn clone(&self) -> Self {
        DelayLine {
            owner: Arc::clone(&self.owner),
        }
    }
}

impl<T> fmt::Debug for DelayLine<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DelayLine")
            .field("scheduling", &self.owner.scheduling)
            .field("options", &self.owner.options)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> DelayLine<T> {
    /// Starts a delay line whose items go to `sink`.
    ///
    /// # Errors
    ///
    /// Fails when the system starts no more threads.
    pub fn spawn(options: Options, sink: impl Sink<T>) -> Result<DelayLine<T>, SpawnError> {
        let shared = Arc::new(Shared::new());
        let (started, on_start) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(options.name.clone()).spawn({
            let (shared, options) = (Arc::clone(&shared), options.clone());
            move || {
                let scheduling = scheduling::make_precise(options.priority);
                let _ = started.send((scheduling, ThreadId::current()));
                Worker::new(shared, options, sink).run();
            }
        })?;
        let (scheduling, thread_id) = on_start
            .recv()
            .map_err(|_| io::Error::other("the thread ended at once"))?;
        Ok(DelayLine {
            owner: Arc::new(Owner {
                shared,
                thread: Some(thread),
                thread_id,
                scheduling,
                options,
                queues: AtomicU32::new(0),
            }),
        })
    }

    /// Opens a new queue, e.g. for one connection epoch. Costs about 100 bytes for the life of
    /// the line, open or closed.
    pub fn open_queue(&self) -> QueueId {
        QueueId(self.owner.queues.fetch_add(1, Ordering::Relaxed))
    }

    /// Closes a queue: what waits in it is dropped, and so is what is pushed later.
    pub fn close_queue(&self, queue: QueueId) {
        self.submit(Time::ZERO, Order::Close { queue });
    }

    /// Appends an item to a queue. A due time before that of the item pushed last is raised to it.
    pub fn push(&self, queue: QueueId, due: Time, item: T) {
        self.submit(due, Order::Push { queue, due, item });
    }

    /// Appends items to a queue, handing them over at once.
    pub fn push_all(&self, queue: QueueId, items: impl IntoIterator<Item = (Time, T)>) {
        let mut first = Time::MAX;
        let orders = items.into_iter().map(|(due, item)| {
            first = first.min(due);
            Order::Push { queue, due, item }
        });
        let orders: Vec<Order<T>> = orders.collect();
        if self.owner.shared.submit_all(first, orders) {
            self.wake();
        }
    }

    /// Gives a queue a source: its next item is pulled when the one before has left, so memory
    /// stays flat however long the source is. A source replaces the one before.
    pub fn source(&self, queue: QueueId, items: Paced<T>) {
        self.submit(Time::ZERO, Order::Source { queue, items });
    }

    /// Adds an item that leaves at its due time whatever else waits.
    pub fn push_unordered(&self, due: Time, item: T) {
        self.submit(due, Order::Timer { due, item });
    }

    /// Returns how late items of that kind left since the last reset, batches still under way
    /// apart. Copies up to 1 MB; the thread does not wait meanwhile.
    pub fn lateness(&self, kind: ReleaseKind) -> Histogram {
        let copy = self.owner.shared.lateness()[kind as usize].clone();
        // What could not be recorded during the copy is recorded now, not at the next release.
        self.wake();
        copy
    }

    /// Forgets the lateness so far, of all kinds.
    pub fn reset_lateness(&self) {
        let mut lateness = self.owner.shared.lateness();
        lateness.iter_mut().for_each(Histogram::clear);
    }

    /// Returns the processor time that the thread has used; `None` where the system does not tell.
    pub fn processor_time(&self) -> Option<Duration> {
        self.owner.thread_id.processor_time()
    }

    /// Returns how the thread is scheduled, in the record's words: `SCHED_FIFO 20` or
    /// `normal: SCHED_FIFO is not permitted`.
    pub fn scheduling(&self) -> &str {
        &self.owner.scheduling
    }

    /// Returns the options it was started with.
    pub fn options(&self) -> &Options {
        &self.owner.options
    }

    fn submit(&self, due: Time, order: Order<T>) {
        if self.owner.shared.submit(due, order) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.owner.thread {
            thread.thread().unpark();
        }
    }
}

/// What all handles share; ends the thread when it is dropped.
struct Owner<T> {
    shared: Arc<Shared<T>>,
    /// `None` only while it is being dropped.
    thread: Option<JoinHandle<()>>,
    thread_id: ThreadId,
    scheduling: String,
    options: Options,
    queues: AtomicU32,
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        self.shared.close();
        let Some(thread) = self.thread.take() else {
            return;
        };
        thread.thread().unpark();
        // An item may carry the last handle, so that the thread itself drops it: no join then.
        if thread.thread().id() != thread::current().id() {
            // A panic of the sink has been printed already; here the line ends either way.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;

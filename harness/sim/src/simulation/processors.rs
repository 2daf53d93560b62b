//! A replica's processors and its disk: what comes for it waits until they are free and takes its
//! time, as [`ServiceTimes`] states it.
//!
//! Whatever has come when the processors become free is one batch. It is received, then handled,
//! then what follows from it is sent, one message after the other. A replica without stated
//! times has no processors here: it handles every event at once.

use longhaul_experiment::random::Generator;
use longhaul_experiment::service::ServiceTimes;
use longhaul_experiment::{ReplicaId, Seed, Stream, Time};
use longhaul_protocol::{Effect, Mode};
use longhaul_wan::marginal::QuantileTable;
use std::time::Duration;

use super::events::{Event, Frame};
use super::{EffectOf, EventOf, Simulation};
use crate::queue::EventKey;

/// The processors of one replica.
pub(super) struct Processors<M: Mode> {
    times: ServiceTimes,
    state: State,
    /// What came while they were busy.
    waiting: Vec<(EventKey, EventOf<M>)>,
    /// What they are receiving.
    batch: Vec<(EventKey, EventOf<M>)>,
    /// How many of them share the messages that are being sent.
    senders: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Receiving,
    Sending,
}

impl<M: Mode> Processors<M> {
    /// Returns idle processors; `None` when their work takes no time.
    pub fn new(times: &ServiceTimes) -> Option<Box<Processors<M>>> {
        let processors = Processors {
            times: times.clone(),
            state: State::Idle,
            waiting: Vec::new(),
            batch: Vec::new(),
            senders: 1,
        };
        (!times.processors_are_free()).then(|| Box::new(processors))
    }

    /// Forgets what they were at.
    pub fn stop(&mut self) {
        self.state = State::Idle;
        self.waiting.clear();
        self.batch.clear();
    }

    /// Learns what is to be sent next.
    pub fn expect(&mut self, effects: &[EffectOf<M>]) {
        let is_sent =
            |effect: &&EffectOf<M>| matches!(effect, Effect::Send { .. } | Effect::Reply { .. });
        let messages = effects.iter().filter(is_sent).count();
        self.senders = self.times.cores.min(messages as u32).max(1);
    }

    /// Returns how long sending one message takes.
    pub fn sending(&self, bytes: usize) -> Duration {
        self.times.busy(1, bytes as u64) / self.senders
    }
}

/// The disk of one replica. A sync takes all records that wait when it begins, and syncs follow
/// one another.
pub(super) struct Disk {
    /// How long syncs take.
    table: QuantileTable,
    generator: Generator,
    /// When the sync that runs ends.
    running_until: Time,
    /// When the sync after that ends, if anything waits for it.
    next_until: Option<Time>,
}

impl Disk {
    pub fn new(times: &ServiceTimes, id: ReplicaId, seed: Seed) -> Disk {
        Disk {
            table: QuantileTable::new(&times.sync),
            generator: seed.stream(Stream::Sync, id.index() as u64),
            running_until: Time::ZERO,
            next_until: None,
        }
    }

    /// Returns when records are safe that it is given at an instant; its syncs take `added` more.
    pub fn safe_at(&mut self, at: Time, added: Duration) -> Time {
        if at >= self.running_until
            && let Some(next) = self.next_until.take()
        {
            self.running_until = next;
        }
        if at >= self.running_until {
            self.running_until = at + self.draw() + added;
            return self.running_until;
        }
        match self.next_until {
            Some(next) => next,
            None => {
                let next = self.running_until + self.draw() + added;
                self.next_until = Some(next);
                next
            }
        }
    }

    fn draw(&mut self) -> Duration {
        self.table.draw(&mut self.generator)
    }

    /// Forgets what it was at.
    pub fn stop(&mut self) {
        self.running_until = Time::ZERO;
        self.next_until = None;
    }
}

impl<M: Mode> Simulation<M> {
    /// Lets an event wait until a replica's processors are free.
    pub(super) fn wait_for_processors(&mut self, id: ReplicaId, key: EventKey, event: EventOf<M>) {
        let node = &mut self.nodes[id.index()];
        if let Some(processors) = &mut node.processors {
            processors.waiting.push((key, event));
            if processors.state == State::Idle {
                self.begin_receiving(id);
            }
        }
    }

    /// Goes on with a replica's work when its processors are done with a part of it.
    pub(super) fn carry_out_work(&mut self, id: ReplicaId, incarnation: u32) {
        let now = self.now;
        let node = &mut self.nodes[id.index()];
        let Some(processors) = &mut node.processors else {
            return;
        };
        if node.incarnation != incarnation || node.replica.is_none() {
            return;
        }
        if processors.state == State::Receiving {
            let mut batch = std::mem::take(&mut processors.batch);
            for (key, event) in batch.drain(..) {
                self.carry_out_at_once(key, event);
            }
            self.end_batches();
            let node = &mut self.nodes[id.index()];
            let busy_until = node.busy_until;
            if let Some(processors) = &mut node.processors {
                processors.batch = batch;
                if busy_until > now {
                    processors.state = State::Sending;
                    self.work_until(id, busy_until);
                    return;
                }
            }
        }
        self.begin_receiving(id);
    }

    fn begin_receiving(&mut self, id: ReplicaId) {
        let node = &mut self.nodes[id.index()];
        let Some(processors) = &mut node.processors else {
            return;
        };
        if processors.waiting.is_empty() {
            processors.state = State::Idle;
            return;
        }
        std::mem::swap(&mut processors.waiting, &mut processors.batch);
        processors.state = State::Receiving;
        let (mut messages, mut bytes) = (0, 0);
        // Walking a message takes longer than handling it, so it is done where size counts.
        let by_size = !processors.times.per_kib.is_zero();
        for (_, event) in &processors.batch {
            let size = match event {
                Event::Frame(Frame::Message { message, .. }) if by_size => {
                    self.network.frame_bytes(message)
                }
                Event::Frame(Frame::Request { request, .. }) if by_size => {
                    self.network.frame_bytes(request)
                }
                Event::Frame(Frame::Message { .. } | Frame::Request { .. }) => 0,
                _ => continue,
            };
            messages += 1;
            bytes += size as u64;
        }
        let takes = processors.times.busy(messages, bytes);
        let takes = takes.mul_f64(node.slow_factor);
        node.busy_until = node.busy_until.max(self.now) + takes;
        let done = node.busy_until;
        self.work_until(id, done);
    }

    fn work_until(&mut self, id: ReplicaId, until: Time) {
        let event = Event::Work {
            replica: id,
            incarnation: self.nodes[id.index()].incarnation,
        };
        self.queue.push(until, event);
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::profile::Marginal;

    use super::*;

    fn disk(sync: Duration) -> Disk {
        let times = ServiceTimes {
            sync: Marginal::Quantiles(vec![(0.0, sync), (1.0, sync)]),
            ..ServiceTimes::default()
        };
        Disk::new(&times, ReplicaId(0), Seed(1))
    }

    #[test]
    fn records_that_come_during_a_sync_share_the_next_one() {
        let ms = Time::from_millis;
        let mut disk = disk(Duration::from_millis(4));
        assert_eq!(disk.safe_at(ms(10), Duration::ZERO), ms(14));
        assert_eq!(disk.safe_at(ms(11), Duration::ZERO), ms(18));
        assert_eq!(disk.safe_at(ms(13), Duration::ZERO), ms(18));
        // The sync for those two began at 14 ms; what comes at 15 ms waits for its end.
        assert_eq!(disk.safe_at(ms(15), Duration::ZERO), ms(22));
        assert_eq!(disk.safe_at(ms(40), Duration::from_millis(1)), ms(45));
    }
}

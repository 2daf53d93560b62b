//! The receiving end of a link: decides when what arrived is let through, and sees to it.
//!
//! A frame carries its logical send time, so the time that loopback and the scheduler took lies
//! within the emulated delay and only the precise thread's lateness is added to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use longhaul_experiment::{LinkId, Time};
use longhaul_protocol::Replica;
use longhaul_wan::clock::Clock;
use longhaul_wan::delay_line::QueueId;
use longhaul_wan::link::{LinkCore, Verdict};
use serde::de::DeserializeOwned;

use crate::delivery::{Delayed, Delivery, Mailboxes, PreciseLine};
use crate::messages::ProbeSample;
use crate::transport::{Inbound, Received};

/// The instant from which frames are delayed; before it, they pass at once.
#[derive(Clone, Debug)]
pub(crate) struct EmulatedFrom(Arc<AtomicU64>);

impl Default for EmulatedFrom {
    fn default() -> EmulatedFrom {
        EmulatedFrom(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl EmulatedFrom {
    pub(crate) fn set(&self, at: Time) {
        self.0.store(at.as_nanos(), Ordering::Release);
    }

    fn covers(&self, sent_at: Time) -> bool {
        sent_at.as_nanos() >= self.0.load(Ordering::Acquire)
    }
}

/// What the receiving ends of one thread share.
pub(crate) struct Gate<R: Replica> {
    pub(crate) clock: Clock,
    pub(crate) line: PreciseLine<R>,
    pub(crate) mailboxes: Mailboxes<R>,
    pub(crate) emulated_from: EmulatedFrom,
}

impl<R: Replica> Clone for Gate<R> {
    fn clone(&self) -> Gate<R> {
        Gate {
            clock: self.clock,
            line: self.line.clone(),
            mailboxes: self.mailboxes.clone(),
            emulated_from: self.emulated_from.clone(),
        }
    }
}

/// The receiving end of one connection.
pub(crate) struct ReceivingEnd<R: Replica + 'static> {
    link: LinkId,
    core: LinkCore,
    gate: Gate<R>,
    queue: QueueId,
    /// Frames of this connection that the precise thread holds.
    held: Arc<AtomicU32>,
    /// What is handed to the precise thread with the next [`ReceivingEnd::flush`].
    batch: Vec<(Time, Delayed<R>)>,
}

impl<R: Replica + 'static> ReceivingEnd<R> {
    pub(crate) fn new(link: LinkId, core: LinkCore, gate: Gate<R>) -> ReceivingEnd<R> {
        let queue = gate.line.open_queue();
        ReceivingEnd {
            link,
            core,
            gate,
            queue,
            held: Arc::default(),
            batch: Vec::new(),
        }
    }

    /// Lets a frame through when its time has come.
    pub(crate) fn admit(&mut self, sent_at: Time, bytes: usize, delivery: Delivery<R>) {
        let due = self.due(sent_at, bytes);
        self.deliver_at(due, delivery);
    }

    /// As [`ReceivingEnd::admit`], for a probe: `delivery` gets what the link core asked for.
    pub(crate) fn admit_probe(
        &mut self,
        sent_at: Time,
        bytes: usize,
        delivery: impl FnOnce(ProbeSample) -> Delivery<R>,
    ) {
        let due = self.due(sent_at, bytes);
        let asked_ns = due.since(sent_at).as_nanos() as u64;
        let sample = ProbeSample {
            link: self.link,
            asked_ns,
            achieved_ns: 0,
        };
        self.deliver_at(due, delivery(sample));
    }

    fn due(&mut self, sent_at: Time, bytes: usize) -> Time {
        if !self.gate.emulated_from.covers(sent_at) {
            return sent_at;
        }
        match self.core.send(sent_at, bytes) {
            Verdict::Deliver(due) => due,
            Verdict::Held => Time::MAX,
        }
    }

    /// At once, unless its time is still to come or frames before it are still held.
    fn deliver_at(&mut self, due: Time, delivery: Delivery<R>) {
        let waits = !self.batch.is_empty()
            || self.held.load(Ordering::Acquire) > 0
            || due > self.gate.clock.now();
        if waits {
            self.held.fetch_add(1, Ordering::AcqRel);
            let held = Some(Arc::clone(&self.held));
            self.batch.push((due, Delayed { delivery, held }));
        } else {
            self.gate.mailboxes.deliver(delivery);
        }
    }

    /// Hands over what waits; called once for all that arrived together.
    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.gate.line.push_all(self.queue, self.batch.drain(..));
        }
    }
}

/// Reads a connection until it ends or sends what is no frame; `admit` takes each frame.
pub(crate) async fn read_frames<R: Replica + 'static, T: DeserializeOwned>(
    inbound: &mut Inbound,
    receiving: &mut ReceivingEnd<R>,
    mut admit: impl FnMut(&mut ReceivingEnd<R>, Received<T>),
) {
    while let Ok(true) = inbound.fill().await {
        loop {
            match inbound.next_frame() {
                Ok(Some(frame)) => admit(receiving, frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        receiving.flush();
    }
}

impl<R: Replica + 'static> Drop for ReceivingEnd<R> {
    fn drop(&mut self) {
        self.gate.line.close_queue(self.queue);
    }
}

//! The receiving end of a link: decides when what arrived is let through, and sees to it.
//!
//! A frame carries its logical send time, so the time that loopback and the scheduler took lies
//! within the emulated delay and only the precise thread's lateness is added to it. What faults do
//! to the link holds for frames by their send time, too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use longhaul_experiment::fault::faulted_link;
use longhaul_experiment::{LinkId, Time};
use longhaul_protocol::Replica;
use longhaul_wan::clock::Clock;
use longhaul_wan::delay_line::QueueId;
use longhaul_wan::link::{LinkCore, Verdict};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::conditions::{Followed, LinkCondition, LinkConditions};
use crate::delivery::{Delayed, Delivery, Mailboxes, PreciseLine};
use crate::links::Links;
use crate::messages::ProbeSample;
use crate::transport::{Inbound, Outbound, Received};

/// Who delays frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Emulation {
    /// This program, by the profile's links: the network beneath is a loopback.
    UserSpace,
    /// The network itself: what comes from another region passes as it arrives. Nothing delays
    /// what stays within a region, so this program does.
    Network,
}

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

    pub(crate) fn covers(&self, sent_at: Time) -> bool {
        sent_at.as_nanos() >= self.0.load(Ordering::Acquire)
    }
}

/// What the receiving ends of one thread share.
pub(crate) struct Gate<R: Replica> {
    pub(crate) clock: Clock,
    pub(crate) line: PreciseLine<R>,
    pub(crate) mailboxes: Mailboxes<R>,
    pub(crate) emulation: Emulation,
    pub(crate) emulated_from: EmulatedFrom,
    pub(crate) links: Links,
    pub(crate) conditions: LinkConditions,
}

impl<R: Replica> Clone for Gate<R> {
    fn clone(&self) -> Gate<R> {
        Gate {
            clock: self.clock,
            line: self.line.clone(),
            mailboxes: self.mailboxes.clone(),
            emulation: self.emulation,
            emulated_from: self.emulated_from.clone(),
            links: self.links.clone(),
            conditions: self.conditions.clone(),
        }
    }
}

impl<R: Replica> Gate<R> {
    /// Says whether this program, and not the network, delays what takes a link.
    fn emulates(&self, link: LinkId) -> bool {
        self.emulation == Emulation::UserSpace || link.from == link.to
    }

    /// Says whether this program delays what is sent on a link then.
    pub(crate) fn delays(&self, link: LinkId, sent_at: Time) -> bool {
        self.emulates(link) && self.emulated_from.covers(sent_at)
    }
}

impl<R: Replica + 'static> Gate<R>
where
    R::Message: Send,
    R::Timer: Send,
{
    /// Waits for an instant on the precise thread: the runtime's own timers are a millisecond
    /// coarse. The wait borrows nothing, and ends early when the run does.
    pub(crate) fn until(&self, at: Time) -> impl Future<Output = ()> + use<R> {
        let (wake, woken) = oneshot::channel();
        self.line.push_unordered(at, Delivery::Wake(wake).into());
        async move {
            // Dropped unsent with the line.
            let _ = woken.await;
        }
    }
}

/// The receiving end of one connection.
pub(crate) struct ReceivingEnd<R: Replica + 'static> {
    link: LinkId,
    core: LinkCore,
    gate: Gate<R>,
    queue: QueueId,
    conditions: Followed,
    /// How many of the conditions hold for what was sent last.
    conditions_met: usize,
    condition: LinkCondition,
    /// Frames that wait for the link to heal, with their bytes: at most what is sent until the
    /// connection ends for want of a word.
    at_entrance: VecDeque<(usize, Delivery<R>)>,
    /// What is delivered when the other end has closed the connection, or gave it up; `None`: it
    /// is on its way.
    end: Option<Delivery<R>>,
    /// Whether the news of the end waits behind the frames at the entrance.
    end_is_at_entrance: bool,
    /// Frames of this connection that the precise thread holds.
    held: Arc<AtomicU32>,
    /// What is handed to the precise thread with the next [`ReceivingEnd::flush`].
    batch: Vec<(Time, Delayed<R>)>,
}

impl<R: Replica + 'static> ReceivingEnd<R> {
    /// Returns the end of a connection over a link; `connection` tells its random draws apart.
    pub(crate) fn new(link: LinkId, connection: u64, gate: Gate<R>) -> ReceivingEnd<R> {
        ReceivingEnd {
            link,
            core: gate.links.core(link, connection),
            queue: gate.line.open_queue(),
            conditions: gate.conditions.follow(link),
            conditions_met: 0,
            condition: LinkCondition::default(),
            at_entrance: VecDeque::new(),
            end: None,
            end_is_at_entrance: false,
            held: Arc::default(),
            batch: Vec::new(),
            gate,
        }
    }

    /// Lets a frame through when its time has come.
    pub(crate) fn admit(&mut self, sent_at: Time, bytes: usize, delivery: Delivery<R>) {
        match self.verdict(sent_at, bytes) {
            Verdict::Deliver(due) => self.deliver_at(due, delivery),
            Verdict::Held => self.at_entrance.push_back((bytes, delivery)),
            Verdict::GivenUp(_) => {}
        }
    }

    /// As [`ReceivingEnd::admit`], for a probe: `delivery` gets what the link core asked for. A
    /// cut link has no delay, and lets no probe through.
    pub(crate) fn admit_probe(
        &mut self,
        sent_at: Time,
        bytes: usize,
        delivery: impl FnOnce(ProbeSample) -> Delivery<R>,
    ) {
        let Verdict::Deliver(due) = self.verdict(sent_at, bytes) else {
            return;
        };
        let asked = if self.gate.emulates(self.link) {
            Verdict::Deliver(due)
        } else {
            // What the network was asked for is known as a distribution only.
            self.core.send(sent_at, bytes)
        };
        let Verdict::Deliver(asked) = asked else {
            return;
        };
        let asked_ns = asked.since(sent_at).as_nanos() as u64;
        let sample = ProbeSample {
            link: self.link,
            asked_ns,
            achieved_ns: 0,
        };
        self.deliver_at(due, delivery(sample));
    }

    /// Lets the news through that the other end closed the connection, after all that it sent:
    /// one one-way delay from an instant.
    fn admit_end(&mut self, at: Time) {
        match self.verdict(at, 0) {
            Verdict::Deliver(due) => self.deliver_end_at(due),
            Verdict::Held => self.end_is_at_entrance = true,
            Verdict::GivenUp(_) => {}
        }
        self.flush();
    }

    fn deliver_end_at(&mut self, due: Time) {
        if let Some(end) = self.end.take() {
            self.deliver_at(due, end);
        }
    }

    fn verdict(&mut self, sent_at: Time, bytes: usize) -> Verdict {
        self.meet_conditions(sent_at);
        if !self.gate.delays(self.link, sent_at) {
            return Verdict::Deliver(sent_at);
        }
        self.send(sent_at, bytes)
    }

    /// Sends over the link core. A connection that its sender gives up ends here, too: what is
    /// told then has it closed.
    fn send(&mut self, sent_at: Time, bytes: usize) -> Verdict {
        let verdict = self.core.send(sent_at, bytes);
        if let Verdict::GivenUp(at) = verdict {
            self.deliver_end_at(at);
        }
        verdict
    }

    /// Makes the link what it is for frames sent at an instant.
    fn meet_conditions(&mut self, at: Time) {
        loop {
            let next = self.conditions.borrow().get(self.conditions_met).copied();
            let Some(next) = next.filter(|next| next.from <= at) else {
                return;
            };
            self.conditions_met += 1;
            self.meet(next);
        }
    }

    fn meet(&mut self, next: LinkCondition) {
        let before = std::mem::replace(&mut self.condition, next);
        let (fault, fault_before) = (next.fault, before.fault);
        let burden = |of: LinkCondition| (of.fault.added, of.added_back, of.fault.loss);
        if burden(next) != burden(before) {
            let links = &self.gate.links;
            let faulted = faulted_link(links.link(self.link), fault.added, fault.loss);
            let round_trip = links.round_trip(self.link.from, self.link.to);
            self.core
                .set_link(&faulted, round_trip + fault.added + next.added_back);
        }
        if fault.is_cut && !fault_before.is_cut {
            self.core.partition(next.from, Time::MAX);
        }
        if fault_before.is_cut && !fault.is_cut {
            self.core.heal();
            for (bytes, delivery) in std::mem::take(&mut self.at_entrance) {
                if let Verdict::Deliver(due) = self.send(next.from, bytes) {
                    self.deliver_at(due, delivery);
                }
            }
            if std::mem::take(&mut self.end_is_at_entrance) {
                self.admit_end(next.from);
            }
        }
    }

    /// Waits for the link's next condition and meets it.
    async fn follow_conditions(&mut self) {
        // The sender lives as long as the gate.
        let _ = self.conditions.changed().await;
        self.meet_conditions(self.gate.clock.now());
        self.flush();
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

/// A connection to be read.
pub(crate) struct Reading<R: Replica + 'static> {
    pub(crate) inbound: Inbound,
    /// The same connection's writing half: closing it ends the reading.
    pub(crate) outbound: Outbound,
    pub(crate) receiving: ReceivingEnd<R>,
    /// What is delivered when the other side has ended it: whoever takes it is to close it.
    pub(crate) ended: Delivery<R>,
}

impl<R: Replica + 'static> Reading<R> {
    /// Reads frames until this side closes the connection; `admit` takes each.
    ///
    /// When the other side ends it, or sends what is no frame, that is news one one-way delay
    /// later, after all that came before.
    pub(crate) async fn run<T: DeserializeOwned>(
        self,
        admit: impl FnMut(&mut ReceivingEnd<R>, Received<T>),
    ) {
        let Reading {
            mut inbound,
            outbound,
            mut receiving,
            ended,
        } = self;
        let reading = async {
            receiving.end = Some(ended);
            read_frames(&mut inbound, &mut receiving, admit).await;
            receiving.admit_end(receiving.gate.clock.now());
            loop {
                receiving.follow_conditions().await;
            }
        };
        tokio::select! {
            () = reading => {}
            () = outbound.closed() => {}
        }
    }
}

async fn read_frames<R: Replica + 'static, T: DeserializeOwned>(
    inbound: &mut Inbound,
    receiving: &mut ReceivingEnd<R>,
    mut admit: impl FnMut(&mut ReceivingEnd<R>, Received<T>),
) {
    loop {
        // Frames may have come together with the hello before them.
        loop {
            match inbound.next_frame() {
                Ok(Some(frame)) => admit(receiving, frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        receiving.flush();
        tokio::select! {
            filled = inbound.fill() => {
                if !filled.is_ok_and(|is_open| is_open) {
                    return;
                }
            }
            () = receiving.follow_conditions() => {}
        }
    }
}

impl<R: Replica + 'static> Drop for ReceivingEnd<R> {
    fn drop(&mut self) {
        self.gate.line.close_queue(self.queue);
    }
}

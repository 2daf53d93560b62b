//! What becomes of a packet on a link: the datagrams' contract.
//!
//! Delay, jitter, rate and order are the link core's, which the other backends share. Loss is not:
//! there it delays a stream, here it drops the packet, and the sender's TCP finds out. A link with
//! a rate has a queue before it, of one round trip's worth of bytes, and drops what does not fit.

use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::profile::Link;
use longhaul_experiment::random::{Generator, open_unit};

use crate::link::{LinkCore, Verdict};

/// The least queue of a link with a rate, in bytes: 64 full packets.
pub const QUEUE_BYTES_MIN: u64 = 64 * 1500;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramVerdict {
    /// It leaves the link then, never before the one before it.
    Deliver(Time),
    /// It is lost on the way.
    Lost,
    /// The link is cut.
    Cut,
    /// The queue before the link is full.
    Overflown,
}

/// A directed link between two regions, as packets see it.
#[derive(Clone, Debug)]
pub struct DatagramLink {
    core: LinkCore,
    loss: PacketLoss,
    queue: Option<WireQueue>,
    is_cut: bool,
}

impl DatagramLink {
    /// Returns a link. Its draws come from `generator` alone.
    pub fn new(link: &Link, generator: Generator) -> DatagramLink {
        // Losses draw from a stream of their own: asking for loss changes no draw of the jitter.
        let mut losses = generator.clone();
        losses.set_stream(2);
        DatagramLink {
            core: LinkCore::new(&without_loss(link), generator),
            loss: PacketLoss::new(link.loss, losses),
            queue: link.rate_bps.map(|rate| WireQueue::new(rate, link.one_way)),
            is_cut: false,
        }
    }

    /// Takes a packet of `bytes` bytes, from its IP header on, at the logical instant `at`.
    pub fn send(&mut self, at: Time, bytes: usize) -> DatagramVerdict {
        if self.is_cut {
            return DatagramVerdict::Cut;
        }
        // A packet that will be lost was on the wire before: it takes its time there.
        if let Some(queue) = &mut self.queue
            && !queue.takes(at, bytes)
        {
            return DatagramVerdict::Overflown;
        }
        match self.core.send(at, bytes) {
            Verdict::Deliver(_) if self.loss.draws_loss() => DatagramVerdict::Lost,
            Verdict::Deliver(due) => DatagramVerdict::Deliver(due),
            // The core is never told of partitions and losses, which it has for streams.
            Verdict::Held => DatagramVerdict::Cut,
            Verdict::GivenUp(_) => DatagramVerdict::Lost,
        }
    }

    /// Changes the link for the packets sent from here on; what is under way arrives.
    pub fn set(&mut self, link: &Link, is_cut: bool) {
        // The round trip matters to losses alone.
        self.core.set_link(&without_loss(link), 2 * link.one_way);
        self.loss.set(link.loss);
        let busy_until = self.queue.map_or(Time::ZERO, |queue| queue.busy_until);
        self.queue = link.rate_bps.map(|rate| WireQueue {
            busy_until,
            ..WireQueue::new(rate, link.one_way)
        });
        self.is_cut = is_cut;
    }
}

/// Says whether several segments may pass a link as one packet: nothing on it tells them apart.
pub fn takes_offload(link: &Link) -> bool {
    link.loss <= 0.0 && link.rate_bps.is_none()
}

fn without_loss(link: &Link) -> Link {
    Link {
        loss: 0.0,
        ..link.clone()
    }
}

/// Independent losses, by the distance to the next one.
#[derive(Clone, Debug)]
struct PacketLoss {
    share: f64,
    /// Packets that arrive before the next lost one.
    until_loss: u64,
    generator: Generator,
}

impl PacketLoss {
    fn new(share: f64, generator: Generator) -> PacketLoss {
        let mut loss = PacketLoss {
            share: 0.0,
            until_loss: u64::MAX,
            generator,
        };
        loss.set(share);
        loss
    }

    fn set(&mut self, share: f64) {
        let share = if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        };
        if share != self.share {
            self.share = share;
            self.until_loss = self.draw_distance();
        }
    }

    fn draws_loss(&mut self) -> bool {
        if self.share == 0.0 {
            return false;
        }
        if self.until_loss > 0 {
            self.until_loss -= 1;
            return false;
        }
        self.until_loss = self.draw_distance();
        true
    }

    /// Geometric, by inversion: P(distance >= n) = (1 - share)^n.
    fn draw_distance(&mut self) -> u64 {
        if self.share == 0.0 {
            return u64::MAX;
        }
        // With everything lost the quotient is zero.
        (libm::log(open_unit(&mut self.generator)) / libm::log1p(-self.share)) as u64
    }
}

/// The bytes that wait for a wire with a rate.
#[derive(Clone, Copy, Debug)]
struct WireQueue {
    rate_bps: u64,
    /// How long the last byte that fits may wait.
    wait_max: Duration,
    busy_until: Time,
}

impl WireQueue {
    fn new(rate_bps: u64, one_way: Duration) -> WireQueue {
        let rate_bps = rate_bps.max(1);
        let least = transmission(QUEUE_BYTES_MIN, rate_bps);
        WireQueue {
            rate_bps,
            wait_max: (one_way * 2).max(least),
            busy_until: Time::ZERO,
        }
    }

    /// Says whether a packet fits; if it does, it is taken.
    fn takes(&mut self, at: Time, bytes: usize) -> bool {
        let free_at = self.busy_until.max(at) + transmission(bytes as u64, self.rate_bps);
        let fits = free_at.since(at) <= self.wait_max;
        if fits {
            self.busy_until = free_at;
        }
        fits
    }
}

fn transmission(bytes: u64, rate_bps: u64) -> Duration {
    let ns = u128::from(bytes) * 8_000_000_000 / u128::from(rate_bps);
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{Seed, Stream};

    use super::*;

    const ONE_WAY: Duration = Duration::from_millis(25);

    fn datagrams(link: &Link) -> DatagramLink {
        DatagramLink::new(link, Seed(3).stream(Stream::Link, 0))
    }

    #[test]
    fn a_packet_takes_the_one_way_delay() {
        let mut link = datagrams(&Link::fixed(ONE_WAY));
        let verdict = link.send(Time::from_millis(10), 1500);
        assert_eq!(verdict, DatagramVerdict::Deliver(Time::from_millis(35)));
    }

    #[test]
    fn packets_are_lost_at_the_asked_share_and_the_others_are_not_delayed() {
        let mut link = datagrams(&Link {
            loss: 0.01,
            ..Link::fixed(ONE_WAY)
        });
        let mut lost = 0;
        for packet in 0..200_000u64 {
            let at = Time::from_nanos(packet * 10_000);
            match link.send(at, 1500) {
                DatagramVerdict::Lost => lost += 1,
                other => assert_eq!(other, DatagramVerdict::Deliver(at + ONE_WAY)),
            }
        }
        // Standard deviation sqrt(200 000 x 0.01 x 0.99) = 44.5: five of them either way.
        assert!((1778..=2222).contains(&lost), "{lost}");
    }

    #[test]
    fn a_cut_link_drops_everything_until_it_heals() {
        let parameters = Link::fixed(ONE_WAY);
        let mut link = datagrams(&parameters);
        link.set(&parameters, true);
        assert_eq!(link.send(Time::ZERO, 100), DatagramVerdict::Cut);
        link.set(&parameters, false);
        let after = link.send(Time::from_millis(1), 100);
        assert_eq!(after, DatagramVerdict::Deliver(Time::from_millis(26)));
    }

    #[test]
    fn a_wire_with_a_rate_queues_one_round_trip_and_drops_the_rest() {
        // 12 Mbit/s: a packet of 1500 bytes takes 1 ms, so 50 of them fill a round trip of 50 ms
        // and 64 the least queue. At one instant 64 fit, the n-th leaving after n + 25 ms.
        let mut link = datagrams(&Link {
            rate_bps: Some(12_000_000),
            ..Link::fixed(ONE_WAY)
        });
        let delivered_ms = |verdict| match verdict {
            DatagramVerdict::Deliver(due) => (due.as_secs_f64() * 1e3).round(),
            other => panic!("{other:?}"),
        };
        for packet in 1..=64 {
            let verdict = link.send(Time::ZERO, 1500);
            assert_eq!(delivered_ms(verdict), f64::from(packet) + 25.0);
        }
        assert_eq!(link.send(Time::ZERO, 1500), DatagramVerdict::Overflown);
        // A millisecond later one more fits.
        let later = Time::from_millis(1);
        assert_eq!(delivered_ms(link.send(later, 1500)), 65.0 + 25.0);
        assert_eq!(link.send(later, 1500), DatagramVerdict::Overflown);
    }

    #[test]
    fn order_stays_when_a_link_becomes_shorter() {
        let mut link = datagrams(&Link::fixed(ONE_WAY));
        link.send(Time::ZERO, 100);
        link.set(&Link::fixed(Duration::from_millis(1)), false);
        let second = link.send(Time::from_millis(1), 100);
        assert_eq!(second, DatagramVerdict::Deliver(Time::from_millis(25)));
    }

    #[test]
    fn offload_is_for_links_that_do_not_look_at_segments() {
        let plain = Link::fixed(ONE_WAY);
        assert!(takes_offload(&plain));
        assert!(!takes_offload(&Link {
            loss: 1e-6,
            ..plain.clone()
        }));
        assert!(!takes_offload(&Link {
            rate_bps: Some(1),
            ..plain
        }));
    }
}

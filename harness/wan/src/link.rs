//! The link core: when a frame sent at one end leaves at the other.
//!
//! Pure and seeded: the simulator and the live transport share it, so both see the same delays.
//! What it leaves out: connections over one link share nothing (each has the whole rate), there is
//! no congestion window, no queue limit, and the clean stream's acknowledgements cost nothing.

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::profile::{Link, Marginal};
use longhaul_experiment::random::Generator;

use crate::draws::Draws;
use crate::jitter::JitterProcess;
use crate::loss::{Recovery, StreamLoss};
use crate::marginal::QuantileTable;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves the link then.
    Deliver(Time),
    /// The link is cut without a known end: the sender keeps the frame and sends it again when
    /// the link has healed.
    Held,
    /// It is lost with its connection, which ends then: its segments were lost again and again
    /// until the sender gave the connection up ([`crate::loss`]). Whatever follows in this epoch
    /// is lost with it.
    GivenUp(Time),
}

/// One connection's way over a directed link.
///
/// For `n` bytes sent at `t` the release time is the sum of: `t` or the end of the frame before,
/// whichever is later; the time to put `n` bytes on the wire at the link's rate; the base one-way
/// delay; the jitter at the instant when the last byte is on the wire; the retransmission delay of
/// lost segments ([`crate::loss`]). It is never before the previous release: a stream stays in
/// order.
///
/// Order has a price where the jitter falls by more than 1 ms per ms: frames sent into the fall
/// wait for the one before it. The rule of [`crate::jitter`] tells when: where the slope of the
/// marginal's quantile function per correlation time is small, order is free. Achieved against
/// asked, at 20 to 5000 frames/s (the example `jitter`, whose sampling error is 1 to 5%):
/// a gamma of mean 0.3 ms and deviation 0.45 ms stays within 1.5% with 100 ms; stated quantiles
/// of 14 ms at p99 and 38 ms at p99.9 within 1.5% with 1 s; 26 and 90 ms within 4% with 1 s. What
/// cannot be had in order is a tail of the size of the correlation time: with 100 ms, those 26 ms
/// become 44 at 200 frames/s. [`LinkCore::order_waits`] tells what order cost.
///
/// ```
/// use std::time::Duration;
/// use longhaul_experiment::profile::Link;
/// use longhaul_experiment::{Seed, Stream, Time};
/// use longhaul_wan::link::{LinkCore, Verdict};
///
/// let link = Link::fixed(Duration::from_millis(40));
/// let mut core = LinkCore::new(&link, Seed(1).stream(Stream::Link, 0));
/// let verdict = core.send(Time::from_millis(10), 200);
/// assert_eq!(verdict, Verdict::Deliver(Time::from_millis(50)));
/// ```
#[derive(Clone, Debug)]
pub struct LinkCore {
    one_way: Duration,
    /// Nanoseconds per byte in units of 2^-32; `None`: no rate.
    byte_time: Option<u128>,
    marginal: Marginal,
    added: AddedDelay,
    /// `None`: nothing was ever lost.
    loss: Option<Box<StreamLoss>>,
    draws: Draws,
    busy_until: Time,
    last_release: Time,
    /// When the sender gives this epoch's connection up.
    given_up: Option<Time>,
    cut: Option<Cut>,
    order_waits: OrderWaits,
}

/// The delay beside the base delay. A simulation has a core for every connection, so one without
/// jitter is small: the process begins when there is something to draw, with the same draws.
#[derive(Clone, Debug)]
enum AddedDelay {
    Constant(Duration, Arc<QuantileTable>),
    Varying(Box<JitterProcess>),
}

impl AddedDelay {
    fn at(&mut self, at: Time) -> Duration {
        match self {
            AddedDelay::Constant(delay, _) => *delay,
            AddedDelay::Varying(process) => process.delay_at(at),
        }
    }
}

/// What keeping a stream in order cost: frames that were ready before their predecessor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderWaits {
    /// Frames sent.
    pub frames: u64,
    /// Those that waited for their predecessor.
    pub waited: u64,
    /// How long they waited, in sum.
    pub total: Duration,
}

/// Frames sent in this interval wait for its end; [`Time::MAX`]: not known yet.
#[derive(Clone, Copy, Debug)]
struct Cut {
    from: Time,
    until: Time,
}

impl LinkCore {
    /// Returns the core of a link. Its draws come from `generator` alone.
    ///
    /// Caution: tabulating the jitter takes about a millisecond; many connections of one link
    /// share the table through [`LinkCore::with_table`].
    pub fn new(link: &Link, generator: Generator) -> LinkCore {
        let table = Arc::new(QuantileTable::new(&link.jitter.marginal));
        LinkCore::with_table(link, table, generator)
    }

    /// Returns the core of a link whose jitter is tabulated already. The table must be of the
    /// link's marginal.
    pub fn with_table(link: &Link, table: Arc<QuantileTable>, generator: Generator) -> LinkCore {
        let draws = Draws::of(&generator);
        LinkCore {
            one_way: link.one_way,
            byte_time: byte_time(link.rate_bps),
            marginal: link.jitter.marginal.clone(),
            added: added_delay(link, table, draws),
            loss: loss(link.loss, link.one_way * 2, draws),
            draws,
            busy_until: Time::ZERO,
            last_release: Time::ZERO,
            given_up: None,
            cut: None,
            order_waits: OrderWaits::default(),
        }
    }

    /// Sets the round trip that retransmissions take and that the sender's patience follows from;
    /// without it, twice the one-way delay.
    pub fn with_round_trip(mut self, round_trip: Duration) -> LinkCore {
        if let Some(loss) = &mut self.loss {
            loss.set_round_trip(round_trip);
        }
        self
    }

    /// Takes a frame of `bytes` bytes sent at the logical instant `at`.
    ///
    /// Instants may repeat and may step back; releases never do. Costs about 100 ns with jitter.
    pub fn send(&mut self, at: Time, bytes: usize) -> Verdict {
        let at = match self.cut {
            Some(cut) if at >= cut.from && at < cut.until => {
                if cut.until == Time::MAX {
                    return Verdict::Held;
                }
                cut.until
            }
            _ => at,
        };
        if let Some(given_up) = self.given_up {
            return Verdict::GivenUp(given_up);
        }
        let mut on_wire = at;
        if let Some(byte_time) = self.byte_time {
            let wire_ns = (bytes as u128 * byte_time) >> 32;
            let wire_ns = u64::try_from(wire_ns).unwrap_or(u64::MAX);
            on_wire = at.max(self.busy_until) + Duration::from_nanos(wire_ns);
            self.busy_until = on_wire;
        }
        let mut delay = self.one_way + self.added.at(on_wire);
        if let Some(loss) = &mut self.loss {
            match loss.recovery(at, bytes) {
                Recovery::Within(recovery) => delay += recovery,
                Recovery::GivenUp(patience) => {
                    // What was sent before it has arrived by then.
                    let given_up = self.last_release.max(on_wire + patience);
                    self.given_up = Some(given_up);
                    return Verdict::GivenUp(given_up);
                }
            }
        }
        let ready = on_wire + delay;
        self.order_waits.frames += 1;
        if ready < self.last_release {
            self.order_waits.waited += 1;
            self.order_waits.total += self.last_release.since(ready);
        }
        self.last_release = self.last_release.max(ready);
        Verdict::Deliver(self.last_release)
    }

    /// Returns what keeping the order has cost since the core was made, all epochs together.
    ///
    /// Where `total / frames` is a noticeable share of the jitter, the link's quantiles are longer
    /// than its marginal's: its correlation time is too short for its tail.
    pub fn order_waits(&self) -> OrderWaits {
        self.order_waits
    }

    /// Changes the link's parameters for the frames sent from here on, and the round trip as
    /// [`LinkCore::with_round_trip`] states it. The jitter's state, the wire and the order of
    /// releases go on.
    ///
    /// The round trip takes both directions: when one of them changes, this is due on the other.
    pub fn set_link(&mut self, link: &Link, round_trip: Duration) {
        self.one_way = link.one_way;
        self.byte_time = byte_time(link.rate_bps);
        match &mut self.loss {
            Some(known) => known.set(link.loss, round_trip),
            none => *none = loss(link.loss, round_trip, self.draws),
        }
        let table = if link.jitter.marginal == self.marginal {
            self.table()
        } else {
            Arc::new(QuantileTable::new(&link.jitter.marginal))
        };
        match &mut self.added {
            AddedDelay::Varying(process) => process.set_jitter(&link.jitter, table),
            constant => *constant = added_delay(link, table, self.draws),
        }
        self.marginal = link.jitter.marginal.clone();
    }

    /// Cuts the link for frames sent in `from..until`: they wait at its entrance and set out at
    /// `until`. [`Time::MAX`] as the end means that it is not known: such frames are
    /// [`Verdict::Held`]. Frames sent before `from` are on their way and arrive.
    ///
    /// Left out: a real stream notices the end of a partition only at its next retransmission,
    /// up to one doubled time-out later.
    pub fn partition(&mut self, from: Time, until: Time) {
        self.cut = Some(Cut { from, until });
    }

    /// Ends the partition.
    pub fn heal(&mut self) {
        self.cut = None;
    }

    /// Begins a new connection epoch: nothing of the old connection delays the new one.
    pub fn begin_epoch(&mut self) {
        self.busy_until = Time::ZERO;
        self.last_release = Time::ZERO;
        self.given_up = None;
        if let Some(loss) = &mut self.loss {
            loss.begin_epoch();
        }
    }

    fn table(&self) -> Arc<QuantileTable> {
        match &self.added {
            AddedDelay::Constant(_, table) => Arc::clone(table),
            AddedDelay::Varying(process) => process.table(),
        }
    }
}

fn added_delay(link: &Link, table: Arc<QuantileTable>, draws: Draws) -> AddedDelay {
    if table.is_constant() {
        AddedDelay::Constant(table.quantile(0.5), table)
    } else {
        let process = JitterProcess::new(&link.jitter, table, draws.generator());
        AddedDelay::Varying(Box::new(process))
    }
}

fn loss(share: f64, round_trip: Duration, draws: Draws) -> Option<Box<StreamLoss>> {
    // A share below zero, or none at all, counts as zero.
    let is_lossy = share > 0.0;
    is_lossy.then(|| {
        // A stream of its own for losses: asking for loss changes no draw of the jitter.
        let mut generator = draws.generator();
        generator.set_stream(1);
        Box::new(StreamLoss::new(share, round_trip, generator))
    })
}

/// Returns nanoseconds per byte in units of 2^-32. A rate of zero counts as the least, 1 bit/s.
fn byte_time(rate_bps: Option<u64>) -> Option<u128> {
    rate_bps.map(|rate| (8_000_000_000u128 << 32) / u128::from(rate.max(1)))
}

#[cfg(test)]
mod tests;

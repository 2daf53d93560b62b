//! What packet loss costs a stream: delay, not data.
//!
//! A frame travels as segments of 1448 bytes, each lost with the link's loss share p. The model:
//!
//! - When three segments follow a lost one within a round trip, their duplicate acknowledgements
//!   start a fast retransmit (RFC 5681, section 3.2): it costs one round trip. Whether they will
//!   follow is taken from the frame itself and, for the end of a frame, from whether the
//!   connection carried three segments in the round trip before.
//! - Otherwise the retransmission timer fires: RTO = RTT + max(200 ms, 4 RTTVAR) with RTTVAR near
//!   zero (RFC 6298, section 2, with the least variance term of Linux where the RFC asks for a
//!   least RTO of 1 s).
//! - A lost retransmission waits for the timer, doubled each time (RFC 6298, section 5.5) up to
//!   60 s.
//! - A sender that would wait for longer than [`silence_timeout`] of the round trip gives the
//!   connection up then (the user time-out, RFC 5482): it ends as over a cut link. So a segment on
//!   a link of less than 100 ms is lost for good when it and two retransmissions are, which come
//!   0.2 and 0.6 s later and more; the third would come after 1.4 s.
//! - Segments of a frame recover at the same time: the frame waits for the slowest.
//!
//! So a lone segment on an idle connection waits p RTO + 2 p^2 RTO on average where three losses
//! end the connection. Left out: tail loss probes (RFC 8985), the congestion window after a loss,
//! and loss of acknowledgements.

use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::fault::silence_timeout;
use longhaul_experiment::random::Generator;

use crate::normal;

/// The payload of a segment: a 1500-byte packet less 40 bytes of headers and 12 of timestamps.
pub const SEGMENT_BYTES: usize = 1448;

/// The least variance term of the retransmission time-out.
pub const VARIANCE_TERM_MIN: Duration = Duration::from_millis(200);

/// The largest retransmission time-out.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Segments that must follow a lost one for a fast retransmit.
const DUPLICATES: usize = 3;

/// What losses do to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// They delay it by this much.
    Within(Duration),
    /// The sender waits this long for an acknowledgement, and then gives the connection up.
    GivenUp(Duration),
}

/// The retransmission delays of one connection in one direction.
#[derive(Clone, Debug)]
pub(crate) struct StreamLoss {
    share: f64,
    /// ln(1 - share), for the distance to the next loss.
    log_kept: f64,
    round_trip: Duration,
    /// Segments that arrive before the next lost one.
    until_loss: u64,
    /// When the last three segments were sent, oldest first.
    recent: [Option<Time>; DUPLICATES],
    generator: Generator,
}

impl StreamLoss {
    pub(crate) fn new(share: f64, round_trip: Duration, generator: Generator) -> StreamLoss {
        let mut loss = StreamLoss {
            share: 0.0,
            log_kept: 0.0,
            round_trip,
            until_loss: u64::MAX,
            recent: [None; DUPLICATES],
            generator,
        };
        loss.set(share, round_trip);
        loss
    }

    pub(crate) fn set(&mut self, share: f64, round_trip: Duration) {
        self.round_trip = round_trip;
        let share = if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        };
        if share != self.share {
            self.share = share;
            self.log_kept = libm::log1p(-share);
            self.until_loss = self.draw_distance();
        }
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    pub(crate) fn begin_epoch(&mut self) {
        self.recent = [None; DUPLICATES];
    }

    /// Returns what losses do to a frame.
    pub(crate) fn recovery(&mut self, at: Time, bytes: usize) -> Recovery {
        if self.share == 0.0 {
            return Recovery::Within(Duration::ZERO);
        }
        let patience = silence_timeout(self.round_trip);
        let segments = bytes.div_ceil(SEGMENT_BYTES).max(1);
        let dense = self.recent[0].is_some_and(|oldest| at.since(oldest) <= self.round_trip);
        self.remember(at, segments);
        let mut slowest = Duration::ZERO;
        let mut passed = 0;
        // Segment `passed + until_loss` of the frame is the next one lost, if it has that many.
        while self.until_loss < (segments - passed) as u64 {
            passed += self.until_loss as usize + 1;
            self.until_loss = self.draw_distance();
            let fast = dense || segments - passed >= DUPLICATES;
            match self.segment_recovery(fast, patience) {
                Some(waited) => slowest = slowest.max(waited),
                None => return Recovery::GivenUp(patience),
            }
        }
        self.until_loss -= (segments - passed) as u64;
        Recovery::Within(slowest)
    }

    /// Draws how long one lost segment takes to arrive after all; `None`: longer than the sender's
    /// patience.
    fn segment_recovery(&mut self, fast: bool, patience: Duration) -> Option<Duration> {
        let mut timeout = self.round_trip + VARIANCE_TERM_MIN;
        let mut waited = Duration::ZERO;
        if fast {
            waited = self.round_trip;
            if !self.draw_lost() {
                return Some(waited);
            }
        }
        // Time-outs grow, so this ends, also where everything is lost.
        loop {
            waited += timeout;
            if waited > patience {
                return None;
            }
            if !self.draw_lost() {
                return Some(waited);
            }
            timeout = (timeout * 2).min(TIMEOUT_MAX.max(timeout));
        }
    }

    fn draw_lost(&mut self) -> bool {
        normal::open_unit(&mut self.generator) < self.share
    }

    /// Draws how many segments arrive before the next loss: geometric, by inversion.
    fn draw_distance(&mut self) -> u64 {
        if self.share == 0.0 {
            return u64::MAX;
        }
        // With everything lost the quotient is zero; a cast saturates at the largest integer.
        (libm::log(normal::open_unit(&mut self.generator)) / self.log_kept) as u64
    }

    fn remember(&mut self, at: Time, segments: usize) {
        for _ in 0..segments.min(DUPLICATES) {
            self.recent.rotate_left(1);
            self.recent[DUPLICATES - 1] = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{Seed, Stream};

    use super::*;

    fn loss(share: f64) -> StreamLoss {
        let generator = Seed(5).stream(Stream::Link, 0);
        StreamLoss::new(share, Duration::from_millis(100), generator)
    }

    fn delay(loss: &mut StreamLoss, at: Time, bytes: usize) -> Option<Duration> {
        match loss.recovery(at, bytes) {
            Recovery::Within(delay) => Some(delay),
            Recovery::GivenUp(_) => None,
        }
    }

    /// The mean over all frames of the delays of those that arrive.
    fn mean_seconds(loss: &mut StreamLoss, frames: u64, gap_ms: u64, bytes: usize) -> f64 {
        let total: f64 = (1..=frames)
            .filter_map(|frame| delay(loss, Time::from_millis(frame * gap_ms), bytes))
            .map(|delay| delay.as_secs_f64())
            .sum();
        total / frames as f64
    }

    #[test]
    fn a_lone_segment_waits_for_the_timer_and_its_doubling() {
        // RTO = 100 + 200 ms, so retransmissions come after 0.3, 0.9 and 2.1 s, the last beyond the
        // patience of 10 x 100 ms: the mean is p (1 - p) 0.3 + p^2 (1 - p) 0.9 = 0.05 x 0.95 x 0.3
        // + 0.0025 x 0.95 x 0.9 = 16.39 ms. The second moment is 0.0475 x 0.09 + 0.0024 x 0.81 =
        // 0.0062 s^2, so 400 000 frames give a standard error of 0.12 ms: 4% is five of them.
        let mean = mean_seconds(&mut loss(0.05), 400_000, 1_000, 100);
        assert!((mean / 0.016_39 - 1.0).abs() < 0.04, "{mean}");
    }

    #[test]
    fn a_connection_is_given_up_at_the_share_of_three_losses_in_a_row() {
        // p^3 = 0.008 of 100 000 lone segments: 800, with a deviation of 28.
        let mut loss = loss(0.2);
        let given_up = (1..=100_000u64)
            .filter(|frame| delay(&mut loss, Time::from_millis(frame * 2_000), 100).is_none())
            .count();
        assert!((660..=940).contains(&given_up), "{given_up}");
    }

    #[test]
    fn a_dense_stream_recovers_within_one_round_trip() {
        // Frames every 10 ms: three within a round trip of 100 ms. Mean p RTT + p^2 RTO / (1 - 2p)
        // = 0.02 x 0.1 + 0.0004 x 0.3 / 0.96 = 2.125 ms; standard error near 0.05 ms.
        let mean = mean_seconds(&mut loss(0.02), 200_000, 10, 100);
        assert!((mean / 0.002_125 - 1.0).abs() < 0.08, "{mean}");
    }

    #[test]
    fn segments_are_lost_at_the_asked_share() {
        // Frames of ten segments on an idle connection: P(any lost) = 1 - 0.99^10 = 9.56%; the
        // standard error over 100 000 frames is 0.093%.
        let mut loss = loss(0.01);
        let hit = (1..=100_000u64)
            .filter(|frame| {
                let at = Time::from_millis(frame * 1_000);
                delay(&mut loss, at, 10 * SEGMENT_BYTES) != Some(Duration::ZERO)
            })
            .count();
        assert!((hit as f64 / 100_000.0 - 0.0956).abs() < 0.0037, "{hit}");
    }

    #[test]
    fn a_link_that_loses_everything_ends_the_connection_when_patience_does() {
        let given_up = loss(1.0).recovery(Time::from_millis(1), 100);
        // Ten times the round trip.
        assert_eq!(given_up, Recovery::GivenUp(Duration::from_secs(1)));
        let clean = loss(0.0).recovery(Time::ZERO, 1 << 20);
        assert_eq!(clean, Recovery::Within(Duration::ZERO));
    }
}

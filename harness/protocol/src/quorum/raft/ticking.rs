//! How a participant counts time, and the election time-outs that a mode may state.

use std::str::FromStr;
use std::time::Duration;

use longhaul_experiment::scenario::DurationText;
use longhaul_experiment::{Stream, Topology};
use rand::Rng;

use crate::quorum::timeouts::Timeouts;
use crate::replica::Member;

/// The bounds between which replicas draw their election time-outs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionTimeout {
    least: Duration,
    most: Duration,
}

/// Why bounds are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionTimeoutError {
    /// They have not the form of a range of durations.
    #[error("'{0}' is not a range of durations such as 150ms-300ms")]
    Form(String),
    /// They are outside what is allowed.
    #[error("'{0}' is outside what is allowed: MIN from 20ms to 10min, MAX from MIN to 10 MIN")]
    Bounds(String),
}

impl ElectionTimeout {
    /// Returns bounds, both included.
    ///
    /// # Errors
    ///
    /// `least` is not from 20 ms to 10 min, or `most` not from `least` to ten times it.
    pub fn new(least: Duration, most: Duration) -> Result<ElectionTimeout, ElectionTimeoutError> {
        let allowed = Duration::from_millis(20)..=Duration::from_secs(600);
        if !allowed.contains(&least) || !(least..=10 * least).contains(&most) {
            return Err(ElectionTimeoutError::Bounds(format!("{least:?}-{most:?}")));
        }
        Ok(ElectionTimeout { least, most })
    }
}

impl FromStr for ElectionTimeout {
    type Err = ElectionTimeoutError;

    fn from_str(text: &str) -> Result<ElectionTimeout, ElectionTimeoutError> {
        let form = || ElectionTimeoutError::Form(text.to_owned());
        let (least, most) = text.split_once('-').ok_or_else(form)?;
        let read = |part: &str| part.parse::<DurationText>().map_err(|_| form());
        ElectionTimeout::new(read(least)?.0, read(most)?.0)
    }
}

/// Ticks in a heartbeat where the mode states its time-outs: they are drawn in steps of a tick,
/// 1/160 of the least of them.
const STATED_TICKS_PER_HEARTBEAT: u32 = 8;

/// A participant's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticking {
    /// The time between two.
    pub tick: Duration,
    /// How many make a heartbeat's interval.
    pub per_heartbeat: u32,
    /// The least election time-out in ticks.
    pub election_least: u32,
    /// How many time-outs there are to draw from, a tick apart.
    pub election_choices: u32,
}

impl Ticking {
    /// Returns the ticks of a participant.
    pub fn new(election: Option<ElectionTimeout>, topology: &Topology) -> Ticking {
        let least = Timeouts::ELECTION_HEARTBEATS;
        let Some(ElectionTimeout { least: from, most }) = election else {
            return Ticking {
                tick: Timeouts::of(topology).heartbeat,
                per_heartbeat: 1,
                election_least: least,
                election_choices: least,
            };
        };
        let election_least = least * STATED_TICKS_PER_HEARTBEAT;
        let tick = from / election_least;
        let wider = (most - from).as_nanos() / tick.as_nanos();
        Ticking {
            tick,
            per_heartbeat: STATED_TICKS_PER_HEARTBEAT,
            election_least,
            election_choices: wider as u32 + 1,
        }
    }

    /// Returns the interval between heartbeats.
    pub fn heartbeat(&self) -> Duration {
        self.tick * self.per_heartbeat
    }

    /// Returns a member's election time-out for a term, in ticks: drawn from the seed, the replica
    /// and the term.
    pub fn election_ticks(&self, member: &Member, term: u64) -> usize {
        let replica = u64::from(member.id.0);
        let mut generator = member.seed.stream(Stream::Replica, replica);
        generator.set_stream(term);
        let choice = generator.next_u32() % self.election_choices;
        (self.election_least + choice) as usize
    }

    /// Returns a number of heartbeats in ticks.
    pub fn heartbeats(&self, count: u32) -> u32 {
        count * self.per_heartbeat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stated_time_outs_are_drawn_in_ticks_between_their_bounds() {
        let stated: ElectionTimeout = "150ms-300ms".parse().unwrap();
        let ticking = Ticking::new(Some(stated), &crate::eventual::chart::topology(3));
        // 150 ms / 160 = 937.5 us; 160 more of them are 150 ms.
        assert_eq!(ticking.tick, Duration::from_nanos(937_500));
        assert_eq!(ticking.election_least, 160);
        assert_eq!(ticking.election_choices, 161);
        assert_eq!(ticking.heartbeat(), Duration::from_micros(7500));
    }

    #[test]
    fn unfit_time_outs_are_refused() {
        for text in [
            "150ms",
            "1ms-2ms",
            "300ms-150ms",
            "20ms-1s",
            "a-b",
            "11min-12min",
        ] {
            assert!(text.parse::<ElectionTimeout>().is_err(), "{text}");
        }
    }
}

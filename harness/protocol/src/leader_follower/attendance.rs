//! Whether a follower attends, keeps up, and counts.

use std::collections::VecDeque;
use std::time::Duration;

use longhaul_experiment::{ReplicaId, Time};

use super::leadership::Leadership;

/// What a leader notes of a follower besides its log.
#[derive(Debug)]
pub(super) struct Attendance {
    /// Its life, as in [`Leadership::lives`]; `None`: it has not said.
    life: Option<u32>,
    /// Whether that life is agreed on, so that its acknowledgements count.
    pub(super) counts: bool,
    /// A life that is not agreed on may be once the follower holds everything up to here: it may
    /// have acknowledged as much in its earlier life.
    owed: u64,
    /// The latest heartbeat that it heard, by when it was sent.
    granted_at: Option<Time>,
    heard_at: Time,
    caught_up_at: Time,
    /// Whether a synchronous write waits for it.
    pub(super) is_required: bool,
    /// Whether it keeps up, and writes wait for it until it is proposed into the in-sync set.
    pub(super) is_joining: bool,
}

impl Attendance {
    /// Begins with a follower of which nothing was heard, in a term that begins now.
    pub(super) fn from(now: Time) -> Attendance {
        Attendance {
            life: None,
            counts: false,
            owed: 0,
            granted_at: None,
            heard_at: now,
            caught_up_at: now,
            is_required: false,
            is_joining: false,
        }
    }

    /// Notes a sign of life. `last` is the last index of the log.
    pub(super) fn on_sign(&mut self, (now, last): (Time, u64), counts: bool, life: u32) {
        self.heard_at = now;
        self.counts = counts;
        if self.life != Some(life) {
            self.life = Some(life);
            self.owed = last;
        }
    }

    /// Notes that it heard a heartbeat.
    pub(super) fn on_heard(&mut self, sent_at: Time) {
        self.granted_at = self.granted_at.max(Some(sent_at));
    }

    /// Follows an agreement.
    pub(super) fn on_agreed(&mut self, id: ReplicaId, agreed: &Leadership) {
        let counts = |life| agreed.counts(id, life);
        self.counts = self.life.is_some_and(counts);
        let is_in_sync = agreed.in_sync.contains(&id);
        self.is_joining &= !is_in_sync;
        self.is_required = is_in_sync || self.is_joining;
    }

    /// Returns when the latest heartbeat was sent that it heard, if that counts.
    pub(super) fn granted_at(&self) -> Option<Time> {
        self.granted_at.filter(|_| self.counts)
    }

    /// Returns the life that is to be agreed on, for a follower that holds everything up to
    /// `matched`.
    pub(super) fn new_life(&self, matched: u64) -> Option<u32> {
        let is_whole = !self.counts && matched >= self.owed;
        self.life.filter(|_| is_whole)
    }

    /// Notes how far it is: it holds everything up to `matched`.
    pub(super) fn note_progress(&mut self, now: Time, matched: u64, past: &Past) {
        if let Some(at) = past.latest_within(now, matched) {
            self.caught_up_at = self.caught_up_at.max(at);
        }
    }

    /// Returns since when it has not attended: the later of two things did not happen after it,
    /// that it was heard, and that it held all that the log had then.
    pub(super) fn absent_since(&self) -> Time {
        self.heard_at.min(self.caught_up_at)
    }

    /// Says whether it was there and had all but the newest entries a moment ago.
    pub(super) fn is_near(&self, now: Time, moment: Duration) -> bool {
        self.counts && now.since(self.absent_since()) <= moment
    }
}

/// How long the log was at the past heartbeats.
#[derive(Debug, Default)]
pub(super) struct Past {
    lengths: VecDeque<(Time, u64)>,
}

/// How many heartbeats are remembered: more than an election time-out.
const HEARTBEATS_KEPT: usize = 24;

impl Past {
    /// Notes the log's last index at a heartbeat.
    pub(super) fn note(&mut self, now: Time, last: u64) {
        if self.lengths.len() == HEARTBEATS_KEPT {
            self.lengths.pop_front();
        }
        self.lengths.push_back((now, last));
    }

    /// Returns the latest instant at which the log was not longer than `index`: now, if it was
    /// not when it was last noted.
    fn latest_within(&self, now: Time, index: u64) -> Option<Time> {
        let longer = self.lengths.partition_point(|&(_, last)| last <= index);
        if longer == self.lengths.len() {
            return Some(now);
        }
        let before = longer.checked_sub(1)?;
        self.lengths.get(before).map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_is_caught_up_as_of_the_latest_heartbeat_whose_log_it_holds() {
        let at = Time::from_millis;
        let mut past = Past::default();
        for beat in 0..30 {
            past.note(at(50 * beat), 10 * beat);
        }
        // It remembers the beats 6 to 29, with lengths 60 to 290.
        assert_eq!(past.latest_within(at(1500), 59), None);
        assert_eq!(past.latest_within(at(1500), 60), Some(at(300)));
        assert_eq!(past.latest_within(at(1500), 289), Some(at(1400)));
        assert_eq!(past.latest_within(at(1500), 290), Some(at(1500)));
    }

    #[test]
    fn a_new_life_waits_until_it_holds_what_the_log_had_when_it_began() {
        let mut attendance = Attendance::from(Time::ZERO);
        attendance.on_sign((Time::ZERO, 5), true, 0);
        assert_eq!(attendance.new_life(0), None);
        attendance.on_sign((Time::ZERO, 7), false, 3);
        attendance.on_sign((Time::ZERO, 9), false, 3);
        assert_eq!(
            (attendance.new_life(6), attendance.new_life(7)),
            (None, Some(3))
        );
    }
}

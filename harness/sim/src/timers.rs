//! The timers of one replica.

use std::collections::BTreeMap;

use crate::queue::EventKey;

/// The timers that one life of a replica has set.
///
/// A protocol may set a timer anew at every message (an election time-out). So that this does not
/// fill the event queue, a timer has at most one event that counts: when it is put off, the event
/// stays where it is, and is put back in the queue when it comes up too early.
#[derive(Debug)]
pub struct Timers<T>(BTreeMap<T, Timer>);

#[derive(Debug)]
struct Timer {
    /// When it goes off; `None`: it was cancelled.
    due: Option<EventKey>,
    /// The event in the queue that counts.
    queued: EventKey,
}

/// What becomes of a timer's event that came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerEvent {
    /// The timer goes off.
    Due,
    /// The timer was put off: the event goes back to this place.
    PutOff(EventKey),
    /// The event no longer counts.
    Stale,
}

impl<T: Copy + Ord> Timers<T> {
    /// Returns no timers.
    pub fn new() -> Timers<T> {
        Timers(BTreeMap::new())
    }

    /// Sets a timer, and says whether an event must be queued at its place.
    #[must_use]
    pub fn set(&mut self, timer: T, due: EventKey) -> bool {
        match self.0.get_mut(&timer) {
            Some(state) if state.queued <= due => {
                state.due = Some(due);
                false
            }
            _ => {
                let queued = due;
                let due = Some(due);
                self.0.insert(timer, Timer { due, queued });
                true
            }
        }
    }

    /// Cancels a timer.
    pub fn cancel(&mut self, timer: T) {
        if let Some(state) = self.0.get_mut(&timer) {
            state.due = None;
        }
    }

    /// Judges the event of a timer that came up at its place in the queue.
    pub fn on_event(&mut self, timer: T, key: EventKey) -> TimerEvent {
        let Some(state) = self.0.get_mut(&timer) else {
            return TimerEvent::Stale;
        };
        if state.queued != key {
            return TimerEvent::Stale;
        }
        match state.due {
            Some(due) if due > key => {
                state.queued = due;
                TimerEvent::PutOff(due)
            }
            due => {
                self.0.remove(&timer);
                if due.is_some() {
                    TimerEvent::Due
                } else {
                    TimerEvent::Stale
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::Time;

    use super::*;
    use crate::queue::EventQueue;

    #[test]
    fn a_timer_put_off_many_times_has_one_event() {
        let mut queue: EventQueue<()> = EventQueue::default();
        let mut timers = Timers::new();
        let first = queue.reserve(Time(10));
        assert!(timers.set('t', first));
        let mut last = first;
        for at in 11..100 {
            last = queue.reserve(Time(at));
            assert!(!timers.set('t', last));
        }
        assert_eq!(timers.on_event('t', first), TimerEvent::PutOff(last));
        assert_eq!(timers.on_event('t', last), TimerEvent::Due);
        assert_eq!(timers.on_event('t', last), TimerEvent::Stale);
    }

    #[test]
    fn a_timer_set_earlier_than_before_goes_off_once() {
        let mut queue: EventQueue<()> = EventQueue::default();
        let mut timers = Timers::new();
        let late = queue.reserve(Time(10));
        let early = queue.reserve(Time(5));
        assert!(timers.set('t', late));
        assert!(timers.set('t', early));
        assert_eq!(timers.on_event('t', early), TimerEvent::Due);
        assert_eq!(timers.on_event('t', late), TimerEvent::Stale);
    }

    #[test]
    fn a_cancelled_timer_does_not_go_off_and_may_be_set_again() {
        let mut queue: EventQueue<()> = EventQueue::default();
        let mut timers = Timers::new();
        let first = queue.reserve(Time(5));
        assert!(timers.set('t', first));
        timers.cancel('t');
        let second = queue.reserve(Time(8));
        assert!(!timers.set('t', second));
        timers.cancel('t');
        assert_eq!(timers.on_event('t', first), TimerEvent::Stale);
        assert!(timers.0.is_empty());
    }
}

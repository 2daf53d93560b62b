//! The event queue: ordered by instant, and among equals by insertion.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use longhaul_experiment::Time;

/// The place of an event in the order of events: its instant, then its turn.
///
/// Both stand in one number, so that a comparison is one instruction pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey(u128);

impl EventKey {
    fn new(at: Time, turn: u64) -> EventKey {
        EventKey((u128::from(at.as_nanos()) << 64) | u128::from(turn))
    }

    /// Returns the event's instant.
    pub fn time(self) -> Time {
        Time::from_nanos((self.0 >> 64) as u64)
    }
}

/// A queue of events to come.
///
/// Pushing and popping cost O(log n) in the number of heads: events that are known to come in
/// order, as those of one link do, may be pushed as a lane, of which the first alone stands in the
/// heap. Events themselves stay in place: the heap moves 32 bytes for each, whatever an event's
/// size.
#[derive(Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Head>,
    slots: Vec<Slot<E>>,
    free: Vec<u32>,
    /// The last slot of each lane; `NOWHERE`: the lane is empty.
    lanes: Vec<u32>,
    next_turn: u64,
}

/// Names a lane of an [`EventQueue`]; lanes are best numbered from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(pub u32);

const NOWHERE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot<E> {
    key: EventKey,
    /// The slot of the next event of the lane.
    next: u32,
    event: Option<E>,
}

/// The first event of a lane, or one without a lane. Ordered so that the largest head is the
/// earliest: the heap is a maximum heap.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    key: EventKey,
    slot: u32,
    /// `NOWHERE`: it has no lane.
    lane: u32,
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> EventQueue<E> {
        EventQueue {
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            lanes: Vec::new(),
            next_turn: 0,
        }
    }
}

impl<E> EventQueue<E> {
    /// Adds an event, after all events of the same instant that are there already.
    pub fn push(&mut self, at: Time, event: E) {
        let key = self.reserve(at);
        self.push_reserved(key, event);
    }

    /// Adds an event that most likely follows the last one of a lane. The order of events is the
    /// same as with [`EventQueue::push`], whether it does or not.
    #[inline]
    pub fn push_in_lane(&mut self, lane: Lane, at: Time, event: E) {
        let key = self.reserve(at);
        let lane = lane.0 as usize;
        if self.lanes.len() <= lane {
            self.lanes.resize(lane + 1, NOWHERE);
        }
        let last = self.lanes[lane];
        if last != NOWHERE && self.slots[last as usize].key > key {
            return self.push_reserved(key, event);
        }
        let slot = self.fill_slot(key, event);
        self.lanes[lane] = slot;
        if last == NOWHERE {
            let lane = lane as u32;
            self.heap.push(Head { key, slot, lane });
        } else {
            self.slots[last as usize].next = slot;
        }
    }

    /// Takes a place in the order without an event; [`EventQueue::push_reserved`] may fill it.
    pub fn reserve(&mut self, at: Time) -> EventKey {
        let key = EventKey::new(at, self.next_turn);
        self.next_turn += 1;
        key
    }

    /// Adds an event at a reserved place.
    pub fn push_reserved(&mut self, key: EventKey, event: E) {
        let slot = self.fill_slot(key, event);
        let lane = NOWHERE;
        self.heap.push(Head { key, slot, lane });
    }

    /// Takes the first event out.
    #[inline]
    pub fn pop(&mut self) -> Option<(EventKey, E)> {
        let mut first = self.heap.peek_mut()?;
        let Head { key, slot, lane } = *first;
        let freed = &mut self.slots[slot as usize];
        let event = freed.event.take()?;
        let next = freed.next;
        if next == NOWHERE {
            PeekMut::pop(first);
            if lane != NOWHERE {
                self.lanes[lane as usize] = NOWHERE;
            }
        } else {
            // The heap puts the changed head in its place when `first` goes out of scope.
            first.slot = next;
            first.key = self.slots[next as usize].key;
        }
        self.free.push(slot);
        Some((key, event))
    }

    /// Returns the instant of the first event.
    #[inline]
    pub fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|head| head.key.time())
    }

    #[inline]
    fn fill_slot(&mut self, key: EventKey, event: E) -> u32 {
        let free = self.free.pop();
        match free.and_then(|slot| Some((slot, self.slots.get_mut(slot as usize)?))) {
            // The match tells the compiler that there is nothing to drop, so that it writes the
            // event where it belongs at once.
            Some((number, slot)) if slot.event.is_none() => {
                slot.key = key;
                slot.next = NOWHERE;
                slot.event = Some(event);
                number
            }
            _ => {
                self.slots.push(Slot {
                    key,
                    next: NOWHERE,
                    event: Some(event),
                });
                (self.slots.len() - 1) as u32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_instant_and_among_equals_by_insertion() {
        let mut queue = EventQueue::default();
        for (at, name) in [(5, "c"), (3, "a"), (5, "d"), (3, "b"), (9, "e")] {
            queue.push(Time(at), name);
        }
        assert_eq!(queue.next_time(), Some(Time(3)));
        let names: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(_, name)| name)
            .collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert_eq!(queue.next_time(), None);
    }

    #[test]
    fn a_reserved_place_keeps_its_turn() {
        let mut queue = EventQueue::default();
        let key = queue.reserve(Time(4));
        queue.push(Time(4), "later");
        queue.push_reserved(key, "earlier");
        assert_eq!(queue.pop(), Some((key, "earlier")));
        assert_eq!(
            queue.pop().map(|(key, name)| (key.time(), name)),
            Some((Time(4), "later"))
        );
    }

    #[test]
    fn lanes_change_nothing_but_the_cost() {
        // Instants that rise within a lane, that repeat, and that fall.
        let mut state = 1u64;
        let mut draw = |below: u64| {
            // Knuth's linear congruential generator; its upper half is good enough here.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let (mut plain, mut laned) = (EventQueue::default(), EventQueue::default());
        for number in 0..20_000u64 {
            let at = Time(number / 4 + draw(50));
            let lane = draw(8) as u32;
            plain.push(at, number);
            if lane < 6 {
                laned.push_in_lane(Lane(lane), at, number);
            } else {
                laned.push(at, number);
            }
            if number % 3 != 0 {
                assert_eq!(plain.pop(), laned.pop());
            }
        }
        while let Some(event) = plain.pop() {
            assert_eq!(laned.pop(), Some(event));
        }
        assert_eq!(laned.next_time(), None);
        assert_eq!(laned.pop(), None);
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = EventQueue::default();
        for at in 0..1000 {
            queue.push(Time(at), at);
            queue.push(Time(at), at);
            queue.pop();
            queue.pop();
        }
        assert_eq!((queue.next_time(), queue.slots.len()), (None, 2));
    }
}

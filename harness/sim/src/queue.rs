//! The event queue: ordered by instant, and among equals by insertion.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

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
/// Pushing and popping cost O(log n). Events themselves stay in place: the heap moves 32 bytes
/// for each, whatever an event's size.
#[derive(Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Entry>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    next_turn: u64,
}

/// Ordered so that the largest entry is the earliest: the heap is a maximum heap.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    key: EventKey,
    slot: u32,
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> EventQueue<E> {
        EventQueue {
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
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

    /// Takes a place in the order without an event; [`EventQueue::push_reserved`] may fill it.
    pub fn reserve(&mut self, at: Time) -> EventKey {
        let key = EventKey::new(at, self.next_turn);
        self.next_turn += 1;
        key
    }

    /// Adds an event at a reserved place.
    pub fn push_reserved(&mut self, key: EventKey, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                (self.slots.len() - 1) as u32
            }
        };
        self.heap.push(Entry { key, slot });
    }

    /// Takes the first event out.
    pub fn pop(&mut self) -> Option<(EventKey, E)> {
        let Entry { key, slot } = self.heap.pop()?;
        let event = self.slots[slot as usize].take()?;
        self.free.push(slot);
        Some((key, event))
    }

    /// Returns the instant of the first event.
    pub fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|entry| entry.key.time())
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Says whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
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
        assert!(queue.is_empty());
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
    fn slots_are_used_again() {
        let mut queue = EventQueue::default();
        for at in 0..1000 {
            queue.push(Time(at), at);
            queue.push(Time(at), at);
            queue.pop();
            queue.pop();
        }
        assert_eq!((queue.len(), queue.slots.len()), (0, 2));
    }
}

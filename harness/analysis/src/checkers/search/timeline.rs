//! The beginnings and ends of the operations still to be placed, as a list that forgets and
//! remembers in constant time.

/// A place in the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

/// What happens at a place.
#[derive(Clone, Copy, Debug)]
struct Event {
    at: u64,
    operation: u32,
    is_end: bool,
}

/// A doubly linked list of events in order, between two sentinels: place 0 and the last place.
#[derive(Debug)]
pub(super) struct Timeline {
    events: Vec<Event>,
    next: Vec<u32>,
    previous: Vec<u32>,
    /// Where each operation begins and ends.
    places: Vec<(u32, u32)>,
}

impl Timeline {
    /// Builds the timeline of operations from their beginnings and ends. What begins when another
    /// ends begins first, for it is concurrent with it.
    pub(super) fn new(spans: &[(u64, u64)]) -> Timeline {
        let mut events: Vec<Event> = (0u32..)
            .zip(spans)
            .flat_map(|(operation, &(start, finish))| {
                [(start, false), (finish, true)].map(|(at, is_end)| Event {
                    at,
                    operation,
                    is_end,
                })
            })
            .collect();
        events.sort_unstable_by_key(|event| (event.at, event.is_end, event.operation));
        let last = events.len() as u32 + 1;
        let mut places = vec![(0, 0); spans.len()];
        for (place, event) in (1u32..).zip(&events) {
            let (begins, ends) = &mut places[event.operation as usize];
            *(if event.is_end { ends } else { begins }) = place;
        }
        Timeline {
            events,
            next: (1..=last).chain([last]).collect(),
            previous: [0].into_iter().chain(0..last).collect(),
            places,
        }
    }

    /// Returns the first place.
    pub(super) fn first(&self) -> Place {
        Place(self.next[0])
    }

    /// Returns the place after `place`.
    pub(super) fn after(&self, place: Place) -> Place {
        Place(self.next[place.0 as usize])
    }

    /// Returns the operation that begins at `place`; `None` when one ends there, or all is past.
    /// Whatever begins after the first end is preceded by an operation still to be placed.
    pub(super) fn beginning(&self, place: Place) -> Option<usize> {
        let event = self.event(place)?;
        (!event.is_end).then_some(event.operation as usize)
    }

    /// Returns the operation that ends at `place`.
    pub(super) fn ending(&self, place: Place) -> Option<usize> {
        let event = self.event(place)?;
        event.is_end.then_some(event.operation as usize)
    }

    /// Returns the instant of the first end.
    pub(super) fn first_end(&self) -> u64 {
        let mut place = self.first();
        while self.beginning(place).is_some() {
            place = self.after(place);
        }
        self.event(place).map_or(u64::MAX, |event| event.at)
    }

    fn event(&self, place: Place) -> Option<&Event> {
        self.events.get((place.0 as usize).wrapping_sub(1))
    }

    /// Takes an operation out.
    pub(super) fn lift(&mut self, operation: usize) {
        let (begins, ends) = self.places[operation];
        for place in [begins, ends] {
            let (previous, next) = (self.previous[place as usize], self.next[place as usize]);
            self.next[previous as usize] = next;
            self.previous[next as usize] = previous;
        }
    }

    /// Puts back the operation that was taken out last.
    pub(super) fn put_back(&mut self, operation: usize) {
        let (begins, ends) = self.places[operation];
        for place in [ends, begins] {
            let (previous, next) = (self.previous[place as usize], self.next[place as usize]);
            self.next[previous as usize] = place;
            self.previous[next as usize] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(timeline: &Timeline) -> Vec<usize> {
        let mut place = timeline.first();
        let mut waiting = Vec::new();
        while let Some(operation) = timeline.beginning(place) {
            waiting.push(operation);
            place = timeline.after(place);
        }
        waiting
    }

    #[test]
    fn what_begins_by_the_first_end_waits_and_a_lifted_operation_comes_back() {
        // 0: 10 to 20, 1: 15 to 40, 2: 20 to 30, 3: 25 to 50.
        let mut timeline = Timeline::new(&[(10, 20), (15, 40), (20, 30), (25, 50)]);
        assert_eq!(waiting(&timeline), [0, 1, 2]);
        assert_eq!(timeline.first_end(), 20);
        timeline.lift(0);
        assert_eq!(waiting(&timeline), [1, 2, 3]);
        timeline.lift(2);
        assert_eq!((waiting(&timeline), timeline.first_end()), (vec![1, 3], 40));
        timeline.put_back(2);
        timeline.put_back(0);
        assert_eq!(waiting(&timeline), [0, 1, 2]);
        for operation in [0, 1, 2, 3] {
            timeline.lift(operation);
        }
        assert_eq!(
            (waiting(&timeline), timeline.first_end()),
            (vec![], u64::MAX)
        );
    }
}

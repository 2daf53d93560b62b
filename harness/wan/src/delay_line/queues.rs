//! What waits in a delay line: a FIFO per queue, a heap over their heads, a heap of timers.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use longhaul_experiment::Time;

use super::{Paced, QueueId, ReleaseKind};

/// All that waits, in the order of release.
pub(super) struct Queues<T> {
    /// Indexed by [`QueueId`]; ids are never given out twice.
    queues: Vec<Queue<T>>,
    /// One entry per queue that is not empty, and stale entries of closed ones.
    heads: BinaryHeap<Reverse<Head>>,
    timers: BinaryHeap<Reverse<Timer<T>>>,
    /// Breaks ties by order of arrival.
    sequence: u64,
}

/// What is due next.
pub(super) struct Next<T> {
    pub(super) due: Time,
    pub(super) kind: ReleaseKind,
    pub(super) queue: Option<QueueId>,
    pub(super) item: T,
}

struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    /// The due time of the last item taken in: none is due before its predecessor.
    last_due: Time,
    source: Option<Paced<T>>,
    closed: bool,
}

struct Waiting<T> {
    due: Time,
    sequence: u64,
    kind: ReleaseKind,
    item: T,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    due: Time,
    sequence: u64,
    queue: QueueId,
}

struct Timer<T> {
    due: Time,
    sequence: u64,
    item: T,
}

impl<T> Queues<T> {
    pub(super) fn new() -> Queues<T> {
        Queues {
            queues: Vec::new(),
            heads: BinaryHeap::new(),
            timers: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// Appends to a queue; what a closed queue is given is dropped.
    pub(super) fn push(&mut self, queue: QueueId, due: Time, item: T) {
        self.append(queue, due, item, ReleaseKind::Frame);
    }

    /// Gives a queue an iterator to pull from whenever it is empty.
    pub(super) fn set_source(&mut self, queue: QueueId, source: Paced<T>) {
        let slot = self.slot(queue);
        if slot.closed {
            return;
        }
        slot.source = Some(source);
        if slot.waiting.is_empty() {
            self.pull(queue);
        }
    }

    pub(super) fn push_timer(&mut self, due: Time, item: T) {
        let sequence = self.next_sequence();
        self.timers.push(Reverse(Timer {
            due,
            sequence,
            item,
        }));
    }

    /// Drops what waits in a queue, its source, and all that it is given later.
    pub(super) fn close(&mut self, queue: QueueId) {
        let slot = self.slot(queue);
        slot.waiting = VecDeque::new();
        slot.source = None;
        slot.closed = true;
    }

    /// Returns when the next item is due; [`Time::MAX`] when nothing waits.
    pub(super) fn next_due(&mut self) -> Time {
        self.drop_stale_heads();
        let head = self
            .heads
            .peek()
            .map_or(Time::MAX, |Reverse(head)| head.due);
        let timer = self
            .timers
            .peek()
            .map_or(Time::MAX, |Reverse(timer)| timer.due);
        head.min(timer)
    }

    /// Takes the first item due at or before `now`.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Next<T>> {
        if self.next_due() > now {
            return None;
        }
        let head = self
            .heads
            .peek()
            .map(|Reverse(head)| (head.due, head.sequence));
        let timer = self
            .timers
            .peek()
            .map(|Reverse(timer)| (timer.due, timer.sequence));
        let timer_first = match (head, timer) {
            (Some(head), Some(timer)) => timer < head,
            (head, _) => head.is_none(),
        };
        if timer_first {
            self.timers.pop().map(|Reverse(timer)| Next {
                due: timer.due,
                kind: ReleaseKind::Timer,
                queue: None,
                item: timer.item,
            })
        } else {
            self.pop_head()
        }
    }

    fn pop_head(&mut self) -> Option<Next<T>> {
        let Reverse(head) = self.heads.pop()?;
        let slot = self.slot(head.queue);
        let first = slot.waiting.pop_front()?;
        match slot.waiting.front() {
            Some(second) => {
                let (due, sequence) = (second.due, second.sequence);
                self.heads.push(Reverse(Head {
                    due,
                    sequence,
                    queue: head.queue,
                }));
            }
            None => self.pull(head.queue),
        }
        Some(Next {
            due: first.due,
            kind: first.kind,
            queue: Some(head.queue),
            item: first.item,
        })
    }

    /// Takes the next item of an empty queue's source.
    fn pull(&mut self, queue: QueueId) {
        let slot = self.slot(queue);
        match slot.source.as_mut().and_then(Iterator::next) {
            Some((due, item)) => self.append(queue, due, item, ReleaseKind::Paced),
            None => slot.source = None,
        }
    }

    fn append(&mut self, queue: QueueId, due: Time, item: T, kind: ReleaseKind) {
        let sequence = self.next_sequence();
        let slot = self.slot(queue);
        if slot.closed {
            return;
        }
        let due = due.max(slot.last_due);
        slot.last_due = due;
        slot.waiting.push_back(Waiting {
            due,
            sequence,
            kind,
            item,
        });
        if slot.waiting.len() == 1 {
            self.heads.push(Reverse(Head {
                due,
                sequence,
                queue,
            }));
        }
    }

    fn drop_stale_heads(&mut self) {
        while let Some(Reverse(head)) = self.heads.peek() {
            if !self.queues[head.queue.index()].closed {
                return;
            }
            self.heads.pop();
        }
    }

    fn slot(&mut self, queue: QueueId) -> &mut Queue<T> {
        let index = queue.index();
        while self.queues.len() <= index {
            self.queues.push(Queue {
                waiting: VecDeque::new(),
                last_due: Time::ZERO,
                source: None,
                closed: false,
            });
        }
        &mut self.queues[index]
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

impl<T> PartialEq for Timer<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Timer<T> {}

impl<T> PartialOrd for Timer<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Timer<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: QueueId = QueueId(0);
    const B: QueueId = QueueId(1);

    fn drain(queues: &mut Queues<&'static str>, now: u64) -> Vec<(u64, &'static str)> {
        std::iter::from_fn(|| queues.pop_due(Time(now)))
            .map(|next| (next.due.0, next.item))
            .collect()
    }

    #[test]
    fn a_queue_stays_in_order_and_an_earlier_due_time_is_raised() {
        let mut queues = Queues::new();
        queues.push(A, Time(50), "first");
        queues.push(A, Time(20), "second");
        queues.push(B, Time(30), "other");
        assert_eq!(
            drain(&mut queues, 100),
            [(30, "other"), (50, "first"), (50, "second")]
        );
        queues.push(A, Time(10), "third");
        assert_eq!(drain(&mut queues, 100), [(50, "third")]);
    }

    #[test]
    fn ties_are_released_in_the_order_of_arrival() {
        let mut queues = Queues::new();
        queues.push(B, Time(5), "b");
        queues.push_timer(Time(5), "timer");
        queues.push(A, Time(5), "a");
        assert_eq!(drain(&mut queues, 5), [(5, "b"), (5, "timer"), (5, "a")]);
    }

    #[test]
    fn nothing_leaves_before_it_is_due() {
        let mut queues = Queues::new();
        queues.push_timer(Time(9), "timer");
        queues.push(A, Time(7), "frame");
        assert_eq!(queues.next_due(), Time(7));
        assert_eq!(drain(&mut queues, 6), []);
        assert_eq!(drain(&mut queues, 8), [(7, "frame")]);
        assert_eq!(queues.next_due(), Time(9));
    }

    #[test]
    fn a_source_is_pulled_one_item_at_a_time() {
        let mut queues = Queues::new();
        let endless = (1..).map(|step| (Time(step * 10), "tick"));
        queues.set_source(A, Box::new(endless));
        assert_eq!(queues.slot(A).waiting.len(), 1);
        assert_eq!(
            drain(&mut queues, 30),
            [(10, "tick"), (20, "tick"), (30, "tick")]
        );
        assert_eq!(queues.slot(A).waiting.len(), 1);
    }

    #[test]
    fn a_closed_queue_drops_what_waits_and_what_comes() {
        let mut queues = Queues::new();
        queues.push(A, Time(1), "lost");
        queues.push(B, Time(2), "kept");
        queues.close(A);
        queues.push(A, Time(3), "late");
        assert_eq!(queues.next_due(), Time(2));
        assert_eq!(drain(&mut queues, 9), [(2, "kept")]);
        assert_eq!(queues.next_due(), Time::MAX);
    }
}

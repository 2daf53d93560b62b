use std::sync::mpsc::{Receiver, channel};

use super::*;

/// Tests share the machine with others: they never ask for a real-time priority.
fn options(clock: Clock) -> Options {
    Options {
        priority: None,
        ..Options::new(clock)
    }
}

fn line(clock: Clock) -> (DelayLine<u32>, Receiver<Release<u32>>) {
    let (sender, receiver) = channel();
    let sink = move |release: Release<u32>| {
        let _ = sender.send(release);
    };
    (DelayLine::spawn(options(clock), sink).unwrap(), receiver)
}

fn items(receiver: &Receiver<Release<u32>>, count: usize) -> Vec<u32> {
    receiver
        .iter()
        .take(count)
        .map(|release| release.item)
        .collect()
}

#[test]
fn items_leave_in_the_order_of_their_due_times_and_never_early() {
    let clock = Clock::start();
    let (line, receiver) = line(clock);
    let (left, right) = (line.open_queue(), line.open_queue());
    let start = clock.now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    line.push(left, at(30), 3);
    line.push_all(right, [(at(10), 1), (at(40), 4)]);
    line.push_unordered(at(20), 2);
    let releases: Vec<Release<u32>> = receiver.iter().take(4).collect();
    for (release, expected) in releases.iter().zip(1..) {
        assert_eq!(release.item, expected);
        assert!(release.released_at >= release.due, "{release:?}");
    }
    assert_eq!(releases[0].queue, Some(right));
    assert_eq!(releases[1].kind, ReleaseKind::Timer);
}

#[test]
fn an_earlier_item_overtakes_a_wait_for_a_later_one() {
    let clock = Clock::start();
    let (line, receiver) = line(clock);
    let (left, right) = (line.open_queue(), line.open_queue());
    line.push(left, clock.now() + Duration::from_secs(3600), 9);
    // Time for the thread to begin its wait of an hour; if it has not, the test still holds.
    thread::sleep(Duration::from_millis(5));
    line.push(right, clock.now(), 1);
    assert_eq!(items(&receiver, 1), [1]);
}

#[test]
fn a_source_is_released_to_its_end() {
    let clock = Clock::start();
    let (line, receiver) = line(clock);
    let queue = line.open_queue();
    let start = clock.now();
    let ticks = (0..50).map(move |tick| (start + Duration::from_micros(200) * tick, tick));
    line.source(queue, Box::new(ticks));
    let releases: Vec<Release<u32>> = receiver.iter().take(50).collect();
    for (release, tick) in releases.iter().zip(0..) {
        assert_eq!(release.item, tick);
        assert_eq!(release.due, start + Duration::from_micros(200) * tick);
        assert_eq!(release.kind, ReleaseKind::Paced);
    }
}

#[test]
fn a_closed_queue_loses_what_waits_and_others_do_not() {
    let clock = Clock::start();
    let (line, receiver) = line(clock);
    let (cut, kept) = (line.open_queue(), line.open_queue());
    let due = clock.now() + Duration::from_millis(20);
    line.push(cut, due, 1);
    line.push(kept, due, 2);
    line.close_queue(cut);
    line.push(cut, due, 3);
    line.push(kept, due, 4);
    assert_eq!(items(&receiver, 2), [2, 4]);
}

#[test]
fn pushes_from_several_threads_all_arrive_in_order_per_queue() {
    let clock = Clock::start();
    let (line, receiver) = line(clock);
    let pushers: Vec<_> = (0..4u32)
        .map(|pusher| {
            let line = line.clone();
            thread::spawn(move || {
                let queue = line.open_queue();
                for number in 0..2_000 {
                    line.push(queue, clock.now(), pusher * 10_000 + number);
                }
            })
        })
        .collect();
    let received = items(&receiver, 8_000);
    for pusher in 0..4u32 {
        let numbers: Vec<u32> = received
            .iter()
            .filter(|&&item| item / 10_000 == pusher)
            .map(|item| item % 10_000)
            .collect();
        assert_eq!(numbers, (0..2_000).collect::<Vec<u32>>());
    }
    pushers
        .into_iter()
        .for_each(|pusher| pusher.join().unwrap());
}

#[test]
fn lateness_is_kept_per_kind_until_it_is_reset() {
    let clock = Clock::start();
    let (line, receiver) = line(clock);
    let queue = line.open_queue();
    for item in 0..10 {
        line.push(queue, clock.now(), item);
    }
    line.push_unordered(clock.now(), 10);
    assert_eq!(items(&receiver, 11).len(), 11);
    // The last batch is recorded just after it is released.
    while line.lateness(ReleaseKind::Frame).count() < 10
        || line.lateness(ReleaseKind::Timer).count() < 1
    {
        thread::yield_now();
    }
    assert_eq!(line.lateness(ReleaseKind::Paced).count(), 0);
    line.reset_lateness();
    assert_eq!(line.lateness(ReleaseKind::Frame).count(), 0);
}

#[test]
fn compensation_releases_that_much_before_the_due_time() {
    let clock = Clock::start();
    let (sender, receiver) = channel();
    let options = Options {
        compensation: Duration::from_secs(3600),
        ..options(clock)
    };
    let sink = move |release: Release<()>| sender.send(release.released_at).unwrap();
    let line = DelayLine::spawn(options, sink).unwrap();
    let due = clock.now() + Duration::from_secs(3000);
    line.push_unordered(due, ());
    assert!(receiver.recv().unwrap() < due);
}

#[test]
fn every_batch_ends_with_a_flush() {
    struct Batches(Vec<u32>, std::sync::mpsc::Sender<Vec<u32>>);
    impl Sink<u32> for Batches {
        fn release(&mut self, release: Release<u32>) {
            self.0.push(release.item);
        }
        fn flush(&mut self) {
            let _ = self.1.send(std::mem::take(&mut self.0));
        }
    }
    let clock = Clock::start();
    let (sender, receiver) = channel();
    let line = DelayLine::spawn(options(clock), Batches(Vec::new(), sender)).unwrap();
    let queue = line.open_queue();
    line.push_all(queue, (0..1_000).map(|item| (Time::ZERO, item)));
    let mut seen = Vec::new();
    while seen.len() < 1_000 {
        let batch = receiver.recv().unwrap();
        assert!(!batch.is_empty() && batch.len() <= 256);
        seen.extend(batch);
    }
    assert_eq!(seen, (0..1_000).collect::<Vec<u32>>());
}

#[test]
fn the_last_handle_ends_the_thread_and_drops_what_waits() {
    let clock = Clock::start();
    let (line, receiver) = line(clock);
    let other = line.clone();
    let queue = line.open_queue();
    drop(line);
    other.push(queue, clock.now(), 1);
    assert_eq!(items(&receiver, 1), [1]);
    other.push(queue, clock.now() + Duration::from_secs(3600), 2);
    drop(other);
    // The sink is gone with its thread, so the channel has ended.
    assert!(receiver.recv().is_err());
}

#[test]
fn a_sink_that_panics_closes_the_line_instead_of_piling_up() {
    let clock = Clock::start();
    let (line, receiver) = {
        let (sender, receiver) = channel::<()>();
        let sink = move |_: Release<u32>| {
            let _held = &sender;
            panic!("a sink that fails on purpose");
        };
        (DelayLine::spawn(options(clock), sink).unwrap(), receiver)
    };
    line.push_unordered(clock.now(), 1);
    assert!(receiver.recv().is_err());
    line.push_unordered(clock.now(), 2);
    assert_eq!(line.lateness(ReleaseKind::Timer).count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_thread_tells_its_processor_time() {
    let clock = Clock::start();
    let (line, receiver) = line(clock);
    line.push_unordered(clock.now(), 1);
    assert_eq!(items(&receiver, 1), [1]);
    assert!(line.processor_time().unwrap() > Duration::ZERO);
}

//! Measures the delay line on this machine: `cargo run --release --example delay_line -- [options]`.
//!
//! Options: `rate=20000` frames a second, `seconds=5`, `priority=20` (0: normal), `spin-us=100`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::record::Lateness;
use longhaul_wan::clock::Clock;
use longhaul_wan::delay_line::{DelayLine, Options, Release, ReleaseKind};

/// Links that the frames are spread over.
const LINKS: u64 = 20;
const ONE_WAY: Duration = Duration::from_millis(75);

fn main() {
    let asked: BTreeMap<String, u64> = std::env::args()
        .skip(1)
        .filter_map(|argument| {
            let (name, value) = argument.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect();
    let option = |name: &str, default| asked.get(name).copied().unwrap_or(default);
    let clock = Clock::start();
    let options = Options {
        priority: u8::try_from(option("priority", 20))
            .ok()
            .filter(|&priority| priority > 0),
        spin: Duration::from_micros(option("spin-us", 100)),
        ..Options::new(clock)
    };
    frames(&options, option("rate", 20_000), option("seconds", 5));
    paced(&options);
    throughput(&options);
}

/// Frames at a steady rate: sent by a thread that wakes every millisecond, due from their logical
/// send times.
fn frames(options: &Options, rate: u64, seconds: u64) {
    let line = spawn(options, Arc::new(AtomicU64::new(0)));
    let queues: Vec<_> = (0..LINKS).map(|_| line.open_queue()).collect();
    let clock = options.clock;
    let start = clock.now();
    let mut frame = 0;
    while frame < rate * seconds {
        let now = clock.now();
        while start + Duration::from_nanos(frame * 1_000_000_000 / rate) <= now {
            let sent = start + Duration::from_nanos(frame * 1_000_000_000 / rate);
            line.push(queues[(frame % LINKS) as usize], sent + ONE_WAY, frame);
            frame += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(ONE_WAY * 2);
    print(
        &format!("{rate} frames/s over 75 ms"),
        &line,
        ReleaseKind::Frame,
    );
    let cores = line.processor_time().unwrap_or_default().as_secs_f64() / seconds as f64;
    println!("  {cores:.3} cores");
}

/// A paced stream of 1000 a second: sparse enough to spin.
fn paced(options: &Options) {
    let line = spawn(options, Arc::new(AtomicU64::new(0)));
    let queue = line.open_queue();
    let start = options.clock.now() + Duration::from_millis(10);
    let items =
        (0..2_000u64).map(move |item| (start + Duration::from_millis(1) * item as u32, item));
    line.source(queue, Box::new(items));
    thread::sleep(Duration::from_millis(2_100));
    print("paced, 1000 a second", &line, ReleaseKind::Paced);
}

/// How fast two threads hand over a million frames, and how fast they leave.
fn throughput(options: &Options) {
    const EACH: u64 = 500_000;
    let released = Arc::new(AtomicU64::new(0));
    let line = spawn(options, Arc::clone(&released));
    let start = options.clock.now();
    let pushers: Vec<_> = (0..2)
        .map(|_| {
            let (line, clock) = (line.clone(), options.clock);
            thread::spawn(move || {
                let queue = line.open_queue();
                for item in 0..EACH {
                    line.push(queue, clock.now() + ONE_WAY, item);
                }
            })
        })
        .collect();
    pushers
        .into_iter()
        .for_each(|pusher| pusher.join().expect("a pusher ends"));
    let pushed = options.clock.now();
    while released.load(Ordering::Relaxed) < 2 * EACH {
        thread::sleep(Duration::from_millis(1));
    }
    let rate = |until: Time| (2 * EACH) as f64 / until.since(start).as_secs_f64() / 1e6;
    println!(
        "two pushers: {:.2} million pushes/s, {:.2} million releases/s",
        rate(pushed),
        rate(options.clock.now() - ONE_WAY)
    );
}

fn spawn(options: &Options, released: Arc<AtomicU64>) -> DelayLine<u64> {
    let sink = move |_: Release<u64>| {
        released.fetch_add(1, Ordering::Relaxed);
    };
    DelayLine::spawn(options.clone(), sink).expect("a thread can be started")
}

fn print(what: &str, line: &DelayLine<u64>, kind: ReleaseKind) {
    let lateness = Lateness::from(&line.lateness(kind));
    println!(
        "{what}: late by p50 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1} us over {} ({})",
        lateness.p50_us,
        lateness.p99_us,
        lateness.p999_us,
        lateness.max_us,
        lateness.count,
        line.scheduling()
    );
}

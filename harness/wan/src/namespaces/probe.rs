//! Round trips between two regions of a network, as a program in them sees them.
//!
//! Datagrams are sent at a fixed pace and sent back. A round trip counts from the call that sends to
//! the return of the call that receives, so it has in it what any program pays: two wake-ups and
//! two ways through the kernel's network stack beside the links' delays.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::time::nanos;
use serde::{Deserialize, Serialize};

use super::enter::Entrance;
use super::{NetError, NetState};
use crate::clock::Clock;
use crate::delay_line::make_precise;

/// The least size of a probe: its number.
pub const BYTES_MIN: usize = 8;

/// The port of the answering end.
const PORT: u16 = 7;

/// How long after the last probe answers are waited for, beside the round trip.
const LINGER: Duration = Duration::from_millis(500);

/// How often a waiting thread looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct ProbeOptions {
    /// How many datagrams.
    pub count: u64,
    /// How far apart.
    pub interval: Duration,
    /// Their size without headers, at least [`BYTES_MIN`].
    pub bytes: usize,
    /// The SCHED_FIFO priority that the probing threads ask for; `None`: normal priority.
    pub priority: Option<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The region that asks.
    pub from: String,
    /// The region that answers.
    pub to: String,
    /// Datagrams sent.
    pub sent: u64,
    /// Those that did not come back.
    pub lost: u64,
    /// Those that came back after a later one.
    pub reordered: u64,
    /// The round trip at the links' least delays, in milliseconds.
    pub asked_ms: f64,
    /// Quantiles of the measured round trips in milliseconds, by name.
    pub achieved_ms: BTreeMap<String, f64>,
    /// Quantiles of measured less asked, in microseconds, by name.
    pub error_us: BTreeMap<String, f64>,
    /// How the probing threads were scheduled, in the record's words.
    pub scheduling: String,
}

/// The quantiles that are reported.
const QUANTILES: [(&str, f64); 6] = [
    ("min", 0.0),
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// Probes the links between two regions. The calling process must have one thread when it calls
/// this; it stays in the network's user namespace.
///
/// # Errors
///
/// There are no such regions, the system refuses to enter them, or sockets fail.
pub fn probe(
    entrance: &Entrance,
    from: &str,
    to: &str,
    options: ProbeOptions,
) -> Result<ProbeReport, NetError> {
    let (from_namespace, from_address) = entrance.region(from)?;
    let (to_namespace, to_address) = entrance.region(to)?;
    let asked = entrance.state().round_trip(from, to)?;
    entrance.enter_user_namespace()?;
    let is_over = AtomicBool::new(false);
    let answering = to_namespace
        .run(|| UdpSocket::bind((to_address, PORT)))
        .and_then(|socket| socket)
        .map_err(NetError::doing(format!("opening a socket in '{to}'")))?;
    let asking = from_namespace
        .run(|| UdpSocket::bind((from_address, 0)))
        .and_then(|socket| socket)
        .map_err(NetError::doing(format!("opening a socket in '{from}'")))?;
    let answers_at = SocketAddr::from((to_address, PORT));
    // Sockets stay in the namespace in which they were made, so these threads need not enter it.
    let measured = thread::scope(|scope| {
        scope.spawn(|| {
            make_precise(options.priority);
            answer(&answering, &is_over)
        });
        let measured = measure(&asking, answers_at, asked, options);
        is_over.store(true, Ordering::Relaxed);
        measured
    });
    let measured = measured.map_err(NetError::doing("probing"))?;
    Ok(measured.report(from, to, asked, options.count))
}

impl NetState {
    /// Returns the round trip between two regions at the links' least delays, as they are now.
    ///
    /// # Errors
    ///
    /// There are no such regions.
    pub fn round_trip(&self, a: &str, b: &str) -> Result<Duration, NetError> {
        let index = |name: &str| {
            self.region(name)
                .map(|found| self.regions.iter().position(|region| region == found))
        };
        let (Some(a), Some(b)) = (index(a)?, index(b)?) else {
            return Ok(Duration::ZERO);
        };
        Ok(self.one_way[a][b] + self.one_way[b][a])
    }
}

struct Measured {
    round_trips: Histogram,
    reordered: u64,
    scheduling: String,
}

impl Measured {
    fn report(&self, from: &str, to: &str, asked: Duration, sent: u64) -> ProbeReport {
        let asked_ns = nanos(asked) as f64;
        let quantiles = |scaled: &dyn Fn(f64) -> f64| {
            let known = QUANTILES.iter().filter_map(|&(name, quantile)| {
                let ns = self.round_trips.quantile_ns(quantile)?;
                Some((name.to_owned(), scaled(ns as f64)))
            });
            known.collect::<BTreeMap<String, f64>>()
        };
        ProbeReport {
            from: from.to_owned(),
            to: to.to_owned(),
            sent,
            lost: sent - self.round_trips.count(),
            reordered: self.reordered,
            asked_ms: asked_ns / 1e6,
            achieved_ms: quantiles(&|ns| ns / 1e6),
            error_us: quantiles(&|ns| (ns - asked_ns) / 1e3),
            scheduling: self.scheduling.clone(),
        }
    }
}

fn answer(socket: &UdpSocket, is_over: &AtomicBool) -> io::Result<()> {
    socket.set_read_timeout(Some(LOOK_EVERY))?;
    let mut buffer = [0; 65_536];
    while !is_over.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => drop(socket.send_to(&buffer[..length], from)?),
            Err(error) if is_time_out(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn measure(
    socket: &UdpSocket,
    to: SocketAddr,
    asked: Duration,
    options: ProbeOptions,
) -> io::Result<Measured> {
    let clock = Clock::start();
    // When each probe was sent, in nanoseconds; the receiver reads what the sender wrote.
    let sent_at: Vec<AtomicU64> = (0..options.count).map(|_| AtomicU64::new(0)).collect();
    let until = clock.now()
        + options.interval * u32::try_from(options.count).unwrap_or(u32::MAX)
        + asked
        + LINGER;
    socket.set_read_timeout(Some(LOOK_EVERY))?;
    thread::scope(|scope| {
        let sender = scope.spawn(|| -> io::Result<String> {
            let scheduling = make_precise(options.priority);
            let start = clock.now();
            let mut payload = vec![0; options.bytes.max(BYTES_MIN)];
            for (number, sent_at) in (0u64..).zip(&sent_at) {
                let due = start + options.interval * u32::try_from(number).unwrap_or(u32::MAX);
                thread::sleep(due.since(clock.now()));
                payload[..BYTES_MIN].copy_from_slice(&number.to_le_bytes());
                sent_at.store(clock.now().as_nanos(), Ordering::Release);
                socket.send_to(&payload, to)?;
            }
            Ok(scheduling)
        });
        make_precise(options.priority);
        let received = receive(socket, clock, until, &sent_at);
        let scheduling = sender
            .join()
            .map_err(|_| io::Error::other("the sending thread panicked"))??;
        let (round_trips, reordered) = received?;
        Ok(Measured {
            round_trips,
            reordered,
            scheduling,
        })
    })
}

fn receive(
    socket: &UdpSocket,
    clock: Clock,
    until: Time,
    sent_at: &[AtomicU64],
) -> io::Result<(Histogram, u64)> {
    let mut round_trips = Histogram::new();
    let (mut latest, mut reordered) = (0, 0);
    let mut buffer = [0; 65_536];
    while round_trips.count() < sent_at.len() as u64 && clock.now() < until {
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if is_time_out(&error) => continue,
            Err(error) => return Err(error),
        };
        let now = clock.now();
        let Some(number) = buffer[..length].first_chunk::<BYTES_MIN>() else {
            continue;
        };
        let number = u64::from_le_bytes(*number);
        if let Some(sent_at) = sent_at.get(number as usize) {
            let sent_at = Time::from_nanos(sent_at.load(Ordering::Acquire));
            round_trips.record(now.since(sent_at));
            reordered += u64::from(number < latest);
            latest = latest.max(number);
        }
    }
    Ok((round_trips, reordered))
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

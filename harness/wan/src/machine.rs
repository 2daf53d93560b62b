//! What this machine permits, for `longhaul doctor`: looked at, never changed.

#[cfg(target_os = "linux")]
mod linux;

use std::sync::mpsc;
use std::time::Duration;

use longhaul_experiment::record::Lateness;
use serde::Serialize;

use crate::clock::Clock;
use crate::delay_line::{DelayLine, Options, Release, ReleaseKind};

/// How many waits the timer probe makes, a millisecond apart.
const PROBE_WAITS: u32 = 200;

/// What this machine permits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capabilities {
    /// How late the precise thread wakes.
    pub timer: TimerProbe,
    /// Whether that thread may run at a real-time priority.
    pub realtime: Capability,
    /// Whether network namespaces can be made.
    pub namespaces: Capability,
    /// Whether TUN devices can be opened.
    pub tun: Capability,
    /// Whether the programs that lay devices, routes and queues are installed.
    pub iproute2: Capability,
    /// Whether the kernel's own delay emulation can be used.
    pub netem: Capability,
}

/// Whether something can be used here, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Whether it can.
    pub available: bool,
    /// One sentence on what was found, without a final stop.
    pub sentence: String,
}

/// How late 200 waits of a millisecond ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimerProbe {
    /// The lateness.
    pub lateness: Lateness,
    /// One sentence on it, without a final stop.
    pub sentence: String,
}

/// Looks at this machine. Takes about a quarter of a second, most of it the timer probe.
pub fn capabilities() -> Capabilities {
    let (timer, realtime) = probe_timer();
    Capabilities {
        timer,
        realtime,
        namespaces: namespaces(),
        tun: tun(),
        iproute2: iproute2(),
        netem: netem(),
    }
}

/// Waits on a delay line with the options of a run, so that what is measured is what will be used.
fn probe_timer() -> (TimerProbe, Capability) {
    let clock = Clock::start();
    let (done, on_done) = mpsc::channel();
    let sink = move |release: Release<u32>| {
        if release.item == PROBE_WAITS {
            let _ = done.send(());
        }
    };
    let line = match DelayLine::spawn(Options::new(clock), sink) {
        Ok(line) => line,
        Err(error) => {
            let sentence = error.to_string();
            let timer = TimerProbe {
                lateness: Lateness::default(),
                sentence: sentence.clone(),
            };
            return (timer, Capability::no(sentence));
        }
    };
    let start = clock.now();
    let waits = (1..=PROBE_WAITS).map(move |wait| (start + Duration::from_millis(1) * wait, wait));
    line.source(line.open_queue(), Box::new(waits));
    // Ten times what it should take: a machine that stalls that long is told by its lateness.
    let _ = on_done.recv_timeout(Duration::from_millis(10) * PROBE_WAITS);
    let lateness = Lateness::from(&line.lateness(ReleaseKind::Paced));
    let sentence = format!(
        "waits of 1 ms end {:.0} us late at the median and {:.0} us at p99",
        lateness.p50_us, lateness.p99_us
    );
    (
        TimerProbe { lateness, sentence },
        realtime(line.scheduling()),
    )
}

fn realtime(scheduling: &str) -> Capability {
    match scheduling.strip_prefix("normal: ") {
        None => Capability::yes(format!("the precise thread runs at {scheduling}")),
        Some(reason) => Capability::no(format!(
            "{reason}: run as root or raise the limit `rtprio`, or delays are late on a busy machine"
        )),
    }
}

impl Capability {
    fn yes(sentence: impl Into<String>) -> Capability {
        Capability {
            available: true,
            sentence: sentence.into(),
        }
    }

    fn no(sentence: impl Into<String>) -> Capability {
        Capability {
            available: false,
            sentence: sentence.into(),
        }
    }
}

#[cfg(target_os = "linux")]
use linux::{iproute2, namespaces, netem, tun};

#[cfg(not(target_os = "linux"))]
fn namespaces() -> Capability {
    Capability::no("not on this system: network namespaces are Linux's")
}

#[cfg(not(target_os = "linux"))]
fn tun() -> Capability {
    Capability::no("not on this system: /dev/net/tun is Linux's")
}

#[cfg(not(target_os = "linux"))]
fn iproute2() -> Capability {
    Capability::no("not on this system: iproute2 is Linux's")
}

#[cfg(not(target_os = "linux"))]
fn netem() -> Capability {
    Capability::no("not on this system: netem is Linux's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_says_what_was_found() {
        let found = capabilities();
        for sentence in [
            &found.timer.sentence,
            &found.realtime.sentence,
            &found.namespaces.sentence,
            &found.tun.sentence,
            &found.iproute2.sentence,
            &found.netem.sentence,
        ] {
            assert!(
                !sentence.is_empty() && !sentence.ends_with('.'),
                "{sentence}"
            );
        }
        assert!(found.timer.lateness.count > 0);
    }

    #[test]
    fn a_refused_priority_says_what_to_do() {
        let refused = realtime("normal: SCHED_FIFO is not permitted");
        assert!(!refused.available);
        assert!(refused.sentence.contains("rtprio"), "{}", refused.sentence);
        assert!(realtime("SCHED_FIFO 20").available);
    }
}

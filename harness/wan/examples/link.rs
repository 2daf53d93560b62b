//! Measures the link core: `cargo run --release --example link`.

use std::hint::black_box;
use std::time::Duration;

use longhaul_experiment::profile::{Jitter, Link, Marginal};
use longhaul_experiment::{Seed, Stream, Time};
use longhaul_wan::clock::Clock;
use longhaul_wan::link::{LinkCore, Verdict};

const FRAMES: u64 = 2_000_000;

fn main() {
    let clock = Clock::start();
    let gamma = Link {
        jitter: Jitter {
            marginal: Marginal::Gamma {
                mean: Duration::from_millis(2),
                deviation: Duration::from_millis(1),
            },
            correlation: Jitter::DEFAULT_CORRELATION,
        },
        ..Link::fixed(Duration::from_millis(75))
    };
    let all = Link {
        loss: 0.001,
        rate_bps: Some(1_000_000_000),
        ..gamma.clone()
    };
    let fixed = Link::fixed(Duration::from_millis(75));
    for (name, link) in [
        ("fixed", fixed),
        ("gamma", gamma),
        ("gamma, loss, rate", all),
    ] {
        let begin = clock.now();
        let mut core = LinkCore::new(&link, Seed(1).stream(Stream::Link, 0));
        let built = clock.now();
        let mut last = Time::ZERO;
        for frame in 0..FRAMES {
            if let Verdict::Deliver(release) = core.send(Time(frame * 50_000), 200) {
                last = black_box(release);
            }
        }
        println!(
            "{name}: built in {:?}, {:.1} ns a send (the last release at {last})",
            built.since(begin),
            clock.now().since(built).as_nanos() as f64 / FRAMES as f64
        );
    }
}

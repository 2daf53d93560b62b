//! Compares the jitter that a link is asked for with what it achieves in order:
//! `cargo run --release --example jitter` (under a minute).

use std::time::Duration;

use longhaul_experiment::profile::bundled::bundled;
use longhaul_experiment::profile::{Jitter, Link, Marginal};
use longhaul_experiment::time::nanos;
use longhaul_experiment::{LinkId, Seed, Stream, Time};
use longhaul_wan::link::{LinkCore, Verdict};
use longhaul_wan::marginal::QuantileTable;

/// Independent looks at the link. At p99.9 they leave 300 draws beyond, 6% more or fewer.
const LOOKS: u64 = 300_000;

fn main() {
    let tail = stated(&[
        (0.5, 0.0),
        (0.75, 2.5),
        (0.95, 7.0),
        (0.99, 14.0),
        (0.999, 38.0),
        (0.9999, 60.0),
        (0.99999, 140.0),
    ]);
    let steep = stated(&[(0.5, 0.0), (0.99, 26.0), (0.999, 90.0)]);
    let every_rate: &[u64] = &[20, 200, 5_000];
    println!("added delay in ms: asked / achieved (ratio)");
    compare(
        "gamma 0.3 ms, deviation 0.45",
        gamma(0.3, 0.45),
        100,
        every_rate,
    );
    compare("gamma 2 ms, deviation 1", gamma(2.0, 1.0), 100, every_rate);
    compare("p99 14, p99.9 38 ms", tail.clone(), 1_000, every_rate);
    compare("p99 14, p99.9 38 ms", tail, 100, &[200]);
    compare("p99 26, p99.9 90 ms", steep.clone(), 1_000, &[20, 200]);
    compare("p99 26, p99.9 90 ms", steep, 100, &[20, 200]);
    bundled_link("aws-5", every_rate);
    bundled_link("aws-5-heavy-tail", every_rate);
}

/// Compares the link from Ireland to Tokyo, the one with the largest calm jitter.
fn bundled_link(profile: &str, rates: &[u64]) {
    let Some(profile) = bundled(profile) else {
        return;
    };
    let ends = profile
        .region("eu-west-1")
        .zip(profile.region("ap-northeast-1"));
    if let Some((from, to)) = ends {
        let jitter = &profile.link(LinkId { from, to }).jitter;
        let correlation_ms = jitter.correlation.as_millis() as u64;
        compare(
            &profile.name,
            jitter.marginal.clone(),
            correlation_ms,
            rates,
        );
    }
}

fn ms(milliseconds: f64) -> Duration {
    Duration::from_secs_f64(milliseconds / 1e3)
}

fn gamma(mean: f64, deviation: f64) -> Marginal {
    Marginal::Gamma {
        mean: ms(mean),
        deviation: ms(deviation),
    }
}

fn stated(points: &[(f64, f64)]) -> Marginal {
    Marginal::Quantiles(points.iter().map(|(p, delay)| (*p, ms(*delay))).collect())
}

fn compare(name: &str, marginal: Marginal, correlation_ms: u64, rates: &[u64]) {
    let table = QuantileTable::new(&marginal);
    let link = Link {
        jitter: Jitter {
            marginal,
            correlation: Duration::from_millis(correlation_ms),
        },
        ..Link::fixed(Duration::ZERO)
    };
    println!("{name}, correlation {correlation_ms} ms");
    for rate in rates {
        let achieved = achieved(&link, *rate, table.quantile(1.0));
        let row: Vec<String> = [0.5, 0.99, 0.999]
            .map(|p| {
                let asked = table.quantile(p).as_secs_f64() * 1e3;
                let achieved = achieved[(p * LOOKS as f64) as usize] as f64 / 1e6;
                let ratio = if asked > 0.0 {
                    format!("{:.3}", achieved / asked)
                } else {
                    "-".to_string()
                };
                format!("p{} {asked:.3} / {achieved:.3} ({ratio})", p * 100.0)
            })
            .to_vec();
        println!("  {rate:>5}/s  {}", row.join("  "));
    }
}

/// Returns the sorted delays of independent looks at a stream of `rate` frames a second.
///
/// A frame is held back only by frames younger than the longest delay. So each look is the last
/// frame of a train as long as that, and ten correlation times without a frame set looks apart:
/// the distribution is that of a frame of an endless stream, at a fraction of its cost.
fn achieved(link: &Link, rate: u64, longest: Duration) -> Vec<u64> {
    let gap = 1_000_000_000 / rate;
    let train = nanos(longest) / gap + 2;
    let pause = nanos(link.jitter.correlation * 10 + longest);
    let mut core = LinkCore::new(link, Seed(1).stream(Stream::Link, rate));
    let mut delays = Vec::new();
    let mut at = Time::ZERO;
    for _ in 0..LOOKS {
        at += Duration::from_nanos(pause);
        let mut last = at;
        for _ in 0..train {
            at += Duration::from_nanos(gap);
            if let Verdict::Deliver(release) = core.send(at, 200) {
                last = release;
            }
        }
        delays.push(nanos(last.since(at)));
    }
    delays.sort_unstable();
    delays
}

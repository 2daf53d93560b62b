//! Measures how often the rule p99+10% fires on simulated runs whose true change is known.
//!
//! ```text
//! cargo run --release -p longhaul-study --example gate [TRIALS] [SECONDS] [PERCENT...]
//! ```
//!
//! A trial is what `compare` does with five runs and five others on `aws-5-heavy-tail`: each with a
//! seed of its own, writes from all five regions in two modes. For the other five every delay
//! between regions, base and jitter, is longer by the true change, so that each latency is, too.
//! Delays within regions stay: the write from the leader's own region in `leader-follower:async`,
//! which has no jitter and would give the change away, has none. As many operations fall into a
//! window of any length, so that longer windows only know the jitter better.
//!
//! A correct gate fires in at most 5% of the trials at a true change of just the limit, whatever
//! the runs are like. How often it fires beyond depends on how much p99 differs from run to run,
//! and so on the window.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_analysis::comparison::{FailIf, Options, Outcome, Side, compare};
use longhaul_analysis::{Analysis, analyse};
use longhaul_experiment::profile::bundled::bundled;
use longhaul_experiment::profile::{Link, Marginal};
use longhaul_experiment::scenario::ScenarioFile;
use longhaul_experiment::{Backend as _, LinkId, Profile, Scenario, Seed};
use longhaul_sim::SimBackend;

/// Runs of each side.
const REPEATS: u64 = 5;
/// Operations due in a window from each region, on average: p99 needs 1000.
const OPERATIONS: f64 = 1200.0;
const RULE: &str = "p99+10%";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| {
        let text = arguments.get(at);
        text.map_or(Ok(otherwise), |text| text.parse())
    };
    let (trials, seconds) = (number(0, 100)?, number(1, 60)?);
    let percents: Result<Vec<u32>, _> = arguments.iter().skip(2).map(|one| one.parse()).collect();
    let mut percents = percents?;
    if percents.is_empty() {
        percents = vec![0, 10, 25];
    }
    println!("windows of {seconds} s, {REPEATS} runs a side, rule {RULE}");
    println!("true change   fired      of");
    for percent in percents {
        let factor = 1.0 + f64::from(percent) / 100.0;
        let sides = [scenario(1.0, seconds)?, scenario(factor, seconds)?];
        let fired = fired(&sides, trials, u64::from(percent) << 32);
        println!("{percent:>10}%  {fired:>6}  {trials:>6}");
    }
    Ok(())
}

/// Returns in how many trials the rule fires, on all processors.
fn fired(sides: &[Scenario; 2], trials: u64, first_seed: u64) -> u64 {
    let next = AtomicU64::new(0);
    let fired = AtomicU64::new(0);
    let work = || {
        loop {
            let trial = next.fetch_add(1, Ordering::Relaxed);
            if trial >= trials {
                return;
            }
            let fires = fires(sides, first_seed + trial * 2 * REPEATS);
            fired.fetch_add(u64::from(fires), Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    fired.into_inner()
}

/// Runs both sides, and says whether the rule fires.
fn fires(sides: &[Scenario; 2], first_seed: u64) -> bool {
    let mut seed = first_seed;
    let runs: [Vec<Analysis>; 2] = sides.each_ref().map(|scenario| {
        let run = |_| {
            seed += 1;
            let mut backend = SimBackend {
                threads: NonZeroUsize::MIN,
                ..SimBackend::default()
            };
            let record = backend.run(scenario, Seed(seed));
            analyse(&record.expect("the scenario can run"))
        };
        (0..REPEATS).map(run).collect()
    });
    let rule: FailIf = RULE.parse().expect("a rule");
    let options = Options {
        rules: vec![rule],
        // The true change is a difference of the links.
        despite_differences: true,
    };
    let sides: Vec<Side<'_>> = ["before", "after"]
        .into_iter()
        .zip(&runs)
        .map(|(name, runs)| Side {
            name: name.to_owned(),
            records: runs.iter().collect(),
        })
        .collect();
    let comparison = compare(&sides, &options).expect("they ran the same modes");
    let gate = &comparison.others[0].gates[0];
    assert_ne!(gate.outcome, Outcome::CannotTell, "{gate:?}");
    gate.outcome == Outcome::Fires
}

fn scenario(factor: f64, seconds: u64) -> Result<Scenario, Box<dyn std::error::Error>> {
    let rate = OPERATIONS / seconds as f64;
    let text = format!(
        "modes = [\"leader-follower:async\", \"quorum:raft\"]\n\
         [workload]\nrate = {rate:?}\n\
         [durations]\nmeasured = \"{seconds}s\"\n"
    );
    let profile = bundled("aws-5-heavy-tail").ok_or("the profile is bundled")?;
    Ok(ScenarioFile::parse(&text, "the scenario above")?.resolve(longer(&profile, factor))?)
}

/// Returns a profile with every delay between regions times a factor.
fn longer(profile: &Profile, factor: f64) -> Profile {
    let ids = profile.region_indexes().flat_map(|from| {
        let others = profile.region_indexes();
        others.map(move |to| LinkId { from, to })
    });
    let links = ids.map(|id| {
        let mut link: Link = profile.link(id).clone();
        if id.from == id.to {
            return link;
        }
        link.one_way = link.one_way.mul_f64(factor);
        match &mut link.jitter.marginal {
            Marginal::None => {}
            Marginal::Quantiles(quantiles) => {
                for (_, delay) in quantiles {
                    *delay = delay.mul_f64(factor);
                }
            }
            other => panic!("the profile has quantiles or no jitter, and not {other:?}"),
        }
        link
    });
    Profile::new(
        profile.name.clone(),
        profile.description.clone(),
        profile.source.clone(),
        profile.regions.clone(),
        links.collect(),
    )
}

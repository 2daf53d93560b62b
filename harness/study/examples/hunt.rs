//! Hunts on one mode: `hunt MODE FIRST SEEDS [linearizable]`.
use std::time::Instant;
use longhaul_analysis::checkers::Guarantee;
use longhaul_experiment::Seed;
use longhaul_study::verify::{HuntOptions, Shipped, hunt};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let started = Instant::now();
    let options = HuntOptions {
        mode: args[1].parse().unwrap(),
        first: Seed(args[2].parse().unwrap()),
        seeds: args[3].parse().unwrap(),
        demanded: if args.len() > 4 { vec![Guarantee::Linearizability] } else { vec![] },
        threads: 1,
    };
    let outcome = hunt(&Shipped, &options, &|_| true).unwrap();
    let s = started.elapsed().as_secs_f64();
    println!("{} seeds {} ops {} faults undecided {} in {s:.2}s = {:.2} ms/seed", outcome.seeds, outcome.operations, outcome.faults, outcome.undecided.len(), 1e3*s/outcome.seeds as f64);
    for u in outcome.undecided.iter().take(3) { println!("undecided {u:?}"); }
    if let Some(c) = outcome.caught {
        println!("CAUGHT seed {:?}: {:#?}", c.case.seed, c.findings);
        println!("n {} dur {:?} faults {:#?}", c.case.replicas(), c.case.durability, c.case.faults.iter().map(|f| f.to_string()).collect::<Vec<_>>());
    }
}

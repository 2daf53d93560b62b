//! Proves the hunter: how many seeds it takes to catch each mutation, what the shrunk cases need,
//! and which kinds of fault took part.
//!
//! `mutations [SEEDS] [PART-OF-NAME]`; 10 000 seeds where none are stated. The exit code is 1 when
//! a mutation was caught in none of its modes.

use std::collections::BTreeMap;
use std::process::ExitCode;

use longhaul_experiment::{Fault, FaultKind, FaultTarget, Seed, parallel};
use longhaul_protocol::mutations::Mutation;
use longhaul_study::verify::case::Work;
use longhaul_study::verify::shrink::RUNS_MAX;
use longhaul_study::verify::{Case, Caught, HuntOptions, VerifyError, hunt, shrink};

use mutated::Mutated;

#[path = "../tests/mutated/mod.rs"]
mod mutated;

/// How often a mutation is caught in a mode, to see which kinds of fault can show it.
const CATCHES: usize = 5;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let seeds: u64 = arguments.get(1).map_or(Ok(10_000), |text| text.parse())?;
    let part = arguments.get(2).map_or("", String::as_str);
    // A replica that panics is a finding like any other.
    std::panic::set_hook(Box::new(|_| {}));
    let mut helped: BTreeMap<&'static str, usize> = KINDS.iter().map(|&kind| (kind, 0)).collect();
    let mut all_caught = true;
    for mutation in Mutation::ALL {
        if !mutation.name().contains(part) {
            continue;
        }
        let mut caught_anywhere = false;
        for mode in mutation.modes() {
            let catches = catches(mutation, mode, seeds)?;
            caught_anywhere |= !catches.is_empty();
            report(mutation, mode, &catches);
            for caught in &catches {
                let kinds = caught.case.faults.iter().map(kind);
                for kind in kinds.chain(features(&caught.case)) {
                    *helped.entry(kind).or_default() += 1;
                }
            }
        }
        all_caught &= caught_anywhere;
    }
    println!("\nin shrunk cases, by kind of fault and what else is drawn:");
    for (kind, count) in helped {
        let remark = if count == 0 {
            "  <- helped to catch none"
        } else {
            ""
        };
        println!("  {count:5}  {kind}{remark}");
    }
    Ok(if all_caught {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the first catches, shrunk. Their seeds stay those of the cases.
fn catches(mutation: Mutation, mode: &str, seeds: u64) -> Result<Vec<Caught>, VerifyError> {
    let mut catches = Vec::new();
    let mut next = 1;
    while next <= seeds && catches.len() < CATCHES {
        let options = HuntOptions {
            mode: mode.parse()?,
            first: Seed(next),
            seeds: seeds + 1 - next,
            demanded: Vec::new(),
            threads: parallel::processors(),
        };
        let Some(caught) = hunt(&Mutated(mutation), &options, &|_| true)?.caught else {
            break;
        };
        next = caught.case.seed.0 + 1;
        catches.push(shrink(&Mutated(mutation), caught, &[], RUNS_MAX));
    }
    Ok(catches)
}

fn report(mutation: Mutation, mode: &str, catches: &[Caught]) {
    let Some(first) = catches.first() else {
        return println!("{:30} {mode:32} not caught", mutation.name());
    };
    let seeds: Vec<String> = catches
        .iter()
        .map(|caught| caught.case.seed.0.to_string())
        .collect();
    let case = &first.case;
    println!(
        "{:30} {mode:32} seeds {}: {}; {} replicas, {} operations and {} faults suffice",
        mutation.name(),
        seeds.join(", "),
        first.findings[0].broken,
        case.replicas(),
        case.operations.len(),
        case.faults.len()
    );
}

const KINDS: [&str; 16] = [
    "crash",
    "pause",
    "partition, one way",
    "partition of a pair",
    "partition into sides",
    "link-delay",
    "link-loss",
    "slow-replica",
    "slow-disk",
    "clock-jump",
    "connection-reset",
    "partition around the leader",
    WORK,
    BATCHES,
    RETENTION,
    CLOCKS,
];

const WORK: &str = "(service times)";
const BATCHES: &str = "(batches of an instant)";
const RETENTION: &str = "(short logs)";
const CLOCKS: &str = "(fast clocks)";

/// Returns what of a case besides faults is not plain.
fn features(case: &Case) -> impl Iterator<Item = &'static str> {
    let features = [
        (case.work != Work::default(), WORK),
        (case.batches_instants, BATCHES),
        (case.retention.get() > 1, RETENTION),
        (!case.clocks_faster_ppm.is_empty(), CLOCKS),
    ];
    features
        .into_iter()
        .filter(|(has, _)| *has)
        .map(|(_, name)| name)
}

fn kind(fault: &Fault) -> &'static str {
    match (fault.kind, &fault.target) {
        (FaultKind::Partition, FaultTarget::Link(..)) => "partition, one way",
        (FaultKind::Partition, FaultTarget::Pair(..)) => "partition of a pair",
        (FaultKind::Partition, FaultTarget::Regions(_)) => "partition into sides",
        (FaultKind::Partition, _) => "partition around the leader",
        (kind, _) => kind.name(),
    }
}

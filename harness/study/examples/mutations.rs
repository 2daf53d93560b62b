//! How many seeds it takes to catch each mutation: `mutations [SEEDS] [NAME]`.

use std::time::Instant;

use longhaul_analysis::checkers::Guarantee;
use longhaul_experiment::Seed;
use longhaul_experiment::fault::FaultError;
use longhaul_protocol::mutations::{Mutation, with_mutant};
use longhaul_protocol::{Mode, ModeVisitor};
use longhaul_study::verify::promises::Nature;
use longhaul_study::verify::run::RunOptions;
use longhaul_study::verify::{
    Case, CaseRun, HuntOptions, Shipped, Subject, VerifyError, hunt, run, shrink,
};

struct Mutated(Mutation);

impl Subject for Mutated {
    fn run(
        &self,
        case: &Case,
        nature: &Nature,
        options: RunOptions,
    ) -> Result<CaseRun, VerifyError> {
        struct Carry<'a>(&'a Case, &'a Nature, RunOptions);
        impl ModeVisitor for Carry<'_> {
            type Output = Result<CaseRun, FaultError>;

            fn visit<M: Mode>(self, mode: M) -> Self::Output {
                run(mode, self.0, self.1, self.2)
            }
        }
        let visitor = Carry(case, nature, options);
        Ok(with_mutant(self.0, &case.mode, &case.topology(), visitor)??)
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seeds = args.get(1).map_or(2000, |text| text.parse().unwrap());
    std::panic::set_hook(Box::new(|_| {}));
    if args.get(2).is_some_and(|name| name.contains(':')) {
        for mode in &args[2..] {
            let started = Instant::now();
            let (mode, demanded) = match mode.strip_suffix('!') {
                Some(m) => (m, vec![Guarantee::Linearizability]),
                None => (mode.as_str(), vec![]),
            };
            let first = std::env::var("FIRST").map_or(1, |t| t.parse().unwrap());
            let options = HuntOptions {
                mode: mode.parse().unwrap(),
                first: Seed(first),
                seeds,
                demanded,
                threads: 1,
            };
            let outcome = hunt(&Shipped, &options, &|_| true).unwrap();
            let s = started.elapsed().as_secs_f64();
            println!(
                "== {mode}: {} seeds {} ops {} faults undecided {} in {s:.2}s = {:.2} ms/seed",
                outcome.seeds,
                outcome.operations,
                outcome.faults,
                outcome.undecided.len(),
                1e3 * s / outcome.seeds as f64
            );
            for u in outcome.undecided.iter().take(3) {
                println!("undecided {u:?}");
            }
            if let Some(c) = outcome.caught {
                println!("CAUGHT seed {:?}: {:?}", c.case.seed, c.findings);
                let c = shrink(&Shipped, c, &options.demanded, 3000);
                println!("SHRUNK {:?}: {:?}", c.findings, c.case);
                println!(
                    "n {} dur {:?} sync {} leader {} faults {:#?}",
                    c.case.replicas(),
                    c.case.durability,
                    c.case.sync_us,
                    c.case.leader,
                    c.case
                        .faults
                        .iter()
                        .map(|f| f.to_string())
                        .collect::<Vec<_>>()
                );
            }
        }
        return;
    }
    for mutation in Mutation::ALL {
        if args
            .get(2)
            .is_some_and(|name| !mutation.name().contains(name.as_str()))
        {
            continue;
        }
        for mode in mutation.modes() {
            let started = Instant::now();
            let options = HuntOptions {
                mode: mode.parse().unwrap(),
                first: Seed(1),
                seeds,
                demanded: vec![],
                threads: 1,
            };
            let outcome = hunt(&Mutated(mutation), &options, &|_| true).unwrap();
            let s = started.elapsed().as_secs_f64();
            print!(
                "{:32} {mode:32} {:5} seeds {:.2} ms/seed ",
                mutation.name(),
                outcome.seeds,
                1e3 * s / outcome.seeds as f64
            );
            match outcome.caught {
                Some(caught) => {
                    let started = Instant::now();
                    let small = shrink(&Mutated(mutation), caught, &[], 3_000);
                    println!(
                        "{:?} {}",
                        small.findings[0].broken,
                        small.findings[0]
                            .explanation
                            .chars()
                            .take(150)
                            .collect::<String>()
                    );
                    let c = &small.case;
                    println!(
                        "      shrunk in {:.1}s: {} replicas {:?} sync {} {} sessions {} operations {:?}",
                        started.elapsed().as_secs_f64(),
                        c.replicas(),
                        c.durability,
                        c.sync_us,
                        c.sessions.len(),
                        c.operations.len(),
                        c.faults.iter().map(|f| f.to_string()).collect::<Vec<_>>()
                    );
                }
                None => println!("NOT CAUGHT"),
            }
        }
    }
}

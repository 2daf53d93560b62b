//! How many seeds it takes to catch each mutation: `mutations [SEEDS] [NAME]`.

use std::time::Instant;

use longhaul_experiment::Seed;
use longhaul_experiment::fault::FaultError;
use longhaul_protocol::mutations::{Mutation, with_mutant};
use longhaul_protocol::{Mode, ModeVisitor};
use longhaul_study::verify::promises::Nature;
use longhaul_study::verify::run::RunOptions;
use longhaul_study::verify::{Case, CaseRun, HuntOptions, Subject, VerifyError, hunt, run};

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
    for mutation in Mutation::ALL {
        if args.get(2).is_some_and(|name| !mutation.name().contains(name.as_str())) {
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
            print!("{:32} {mode:32} {:5} seeds {:.2} ms/seed ", mutation.name(), outcome.seeds, 1e3 * s / outcome.seeds as f64);
            match outcome.caught {
                Some(caught) => println!("{:?} {}", caught.findings[0].broken, caught.findings[0].explanation.chars().take(150).collect::<String>()),
                None => println!("NOT CAUGHT"),
            }
        }
    }
}

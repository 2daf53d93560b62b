//! `longhaul verify`.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use longhaul_analysis::checkers::Guarantee;
use longhaul_experiment::{Seed, parallel};
use longhaul_report::space_time::space_time;
use longhaul_study::verify::shrink::RUNS_MAX;
use longhaul_study::verify::{
    Caught, Counterexample, HuntOptions, HuntOutcome, Shipped, VerifyError, diagram,
    guarantee_named, hunt, shrink, trace_text,
};

use crate::arguments::VerifyArguments;
use crate::exit_codes;
use crate::flags;
use crate::output::{CommandError, note, print, read_file, write_file};

/// How many seeds a mode is tried with at a time when modes share a stated time.
const SLICE: u64 = 100;

/// Hunts on each mode, or carries a counterexample out again.
pub(crate) fn verify(arguments: &VerifyArguments) -> Result<ExitCode, CommandError> {
    if let Some(file) = &arguments.replay {
        return replay(file);
    }
    let orders = orders(arguments)?;
    let lasts = flags::time("--for", arguments.lasts.as_deref())?.map(Duration::from);
    let mut hunts: Vec<Hunt> = orders.into_iter().map(Hunt::new).collect();
    for hunt in &hunts {
        print(&hunt.announcement())?;
    }
    let started = Instant::now();
    let goes_on = |_: u64| lasts.is_none_or(|lasts| started.elapsed() < lasts);
    let slice = if lasts.is_some() { SLICE } else { u64::MAX };
    while goes_on(0) {
        // Modes share the time, not the seeds: a seed of one may take several of another's.
        let going_on = hunts.iter_mut().filter(|hunt| hunt.goes_on());
        let Some(hunt) = going_on.min_by_key(|hunt| hunt.took) else {
            break;
        };
        hunt.carry_on(slice, &goes_on)?;
    }
    let (mut is_found, mut is_undecided) = (false, false);
    for hunt in &hunts {
        print(&hunt.report())?;
        is_found |= hunt.total.caught.is_some();
        is_undecided |= !hunt.total.undecided.is_empty();
        if let Some(caught) = &hunt.total.caught {
            let file = write_down(caught.clone(), &hunt.options, &arguments.out)?;
            replay(&file)?;
        }
    }
    Ok(exit_codes::of_search(is_found, is_undecided))
}

/// One mode's seeds, run slice by slice.
struct Hunt {
    options: HuntOptions,
    total: HuntOutcome,
    took: Duration,
}

impl Hunt {
    fn new(options: HuntOptions) -> Hunt {
        Hunt {
            options,
            total: HuntOutcome::default(),
            took: Duration::ZERO,
        }
    }

    fn announcement(&self) -> String {
        let HuntOptions {
            mode,
            first,
            seeds,
            demanded,
            threads,
        } = &self.options;
        let demanded: Vec<&str> = demanded.iter().map(|it| it.name()).collect();
        let demanded = if demanded.is_empty() {
            "what the mode promises".to_owned()
        } else {
            format!("what the mode promises and {}", demanded.join(", "))
        };
        format!(
            "verify {mode}: seeds {} to {}, {threads} threads, demanded: {demanded}\n",
            first.0,
            first.0.saturating_add(seeds.saturating_sub(1))
        )
    }

    fn goes_on(&self) -> bool {
        self.total.seeds < self.options.seeds && self.total.caught.is_none()
    }

    fn carry_on(
        &mut self,
        slice: u64,
        goes_on: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<(), VerifyError> {
        let started = Instant::now();
        let done = self.total.seeds;
        let options = HuntOptions {
            first: Seed(self.options.first.0.wrapping_add(done)),
            seeds: slice.min(self.options.seeds - done),
            ..self.options.clone()
        };
        let outcome = hunt(&Shipped, &options, goes_on)?;
        self.total.add(outcome);
        self.took += started.elapsed();
        Ok(())
    }

    fn report(&self) -> String {
        let HuntOutcome {
            seeds,
            operations,
            faults,
            undecided,
            caught,
        } = &self.total;
        let rate = *seeds as f64 / self.took.as_secs_f64().max(1e-9);
        let mut text = format!(
            "{}: {seeds} seeds, {operations} operations, {faults} faults, {rate:.0} seeds/s: ",
            self.options.mode
        );
        text.push_str(match caught {
            Some(_) => "a violation\n",
            None if undecided.is_empty() => "no violation\n",
            None => "no violation, but not all was decided\n",
        });
        for (seed, reason) in undecided.iter().take(3) {
            // Writing into a string succeeds.
            let _ = writeln!(text, "  seed {}: not decided: {reason}", seed.0);
        }
        text
    }
}

fn orders(arguments: &VerifyArguments) -> Result<Vec<HuntOptions>, CommandError> {
    let modes = flags::modes_or_default(&arguments.modes)?;
    let demanded = arguments.demand.iter().map(|name| {
        guarantee_named(name).ok_or_else(|| {
            let known: Vec<String> = Guarantee::ALL
                .iter()
                .map(|it| it.name().replace(' ', "-"))
                .collect();
            let why = format!("'{name}' is no guarantee: {}", known.join(", "));
            CommandError::new("--demand", why)
        })
    });
    let demanded: Vec<Guarantee> = demanded.collect::<Result<_, _>>()?;
    if arguments.seeds == 0 {
        let why = "0 seeds would show nothing: state 1 or more";
        return Err(CommandError::new("--seeds", why));
    }
    let threads = match arguments.threads {
        None => parallel::processors(),
        Some(stated) => NonZeroUsize::new(stated).ok_or_else(|| {
            CommandError::new("--threads", "0 threads run nothing: state 1 or more")
        })?,
    };
    let order = |mode| HuntOptions {
        mode,
        first: Seed(arguments.from),
        seeds: arguments.seeds,
        demanded: demanded.clone(),
        threads,
    };
    Ok(modes.into_iter().map(order).collect())
}

/// Shrinks a case and writes it to a file.
fn write_down(
    caught: Caught,
    options: &HuntOptions,
    folder: &Path,
) -> Result<PathBuf, CommandError> {
    let seed = caught.case.seed.0;
    print(&format!("seed {seed} of {}\n", options.mode))?;
    for finding in &caught.findings {
        print(&format!("  {finding}\n"))?;
    }
    note("shrinking the case\n");
    let small = shrink(&Shipped, caught, &options.demanded, RUNS_MAX);
    let name: String = options
        .mode
        .to_string()
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() { it } else { '-' })
        .collect();
    let file = folder.join(format!("{name}-{seed}.json"));
    let content = Counterexample::of(&small, &options.demanded).to_json();
    write_file(&file, content)?;
    Ok(file)
}

/// Carries a counterexample out again; its trace and diagram are written beside it.
fn replay(file: &Path) -> Result<ExitCode, CommandError> {
    let counterexample = Counterexample::parse(&read_file(file)?)
        .map_err(|error| CommandError::new(format!("reading {}", file.display()), error))?;
    let case = &counterexample.case;
    print(&format!(
        "replay of {}: {}, seed {}, {} replicas, {} operations, {} faults\n",
        file.display(),
        case.mode,
        case.seed.0,
        case.replicas(),
        case.operations.len(),
        case.faults.len()
    ))?;
    for fault in &case.faults {
        print(&format!("  {fault}\n"))?;
    }
    let replay = counterexample.replay(&Shipped)?;
    for finding in &replay.judgement.findings {
        print(&format!("  {finding}\n"))?;
    }
    let (trace, drawing) = (file.with_extension("trace.txt"), file.with_extension("svg"));
    write_file(&trace, trace_text(&replay.trace))?;
    write_file(&drawing, space_time(&diagram(case, &replay)))?;
    print(&format!(
        "trace: {}, diagram: {}\n",
        trace.display(),
        drawing.display()
    ))?;
    let judgement = &replay.judgement;
    Ok(exit_codes::of_search(
        !judgement.findings.is_empty(),
        !judgement.undecided.is_empty(),
    ))
}

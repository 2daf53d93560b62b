//! `longhaul saturate`.

use std::process::ExitCode;

use longhaul_analysis::capacity::{Slo, short_rate};
use longhaul_experiment::Seed;
use longhaul_study::saturate::{SaturatePlan, saturate};
use longhaul_study::sweep::geometric_rates;

use crate::output::{CommandError, note};
use crate::sweep_arguments::SaturateArguments;
use crate::sweep_command::{conducted, slo_region, swept_scenario};

/// Searches for the highest rate of each mode at which a limit holds.
pub(crate) fn run(arguments: SaturateArguments) -> Result<ExitCode, CommandError> {
    let slo: Slo = arguments.slo.parse()?;
    // The ends of the search are checked as those of a sweep.
    geometric_rates(arguments.from, arguments.to, 2)?;
    let (scenario, backend) = swept_scenario(&arguments.run)?;
    let plan = SaturatePlan {
        slo_region: slo_region(arguments.region.as_deref(), &scenario)?,
        scenario,
        backend,
        slo,
        from: arguments.from,
        to: arguments.to,
        repeats: arguments.repeats,
        seed: Seed(arguments.run.seed),
    };
    let lowest = plan.lowest_judged();
    if lowest > plan.to {
        return Err(format!(
            "--to {}: the limit {} can be judged from {}/s on, where {:?} have operations enough; \
             measure longer with --duration, or search higher",
            plan.to,
            plan.slo,
            short_rate(lowest),
            plan.scenario.durations.measured,
        )
        .into());
    }
    note(&format!(
        "seed      {} to {}\nbackend   {}, scenario {}\nlimit     {} {}\nrates     from {} to {} per \
         second and client region; judged from {} on\n",
        plan.seed.0,
        plan.seed.0.wrapping_add(u64::from(plan.repeats - 1)),
        backend.name(),
        plan.scenario.name,
        plan.slo,
        match &plan.slo_region {
            Some(region) => format!("in {region} alone"),
            None => "in every client region by itself".to_owned(),
        },
        short_rate(plan.start()),
        short_rate(plan.to),
        short_rate(lowest),
    ));
    let scenario = plan.scenario.clone();
    conducted(
        &arguments.run,
        (&scenario, backend),
        "saturate",
        |conduct| saturate(&plan, conduct),
    )
}

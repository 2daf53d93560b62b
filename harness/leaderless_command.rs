//! `longhaul leaderless`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::{ModeSpec, Seed, Topology};
use longhaul_protocol::quorum::timeouts::Timeouts;
use longhaul_study::leaderless::{
    LeaderlessOrder, LeaderlessTimes, evenly_spaced, measure_leaderless,
};
use serde_json::json;

use crate::flags;
use crate::model_arguments::LeaderlessArguments;
use crate::output::{CommandError, print, print_json};
use crate::scenario_arguments::find_profile;

const QUANTILES: [(&str, f64); 5] = [
    ("min", 0.0),
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("max", 1.0),
];

/// One-way delays of a broadcast time of 15 ms, the paper's.
const DELAY: Duration = Duration::from_micros(7500);

const LEFT_OUT: &str = "\
Virtual time, from the death of the leader's process until a majority knows another. Left out:
the replicas' own work and their disks, clients, logs of different lengths, and start-up at
different instants (all timers tick together). Heartbeats are 1/20 of the least time-out apart.
";

/// Measures leaderless time by number of replicas and prints its distribution.
pub(crate) fn leaderless(arguments: &LeaderlessArguments) -> Result<ExitCode, CommandError> {
    let mode: ModeSpec = arguments.mode.parse()?;
    let patience = flags::stated_time("--patience", &arguments.patience)?;
    let mut text = format!(
        "{mode}, {} seeds from {} for each number of replicas; milliseconds\n\n",
        arguments.seeds, arguments.seed
    );
    writeln!(
        text,
        "replicas {:>9} {:>9} {:>9} {:>9} {:>9}  never  time-outs",
        "min", "p50", "p90", "p99", "max"
    )?;
    let mut rows = Vec::new();
    for &replicas in &arguments.replicas {
        let topology = Arc::new(place(arguments, replicas)?);
        let order = LeaderlessOrder {
            mode: &mode,
            topology: &topology,
            first_seed: Seed(arguments.seed),
            seeds: arguments.seeds,
            patience: patience.0,
        };
        let times = measure_leaderless(&order)?;
        let timeouts = timeouts(&mode, &topology);
        row(&mut text, replicas, &times, &timeouts)?;
        let quantiles: serde_json::Map<_, _> = QUANTILES
            .iter()
            .map(|&(label, p)| (label.to_owned(), json!(milliseconds(times.quantile(p)))))
            .collect();
        rows.push(json!({
            "replicas": replicas,
            "never": times.never,
            "time_outs": timeouts,
            "leaderless_ms": quantiles,
        }));
    }
    if arguments.json {
        print_json(&json!({
            "mode": mode.to_string(),
            "first_seed": arguments.seed,
            "seeds": arguments.seeds,
            "rows": rows,
        }))?;
    } else {
        print(&format!("{text}\n{LEFT_OUT}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn place(arguments: &LeaderlessArguments, replicas: u16) -> Result<Topology, CommandError> {
    let Some(name) = &arguments.profile else {
        let delay = flags::time("--delay", arguments.delay.as_deref())?;
        return Ok(evenly_spaced(replicas, delay.map_or(DELAY, |it| it.0)));
    };
    let profile = find_profile(name)?.without_jitter();
    let regions: Vec<_> = profile
        .region_indexes()
        .take(usize::from(replicas))
        .collect();
    if regions.len() < usize::from(replicas) {
        let has = regions.len();
        return Err(
            format!("profile '{name}' has {has} regions, and {replicas} are needed").into(),
        );
    }
    Ok(Topology::everywhere(profile.subset(&regions)))
}

fn timeouts(mode: &ModeSpec, topology: &Topology) -> String {
    match mode.parameters.get("election") {
        Some(stated) => format!("election {stated}"),
        None => {
            let timeouts = Timeouts::of(topology);
            format!(
                "heartbeat {:?}, election from {:?}",
                timeouts.heartbeat,
                timeouts.election()
            )
        }
    }
}

fn row(
    text: &mut String,
    replicas: u16,
    times: &LeaderlessTimes,
    timeouts: &str,
) -> Result<(), CommandError> {
    write!(text, "{replicas:>8}")?;
    for (_, p) in QUANTILES {
        match milliseconds(times.quantile(p)) {
            Some(ms) => write!(text, " {ms:>9.1}")?,
            None => write!(text, " {:>9}", "never")?,
        }
    }
    writeln!(text, "  {:>5}  {timeouts}", times.never)?;
    Ok(())
}

fn milliseconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64() * 1e3)
}

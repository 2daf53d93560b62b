//! `longhaul pbs`.

use std::fmt::Write as _;
use std::process::ExitCode;

use longhaul_experiment::Seed;
use longhaul_study::pbs::{
    FITS, Fit, Measured, Setting, Sorted, Staleness, distances, paper_figures, predict, simulate,
};
use serde_json::{Value, json};

use crate::model_arguments::PbsArguments;
use crate::output::{CommandError, print, print_json};

const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

const LEFT_OUT: &str = "\
Virtual time with the project's register replicas (quorum:register,phases=1) and an external
coordinator; every message's delay is drawn on its own, so messages overtake each other. Left out,
as in the paper: failures, loss, read repair and anti-entropy, concurrent writers, the replicas'
own work, and delays that depend on each other.
";

/// Measures staleness on replicas and prints it beside the model's.
pub(crate) fn pbs(arguments: &PbsArguments) -> Result<ExitCode, CommandError> {
    let Some(fit) = Fit::named(&arguments.fit) else {
        let names: Vec<&str> = FITS.iter().map(|fit| fit.name).collect();
        let names = names.join(", ");
        return Err(format!("no fit '{}': there are {names}", arguments.fit).into());
    };
    let setting = Setting {
        fit: *fit,
        replicas: arguments.n,
        read_quorum: arguments.r,
        write_quorum: arguments.w,
        samples: arguments.samples,
    };
    setting.check()?;
    let seed = Seed(arguments.seed);
    let predicted = predict(&setting, seed);
    let measured = simulate(&setting, seed, &distances(&predicted))?;
    if arguments.json {
        print_json(&as_json(&setting, seed, (&measured, &predicted)))?;
    } else {
        print(&as_table(&setting, seed, (&measured, &predicted))?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_table(
    setting: &Setting,
    seed: Seed,
    (measured, predicted): (&Measured, &Staleness),
) -> Result<String, CommandError> {
    let mut text = String::new();
    writeln!(
        text,
        "{}, N={} R={} W={}, {} writes, seed {}\n",
        setting.fit.name,
        setting.replicas,
        setting.read_quorum,
        setting.write_quorum,
        setting.samples,
        seed.0
    )?;
    writeln!(text, "  t after write   P(consistent)    +-   model")?;
    for point in &measured.points {
        let share = point.share();
        // One standard error of a share of independent reads.
        let error = (share * (1.0 - share) / point.reads.max(1) as f64).sqrt();
        writeln!(
            text,
            "{:>12.3} ms  {:>12.3}%  {:>5.3}  {:>6.3}%",
            point.t_ms,
            share * 100.0,
            error * 100.0,
            predicted.consistent(point.t_ms) * 100.0
        )?;
    }
    let replicas = match measured.t_for(0.999) {
        Some(t) => format!("{t:.3} ms"),
        None => "beyond the last t above".to_owned(),
    };
    let model = predicted.t_for(0.999);
    writeln!(text, "\nt for 99.9%: {replicas}; model {model:.3} ms\n")?;
    latencies(
        &mut text,
        "write",
        (&measured.write_latency, &predicted.write_latency),
    )?;
    latencies(
        &mut text,
        "read",
        (&measured.read_latency, &predicted.read_latency),
    )?;
    if measured.failed > 0 {
        writeln!(
            text,
            "{} operations failed and are not counted",
            measured.failed
        )?;
    }
    if let Some(paper) = paper_figures(setting) {
        let at_once = paper.consistent_at_once;
        let at_once = at_once.map_or(String::new(), |p| format!("{:.1}% at once, ", p * 100.0));
        writeln!(
            text,
            "\nBailis et al. (VLDB 2012, section 5.6 and table 4) report for this setting: \
             {at_once}99.9% after {} ms,\n99.9th percentile of reads {} ms and writes {} ms",
            paper.t_999_ms, paper.read_999_ms, paper.write_999_ms
        )?;
    }
    write!(text, "\n{LEFT_OUT}")?;
    Ok(text)
}

fn latencies(
    text: &mut String,
    name: &str,
    (measured, predicted): (&Sorted, &Sorted),
) -> Result<(), CommandError> {
    for (label, p) in PERCENTILES {
        writeln!(
            text,
            "{name:>6} {label:<6} {:>10.3} ms   model {:>10.3} ms",
            measured.quantile(p).unwrap_or(f64::NAN),
            predicted.quantile(p).unwrap_or(f64::NAN)
        )?;
    }
    Ok(())
}

fn as_json(setting: &Setting, seed: Seed, (measured, predicted): (&Measured, &Staleness)) -> Value {
    let points: Vec<Value> = measured
        .points
        .iter()
        .map(|point| {
            json!({
                "t_ms": point.t_ms,
                "reads": point.reads,
                "consistent": point.consistent,
                "model_share": predicted.consistent(point.t_ms),
            })
        })
        .collect();
    let latency = |sorted: &Sorted| -> Value {
        PERCENTILES
            .iter()
            .map(|&(label, p)| (label.to_owned(), json!(sorted.quantile(p))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "fit": setting.fit,
        "n": setting.replicas,
        "r": setting.read_quorum,
        "w": setting.write_quorum,
        "samples": setting.samples,
        "seed": seed.0,
        "failed": measured.failed,
        "points": points,
        "t_999_ms": measured.t_for(0.999),
        "write_latency_ms": latency(&measured.write_latency),
        "read_latency_ms": latency(&measured.read_latency),
        "model": {
            "t_999_ms": predicted.t_for(0.999),
            "write_latency_ms": latency(&predicted.write_latency),
            "read_latency_ms": latency(&predicted.read_latency),
        },
    })
}

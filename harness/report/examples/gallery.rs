//! Draws the charts and pages of made-up runs of several sizes into a folder, to be looked at.
//!
//! `cargo run -p longhaul-report --example gallery -- FOLDER`

#[path = "../src/synthetic.rs"]
mod synthetic;

use std::path::{Path, PathBuf};

use longhaul_analysis::Analysis;
use longhaul_experiment::RunRecord;
use longhaul_report::chart::{ThroughputChart, ThroughputPoint, throughput};
use longhaul_report::{TableOptions, charts, html, paper_charts, table};
use synthetic::Shape;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(
        std::env::args()
            .nth(1)
            .unwrap_or_else(|| "gallery".to_owned()),
    );
    std::fs::create_dir_all(&folder)?;
    let shape = |modes, regions, due, failures| Shape {
        modes,
        regions,
        due,
        reads: 0.0,
        failures,
    };
    let shapes = [
        ("usual", shape(4, 5, 6000, 0)),
        ("failures", shape(3, 3, 6000, 30)),
        ("one", shape(1, 1, 600, 0)),
    ];
    for (name, shape) in shapes {
        let record = synthetic::record(shape);
        let mut analysis = longhaul_analysis::analyse(&record);
        if name == "usual" {
            // Delays up to a tenth above the least, from a low-discrepancy sequence.
            let profile = &record.scenario.topology.profile;
            let mut position = 0.0f64;
            analysis.add_models(&record, 20_000, &mut |link| {
                position = (position + 0.618_033_988_749_895).fract();
                profile.link(link).one_way.mul_f64(1.0 + 0.1 * position)
            });
        }
        draw(&folder, name, &record, &analysis)?;
        if name == "failures" {
            let record = synthetic::repeated_record(&record, 12, 19);
            let mut many = synthetic::repeated(analysis.clone(), 12, 19);
            synthetic::add_accuracy(&mut many, &record);
            draw(&folder, "many", &record, &many)?;
        }
        println!("== {name}");
        print!("{}", table(&analysis, &TableOptions::default()));
    }
    let sweep = throughput(&ThroughputChart {
        modes: &["quorum:raft", "leader-follower:async", "eventual:lww"],
        points: &sweep(),
        limit: Some((180.0, "limit: p99 180 ms")),
        caption: "made up",
    });
    let sweep = sweep.finish();
    std::fs::write(folder.join(format!("{}.png", sweep.name)), sweep.png)
}

fn draw(folder: &Path, name: &str, record: &RunRecord, analysis: &Analysis) -> std::io::Result<()> {
    for chart in charts(record, analysis) {
        let stem = format!("{name}-{}", chart.name);
        std::fs::write(folder.join(format!("{stem}.svg")), chart.svg)?;
        std::fs::write(folder.join(format!("{stem}.png")), chart.png)?;
    }
    for chart in paper_charts(record, analysis) {
        let stem = format!("paper-{name}-{}", chart.name);
        std::fs::write(folder.join(format!("{stem}.svg")), chart.svg)?;
        std::fs::write(folder.join(format!("{stem}.png")), chart.png)?;
    }
    std::fs::write(folder.join(format!("{name}.html")), html(record, analysis))
}

/// Three modes that saturate one after another, one of them with the machine.
fn sweep() -> Vec<ThroughputPoint> {
    let limits = [
        ("quorum:raft", 3000.0, 140.0),
        ("leader-follower:async", 4200.0, 71.0),
        ("eventual:lww", 5200.0, 0.4),
    ];
    let mut points = Vec::new();
    for (mode, limit, base_ms) in limits {
        for step in 1..12u32 {
            let offered_ops = 500.0 * f64::from(step);
            let load = (offered_ops / limit).min(0.98);
            let p50_ms = base_ms + 0.4 / (1.0 - load);
            points.push(ThroughputPoint {
                mode: mode.to_owned(),
                rate_ops: offered_ops / 5.0,
                offered_ops,
                throughput_ops: offered_ops.min(limit),
                errors_percent: 0.0,
                backlog: 0,
                p50_ms: Some(p50_ms),
                p99_ms: (offered_ops < 1.3 * limit).then_some(1.2 * p50_ms + 2.0 / (1.0 - load)),
                machine_bound: offered_ops > 4400.0,
            });
        }
    }
    points
}

//! Draws the charts of made-up runs of several sizes into a folder, to be looked at.
//!
//! `cargo run -p longhaul-report --example gallery -- FOLDER`

#[path = "../src/synthetic.rs"]
mod synthetic;

use std::path::PathBuf;

use longhaul_report::{TableOptions, charts, table};
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
        let many = (name == "failures").then(|| synthetic::repeated(analysis.clone(), 12, 19));
        for chart in many.iter().flat_map(charts) {
            std::fs::write(folder.join(format!("many-{}.png", chart.name)), chart.png)?;
        }
        for chart in charts(&analysis) {
            let stem = format!("{name}-{}", chart.name);
            std::fs::write(folder.join(format!("{stem}.svg")), chart.svg)?;
            std::fs::write(folder.join(format!("{stem}.png")), chart.png)?;
        }
        println!("== {name}");
        print!("{}", table(&analysis, &TableOptions::default()));
    }
    Ok(())
}

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
        ("many", shape(12, 19, 20_000, 5)),
    ];
    for (name, shape) in shapes {
        let analysis = synthetic::analysis(shape);
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

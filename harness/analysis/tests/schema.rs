//! The published forms of a summary and of a sweep: the schemas checked in are those that the types
//! generate.
//!
//! That they validate against it is tested beside the synthetic records.

use longhaul_analysis::Summary;
use longhaul_analysis::capacity::Sweep;

#[test]
fn the_schema_checked_in_is_the_generated_one() {
    let generated = serde_json::to_value(Summary::schema()).unwrap();
    let checked_in: serde_json::Value =
        serde_json::from_str(include_str!("../summary.schema.json")).unwrap();
    assert!(
        generated == checked_in,
        "the summary's form changed: run `cargo run -p longhaul-analysis --example summary_schema \
         > harness/analysis/summary.schema.json` and say in the changelog what readers must do"
    );
}

#[test]
fn the_schema_of_a_sweep_checked_in_is_the_generated_one() {
    let generated = serde_json::to_value(Sweep::schema()).unwrap();
    let checked_in: serde_json::Value =
        serde_json::from_str(include_str!("../sweep.schema.json")).unwrap();
    assert!(
        generated == checked_in,
        "a sweep's form changed: run `cargo run -p longhaul-analysis --example sweep_schema \
         > harness/analysis/sweep.schema.json` and say in the changelog what readers must do"
    );
}

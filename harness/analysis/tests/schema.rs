//! The published form of a summary: the schema checked in is the one that the types generate.
//!
//! That a summary validates against it is tested beside the synthetic records.

use longhaul_analysis::Summary;

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

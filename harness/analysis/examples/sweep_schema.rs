//! Prints the JSON Schema of a sweep: what `sweep.schema.json` holds.

fn main() {
    let schema = longhaul_analysis::capacity::Sweep::schema();
    let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    println!("{text}");
}

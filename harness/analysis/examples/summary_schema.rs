//! Prints the JSON Schema of a summary: what `summary.schema.json` holds.

fn main() {
    let schema = longhaul_analysis::Summary::schema();
    let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    println!("{text}");
}

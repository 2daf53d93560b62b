//! Says what this machine permits: `cargo run --release --example machine`.

fn main() {
    let found = longhaul_wan::machine::capabilities();
    println!("timer: {}", found.timer.sentence);
    for (name, capability) in [
        ("real-time", found.realtime),
        ("namespaces", found.namespaces),
        ("tun", found.tun),
        ("netem", found.netem),
    ] {
        println!("{name}: {} ({})", capability.available, capability.sentence);
    }
}

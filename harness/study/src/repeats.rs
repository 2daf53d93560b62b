//! Repeated runs, whose spread is the error of a comparison.

use longhaul_experiment::{RunRecord, Scenario, Seed, Stream};
use rand::Rng as _;

/// Returns a scenario with its modes in an order that the seed shuffles (Fisher and Yates), so that
/// what changes on the machine while repeats run does not fall on one mode each time.
pub fn shuffled(scenario: &Scenario, seed: Seed) -> Scenario {
    let mut shuffled = scenario.clone();
    let mut generator = seed.stream(Stream::ModeOrder, 0);
    for last in (1..shuffled.modes.len()).rev() {
        // The bias of a remainder of 64 bits is far below one in 10^15 for so few modes.
        let other = (generator.next_u64() % (last as u64 + 1)) as usize;
        shuffled.modes.swap(last, other);
    }
    shuffled
}

/// Returns a record with its modes in a scenario's order, whatever the order in which they ran.
pub fn in_order(mut record: RunRecord, scenario: &Scenario) -> RunRecord {
    record.modes.sort_by_key(|mode| {
        scenario
            .modes
            .iter()
            .position(|listed| *listed == mode.mode)
    });
    record.scenario.modes.clone_from(&scenario.modes);
    record
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::profile::bundled::bundled;
    use longhaul_experiment::scenario::ScenarioFile;
    use longhaul_experiment::{Backend as _, ModeSpec};
    use longhaul_sim::SimBackend;

    use super::*;

    fn scenario() -> Scenario {
        let text = "modes = [\"leader-follower:async\", \"quorum:paxos\", \"eventual:lww\"]\n\
                    [workload]\nrate = 5.0\n[durations]\nmeasured = \"1s\"\n";
        let file = ScenarioFile::parse(text, "three-modes.toml").unwrap();
        file.resolve(bundled("aws-5").unwrap()).unwrap()
    }

    #[test]
    fn seeds_shuffle_the_modes_into_every_order() {
        let scenario = scenario();
        let mut orders: Vec<Vec<ModeSpec>> = (0..100)
            .map(|seed| shuffled(&scenario, Seed(seed)).modes)
            .collect();
        orders.sort();
        orders.dedup();
        // Three modes have six orders; each is missed by 100 draws with (5/6)^100, 10^-8.
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn a_shuffled_run_leaves_the_record_of_the_run_in_order() {
        let scenario = scenario();
        let order = |seed: &u64| shuffled(&scenario, Seed(*seed)).modes != scenario.modes;
        let seed = Seed((0..100).find(order).unwrap());
        let mut backend = SimBackend::default();
        let straight = backend.run(&scenario, seed).unwrap();
        let record = backend.run(&shuffled(&scenario, seed), seed).unwrap();
        let record = in_order(record, &scenario);
        let json = |record: &RunRecord| serde_json::to_string(record).unwrap();
        assert_eq!(json(&record), json(&straight));
    }
}

use longhaul_experiment::OperationKind;
use longhaul_experiment::record::BackendKind;
use longhaul_experiment::service::{Service, ServiceTimes};

use super::*;
use crate::ModeSummary;
use crate::{analyse, synthetic};

/// A run of one mode and region whose writes take this long, 2000 of them.
fn run(seed: u64, milliseconds: u64) -> Analysis {
    run_with(seed, &[milliseconds; 2000], 0)
}

fn run_with(seed: u64, latencies_ms: &[u64], failed: u64) -> Analysis {
    let kinds = [(
        OperationKind::Write,
        synthetic::kind(latencies_ms, failed, 0),
    )];
    let mut record = synthetic::record(vec![synthetic::mode("quorum:raft", &[&kinds])]);
    record.seed.0 = seed;
    analyse(&record)
}

fn side<'a>(name: &str, runs: &'a [Analysis]) -> Side<'a> {
    Side {
        name: name.to_owned(),
        records: runs.iter().collect(),
    }
}

fn options(rule: &str) -> Options {
    Options {
        rules: vec![rule.parse().unwrap()],
        ..Options::default()
    }
}

fn repeats(milliseconds: [u64; 3]) -> Vec<Analysis> {
    (0..)
        .zip(milliseconds)
        .map(|(seed, ms)| run(seed, ms))
        .collect()
}

fn outcome(base: &[Analysis], other: &[Analysis], rule: &str) -> Outcome {
    let sides = [side("A", base), side("B", other)];
    let comparison = compare(&sides, &options(rule)).unwrap();
    comparison.others[0].gates[0].outcome
}

#[test]
fn repeated_runs_fire_a_gate_only_when_the_lower_bound_exceeds_it() {
    let base = repeats([99, 100, 101]);
    // 130 over 100 is 30% with an error of about 0.8%: far beyond 10%.
    assert_eq!(
        outcome(&base, &repeats([129, 130, 131]), "p99+10%"),
        Outcome::Fires
    );
    // The estimate of 12% exceeds 10%, but runs spread by 12 ms, an error of 7 ms.
    assert_eq!(
        outcome(&base, &repeats([100, 112, 124]), "p99+10%"),
        Outcome::Holds
    );
    assert_eq!(outcome(&base, &base, "p99+10%"), Outcome::Holds);
    assert_eq!(
        outcome(&base, &repeats([129, 130, 131]), "p99+20ms"),
        Outcome::Fires
    );
    assert_eq!(
        outcome(&base, &repeats([129, 130, 131]), "p99+31ms"),
        Outcome::Holds
    );
    // An improvement never fires.
    assert_eq!(
        outcome(&base, &repeats([50, 51, 52]), "p99+10%"),
        Outcome::Holds
    );
}

#[test]
fn lost_operations_fire_the_gates_of_errors_goodput_and_percentiles() {
    let base = repeats([100, 100, 100]);
    // 100 of 1000 fail: 10% errors, half the goodput, and p99 beyond the time-out.
    let failing = |seed| run_with(seed, &[100; 900], 100);
    let other: Vec<Analysis> = (0..3).map(failing).collect();
    for rule in ["errors+9%", "goodput-50%", "goodput-100ops"] {
        assert_eq!(outcome(&base, &other, rule), Outcome::Fires, "{rule}");
    }
    assert_eq!(outcome(&base, &other, "goodput-56%"), Outcome::Holds);
    // All of three runs and none of three others: at most 1/64 by chance.
    assert_eq!(outcome(&base, &other, "p99+10%"), Outcome::Fires);
    // What is lost on both sides, or was before, is not worse.
    assert_eq!(outcome(&other, &other, "p99+10%"), Outcome::Holds);
    assert_eq!(outcome(&other, &base, "p99+10%"), Outcome::Holds);
}

#[test]
fn a_percentile_beyond_the_time_out_in_some_runs_is_never_said_to_hold() {
    let base = repeats([100, 100, 100]);
    let mut other = repeats([100, 100, 100]);
    other[1] = run_with(1, &[100; 1900], 100);
    let sides = [side("A", &base), side("B", &other)];
    let comparison = compare(&sides, &options("p99+10%")).unwrap();
    let gate = &comparison.others[0].gates[0];
    assert_eq!(gate.outcome, Outcome::CannotTell);
    assert_eq!(gate.not_judged[0].1, NotJudged::BeyondTimeout);
    assert!(comparison.leaves_a_limit_unjudged() && !comparison.fires());
}

#[test]
fn all_sides_and_rules_of_a_comparison_are_one_family() {
    let base = repeats([100, 100, 100]);
    let lost: Vec<Analysis> = (0..3)
        .map(|seed| run_with(seed, &[100; 1900], 100))
        .collect();
    // One figure of 1/64 is below 5%; among four of them each counts as 4/64, which is above:
    // perhaps lost is not held.
    let sides = [
        side("A", &base),
        side("B", &lost),
        side("C", &lost),
        side("D", &lost),
        side("E", &lost),
    ];
    let comparison = compare(&sides, &options("p99+10%")).unwrap();
    for other in &comparison.others {
        assert_eq!(other.gates[0].outcome, Outcome::CannotTell);
        assert_eq!(other.gates[0].not_judged[0].1, NotJudged::PerhapsLost);
    }
    assert_eq!(
        compare(&sides[..2], &options("p99+10%")).unwrap().others[0].gates[0].outcome,
        Outcome::Fires
    );
}

#[test]
fn one_lost_operation_leaves_the_mean_unstated_and_fires_nothing() {
    let base = repeats([100, 100, 100]);
    let other: Vec<Analysis> = (0..3).map(|seed| run_with(seed, &[100; 1999], 1)).collect();
    let sides = [side("A", &base), side("B", &other)];
    let comparison = compare(&sides, &options("mean+10%")).unwrap();
    let gate = &comparison.others[0].gates[0];
    assert_eq!(gate.outcome, Outcome::CannotTell);
    assert_eq!(gate.not_judged[0].1, NotJudged::Unstated);
    assert_eq!(outcome(&base, &other, "p99+10%"), Outcome::Holds);
}

#[test]
fn repeats_that_are_not_compared_are_named() {
    let base = repeats([99, 100, 101]);
    let other = [run(7, 100)];
    let sides = [side("A", &base), side("B", &other)];
    let warnings = compare(&sides, &Options::default()).unwrap().warnings;
    let named = "A has 3 runs and B has 1, so only the first of each is compared";
    assert!(
        warnings.iter().any(|text| text.starts_with(named)),
        "{warnings:?}"
    );
}

#[test]
fn links_and_costs_that_were_edited_under_one_name_matter() {
    let base = run(1, 100).summary;
    let mut other = base.clone();
    assert_eq!(differences(&base, &other), []);
    other.scenario.links[1].one_way_ms = 11.0;
    other.scenario.links[2].jitter = Some("gamma".to_owned());
    let found = differences(&base, &other);
    assert_eq!(
        found[0].to_string(),
        "the link from a to b and 1 more (10 ms without jitter and 11 ms without jitter)"
    );
    assert!(found[0].matters);
    // Only virtual time knows what work costs.
    let mut simulated = base.clone();
    simulated.backend = BackendKind::Sim;
    let mut costly = simulated.clone();
    costly.scenario.service = crate::scenario::ServiceSummary::all(&Service {
        default: ServiceTimes::of_syncs(std::time::Duration::from_millis(1)),
        modes: std::collections::BTreeMap::new(),
    });
    let found = differences(&simulated, &costly);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].what, "what replicas' work costs");
    costly.backend = BackendKind::Local;
    assert_eq!(differences(&base, &costly), []);
}

#[test]
fn single_runs_are_labelled_and_decide_no_gate() {
    let (base, other) = ([run(1, 100)], [run(2, 200)]);
    let sides = [side("A", &base), side("B", &other)];
    let comparison = compare(&sides, &options("p99+10%")).unwrap();
    let pair = &comparison.others[0];
    assert_eq!(pair.level, Level::SingleRuns);
    assert_eq!(pair.gates[0].outcome, Outcome::CannotTell);
    assert!(!comparison.fires());
    assert!(comparison.warnings[0].starts_with("a comparison of single runs"));
    // Synthetic runs have no time slices, so there is an estimate without an interval.
    let change = pair.changes[0].change.as_ref().unwrap();
    assert!((change.relative.unwrap().estimate - 1.0).abs() < 1e-3);
    assert_eq!(change.absolute.low, None);
    assert_eq!(pair.changes[0].corrected_probability, None);
}

#[test]
fn runs_that_differ_in_ways_that_matter_are_refused_with_the_reasons() {
    let base = [run(1, 100)];
    let mut other = [run(1, 100)];
    let scenario = &mut other[0].summary.scenario;
    scenario.measured_s = 60.0;
    scenario.workload.value_bytes = 7;
    other[0].summary.backend = BackendKind::Sim;
    other[0].summary.environment.longhaul_version = "0.0.1".to_owned();
    let sides = [side("A", &base), side("B", &other)];
    let error = compare(&sides, &Options::default())
        .unwrap_err()
        .to_string();
    for what in [
        "the backend",
        "the workload",
        "the measured seconds (10.0 and 60.0)",
    ] {
        assert!(error.contains(what), "{error}");
    }
    assert!(!error.contains("version"), "{error}");
    let despite = Options {
        despite_differences: true,
        ..Options::default()
    };
    let warnings = compare(&sides, &despite).unwrap().warnings;
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("longhaul's version")),
        "{warnings:?}"
    );
}

#[test]
fn a_link_that_was_later_is_warned_of() {
    let base = [run(1, 100)];
    let mut other = [run(1, 100)];
    other[0].summary.calibration.links[0].achieved_p50_ms += 0.2;
    let found = differences(&base[0].summary, &other[0].summary);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "the lateness of the link from a to b in ms (0.01 and 0.21)"
    );
    assert!(!found[0].matters);
}

#[test]
fn percentiles_with_too_few_operations_are_never_compared() {
    let base: Vec<Analysis> = (0..3).map(|seed| run_with(seed, &[100; 999], 0)).collect();
    let sides = [side("A", &base), side("B", &base)];
    let comparison = compare(&sides, &options("p99+10%")).unwrap();
    let pair = &comparison.others[0];
    let p99 = Metric::Percentile(crate::Percentile::P99);
    let cell = pair
        .changes
        .iter()
        .find(|one| one.cell.metric == p99)
        .unwrap();
    assert_eq!(cell.change, None);
    assert_eq!(cell.not_compared, Some(NotJudged::TooFew));
    assert_eq!(pair.gates[0].outcome, Outcome::CannotTell);
}

#[test]
fn repeats_of_one_seed_are_named_and_sides_without_runs_refused() {
    let base = [run(5, 100), run(5, 100), run(6, 101)];
    let sides = [side("A", &base), side("B", &base)];
    let warnings = compare(&sides, &Options::default()).unwrap().warnings;
    assert!(warnings[0].contains("share the seed 5"), "{warnings:?}");
    let empty = [side("A", &base), side("B", &[])];
    assert_eq!(
        compare(&empty, &Options::default()),
        Err(CompareError::TooFewSides)
    );
    assert_eq!(
        compare(&sides[..1], &Options::default()),
        Err(CompareError::TooFewSides)
    );
}

#[test]
fn modes_of_one_side_alone_are_named_and_nothing_in_common_is_refused() {
    let base = repeats([100, 101, 102]);
    let mut other = repeats([120, 121, 122]);
    for run in &mut other {
        run.summary.modes[0].mode = "quorum:paxos".to_owned();
    }
    let sides = [side("A", &base), side("B", &other)];
    let nothing = compare(&sides, &Options::default());
    assert!(matches!(nothing, Err(CompareError::NothingInCommon { .. })));
    for run in &mut other {
        let raft = ModeSummary {
            mode: "quorum:raft".to_owned(),
            ..run.summary.modes[0].clone()
        };
        run.summary.modes.push(raft);
    }
    let sides = [side("A", &base), side("B", &other)];
    let comparison = compare(&sides, &Options::default()).unwrap();
    let named = "quorum:paxos ran in B and not in A";
    let mut warnings = comparison.warnings.iter();
    assert!(warnings.any(|text| text.starts_with(named)));
    // 121 over 101, of geometric means.
    let p50 = comparison.others[0].changes[0].change.unwrap();
    assert!((p50.relative.unwrap().estimate - 20.0 / 101.0).abs() < 1e-3);
    assert!(comparison.others[0].changes[0].is_significant());
}

#[test]
fn holm_multiplies_the_smallest_by_all_and_keeps_the_order() {
    let corrected = gate::holm(&[0.01, 0.04, 0.03]);
    // 3 x 0.01; then 2 x 0.03; then 1 x 0.04, but no less than the one before.
    for (found, expected) in corrected.iter().zip([0.03, 0.06, 0.06]) {
        assert!((found - expected).abs() < 1e-12, "{corrected:?}");
    }
    assert!(gate::holm(&[]).is_empty());
}

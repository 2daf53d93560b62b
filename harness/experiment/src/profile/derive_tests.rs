//! The rules of derivation, each by hand-computed figures.

use std::time::Duration;

use super::derive::*;
use super::*;
use crate::ids::{LinkId, RegionIndex};

fn source() -> Source {
    Source {
        title: "made up".to_owned(),
        date: "2026-11".to_owned(),
        method: "for a test".to_owned(),
    }
}

fn ping(figures: [f64; 4]) -> Measurement {
    let [minimum_ms, rtt_ms, maximum_ms, deviation_ms] = figures;
    Measurement {
        rtt_ms,
        minimum_ms: Some(minimum_ms),
        maximum_ms: Some(maximum_ms),
        deviation_ms: Some(deviation_ms),
    }
}

fn median(rtt_ms: f64) -> Measurement {
    Measurement {
        rtt_ms,
        minimum_ms: None,
        maximum_ms: None,
        deviation_ms: None,
    }
}

fn measurements(names: &[&str], pairs: &[(usize, usize, Measurement)]) -> Measurements {
    Measurements {
        regions: names.iter().map(|name| (*name).to_owned()).collect(),
        pairs: pairs.iter().map(|&(a, b, m)| ((a, b), m)).collect(),
    }
}

fn link(profile: &Profile, from: u16, to: u16) -> &Link {
    profile.link(LinkId {
        from: RegionIndex(from),
        to: RegionIndex(to),
    })
}

#[test]
fn the_lower_minimum_is_halved_and_the_rest_becomes_jitter() {
    let table = measurements(
        &["a", "b"],
        &[
            (0, 1, ping([100.0, 102.0, 120.0, 3.0])),
            (1, 0, ping([100.4, 101.6, 130.0, 2.0])),
        ],
    );
    let mut derivation = Derivation::new("test", source());
    derivation.jitter = true;
    let profile = Profile::derive(&table, &derivation).unwrap().profile;
    let link = link(&profile, 0, 1);
    assert_eq!(link.one_way, Duration::from_millis(50));
    // Mean 101.6 - 100 = 1.6 ms round trip, 0.8 one way; deviation 2 ms / sqrt 2 = 1.414.
    let gamma = Marginal::Gamma {
        mean: Duration::from_micros(800),
        deviation: Duration::from_micros(1414),
    };
    assert_eq!(link.jitter.marginal, gamma);
    assert!(profile.is_symmetric());
}

#[test]
fn a_deviation_that_averages_and_extremes_forbid_is_cut() {
    let table = measurements(
        &["a", "b"],
        &[(0, 1, ping([152.381, 152.424, 152.765, 0.461]))],
    );
    let mut derivation = Derivation::new("test", source());
    derivation.jitter = true;
    let profile = Profile::derive(&table, &derivation).unwrap().profile;
    let Marginal::Gamma { deviation, .. } = link(&profile, 0, 1).jitter.marginal else {
        panic!("a spread makes a gamma");
    };
    // sqrt((152.765 - 152.424) x (152.424 - 152.381)) = sqrt(0.341 x 0.043) = 0.1211 ms,
    // one way / sqrt 2 = 0.0856.
    assert_eq!(deviation, Duration::from_micros(86));
}

#[test]
fn the_floor_is_the_mean_of_both_readings_less_a_lan() {
    let table = measurements(
        &["a", "b"],
        &[
            (0, 0, median(3.0)),
            (1, 1, median(4.0)),
            (0, 1, median(13.9)),
            (1, 0, median(13.4)),
        ],
    );
    let mut derivation = Derivation::new("test", source());
    derivation.subtract_floor = true;
    let profile = Profile::derive(&table, &derivation).unwrap().profile;
    // 13.4 - ((3 + 4) / 2 - 0.2) = 10.1 ms, half of it 5.05.
    assert_eq!(link(&profile, 0, 1).one_way, Duration::from_micros(5050));
    assert_eq!(link(&profile, 0, 0).one_way, Duration::from_micros(100));
}

#[test]
fn a_missing_pair_is_refused_by_name_or_costs_the_least_complete_region() {
    // `c` misses two of its three pairs, so it goes first and only.
    let table = measurements(
        &["a", "b", "c", "d"],
        &[
            (0, 1, median(1.0)),
            (0, 2, median(1.0)),
            (0, 3, median(1.0)),
            (3, 1, median(1.0)),
        ],
    );
    let mut derivation = Derivation::new("test", source());
    let error = Profile::derive(&table, &derivation).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("2 pairs are not measured: 'b' and 'c', 'c' and 'd'; "),
        "{error}"
    );
    derivation.complete_only = true;
    let derived = Profile::derive(&table, &derivation).unwrap();
    assert_eq!(derived.dropped, ["c"]);
    assert_eq!(derived.profile.regions.len(), 3);
}

#[test]
fn jitter_without_a_measured_spread_is_refused() {
    let table = measurements(&["a", "b"], &[(0, 1, median(1.0))]);
    let mut derivation = Derivation::new("test", source());
    derivation.jitter = true;
    let error = Profile::derive(&table, &derivation).unwrap_err();
    assert!(matches!(error, DeriveError::NoSpread { .. }));
}

#[test]
fn regions_are_taken_in_the_order_asked_for() {
    let table = measurements(&["a", "b"], &[(0, 1, median(1.0))]);
    let mut derivation = Derivation::new("test", source());
    derivation.regions = vec!["b".to_owned(), "a".to_owned()];
    let profile = Profile::derive(&table, &derivation).unwrap().profile;
    assert_eq!(profile.regions[0].name, "b");
    derivation.regions.push("x".to_owned());
    let error = Profile::derive(&table, &derivation).unwrap_err();
    assert!(matches!(error, DeriveError::UnknownRegion { .. }));
}

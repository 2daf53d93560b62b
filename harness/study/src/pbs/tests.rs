//! The register's replicas against the model, and the model against the paper.

use longhaul_experiment::Seed;

use super::*;

fn setting(fit: &str, (read_quorum, write_quorum): (usize, usize), samples: usize) -> Setting {
    Setting {
        fit: *Fit::named(fit).unwrap(),
        replicas: 3,
        read_quorum,
        write_quorum,
        samples,
    }
}

#[test]
fn replicas_are_as_stale_as_the_model_says() {
    // A share p of n reads has deviation sqrt(p (1 - p) / n); of both sources together
    // sqrt(p (1 - p) (1/600 + 1/8000)). 5 of them, plus 2e-3 where p is close to 1.
    for (fit, quorums) in [
        ("lnkd-ssd", (1, 1)),
        ("lnkd-disk", (1, 1)),
        ("ymmr", (1, 1)),
        ("wan", (1, 1)),
        ("wan", (2, 1)),
    ] {
        let predicted = predict(&setting(fit, quorums, 8_000), Seed(1));
        let distances = [0.0, 1.0, 5.0, 20.0, 80.0];
        let measured = simulate(&setting(fit, quorums, 600), Seed(1), &distances).unwrap();
        assert_eq!(measured.failed, 0);
        for point in measured.points {
            let p = predicted.consistent(point.t_ms);
            let deviation = (p * (1.0 - p) * (1.0 / 600.0 + 1.0 / 8_000.0)).sqrt();
            assert!(
                (point.share() - p).abs() < 5.0 * deviation + 2e-3,
                "{fit} {quorums:?} at {} ms: {} for {p}",
                point.t_ms,
                point.share()
            );
        }
        // The rank of a median has deviation 0.5 / sqrt(600) = 0.021.
        let median = measured.write_latency.quantile(0.5).unwrap();
        let rank = predicted.write_latency.share_up_to(median);
        assert!((rank - 0.5).abs() < 0.105, "{fit}: rank {rank}");
        let median = measured.read_latency.quantile(0.5).unwrap();
        let rank = predicted.read_latency.share_up_to(median);
        assert!((rank - 0.5).abs() < 0.105, "{fit}: rank {rank}");
    }
}

#[test]
fn no_read_is_stale_when_quorums_meet() {
    for quorums in [(2, 2), (3, 1), (1, 3)] {
        let setting = setting("lnkd-disk", quorums, 200);
        assert!(setting.is_strict());
        assert_eq!(predict(&setting, Seed(2)).consistent(0.0), 1.0);
        let measured = simulate(&setting, Seed(2), &[0.0, 0.5]).unwrap();
        assert!(measured.points.iter().all(|point| point.reads == 200));
        assert!(measured.points.iter().all(|point| point.consistent == 200));
    }
}

#[test]
fn a_single_replica_with_r_and_w_one_has_the_sum_of_its_delays() {
    // n = 1: a write takes W + A, whose least is 2 x 0 (exponential); its mean is that of both.
    // Pareto(x_m, a) has mean a x_m / (a - 1) = 0.2611 ms, Exp has 1 / 1.66 = 0.6024 ms:
    // 2 (0.9122 * 0.2611 + 0.0878 * 0.6024) = 0.5822 ms. One delay's deviation is about 0.2 ms,
    // so the mean of 2000 sums has 0.2 sqrt(2 / 2000) = 0.006.
    let mut setting = setting("lnkd-ssd", (1, 1), 2000);
    setting.replicas = 1;
    let measured = simulate(&setting, Seed(3), &[0.0]).unwrap();
    let latency = &measured.write_latency;
    let sum: f64 = (1..=2000)
        .filter_map(|k| latency.quantile(f64::from(k) / 2000.0))
        .sum();
    assert!((sum / 2000.0 - 0.5822).abs() < 0.03, "{}", sum / 2000.0);
}

#[test]
fn a_result_depends_on_the_seed_alone() {
    let setting = setting("wan", (1, 1), 600);
    let run = |seed| simulate(&setting, Seed(seed), &[0.0, 10.0]).unwrap();
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
    assert_eq!(predict(&setting, Seed(5)), predict(&setting, Seed(5)));
}

#[test]
fn unfit_settings_are_refused() {
    let good = setting("ymmr", (1, 1), 10);
    for (read_quorum, write_quorum, samples) in [(0, 1, 10), (1, 4, 10), (1, 1, 0)] {
        let setting = Setting {
            read_quorum,
            write_quorum,
            samples,
            ..good.clone()
        };
        assert!(simulate(&setting, Seed(1), &[0.0]).is_err());
    }
    for distances in [vec![1.0, 1.0], vec![-1.0], vec![f64::NAN]] {
        let refused = simulate(&good, Seed(1), &distances);
        assert_eq!(refused, Err(SettingError::Distances));
    }
}

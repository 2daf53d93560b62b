use std::sync::atomic::{AtomicUsize, Ordering};

use longhaul_analysis::capacity::PointFailure;
use longhaul_experiment::workload::Arrivals;
use longhaul_experiment::{Backend as _, RunRecord};
use longhaul_sim::SimBackend;

use super::queue::{queue, undisturbed};
use super::*;

const MODES: [&str; 2] = ["eventual:lww", "leader-follower:async"];

fn plan(scenario: Scenario, rates: &[f64], order: PointOrder) -> SweepPlan {
    SweepPlan {
        scenario,
        backend: BackendKind::Sim,
        rates: rates.to_vec(),
        order,
        seed: Seed(7),
        slo: None,
        slo_region: None,
    }
}

#[test]
fn the_seed_shuffles_all_rates_of_all_modes_and_a_ramp_rises() {
    let scenario = queue(&MODES, "1s");
    let mut plan = plan(scenario, &[10.0, 20.0, 30.0, 40.0], PointOrder::Ramp);
    let ramp = plan.schedule();
    let rising: Vec<(usize, usize)> = (0..8).map(|run| (run / 4, run % 4)).collect();
    assert_eq!(ramp, rising);
    plan.order = PointOrder::Shuffled;
    let shuffled = plan.schedule();
    assert_eq!(plan.schedule(), shuffled);
    assert_ne!(shuffled, ramp);
    plan.seed = Seed(8);
    assert_ne!(plan.schedule(), shuffled);
    let mut sorted = shuffled;
    sorted.sort_unstable();
    assert_eq!(sorted, ramp);
}

#[test]
fn points_in_virtual_time_depend_on_the_seed_and_not_on_the_order_of_the_runs() {
    let swept = |order, seed| {
        let mut plan = plan(queue(&MODES, "1s"), &[50.0, 100.0, 200.0], order);
        plan.seed = Seed(seed);
        let mut swept = undisturbed(|conduct| sweep(&plan, conduct)).unwrap();
        assert!(swept.complete);
        swept.points.iter_mut().for_each(|point| point.position = 0);
        swept.points
    };
    let shuffled = swept(PointOrder::Shuffled, 1);
    assert_eq!(shuffled.len(), 6);
    assert_eq!(shuffled, swept(PointOrder::Ramp, 1));
    assert_ne!(shuffled, swept(PointOrder::Ramp, 2));
}

#[test]
fn the_knee_of_a_lone_server_is_where_the_formula_says_and_overload_is_shown() {
    let rates = [250.0, 350.0, 400.0, 440.0, 480.0, 560.0];
    let plan = plan(queue(&MODES[..1], "6s"), &rates, PointOrder::Shuffled);
    let swept = undisturbed(|conduct| sweep(&plan, conduct)).unwrap();
    // S = 2 ms and B = 52 ms: x = sqrt(2 B / S) = 7.2 and a utilisation of 0.88, 440/s, were what
    // waits answered one by one. It is received together first, which waits up to 1.5 times as
    // long: x = sqrt(2 B / 1.5 S) = 5.9 and 0.85, 427/s.
    let knee = swept.modes[0].knee.as_ref().unwrap();
    assert!([400.0, 440.0].contains(&knee.rate_ops), "{knee:?}");
    let service = swept.modes[0].service.as_ref().unwrap();
    assert_eq!((service.cores, service.per_message_us), (1, 1000.0));
    let over = swept.points.last().unwrap();
    // 500/s are done however much is offered, 1500 in the half of 3 s, give or take half of a batch
    // of some 300 that is received in it and answered after it: 450 to 550. Left over when the window
    // ends are 6.5 s x about 60/s, 390, give or take some times the root of 3600 arrivals, 60, and
    // 500/s x 52 ms = 26 are under way.
    assert!((over.throughput_ops - 500.0).abs() < 50.0, "{over:?}");
    assert!((200..650).contains(&over.backlog), "{}", over.backlog);
    assert!(over.latency_ms.p99.unwrap() > 400.0, "{over:?}");
}

#[test]
fn an_interrupt_leaves_the_points_taken_until_then() {
    let rates: Vec<f64> = (1..=20).map(|step| f64::from(step) * 5.0).collect();
    let plan = plan(queue(&MODES[..1], "1s"), &rates, PointOrder::Ramp);
    let ended = AtomicUsize::new(0);
    let mut on_run = |progress: Progress<'_>| {
        assert_eq!(progress.sweep.points.len(), progress.ended);
        assert!(!progress.sweep.complete && progress.of == 20);
        ended.store(progress.ended, Ordering::SeqCst);
    };
    let mut conduct = Conduct {
        runner: Runner::InVirtualTime(RunnerInVirtualTime::default()),
        stop: &|| ended.load(Ordering::SeqCst) >= 3,
        on_run: &mut on_run,
    };
    let swept = sweep(&plan, &mut conduct).unwrap();
    assert!(!swept.complete);
    assert!((3..20).contains(&swept.points.len()));
    assert!(
        swept.warnings[0].contains("interrupted"),
        "{:?}",
        swept.warnings
    );
}

/// Runs in virtual time what does not fail.
fn failing(
    scenario: &Scenario,
    seed: Seed,
    fails: impl Fn(f64) -> Option<RunError>,
) -> Result<RunRecord, RunError> {
    match scenario.workload.rate().and_then(fails) {
        Some(error) => Err(error),
        None => SimBackend::default().run(scenario, seed),
    }
}

fn swept_with(fails: impl Fn(f64) -> Option<RunError>) -> Result<Sweep, RunError> {
    let plan = plan(
        queue(&MODES[..1], "1s"),
        &[10.0, 20.0, 30.0],
        PointOrder::Ramp,
    );
    let mut run = |scenario: &Scenario, seed| failing(scenario, seed, &fails);
    let mut on_run = |_: Progress<'_>| {};
    sweep(
        &plan,
        &mut Conduct {
            runner: Runner::OneByOne(&mut run),
            stop: &|| false,
            on_run: &mut on_run,
        },
    )
}

#[test]
fn a_run_that_fails_is_stated_and_the_others_stand() {
    let swept = swept_with(|rate| {
        (rate == 20.0).then(|| RunError::NotReady {
            mode: "eventual:lww".to_owned(),
            why: "nobody led".to_owned(),
        })
    });
    let swept = swept.unwrap();
    assert!(swept.complete);
    let rates: Vec<f64> = swept.points.iter().map(|point| point.rate_ops).collect();
    assert_eq!(rates, [10.0, 30.0]);
    let failure = PointFailure {
        mode: "eventual:lww".to_owned(),
        rate_ops: 20.0,
        seed: 7,
        why: "mode eventual:lww did not get ready: nobody led".to_owned(),
    };
    assert_eq!(swept.failures, [failure]);
}

#[test]
fn what_cannot_run_at_all_ends_the_sweep() {
    let unfit = |_| {
        Some(RunError::NotSupported {
            backend: "sim",
            why: "it cannot".to_owned(),
        })
    };
    assert!(matches!(
        swept_with(unfit),
        Err(RunError::NotSupported { .. })
    ));
    let mut closed = queue(&MODES[..1], "1s");
    closed.workload.arrivals = Arrivals::Closed { in_flight: 1 };
    let plan = plan(closed, &[10.0], PointOrder::Ramp);
    let error = undisturbed(|conduct| sweep(&plan, conduct)).unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
}

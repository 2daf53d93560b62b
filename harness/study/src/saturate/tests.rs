use longhaul_analysis::capacity::{Capacity, CapacityEnd};
use longhaul_experiment::record::{CpuUse, LoadCalibration};
use longhaul_experiment::{Backend as _, RunRecord};
use longhaul_sim::SimBackend;

use super::*;
use crate::sweep::queue::{queue, undisturbed};
use crate::sweep::{Progress, Runner, SweepPlan, checked_rates, sweep};

fn plan(measured: &str, slo: &str) -> SaturatePlan {
    SaturatePlan {
        scenario: queue(&["eventual:lww"], measured),
        backend: BackendKind::Sim,
        slo: slo.parse().unwrap(),
        slo_region: None,
        from: 150.0,
        to: 4800.0,
        repeats: 2,
        seed: Seed(3),
    }
}

fn capacity_of(sweep: &Sweep) -> &Capacity {
    sweep.modes[0].capacity.as_ref().unwrap()
}

#[test]
fn the_highest_rate_agrees_with_a_fine_sweep_under_the_same_limit() {
    let plan = plan("2s", "p90=80ms,errors=0.1%");
    let found = undisturbed(|conduct| saturate(&plan, conduct)).unwrap();
    assert!(found.complete);
    let found = capacity_of(&found);
    assert_eq!(found.end, CapacityEnd::Limit);
    let rate = found.rate_ops.unwrap();
    assert!(found.holds_to_ops.unwrap() <= rate && rate < found.breaks_from_ops.unwrap());
    // 28 ms above the bare 52 ms are 14 writes that wait, a long queue: the edge is near the 500/s
    // that the server carries, and two seconds are too short to tell it more exactly.
    assert!((400.0..550.0).contains(&rate), "{found:?}");
    assert_eq!(found.broken_by.as_ref().unwrap().figure, "p90");
    let steps = (-3..=3).map(|step| four_digits(rate * (1.0 + 0.03 * f64::from(step))));
    let fine = SweepPlan {
        scenario: plan.scenario.clone(),
        backend: plan.backend,
        rates: checked_rates(steps.collect()).unwrap(),
        order: PointOrder::Shuffled,
        seed: plan.seed,
        slo: Some(plan.slo.clone()),
        slo_region: None,
    };
    let fine = undisturbed(|conduct| sweep(&fine, conduct)).unwrap();
    let highest = capacity_of(&fine).rate_ops.unwrap();
    assert!(
        (0.95..=1.05).contains(&(highest / rate)),
        "{highest} {found:?}"
    );
}

#[test]
fn where_a_percentile_has_too_few_operations_the_search_does_not_go() {
    // p90 needs 100 operations, and four times their root of 10 more, in two seconds: 70/s.
    let mut plan = plan("2s", "p90=10ms");
    assert_eq!(plan.lowest_judged(), 70.0);
    plan.from = 1.0;
    assert_eq!(plan.start(), 70.7);
    // The way there and back alone takes 50 ms.
    let found = undisturbed(|conduct| saturate(&plan, conduct)).unwrap();
    let capacity = capacity_of(&found);
    assert_eq!(capacity.holds_to_ops, None);
    assert!(found.points.iter().all(|point| point.rate_ops >= 70.0));
    assert!(
        capacity.says().contains("at no rate tried"),
        "{}",
        capacity.says()
    );
}

#[test]
fn a_machine_that_is_full_first_leaves_at_least_what_held_before() {
    let plan = plan("1s", "p50=80ms");
    // A machine that is 85% busy from 260 a second on.
    let mut run = |scenario: &Scenario, seed: Seed| -> Result<RunRecord, RunError> {
        let mut record = SimBackend::default().run(scenario, seed)?;
        record.backend = BackendKind::Local;
        let busy = scenario.workload.rate().is_some_and(|rate| rate >= 260.0);
        let cpu = CpuUse {
            machine_busy: if busy { 0.85 } else { 0.4 },
            ..CpuUse::default()
        };
        record.modes[0].load = Some(LoadCalibration {
            cpu: Some(cpu),
            ..LoadCalibration::default()
        });
        Ok(record)
    };
    let mut on_run = |_: Progress<'_>| {};
    let found = saturate(
        &plan,
        &mut Conduct {
            runner: Runner::OneByOne(&mut run),
            stop: &|| false,
            on_run: &mut on_run,
        },
    );
    let found = found.unwrap();
    let capacity = capacity_of(&found);
    assert_eq!(capacity.end, CapacityEnd::MachineBound);
    // Steps of 2.2% below 260.
    let holds = capacity.holds_to_ops.unwrap();
    assert!((254.0..260.0).contains(&holds), "{capacity:?}");
    assert!(
        found
            .warnings
            .iter()
            .any(|warning| warning.contains("machine-bound"))
    );
}

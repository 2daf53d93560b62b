//! Plans on five regions: what is commanded, when, and how faults meet.

use std::sync::LazyLock;

use super::*;
use crate::profile::bundled::bundled;

pub(super) const START: Time = Time::from_millis(1000);

static TOPOLOGY: LazyLock<Topology> =
    LazyLock::new(|| Topology::everywhere(bundled("aws-5").expect("it is bundled")));

pub(super) fn topology() -> &'static Topology {
    &TOPOLOGY
}

pub(super) fn name(region: u16) -> String {
    topology().region_name(RegionIndex(region)).to_owned()
}

/// A fault from `at` to `until` seconds of the window.
pub(super) fn fault(kind: FaultKind, target: FaultTarget, (at, until): (u64, u64)) -> Fault {
    Fault {
        at: Duration::from_secs(at),
        lasts: Duration::from_secs(until - at),
        target,
        kind,
    }
}

fn link(from: u16, to: u16) -> LinkId {
    LinkId {
        from: RegionIndex(from),
        to: RegionIndex(to),
    }
}

/// Takes all steps; what is commanded at each second of the window.
fn commanded(faults: &[Fault]) -> Vec<(u64, FaultAction)> {
    let mut plan = FaultPlan::new(faults, topology(), START).expect("it is valid");
    let mut commanded = Vec::new();
    for position in 0..plan.steps().len() {
        for command in plan.take_step(position, None) {
            let second = command.at.since(START).as_secs();
            commanded.push((second, command.action));
        }
    }
    commanded
}

fn cut_and_healed(faults: &[Fault]) -> (Vec<LinkId>, Vec<LinkId>) {
    let (mut cut, mut healed) = (Vec::new(), Vec::new());
    for (_, action) in commanded(faults) {
        match action {
            FaultAction::CutLink(link) => cut.push(link),
            FaultAction::HealLink(link) => healed.push(link),
            other => panic!("{other:?}"),
        }
    }
    (cut, healed)
}

#[test]
fn steps_are_in_order_and_a_beginning_comes_before_an_end() {
    let leader = || FaultTarget::Leader;
    let faults = [
        fault(FaultKind::Crash, leader(), (4, 6)),
        fault(FaultKind::Pause, leader(), (2, 4)),
    ];
    let plan = FaultPlan::new(&faults, topology(), START).expect("it is valid");
    let steps: Vec<_> = plan
        .steps()
        .iter()
        .map(|step| (step.at.since(START).as_secs(), step.edge, step.number))
        .collect();
    use FaultEdge::{Begin, End};
    assert_eq!(
        steps,
        [(2, Begin, 1), (4, Begin, 0), (4, End, 1), (6, End, 0)]
    );
    assert!(
        FaultPlan::new(&[], topology(), START)
            .expect("valid")
            .is_empty()
    );
}

#[test]
fn the_leader_of_the_beginning_is_hit_until_the_end() {
    let faults = [fault(FaultKind::Crash, FaultTarget::Leader, (1, 2))];
    let mut plan = FaultPlan::new(&faults, topology(), START).expect("it is valid");
    assert_eq!(plan.hit(0), None);
    let begun = plan.take_step(0, Some(ReplicaId(3)));
    assert_eq!(
        begun,
        [FaultCommand {
            at: Time::from_millis(2000),
            number: 0,
            edge: FaultEdge::Begin,
            action: FaultAction::Crash(ReplicaId(3)),
        }]
    );
    assert_eq!(plan.hit(0), Some(ReplicaId(3)));
    let ended = plan.take_step(1, Some(ReplicaId(1)));
    assert_eq!(ended[0].action, FaultAction::Restart(ReplicaId(3)));
    // Steps that were taken, or that do not exist, change nothing.
    assert_eq!(plan.take_step(1, None), []);
    assert_eq!(plan.take_step(9, None), []);
}

#[test]
fn partitions_cut_what_their_target_names() {
    let partition = |target| cut_and_healed(&[fault(FaultKind::Partition, target, (1, 2))]);
    let (cut, healed) = partition(FaultTarget::Link(name(0), name(1)));
    assert_eq!((&cut, &healed), (&vec![link(0, 1)], &vec![link(0, 1)]));
    let (cut, _) = partition(FaultTarget::Pair(name(0), name(1)));
    assert_eq!(cut, [link(0, 1), link(1, 0)]);
    // Two regions, three others, both directions: 2 x 3 x 2 links.
    let (cut, healed) = partition(FaultTarget::Regions(vec![name(0), name(3)]));
    assert_eq!(cut.len(), 12);
    assert_eq!(cut, healed);
    let crosses = |link: &LinkId| {
        let is_inside = |region: RegionIndex| [0, 3].contains(&region.0);
        is_inside(link.from) != is_inside(link.to)
    };
    assert!(cut.iter().all(crosses));
    // A replica stands for its region: four others, both directions.
    let (cut, _) = partition(FaultTarget::Replica(name(2)));
    assert_eq!(cut.len(), 8);
    assert!(
        cut.iter()
            .all(|link| (link.from.0 == 2) != (link.to.0 == 2))
    );
}

#[test]
fn a_link_cut_twice_heals_when_the_last_cut_ends() {
    let one = || FaultTarget::Link(name(0), name(1));
    let faults = [
        fault(FaultKind::Partition, one(), (1, 4)),
        fault(FaultKind::Partition, one(), (2, 6)),
        fault(FaultKind::Partition, one(), (6, 7)),
    ];
    assert_eq!(
        commanded(&faults),
        [
            (1, FaultAction::CutLink(link(0, 1))),
            (7, FaultAction::HealLink(link(0, 1))),
        ]
    );
}

#[test]
fn a_crash_within_a_pause_ends_it_and_the_restart_resumes_it() {
    let faults = [
        fault(FaultKind::Pause, FaultTarget::Leader, (1, 9)),
        fault(FaultKind::Crash, FaultTarget::Leader, (3, 5)),
    ];
    let leader = ReplicaId(0);
    assert_eq!(
        commanded(&faults),
        [
            (1, FaultAction::Pause(leader)),
            (3, FaultAction::Crash(leader)),
            (5, FaultAction::Restart(leader)),
            (5, FaultAction::Pause(leader)),
            (9, FaultAction::Resume(leader)),
        ]
    );
    let faults = [
        fault(FaultKind::Pause, FaultTarget::Leader, (4, 5)),
        fault(FaultKind::Crash, FaultTarget::Leader, (3, 6)),
    ];
    assert_eq!(
        commanded(&faults),
        [
            (3, FaultAction::Crash(leader)),
            (6, FaultAction::Restart(leader)),
        ]
    );
}

#[test]
fn levels_of_overlapping_faults_are_commanded_as_levels() {
    let replica = || FaultTarget::Replica(name(1));
    let by = |milliseconds: i64| ClockShift(milliseconds * 1_000_000);
    let faults = [
        fault(FaultKind::SlowReplica { factor: 4.0 }, replica(), (1, 5)),
        fault(FaultKind::SlowReplica { factor: 2.0 }, replica(), (2, 4)),
        fault(FaultKind::ClockJump { by: by(-300) }, replica(), (2, 6)),
        fault(FaultKind::ClockJump { by: by(100) }, replica(), (5, 6)),
    ];
    let replica = ReplicaId(1);
    let slow = |factor| FaultAction::Slow { replica, factor };
    let shift = |milliseconds| {
        let by = by(milliseconds);
        FaultAction::ClockShift { replica, by }
    };
    assert_eq!(
        commanded(&faults),
        [
            (1, slow(4.0)),
            (2, slow(8.0)),
            (2, shift(-300)),
            (4, slow(4.0)),
            (5, shift(-200)),
            (5, slow(1.0)),
            (6, shift(100)),
            (6, shift(0)),
        ]
    );
    let one = || FaultTarget::Link(name(0), name(1));
    let loss = 0.5;
    let faults = [
        fault(FaultKind::LinkLoss { loss }, one(), (1, 4)),
        fault(FaultKind::LinkLoss { loss }, one(), (2, 3)),
    ];
    let link = link(0, 1);
    // Two independent halves lose 1 - 0.5 x 0.5.
    assert_eq!(
        commanded(&faults),
        [0.5, 0.75, 0.5, 0.0]
            .into_iter()
            .zip(1..)
            .map(|(loss, second)| (second, FaultAction::LinkLoss { link, loss }))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_reset_ends_the_connections_of_its_target_with_clients_everywhere() {
    let reset = |target| commanded(&[fault(FaultKind::ConnectionReset, target, (1, 2))]);
    let pair = reset(FaultTarget::Pair(name(3), name(1)));
    let (a, b) = (RegionIndex(1), RegionIndex(3));
    assert_eq!(
        pair,
        [
            (1, FaultAction::EndConnections { a, b }),
            (2, FaultAction::RestoreConnections { a, b }),
        ]
    );
    // With replicas and clients of four other regions, and with the clients of its own.
    let ended: Vec<_> = reset(FaultTarget::Replica(name(2)))
        .into_iter()
        .filter_map(|(_, action)| match action {
            FaultAction::EndConnections { a, b } => Some((a.0, b.0)),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [(0, 2), (1, 2), (2, 2), (2, 3), (2, 4)]);
}

#[test]
fn everything_heals_when_all_faults_are_ended() {
    let faults = [
        fault(FaultKind::Crash, FaultTarget::Leader, (1, 9)),
        fault(
            FaultKind::Partition,
            FaultTarget::Link(name(0), name(1)),
            (1, 9),
        ),
    ];
    let mut plan = FaultPlan::new(&faults, topology(), START).expect("it is valid");
    plan.take_step(0, None);
    plan.take_step(1, None);
    let actions: Vec<_> = plan
        .end_all(Time::from_millis(3000))
        .into_iter()
        .map(|command| command.action)
        .collect();
    assert_eq!(
        actions,
        [
            FaultAction::Restart(ReplicaId(0)),
            FaultAction::HealLink(link(0, 1)),
        ]
    );
    // The ends that come later find nothing to end.
    assert_eq!(plan.take_step(2, None), []);
}

#[test]
fn faults_that_cannot_happen_are_refused_with_what_to_do() {
    let refusal = |kind, target| {
        FaultPlan::new(&[fault(kind, target, (1, 2))], topology(), START)
            .expect_err("it is refused")
            .to_string()
    };
    let replica = || FaultTarget::Replica(name(0));
    let one = || FaultTarget::Link(name(0), name(1));
    for (kind, target, why) in [
        (FaultKind::Pause, one(), "pause is done to a replica"),
        (
            FaultKind::Crash,
            FaultTarget::Replica("x".to_owned()),
            "region 'x' has no replica",
        ),
        (
            FaultKind::ConnectionReset,
            one(),
            "a connection has both directions",
        ),
        (
            FaultKind::Partition,
            FaultTarget::Link(name(0), name(0)),
            "no link to itself",
        ),
        (
            FaultKind::Partition,
            FaultTarget::Pair(name(0), name(0)),
            "named twice",
        ),
        (
            FaultKind::Partition,
            FaultTarget::Pair(name(0), "x".to_owned()),
            "'x' is not in",
        ),
        (
            FaultKind::Partition,
            FaultTarget::Regions(Vec::new()),
            "regions is empty",
        ),
        (
            FaultKind::Partition,
            FaultTarget::Regions(vec![name(0), name(0)]),
            "named twice",
        ),
        (
            FaultKind::Partition,
            FaultTarget::Regions((0..5).map(name).collect()),
            "every region",
        ),
        (FaultKind::LinkLoss { loss: 1.0 }, one(), "loss is 1"),
        (FaultKind::LinkLoss { loss: f64::NAN }, one(), "loss is NaN"),
        (
            FaultKind::SlowReplica { factor: 1.0 },
            replica(),
            "factor is 1",
        ),
        (
            FaultKind::SlowDisk {
                added: Duration::ZERO,
            },
            replica(),
            "added is 0s",
        ),
        (
            FaultKind::ClockJump { by: ClockShift(0) },
            replica(),
            "by is 0s",
        ),
    ] {
        let message = refusal(kind, target);
        assert!(
            message.starts_with(&format!("fault 1 ({} at 1s): ", kind.name())),
            "{message}"
        );
        assert!(message.contains(why), "{message}");
    }
}

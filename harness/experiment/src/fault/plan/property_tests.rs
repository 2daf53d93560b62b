//! Any faults at all: every command changes something, and everything heals.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::active::RegionPair;
use super::tests::{START, fault, name, topology};
use super::*;

fn any_kind() -> impl Strategy<Value = FaultKind> {
    let added = Duration::from_millis(7);
    prop::sample::select(vec![
        FaultKind::Crash,
        FaultKind::Pause,
        FaultKind::Partition,
        FaultKind::LinkDelay { added },
        FaultKind::LinkLoss { loss: 0.3 },
        FaultKind::SlowReplica { factor: 3.3 },
        FaultKind::SlowDisk { added },
        FaultKind::ClockJump {
            by: ClockShift(-1_234_567),
        },
        FaultKind::ConnectionReset,
    ])
}

fn any_target() -> impl Strategy<Value = FaultTarget> {
    prop_oneof![
        Just(FaultTarget::Leader),
        (0u16..5).prop_map(|region| FaultTarget::Replica(name(region))),
        (0u16..5, 0u16..5).prop_map(|(from, to)| FaultTarget::Link(name(from), name(to))),
        (0u16..5, 0u16..5).prop_map(|(a, b)| FaultTarget::Pair(name(a), name(b))),
        (0u16..4).prop_map(|regions| FaultTarget::Regions((0..=regions).map(name).collect())),
    ]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    (any_kind(), any_target(), 0u64..6, 1u64..6)
        .prop_map(|(kind, target, at, lasts)| fault(kind, target, (at, at + lasts)))
        .prop_filter("it can happen", |fault| {
            problem(fault, topology()).is_none()
        })
}

/// What a backend that carries out actions has done to replicas, links and connections.
#[derive(Debug, Default, PartialEq)]
struct World {
    dead: BTreeSet<ReplicaId>,
    stopped: BTreeSet<ReplicaId>,
    cut: BTreeSet<LinkId>,
    ended: BTreeSet<RegionPair>,
    levels: BTreeMap<String, String>,
}

impl World {
    /// Carries out an action, which has to change something and to find what it acts on.
    fn suffer(&mut self, action: FaultAction) {
        let changes = match action {
            FaultAction::Crash(replica) => {
                self.stopped.remove(&replica);
                self.dead.insert(replica)
            }
            FaultAction::Restart(replica) => self.dead.remove(&replica),
            FaultAction::Pause(replica) => {
                assert!(!self.dead.contains(&replica), "only the living are stopped");
                self.stopped.insert(replica)
            }
            FaultAction::Resume(replica) => self.stopped.remove(&replica),
            FaultAction::CutLink(link) => self.cut.insert(link),
            FaultAction::HealLink(link) => self.cut.remove(&link),
            FaultAction::EndConnections { a, b } => self.ended.insert((a, b)),
            FaultAction::RestoreConnections { a, b } => self.ended.remove(&(a, b)),
            FaultAction::Slow { replica, factor } => {
                self.set_level(format!("factor {replica}"), factor, 1.0)
            }
            FaultAction::SlowDisk { replica, added } => {
                self.set_level(format!("disk {replica}"), added, Duration::ZERO)
            }
            FaultAction::ClockShift { replica, by } => {
                self.set_level(format!("clock {replica}"), by, ClockShift(0))
            }
            FaultAction::LinkDelay { link, added } => {
                self.set_level(format!("delay {link:?}"), added, Duration::ZERO)
            }
            FaultAction::LinkLoss { link, loss } => {
                self.set_level(format!("loss {link:?}"), loss, 0.0)
            }
        };
        assert!(changes, "{action:?} changes nothing");
    }

    fn set_level<T: PartialEq + std::fmt::Debug>(&mut self, of: String, to: T, usual: T) -> bool {
        if to == usual {
            self.levels.remove(&of).is_some()
        } else {
            let level = format!("{to:?}");
            self.levels.insert(of, level.clone()) != Some(level)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_breaks_is_whole_in_the_end(
        faults in prop::collection::vec(any_fault(), 0..12),
        leaders in prop::collection::vec(0u16..5, 24),
        healed_after in 0usize..24,
    ) {
        let mut plan = FaultPlan::new(&faults, topology(), START).expect("it is valid");
        let mut world = World::default();
        let steps = plan.steps().len();
        for (position, &leader) in leaders.iter().enumerate().take(steps) {
            if position == healed_after {
                for command in plan.end_all(plan.steps()[position].at) {
                    world.suffer(command.action);
                }
                prop_assert_eq!(&world, &World::default());
            }
            for command in plan.take_step(position, Some(ReplicaId(leader))) {
                world.suffer(command.action);
            }
        }
        prop_assert_eq!(world, World::default());
    }
}

//! Sequence charts of the protocol while all goes well, and what the modes declare.

use longhaul_experiment::{
    Contact, ErrorKind, Key, ModeSpec, Operation, OperationKind, OperationResult, Outcome, Path,
    ReplicaId, Round, Version,
};

use super::LeaderFollower;
use super::chart::Step::{Deliver, Down, Persisted, Up, Write};
use super::chart::{Chart, KEY, LEADER, request, topology, value, written};
use crate::mode::Mode;

#[test]
fn async_answers_when_the_leader_has_persisted_and_no_follower_has_heard() {
    let mut chart = Chart::connected("leader-follower:async", 3);
    chart.run(&[Write { at: 0, sequence: 0 }]);
    assert!(chart.replies.is_empty());
    chart.run(&[Persisted { at: 0 }]);
    assert_eq!(chart.replies, [(0, 0, written(1))]);
    assert!(chart.applied[1].is_empty());
    chart.settle();
    assert!(chart.agree(0, 1) && chart.agree(0, 2));
}

#[test]
fn semi_sync_answers_after_the_first_persisted_acknowledgement_and_not_before() {
    let mut chart = Chart::connected("leader-follower:semi-sync", 3);
    chart.run(&[
        Write { at: 0, sequence: 0 },
        Persisted { at: 0 },
        Deliver { from: 0, to: 1 },
        Deliver { from: 0, to: 2 },
    ]);
    // Both followers have it, none has persisted it.
    assert_eq!((chart.on_the_way(1, 0), chart.on_the_way(2, 0)), (0, 0));
    assert!(chart.replies.is_empty());
    chart.run(&[Persisted { at: 2 }]);
    assert!(chart.replies.is_empty());
    chart.run(&[Deliver { from: 2, to: 0 }]);
    assert_eq!(chart.replies, [(0, 0, written(1))]);
}

#[test]
fn semi_sync_waits_for_the_leaders_own_storage_too() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 3);
    chart.run(&[
        Write { at: 0, sequence: 0 },
        Deliver { from: 0, to: 1 },
        Persisted { at: 1 },
        Deliver { from: 1, to: 0 },
    ]);
    assert!(chart.replies.is_empty());
    chart.run(&[Persisted { at: 0 }]);
    assert_eq!(chart.answered(), [0]);
}

#[test]
fn semi_sync_waits_for_the_kth_follower() {
    let mut chart = Chart::connected("leader-follower:semi-sync=2", 4);
    chart.run(&[Write { at: 0, sequence: 0 }, Persisted { at: 0 }]);
    for (follower, answered) in [(3, 0), (1, 1)] {
        chart.run(&[
            Deliver {
                from: 0,
                to: follower,
            },
            Persisted { at: follower },
            Deliver {
                from: follower,
                to: 0,
            },
        ]);
        assert_eq!(chart.answered().len(), answered);
    }
}

#[test]
fn a_follower_that_stalls_outside_of_k_delays_nothing() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 3);
    for sequence in 0..100 {
        chart.run(&[
            Write { at: 0, sequence },
            Persisted { at: 0 },
            Deliver { from: 0, to: 1 },
            Persisted { at: 1 },
            Deliver { from: 1, to: 0 },
            // The commit index, which lets replica 1 execute.
            Deliver { from: 0, to: 1 },
        ]);
    }
    assert_eq!(chart.answered(), (0..100).collect::<Vec<u64>>());
    assert_eq!((chart.applied[1].len(), chart.applied[2].len()), (100, 0));
    chart.settle();
    assert!(chart.agree(0, 2));
}

#[test]
fn sync_waits_for_every_follower_and_for_one_that_is_down() {
    let mut chart = Chart::connected("leader-follower:sync", 3);
    chart.run(&[
        Write { at: 0, sequence: 0 },
        Persisted { at: 0 },
        Deliver { from: 0, to: 1 },
        Persisted { at: 1 },
        Deliver { from: 1, to: 0 },
    ]);
    assert!(chart.replies.is_empty());
    chart.settle();
    assert_eq!(chart.answered(), [0]);
    chart.run(&[Down { between: 0, and: 2 }, Write { at: 0, sequence: 1 }]);
    chart.settle();
    assert_eq!(chart.answered(), [0]);
    chart.run(&[Up { between: 0, and: 2 }]);
    chart.settle();
    assert_eq!(chart.answered(), [0, 1]);
}

#[test]
fn entries_are_executed_in_order_at_all_and_followers_never_run_ahead() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 3);
    for sequence in 0..50 {
        chart.run(&[Write { at: 0, sequence }]);
        if sequence % 7 == 0 {
            chart.settle();
        }
        assert!(chart.applied[1].len() <= chart.applied[0].len());
    }
    chart.settle();
    let in_order: Vec<Version> = (1..=50).map(|major| Version { major, minor: 0 }).collect();
    for applied in &chart.applied {
        assert_eq!(applied, &in_order);
    }
}

#[test]
fn a_retry_is_executed_once_and_hears_the_first_outcome() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 3);
    let add = request(
        0,
        Operation::Add {
            key: KEY,
            amount: 5,
        },
    );
    chart.request(LEADER, add.clone());
    // The second attempt comes while the first waits, the third after its end.
    chart.request(LEADER, add.clone());
    chart.settle();
    chart.request(LEADER, add);
    chart.settle();
    let added = Outcome::Ok(OperationResult::Added {
        total: 5,
        version: Version { major: 1, minor: 0 },
    });
    assert_eq!(chart.replies, vec![(0, 0, added); 3]);
    assert_eq!(chart.applied, vec![vec![Version { major: 1, minor: 0 }]; 3]);
}

#[test]
fn all_five_operations_are_supported() {
    let mut chart = Chart::connected("leader-follower:async", 2);
    let operations = [
        Operation::Add {
            key: KEY,
            amount: 5,
        },
        Operation::TakeIfEnough {
            key: KEY,
            amount: 2,
        },
        Operation::CompareAndSet {
            key: Key(8),
            expected: None,
            value: value(2),
        },
        Operation::Write {
            key: KEY,
            value: value(3),
        },
        Operation::Read { key: KEY },
    ];
    for (sequence, operation) in operations.into_iter().enumerate() {
        chart.request(LEADER, request(sequence as u64, operation));
        chart.settle();
    }
    assert_eq!(chart.answered(), [0, 1, 2, 3, 4]);
    assert_eq!(chart.read(LEADER), Ok(Some(value(3))));
}

#[test]
fn a_follower_refuses_writes_with_a_hint_and_reads_unless_the_mode_lets_it_answer() {
    let not_leader = ErrorKind::NotLeader {
        hint: Some(ReplicaId(0)),
    };
    let mut chart = Chart::connected("leader-follower:async", 3);
    chart.run(&[Write { at: 1, sequence: 0 }]);
    assert_eq!(chart.replies, [(1, 0, Outcome::Fail(not_leader))]);
    assert_eq!(chart.read(2), Err(not_leader));
    let mut chart = Chart::connected("leader-follower:async,read=nearest", 3);
    assert_eq!(chart.read(2), Ok(None));
    chart.run(&[Write { at: 0, sequence: 0 }, Persisted { at: 0 }]);
    assert_eq!(
        (chart.read(0), chart.read(2)),
        (Ok(Some(value(0))), Ok(None))
    );
    chart.settle();
    assert_eq!(chart.read(2), Ok(Some(value(0))));
}

#[test]
fn a_follower_shows_only_what_it_has_persisted() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 3);
    chart.run(&[
        Write { at: 0, sequence: 0 },
        Persisted { at: 0 },
        Deliver { from: 0, to: 1 },
        Persisted { at: 1 },
        Deliver { from: 1, to: 0 },
        // The entry, then the commit index.
        Deliver { from: 0, to: 2 },
        Deliver { from: 0, to: 2 },
    ]);
    assert_eq!(chart.answered(), [0]);
    assert!(chart.applied[2].is_empty());
    chart.run(&[Persisted { at: 2 }]);
    assert_eq!(chart.applied[2].len(), 1);
}

#[test]
fn parameters_are_read_and_unfit_ones_refused() {
    let parse = |text: &str, replicas| {
        let spec: ModeSpec = text.parse().unwrap();
        LeaderFollower::parse(&spec, &topology(replicas))
    };
    for text in [
        "leader-follower:semi-sync=0",
        "leader-follower:semi-sync=3",
        "leader-follower:semi-sync=x",
        "leader-follower:sync=2",
        "leader-follower:async,read=far",
        "leader-follower:async,write=leader",
        "leader-follower:other",
    ] {
        assert!(parse(text, 3).is_err(), "{text}");
    }
    assert!(parse("leader-follower:semi-sync", 1).is_err());
    assert!(parse("leader-follower:semi-sync=2,read=nearest", 3).is_ok());
}

#[test]
fn the_message_patterns_are_those_of_the_guarantees() {
    let path = |text: &str, kind| {
        let spec: ModeSpec = text.parse().unwrap();
        let topology = topology(5);
        let mode = LeaderFollower::parse(&spec, &topology).unwrap();
        mode.path(kind, &topology).unwrap()
    };
    let rounds = |acknowledgements: &[usize]| Path {
        contact: Contact::Leader,
        rounds: acknowledgements
            .iter()
            .map(|&acknowledgements| Round {
                acknowledgements,
                among: 5,
            })
            .collect(),
    };
    let add = OperationKind::Add;
    assert_eq!(path("leader-follower:async", add), rounds(&[]));
    assert_eq!(path("leader-follower:semi-sync=2", add), rounds(&[3]));
    assert_eq!(path("leader-follower:sync", add), rounds(&[5]));
    let read = OperationKind::Read;
    assert_eq!(path("leader-follower:sync", read), rounds(&[]));
    assert_eq!(
        path("leader-follower:sync,read=nearest", read).contact,
        Contact::Nearest
    );
}

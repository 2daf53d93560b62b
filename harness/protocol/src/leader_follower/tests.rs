//! Sequence charts of the protocol.

use bytes::Bytes;
use longhaul_experiment::{
    Contact, ErrorKind, Key, ModeSpec, Operation, OperationKind, OperationResult, Outcome, Path,
    ReplicaId, Round, Version,
};
use proptest::prelude::*;

use super::LeaderFollower;
use super::chart::Step;
use super::chart::Step::{Deliver, Down, Heartbeat, Persisted, Up, Write};
use super::chart::{Chart, KEY, LEADER, request, topology, value, written};
use super::replica::LEADER_LOG_BYTES_MAX;
use crate::mode::Mode;

/// Returns the write of a value that weighs 1 MiB in a log and little in memory.
fn heavy_write(sequence: u64, value: &Bytes) -> crate::replica::Request {
    request(
        sequence,
        Operation::Write {
            key: KEY,
            value: value.clone(),
        },
    )
}

fn mebibyte() -> Bytes {
    Bytes::from(vec![1; 1 << 20])
}

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
fn what_an_epochs_end_lost_is_sent_again_and_executed_once() {
    let mut chart = Chart::connected("leader-follower:async", 2);
    chart.run(&[
        Write { at: 0, sequence: 0 },
        Write { at: 0, sequence: 1 },
        Deliver { from: 0, to: 1 },
        // The second append and all acknowledgements are lost.
        Down { between: 0, and: 1 },
        Write { at: 0, sequence: 2 },
        Up { between: 0, and: 1 },
    ]);
    chart.settle();
    assert!(chart.agree(0, 1));
    assert_eq!(chart.applied[1].len(), 3);
}

#[test]
fn a_lagging_follower_catches_up_from_the_log() {
    let mut chart = Chart::connected("leader-follower:async", 3);
    chart.run(&[Down { between: 0, and: 2 }]);
    for sequence in 0..1000 {
        chart.run(&[Write { at: 0, sequence }]);
    }
    chart.settle();
    assert_eq!(chart.log(LEADER).len(), 1000);
    chart.run(&[Up { between: 0, and: 2 }]);
    chart.settle();
    assert_eq!(chart.pieces, 0);
    assert!(chart.agree(0, 2));
    // Nobody needs the log any more.
    assert_eq!(chart.log(LEADER).len(), 0);
}

#[test]
fn a_follower_that_restarts_with_its_storage_goes_on_from_there() {
    let mut chart = Chart::connected("leader-follower:semi-sync=2,read=nearest", 3);
    for sequence in 0..10 {
        chart.run(&[Write { at: 0, sequence }]);
    }
    chart.settle();
    chart.restart(2, true);
    assert_eq!(chart.log(2).last().index, 10);
    // It holds all entries and does not know which are committed: it must not show less than it
    // did before.
    assert_eq!(chart.read(2), Err(ErrorKind::NotReady));
    chart.run(&[
        Write {
            at: 0,
            sequence: 10,
        },
        Up { between: 0, and: 2 },
    ]);
    chart.settle();
    assert_eq!((chart.pieces, chart.answered().len()), (0, 11));
    assert_eq!(chart.read(2), Ok(Some(value(10))));
    assert!(chart.agree(0, 2));
}

#[test]
fn a_follower_that_lost_everything_gets_a_snapshot_and_counts_only_from_then_on() {
    let mut chart = Chart::connected("leader-follower:sync,read=nearest", 3);
    for sequence in 0..10 {
        chart.run(&[Write { at: 0, sequence }]);
    }
    chart.settle();
    assert_eq!(chart.log(LEADER).base().index, 10);
    // Replica 2 acknowledges the eleventh write, and loses it before replica 1 has it.
    chart.run(&[
        Write {
            at: 0,
            sequence: 10,
        },
        Persisted { at: 0 },
        Deliver { from: 0, to: 2 },
        Persisted { at: 2 },
        Deliver { from: 2, to: 0 },
    ]);
    chart.restart(2, false);
    chart.run(&[
        Up { between: 0, and: 2 },
        Deliver { from: 0, to: 1 },
        Persisted { at: 1 },
        Deliver { from: 1, to: 0 },
    ]);
    assert_eq!(chart.answered().len(), 10);
    assert_eq!(chart.read(2), Err(ErrorKind::NotReady));
    chart.settle();
    assert_eq!((chart.pieces, chart.answered().len()), (1, 11));
    assert!(chart.agree(0, 2));
    assert_eq!(chart.read(2), Ok(Some(value(10))));
    // The snapshot is in its storage too.
    chart.restart(2, true);
    assert_eq!(chart.log(2).last().index, 11);
}

#[test]
fn a_leader_that_restarts_leads_a_later_term_and_cuts_what_it_never_persisted() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 3);
    chart.run(&[Write { at: 0, sequence: 0 }]);
    chart.settle();
    // Write 1 reaches replica 1 and not the leader's storage.
    chart.run(&[
        Write { at: 0, sequence: 1 },
        Deliver { from: 0, to: 1 },
        Persisted { at: 1 },
    ]);
    chart.restart(LEADER, true);
    assert_eq!(chart.log(1).last().index, 2);
    assert_eq!(chart.read(LEADER), Err(ErrorKind::NotReady));
    chart.run(&[
        Up { between: 0, and: 1 },
        Up { between: 0, and: 2 },
        Write { at: 0, sequence: 2 },
    ]);
    // Nothing is shipped in a term that the leader could forget it had.
    assert_eq!(chart.on_the_way(0, 1), 0);
    chart.settle();
    // Index 1: write 0; index 2: the term's opening entry; index 3: write 2.
    assert_eq!(chart.replies.last(), Some(&(0, 2, written(3))));
    assert_eq!(chart.read(LEADER), Ok(Some(value(2))));
    assert!(chart.agree(0, 1) && chart.agree(0, 2));
    assert_eq!(chart.leaders[1], [(1, Some(0)), (2, Some(0))]);
    // And the cut is in the storage.
    chart.restart(1, true);
    assert_eq!(chart.log(1).last(), chart.log(LEADER).last());
}

#[test]
fn a_leader_that_lost_its_storage_does_not_lead() {
    let mut chart = Chart::connected("leader-follower:async", 2);
    chart.restart(LEADER, false);
    chart.run(&[Up { between: 0, and: 1 }, Write { at: 0, sequence: 0 }]);
    let refused = Outcome::Fail(ErrorKind::NotLeader { hint: None });
    assert_eq!(chart.replies, [(0, 0, refused)]);
}

#[test]
fn a_heartbeat_tells_the_commit_index_and_asks_again_who_did_not_answer() {
    let mut chart = Chart::new("leader-follower:async", 2);
    chart.run(&[Persisted { at: 0 }, Up { between: 0, and: 1 }]);
    assert_eq!(chart.on_the_way(0, 1), 1);
    chart.run(&[Heartbeat { at: 0 }]);
    assert_eq!(chart.on_the_way(0, 1), 2);
    chart.run(&[Write { at: 0, sequence: 0 }]);
    chart.settle();
    assert!(chart.agree(0, 1));
    chart.run(&[Heartbeat { at: 0 }]);
    assert_eq!(chart.on_the_way(0, 1), 1);
    chart.settle();
}

#[test]
fn the_leaders_log_stays_bounded_with_a_dead_follower_which_then_gets_a_snapshot() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 3);
    chart.run(&[Down { between: 0, and: 2 }]);
    let value = mebibyte();
    // 150 writes of 1 MiB against a bound of 128 MiB.
    for sequence in 0..150 {
        chart.request(LEADER, heavy_write(sequence, &value));
        chart.settle();
        assert!(chart.log(LEADER).bytes() <= LEADER_LOG_BYTES_MAX);
        assert!(chart.log(1).bytes() <= 5 << 20);
    }
    assert_eq!(chart.answered().len(), 150);
    chart.run(&[Up { between: 0, and: 2 }]);
    chart.settle();
    // The store is one value of 1 MiB and a little more.
    assert_eq!(chart.pieces, 2);
    assert!(chart.agree(0, 2));
}

#[test]
fn writes_that_cannot_be_committed_are_bounded_and_end_as_unknown() {
    let mut chart = Chart::connected("leader-follower:sync", 2);
    chart.run(&[Down { between: 0, and: 1 }]);
    let value = mebibyte();
    // Each entry weighs a little more than 1 MiB, so that 64 of them reach the bound of 64 MiB.
    for sequence in 0..65 {
        chart.request(LEADER, heavy_write(sequence, &value));
    }
    let overloaded = Outcome::Unknown(ErrorKind::Overloaded);
    assert_eq!(chart.replies, [(0, 64, overloaded)]);
}

#[test]
fn entries_on_their_way_are_bounded() {
    let mut chart = Chart::connected("leader-follower:async", 2);
    let value = mebibyte();
    for sequence in 0..100 {
        chart.request(LEADER, heavy_write(sequence, &value));
        chart.run(&[Persisted { at: 0 }]);
    }
    // 64 entries of a little more than 1 MiB reach the bound of 64 MiB.
    assert_eq!(chart.entries_on_the_way(0, 1), 64);
    chart.settle();
    assert!(chart.agree(0, 1));
}

#[test]
fn a_checkpoint_replaces_the_records_before_it() {
    let mut chart = Chart::connected("leader-follower:async", 2);
    let value = mebibyte();
    // A checkpoint is due after 64 MiB of records.
    for sequence in 0..70 {
        chart.request(LEADER, heavy_write(sequence, &value));
        chart.settle();
    }
    for at in [0, 1] {
        let log_end = chart.log(at).last().index;
        chart.restart(at, true);
        assert!(chart.log(at).base().index > 60);
        assert!(chart.log(at).last().index >= log_end);
    }
    chart.run(&[Up { between: 0, and: 1 }]);
    chart.settle();
    assert!(chart.agree(0, 1));
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

/// One choice of a random chart.
fn step(choice: (u8, u16), sequence: &mut u64) -> Step {
    let (kind, number) = choice;
    let follower = 1 + number % 2;
    match kind {
        0..=3 => {
            *sequence += 1;
            Write {
                at: LEADER,
                sequence: *sequence - 1,
            }
        }
        4..=6 => Deliver {
            from: LEADER,
            to: follower,
        },
        7..=9 => Deliver {
            from: follower,
            to: LEADER,
        },
        10..=13 => Persisted { at: number % 3 },
        14..=16 => Up {
            between: LEADER,
            and: follower,
        },
        17 => Down {
            between: LEADER,
            and: follower,
        },
        _ => Heartbeat { at: LEADER },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_no_acknowledged_write_is_lost_and_all_converge(
        mode in prop::sample::select(vec!["async", "semi-sync=1", "semi-sync=2", "sync"]),
        choices in prop::collection::vec((0u8..21, 0u16..6), 1..400),
    ) {
        let mut chart = Chart::new(&format!("leader-follower:{mode},read=nearest"), 3);
        let mut sequence = 0;
        let mut newest: [Option<Vec<u8>>; 3] = Default::default();
        for choice in choices {
            match choice {
                (19, at) => chart.restart(at % 3, true),
                // A leader that lost its storage would not lead.
                (20, at) => chart.restart(1 + at % 2, false),
                choice => {
                    let step = step(choice, &mut sequence);
                    if chart.is_possible(step) {
                        chart.run(&[step]);
                    }
                }
            }
            // A session that sticks to a replica never sees it go back.
            for at in 0..3 {
                if let Ok(value) = chart.read(at) {
                    let value = value.map(Vec::from);
                    prop_assert!(value >= newest[usize::from(at)], "{at}");
                    newest[usize::from(at)] = value;
                }
            }
        }
        for follower in [1, 2] {
            let up = Up { between: LEADER, and: follower };
            if chart.is_possible(up) {
                chart.run(&[up]);
            }
        }
        chart.run(&[Write { at: LEADER, sequence }]);
        chart.settle();
        prop_assert!(chart.agree(0, 1) && chart.agree(0, 2));
        prop_assert_eq!(chart.read(2), Ok(Some(value(sequence))));
        // Executed again, each acknowledged write has the version that it was acknowledged with.
        for (_, sequence, outcome) in std::mem::take(&mut chart.replies) {
            chart.run(&[Write { at: LEADER, sequence }]);
            chart.settle();
            prop_assert_eq!(&chart.replies.pop().unwrap().2, &outcome);
        }
    }
}

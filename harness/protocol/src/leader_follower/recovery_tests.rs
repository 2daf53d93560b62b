//! Sequence charts of lost connections and restarts.

use longhaul_experiment::{ErrorKind, Outcome};
use proptest::prelude::*;

use super::chart::Step::{Deliver, Down, Heartbeat, Persisted, Up, Write};
use super::chart::{Chart, LEADER, Step, value, written};

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
fn a_follower_reports_its_position_only_when_it_is_safe() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 2);
    chart.run(&[
        Write { at: 0, sequence: 0 },
        Persisted { at: 0 },
        Deliver { from: 0, to: 1 },
        Down { between: 0, and: 1 },
        Up { between: 0, and: 1 },
        Deliver { from: 0, to: 1 },
    ]);
    assert_eq!(chart.on_the_way(1, 0), 0);
    chart.run(&[Persisted { at: 1 }, Deliver { from: 1, to: 0 }]);
    assert_eq!(chart.answered(), [0]);
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
    chart.run(&[Up { between: 0, and: 2 }]);
    chart.settle();
    assert_eq!(chart.read(2), Ok(Some(value(9))));
    chart.run(&[Write {
        at: 0,
        sequence: 10,
    }]);
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
    // It holds everything again, and does not count before that is agreed on.
    assert_eq!((chart.pieces, chart.answered().len()), (1, 10));
    chart.rest();
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
    let not_leader = ErrorKind::NotLeader { hint: None };
    assert_eq!(chart.read(LEADER), Err(not_leader));
    chart.run(&[Up { between: 0, and: 1 }, Up { between: 0, and: 2 }]);
    chart.lead_again();
    // Its lease comes with the answers of the followers.
    chart.settle();
    chart.run(&[Write { at: 0, sequence: 2 }]);
    chart.settle();
    // Index 1: write 0; index 2: the term's opening entry; index 3: write 2.
    assert_eq!(chart.replies.last(), Some(&(0, 2, written(3))));
    assert_eq!(chart.read(LEADER), Ok(Some(value(2))));
    assert!(chart.agree(0, 1) && chart.agree(0, 2));
    assert_eq!(chart.leaders[1], [(1, Some(0)), (2, None), (2, Some(0))]);
    assert_eq!(chart.truncated, [0, 1, 0]);
    // And the cut is in the storage.
    chart.restart(1, true);
    assert_eq!(chart.log(1).last(), chart.log(LEADER).last());
}

#[test]
fn entries_of_an_earlier_term_are_committed_by_one_of_the_own_term() {
    let mut chart = Chart::connected("leader-follower:semi-sync=1", 2);
    chart.run(&[
        Write { at: 0, sequence: 0 },
        Persisted { at: 0 },
        Deliver { from: 0, to: 1 },
        Persisted { at: 1 },
    ]);
    chart.restart(LEADER, true);
    chart.run(&[Up { between: 0, and: 1 }]);
    chart.lead_again();
    // The question how far replica 1 is, and its answer.
    chart.run(&[Deliver { from: 0, to: 1 }, Deliver { from: 1, to: 0 }]);
    // Both are known to hold write 0.
    assert!(chart.applied[0].is_empty());
    chart.settle();
    assert_eq!(chart.applied[0].len(), 1);
    // The life that received the request is over, and so is the client's connection to it.
    assert!(chart.replies.is_empty());
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
    chart.run(&[Up { between: 0, and: 1 }]);
    // Nothing is shipped in a term that the leader could forget it had.
    assert_eq!(chart.on_the_way(0, 1), 0);
    chart.run(&[Persisted { at: 0 }]);
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
        _ => Heartbeat { at: number % 3 },
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
                // The other two are a majority that keeps what it has.
                (20, _) => chart.restart(2, false),
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
        chart.lead_again();
        chart.rest();
        chart.run(&[Write { at: LEADER, sequence }]);
        chart.settle();
        prop_assert!(chart.agree(0, 1) && chart.agree(0, 2));
        prop_assert_eq!(chart.read(2), Ok(Some(value(sequence))));
        // Executed again, each acknowledged write has the version that it was acknowledged with.
        let replies = std::mem::take(&mut chart.replies);
        for (_, sequence, outcome) in replies.into_iter().filter(|reply| reply.2.is_ok()) {
            chart.run(&[Write { at: LEADER, sequence }]);
            chart.settle();
            prop_assert_eq!(&chart.replies.pop().unwrap().2, &outcome);
        }
    }
}

//! What every log mode must do, as sequence charts over the test network.
//!
//! Three replicas on a line at 0, 10 and 40 ms: round trips 0-1 20 ms, 1-2 60 ms, 0-2 80 ms.

use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::random::Seed;
use longhaul_experiment::{
    ErrorKind, Key, Operation, OperationResult, Outcome, ReplicaId, Version,
};

use super::test_network::{Network, request, write};
use crate::mode::Mode;

const THREE: [u64; 3] = [0, 10, 40];
const LEADER: ReplicaId = ReplicaId(0);

/// Longer than any election at a round trip of 80 ms: an election time-out is 20 to 40 heartbeats
/// of 50 ms, so at most 2 s; a few rounds of votes and a split vote fit into 10 s.
const ELECTION: Duration = Duration::from_secs(10);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn started<M: Mode>(mode: &str, durable: bool) -> Network<M> {
    let mut network = Network::start(mode, &THREE, durable);
    network.run_for(ms(1000));
    network
}

fn sequence_value(sequence: u64) -> Bytes {
    Bytes::copy_from_slice(&sequence.to_le_bytes())
}

fn read_of<M: Mode>(network: &Network<M>, sequence: u64) -> Option<Bytes> {
    match network.outcome(sequence) {
        Some(Outcome::Ok(OperationResult::Read { value, .. })) => value.clone(),
        other => panic!("operation {sequence} is no successful read: {other:?}"),
    }
}

fn is_ok<M: Mode>(network: &Network<M>, sequence: u64) -> bool {
    network.outcome(sequence).is_some_and(Outcome::is_ok)
}

/// Returns a replica other than the dead one that the others take for the leader.
fn new_leader<M: Mode>(network: &Network<M>, dead: usize) -> usize {
    let alive = if dead == 0 { 1 } else { 0 };
    let leader = network.view(alive).expect("a leader is known").index();
    assert_ne!(leader, dead);
    leader
}

pub(super) fn the_preferred_replica_leads_from_the_first_start<M: Mode>(mode: &str) {
    // Two round trips to the nearer follower are 40 ms; the farthest hears within 80 ms more.
    let mut network = Network::<M>::start(mode, &THREE, false);
    network.run_for(ms(200));
    for replica in 0..3 {
        assert_eq!(network.view(replica), Some(LEADER));
    }
    assert!(
        network
            .views
            .iter()
            .all(|view| view.3 == Some(LEADER) || view.3.is_none())
    );
    // Nothing changes while nothing fails.
    let views = network.views.len();
    network.run_for(Duration::from_secs(20));
    assert_eq!(network.views.len(), views);
}

pub(super) fn the_preferred_replica_leads_over_long_links<M: Mode>(mode: &str) {
    // Round trip 300 ms to both others: votes after 300 ms, their news 150 ms later.
    let mut network = Network::<M>::start(mode, &[150, 0, 300], false);
    network.run_for(ms(1000));
    network.request(0, write(0));
    network.run_for(ms(299));
    assert_eq!(network.outcome(0), None);
    network.run_for(ms(1));
    assert!(is_ok(&network, 0));
    // The election time-out is at least 10 round trips of 600 ms between the outer two, at most
    // 12 s; the votes take 600 ms more.
    network.crash(0);
    network.run_for(Duration::from_secs(45));
    let leader = new_leader(&network, 0);
    network.request(leader, write(1));
    network.run_for(ms(600));
    assert!(is_ok(&network, 1));
}

pub(super) fn a_write_takes_the_round_trip_to_the_nearest_majority<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    network.request(0, write(0));
    network.run_for(ms(19));
    assert_eq!(network.outcome(0), None);
    network.run_for(ms(1));
    assert!(is_ok(&network, 0));
    network.run_for(ms(100));
    assert_eq!(network.applied, [1, 1, 1]);
}

pub(super) fn a_stalled_minority_does_not_matter<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    network.disconnect(2);
    let begun = network.now();
    for sequence in 0..100 {
        network.request(0, write(sequence));
    }
    network.run_for(ms(100));
    for sequence in 0..100 {
        let answered = network.answered_at(sequence).unwrap();
        assert_eq!(answered.since(begun), ms(20), "operation {sequence}");
    }
}

pub(super) fn without_a_majority_nothing_is_acknowledged<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    network.disconnect(1);
    network.disconnect(2);
    network.request(0, write(0));
    network.request(0, request(1, Operation::Read { key: Key(0) }));
    network.run_for(Duration::from_secs(20));
    assert!(!is_ok(&network, 0));
    assert!(!is_ok(&network, 1));
}

pub(super) fn the_loss_of_the_leader_elects_another_with_every_acknowledged_write<M: Mode>(
    mode: &str,
) {
    let mut network = started::<M>(mode, false);
    network.requests(0, (0..10).map(write).collect());
    network.run_for(ms(20));
    assert!((0..10).all(|sequence| is_ok(&network, sequence)));
    network.crash(0);
    network.run_for(ELECTION);
    let leader = new_leader(&network, 0);
    for key in 0..10 {
        network.request(leader, request(10 + key, Operation::Read { key: Key(key) }));
    }
    network.run_for(ms(200));
    for key in 0..10 {
        assert_eq!(read_of(&network, 10 + key), Some(sequence_value(key)));
    }
}

pub(super) fn an_isolated_leader_gives_its_proposals_up_as_unknown<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    network.disconnect(0);
    network.request(0, write(0));
    network.run_for(ELECTION);
    let leader = new_leader(&network, 0);
    network.request(leader, write(1));
    network.run_for(ms(100));
    assert!(is_ok(&network, 1));
    network.connect(0);
    network.run_for(Duration::from_secs(5));
    let outcome = network.outcome(0);
    assert!(
        matches!(outcome, Some(Outcome::Unknown(ErrorKind::NotLeader { .. }))),
        "{outcome:?}"
    );
    // It follows, and knows whom.
    network.request(0, write(2));
    let hint = Some(ReplicaId(leader as u16));
    let refusal = Outcome::Fail(ErrorKind::NotLeader { hint });
    assert_eq!(network.outcome(2), Some(&refusal));
}

pub(super) fn a_follower_refuses_with_a_hint<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    network.request(2, write(0));
    network.request(1, request(1, Operation::Read { key: Key(0) }));
    let hint = Some(LEADER);
    let refusal = Outcome::Fail(ErrorKind::NotLeader { hint });
    assert_eq!(network.outcome(0), Some(&refusal));
    assert_eq!(network.outcome(1), Some(&refusal));
}

pub(super) fn a_retried_request_is_executed_once<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    let add = request(
        0,
        Operation::Add {
            key: Key(1),
            amount: 5,
        },
    );
    network.requests(0, vec![add.clone(), add.clone()]);
    network.run_for(ms(100));
    network.crash(0);
    network.run_for(ELECTION);
    let leader = new_leader(&network, 0);
    network.request(leader, add);
    network.run_for(ms(100));
    let outcomes: Vec<&Outcome> = network.replies.iter().map(|reply| &reply.3).collect();
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        let Outcome::Ok(OperationResult::Added { total: 5, version }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_ne!(*version, Version::NONE);
    }
}

pub(super) fn a_read_sees_the_write_acknowledged_before_it<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    for round in 0..20 {
        let (written, read) = (2 * round * 10, 2 * round * 10 + 1);
        network.request(0, write(written));
        network.run_for(ms(20));
        assert!(is_ok(&network, written));
        network.request(0, request(read, Operation::Read { key: Key(0) }));
        network.run_for(ms(20));
        assert_eq!(read_of(&network, read), Some(sequence_value(written)));
    }
}

pub(super) fn a_lagging_follower_catches_up_by_log<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    network.disconnect(2);
    network.requests(0, (0..500).map(write).collect());
    network.run_for(ms(500));
    assert_eq!(network.applied, [500, 500, 0]);
    network.connect(2);
    network.run_for(ms(1000));
    // By log every version shows, by snapshot the last of each of the ten keys.
    assert!(network.applied[2] >= 10, "{:?}", network.applied);
    // It can carry a write now.
    network.disconnect(1);
    network.request(0, write(500));
    network.run_for(ms(80));
    assert!(is_ok(&network, 500));
}

pub(super) fn a_follower_far_behind_catches_up_by_snapshot<M: Mode>(mode: &str, kept_max: u64) {
    let mut network = started::<M>(mode, false);
    network.trace = None;
    network.disconnect(2);
    let count = kept_max + 2000;
    for first in (0..count).step_by(1000) {
        network.requests(0, (first..first + 1000).map(write).collect());
        network.run_for(ms(20));
    }
    network.connect(2);
    network.run_for(ms(1000));
    // A snapshot shows the last version of each of the ten keys.
    assert_eq!(network.applied[2], 10);
    network.disconnect(1);
    network.request(0, write(count + 1000));
    network.run_for(ms(80));
    assert!(is_ok(&network, count + 1000));
}

pub(super) fn every_acknowledged_write_survives_the_restart_of_all<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, true);
    network.requests(0, (0..10).map(write).collect());
    // 20 ms round trip and 1 ms for the follower's storage.
    network.run_for(ms(22));
    assert!((0..10).all(|sequence| is_ok(&network, sequence)));
    for replica in 0..3 {
        network.crash(replica);
    }
    for replica in 0..3 {
        network.restart(replica);
    }
    network.run_for(ELECTION);
    let leader = network.view(0).expect("a leader is known").index();
    for key in 0..10 {
        network.request(leader, request(10 + key, Operation::Read { key: Key(key) }));
    }
    network.run_for(ms(200));
    for key in 0..10 {
        assert_eq!(read_of(&network, 10 + key), Some(sequence_value(key)));
    }
}

pub(super) fn nothing_is_acknowledged_before_a_majority_has_stored_it<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, true);
    network.persist_takes = ms(5);
    network.request(0, write(0));
    // The round trip of 20 ms and the follower's storage, 5 ms.
    network.run_for(ms(24));
    assert_eq!(network.outcome(0), None);
    network.run_for(ms(1));
    assert!(is_ok(&network, 0));
    // A leader's storage that never answers holds back its own vote only: with the farther
    // follower there is a majority.
    network.persist_takes = ms(60);
    network.request(0, write(1));
    network.run_for(ms(79));
    assert_eq!(network.outcome(1), None);
    network.run_for(ms(2));
    assert!(is_ok(&network, 1));
}

pub(super) fn a_restarted_follower_continues_from_its_storage<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, true);
    for sequence in 0..50 {
        network.request(0, write(sequence));
        network.run_for(ms(3));
        if sequence == 25 {
            network.crash(1);
        }
        if sequence == 40 {
            network.restart(1);
        }
    }
    network.run_for(ms(1000));
    assert!((0..50).all(|sequence| is_ok(&network, sequence)));
    network.disconnect(2);
    network.request(0, write(50));
    network.run_for(ms(30));
    assert!(is_ok(&network, 50));
}

pub(super) fn a_replica_that_lost_its_storage_stays_silent<M: Mode>(mode: &str) {
    let mut network = started::<M>(mode, false);
    network.request(0, write(0));
    network.run_for(ms(20));
    network.crash(1);
    network.restart(1);
    network.run_for(ELECTION);
    network.request(1, write(1));
    let refusal = Outcome::Fail(ErrorKind::NotReady);
    assert_eq!(network.outcome(1), Some(&refusal));
    // It does not count: the other follower's round trip is 80 ms.
    network.request(0, write(2));
    network.run_for(ms(79));
    assert_eq!(network.outcome(2), None);
    network.run_for(ms(1));
    assert!(is_ok(&network, 2));
}

pub(super) fn a_seed_repeats_its_trace_exactly<M: Mode>(mode: &str) {
    let run = |seed| {
        let mut network = Network::<M>::start_with(mode, &[0, 10, 40, 45, 60], true, Seed(seed));
        network.run_for(ms(1000));
        for sequence in 0..20 {
            network.request(0, write(sequence));
            network.run_for(ms(7));
        }
        network.crash(0);
        network.run_for(ELECTION);
        network.restart(0);
        network.crash(3);
        network.run_for(ELECTION);
        network.trace.unwrap()
    };
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// Acknowledged adds are never lost or doubled, whatever crashes.
pub(super) fn acknowledged_adds_survive_crashes<M: Mode>(mode: &str) {
    for seed in 0..8 {
        let mut network = Network::<M>::start_with(mode, &[0, 10, 40, 45, 60], true, Seed(seed));
        network.trace = None;
        network.persist_takes = ms(3);
        network.run_for(ms(1000));
        let mut sequence = 0;
        for round in 0..6u64 {
            let down = ((seed + round * 3) % 5) as usize;
            let also = ((seed + round * 3 + 1 + round % 4) % 5) as usize;
            for step in 0..60 {
                if let Some(leader) = network.view(((down + 2) % 5) as usize) {
                    let add = Operation::Add {
                        key: Key(1),
                        amount: 1,
                    };
                    network.request(leader.index(), request(sequence, add));
                    sequence += 1;
                }
                network.run_for(ms(5));
                match step {
                    20 => network.crash(down),
                    24 => network.disconnect(also),
                    _ => {}
                }
            }
            network.run_for(Duration::from_secs(8));
            network.connect(also);
            network.restart(down);
            network.run_for(Duration::from_secs(8));
        }
        let leader = network.view(0).expect("a leader is known").index();
        let read = Operation::Add {
            key: Key(1),
            amount: 0,
        };
        network.request(leader, request(sequence, read));
        network.run_for(ms(500));
        let Some(Outcome::Ok(OperationResult::Added { total, .. })) = network.outcome(sequence)
        else {
            panic!("seed {seed}: {:?}", network.outcome(sequence));
        };
        let count = |wanted: fn(&Outcome) -> bool| {
            let ended = network.replies.iter().filter(|reply| wanted(&reply.3));
            ended.count() as i64
        };
        let acknowledged = count(Outcome::is_ok) - 1;
        let refused = count(|outcome| matches!(outcome, Outcome::Fail(_)));
        let possible = sequence as i64 - refused;
        assert!(
            (acknowledged..=possible).contains(total),
            "seed {seed}: {acknowledged} acknowledged, {possible} possible, {total} found"
        );
        assert!(acknowledged > 100, "seed {seed}: {acknowledged}");
    }
}

/// Defines one test for each rule of the suite.
macro_rules! log_mode_suite {
    ($mode:ty, $spec:expr, $($rule:ident),* $(,)?) => {
        $(#[test]
        fn $rule() {
            crate::quorum::test_suite::$rule::<$mode>($spec);
        })*
    };
    ($mode:ty, $spec:expr) => {
        crate::quorum::test_suite::log_mode_suite! {
            $mode, $spec,
            the_preferred_replica_leads_from_the_first_start,
            the_preferred_replica_leads_over_long_links,
            a_write_takes_the_round_trip_to_the_nearest_majority,
            a_stalled_minority_does_not_matter,
            without_a_majority_nothing_is_acknowledged,
            the_loss_of_the_leader_elects_another_with_every_acknowledged_write,
            an_isolated_leader_gives_its_proposals_up_as_unknown,
            a_follower_refuses_with_a_hint,
            a_retried_request_is_executed_once,
            a_read_sees_the_write_acknowledged_before_it,
            a_lagging_follower_catches_up_by_log,
            every_acknowledged_write_survives_the_restart_of_all,
            nothing_is_acknowledged_before_a_majority_has_stored_it,
            a_restarted_follower_continues_from_its_storage,
            a_replica_that_lost_its_storage_stays_silent,
            a_seed_repeats_its_trace_exactly,
            acknowledged_adds_survive_crashes,
        }
    };
}
pub(super) use log_mode_suite;

use std::time::Duration;

use longhaul_experiment::ModeSpec;

use super::participant::ENTRIES_KEPT;
use super::{Paxos, PaxosReplica};
use crate::mode::Mode;
use crate::quorum::test_network::{Network, line, write};
use crate::quorum::test_suite;
use crate::store::Store;

test_suite::log_mode_suite! { Paxos, "quorum:paxos" }

impl test_suite::HasStore for PaxosReplica {
    fn store(&self) -> Option<Store> {
        let participant = self.participant.as_ref()?;
        Some(participant.copy_of_store())
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn a_follower_far_behind_catches_up_by_snapshot() {
    let kept = 2 * ENTRIES_KEPT as u64;
    test_suite::a_follower_far_behind_catches_up_by_snapshot::<Paxos>("quorum:paxos", kept);
}

#[test]
fn the_log_is_bounded_even_while_one_is_away() {
    let mut network = Network::<Paxos>::start("quorum:paxos", &[0, 10, 40], false);
    network.trace = None;
    network.run_for(ms(500));
    network.disconnect(2);
    for first in (0..100_000).step_by(1000) {
        network.requests(0, (first..first + 1000).map(write).collect());
        network.run_for(ms(40));
    }
    for replica in 0..2 {
        let participant = network.replica(replica).participant.as_ref().unwrap();
        assert!(participant.log_len() <= 2 * ENTRIES_KEPT + 1000);
    }
}

#[test]
fn a_smaller_accept_quorum_waits_for_nearer_replicas() {
    // Round trips from the leader: 20, 80, 120, 160 ms. A majority of 5 is the leader and two
    // others, 80 ms; an accept quorum of 2 takes 20 ms.
    let places = [0, 10, 40, 60, 80];
    for (mode, least_ms) in [("quorum:paxos", 80), ("quorum:paxos,write-quorum=2", 20)] {
        let mut network = Network::<Paxos>::start(mode, &places, false);
        network.run_for(ms(2000));
        let asked = network.now();
        network.request(0, write(0));
        network.run_for(ms(500));
        let answered = network.answered_at(0).unwrap();
        assert_eq!(answered.since(asked), ms(least_ms), "{mode}");
    }
}

#[test]
fn a_smaller_accept_quorum_makes_elections_need_more_replicas() {
    // With W = 2 of 5 a leader needs 4 promises: after one crash there are 4 replicas left,
    // after two only 3.
    let places = [0, 10, 40, 60, 80];
    let mut network = Network::<Paxos>::start("quorum:paxos,write-quorum=2", &places, false);
    network.run_for(ms(2000));
    network.crash(0);
    network.run_for(Duration::from_secs(20));
    let second = network.view(3).unwrap().index();
    assert_ne!(second, 0);
    network.crash(second);
    network.run_for(Duration::from_secs(20));
    let alive = (1..5).find(|&replica| replica != second).unwrap();
    assert_eq!(network.view(alive).unwrap().index(), second);
}

#[test]
fn write_quorums_out_of_range_are_refused() {
    let parse = |text: &str, replicas: &[u64]| {
        Paxos::parse(&text.parse::<ModeSpec>().unwrap(), &line(replicas))
    };
    let five = [0, 10, 20, 30, 40];
    let flexible = parse("quorum:paxos,write-quorum=2", &five).unwrap();
    assert_eq!(
        (flexible.accept_quorum(), flexible.prepare_quorum()),
        (2, 4)
    );
    let majority = parse("quorum:paxos", &five[..4]).unwrap();
    assert_eq!(
        (majority.accept_quorum(), majority.prepare_quorum()),
        (3, 3)
    );
    for quorum in ["1", "4", "6", "x", ""] {
        let mode = format!("quorum:paxos,write-quorum={quorum}");
        assert!(parse(&mode, &five).is_err(), "{mode}");
    }
    assert!(parse("quorum:paxos", &five[..1]).is_err());
    assert!(parse("quorum:paxos,write-quorum=2", &five[..2]).is_err());
    assert!(parse("quorum:paxos,read=log", &five).is_err());
}

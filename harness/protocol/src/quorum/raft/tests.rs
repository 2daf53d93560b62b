use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::{Key, ModeSpec, Operation, Outcome};

use super::participant::{KEPT, KEPT_MAX};
use super::{Raft, RaftReads, RaftReplica};
use crate::mode::Mode;
use crate::quorum::test_network::{Network, line, request, write};
use crate::quorum::test_suite;
use crate::store::Store;

test_suite::log_mode_suite! { Raft, "quorum:raft" }

impl test_suite::HasStore for RaftReplica {
    fn store(&self) -> Option<Store> {
        let participant = self.participant.as_ref()?;
        Some(participant.copy_of_store())
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn read(sequence: u64) -> crate::Request {
    request(sequence, Operation::Read { key: Key(0) })
}

#[test]
fn a_follower_far_behind_catches_up_by_snapshot() {
    let kept = KEPT_MAX.entries as u64;
    test_suite::a_follower_far_behind_catches_up_by_snapshot::<Raft>("quorum:raft", kept);
}

#[test]
fn the_log_is_bounded_while_all_follow() {
    let mut network = Network::<Raft>::start("quorum:raft", &[0, 10, 40], false);
    network.trace = None;
    network.run_for(ms(500));
    for first in (0..100_000).step_by(1000) {
        network.requests(0, (first..first + 1000).map(write).collect());
        network.run_for(ms(40));
    }
    for replica in 0..3 {
        let participant = network.replica(replica).participant.as_ref().unwrap();
        assert!(participant.log_len() <= KEPT.entries / 8 * 9 + 1000);
    }
}

#[test]
fn large_values_bound_the_log_by_their_bytes() {
    let mut network = Network::<Raft>::start("quorum:raft", &[0, 10, 40], false);
    network.trace = None;
    network.run_for(ms(500));
    let value = Bytes::from(vec![7; 64 << 10]);
    let large = |sequence| {
        let value = value.clone();
        request(sequence, Operation::Write { key: Key(0), value })
    };
    for first in (0..500).step_by(50) {
        network.requests(0, (first..first + 50).map(large).collect());
        network.run_for(ms(100));
    }
    for replica in 0..3 {
        let participant = network.replica(replica).participant.as_ref().unwrap();
        // 18 MiB of 64 KiB each, and the last batch of 50, which nobody may have executed yet.
        assert!(participant.log_len() <= 18 * 16 + 50);
    }
}

#[test]
fn each_kind_of_read_takes_its_floor() {
    // Replicas at 0, 10 and 40 ms: the nearest majority is a round trip of 20 ms away.
    for (mode, least_ms) in [
        ("quorum:raft,read=index", 20),
        ("quorum:raft,read=lease", 0),
        ("quorum:raft,read=log", 20),
    ] {
        let mut network = Network::<Raft>::start(mode, &[0, 10, 40], false);
        network.run_for(ms(1000));
        let asked = network.now();
        network.requests(0, vec![read(0), read(1)]);
        network.run_for(ms(100));
        for sequence in [0, 1] {
            let answered = network.answered_at(sequence).unwrap();
            assert_eq!(answered.since(asked), ms(least_ms), "{mode}");
            assert!(network.outcome(sequence).unwrap().is_ok());
        }
    }
}

#[test]
fn a_lease_ends_before_another_can_lead() {
    let mut network = Network::<Raft>::start("quorum:raft,read=lease", &[0, 10, 40], false);
    network.run_for(ms(1000));
    network.disconnect(0);
    let cut = network.now();
    // Time-outs of this topology count heartbeats of 50 ms: the lease holds for 15 of them.
    let mut last_read = cut;
    for sequence in 0..200 {
        network.request(0, read(sequence));
        if network.outcome(sequence).is_some_and(Outcome::is_ok) {
            last_read = network.now();
        }
        network.run_for(ms(10));
    }
    assert!(last_read.since(cut) > ms(600), "{last_read}");
    assert!(last_read.since(cut) <= ms(15 * 50), "{last_read}");
    network.run_for(Duration::from_secs(10));
    let mut views = network.views.iter();
    let elected = views.find(|view| view.0 > cut && view.3.is_some_and(|leader| leader.0 != 0));
    // Nobody stands before 19 heartbeats without the leader's word.
    assert!(elected.unwrap().0.since(last_read) > ms((19 - 15) * 50));
}

#[test]
fn a_single_replica_leads_itself() {
    let mut network = Network::<Raft>::start("quorum:raft", &[0], true);
    network.run_for(ms(10));
    network.requests(0, vec![write(0), read(1)]);
    network.run_for(ms(10));
    assert!(network.outcome(0).unwrap().is_ok());
    assert!(network.outcome(1).unwrap().is_ok());
    network.crash(0);
    network.restart(0);
    network.run_for(ms(10));
    network.request(0, read(2));
    network.run_for(ms(10));
    assert!(network.outcome(2).unwrap().is_ok());
}

#[test]
fn one_batch_of_requests_is_one_message_to_each_follower() {
    let mut network = Network::<Raft>::start("quorum:raft", &[0, 10, 40], false);
    network.run_for(ms(1000));
    let sends = |network: &Network<Raft>| {
        let lines = network.trace.as_ref().unwrap().iter();
        lines.filter(|line| line.contains(" 0 Send")).count()
    };
    let before = sends(&network);
    network.requests(0, (0..1000).map(write).collect());
    assert_eq!(sends(&network) - before, 2);
}

#[test]
fn parameters_are_read_and_unknown_ones_refused() {
    let topology = line(&[0, 10, 40]);
    let parse = |text: &str| Raft::parse(&text.parse::<ModeSpec>().unwrap(), &topology);
    let reads = |text| parse(text).unwrap().reads;
    assert_eq!(reads("quorum:raft"), RaftReads::Index);
    assert_eq!(reads("quorum:raft,read=lease"), RaftReads::Lease);
    assert_eq!(reads("quorum:raft,read=log"), RaftReads::Log);
    assert!(parse("quorum:raft,read=none").is_err());
    assert!(parse("quorum:raft,write-quorum=2").is_err());
    assert!(parse("quorum:raft=2").is_err());
}

//! Sequence charts of what must not grow.

use bytes::Bytes;
use longhaul_experiment::{ErrorKind, Operation, Outcome};

use super::chart::Step::{Down, Persisted, Up};
use super::chart::{Chart, KEY, LEADER, request};
use super::replica::LEADER_LOG_BYTES_MAX;
use crate::replica::Request;

/// Returns the write of a value that weighs 1 MiB in a log and little in memory.
fn heavy_write(sequence: u64, value: &Bytes) -> Request {
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

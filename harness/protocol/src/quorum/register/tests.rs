//! The register as sequence charts.

use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::{
    ErrorKind, Key, ModeSpec, Operation, OperationId, OperationKind, OperationResult, Outcome,
    Version,
};

use super::*;
use crate::eventual::chart::{Chart, topology};

const KEY: Key = Key(7);

fn chart(mode: &str, count: usize) -> Chart<Register> {
    Chart::new(mode, count)
}

fn write(text: &'static str) -> Operation {
    Operation::Write {
        key: KEY,
        value: Bytes::from_static(text.as_bytes()),
    }
}

fn read() -> Operation {
    Operation::Read { key: KEY }
}

fn written(chart: &Chart<Register>, id: OperationId) -> Version {
    match chart.outcome(id) {
        Some(Outcome::Ok(OperationResult::Written { version })) => *version,
        other => panic!("{id} should be written: {other:?}"),
    }
}

fn value(chart: &Chart<Register>, id: OperationId) -> Option<String> {
    match chart.outcome(id) {
        Some(Outcome::Ok(OperationResult::Read { value, .. })) => value
            .as_ref()
            .map(|value| String::from_utf8(value.to_vec()).unwrap()),
        other => panic!("{id} should be read: {other:?}"),
    }
}

fn read_everywhere(chart: &mut Chart<Register>, among: &[usize]) -> Vec<Option<String>> {
    let ids: Vec<OperationId> = among
        .iter()
        .map(|&index| {
            let id = chart.request(index, read());
            chart.deliver_among(among);
            id
        })
        .collect();
    ids.into_iter().map(|id| value(chart, id)).collect()
}

fn parse(mode: &str) -> Result<Register, ModeError> {
    let spec: ModeSpec = mode.parse().unwrap();
    Register::parse(&spec, &topology(5))
}

#[test]
fn a_write_asks_r_members_for_tags_and_then_stores_at_exactly_w() {
    let mut chart = chart("quorum:register,r=2,w=3", 3);
    let id = chart.request(0, write("a"));
    // r = 2 tags: its own and one more.
    assert!(matches!(
        chart.under_way(0, 1)[0].parts[..],
        [Part::Query {
            with_value: false,
            ..
        }]
    ));
    assert!(chart.deliver(0, 1) && chart.deliver(1, 0));
    assert!(matches!(
        chart.under_way(0, 1)[0].parts[..],
        [Part::Store { .. }]
    ));
    // w = 3 acknowledgements: its own, the second and the third.
    assert!(chart.deliver(0, 1) && chart.deliver(1, 0));
    assert_eq!(chart.outcome(id), None);
    assert!(chart.deliver(0, 2) && chart.deliver(2, 0));
    assert_eq!(chart.outcome(id), None, "that was the late tag");
    assert!(chart.deliver(0, 2) && chart.deliver(2, 0));
    assert_eq!(written(&chart, id).major, 1);
    assert_eq!(chart.replica(0).operations_under_way(), 0);
}

#[test]
fn a_replica_beyond_the_first_n_coordinates_and_stores_nothing() {
    let mut chart = chart("quorum:register,n=3", 5);
    let id = chart.request(4, write("a"));
    chart.deliver_all();
    written(&chart, id);
    assert!(!chart.replica(4).counts());
    let holders: Vec<usize> = chart.applied.iter().map(|entry| entry.0.index()).collect();
    assert!(holders.iter().all(|&holder| holder < 3), "{holders:?}");
    assert_eq!(
        read_everywhere(&mut chart, &[0, 1, 2, 3, 4]),
        vec![Some("a".to_owned()); 5]
    );
}

#[test]
fn concurrent_writers_of_one_and_of_two_coordinators_get_distinct_tags() {
    let mut chart = chart("quorum:register", 3);
    let ids = [
        chart.request(0, write("a")),
        chart.request(0, write("b")),
        chart.request(1, write("c")),
    ];
    chart.deliver_all();
    let mut tags: Vec<Version> = ids.iter().map(|&id| written(&chart, id)).collect();
    // All three saw no tag before they chose their counter; the rest of the tag differs.
    assert_eq!(tags.iter().filter(|tag| tag.major == 1).count(), 3);
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 3);
    // The greatest is r1's.
    assert_eq!(
        read_everywhere(&mut chart, &[0, 1, 2]),
        vec![Some("c".to_owned()); 3]
    );
}

#[test]
fn a_read_on_which_repliers_agree_ends_without_a_write_back() {
    let mut chart = chart("quorum:register", 3);
    chart.request(0, write("a"));
    chart.deliver_all();
    let id = chart.request(2, read());
    assert!(chart.deliver(2, 0) && chart.deliver(0, 2));
    assert_eq!(value(&chart, id).as_deref(), Some("a"));
    assert!(chart.under_way(2, 0).is_empty());
}

/// Leaves a write of "new" under way that only its coordinator r0 has stored.
fn half_written(mode: &str) -> Chart<Register> {
    let mut chart = chart(mode, 3);
    chart.request(0, write("old"));
    chart.deliver_all();
    chart.request(0, write("new"));
    if mode.contains("phases=1") {
        return chart;
    }
    assert!(chart.deliver(0, 1) && chart.deliver(1, 0));
    chart
}

#[test]
fn a_read_on_which_repliers_disagree_writes_back_before_it_ends() {
    let mut chart = half_written("quorum:register");
    chart.disconnect(0, 1);
    let id = chart.request(2, read());
    // r2 has "old" and hears "new" from r0: one of w = 2 has it.
    while chart.outcome(id).is_none() && chart.under_way(2, 1).len() < 2 {
        assert!(chart.deliver(2, 0) && chart.deliver(0, 2));
    }
    let back = &chart.under_way(2, 1)[1];
    assert!(matches!(back.parts[..], [Part::Store { .. }]), "{back:?}");
    // r2's own store made the second copy, so the read ended, and no later read sees "old".
    assert_eq!(value(&chart, id).as_deref(), Some("new"));
    chart.crash(0);
    let later = chart.request(1, read());
    chart.deliver_among(&[1, 2]);
    assert_eq!(value(&chart, later).as_deref(), Some("new"));
}

#[test]
fn repliers_that_agree_but_are_too_few_write_back_before_the_read_ends() {
    // With r = 2 of 5, other reads may ask two members that do not have the value.
    let mut chart = chart("quorum:register,r=2,w=4", 5);
    chart.request(0, write("new"));
    assert!(chart.deliver(0, 1) && chart.deliver(1, 0));
    // The store has come to r0 and r1, and to nobody else.
    assert!(chart.deliver(0, 1) && chart.deliver(1, 0));
    let id = chart.request(1, read());
    while chart.deliver(1, 0) || chart.deliver(0, 1) {}
    assert_eq!(
        chart.outcome(id),
        None,
        "r0 and r1 agree, and r2 to r4 know nothing"
    );
    chart.disconnect(0, 2);
    chart.disconnect(0, 3);
    chart.deliver_among(&[1, 2, 3]);
    assert_eq!(value(&chart, id).as_deref(), Some("new"));
    let later = chart.request(3, read());
    chart.deliver_among(&[1, 2, 3, 4]);
    assert_eq!(value(&chart, later).as_deref(), Some("new"));
}

#[test]
fn a_write_back_waits_until_a_write_quorum_has_the_value_safe() {
    let mut chart = half_written("quorum:register,w=3");
    chart.hold_disk(2);
    let id = chart.request(2, read());
    chart.deliver_all();
    assert_eq!(chart.outcome(id), None, "r2 has not made it safe");
    chart.sync(2);
    assert_eq!(value(&chart, id).as_deref(), Some("new"));
}

#[test]
fn with_one_phase_a_lagging_clock_loses_an_acknowledged_write() {
    let mut chart = chart("quorum:register,phases=1", 3);
    chart.set_clock_ahead(0, Duration::from_secs(5));
    // r0 writes at itself and r2 (w = 2); the store to r1 is still under way.
    let first = chart.request(0, write("first"));
    assert!(chart.deliver(0, 2) && chart.deliver(2, 0));
    let first = written(&chart, first);
    // After that r1, 5 s behind, writes at itself and r2, and is acknowledged.
    let second = chart.request(1, write("second"));
    assert!(chart.deliver(1, 2) && chart.deliver(2, 1));
    assert!(written(&chart, second) < first);
    chart.deliver_all();
    assert_eq!(
        read_everywhere(&mut chart, &[0, 1, 2]),
        vec![Some("first".to_owned()); 3]
    );
}

#[test]
fn with_two_phases_the_same_clocks_lose_nothing() {
    let mut chart = chart("quorum:register", 3);
    chart.set_clock_ahead(0, Duration::from_secs(5));
    let first = chart.request(0, write("first"));
    for _ in 0..2 {
        assert!(chart.deliver(0, 2) && chart.deliver(2, 0));
    }
    let first = written(&chart, first);
    let second = chart.request(1, write("second"));
    for _ in 0..2 {
        assert!(chart.deliver(1, 2) && chart.deliver(2, 1));
    }
    assert!(written(&chart, second) > first);
    chart.deliver_all();
    assert_eq!(
        read_everywhere(&mut chart, &[0, 1, 2]),
        vec![Some("second".to_owned()); 3]
    );
}

#[test]
fn with_one_phase_a_read_may_see_a_value_that_the_next_read_does_not() {
    let mut chart = half_written("quorum:register,phases=1");
    // r0 has "new" safe. Its store reaches r2, whose disk is slow, and not yet r1.
    chart.hold_disk(2);
    let id = chart.request(2, read());
    assert!(chart.deliver(2, 0));
    while chart.deliver(0, 2) {}
    assert_eq!(value(&chart, id).as_deref(), Some("new"));
    let next = chart.request(1, read());
    chart.deliver_among(&[1, 2]);
    assert_eq!(value(&chart, next).as_deref(), Some("old"));
}

#[test]
fn a_stalled_replica_outside_the_quorum_does_not_matter() {
    let mut chart = chart("quorum:register", 3);
    let id = chart.request(0, write("a"));
    chart.deliver_among(&[0, 1]);
    written(&chart, id);
    assert_eq!(
        read_everywhere(&mut chart, &[0, 1]),
        vec![Some("a".to_owned()); 2]
    );
    assert!(!chart.under_way(0, 2).is_empty());
}

#[test]
fn a_request_lost_with_its_connection_is_sent_again_with_the_next() {
    let mut chart = chart("quorum:register,w=3", 3);
    let id = chart.request(0, write("a"));
    chart.disconnect(0, 2);
    chart.deliver_all();
    assert_eq!(chart.outcome(id), None);
    chart.connect(0, 2);
    chart.deliver_all();
    written(&chart, id);
}

#[test]
fn an_operation_without_a_quorum_ends_unknown_when_patience_ends() {
    let mut chart = chart("quorum:register", 3);
    chart.disconnect(0, 1);
    chart.disconnect(0, 2);
    let id = chart.request(0, write("a"));
    chart.advance(coordinator::PATIENCE - Duration::from_millis(1));
    assert_eq!(chart.outcome(id), None);
    let later = chart.request(0, write("b"));
    chart.advance(Duration::from_millis(1));
    assert_eq!(
        chart.outcome(id),
        Some(&Outcome::Unknown(ErrorKind::TimedOut))
    );
    assert_eq!(chart.outcome(later), None);
    chart.advance(coordinator::PATIENCE);
    assert!(chart.outcome(later).is_some());
    assert_eq!(chart.replica(0).operations_under_way(), 0);
}

#[test]
fn more_operations_than_the_bound_are_refused_as_overloaded() {
    let mut chart = chart("quorum:register", 3);
    for _ in 0..coordinator::UNDER_WAY_MAX {
        chart.request(0, read());
    }
    assert!(chart.replies.is_empty());
    let id = chart.request(0, read());
    assert_eq!(
        chart.outcome(id),
        Some(&Outcome::Fail(ErrorKind::Overloaded))
    );
}

#[test]
fn a_repetition_of_an_operation_under_way_starts_nothing() {
    let mut chart = chart("quorum:register", 3);
    let id = chart.request(0, write("a"));
    chart.repeat(0, id, write("a"));
    assert_eq!(chart.replica(0).operations_under_way(), 1);
    chart.deliver_all();
    written(&chart, id);
}

#[test]
fn conditional_operations_are_not_supported() {
    let mut chart = chart("quorum:register", 3);
    let id = chart.request(
        0,
        Operation::Add {
            key: KEY,
            amount: 1,
        },
    );
    assert_eq!(
        chart.outcome(id),
        Some(&Outcome::Fail(ErrorKind::NotSupported))
    );
}

#[test]
fn a_store_is_acknowledged_only_when_it_is_safe() {
    let mut chart = chart("quorum:register", 3);
    for index in [0, 2] {
        chart.hold_disk(index);
    }
    let id = chart.request(0, write("a"));
    chart.deliver_all();
    assert_eq!(chart.outcome(id), None, "r1 alone has it safe");
    chart.sync(0);
    written(&chart, id);
}

#[test]
fn a_restart_from_storage_keeps_what_was_acknowledged() {
    let mut chart = chart("quorum:register", 3);
    let id = chart.request(0, write("a"));
    chart.deliver_among(&[0, 1]);
    let before = written(&chart, id);
    chart.crash(0);
    chart.crash(1);
    chart.restart(0);
    chart.restart(1);
    assert!(chart.replica(0).counts());
    assert_eq!(
        read_everywhere(&mut chart, &[0, 1]),
        vec![Some("a".to_owned()); 2]
    );
    let next = chart.request(0, write("b"));
    chart.deliver_all();
    assert!(written(&chart, next) > before);
}

#[test]
fn a_member_that_lost_its_storage_counts_only_when_caught_up() {
    let mut chart = chart("quorum:register", 3);
    let id = chart.request(0, write("a"));
    chart.deliver_among(&[0, 1]);
    written(&chart, id);
    // r2 has nothing; r1 loses all. A read by r1 and r2 alone would miss the write.
    chart.crash(1);
    chart.restart_empty(1);
    let early = chart.request(2, read());
    chart.deliver_among(&[1, 2]);
    assert!(!chart.replica(1).counts());
    assert_eq!(chart.outcome(early), None);
    // n - w + 1 = 2 others are needed, so r0 must be read as well.
    chart.deliver_among(&[0, 1]);
    assert!(chart.replica(1).counts());
    chart.deliver_among(&[1, 2]);
    assert_eq!(value(&chart, early).as_deref(), Some("a"));
}

#[test]
fn a_member_that_crashes_while_it_is_caught_up_is_caught_up_again() {
    let mut chart = chart("quorum:register", 3);
    chart.request(0, write("a"));
    chart.deliver_among(&[0, 1]);
    chart.crash(1);
    chart.restart_empty(1);
    chart.deliver_among(&[1, 2]);
    chart.crash(1);
    chart.restart(1);
    assert!(!chart.replica(1).counts(), "its storage says so");
    chart.deliver_all();
    assert!(chart.replica(1).counts());
    chart.crash(1);
    chart.restart(1);
    assert!(chart.replica(1).counts());
}

#[test]
fn an_acknowledgement_of_an_earlier_life_completes_no_quorum() {
    let mut chart = chart("quorum:register,w=3", 3);
    chart.disconnect(0, 2);
    let id = chart.request(0, write("a"));
    chart.deliver_all();
    chart.crash(1);
    chart.connect(0, 2);
    chart.deliver_all();
    // r0, r2 and the r1 of before would be three.
    assert_eq!(chart.outcome(id), None);
    chart.restart_empty(1);
    chart.deliver_all();
    written(&chart, id);
}

#[test]
fn a_transfer_of_many_entries_takes_several_bounded_messages() {
    let mut chart = chart("quorum:register,phases=1", 2);
    for key in 0..40 {
        let value = Bytes::from(vec![0; 20_000]);
        chart.request(
            0,
            Operation::Write {
                key: Key(key),
                value,
            },
        );
        chart.deliver_all();
    }
    chart.crash(1);
    chart.restart_empty(1);
    let mut chunks = 0;
    while chart.deliver(1, 0) {
        for message in chart.under_way(0, 1) {
            for part in &message.parts {
                // 256 KiB and at most one entry more.
                assert!(part.size() < (256 << 10) + 20_100);
                chunks += 1;
            }
        }
        chart.deliver(0, 1);
    }
    // A chunk ends with the entry that reaches 256 KiB, the 14th of 20 kB: 40 are 14 + 14 + 12.
    assert_eq!(chunks, 3);
    assert!(chart.replica(1).counts());
}

#[test]
fn quorums_default_to_majorities_of_n() {
    let mode = parse("quorum:register,n=4").unwrap();
    assert_eq!(
        mode.quorums,
        Quorums {
            members: 4,
            read: 3,
            write: 3
        }
    );
    let rounds = |mode: &Register, kind| mode.path(kind, &topology(5)).map(|path| path.rounds);
    let round = Round {
        acknowledgements: 3,
        among: 4,
    };
    assert_eq!(rounds(&mode, OperationKind::Write), Some(vec![round; 2]));
    assert_eq!(rounds(&mode, OperationKind::Read), Some(vec![round]));
    assert_eq!(rounds(&mode, OperationKind::Add), None);
    let single = parse("quorum:register,n=4,phases=1").unwrap();
    assert_eq!(rounds(&single, OperationKind::Write), Some(vec![round]));
}

#[test]
fn unfit_parameters_are_refused() {
    for mode in [
        "quorum:register,n=6",
        "quorum:register,n=0",
        "quorum:register,n=3,r=4",
        "quorum:register,w=0",
        "quorum:register,phases=3",
        "quorum:register,x=1",
        "quorum:register=2",
    ] {
        assert!(parse(mode).is_err(), "{mode}");
    }
}

//! Eventual replication as sequence charts.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::{
    ErrorKind, Key, ModeSpec, Operation, OperationId, OperationKind, OperationResult, Outcome,
    ReplicaId, Version,
};
use proptest::prelude::*;

use super::chart::{Chart, topology};
use super::*;

const KEY: Key = Key(7);

/// Longer than any state settles with 20 ms round trips, and longer than the interval.
const A_WHILE: Duration = Duration::from_millis(1_500);

fn chart(count: usize) -> Chart<Eventual> {
    Chart::new("eventual:lww", count)
}

fn write_to(key: u64, text: &str) -> Operation {
    Operation::Write {
        key: Key(key),
        value: Bytes::copy_from_slice(text.as_bytes()),
    }
}

fn write(text: &str) -> Operation {
    write_to(KEY.0, text)
}

fn version(chart: &Chart<Eventual>, id: OperationId) -> Version {
    match chart.outcome(id) {
        Some(Outcome::Ok(result)) => result.version(),
        other => panic!("{id} should have succeeded: {other:?}"),
    }
}

fn value_at(chart: &mut Chart<Eventual>, index: usize, key: Key) -> Option<String> {
    let id = chart.request(index, Operation::Read { key });
    match chart.outcome(id) {
        Some(Outcome::Ok(OperationResult::Read { value, .. })) => value
            .as_ref()
            .map(|value| String::from_utf8(value.to_vec()).unwrap()),
        other => panic!("a read is answered at once: {other:?}"),
    }
}

fn states(chart: &Chart<Eventual>, index: usize) -> BTreeMap<Key, Written> {
    let states = chart.replica(index).states();
    states.map(|(key, state)| (key, state.clone())).collect()
}

fn are_equal(chart: &Chart<Eventual>, count: usize) -> bool {
    (1..count).all(|index| states(chart, index) == states(chart, 0))
}

fn parse(mode: &str) -> Result<Eventual, ModeError> {
    let spec: ModeSpec = mode.parse().unwrap();
    Eventual::parse(&spec, &topology(3))
}

#[test]
fn a_write_is_acknowledged_before_it_is_replicated() {
    let mut chart = chart(3);
    let id = chart.request(0, write("a"));
    let version = version(&chart, id);
    assert_eq!(chart.applied, vec![(ReplicaId(0), KEY, version)]);
    assert_eq!(value_at(&mut chart, 1, KEY), None);
    chart.deliver_all();
    assert_eq!(chart.applied.len(), 3);
    assert_eq!(value_at(&mut chart, 2, KEY).as_deref(), Some("a"));
}

#[test]
fn a_write_is_acknowledged_when_it_is_safe_and_visible_before() {
    let mut chart = chart(2);
    chart.hold_disk(0);
    let id = chart.request(0, write("a"));
    assert_eq!(chart.outcome(id), None);
    assert_eq!(value_at(&mut chart, 0, KEY).as_deref(), Some("a"));
    chart.sync(0);
    version(&chart, id);
}

#[test]
fn replication_is_acknowledged_when_it_is_safe_at_the_receiver() {
    let mut chart = chart(2);
    chart.hold_disk(1);
    chart.request(0, write("a"));
    chart.request(0, write("b"));
    assert!(chart.deliver(0, 1) && chart.deliver(0, 1));
    assert!(chart.under_way(1, 0).is_empty());
    chart.sync(1);
    let acknowledged = chart.under_way(1, 0);
    assert_eq!(
        acknowledged.last(),
        Some(&Message::Acknowledge { through: 1 })
    );
}

#[test]
fn a_batch_of_writes_is_one_message_per_peer_until_it_is_too_large() {
    let mut chart = chart(3);
    chart.request_batch(0, (0..100).map(|key| write_to(key, "a")));
    for peer in [1, 2] {
        let sent = chart.under_way(0, peer);
        assert!(matches!(
            &sent[..],
            [Message::Replicate { entries, .. }] if entries.len() == 100
        ));
    }
    chart.deliver_all();
    let big = "x".repeat(100_000);
    chart.request_batch(0, (0..6).map(|key| write_to(key, &big)));
    // The third of 100 kB reaches 256 KiB, so six are two messages.
    assert_eq!(chart.under_way(0, 1).len(), 2);
}

#[test]
fn replication_seen_before_is_acknowledged_without_storage() {
    let mut chart = chart(2);
    chart.request(0, write("a"));
    assert!(chart.deliver(0, 1));
    // The acknowledgement is lost, so the key is a hint and is sent again.
    chart.disconnect(0, 1);
    assert_eq!(chart.replica(0).hints(ReplicaId(1)), 1);
    chart.connect(0, 1);
    assert_eq!(chart.replica(0).hints(ReplicaId(1)), 0);
    chart.hold_disk(1);
    chart.deliver_all();
    chart.disconnect(0, 1);
    assert_eq!(chart.replica(0).hints(ReplicaId(1)), 0);
}

#[test]
fn concurrent_writes_on_both_sides_of_a_cut_converge_by_hints_alone() {
    let mut chart = chart(3);
    chart.disconnect(0, 2);
    chart.disconnect(1, 2);
    let older = chart.request(0, write("older"));
    chart.advance(Duration::from_millis(1));
    let newer = chart.request(2, write("newer"));
    chart.request(1, write_to(1, "b"));
    chart.request(2, write_to(2, "c"));
    chart.deliver_all();
    assert!(version(&chart, older) < version(&chart, newer));
    assert_eq!(value_at(&mut chart, 1, KEY).as_deref(), Some("older"));
    chart.connect(0, 2);
    chart.connect(1, 2);
    chart.deliver_all();
    assert!(are_equal(&chart, 3));
    assert_eq!(states(&chart, 0).len(), 3);
    assert_eq!(value_at(&mut chart, 0, KEY).as_deref(), Some("newer"));
}

#[test]
fn a_key_written_many_times_while_a_peer_is_away_is_one_hint() {
    let mut chart = chart(2);
    chart.disconnect(0, 1);
    for text in ["a", "b", "c"] {
        chart.request(0, write(text));
    }
    assert_eq!(chart.replica(0).hints(ReplicaId(1)), 1);
    chart.connect(0, 1);
    let sent = chart.under_way(0, 1);
    assert!(matches!(
        &sent[..],
        [Message::Replicate { entries, .. }] if entries.len() == 1
    ));
}

#[test]
fn what_hints_do_not_cover_is_repaired_by_anti_entropy_alone() {
    let mut chart = chart(2);
    chart.disconnect(0, 1);
    let keys = outgoing::HINTS_MAX as u64 + 1;
    chart.request_batch(0, (0..keys).map(|key| write_to(key, "a")));
    chart.request(1, write_to(keys, "b"));
    chart.request(1, write_to(0, "c"));
    assert_eq!(chart.replica(0).hints(ReplicaId(1)), 0);
    assert_eq!(chart.replica(0).hints_discarded(), keys);
    chart.connect(0, 1);
    chart.deliver_all();
    assert!(!are_equal(&chart, 2));
    // One interval: rounds follow each other while much differs.
    chart.advance(A_WHILE);
    chart.deliver_all();
    // What changed by hints just before that was left to settle.
    chart.advance(A_WHILE);
    chart.deliver_all();
    assert!(are_equal(&chart, 2));
    assert_eq!(states(&chart, 0).len() as u64, keys + 1);
}

#[test]
fn messages_of_anti_entropy_are_bounded() {
    let mut chart = chart(2);
    chart.disconnect(0, 1);
    let keys = outgoing::HINTS_MAX as u64 + 1;
    chart.request_batch(0, (0..keys).map(|key| write_to(key, "0123456789abcdef")));
    chart.connect(0, 1);
    chart.advance(A_WHILE);
    let mut repairs = 0;
    while chart.deliver(0, 1) | chart.deliver(1, 0) {
        for (from, to) in [(0, 1), (1, 0)] {
            for message in chart.under_way(from, to) {
                let size = postcard::to_stdvec(&message).unwrap().len();
                // 256 KiB, and the last entry may pass it.
                assert!(size <= (256 << 10) + 64, "{size} bytes");
                repairs += usize::from(matches!(message, Message::Repair { .. }));
            }
        }
    }
    assert!(repairs >= 8, "65 537 keys at 8192 a round: {repairs}");
    assert!(are_equal(&chart, 2));
}

#[test]
fn replicas_that_agree_exchange_three_small_messages_an_interval() {
    let mut chart = chart(2);
    chart.request_batch(0, (0..1_000).map(|key| write_to(key, "a")));
    chart.deliver_all();
    chart.advance(Duration::from_secs(1));
    assert_eq!(chart.under_way(1, 0), Vec::new(), "r0 begins");
    assert!(chart.deliver(0, 1));
    assert_eq!(
        chart.under_way(1, 0),
        vec![Message::List {
            buckets: Vec::new(),
            more: false
        }]
    );
    assert!(chart.deliver(1, 0));
    assert_eq!(
        chart.under_way(0, 1),
        vec![Message::Want {
            keys: Vec::new(),
            again: false
        }]
    );
}

#[test]
fn anti_entropy_leaves_what_just_changed_to_replication() {
    let mut chart = chart(2);
    // The interval of 1 s ends 100 ms after the write, and its replication is still under way.
    chart.advance(Duration::from_millis(900));
    chart.request(0, write("a"));
    chart.advance(Duration::from_millis(100));
    assert!(chart.deliver(0, 1), "the replication");
    assert!(chart.deliver(0, 1), "the digests");
    chart.request(1, write_to(8, "b"));
    assert!(chart.deliver(1, 0), "the acknowledgement");
    while chart.deliver(1, 0) {}
    let repairs = chart.under_way(0, 1);
    assert!(
        repairs
            .iter()
            .all(|message| !matches!(message, Message::Repair { .. })),
        "{repairs:?}"
    );
}

#[test]
fn versions_increase_along_causality_whatever_the_wall_clocks_say() {
    let mut chart = chart(2);
    chart.set_clock_ahead(0, Duration::from_secs(3_600));
    let ahead = chart.request(0, write("ahead"));
    chart.deliver_all();
    // r1, an hour behind, has seen r0's write and must write after it.
    let after = chart.request(1, write("after"));
    chart.deliver_all();
    assert!(version(&chart, after) > version(&chart, ahead));
    assert_eq!(value_at(&mut chart, 0, KEY).as_deref(), Some("after"));
}

#[test]
fn of_two_writes_that_do_not_know_of_each_other_the_clock_that_is_ahead_wins() {
    let mut chart = chart(2);
    chart.set_clock_ahead(0, Duration::from_secs(1));
    chart.request(0, write("ahead"));
    chart.advance(Duration::from_millis(500));
    // Later by half a second in true time, and lost.
    chart.request(1, write("later"));
    chart.deliver_all();
    assert!(are_equal(&chart, 2));
    assert_eq!(value_at(&mut chart, 1, KEY).as_deref(), Some("ahead"));
}

#[test]
fn a_restart_from_storage_keeps_writes_versions_and_what_others_sent() {
    let mut chart = chart(2);
    chart.set_clock_ahead(0, Duration::from_secs(5));
    let first = chart.request(0, write("a"));
    chart.request(1, write_to(1, "b"));
    chart.deliver_all();
    let before = states(&chart, 0);
    chart.crash(0);
    chart.set_clock_ahead(0, Duration::ZERO);
    chart.restart(0);
    assert_eq!(states(&chart, 0), before);
    let second = chart.request(0, write("c"));
    assert!(version(&chart, second) > version(&chart, first));
}

#[test]
fn a_write_that_was_safe_but_not_replicated_reaches_the_others_after_a_restart() {
    let mut chart = chart(2);
    let id = chart.request(0, write("a"));
    version(&chart, id);
    chart.crash(0);
    chart.restart(0);
    // Its hints died with it: anti-entropy finds the key.
    chart.advance(A_WHILE);
    chart.deliver_all();
    chart.advance(A_WHILE);
    chart.deliver_all();
    assert_eq!(value_at(&mut chart, 1, KEY).as_deref(), Some("a"));
}

#[test]
fn a_replica_that_lost_its_storage_is_refilled_and_repeats_no_version() {
    let mut chart = chart(3);
    chart.request_batch(0, (0..20_000).map(|key| write_to(key, "a")));
    let last = chart.request(0, write("last"));
    chart.deliver_all();
    chart.crash(0);
    chart.restart_empty(0);
    assert_eq!(value_at(&mut chart, 0, KEY), None);
    let reborn = chart.request(0, write_to(99_999, "b"));
    assert_ne!(version(&chart, reborn).minor, version(&chart, last).minor);
    chart.advance(A_WHILE);
    chart.deliver_all();
    chart.advance(A_WHILE);
    chart.deliver_all();
    assert!(are_equal(&chart, 3));
    assert_eq!(states(&chart, 0).len(), 20_001);
}

#[test]
fn a_checkpoint_replaces_the_records_when_they_outgrow_it() {
    let mut chart = chart(1);
    // 20 MB in records of 1 MB, of one key: a checkpoint after 16 MiB, then more records.
    let big = "x".repeat(1_000_000);
    for _ in 0..20 {
        chart.request(0, write(&big));
    }
    let before = states(&chart, 0);
    chart.crash(0);
    chart.restart(0);
    assert_eq!(states(&chart, 0), before);
    // 17 records pass 16 MiB = 16.8 MB, and the 17th is the checkpoint: 3 follow it.
    assert_eq!(chart.records(0), 3);
}

#[test]
fn conditional_operations_are_not_supported() {
    let mut chart = chart(1);
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
fn operations_ask_the_nearest_replica_alone() {
    let mode = parse("eventual:lww").unwrap();
    let path = Path {
        contact: Contact::Nearest,
        rounds: Vec::new(),
    };
    for kind in OperationKind::ALL {
        let supported = matches!(kind, OperationKind::Read | OperationKind::Write);
        assert_eq!(
            mode.path(kind, &topology(3)),
            supported.then(|| path.clone())
        );
    }
}

#[test]
fn the_interval_defaults_to_a_second_or_four_round_trips() {
    // 4 x 20 ms are less than 1 s.
    assert_eq!(
        parse("eventual:lww").unwrap().interval,
        Duration::from_secs(1)
    );
    assert_eq!(
        parse("eventual:lww,interval=50").unwrap().interval,
        Duration::from_millis(50)
    );
}

#[test]
fn unfit_parameters_are_refused() {
    for mode in [
        "eventual:lww,interval=9",
        "eventual:lww,interval=soon",
        "eventual:lww,interval",
        "eventual:lww,w=2",
        "eventual:lww=1",
    ] {
        assert!(parse(mode).is_err(), "{mode}");
    }
}

/// One thing that happens in a random run among three replicas.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write { at: usize, key: u64 },
    Deliver { from: usize, to: usize },
    Cut { a: usize, b: usize },
    Heal { a: usize, b: usize },
    Advance { ms: u64 },
    Crash { index: usize, keep: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let replica = 0..3_usize;
    let pair = (0..3_usize, 1..3_usize).prop_map(|(a, offset)| (a, (a + offset) % 3));
    prop_oneof![
        6 => (replica.clone(), 0..8_u64).prop_map(|(at, key)| Step::Write { at, key }),
        8 => pair.clone().prop_map(|(from, to)| Step::Deliver { from, to }),
        1 => pair.clone().prop_map(|(a, b)| Step::Cut { a, b }),
        1 => pair.prop_map(|(a, b)| Step::Heal { a, b }),
        1 => (1..800_u64).prop_map(|ms| Step::Advance { ms }),
        1 => (replica, any::<bool>()).prop_map(|(index, keep)| Step::Crash { index, keep }),
    ]
}

fn run(chart: &mut Chart<Eventual>, step: Step) {
    match step {
        Step::Write { at, key } => {
            chart.request(at, write_to(key, "x"));
        }
        Step::Deliver { from, to } => {
            chart.deliver(from, to);
        }
        Step::Cut { a, b } => chart.disconnect(a, b),
        Step::Heal { a, b } => chart.connect(a, b),
        Step::Advance { ms } => chart.advance(Duration::from_millis(ms)),
        Step::Crash { index, keep } => {
            chart.crash(index);
            if keep {
                chart.restart(index);
            } else {
                chart.restart_empty(index);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_cut_lost_and_crashed_all_replicas_are_equal_after_it_heals(
        steps in proptest::collection::vec(step(), 1..120),
        ahead in proptest::array::uniform3(0..2_000_u64),
    ) {
        let mut chart = chart(3);
        for (index, ms) in ahead.into_iter().enumerate() {
            chart.set_clock_ahead(index, Duration::from_millis(ms));
        }
        for step in steps {
            run(&mut chart, step);
        }
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            chart.connect(a, b);
        }
        chart.deliver_all();
        // A repair by one pair may have to be repaired on by the next.
        for _ in 0..3 {
            chart.advance(A_WHILE);
            chart.deliver_all();
        }
        prop_assert!(are_equal(&chart, 3));
        let mut versions: Vec<Version> = chart
            .replies
            .iter()
            .filter_map(|(_, outcome)| match outcome {
                Outcome::Ok(result) => Some(result.version()),
                _ => None,
            })
            .collect();
        let count = versions.len();
        versions.sort_unstable();
        versions.dedup();
        prop_assert_eq!(versions.len(), count, "no two writes share a version");
    }
}

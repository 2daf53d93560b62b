//! Sessions that get what they were promised, and sessions that do not.

use longhaul_analysis::checkers::{Guarantee, Verdict, session_guarantee};

use longhaul_experiment::{Operation, OperationResult};

use crate::histories::{History, history, id, reason, version, violation};

const SESSION: [Guarantee; 4] = [
    Guarantee::ReadYourWrites,
    Guarantee::MonotonicReads,
    Guarantee::MonotonicWrites,
    Guarantee::WritesFollowReads,
];

/// Checks that a history breaks exactly this one of the four, with this witness.
fn breaks_only(broken: Guarantee, history: &History, witness: [(u32, u64); 2]) -> String {
    for guarantee in SESSION {
        let verdict = session_guarantee(guarantee, &history.records);
        if guarantee != broken {
            assert_eq!(verdict, Verdict::Holds, "{guarantee}");
        }
    }
    let violation = violation(session_guarantee(broken, &history.records));
    assert_eq!(violation.guarantee, broken);
    let witness = witness.map(|(client, sequence)| id(client, sequence));
    assert_eq!(violation.operations, witness);
    violation.explanation
}

fn keeps_all(history: &History) {
    for guarantee in SESSION {
        let verdict = session_guarantee(guarantee, &history.records);
        assert_eq!(verdict, Verdict::Holds, "{guarantee}");
    }
}

#[test]
fn a_session_that_hears_ever_later_versions_keeps_all_four() {
    keeps_all(
        &history()
            .read(1, None, 0..5)
            .version(0)
            .write(1, "a", 10..20)
            .version(1)
            .read(1, Some("a"), 30..40)
            .version(1)
            .read(1, Some("b"), 50..60)
            .version(5)
            .write(1, "c", 70..80)
            .version(6),
    );
    keeps_all(&history());
}

#[test]
fn a_read_that_misses_the_sessions_own_write_breaks_read_your_writes() {
    let explanation = breaks_only(
        Guarantee::ReadYourWrites,
        &history()
            .write(1, "a", 0..10)
            .version(5)
            .read(1, Some("old"), 20..30)
            .version(4),
        [(1, 0), (1, 1)],
    );
    assert_eq!(
        explanation,
        "key 7: c1.1 (read that returned \"old\", 20.000 ms to 30.000 ms) heard version 4.0, \
         although before it was sent c1.0 (write of \"a\", 0.000 ms to 10.000 ms) had heard a later \
         version, 5.0."
    );
}

#[test]
fn a_read_at_the_instant_at_which_the_write_ended_must_see_it() {
    breaks_only(
        Guarantee::ReadYourWrites,
        &history()
            .write(1, "a", 0..10)
            .version(5)
            .read(1, None, 10..20)
            .version(0),
        [(1, 0), (1, 1)],
    );
}

#[test]
fn a_read_that_goes_back_breaks_monotonic_reads() {
    breaks_only(
        Guarantee::MonotonicReads,
        &history()
            .read(1, Some("a"), 0..10)
            .version(3)
            .read(1, Some("b"), 20..30)
            .version(9)
            .read(1, Some("a"), 40..50)
            .version(3),
        [(1, 1), (1, 2)],
    );
}

#[test]
fn one_version_of_two_values_breaks_monotonic_reads() {
    breaks_only(
        Guarantee::MonotonicReads,
        &history()
            .read(1, Some("a"), 0..10)
            .version(3)
            .read(1, Some("b"), 20..30)
            .version(3),
        [(1, 0), (1, 1)],
    );
}

#[test]
fn a_later_write_with_an_earlier_version_breaks_monotonic_writes() {
    for later in [4, 5] {
        breaks_only(
            Guarantee::MonotonicWrites,
            &history()
                .write(1, "a", 0..10)
                .version(5)
                .write(1, "b", 20..30)
                .version(later),
            [(1, 0), (1, 1)],
        );
    }
}

#[test]
fn a_write_ordered_before_what_the_session_had_read_breaks_writes_follow_reads() {
    breaks_only(
        Guarantee::WritesFollowReads,
        &history()
            .read(1, Some("a"), 0..10)
            .version(5)
            .write(1, "b", 20..30)
            .version(4),
        [(1, 0), (1, 1)],
    );
}

#[test]
fn a_compare_and_set_is_a_write_when_it_swaps_and_a_read_when_not() {
    breaks_only(
        Guarantee::MonotonicWrites,
        &history()
            .write(1, "a", 0..10)
            .version(5)
            .swap(1, (Some("a"), "b"), true, 20..30)
            .version(4),
        [(1, 0), (1, 1)],
    );
    breaks_only(
        Guarantee::ReadYourWrites,
        &history()
            .write(1, "a", 0..10)
            .version(5)
            .swap(1, (Some("x"), "b"), false, 20..30)
            .version(4),
        [(1, 0), (1, 1)],
    );
}

#[test]
fn sessions_and_keys_are_judged_apart() {
    keeps_all(
        &history()
            .write(1, "a", 0..10)
            .version(5)
            .read(2, None, 20..30)
            .version(0)
            .on(8)
            .read(1, None, 20..30)
            .version(0),
    );
}

#[test]
fn what_a_session_pipelines_is_not_ordered() {
    keeps_all(
        &history()
            .write(1, "a", 0..50)
            .version(5)
            .read(1, None, 10..20)
            .version(0)
            .write(1, "b", 30..60)
            .version(4),
    );
}

#[test]
fn the_newest_version_counts_though_an_older_one_was_heard_later() {
    // Both writes were under way at once; the read follows both and must see the newer.
    breaks_only(
        Guarantee::ReadYourWrites,
        &history()
            .write(1, "a", 0..20)
            .version(9)
            .write(1, "b", 5..30)
            .version(8)
            .read(1, Some("b"), 40..50)
            .version(8),
        [(1, 0), (1, 2)],
    );
}

#[test]
fn operations_without_success_promise_nothing() {
    let history = history();
    let (a, b) = (history.writing("a"), history.writing("b"));
    keeps_all(
        &history
            .unknown(1, a, 0..10)
            .failed(1, b.clone(), 20..30)
            .pending(1, b, 40)
            .read(1, None, 50..60)
            .version(0),
    );
}

#[test]
fn without_versions_there_is_no_verdict() {
    let history = history().write(1, "a", 0..10).version(0);
    for guarantee in SESSION {
        let reason = reason(session_guarantee(guarantee, &history.records));
        assert!(reason.contains("without a version"), "{reason}");
    }
}

#[test]
fn a_guarantee_that_is_not_a_sessions_gets_no_verdict() {
    let reason = reason(session_guarantee(Guarantee::Convergence, &[]));
    assert_eq!(reason, "convergence is not a session guarantee");
}

#[test]
fn a_read_of_another_total_at_the_version_of_an_add_breaks_read_your_writes() {
    let add = || history().add(1, 3, 3, 0..10).version(5);
    let integer = |integer: i64| longhaul_experiment::operation::integer_bytes(integer);
    let read = |history: History, value: i64| {
        let result = OperationResult::Read {
            value: Some(integer(value)),
            version: version(5),
        };
        let key = history.key();
        history.ok(1, Operation::Read { key }, result, 20..30)
    };
    keeps_all(&read(add(), 3));
    let explanation = breaks_only(Guarantee::ReadYourWrites, &read(add(), 4), [(1, 0), (1, 1)]);
    assert!(explanation.contains("of the integer 3"), "{explanation}");
    // What a take left, and what it found when that was too little.
    let taken = |answer| history().take(1, 2, answer, 0..10).version(5);
    breaks_only(
        Guarantee::ReadYourWrites,
        &read(taken((true, 7)), 9),
        [(1, 0), (1, 1)],
    );
    breaks_only(
        Guarantee::MonotonicReads,
        &read(taken((false, 1)), 9),
        [(1, 0), (1, 1)],
    );
}

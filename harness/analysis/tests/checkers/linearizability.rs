//! Histories that are linearizable, and histories that are not.

use longhaul_analysis::checkers::{
    Guarantee, LinearizabilityOptions, Method, SameInstant, Verdict, Violation, linearizability,
};
use longhaul_experiment::{Operation, OperationRecord, Time};

use crate::histories::{History, KEY, history, id, reason, violation};

fn searching() -> LinearizabilityOptions {
    LinearizabilityOptions {
        method: Method::Search,
        ..LinearizabilityOptions::default()
    }
}

fn accept(history: &History) {
    for options in [LinearizabilityOptions::default(), searching()] {
        assert_eq!(
            linearizability(&history.records, options),
            Verdict::Holds,
            "{options:?}"
        );
    }
}

/// Rejected by either method; returns what zones say.
fn reject(history: &History) -> Violation {
    let searched = violation(linearizability(&history.records, searching()));
    let found = violation(linearizability(
        &history.records,
        LinearizabilityOptions::default(),
    ));
    for violation in [&searched, &found] {
        assert_eq!(violation.guarantee, Guarantee::Linearizability);
        assert!(!violation.operations.is_empty());
        assert!(violation.explanation.starts_with("key 7: "));
    }
    found
}

#[test]
fn a_sequential_history_is_linearizable() {
    accept(
        &history()
            .read(1, None, 0..5)
            .write(1, "a", 10..20)
            .read(2, Some("a"), 30..40)
            .write(2, "b", 50..60)
            .read(1, Some("b"), 70..80),
    );
}

#[test]
fn an_empty_history_is_linearizable() {
    accept(&history());
}

#[test]
fn concurrent_operations_may_take_effect_in_any_order() {
    accept(
        &history()
            .write(1, "a", 0..50)
            .write(2, "b", 10..60)
            .read(3, None, 5..15)
            .read(3, Some("b"), 20..25)
            .read(3, Some("a"), 30..70)
            .read(4, Some("a"), 65..80),
    );
}

#[test]
fn a_stale_read_is_rejected() {
    let stale = history()
        .write(1, "a", 0..10)
        .write(1, "b", 20..30)
        .read(2, Some("a"), 40..50);
    let violation = reject(&stale);
    assert_eq!(violation.operations, [id(1, 0), id(1, 1), id(2, 0)]);
    assert_eq!(
        violation.explanation,
        "key 7: \"a\" must come before \"b\", for c1.0 (write of \"a\", 0.000 ms to 10.000 ms) \
         ended before c1.1 (write of \"b\", 20.000 ms to 30.000 ms) began; but \"b\" must come \
         before \"a\", for c1.1 (write of \"b\", 20.000 ms to 30.000 ms) ended before c2.0 (read \
         that returned \"a\", 40.000 ms to 50.000 ms) began."
    );
}

#[test]
fn a_read_of_no_value_after_a_write_is_rejected() {
    let violation = reject(&history().write(1, "a", 0..10).read(2, None, 20..30));
    assert!(
        violation.explanation.contains("began without a value"),
        "{}",
        violation.explanation
    );
    assert_eq!(violation.operations, [id(1, 0), id(2, 0)]);
}

#[test]
fn a_new_old_inversion_is_rejected() {
    // Both reads are concurrent with the write of b, but the second follows the first.
    reject(
        &history()
            .write(1, "a", 0..10)
            .write(1, "b", 20..100)
            .read(2, Some("b"), 30..40)
            .read(3, Some("a"), 50..60),
    );
}

#[test]
fn readers_that_see_two_writes_in_different_orders_are_rejected() {
    reject(
        &history()
            .write(1, "a", 0..100)
            .write(2, "b", 0..100)
            .read(3, Some("a"), 10..20)
            .read(3, Some("b"), 30..40)
            .read(4, Some("b"), 12..22)
            .read(4, Some("a"), 32..42),
    );
}

#[test]
fn a_read_of_a_value_never_written_is_rejected() {
    let violation = reject(&history().write(1, "a", 0..10).read(2, Some("x"), 20..30));
    assert_eq!(violation.operations, [id(2, 0)]);
    assert!(violation.explanation.contains("never written"));
}

#[test]
fn a_read_of_what_a_failed_write_would_have_written_is_rejected_and_names_it() {
    let failed = history().failed(1, history().writing("a"), 0..10);
    let violation = reject(&failed.read(2, Some("a"), 20..30));
    assert_eq!(violation.operations, [id(2, 0), id(1, 0)]);
}

#[test]
fn a_read_from_the_future_is_rejected() {
    let violation = reject(&history().read(2, Some("a"), 0..10).write(1, "a", 20..30));
    assert_eq!(violation.operations, [id(2, 0), id(1, 0)]);
    assert!(violation.explanation.contains("ended before"));
}

#[test]
fn a_write_of_unknown_outcome_may_never_take_effect() {
    accept(
        &history()
            .write(1, "a", 0..10)
            .unknown(2, history().writing("b"), 20..30)
            .read(3, Some("a"), 40..50)
            .read(3, Some("a"), 5000..5010),
    );
}

#[test]
fn a_write_of_unknown_outcome_may_take_effect_long_after_its_client_gave_up() {
    accept(
        &history()
            .write(1, "a", 0..10)
            .unknown(2, history().writing("b"), 20..30)
            .pending(4, history().writing("c"), 25)
            .read(3, Some("a"), 40..50)
            .read(3, Some("b"), 5000..5010)
            .read(3, Some("c"), 6000..6010),
    );
}

#[test]
fn a_write_of_unknown_outcome_takes_effect_once() {
    reject(
        &history()
            .write(1, "a", 0..10)
            .unknown(2, history().writing("b"), 20..30)
            .read(3, Some("b"), 40..50)
            .write(1, "d", 60..70)
            .read(3, Some("b"), 80..90),
    );
}

#[test]
fn a_write_of_unknown_outcome_has_no_effect_before_it_was_sent() {
    reject(
        &history()
            .read(3, Some("b"), 0..10)
            .unknown(2, history().writing("b"), 20..30),
    );
}

#[test]
fn unknown_reads_and_operations_never_sent_say_nothing() {
    let mut history = history()
        .write(1, "a", 0..10)
        .unknown(2, Operation::Read { key: KEY }, 20..30)
        .pending(2, Operation::Read { key: KEY }, 40)
        .pending(3, history().writing("b"), 50);
    history.records[3].sent_at = None;
    accept(&history);
    // Its write was never sent, so its value is nobody's.
    reject(&history.read(1, Some("b"), 60..70));
}

#[test]
fn keys_are_judged_apart() {
    let two = history()
        .write(1, "a", 0..10)
        .on(8)
        .read(2, None, 20..30)
        .write(1, "b", 40..50);
    accept(&two);
    reject(&two.on(7).read(2, None, 60..70));
}

#[test]
fn an_end_and_a_beginning_at_one_instant_are_concurrent_unless_said_otherwise() {
    let touching = history().write(1, "a", 0..10).read(1, None, 10..20);
    accept(&touching);
    for method in [Method::Automatic, Method::Search] {
        let options = LinearizabilityOptions {
            method,
            same_instant: SameInstant::Ordered,
            ..LinearizabilityOptions::default()
        };
        violation(linearizability(&touching.records, options));
        let no_duration = history().write(1, "a", 10..10).read(2, Some("a"), 10..10);
        assert_eq!(
            linearizability(&no_duration.records, options),
            Verdict::Holds
        );
    }
}

#[test]
fn a_value_written_twice_is_judged_by_search() {
    let twice = history()
        .write(1, "a", 0..10)
        .write(1, "b", 20..30)
        .write(1, "a", 40..50);
    accept(&twice.clone().read(2, Some("a"), 60..70));
    reject(&twice.read(2, Some("b"), 60..70));
}

#[test]
fn two_compare_and_sets_from_one_value_are_a_lost_update() {
    reject(
        &history()
            .write(1, "a", 0..10)
            .swap(1, (Some("a"), "b"), true, 20..40)
            .swap(2, (Some("a"), "c"), true, 20..40),
    );
    accept(
        &history()
            .write(1, "a", 0..10)
            .swap(1, (Some("a"), "b"), true, 20..40)
            .swap(2, (Some("a"), "c"), false, 20..40)
            .read(2, Some("b"), 50..60),
    );
}

#[test]
fn a_compare_and_set_that_fails_must_have_found_another_value() {
    let alone =
        history()
            .swap(1, (None, "a"), true, 0..10)
            .swap(2, (Some("a"), "b"), false, 20..30);
    reject(&alone);
    // A write that nobody saw otherwise explains it.
    accept(
        &history()
            .swap(1, (None, "a"), true, 0..10)
            .unknown(3, history().writing("x"), 15..40)
            .swap(2, (Some("a"), "b"), false, 20..30),
    );
}

#[test]
fn sums_add_up_in_some_order_or_an_update_was_lost() {
    accept(
        &history()
            .add(1, 5, 8, 0..20)
            .add(2, 3, 3, 0..20)
            .add(1, -1, 7, 30..40),
    );
    reject(&history().add(1, 5, 5, 0..20).add(2, 3, 3, 0..20));
}

#[test]
fn an_add_of_unknown_outcome_counts_at_most_once() {
    let add = || Operation::Add {
        key: KEY,
        amount: 5,
    };
    for total in [1, 6] {
        accept(&history().unknown(1, add(), 0..10).add(2, 1, total, 20..30));
    }
    reject(&history().unknown(1, add(), 0..10).add(2, 1, 11, 20..30));
}

#[test]
fn stock_taken_twice_is_rejected() {
    let stock = history().add(1, 1, 1, 0..10);
    accept(
        &stock
            .clone()
            .take(1, 1, (true, 0), 20..40)
            .take(2, 1, (false, 0), 20..40),
    );
    reject(
        &stock
            .clone()
            .take(1, 1, (true, 0), 20..40)
            .take(2, 1, (true, 0), 20..40),
    );
    reject(&stock.take(2, 1, (false, 1), 20..40));
}

#[test]
fn the_search_names_the_operations_that_it_could_not_place() {
    let violation = violation(linearizability(
        &history()
            .add(1, 5, 5, 0..20)
            .add(2, 3, 8, 30..50)
            .add(3, 3, 9, 60..70)
            .records,
        LinearizabilityOptions::default(),
    ));
    assert_eq!(violation.operations, [id(3, 0), id(2, 0)]);
    assert!(violation.explanation.contains("the integer 8"));
}

#[test]
fn a_search_that_reaches_its_limit_does_not_tell() {
    let options = LinearizabilityOptions {
        step_limit: 20,
        ..LinearizabilityOptions::default()
    };
    // 12 concurrent adds whose totals have no order: many subsets to visit.
    let adds = (0..12).fold(history(), |history, client| {
        history.add(client, 1 << client, -1, 0..10)
    });
    let reason = reason(linearizability(&adds.records, options));
    assert!(reason.contains("within 20 steps"), "{reason}");
}

#[test]
fn unknown_operations_do_not_make_the_search_explode() {
    // 200 unknown writes and 40 unknown adds, of which the totals need exactly 4; at the end a
    // total that none explains.
    let mut history = history();
    for client in 0..40 {
        let add = Operation::Add {
            key: KEY,
            amount: 1,
        };
        history = history.unknown(100 + client, add, 0..10);
    }
    let mut total = 0;
    for round in 0..200 {
        total += if round % 50 == 49 { 11 } else { 10 };
        let at = 20 + 10 * round;
        history = history.add(1, 10, total, at..at + 5);
    }
    accept(&history);
    let wrong = history.add(1, 10, total + 1000, 5000..5010);
    let options = LinearizabilityOptions {
        step_limit: 1_000_000,
        ..LinearizabilityOptions::default()
    };
    violation(linearizability(&wrong.records, options));

    let mut registers = crate::histories::history();
    for client in 0..200 {
        let write = registers.writing(&format!("unknown {client}"));
        registers = registers.unknown(100 + client, write, 0..10);
    }
    for round in 0..200 {
        let (value, at) = (format!("value {round}"), 20 + 10 * round);
        registers = registers
            .write(1, &value, at..at + 8)
            .read(2, Some(&value), at + 2..at + 9);
    }
    accept(&registers);
    reject(&registers.read(2, Some("value 7"), 5000..5010));
}

#[test]
fn a_record_that_contradicts_itself_gets_no_verdict() {
    type Break = fn(&mut OperationRecord);
    let breaks: [(Break, &str); 4] = [
        (|record| record.completed_at = None, "has no end"),
        (|record| record.sent_at = None, "never sent"),
        (
            |record| record.sent_at = Some(Time::from_millis(99)),
            "before it was sent",
        ),
        (
            |record| record.operation = Operation::Read { key: KEY },
            "another kind",
        ),
    ];
    for (break_it, what) in breaks {
        let mut history = history().write(1, "a", 0..10);
        break_it(&mut history.records[0]);
        let options = LinearizabilityOptions::default();
        let reason = reason(linearizability(&history.records, options));
        assert!(reason.contains(what), "{reason}");
    }
}

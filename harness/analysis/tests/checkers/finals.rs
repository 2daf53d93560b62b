//! What replicas hold once all is quiet.

use longhaul_analysis::checkers::{
    FinalRead, Guarantee, Verdict, acknowledged_writes_kept, convergence,
};
use longhaul_experiment::operation::integer_bytes;
use longhaul_experiment::workload::ValueMaker;
use longhaul_experiment::{Key, Operation, ReplicaId};

use crate::histories::{KEY, bytes, history, id, reason, version, violation};

fn holds(replica: u16, value: Option<&str>, number: u64) -> FinalRead {
    FinalRead {
        replica: ReplicaId(replica),
        key: KEY,
        value: value.map(bytes),
        version: version(number),
    }
}

fn on(key: u64, read: FinalRead) -> FinalRead {
    FinalRead {
        key: Key(key),
        ..read
    }
}

#[test]
fn replicas_that_hold_the_same_have_converged() {
    let finals = [
        holds(0, Some("a"), 3),
        holds(1, Some("a"), 3),
        on(8, holds(0, None, 0)),
        on(8, holds(1, None, 0)),
    ];
    assert_eq!(convergence(&finals), Verdict::Holds);
}

#[test]
fn replicas_that_hold_different_values_have_not_converged_and_the_writers_are_named() {
    let value = |client| FinalRead {
        value: Some(ValueMaker::new(16).value(id(client, 4))),
        ..holds(client as u16, None, 3)
    };
    let violation = violation(convergence(&[value(1), value(2)]));
    assert_eq!(violation.guarantee, Guarantee::Convergence);
    assert_eq!(violation.operations, [id(1, 4), id(2, 4)]);
    assert_eq!(
        violation.explanation,
        "key 7: once all was quiet, r1 holds the value of c1.4 under version 3.0 but r2 holds the \
         value of c2.4 under version 3.0."
    );
}

#[test]
fn a_replica_without_the_value_or_with_another_version_has_not_converged() {
    for other in [holds(1, None, 0), holds(1, Some("a"), 4)] {
        violation(convergence(&[holds(0, Some("a"), 3), other]));
    }
}

#[test]
fn what_was_not_read_everywhere_cannot_be_compared() {
    assert!(reason(convergence(&[])).contains("no final reads"));
    let finals = [
        holds(0, Some("a"), 3),
        holds(1, Some("a"), 3),
        on(8, holds(0, None, 0)),
    ];
    assert_eq!(reason(convergence(&finals)), "key 8 was not read at r1");
}

#[test]
fn acknowledged_writes_that_all_replicas_hold_are_kept() {
    let history = history()
        .write(1, "a", 0..10)
        .on(8)
        .swap(2, (None, "b"), true, 0..10)
        .swap(3, (None, "c"), false, 20..30)
        .on(9)
        .add(1, 5, 5, 0..10);
    let finals = [
        holds(0, Some("a"), 3),
        on(8, holds(0, Some("b"), 3)),
        FinalRead {
            value: Some(integer_bytes(5)),
            ..on(9, holds(0, None, 3))
        },
    ];
    assert_eq!(
        acknowledged_writes_kept(&history.records, &finals),
        Verdict::Holds
    );
}

#[test]
fn an_acknowledged_write_that_no_replica_holds_is_lost() {
    let history = history().write(1, "a", 0..10).on(8).write(1, "b", 20..30);
    let finals = [
        holds(0, None, 0),
        holds(1, None, 0),
        on(8, holds(0, None, 0)),
    ];
    let violation = violation(acknowledged_writes_kept(&history.records, &finals));
    assert_eq!(violation.guarantee, Guarantee::AcknowledgedWritesKept);
    assert_eq!(violation.operations, [id(1, 0), id(1, 1)]);
    assert_eq!(
        violation.explanation,
        "key 7: c1.0 (write of \"a\", 0.000 ms to 10.000 ms) was acknowledged, but once all was \
         quiet r0 holds no value: no replica has it any more. In all, 2 acknowledged writes are \
         lost."
    );
}

#[test]
fn an_acknowledged_write_that_one_replica_lacks_is_lost_there() {
    let history = history().write(1, "a", 0..10);
    let finals = [holds(0, Some("a"), 3), holds(1, Some("x"), 4)];
    let violation = violation(acknowledged_writes_kept(&history.records, &finals));
    assert!(violation.explanation.contains("only r0 still has it"));
}

#[test]
fn writes_that_were_not_acknowledged_may_be_lost() {
    let history = history();
    let (a, b) = (history.writing("a"), history.writing("b"));
    let history = history.unknown(1, a, 0..10).on(8).failed(1, b, 0..10);
    assert_eq!(
        acknowledged_writes_kept(&history.records, &[holds(0, None, 0)]),
        Verdict::Holds
    );
}

#[test]
fn a_key_written_twice_gets_no_verdict() {
    let twice = history().write(1, "a", 0..10);
    let other = twice.writing("b");
    // An unknown write may have replaced the value, a failed one cannot have.
    let reason = reason(acknowledged_writes_kept(
        &twice.clone().unknown(2, other.clone(), 5..20).records,
        &[holds(0, Some("b"), 3)],
    ));
    assert!(reason.contains("2 operations wrote key 7"), "{reason}");
    violation(acknowledged_writes_kept(
        &twice.failed(2, other, 5..20).records,
        &[holds(0, Some("b"), 3)],
    ));
}

#[test]
fn a_lost_write_is_told_before_a_key_that_cannot_be_judged() {
    let history = history()
        .write(1, "a", 0..10)
        .write(1, "b", 20..30)
        .on(8)
        .write(1, "c", 40..50);
    let finals = [holds(0, Some("b"), 3), on(8, holds(0, None, 0))];
    let violation = violation(acknowledged_writes_kept(&history.records, &finals));
    assert_eq!(violation.operations, [id(1, 2)]);
}

#[test]
fn a_key_without_final_read_gets_no_verdict() {
    let history = history()
        .write(1, "a", 0..10)
        .pending(2, Operation::Read { key: KEY }, 20);
    let reason = reason(acknowledged_writes_kept(&history.records, &[]));
    assert_eq!(reason, "key 7 has no final read");
}

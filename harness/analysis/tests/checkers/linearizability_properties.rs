//! On random small histories, zones, search and the bare definition agree.

use longhaul_analysis::checkers::{LinearizabilityOptions, Method, Verdict, linearizability};
use longhaul_experiment::{Operation, OperationRecord, OperationResult};
use proptest::prelude::*;

use crate::brute_force::is_linearizable;
use crate::histories::{History, history};

/// One operation of a random history: when it was sent, how long it took, the share of that time
/// (in tenths) after which it took effect, a choice of what it does, and how it ended.
type Draw = (u64, u64, u64, u8, u8);

fn draws(most: usize) -> impl Strategy<Value = (Vec<Draw>, Vec<(usize, usize)>)> {
    let draw = (0..40u64, 0..10u64, 0..=10u64, any::<u8>(), 0..8u8);
    // Most of the histories get answers that are another operation's, or next to the true one.
    let lies = prop::collection::vec((0..most, 0..most), 1..4);
    let lies = (prop::bool::weighted(0.8), lies)
        .prop_map(|(lie, lies)| if lie { lies } else { Vec::new() });
    (prop::collection::vec(draw, 1..=most), lies)
}

/// Makes the answer of operation `index` false, if that is not prevented by chance.
fn lie(
    (index, other): (usize, usize),
    operations: &[Operation],
    results: &mut [Option<OperationResult>],
) {
    let Some(Some(result)) = results.get_mut(index) else {
        return;
    };
    match result {
        OperationResult::Read { value, .. } => match operations.get(other) {
            Some(Operation::Write { value: written, .. }) => *value = Some(written.clone()),
            _ => *value = None,
        },
        OperationResult::Written { .. } => {}
        OperationResult::Swapped { swapped, .. } => *swapped = !*swapped,
        OperationResult::Added { total, .. } => *total += other as i64 % 3 - 1,
        OperationResult::Taken { left, .. } => *left += other as i64 % 3 - 1,
    }
}

/// Executes the draws at one true store, in the order in which they took effect.
fn executed(
    draws: &[Draw],
    lies: &[(usize, usize)],
    operation: fn(usize, u8, &History) -> Operation,
) -> Vec<OperationRecord> {
    let mut order: Vec<usize> = (0..draws.len()).collect();
    order.sort_by_key(|&index| {
        let (sent, took, tenths, ..) = draws[index];
        10 * sent + took * tenths
    });
    let mut held = None;
    let mut results = vec![None; draws.len()];
    let mut operations = Vec::new();
    for (index, draw) in draws.iter().enumerate() {
        operations.push(operation(index, draw.3, &history()));
    }
    for index in order {
        // Of eight operations one is unknown and never happened, one unknown and did, one failed.
        if draws[index].4 != 0 && draws[index].4 != 2 {
            let (after, result) = crate::brute_force::execute(&operations[index], held);
            held = after;
            results[index] = result;
        }
    }
    for &lie in lies {
        self::lie(lie, &operations, &mut results);
    }
    let mut history = history();
    for ((index, draw), operation) in draws.iter().enumerate().zip(operations) {
        let (client, at) = (index as u32, draw.0..draw.0 + draw.1);
        history = match (draw.4, results[index].clone()) {
            (0 | 1, _) => history.unknown(client, operation, at),
            (2, _) | (_, None) => history.failed(client, operation, at),
            (_, Some(result)) => history.ok(client, operation, result, at),
        };
    }
    history.records
}

fn register(index: usize, choice: u8, history: &History) -> Operation {
    if choice.is_multiple_of(3) {
        history.writing(&format!("value {index}"))
    } else {
        Operation::Read { key: history.key() }
    }
}

fn any_kind(index: usize, choice: u8, history: &History) -> Operation {
    let key = history.key();
    let amount = choice % 3;
    match choice % 10 {
        0 | 1 => Operation::Read { key },
        2 => history.writing(&format!("value {index}")),
        // An integer: eight bytes.
        3 => history.writing("\u{3}\0\0\0\0\0\0\0"),
        4 => history.swapping(None, &format!("value {index}")),
        5 => history.swapping(Some("\u{3}\0\0\0\0\0\0\0"), "\u{2}\0\0\0\0\0\0\0"),
        6 | 7 => Operation::Add {
            key,
            amount: i64::from(amount),
        },
        _ => Operation::TakeIfEnough {
            key,
            amount: u64::from(amount),
        },
    }
}

fn holds(history: &[OperationRecord], method: Method) -> bool {
    let options = LinearizabilityOptions {
        method,
        ..LinearizabilityOptions::default()
    };
    match linearizability(history, options) {
        Verdict::Holds => true,
        Verdict::Violated(violation) => {
            assert!(!violation.operations.is_empty());
            false
        }
        Verdict::Unknown(reason) => panic!("{reason}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn zones_agree_with_search_on_registers((draws, lies) in draws(30)) {
        let history = executed(&draws, &lies, register);
        let by_zones = holds(&history, Method::Automatic);
        prop_assert_eq!(by_zones, holds(&history, Method::Search));
        prop_assert!(by_zones || !lies.is_empty(), "a true store is linearizable");
    }

    #[test]
    fn zones_agree_with_the_definition_on_small_registers((draws, lies) in draws(6)) {
        let history = executed(&draws, &lies, register);
        prop_assert_eq!(holds(&history, Method::Automatic), is_linearizable(&history));
    }

    #[test]
    fn search_agrees_with_the_definition_on_small_histories_of_any_kind(
        (draws, lies) in draws(7)
    ) {
        let history = executed(&draws, &lies, any_kind);
        prop_assert_eq!(holds(&history, Method::Search), is_linearizable(&history));
    }

    #[test]
    fn a_true_store_of_any_kind_is_linearizable((draws, _) in draws(60)) {
        let history = executed(&draws, &[], any_kind);
        prop_assert!(holds(&history, Method::Automatic));
    }
}

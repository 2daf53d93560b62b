//! Which values are still needed, and whether they can come back.
//!
//! Once no operation still to be placed can produce a value, the key must not lose it before every
//! operation that needs it is placed. With unique values that leaves little to try: the value
//! stays until its last read.

use std::collections::BTreeMap;

use super::{Held, Step};

/// What is still to come for each value.
#[derive(Debug, Default)]
pub(super) struct Demands {
    by_value: BTreeMap<Held, Demand>,
    /// Operations that may produce any integer.
    any_integer: u32,
}

/// How many operations still to be placed need a value, and how many can produce it.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    needed: u32,
    producers: u32,
}

impl Demands {
    /// Counts a step that is to be placed.
    pub(super) fn add(&mut self, step: Step, is_required: bool) {
        if let Some(needed) = needs(step).filter(|_| is_required) {
            self.by_value.entry(needed).or_default().needed += 1;
        }
        match produces(step) {
            Product::Value(value) => self.by_value.entry(value).or_default().producers += 1,
            Product::AnyInteger => self.any_integer += 1,
            Product::Nothing => {}
        }
    }

    /// Takes back what [`Demands::add`] counted: the step is placed.
    pub(super) fn remove(&mut self, step: Step, is_required: bool) {
        if let Some(needed) = needs(step).filter(|_| is_required)
            && let Some(demand) = self.by_value.get_mut(&needed)
        {
            demand.needed -= 1;
        }
        match produces(step) {
            Product::Value(value) => {
                if let Some(demand) = self.by_value.get_mut(&value) {
                    demand.producers -= 1;
                }
            }
            Product::AnyInteger => self.any_integer -= 1,
            Product::Nothing => {}
        }
    }

    /// Says whether a key that holds `held` must keep it, with `step` the next to be placed.
    pub(super) fn must_keep(&self, held: Held, step: Step) -> bool {
        let Some(demand) = self.by_value.get(&held) else {
            return false;
        };
        // The step needs what the key holds at the instant at which it changes it.
        let needed = demand.needed - u32::from(demand.needed > 0 && needs(step) == Some(held));
        let producers = demand.producers
            - u32::from(matches!(produces(step), Product::Value(value) if value == held));
        let comes_back =
            producers > 0 || (self.any_integer > 0 && matches!(held, Held::Integer(_)));
        needed > 0 && !comes_back
    }
}

/// What a step can leave at the key.
enum Product {
    Nothing,
    Value(Held),
    AnyInteger,
}

fn produces(step: Step) -> Product {
    match step {
        Step::Write { value }
        | Step::CompareAndSet {
            value,
            swapped: None | Some(true),
            ..
        } => Product::Value(value),
        Step::Add {
            total: Some(total), ..
        } => Product::Value(Held::Integer(total)),
        Step::Take {
            answer: Some((true, left)),
            ..
        } => Product::Value(Held::Integer(left)),
        Step::Add { total: None, .. } | Step::Take { answer: None, .. } => Product::AnyInteger,
        Step::Read { .. } | Step::CompareAndSet { .. } | Step::Take { .. } => Product::Nothing,
    }
}

/// Returns the value that the key must hold for the step to be answered as it was, when there is
/// just one.
const fn needs(step: Step) -> Option<Held> {
    match step {
        Step::Read { returned } => Some(returned),
        Step::CompareAndSet {
            expected,
            swapped: Some(true),
            ..
        } => Some(expected),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_must_stay_while_it_is_needed_and_cannot_come_back() {
        let [one, two] = [Held::Other(1), Held::Other(2)];
        let read = Step::Read { returned: one };
        let write = Step::Write { value: one };
        let replace = Step::Write { value: two };
        let mut demands = Demands::default();
        for step in [read, write, replace] {
            demands.add(step, true);
        }
        assert!(
            !demands.must_keep(one, replace),
            "a write can bring it back"
        );
        demands.remove(write, true);
        assert!(demands.must_keep(one, replace));
        assert!(!demands.must_keep(two, replace), "nothing needs it");
        demands.remove(read, true);
        assert!(!demands.must_keep(one, replace));
    }

    #[test]
    fn a_swap_may_take_the_value_that_it_alone_needs() {
        let [one, two] = [Held::Other(1), Held::Other(2)];
        let swap = Step::CompareAndSet {
            expected: one,
            value: two,
            swapped: Some(true),
        };
        let mut demands = Demands::default();
        demands.add(swap, true);
        assert!(!demands.must_keep(one, swap));
        demands.add(Step::Read { returned: one }, true);
        assert!(demands.must_keep(one, swap));
    }

    #[test]
    fn an_add_of_unknown_outcome_may_bring_any_integer_back() {
        let replace = Step::Write {
            value: Held::Other(1),
        };
        let add = Step::Add {
            amount: 1,
            total: None,
        };
        let mut demands = Demands::default();
        demands.add(
            Step::Read {
                returned: Held::Integer(3),
            },
            true,
        );
        assert!(demands.must_keep(Held::Integer(3), replace));
        demands.add(add, false);
        assert!(!demands.must_keep(Held::Integer(3), replace));
        demands.remove(add, false);
        assert!(demands.must_keep(Held::Integer(3), replace));
    }
}

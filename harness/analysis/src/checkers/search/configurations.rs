//! Which operations are placed, and where the search has been.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Held;

/// The operations placed so far.
#[derive(Debug)]
pub(super) struct Placed {
    required: Bits,
    optional: Bits,
    count: usize,
    /// All required operations before this one are placed.
    complete_before: usize,
}

/// A set of small numbers.
#[derive(Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: usize) -> Bits {
        Bits(vec![0; count.div_ceil(64)])
    }

    fn has(&self, index: usize) -> bool {
        self.0
            .get(index / 64)
            .is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    fn toggle(&mut self, index: usize) {
        self.0[index / 64] ^= 1 << (index % 64);
    }
}

impl Placed {
    /// Returns the empty set.
    pub(super) fn new(required: usize, optional: usize) -> Placed {
        Placed {
            required: Bits::new(required),
            optional: Bits::new(optional),
            count: 0,
            complete_before: 0,
        }
    }

    /// Returns how many required operations are placed.
    pub(super) const fn required(&self) -> usize {
        self.count
    }

    /// Says whether an optional operation is placed.
    pub(super) fn has_optional(&self, index: usize) -> bool {
        self.optional.has(index)
    }

    /// Adds a required operation that is not placed.
    pub(super) fn add_required(&mut self, index: usize) {
        self.required.toggle(index);
        self.count += 1;
        while self.required.has(self.complete_before) {
            self.complete_before += 1;
        }
    }

    /// Removes a required operation that is placed.
    pub(super) fn remove_required(&mut self, index: usize) {
        self.required.toggle(index);
        self.count -= 1;
        self.complete_before = self.complete_before.min(index);
    }

    /// Adds an optional operation that is not placed.
    pub(super) fn add_optional(&mut self, index: usize) {
        self.optional.toggle(index);
    }

    /// Removes an optional operation that is placed.
    pub(super) fn remove_optional(&mut self, index: usize) {
        self.optional.toggle(index);
    }

    /// Returns the required operations in short: how many come before the first that is missing,
    /// and the words of bits from there on. Words past the last operation placed are left out:
    /// the count of operations bounds where to look for it.
    fn window(&self) -> (usize, Box<[u64]>) {
        let words = &self.required.0[(self.complete_before / 64).min(self.required.0.len())..];
        let mut missing = self.count - self.complete_before / 64 * 64;
        let length = words.iter().take_while(|word| {
            let more = missing > 0;
            missing -= word.count_ones() as usize;
            more
        });
        let length = length.count();
        (self.complete_before, words[..length].into())
    }
}

/// The required operations placed, in short, and what the key holds.
type Configuration = (usize, Box<[u64]>, Held);

/// The configurations entered, each with the least sets of optional operations that led there.
#[derive(Debug, Default)]
pub(super) struct Configurations {
    entered: BTreeMap<Configuration, Vec<Box<[u64]>>>,
}

impl Configurations {
    /// Enters a configuration. Returns whether that may lead to anything new: not if it was
    /// entered before with the same optional operations or fewer.
    pub(super) fn enter(&mut self, placed: &Placed, held: Held) -> bool {
        let (complete_before, words) = placed.window();
        let optional = &placed.optional.0;
        match self.entered.entry((complete_before, words, held)) {
            Entry::Vacant(vacant) => {
                vacant.insert(vec![optional.as_slice().into()]);
                true
            }
            Entry::Occupied(occupied) => {
                let sets = occupied.into_mut();
                if sets.iter().any(|entered| is_subset(entered, optional)) {
                    return false;
                }
                sets.retain(|entered| !is_subset(optional, entered));
                sets.push(optional.as_slice().into());
                true
            }
        }
    }
}

fn is_subset(one: &[u64], other: &[u64]) -> bool {
    one.iter().zip(other).all(|(one, other)| one & !other == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_entered_again_only_with_other_optional_operations() {
        let mut placed = Placed::new(200, 3);
        let mut entered = Configurations::default();
        for index in (0..130).chain([150]) {
            placed.add_required(index);
        }
        placed.add_optional(1);
        assert!(entered.enter(&placed, Held::Nothing));
        assert!(!entered.enter(&placed, Held::Nothing));
        assert!(entered.enter(&placed, Held::Integer(0)));
        placed.add_optional(2);
        assert!(
            !entered.enter(&placed, Held::Nothing),
            "a superset leads nowhere new"
        );
        placed.remove_optional(1);
        assert!(entered.enter(&placed, Held::Nothing), "another set may");
        placed.remove_optional(2);
        assert!(entered.enter(&placed, Held::Nothing), "a subset may");
        placed.add_optional(0);
        assert!(!entered.enter(&placed, Held::Nothing));
    }

    #[test]
    fn sets_of_operations_are_told_apart_by_their_short_form() {
        let mut placed = Placed::new(200, 0);
        for index in 0..64 {
            placed.add_required(index);
        }
        let full = placed.window();
        assert_eq!(full, (64, Box::default()));
        placed.add_required(199);
        assert_eq!(placed.window().1.len(), 3);
        placed.remove_required(199);
        assert_eq!(placed.window(), full);
        placed.remove_required(3);
        assert_eq!(placed.window().0, 3);
    }
}

//! A search for the edge between rates at which a limit holds and rates at which it breaks.
//!
//! It knows nothing of rates and runs: a trial is a step on a ladder, which the caller makes
//! geometric, and the number of a repetition. Runs may disagree near the edge.

use std::collections::BTreeMap;

/// One run to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trial {
    /// The step of the ladder; 0 is where the search begins.
    pub step: i32,
    /// The number of the repetition, from 0.
    pub repeat: u32,
}

/// What came of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The limit held.
    Holds,
    /// It broke.
    Breaks,
    /// The machine could not carry the run, which more load would not change.
    MachineBound,
    /// It cannot be told; the search ends.
    NotJudged,
}

/// Between which steps, and how thoroughly, a search looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchBounds {
    /// The lowest step, 0 or below.
    pub lowest: i32,
    /// The highest step, 0 or above.
    pub highest: i32,
    /// Steps of a doubling of the rate.
    pub doubling: i32,
    /// Runs that decide at the edge.
    pub repeats: u32,
}

/// The state of a search: what its trials came to.
#[derive(Clone, Debug)]
pub struct Search {
    bounds: SearchBounds,
    outcomes: BTreeMap<Trial, Outcome>,
}

impl Search {
    /// Returns a search that knows nothing yet.
    pub fn new(bounds: SearchBounds) -> Search {
        Search {
            bounds,
            outcomes: BTreeMap::new(),
        }
    }

    /// Takes in what came of a trial.
    pub fn learn(&mut self, trial: Trial, outcome: Outcome) {
        self.outcomes.insert(trial, outcome);
    }

    /// Returns the trials to make next, which do not depend on each other; none when the search
    /// has ended.
    ///
    /// First runs bracket the edge by doubling, then by halving, down to neighbouring steps. Then
    /// all repetitions are made of the step below and the step above, and of further steps down and
    /// up for at most a doubling, until all hold at one and none at the other.
    pub fn wanted(&self) -> Vec<Trial> {
        let bounds = self.bounds;
        let mut outcomes = self.outcomes.values();
        if outcomes.any(|outcome| *outcome == Outcome::NotJudged) {
            return Vec::new();
        }
        let (low, high) = self.bracket();
        let first = |step: i32| vec![Trial { step, repeat: 0 }];
        match (low, high) {
            (None, None) => first(0),
            (None, Some(high)) if high > bounds.lowest => {
                first((high - bounds.doubling).max(bounds.lowest))
            }
            (Some(low), None) if low < bounds.highest => {
                first((low + bounds.doubling).min(bounds.highest))
            }
            (Some(low), Some(high)) if high - low > 1 => first(low + (high - low) / 2),
            (low, high) => {
                let mut wanted = low.map_or(Vec::new(), |low| self.wanted_down(low));
                wanted.extend(high.map_or(Vec::new(), |high| self.wanted_up(high)));
                wanted
            }
        }
    }

    /// Returns the highest step whose first run held, and the lowest above it whose first run did
    /// not.
    fn bracket(&self) -> (Option<i32>, Option<i32>) {
        let firsts = || {
            let firsts = self.outcomes.iter();
            firsts.filter(|(trial, _)| trial.repeat == 0)
        };
        let holds = |outcome: &Outcome| *outcome == Outcome::Holds;
        let low = firsts().rfind(|(_, outcome)| holds(outcome));
        let low = low.map(|(trial, _)| trial.step);
        let above = |step: i32| low.is_none_or(|low| step > low);
        let high = firsts().find(|(trial, outcome)| above(trial.step) && !holds(outcome));
        (low, high.map(|(trial, _)| trial.step))
    }

    /// Returns the trials that are missing on the way down to a step where all runs hold.
    fn wanted_down(&self, low: i32) -> Vec<Trial> {
        let least = self.bounds.lowest.max(low - self.bounds.doubling);
        self.first_missing((least..=low).rev(), |outcome| outcome == Outcome::Holds)
    }

    /// Returns the trials that are missing on the way up to a step where no run holds; none where
    /// the machine is the limit.
    fn wanted_up(&self, high: i32) -> Vec<Trial> {
        let first = Trial {
            step: high,
            repeat: 0,
        };
        if self.outcomes.get(&first) == Some(&Outcome::MachineBound) {
            return Vec::new();
        }
        let most = self.bounds.highest.min(high + self.bounds.doubling);
        self.first_missing(high..=most, |outcome| outcome != Outcome::Holds)
    }

    /// Goes through steps until all runs of one are as wanted, and returns the trials that are
    /// missing to tell of the first of which that is open.
    fn first_missing(
        &self,
        steps: impl Iterator<Item = i32>,
        wanted: fn(Outcome) -> bool,
    ) -> Vec<Trial> {
        for step in steps {
            let trials = (0..self.bounds.repeats).map(|repeat| Trial { step, repeat });
            let (known, missing): (Vec<Trial>, Vec<Trial>) =
                trials.partition(|trial| self.outcomes.contains_key(trial));
            if !known.iter().all(|trial| wanted(self.outcomes[trial])) {
                continue;
            }
            return missing;
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: SearchBounds = SearchBounds {
        lowest: -64,
        highest: 320,
        doubling: 32,
        repeats: 3,
    };

    /// Carries a search out, and returns it with the number of its trials.
    fn carried_out(bounds: SearchBounds, outcome: impl Fn(Trial) -> Outcome) -> (Search, usize) {
        let mut search = Search::new(bounds);
        loop {
            let wanted = search.wanted();
            if wanted.is_empty() {
                let trials = search.outcomes.len();
                return (search, trials);
            }
            assert!(search.outcomes.len() < 1000, "the search does not end");
            for trial in wanted {
                assert!((bounds.lowest..=bounds.highest).contains(&trial.step));
                search.learn(trial, outcome(trial));
            }
        }
    }

    fn decided(search: &Search, wanted: Outcome) -> Vec<i32> {
        let whole = |step: &i32| {
            (0..search.bounds.repeats).all(|repeat| {
                search.outcomes.get(&Trial {
                    step: *step,
                    repeat,
                }) == Some(&wanted)
            })
        };
        (search.bounds.lowest..=search.bounds.highest)
            .filter(whole)
            .collect()
    }

    #[test]
    fn an_edge_is_bracketed_by_doubling_and_halving_wherever_it_is() {
        for edge in -63..320 {
            let outcome = |trial: Trial| {
                if trial.step < edge {
                    Outcome::Holds
                } else {
                    Outcome::Breaks
                }
            };
            let (search, trials) = carried_out(BOUNDS, outcome);
            assert_eq!(decided(&search, Outcome::Holds), [edge - 1], "{edge}");
            assert_eq!(decided(&search, Outcome::Breaks), [edge], "{edge}");
            // At most 11 doublings with the start, 5 halvings, 2 x 2 repetitions.
            assert!(trials <= 20, "{edge}: {trials}");
        }
    }

    #[test]
    fn runs_that_disagree_widen_the_edge_until_they_agree() {
        // Repetition 1 holds for three steps longer, repetition 2 breaks four steps earlier.
        let outcome = |trial: Trial| {
            let edge = 40 + [0, 3, -4][trial.repeat as usize];
            if trial.step < edge {
                Outcome::Holds
            } else {
                Outcome::Breaks
            }
        };
        let (search, _) = carried_out(BOUNDS, outcome);
        assert_eq!(decided(&search, Outcome::Holds), [35]);
        assert_eq!(decided(&search, Outcome::Breaks), [43]);
    }

    #[test]
    fn a_limit_that_never_breaks_or_never_holds_ends_at_the_bounds() {
        let (search, _) = carried_out(BOUNDS, |_| Outcome::Holds);
        assert_eq!(decided(&search, Outcome::Holds), [320]);
        let (search, _) = carried_out(BOUNDS, |_| Outcome::Breaks);
        assert_eq!(decided(&search, Outcome::Holds), [0; 0]);
        assert!(decided(&search, Outcome::Breaks).contains(&-64));
    }

    #[test]
    fn nothing_is_repeated_above_the_machine_and_nothing_follows_what_cannot_be_told() {
        let outcome = |trial: Trial| {
            if trial.step < 40 {
                Outcome::Holds
            } else {
                Outcome::MachineBound
            }
        };
        let (search, _) = carried_out(BOUNDS, outcome);
        assert_eq!(decided(&search, Outcome::Holds), [39]);
        assert_eq!(decided(&search, Outcome::MachineBound), [0; 0]);
        let (_, trials) = carried_out(BOUNDS, |_| Outcome::NotJudged);
        assert_eq!(trials, 1);
    }
}

//! Linearizability by search, for operations of any kind.
//!
//! The search of Wing and Gong tries, at each point, every operation that no operation still to be
//! placed precedes, and goes back when none fits. Four things keep it short:
//!
//! - A configuration, which is the set of operations placed and what the key then holds, is
//!   entered once (Lowe).
//! - An operation that fits and changes nothing is placed at once and never reconsidered: wherever
//!   it stood in a linearization, it may as well stand here.
//! - A value that is still needed, and that nothing can bring back, is kept.
//! - An operation of unknown outcome is *optional*. It is tried last; of several that are alike
//!   the first sent is tried first; a write among them is tried only where an operation that waits
//!   would fit after it. A configuration that has placed the same operations and more optional
//!   ones than one already entered is not entered.

mod configurations;
mod demands;
mod timeline;

use longhaul_experiment::OperationRecord;

use super::Violation;
use super::calls::{Call, NEVER, told};
use super::linearizability::violation;
use super::specification::{Held, Step, Values};
use configurations::{Configurations, Placed};
use demands::Demands;
use timeline::{Place, Timeline};

/// How many of the operations that could not be placed an explanation tells in full.
const WAITING_TOLD: usize = 5;

/// How a search ended.
pub(super) enum SearchEnd {
    /// It found a linearization.
    Linearizable,
    /// There is none.
    Violated(Violation),
    /// It tried as many operations as it was allowed to.
    LimitReached,
}

/// Searches a linearization of the calls on one key, which are sorted by their beginning.
pub(super) fn search(calls: &[Call<'_>], step_limit: u64) -> SearchEnd {
    let mut search = Search::new(calls, step_limit);
    match search.run() {
        Some(true) => SearchEnd::Linearizable,
        Some(false) => SearchEnd::Violated(search.violation()),
        None => SearchEnd::LimitReached,
    }
}

/// An operation whose end is known.
#[derive(Clone, Copy, Debug)]
struct Required<'a> {
    record: &'a OperationRecord,
    step: Step,
}

/// An operation whose end is unknown.
#[derive(Clone, Copy, Debug)]
struct Optional<'a> {
    record: &'a OperationRecord,
    step: Step,
    start: u64,
    /// The last one sent before it that does the same.
    alike: Option<usize>,
}

/// An operation that may be placed.
#[derive(Clone, Copy, Debug)]
enum Chosen {
    Required(usize),
    Optional(usize),
}

/// What to try next at the present configuration.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Operations that fit and only observe.
    Observers,
    /// The required operations from this place of the timeline on.
    Required(Place),
    /// The optional operations from this one on.
    Optional(usize),
    /// Nothing is left: go back.
    Back,
}

/// A placed operation and what is needed to take it back.
#[derive(Clone, Copy, Debug)]
struct Frame {
    chosen: Chosen,
    held_before: Held,
    /// What to try after it was taken back.
    next: Next,
}

struct Search<'a> {
    required: Vec<Required<'a>>,
    optional: Vec<Optional<'a>>,
    /// Whether an optional operation is there whose effect depends on what the key holds.
    dependent_optional: bool,
    values: Values<'a>,
    timeline: Timeline,
    placed: Placed,
    demands: Demands,
    entered: Configurations,
    held: Held,
    frames: Vec<Frame>,
    steps_left: u64,
    /// The longest stretch of operations that could be placed.
    deepest: Deepest<'a>,
}

#[derive(Debug, Default)]
struct Deepest<'a> {
    required: usize,
    held: Option<Held>,
    last: Option<&'a OperationRecord>,
    waiting: Vec<&'a OperationRecord>,
}

impl<'a> Search<'a> {
    fn new(calls: &[Call<'a>], step_limit: u64) -> Search<'a> {
        let mut values = Values::default();
        let mut required = Vec::new();
        let mut spans = Vec::new();
        let mut optional: Vec<Optional<'a>> = Vec::new();
        let mut demands = Demands::default();
        let mut last_alike = std::collections::BTreeMap::new();
        for call in calls {
            let Some(step) = Step::of(call, &mut values) else {
                continue;
            };
            let record = call.record;
            demands.add(step, call.finish != NEVER);
            if call.finish == NEVER {
                optional.push(Optional {
                    record,
                    step,
                    start: call.start,
                    alike: last_alike.insert(step, optional.len()),
                });
            } else {
                required.push(Required { record, step });
                spans.push((call.start, call.finish));
            }
        }
        Search {
            timeline: Timeline::new(&spans),
            placed: Placed::new(required.len(), optional.len()),
            dependent_optional: optional.iter().any(|other| !other.step.overwrites()),
            demands,
            required,
            optional,
            values,
            entered: Configurations::default(),
            held: Held::Nothing,
            frames: Vec::new(),
            steps_left: step_limit,
            deepest: Deepest::default(),
        }
    }

    /// Says whether there is a linearization; `None` when the limit of steps was reached.
    fn run(&mut self) -> Option<bool> {
        let mut next = Next::Observers;
        while self.placed.required() < self.required.len() {
            next = match next {
                Next::Observers => self.place_observer()?,
                Next::Required(place) => self.place_required(place)?,
                Next::Optional(index) => self.place_optional(index)?,
                Next::Back => match self.take_back() {
                    Some(next) => next,
                    None => return Some(false),
                },
            };
        }
        Some(true)
    }

    /// Places a required operation that fits and only observes, if one waits.
    fn place_observer(&mut self) -> Option<Next> {
        let mut place = self.timeline.first();
        while let Some(index) = self.timeline.beginning(place) {
            self.count_step()?;
            let step = self.required[index].step;
            if step.only_observes() && step.apply(self.held).is_some() {
                let entered = self.enter(Chosen::Required(index), self.held, Next::Back);
                return Some(if entered { Next::Observers } else { Next::Back });
            }
            place = self.timeline.after(place);
        }
        Some(Next::Required(self.timeline.first()))
    }

    /// Places the required operation that begins at `place`, if it fits.
    fn place_required(&mut self, place: Place) -> Option<Next> {
        let Some(index) = self.timeline.beginning(place) else {
            self.note_deepest();
            return Some(Next::Optional(0));
        };
        self.count_step()?;
        let after = Next::Required(self.timeline.after(place));
        let step = self.required[index].step;
        if step.only_observes() || (step.overwrites() && self.follows_optional_write()) {
            return Some(after);
        }
        let fits = step.apply(self.held);
        let entered = fits.is_some_and(|held| self.enter(Chosen::Required(index), held, after));
        Some(if entered { Next::Observers } else { after })
    }

    /// Places the optional operation `index`, if it fits and may help.
    fn place_optional(&mut self, index: usize) -> Option<Next> {
        let optional = match self.optional.get(index) {
            Some(optional) if optional.start <= self.timeline.first_end() => *optional,
            _ => return Some(Next::Back),
        };
        self.count_step()?;
        let after = Next::Optional(index + 1);
        let waits_for_alike = |alike| !self.placed.has_optional(alike);
        if self.placed.has_optional(index) || optional.alike.is_some_and(waits_for_alike) {
            return Some(after);
        }
        let held = match optional.step.apply(self.held) {
            Some(held) if held != self.held => held,
            _ => return Some(after),
        };
        if optional.step.overwrites()
            && (self.follows_optional_write() || !self.would_be_used(held)?)
        {
            return Some(after);
        }
        let entered = self.enter(Chosen::Optional(index), held, after);
        Some(if entered { Next::Observers } else { after })
    }

    /// Says whether the last operation placed is an optional write: a write right after it would
    /// leave no trace of it, and then it need not have happened.
    fn follows_optional_write(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { chosen: Chosen::Optional(index), .. })
            if self.optional[*index].step.overwrites())
    }

    /// Says whether an operation that waits fits once the key holds `held`, other than a write.
    fn would_be_used(&mut self, held: Held) -> Option<bool> {
        if self.dependent_optional {
            return Some(true);
        }
        let mut place = self.timeline.first();
        while let Some(index) = self.timeline.beginning(place) {
            self.count_step()?;
            let step = self.required[index].step;
            if !step.overwrites() && step.apply(held).is_some() {
                return Some(true);
            }
            place = self.timeline.after(place);
        }
        Some(false)
    }

    fn count_step(&mut self) -> Option<()> {
        self.steps_left = self.steps_left.checked_sub(1)?;
        Some(())
    }

    /// Places an operation, unless that loses a value that is still needed, or leads where the
    /// search has been. Says whether it did.
    fn enter(&mut self, chosen: Chosen, held: Held, next: Next) -> bool {
        let (step, is_required) = self.step(chosen);
        if held != self.held && self.demands.must_keep(self.held, step) {
            return false;
        }
        match chosen {
            Chosen::Required(index) => self.placed.add_required(index),
            Chosen::Optional(index) => self.placed.add_optional(index),
        }
        if !self.entered.enter(&self.placed, held) {
            self.remove(chosen);
            return false;
        }
        self.demands.remove(step, is_required);
        if let Chosen::Required(index) = chosen {
            self.timeline.lift(index);
        }
        self.frames.push(Frame {
            chosen,
            held_before: self.held,
            next,
        });
        self.held = held;
        true
    }

    /// Returns an operation's step, and whether it is required.
    fn step(&self, chosen: Chosen) -> (Step, bool) {
        match chosen {
            Chosen::Required(index) => (self.required[index].step, true),
            Chosen::Optional(index) => (self.optional[index].step, false),
        }
    }

    fn remove(&mut self, chosen: Chosen) {
        match chosen {
            Chosen::Required(index) => self.placed.remove_required(index),
            Chosen::Optional(index) => self.placed.remove_optional(index),
        }
    }

    /// Takes the last operation back; `None` when none is placed.
    fn take_back(&mut self) -> Option<Next> {
        let frame = self.frames.pop()?;
        if let Chosen::Required(index) = frame.chosen {
            self.timeline.put_back(index);
        }
        self.remove(frame.chosen);
        let (step, is_required) = self.step(frame.chosen);
        self.demands.add(step, is_required);
        self.held = frame.held_before;
        Some(frame.next)
    }

    fn note_deepest(&mut self) {
        if self.deepest.held.is_some() && self.placed.required() <= self.deepest.required {
            return;
        }
        let mut waiting = Vec::new();
        let mut place = self.timeline.first();
        while let Some(index) = self.timeline.beginning(place) {
            waiting.push(self.required[index].record);
            place = self.timeline.after(place);
        }
        // The first to end comes first: it is the one that had to be placed.
        if let Some(first) = self.timeline.ending(place) {
            let first = self.required[first].record;
            waiting.retain(|record| record.id != first.id);
            waiting.insert(0, first);
        }
        self.deepest = Deepest {
            required: self.placed.required(),
            held: Some(self.held),
            last: self.frames.last().map(|frame| match frame.chosen {
                Chosen::Required(index) => self.required[index].record,
                Chosen::Optional(index) => self.optional[index].record,
            }),
            waiting,
        };
    }

    fn violation(&self) -> Violation {
        let key = self.required[0].record.operation.key();
        let deepest = &self.deepest;
        let held = self.values.told(deepest.held.unwrap_or(Held::Nothing));
        let after = deepest.last.map_or_else(String::new, |last| {
            format!(", the last of them {}", told(last))
        });
        let named = deepest.waiting.iter().take(WAITING_TOLD);
        let mut blocked: Vec<String> = named.map(|record| told(record)).collect();
        if deepest.waiting.len() > WAITING_TOLD {
            blocked.push(format!("{} more", deepest.waiting.len() - WAITING_TOLD));
        }
        let explanation = format!(
            "no order of its {} acknowledged operations explains what they returned. At most {} can \
             be ordered{after}; then the key holds {held}, and of the operations that must come next \
             none leads on: {}.",
            self.required.len(),
            deepest.required,
            blocked.join(", ")
        );
        let witness = deepest.waiting.iter().copied().chain(deepest.last);
        violation(key, explanation, witness)
    }
}

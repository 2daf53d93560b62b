//! Linearizability: each key is judged alone, by the cheapest method that is exact for it.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_experiment::{Key, OperationRecord};

use super::calls::{Call, calls};
use super::search::{self, SearchEnd};
use super::{Verdict, Violation, zones};

/// How [`linearizability`] goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearizabilityOptions {
    /// Which method judges a key.
    pub method: Method,
    /// How many operations the search of one key may try before it gives up with
    /// [`Verdict::Unknown`].
    ///
    /// Caution: a step keeps one configuration at most, of some 200 bytes, one bit for each
    /// operation on the key whose outcome is unknown, and one bit for each other operation from the
    /// first not yet placed to the last placed. With 8000 unknown outcomes on one key that is
    /// 1.2 KB a step, and 5 GB at [`LinearizabilityOptions::STEP_LIMIT`].
    pub step_limit: u64,
    /// What comes first at one instant.
    pub same_instant: SameInstant,
}

impl LinearizabilityOptions {
    /// The limit of steps where none is stated.
    pub const STEP_LIMIT: u64 = 4_000_000;
}

impl Default for LinearizabilityOptions {
    fn default() -> LinearizabilityOptions {
        LinearizabilityOptions {
            method: Method::Automatic,
            step_limit: LinearizabilityOptions::STEP_LIMIT,
            same_instant: SameInstant::Concurrent,
        }
    }
}

/// Which method judges a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Zones where the key's operations are reads and writes of unique values, else search.
    Automatic,
    /// Search always. Both methods are exact, so this is for checking the one by the other.
    Search,
}

/// What comes first when one operation ends at the nanosecond at which another is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameInstant {
    /// Nothing: the two are concurrent. This never accuses a correct store.
    Concurrent,
    /// The end comes first. This sees more, for in virtual time a client sends the next
    /// operation at the instant at which the last one ended; it is right where every message
    /// takes time, for then the one took effect before that instant and the other after it.
    Ordered,
}

/// Judges whether a history is linearizable (Herlihy and Wing, "Linearizability: A Correctness
/// Condition for Concurrent Objects", ACM TOPLAS 12(3), 1990).
///
/// Linearizability is local: a history is linearizable exactly when its operations on each key
/// are, so each key is judged alone. Keys begin without a value. Versions are not looked at: what
/// is judged is what clients can tell from values and results.
///
/// - A key with reads and writes of unique values only: zones (Gibbons and Korach, "Testing Shared
///   Memories", SIAM J. Comput. 26(4), 1997), O(n log n).
/// - Any other key: search (Wing and Gong, "Testing and Verifying Concurrent Objects", J. Parallel
///   Distrib. Comput. 17, 1993) that never visits a configuration twice (Lowe, "Testing for
///   Linearizability", Concurrency Computat. Pract. Exper. 29(4), 2017). Exponential in the number
///   of concurrent operations at worst, hence [`LinearizabilityOptions::step_limit`].
///
/// One violation is told: that of the least key judged by zones, else by search. Without any, a key
/// that could not be judged makes the verdict [`Verdict::Unknown`].
pub fn linearizability(history: &[OperationRecord], options: LinearizabilityOptions) -> Verdict {
    let calls = match calls(history, options.same_instant) {
        Ok(calls) => calls,
        Err(reason) => return Verdict::Unknown(reason),
    };
    let searched = match options.method {
        Method::Automatic => {
            let judgement = zones::judge(history, &calls);
            if let Some(violation) = judgement.violation {
                return Verdict::Violated(violation);
            }
            judgement.not_registers
        }
        Method::Search => calls
            .iter()
            .map(|call| call.record.operation.key())
            .collect(),
    };
    let mut unknown = None;
    for (key, calls) in by_key(&calls, &searched) {
        match search::search(&calls, options.step_limit) {
            SearchEnd::Linearizable => {}
            SearchEnd::Violated(violation) => return Verdict::Violated(violation),
            SearchEnd::LimitReached => {
                unknown.get_or_insert(key);
            }
        }
    }
    match unknown {
        None => Verdict::Holds,
        Some(key) => Verdict::Unknown(gave_up(key, options.step_limit)),
    }
}

/// Returns the calls on each of these keys, sorted by their beginning.
fn by_key<'a>(calls: &[Call<'a>], keys: &BTreeSet<Key>) -> BTreeMap<Key, Vec<Call<'a>>> {
    let mut by_key: BTreeMap<Key, Vec<Call<'a>>> = BTreeMap::new();
    if !keys.is_empty() {
        for call in calls {
            let key = call.record.operation.key();
            if keys.contains(&key) {
                by_key.entry(key).or_default().push(*call);
            }
        }
    }
    for calls in by_key.values_mut() {
        calls.sort_by_key(|call| (call.start, call.record.id));
    }
    by_key
}

fn gave_up(key: Key, step_limit: u64) -> String {
    format!(
        "key {}: no linearization was found and none excluded within {step_limit} steps of the \
         search; raise the limit, or check a history with fewer concurrent operations",
        key.0
    )
}

/// Builds a violation of linearizability on a key.
pub(super) fn violation<'a>(
    key: Key,
    explanation: String,
    witness: impl IntoIterator<Item = &'a OperationRecord>,
) -> Violation {
    Violation::new(
        super::Guarantee::Linearizability,
        format!("key {}: {explanation}", key.0),
        witness,
    )
}

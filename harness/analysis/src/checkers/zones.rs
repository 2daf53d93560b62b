//! Registers with unique values, by the zones of Gibbons and Korach.
//!
//! Every read names the write that it saw, so the operations of a key fall into clusters: a write
//! and the reads of its value. Take, in a cluster, the first end of an operation and the last
//! beginning. If the first end comes before the last beginning, all that lies between is the
//! cluster's *forward zone*: there its value must be the current one. Otherwise what lies between
//! is its *backward zone*, and some instant in it is enough for the whole cluster. Once no read
//! ends before the write of its value begins, the key is linearizable exactly when no two forward
//! zones overlap and no backward zone lies inside a forward zone.

mod clusters;

use std::collections::BTreeSet;

use longhaul_experiment::{Key, Operation, OperationRecord, Outcome};

use super::Violation;
use super::calls::{Call, NEVER, told, value_told};
use super::linearizability::violation;
use clusters::{Cluster, Clusters};

/// What zones say of a history.
pub(super) struct Judgement {
    /// The violation of the least register that has one.
    pub(super) violation: Option<Violation>,
    /// The keys to which zones do not apply: those with other operations than reads and writes, or
    /// with a value that was written twice.
    pub(super) not_registers: BTreeSet<Key>,
}

/// Judges all keys that are registers.
pub(super) fn judge(history: &[OperationRecord], calls: &[Call<'_>]) -> Judgement {
    let Clusters {
        clusters,
        not_registers,
    } = Clusters::of(calls);
    let mut zones = Zones::default();
    let mut disordered: Option<&Cluster<'_>> = None;
    for (number, cluster) in (0u32..).zip(&clusters) {
        if not_registers.contains(&cluster.key) {
            continue;
        }
        if is_ordered(cluster, calls) {
            zones.add(number, cluster);
        } else if disordered.is_none_or(|least| cluster.key < least.key) {
            disordered = Some(cluster);
        }
    }
    let conflict = zones
        .conflict()
        .map(|pair| pair.map(|zone| &clusters[zone.cluster as usize]));
    let violation = match (disordered, conflict) {
        (Some(cluster), Some([one, other])) if one.key < cluster.key => {
            Some(told_conflict(calls, one, other))
        }
        (Some(cluster), _) => Some(told_disorder(cluster, history, calls)),
        (None, Some([one, other])) => Some(told_conflict(calls, one, other)),
        (None, None) => None,
    };
    Judgement {
        violation,
        not_registers,
    }
}

/// Says whether the value was written, or is the first, and no read of it ended before its write
/// began.
fn is_ordered(cluster: &Cluster<'_>, calls: &[Call<'_>]) -> bool {
    match cluster.write {
        Some(write) => calls[write as usize].start <= cluster.first_finish,
        None => cluster.value.is_none(),
    }
}

/// A cluster's zone, from its first end to its last beginning or the other way round.
#[derive(Clone, Copy, Debug)]
struct Zone {
    key: Key,
    first_finish: u64,
    last_start: u64,
    cluster: u32,
}

/// The zones of all registers.
#[derive(Debug, Default)]
struct Zones {
    forward: Vec<Zone>,
    backward: Vec<Zone>,
}

impl Zones {
    fn add(&mut self, number: u32, cluster: &Cluster<'_>) {
        let zone = Zone {
            key: cluster.key,
            first_finish: cluster.first_finish,
            last_start: cluster.last_start,
            cluster: number,
        };
        if zone.first_finish < zone.last_start {
            self.forward.push(zone);
        } else if zone.first_finish != NEVER {
            // A write without end that nobody read need not have happened.
            self.backward.push(zone);
        }
    }

    /// Finds two clusters of one key of which each must come before the other, on the least key
    /// that has such.
    fn conflict(&mut self) -> Option<[Zone; 2]> {
        self.forward
            .sort_unstable_by_key(|zone| (zone.key, zone.first_finish, zone.last_start));
        let overlap = self
            .forward
            .windows(2)
            .find(|pair| pair[0].key == pair[1].key && pair[1].first_finish < pair[0].last_start)
            .map(|pair| [pair[0], pair[1]]);
        let inside = self
            .backward
            .iter()
            .filter_map(|inner| Some([self.around(inner)?, *inner]))
            .min_by_key(|pair| (pair[0].key, pair[0].first_finish));
        match (overlap, inside) {
            (Some(overlap), Some(inside)) if inside[0].key < overlap[0].key => Some(inside),
            (Some(overlap), _) => Some(overlap),
            (None, inside) => inside,
        }
    }

    /// Returns the forward zone that `inner` lies in. Where forward zones are apart, only the last
    /// that begins before it can be the one.
    fn around(&self, inner: &Zone) -> Option<Zone> {
        let begun = self
            .forward
            .partition_point(|zone| (zone.key, zone.first_finish) < (inner.key, inner.last_start));
        let outer = self.forward[..begun].last()?;
        (outer.key == inner.key && inner.first_finish < outer.last_start).then_some(*outer)
    }
}

fn record<'a>(calls: &[Call<'a>], call: Option<u32>) -> Option<&'a OperationRecord> {
    call.map(|call| calls[call as usize].record)
}

fn told_conflict(calls: &[Call<'_>], one: &Cluster<'_>, other: &Cluster<'_>) -> Violation {
    let (one_value, other_value) = (value_told(one.value), value_told(other.value));
    let before = |first: &Cluster<'_>, then: &Cluster<'_>| {
        let began = record(calls, then.starter).map_or_else(String::new, told);
        match record(calls, first.finisher) {
            Some(ended) => format!("{} ended before {began} began", told(ended)),
            None => format!("the key began without a value, before {began}"),
        }
    };
    let explanation = format!(
        "{one_value} must come before {other_value}, for {}; but {other_value} must come before \
         {one_value}, for {}.",
        before(one, other),
        before(other, one)
    );
    let witness = [one.finisher, other.starter, other.finisher, one.starter];
    let witness = witness.into_iter().filter_map(|call| record(calls, call));
    violation(one.key, explanation, witness)
}

fn told_disorder(
    cluster: &Cluster<'_>,
    history: &[OperationRecord],
    calls: &[Call<'_>],
) -> Violation {
    // A cluster without write consists of reads, and the one that ended first ended too early.
    let read = record(calls, cluster.finisher);
    let read_told = read.map_or_else(String::new, told);
    if let Some(write) = record(calls, cluster.write) {
        let explanation = format!("{read_told} ended before {} began.", told(write));
        return violation(cluster.key, explanation, read.into_iter().chain([write]));
    }
    let failed = history.iter().find(|record| {
        matches!(record.outcome, Outcome::Fail(_))
            && matches!(&record.operation, Operation::Write { key, value }
                if *key == cluster.key && Some(value) == cluster.value)
    });
    let why = match failed {
        Some(write) => format!("only {} would have written it", told(write)),
        None => "no operation wrote it to this key".to_owned(),
    };
    let explanation = format!("{read_told} saw a value that was never written: {why}.");
    violation(cluster.key, explanation, read.into_iter().chain(failed))
}

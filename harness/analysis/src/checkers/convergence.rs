//! Convergence: once all is quiet, every replica holds the same.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_experiment::workload::writer_of;
use longhaul_experiment::{Key, OperationId, ReplicaId};

use super::calls::{value_told, version_told};
use super::{FinalRead, Guarantee, Verdict, Violation};

/// Judges whether all replicas hold the same value and version of every key.
///
/// Versions count as values do: replicas that hold one value under two versions may yet decide
/// differently about the next write. The witness names the writers of the values that differ, as
/// far as the values tell.
///
/// [`Verdict::Unknown`] without final reads, or when a key was not read at a replica at which
/// another was.
pub fn convergence(finals: &[FinalRead]) -> Verdict {
    let by_key = by_key(finals);
    let replicas: BTreeSet<ReplicaId> = finals.iter().map(|read| read.replica).collect();
    if replicas.is_empty() {
        return Verdict::Unknown("there are no final reads to compare".to_owned());
    }
    for (key, reads) in &by_key {
        let differs = reads
            .iter()
            .find(|read| (&read.value, read.version) != (&reads[0].value, reads[0].version));
        if let Some(other) = differs {
            return Verdict::Violated(violation(*key, reads[0], other));
        }
    }
    for (key, reads) in &by_key {
        let asked: BTreeSet<ReplicaId> = reads.iter().map(|read| read.replica).collect();
        if let Some(missing) = replicas.difference(&asked).next() {
            return Verdict::Unknown(format!("key {} was not read at {missing}", key.0));
        }
    }
    Verdict::Holds
}

/// Returns the final reads of each key.
pub(super) fn by_key(finals: &[FinalRead]) -> BTreeMap<Key, Vec<&FinalRead>> {
    let mut by_key: BTreeMap<Key, Vec<&FinalRead>> = BTreeMap::new();
    for read in finals {
        by_key.entry(read.key).or_default().push(read);
    }
    by_key
}

fn violation(key: Key, one: &FinalRead, other: &FinalRead) -> Violation {
    let holds = |read: &FinalRead| {
        format!(
            "{} holds {} under version {}",
            read.replica,
            value_told(read.value.as_ref()),
            version_told(read.version)
        )
    };
    let mut operations: Vec<OperationId> = [one, other]
        .into_iter()
        .filter_map(|read| read.value.as_deref().and_then(writer_of))
        .collect();
    operations.dedup();
    Violation {
        guarantee: Guarantee::Convergence,
        explanation: format!(
            "key {}: once all was quiet, {} but {}.",
            key.0,
            holds(one),
            holds(other)
        ),
        operations,
    }
}

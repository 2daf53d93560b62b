//! Durability: no acknowledged write is lost.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use longhaul_experiment::{Key, OperationId, OperationKind, OperationRecord};

use super::calls::{left, result, span, told, value_told};
use super::convergence::by_key;
use super::{FinalRead, Guarantee, Verdict, Violation};

/// Judges whether every acknowledged write is still there once all is quiet, on keys that one
/// operation alone wrote: there nothing can have replaced it.
///
/// It is lost when any replica's final read returns something else; the explanation says whether
/// some replica still has it. A compare-and-set that swapped, an add and a take that took are
/// writes of what they left.
///
/// [`Verdict::Unknown`] when a record contradicts itself, when a key with an acknowledged write was
/// written by several operations (failed ones do not count), or when it has no final read. A lost
/// write of another key goes before that.
pub fn acknowledged_writes_kept(history: &[OperationRecord], finals: &[FinalRead]) -> Verdict {
    let written = match written(history) {
        Ok(written) => written,
        Err(reason) => return Verdict::Unknown(reason),
    };
    let finals = by_key(finals);
    let mut lost = Vec::new();
    let mut unknown = None;
    for (key, writers) in &written {
        let Some((record, value)) = writers.acknowledged.first() else {
            continue;
        };
        let reads = finals.get(key).map_or(&[][..], Vec::as_slice);
        if writers.operations.len() > 1 {
            unknown.get_or_insert_with(|| {
                format!(
                    "{} operations wrote key {}, so that a missing value may have been replaced: \
                     this is judged on keys written once",
                    writers.operations.len(),
                    key.0
                )
            });
        } else if reads.is_empty() {
            unknown.get_or_insert_with(|| format!("key {} has no final read", key.0));
        } else if reads.iter().any(|read| read.value.as_ref() != Some(value)) {
            lost.push(Lost {
                record,
                value,
                reads,
            });
        }
    }
    match (lost.first(), unknown) {
        (Some(first), _) => Verdict::Violated(Violation::new(
            Guarantee::AcknowledgedWritesKept,
            first.told(lost.len()),
            lost.iter().map(|lost| lost.record),
        )),
        (None, Some(reason)) => Verdict::Unknown(reason),
        (None, None) => Verdict::Holds,
    }
}

/// The writers of one key.
#[derive(Debug, Default)]
struct Writers<'a> {
    /// All operations that may have written it.
    operations: BTreeSet<OperationId>,
    /// Those acknowledged, and what they left.
    acknowledged: Vec<(&'a OperationRecord, Bytes)>,
}

fn written(history: &[OperationRecord]) -> Result<BTreeMap<Key, Writers<'_>>, String> {
    let mut written: BTreeMap<Key, Writers<'_>> = BTreeMap::new();
    for record in history {
        if record.operation.kind() == OperationKind::Read || span(record)?.is_none() {
            continue;
        }
        let left = match result(record).map(|result| left(&record.operation, result)) {
            // It found that it had nothing to write.
            Some(None) => continue,
            Some(left) => left,
            None => None,
        };
        let writers = written.entry(record.operation.key()).or_default();
        writers.operations.insert(record.id);
        writers
            .acknowledged
            .extend(left.map(|value| (record, value)));
    }
    Ok(written)
}

/// A write that is not everywhere any more.
struct Lost<'a> {
    record: &'a OperationRecord,
    value: &'a Bytes,
    reads: &'a [&'a FinalRead],
}

impl Lost<'_> {
    fn told(&self, lost: usize) -> String {
        let (kept, missing): (Vec<&FinalRead>, Vec<&FinalRead>) = self
            .reads
            .iter()
            .copied()
            .partition(|read| read.value.as_ref() == Some(self.value));
        let replicas: Vec<String> = kept.iter().map(|read| read.replica.to_string()).collect();
        let kept = match replicas.as_slice() {
            [] => "no replica has it any more".to_owned(),
            replicas => format!("only {} still has it", replicas.join(", ")),
        };
        let more = match lost {
            1 => String::new(),
            _ => format!(" In all, {lost} acknowledged writes are lost."),
        };
        format!(
            "key {}: {} was acknowledged, but once all was quiet {} holds {}: {kept}.{more}",
            self.record.operation.key().0,
            told(self.record),
            missing[0].replica,
            value_told(missing[0].value.as_ref()),
        )
    }
}

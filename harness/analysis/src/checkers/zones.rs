//! Registers with unique values, by the zones of Gibbons and Korach.
//!
//! Every read names the write that it saw, so the operations of a key fall into clusters: a write
//! and the reads of its value. Take, in a cluster, the first end of an operation and the last
//! beginning. If the first end comes before the last beginning, all that lies between is the
//! cluster's *forward zone*: there its value must be the current one. Otherwise what lies between
//! is its *backward zone*, and some instant in it is enough for the whole cluster. Once no read
//! ends before the write of its value begins, the key is linearizable exactly when no two forward
//! zones overlap and no backward zone lies inside a forward zone.

use bytes::Bytes;
use longhaul_experiment::{Key, OperationKind, OperationRecord, Outcome};

use super::Violation;
use super::calls::{Call, NEVER, told, value_told};
use super::linearizability::violation;

/// A call in the order of keys and values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) key: Key,
    /// The first 16 bytes of the value, which hold the writer's id.
    prefix: u128,
    call: u32,
}

impl Member {
    /// Returns the index of the call.
    pub(super) const fn call(self) -> usize {
        self.call as usize
    }
}

/// What zones say of a key.
pub(super) enum RegisterVerdict {
    /// It is linearizable.
    Holds,
    /// It is not.
    Violated(Violation),
    /// Zones do not apply: it has other operations than reads and writes, or a value was written
    /// twice.
    NotARegister,
}

/// Returns the calls by key, and by what they hold of a value.
pub(super) fn members(calls: &[Call<'_>]) -> Vec<Member> {
    let mut members: Vec<Member> = (0u32..)
        .zip(calls)
        .map(|(index, call)| Member {
            key: call.record.operation.key(),
            prefix: call.register_value().map_or(0, |value| prefix(value)),
            call: index,
        })
        .collect();
    members.sort_unstable_by_key(|member| (member.key, member.prefix, member.call));
    members
}

fn prefix(value: &[u8]) -> u128 {
    if let Some(first) = value.first_chunk::<16>() {
        return u128::from_be_bytes(*first);
    }
    let mut padded = [0; 16];
    padded[..value.len()].copy_from_slice(value);
    u128::from_be_bytes(padded)
}

/// Judges one key: `members` are its own, as [`members`] sorted them.
pub(super) fn check(
    history: &[OperationRecord],
    calls: &[Call<'_>],
    members: &mut [Member],
) -> RegisterVerdict {
    let is_register = |member: &Member| {
        let kind = calls[member.call()].record.operation.kind();
        matches!(kind, OperationKind::Read | OperationKind::Write)
    };
    if !members.iter().all(is_register) {
        return RegisterVerdict::NotARegister;
    }
    let key = members[0].key;
    let mut zones = Zones::default();
    let mut early = None;
    for alike in members.chunk_by_mut(|one, other| one.prefix == other.prefix) {
        let value = |member: &Member| calls[member.call()].register_value();
        let first = value(&alike[0]);
        if !alike[1..].iter().all(|other| same(first, value(other))) {
            alike.sort_unstable_by_key(|member| (value(member), member.call));
        }
        for members in alike.chunk_by(|one, other| same(value(one), value(other))) {
            let cluster = match Cluster::of(calls, members) {
                Ok(cluster) => cluster,
                Err(NotACluster::WrittenTwice) => return RegisterVerdict::NotARegister,
                Err(NotACluster::NeverWritten(read)) => {
                    early.get_or_insert_with(|| never_written(key, history, calls[read].record));
                    continue;
                }
                Err(NotACluster::ReadTooEarly { write, read }) => {
                    early.get_or_insert_with(|| {
                        read_too_early(key, calls[write].record, calls[read].record)
                    });
                    continue;
                }
            };
            zones.add(cluster);
        }
    }
    match early.or_else(|| zones.conflict(key, calls)) {
        None => RegisterVerdict::Holds,
        Some(violation) => RegisterVerdict::Violated(violation),
    }
}

fn same(one: Option<&Bytes>, other: Option<&Bytes>) -> bool {
    match (one, other) {
        // Copies of a value mostly share its memory, and then need not be compared.
        (Some(one), Some(other)) => {
            one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
        }
        (None, None) => true,
        _ => false,
    }
}

/// A write and the reads of its value. The write of "no value" came before all calls.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    first_finish: u64,
    last_start: u64,
    /// The operation that ended first; `None` when it is the initial write.
    finisher: Option<u32>,
    /// The operation that began last; `None` when it is the initial write.
    starter: Option<u32>,
}

enum NotACluster {
    WrittenTwice,
    NeverWritten(usize),
    ReadTooEarly { write: usize, read: usize },
}

impl Cluster {
    fn of(calls: &[Call<'_>], members: &[Member]) -> Result<Cluster, NotACluster> {
        let mut cluster = Cluster {
            first_finish: NEVER,
            last_start: 0,
            finisher: None,
            starter: None,
        };
        let mut write = None;
        for member in members {
            let call = &calls[member.call()];
            if call.record.operation.kind() == OperationKind::Write
                && write.replace(member.call()).is_some()
            {
                return Err(NotACluster::WrittenTwice);
            }
            if call.finish < cluster.first_finish {
                cluster.first_finish = call.finish;
                cluster.finisher = Some(member.call);
            }
            if call.start >= cluster.last_start {
                cluster.last_start = call.start;
                cluster.starter = Some(member.call);
            }
        }
        let Some(write) = write else {
            if calls[members[0].call()].register_value().is_some() {
                return Err(NotACluster::NeverWritten(members[0].call()));
            }
            cluster.first_finish = 0;
            cluster.finisher = None;
            return Ok(cluster);
        };
        match cluster.finisher {
            Some(read) if cluster.first_finish < calls[write].start => {
                Err(NotACluster::ReadTooEarly {
                    write,
                    read: read as usize,
                })
            }
            _ => Ok(cluster),
        }
    }
}

/// The zones of one key.
#[derive(Debug, Default)]
struct Zones {
    forward: Vec<Cluster>,
    backward: Vec<Cluster>,
}

impl Zones {
    fn add(&mut self, cluster: Cluster) {
        if cluster.first_finish < cluster.last_start {
            self.forward.push(cluster);
        } else if cluster.first_finish != NEVER {
            // A write without end that nobody read need not have happened.
            self.backward.push(cluster);
        }
    }

    /// Finds two clusters of which each must come before the other.
    fn conflict(&mut self, key: Key, calls: &[Call<'_>]) -> Option<Violation> {
        self.forward
            .sort_unstable_by_key(|zone| (zone.first_finish, zone.last_start));
        let overlap = self
            .forward
            .windows(2)
            .find(|pair| pair[1].first_finish < pair[0].last_start);
        if let Some(pair) = overlap {
            return Some(both_ways(key, calls, pair[0], pair[1]));
        }
        self.backward.iter().find_map(|inner| {
            // The forward zones are apart, so only the last that begins before can hold it.
            let after = self
                .forward
                .partition_point(|zone| zone.first_finish < inner.last_start);
            let outer = self.forward[..after].last()?;
            (inner.first_finish < outer.last_start).then(|| both_ways(key, calls, *outer, *inner))
        })
    }
}

fn both_ways(key: Key, calls: &[Call<'_>], one: Cluster, other: Cluster) -> Violation {
    let record = |call: Option<u32>| call.map(|call| calls[call as usize].record);
    let value = |cluster: Cluster| {
        let call = cluster.starter.or(cluster.finisher);
        value_told(call.and_then(|call| calls[call as usize].register_value()))
    };
    let (one_value, other_value) = (value(one), value(other));
    let before =
        |first: Cluster, then: Cluster| match (record(first.finisher), record(then.starter)) {
            (Some(ended), Some(began)) => {
                format!("{} ended before {} began", told(ended), told(began))
            }
            (_, began) => format!(
                "the key began without a value, before {}",
                began.map_or_else(|| "all operations".to_owned(), told)
            ),
        };
    let explanation = format!(
        "{one_value} must come before {other_value}, for {}; but {other_value} must come before \
         {one_value}, for {}.",
        before(one, other),
        before(other, one)
    );
    let witness = [one.finisher, other.starter, other.finisher, one.starter];
    violation(key, explanation, witness.into_iter().filter_map(record))
}

fn never_written(key: Key, history: &[OperationRecord], read: &OperationRecord) -> Violation {
    let returned = Call {
        record: read,
        start: 0,
        finish: 0,
    }
    .register_value();
    let failed = history.iter().find(|record| {
        matches!(record.outcome, Outcome::Fail(_))
            && record.operation.key() == key
            && matches!(&record.operation,
                longhaul_experiment::Operation::Write { value, .. } if Some(value) == returned)
    });
    let why = match failed {
        Some(write) => format!("only {} would have written it", told(write)),
        None => "no operation wrote it to this key".to_owned(),
    };
    violation(
        key,
        format!("{} saw a value that was never written: {why}.", told(read)),
        std::iter::once(read).chain(failed),
    )
}

fn read_too_early(key: Key, write: &OperationRecord, read: &OperationRecord) -> Violation {
    violation(
        key,
        format!("{} ended before {} began.", told(read), told(write)),
        [read, write],
    )
}

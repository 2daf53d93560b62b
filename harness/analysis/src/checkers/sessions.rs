//! The four session guarantees, per client and key.

use bytes::Bytes;
use longhaul_experiment::operation::integer_bytes;
use longhaul_experiment::{
    ClientId, Key, OperationId, OperationRecord, OperationResult, Time, Version,
};

use super::calls::{left, result, span, told, value_told, version_told};
use super::{Guarantee, Verdict, Violation};

/// Judges one of the four session guarantees of Terry et al. ("Session Guarantees for Weakly
/// Consistent Replicated Data", PDIS 1994).
///
/// A client is a session. The paper speaks of the sets of writes that a server has seen; here,
/// where a key's versions are totally ordered and each names one write, the guarantees are about
/// the versions that the session heard of one key:
///
/// - read your writes: a read after an acknowledged write returns its version or a later one;
/// - monotonic reads: a read after a read returns its version or a later one;
/// - monotonic writes: a write after an acknowledged write gets a later version. The order of
///   versions is the order in which replicas end up applying writes, so that one is kept too;
/// - writes follow reads: a write after a read gets a later version than the one read.
///
/// Where a version is heard again its value must be the same. *After* means sent once the other's
/// success was known: what a session pipelines is not ordered. At one instant the operation with
/// the lesser sequence number comes first, for a client sends the next operation at the instant at
/// which the last ended. A compare-and-set that found another value, and a take that found too
/// little, are reads; those that took effect, and adds, are writes.
///
/// Not covered: order across keys (that a session which read one key's write also sees what that
/// write followed on another), which versions per key cannot show; and operations that did not
/// succeed.
///
/// [`Verdict::Unknown`] when the guarantee is none of the four, when a record contradicts itself,
/// or when a value or a write came without a version.
pub fn session_guarantee(guarantee: Guarantee, history: &[OperationRecord]) -> Verdict {
    let Some((earlier, later)) = roles(guarantee) else {
        return Verdict::Unknown(format!("{guarantee} is not a session guarantee"));
    };
    let mut heard = match heard(history) {
        Ok(heard) => heard,
        Err(reason) => return Verdict::Unknown(reason),
    };
    heard.sort_by_key(|heard| (heard.client(), heard.key(), heard.ended()));
    for session in
        heard.chunk_by(|one, other| (one.client(), one.key()) == (other.client(), other.key()))
    {
        let broken = session_breaks(session, earlier, later);
        if let Some((before, after)) = broken {
            return Verdict::Violated(violation(guarantee, before, after));
        }
    }
    Verdict::Holds
}

/// What an operation is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Read,
    Write,
}

const fn roles(guarantee: Guarantee) -> Option<(Role, Role)> {
    match guarantee {
        Guarantee::ReadYourWrites => Some((Role::Write, Role::Read)),
        Guarantee::MonotonicReads => Some((Role::Read, Role::Read)),
        Guarantee::MonotonicWrites => Some((Role::Write, Role::Write)),
        Guarantee::WritesFollowReads => Some((Role::Read, Role::Write)),
        Guarantee::Linearizability | Guarantee::Convergence | Guarantee::AcknowledgedWritesKept => {
            None
        }
    }
}

/// A success and the version heard with it.
#[derive(Clone, Copy, Debug)]
struct Heard<'a> {
    record: &'a OperationRecord,
    sent_at: Time,
    completed_at: Time,
    role: Role,
    version: Version,
}

impl Heard<'_> {
    fn client(&self) -> ClientId {
        self.record.id.client
    }

    fn key(&self) -> Key {
        self.record.operation.key()
    }

    fn sent(&self) -> (Time, OperationId) {
        (self.sent_at, self.record.id)
    }

    fn ended(&self) -> (Time, OperationId) {
        (self.completed_at, self.record.id)
    }
}

/// Returns the successes of a history.
fn heard(history: &[OperationRecord]) -> Result<Vec<Heard<'_>>, String> {
    let mut successes = Vec::with_capacity(history.len());
    for record in history {
        let Some((sent_at, Some(completed_at))) = span(record)? else {
            continue;
        };
        let Some(result) = result(record) else {
            continue;
        };
        let role = role(result);
        let version = result.version();
        let holds_nothing = matches!(result, OperationResult::Read { value: None, .. })
            || matches!(result, OperationResult::Swapped { swapped: false, .. })
            || matches!(result, OperationResult::Taken { taken: false, .. });
        if version == Version::NONE && !holds_nothing {
            return Err(format!("{} came without a version", told(record)));
        }
        successes.push(Heard {
            record,
            sent_at,
            completed_at,
            role,
            version,
        });
    }
    Ok(successes)
}

const fn role(result: &OperationResult) -> Role {
    match result {
        OperationResult::Read { .. }
        | OperationResult::Swapped { swapped: false, .. }
        | OperationResult::Taken { taken: false, .. } => Role::Read,
        OperationResult::Written { .. }
        | OperationResult::Swapped { swapped: true, .. }
        | OperationResult::Added { .. }
        | OperationResult::Taken { taken: true, .. } => Role::Write,
    }
}

/// Finds an operation that heard too early a version, and the one before it that shows so.
/// `session` is sorted by its operations' ends.
fn session_breaks<'a>(
    session: &[Heard<'a>],
    earlier: Role,
    later: Role,
) -> Option<(Heard<'a>, Heard<'a>)> {
    let mut followers: Vec<&Heard<'a>> =
        session.iter().filter(|heard| heard.role == later).collect();
    followers.sort_by_key(|follower| follower.sent());
    let mut ended = session
        .iter()
        .filter(|heard| heard.role == earlier)
        .peekable();
    let mut newest: Option<&Heard<'a>> = None;
    for follower in followers {
        while let Some(before) = ended.next_if(|before| before.ended() < follower.sent()) {
            if newest.is_none_or(|newest| newest.version <= before.version) {
                newest = Some(before);
            }
        }
        if let Some(newest) = newest.filter(|newest| !may_follow(newest, follower)) {
            return Some((*newest, *follower));
        }
    }
    None
}

fn may_follow(before: &Heard<'_>, after: &Heard<'_>) -> bool {
    match after.role {
        Role::Write => before.version < after.version,
        Role::Read if before.version == after.version => {
            match (held(before.record), held(after.record)) {
                (Some(before), Some(after)) => before == after,
                _ => true,
            }
        }
        Role::Read => before.version < after.version,
    }
}

/// Returns what the key is known to have held with the version heard: `None` when that is unknown.
///
/// A take that found too little tells an integer above 0 as well: 0 may also be no value.
fn held(record: &OperationRecord) -> Option<Option<Bytes>> {
    match result(record)? {
        OperationResult::Read { value, .. } => Some(value.clone()),
        OperationResult::Taken {
            taken: false, left, ..
        } => (*left != 0).then(|| Some(integer_bytes(*left))),
        result => left(&record.operation, result).map(Some),
    }
}

fn violation(guarantee: Guarantee, before: Heard<'_>, after: Heard<'_>) -> Violation {
    let what = if before.version == after.version && after.role == Role::Read {
        let value = held(before.record).flatten();
        format!(
            "heard the same version, but of {}",
            value_told(value.as_ref())
        )
    } else {
        let order = if before.version == after.version {
            "the same version"
        } else {
            "a later version"
        };
        format!("had heard {order}, {}", version_told(before.version))
    };
    let explanation = format!(
        "key {}: {} heard version {}, although before it was sent {} {what}.",
        after.key().0,
        told(after.record),
        version_told(after.version),
        told(before.record),
    );
    Violation::new(guarantee, explanation, [before.record, after.record])
}

//! Anti-entropy: replicas compare digests and repair what differs (Demers et al., "Epidemic
//! Algorithms for Replicated Database Maintenance", PODC 1987).
//!
//! A round between two replicas takes four steps: one sends all its digests (`Compare`), the other
//! lists the keys of buckets that differ (`List`), the first sends what the other lacks (`Repair`)
//! and asks for what it lacks itself (`Want`), which the other sends. When much differs the other
//! begins the next round right behind its repairs, so a replica that lost everything is refilled
//! at the pace of round trips and not of the interval.

use std::cmp::Ordering;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::{Key, ReplicaId, Time};

use super::message::{Entry, ListedBucket, Message};
use super::replica::{EventualOutbox, EventualReplica};
use super::resolver::{Comparison, Resolver};
use super::table::{BUCKETS, Slot};

/// How many keys a round lists. With at most 30 bytes each that is about 240 KiB; a single larger
/// bucket, a 1024th of all keys, is listed alone.
const LISTED_KEYS_MAX: usize = 8_192;

/// The state of a replica's rounds.
#[derive(Debug)]
pub(super) struct Rounds {
    /// A state that changed within this time is left to its replication.
    settling: Duration,
    /// The bucket to list first: rounds that cannot list all go around.
    next_bucket: usize,
    /// For each peer, whether one round is following another.
    busy: Vec<bool>,
}

/// What a replica found out about listed buckets.
#[derive(Debug)]
struct Findings<S> {
    compared: usize,
    send: Vec<Entry<S>>,
    want: Vec<Key>,
}

impl Rounds {
    /// Returns rounds among `replicas` with this largest round trip.
    pub(super) fn new(replicas: usize, largest_round_trip: Duration) -> Rounds {
        Rounds {
            // Two round trips and a slow disk.
            settling: 2 * largest_round_trip + Duration::from_millis(200),
            next_bucket: 0,
            busy: vec![false; replicas],
        }
    }

    /// Takes the beginning or the end of a connection epoch: what was under way is over.
    pub(super) fn forget(&mut self, peer: ReplicaId) {
        self.set_busy(peer, false);
    }

    fn set_busy(&mut self, peer: ReplicaId, busy: bool) {
        if let Some(slot) = self.busy.get_mut(peer.index()) {
            *slot = busy;
        }
    }
}

impl<R: Resolver> EventualReplica<R> {
    /// Begins a round, unless earlier ones still follow one another.
    pub(super) fn compare_unless_busy(&mut self, peer: ReplicaId, out: &mut EventualOutbox<R>) {
        if self.rounds.busy.get(peer.index()) == Some(&false) {
            let sums = self.table.sums();
            out.send(peer, Message::Compare { sums });
        }
    }

    /// Lists what differs.
    pub(super) fn list(
        &mut self,
        now: Time,
        to: ReplicaId,
        sums: &Bytes,
        out: &mut EventualOutbox<R>,
    ) {
        let mut differing = self.table.differing(sums);
        let first = differing.partition_point(|&bucket| bucket < self.rounds.next_bucket);
        differing.rotate_left(first);
        let mut buckets = Vec::new();
        let mut listed = 0;
        let mut more = false;
        for bucket in differing {
            let slots = self.table.bucket(bucket);
            if !buckets.is_empty() && listed + slots.len() > LISTED_KEYS_MAX {
                more = true;
                break;
            }
            listed += slots.len();
            self.rounds.next_bucket = (bucket + 1) % BUCKETS;
            buckets.push(ListedBucket {
                bucket: bucket as u16,
                keys: slots
                    .iter()
                    .map(|(&key, slot)| (key, self.settled_summary(now, slot)))
                    .collect(),
            });
        }
        out.send(to, Message::List { buckets, more });
    }

    fn is_settling(&self, now: Time, slot: &Slot<R::State>) -> bool {
        slot.changed + self.rounds.settling > now
    }

    fn settled_summary(&self, now: Time, slot: &Slot<R::State>) -> Option<R::Summary> {
        (!self.is_settling(now, slot)).then(|| self.table.resolver().summary(&slot.state))
    }

    /// Sends what the other replica lacks and asks for what this one lacks.
    pub(super) fn resolve(
        &mut self,
        now: Time,
        from: ReplicaId,
        (buckets, more): (Vec<ListedBucket<R::Summary>>, bool),
        out: &mut EventualOutbox<R>,
    ) {
        let mut findings = Findings {
            compared: 0,
            send: Vec::new(),
            want: Vec::new(),
        };
        for listed in &buckets {
            if usize::from(listed.bucket) < BUCKETS {
                self.examine(now, listed, &mut findings);
            }
        }
        // Another round at once is worth its digests when there is more and this one was not idle.
        let repaired = findings.send.len() + findings.want.len();
        let again = more && repaired * 2 >= findings.compared && repaired > 0;
        for entries in self.messages(findings.send) {
            out.send(from, Message::Repair { entries });
        }
        self.rounds.set_busy(from, again);
        let keys = findings.want;
        out.send(from, Message::Want { keys, again });
    }

    /// Walks over a bucket's own keys and the other's, both in order.
    fn examine(
        &self,
        now: Time,
        listed: &ListedBucket<R::Summary>,
        findings: &mut Findings<R::State>,
    ) {
        let mut own = self
            .table
            .bucket(usize::from(listed.bucket))
            .iter()
            .peekable();
        let mut others = listed.keys.iter().peekable();
        loop {
            let order = match (own.peek(), others.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((own, _)), Some((other, _))) => (*own).cmp(other),
            };
            let mine = own.next_if(|_| order.is_le());
            let theirs = others.next_if(|_| order.is_ge());
            let settling = mine.is_some_and(|(_, slot)| self.is_settling(now, slot));
            let comparison = match (mine, theirs) {
                _ if settling => continue,
                (_, Some((_, None))) => continue,
                (None, Some((_, Some(_)))) => Comparison {
                    other_lacks: false,
                    own_lacks: true,
                },
                (Some(_), None) => Comparison {
                    other_lacks: true,
                    own_lacks: false,
                },
                (Some((_, slot)), Some((_, Some(summary)))) => {
                    self.table.resolver().compare(&slot.state, summary)
                }
                (None, None) => continue,
            };
            findings.compared += 1;
            if comparison.other_lacks
                && let Some((&key, slot)) = mine
            {
                let state = slot.state.clone();
                findings.send.push(Entry { key, state });
            }
            if comparison.own_lacks
                && let Some((key, _)) = theirs
            {
                findings.want.push(*key);
            }
        }
    }

    /// Sends what the other replica asked for, and begins the next round if it is to follow.
    pub(super) fn grant(
        &mut self,
        to: ReplicaId,
        keys: Vec<Key>,
        again: bool,
        out: &mut EventualOutbox<R>,
    ) {
        let entries: Vec<_> = keys
            .into_iter()
            .filter_map(|key| {
                let state = self.table.get(key)?.clone();
                Some(Entry { key, state })
            })
            .collect();
        for entries in self.messages(entries) {
            out.send(to, Message::Repair { entries });
        }
        self.rounds.set_busy(to, again);
        if again {
            let sums = self.table.sums();
            out.send(to, Message::Compare { sums });
        }
    }
}

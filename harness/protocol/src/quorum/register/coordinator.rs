//! The operations that a replica coordinates.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::{
    ErrorKind, Key, OperationId, OperationResult, Outcome, ReplicaId, Time, Version,
};

use super::message::{Ask, Entry, Part};

/// How many operations a replica coordinates at a time; more are refused as overloaded.
pub(super) const UNDER_WAY_MAX: usize = 65_536;

/// How long an operation waits for its quorum before the coordinator forgets it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The sizes of the quorums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorums {
    /// How many replicas store data: the first of the placement.
    pub members: usize,
    /// How many answers a query needs.
    pub read: usize,
    /// How many acknowledgements a store needs.
    pub write: usize,
}

impl Quorums {
    /// Says whether every read quorum has one of so many holders of a value, as far as the sizes
    /// of quorums can make it so: where reads need not meet writes, no number of holders helps.
    const fn meet_all_reads(self, holders: usize) -> bool {
        self.read + self.write <= self.members || holders + self.read > self.members
    }
}

/// What an operation wants.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    /// The newest value; whether it is stored at a write quorum first when repliers disagree.
    Read {
        /// Whether it is.
        write_back: bool,
    },
    /// A value written under a tag above those of a read quorum.
    Write(Bytes),
}

/// What follows from an answer.
#[derive(Debug)]
pub(super) enum Next {
    /// The tags of a read quorum are known: the write needs its own, with this counter.
    Tag {
        /// One more than the largest seen.
        counter: u64,
        /// What is written.
        value: Bytes,
    },
    /// A read's value must be stored at a write quorum: ask all members.
    WriteBack(Part),
    /// The operation ended.
    Reply(OperationId, Outcome),
}

/// The operations under way at one coordinator.
#[derive(Debug)]
pub(super) struct Coordinator {
    quorums: Quorums,
    incarnation: u32,
    next_number: u64,
    under_way: BTreeMap<u64, UnderWay>,
    numbers: BTreeMap<OperationId, u64>,
}

#[derive(Debug)]
struct UnderWay {
    id: OperationId,
    key: Key,
    started: Time,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Querying {
        goal: Goal,
        answers: Vec<(ReplicaId, Version)>,
        newest: (Version, Option<Bytes>),
    },
    Storing {
        entry: Entry,
        acknowledged: Vec<ReplicaId>,
        result: OperationResult,
    },
}

impl Coordinator {
    /// Returns a coordinator without operations.
    pub(super) fn new(quorums: Quorums, incarnation: u32) -> Coordinator {
        Coordinator {
            quorums,
            incarnation,
            next_number: 0,
            under_way: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// Says whether an operation is under way.
    pub(super) fn knows(&self, id: OperationId) -> bool {
        self.numbers.contains_key(&id)
    }

    /// Says whether there is no room for another operation.
    pub(super) fn is_full(&self) -> bool {
        self.under_way.len() >= UNDER_WAY_MAX
    }

    /// Says how many operations are under way.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Begins with a query; returns what to ask all members.
    pub(super) fn query(&mut self, now: Time, id: OperationId, key: Key, goal: Goal) -> Part {
        let phase = Phase::Querying {
            goal,
            answers: Vec::with_capacity(self.quorums.read),
            newest: (Version::NONE, None),
        };
        self.begin(now, id, key, phase)
    }

    /// Begins with a store; returns what to ask all members.
    pub(super) fn store(&mut self, now: Time, id: OperationId, entry: Entry) -> Part {
        let key = entry.key;
        self.begin(now, id, key, Phase::writing(entry))
    }

    fn begin(&mut self, now: Time, id: OperationId, key: Key, phase: Phase) -> Part {
        let number = self.next_number;
        self.next_number += 1;
        let operation = UnderWay {
            id,
            key,
            started: now,
            phase,
        };
        let part = operation.request(self.ask(number));
        self.numbers.insert(id, number);
        self.under_way.insert(number, operation);
        part
    }

    /// Continues a write whose tags are known with its store; returns what to ask all members.
    /// `None` when the operation is not under way.
    pub(super) fn tagged(&mut self, ask: Ask, version: Version, value: Bytes) -> Option<Part> {
        let operation = self.under_way.get_mut(&ask.number)?;
        operation.phase = Phase::writing(Entry {
            key: operation.key,
            version,
            value,
        });
        Some(operation.request(ask))
    }

    fn ask(&self, number: u64) -> Ask {
        Ask {
            incarnation: self.incarnation,
            number,
        }
    }

    /// Takes a member's answer to a query.
    pub(super) fn answered(
        &mut self,
        ask: Ask,
        from: ReplicaId,
        version: Version,
        value: Option<Bytes>,
    ) -> Option<Next> {
        let quorums = self.quorums;
        let Quorums { read, write, .. } = quorums;
        let operation = self.find(ask)?;
        let Phase::Querying {
            goal,
            answers,
            newest,
        } = &mut operation.phase
        else {
            return None;
        };
        if answers.iter().any(|&(replica, _)| replica == from) {
            return None;
        }
        answers.push((from, version));
        if version > newest.0 {
            *newest = (version, value);
        }
        if answers.len() < read {
            return None;
        }
        let newest = std::mem::take(newest);
        let write_back = match goal {
            Goal::Write(value) => {
                return Some(Next::Tag {
                    counter: newest.0.major.saturating_add(1),
                    value: std::mem::take(value),
                });
            }
            Goal::Read { write_back } => *write_back,
        };
        // Whoever answered with the newest tag has it safe: that is an acknowledgement.
        let holders: Vec<ReplicaId> = answers
            .iter()
            .filter(|(_, version)| *version == newest.0)
            .map(|&(replica, _)| replica)
            .collect();
        let agree = holders.len() == answers.len() || holders.len() >= write;
        let is_seen_by_all = agree && quorums.meet_all_reads(holders.len());
        let result = OperationResult::Read {
            value: newest.1.clone(),
            version: newest.0,
        };
        match newest.1 {
            Some(value) if write_back && !is_seen_by_all => {
                operation.phase = Phase::Storing {
                    entry: Entry {
                        key: operation.key,
                        version: newest.0,
                        value,
                    },
                    acknowledged: holders,
                    result,
                };
                Some(Next::WriteBack(operation.request(ask)))
            }
            _ => self.end(ask, Outcome::Ok(result)),
        }
    }

    /// Takes a member's acknowledgement of a store.
    pub(super) fn stored(&mut self, ask: Ask, from: ReplicaId) -> Option<Next> {
        let write = self.quorums.write;
        let operation = self.find(ask)?;
        let Phase::Storing {
            acknowledged,
            result,
            ..
        } = &mut operation.phase
        else {
            return None;
        };
        if !acknowledged.contains(&from) {
            acknowledged.push(from);
        }
        if acknowledged.len() < write {
            return None;
        }
        let result = result.clone();
        self.end(ask, Outcome::Ok(result))
    }

    fn find(&mut self, ask: Ask) -> Option<&mut UnderWay> {
        if ask.incarnation != self.incarnation {
            return None;
        }
        self.under_way.get_mut(&ask.number)
    }

    /// Forgets an operation; returns its answer.
    pub(super) fn end(&mut self, ask: Ask, outcome: Outcome) -> Option<Next> {
        let operation = self.under_way.remove(&ask.number)?;
        self.numbers.remove(&operation.id);
        Some(Next::Reply(operation.id, outcome))
    }

    /// Returns what a member whose connection epoch began has not answered.
    pub(super) fn unanswered(&self, by: ReplicaId) -> Vec<Part> {
        self.under_way
            .iter()
            .filter(|(_, operation)| !operation.has_answer_of(by))
            .map(|(&number, operation)| operation.request(self.ask(number)))
            .collect()
    }

    /// Takes back the answers of a member whose connection epoch ended: it may come back without
    /// its storage, and an acknowledgement of its earlier life must not complete a quorum.
    pub(super) fn take_back(&mut self, from: ReplicaId) {
        for operation in self.under_way.values_mut() {
            match &mut operation.phase {
                Phase::Querying { answers, .. } => {
                    answers.retain(|&(replica, _)| replica != from);
                }
                Phase::Storing { acknowledged, .. } => {
                    acknowledged.retain(|&replica| replica != from);
                }
            }
        }
    }

    /// Forgets the operations that waited too long; returns their ids.
    pub(super) fn give_up(&mut self, now: Time) -> Vec<(OperationId, Outcome)> {
        let mut ended = Vec::new();
        while let Some(first) = self.under_way.first_entry() {
            if first.get().started + PATIENCE > now {
                break;
            }
            let operation = first.remove();
            self.numbers.remove(&operation.id);
            ended.push((operation.id, Outcome::Unknown(ErrorKind::TimedOut)));
        }
        ended
    }

    /// Returns how long the oldest operation may still wait; `None` when there is none.
    pub(super) fn patience_left(&self, now: Time) -> Option<Duration> {
        let (_, oldest) = self.under_way.first_key_value()?;
        Some((oldest.started + PATIENCE).since(now))
    }
}

impl Phase {
    fn writing(entry: Entry) -> Phase {
        let version = entry.version;
        Phase::Storing {
            entry,
            acknowledged: Vec::new(),
            result: OperationResult::Written { version },
        }
    }
}

impl UnderWay {
    /// Returns what the current phase asks of every member.
    fn request(&self, ask: Ask) -> Part {
        match &self.phase {
            Phase::Querying { goal, .. } => Part::Query {
                ask,
                key: self.key,
                with_value: matches!(goal, Goal::Read { .. }),
            },
            Phase::Storing { entry, .. } => Part::Store {
                ask,
                entry: entry.clone(),
            },
        }
    }

    fn has_answer_of(&self, member: ReplicaId) -> bool {
        match &self.phase {
            Phase::Querying { answers, .. } => {
                answers.iter().any(|&(replica, _)| replica == member)
            }
            Phase::Storing { acknowledged, .. } => acknowledged.contains(&member),
        }
    }
}

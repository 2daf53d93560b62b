//! Leader-follower replication: one leader orders writes in a log and ships it to followers.
//!
//! # Data
//!
//! The leader executes and answers a write when the mode's rule is met: it has persisted the
//! write itself (`async`), and so have K followers (`semi-sync=K`) or all of the in-sync set
//! (`sync`). Followers execute what the leader says is committed and they have persisted.
//! Everything is executed in log order, so a follower's state is a prefix of the leader's.
//!
//! # Leadership
//!
//! Who leads in which term, the in-sync set, and which replicas count are entries of a small log
//! of their own, which all replicas keep by consensus ([`Leadership`]). At the first start the
//! topology's leader leads term 1; that is installed, not elected. The data never pass through
//! that log, so a write costs what it costs without it.
//!
//! - A replica that has heard nothing of the leader for the election time-out T says so. When a
//!   majority does, the controller, which leads the small log, gathers positions and appoints the
//!   most up-to-date by (term, index). T is ten round trips of the slowest pair and at least 1 s,
//!   unless `election` states it.
//! - Whoever reports its position takes nothing more from the leader before. So no write is
//!   acknowledged on the strength of a replica that was counted for the choice without it, and a
//!   write that waited for K followers is in one of any N-K logs.
//! - The new leader opens its term with an entry, and brings all others to its log: what differs
//!   at the end of theirs is cut off and counted
//!   ([`Effect::Truncated`](crate::outbox::Effect::Truncated)). Who has executed what the leader
//!   does not have gets the leader's store instead of its own.
//! - `fencing=lease`: a leader acknowledges writes and answers reads for 3/4 of T after it sent a
//!   heartbeat that a majority heard; whoever heard it reports to nobody for T. `fencing=none`: it
//!   goes on until it hears of another. What an `async` leader acknowledges after the others have
//!   gone on without it is lost either way: the lease bounds how long that lasts.
//! - `sync`: the leader proposes a follower that was absent for T out of the in-sync set, and one
//!   that keeps up into it, and writes wait for everybody who is in the set by any agreement that
//!   is possible. The set is never less than a majority, so one of it is among the replicas
//!   whenever a leader can be appointed.
//! - A leader that restarts with its log asks to be appointed again: it may have shipped what it
//!   had not persisted, and cannot go on with that term.
//! - A replica that lost its storage has no vote in the consensus for the rest of the run. It is
//!   caught up like a new one, and then it is agreed that its new life counts. Until then it
//!   neither counts for acknowledgements nor as a candidate.
//!
//! # What is left out
//!
//! A leader does not give way to the topology's when that is back. The versions of writes are
//! indices of the log, so a version that was lost can be given again.
//!
//! Read in this order: [`log`](Entry), [`message`](Message), then `shipping`, `leading` and
//! `following` for the two roles, `attendance` for what a leader notes of followers, `leadership`
//! for what is agreed on, `succession` for how it passes on, `requests` for clients, `journal` and
//! `snapshot` for what outlives a process, and `replica`, which joins them.

mod attendance;
mod entries;
mod following;
mod journal;
mod leadership;
mod leading;
mod log;
mod message;
mod replica;
mod requests;
mod shipping;
mod snapshot;
mod succession;

#[cfg(test)]
mod bound_tests;
#[cfg(test)]
mod chart;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{Contact, ModeSpec, OperationKind, Path, Round, Topology};

use crate::mode::{Description, Mode, check_parameters, parameter_error, whole_number};
use crate::quorum::raft::ElectionTimeout;
use crate::replica::Member;

pub use entries::Entries;
pub use leadership::Leadership;
pub use log::{Entry, Position};
pub use message::{Append, Gather, Heartbeat, Lead, Message, Piece, Propose, Report, Timer};
pub use replica::LeaderFollowerReplica;

/// The mode family `leader-follower`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderFollower {
    /// Whose persistence a write waits for, besides the leader's.
    pub acknowledgement: Acknowledgement,
    /// Which replicas answer reads.
    pub read: ReadAt,
    /// Whether a leader that is cut off stops acknowledging.
    pub fencing: Fencing,
    /// The election time-outs; `None`: they follow from the topology, as
    /// [`Timeouts`](crate::quorum::timeouts::Timeouts) says.
    pub election: Option<ElectionTimeout>,
}

/// Whether a leader that is cut off stops acknowledging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fencing {
    /// It stops, before another can be appointed: it acknowledges writes, and answers reads at the
    /// leader, only for 3/4 of the election time-out after it sent what a majority heard. Safe
    /// while no replica's clock runs more than a third faster than the leader's.
    #[default]
    Lease,
    /// It goes on until it hears of another leader. What it acknowledges meanwhile can be lost.
    None,
}

/// Whose persistence a write waits for, besides the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Nobody's.
    Async,
    /// That of so many followers, from 1 to all.
    SemiSync(usize),
    /// That of all followers in the in-sync set.
    Sync,
}

/// Which replicas answer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAt {
    /// The leader alone.
    Leader,
    /// Every replica, from what it has executed.
    Nearest,
}

const READ_PARAMETER: (&str, &str) = (
    "read",
    "leader or nearest: which replica answers reads; default leader",
);

const FENCING_PARAMETER: (&str, &str) = (
    "fencing",
    "lease or none: whether a leader that no majority hears stops acknowledging, and answering \
     reads at the leader, after 3/4 of the election time-out, or goes on until it hears of \
     another; default lease",
);

const ELECTION_PARAMETER: (&str, &str) = (
    "election",
    "MIN is for how long a leader must be silent to a majority before another is appointed, and \
     a follower absent to leave the in-sync set; from MIN to MAX replicas wait before they \
     elect another controller; e.g. 150ms-300ms, MIN 20 ms to 10 min, MAX up to 10 MIN; \
     heartbeats are MIN/20 apart; default: 10 to 20 round trips of the slowest pair, at least \
     1 s to 2 s",
);

const READ_FLOOR: &str = "d(c,l); with read=nearest d(c,s)";

const SOURCE: &str = "MySQL Reference Manual, Semisynchronous Replication; PostgreSQL \
     documentation, Synchronous Replication; Kafka documentation, Replication (in-sync set), and \
     KIP-500 (the controllers' own log); Patroni documentation (leader key); Ongaro and \
     Ousterhout, In Search of an Understandable Consensus Algorithm (terms, log matching); \
     Ongaro, Consensus: Bridging Theory and Practice, section 6.4.1 (leases)";

impl Mode for LeaderFollower {
    type Replica = LeaderFollowerReplica;

    const DESCRIPTIONS: &'static [Description] = &[
        Description {
            family: "leader-follower",
            variant: "async",
            form: "leader-follower:async[,read=leader|nearest][,fencing=lease|none][,election=MIN-MAX]",
            summary: "the leader answers a write when it has persisted it, and ships it to followers meanwhile",
            parameters: &[READ_PARAMETER, FENCING_PARAMETER, ELECTION_PARAMETER],
            guarantee: "acknowledged writes that no follower has yet are lost with the leader, of which another, the most up-to-date of a majority, takes the place; all replicas converge; as long as the leader stays the same, reads at the leader are linearizable and reads at a follower see a prefix of the log, monotonic while the session sticks to it; with fencing=none a leader that is cut off also acknowledges what will be lost",
            write_floor: "d(c,l)",
            read_floor: READ_FLOOR,
            source: SOURCE,
        },
        Description {
            family: "leader-follower",
            variant: "semi-sync",
            form: "leader-follower:semi-sync=K[,read=leader|nearest][,fencing=lease|none][,election=MIN-MAX]",
            summary: "the leader answers a write when it and K followers have persisted it",
            parameters: &[
                (
                    "semi-sync",
                    "K, how many followers a write waits for, from 1 to N-1; default 1",
                ),
                READ_PARAMETER,
                FENCING_PARAMETER,
                ELECTION_PARAMETER,
            ],
            guarantee: "nothing acknowledged is lost while fewer than K+1 copies lose what they keep: a new leader is the most up-to-date of at least N-K replicas and of a majority, and when fewer can be reached nobody leads; with fewer than K followers up writes wait until they time out; reads at the leader are linearizable under its lease, with fencing=none only as long as the leader stays the same; reads at a follower see a prefix of the log, monotonic while the session sticks to it",
            write_floor: "d(c,l) + K-th d(l,f)",
            read_floor: READ_FLOOR,
            source: SOURCE,
        },
        Description {
            family: "leader-follower",
            variant: "sync",
            form: "leader-follower:sync[,read=leader|nearest][,fencing=lease|none][,election=MIN-MAX]",
            summary: "the leader answers a write when all replicas of the in-sync set have persisted it",
            parameters: &[READ_PARAMETER, FENCING_PARAMETER, ELECTION_PARAMETER],
            guarantee: "nothing acknowledged is lost while a majority keeps what it has; the in-sync set is all replicas at first and changes only by agreement: who is absent for the election time-out leaves it, who has caught up comes back, and it is never less than a majority, so that writes go on while a majority is up; reads as in semi-sync",
            write_floor: "d(c,l) + max d(l,f) over the in-sync set",
            read_floor: READ_FLOOR,
            source: SOURCE,
        },
    ];

    fn parse(spec: &ModeSpec, topology: &Topology) -> Result<LeaderFollower, ModeError> {
        let takes_argument = spec.variant == "semi-sync";
        check_parameters(spec, takes_argument, &["read", "fencing", "election"])?;
        let acknowledgement = match spec.variant.as_str() {
            "async" => Acknowledgement::Async,
            "semi-sync" => Acknowledgement::SemiSync(parse_count(spec, topology)?),
            "sync" => Acknowledgement::Sync,
            _ => {
                return Err(ModeError::Unknown {
                    text: spec.to_string(),
                });
            }
        };
        let given = |parameter| spec.parameters.get(parameter).map(String::as_str);
        let unfit = |parameter, text, choices| {
            let why = format!("'{text}' is neither {choices}");
            Err(parameter_error(spec, parameter, why))
        };
        let read = match given("read") {
            None | Some("leader") => ReadAt::Leader,
            Some("nearest") => ReadAt::Nearest,
            Some(other) => return unfit("read", other, "leader nor nearest"),
        };
        let fencing = match given("fencing") {
            None | Some("lease") => Fencing::Lease,
            Some("none") => Fencing::None,
            Some(other) => return unfit("fencing", other, "lease nor none"),
        };
        let election = match given("election").map(str::parse::<ElectionTimeout>) {
            None => None,
            Some(Ok(election)) => Some(election),
            Some(Err(why)) => return Err(parameter_error(spec, "election", why.to_string())),
        };
        Ok(LeaderFollower {
            acknowledgement,
            read,
            fencing,
            election,
        })
    }

    fn path(&self, kind: OperationKind, topology: &Topology) -> Option<Path> {
        if !kind.is_write() {
            let contact = match self.read {
                ReadAt::Leader => Contact::Leader,
                ReadAt::Nearest => Contact::Nearest,
            };
            return Some(Path {
                contact,
                rounds: Vec::new(),
            });
        }
        let among = topology.replicas.len();
        let rounds = match self.acknowledgement {
            Acknowledgement::Async => Vec::new(),
            Acknowledgement::SemiSync(count) => vec![Round {
                acknowledgements: count + 1,
                among,
            }],
            Acknowledgement::Sync => vec![Round {
                acknowledgements: among,
                among,
            }],
        };
        Some(Path {
            contact: Contact::Leader,
            rounds,
        })
    }

    fn replica(&self, member: Member) -> LeaderFollowerReplica {
        LeaderFollowerReplica::new(*self, member)
    }
}

fn parse_count(spec: &ModeSpec, topology: &Topology) -> Result<usize, ModeError> {
    let followers = topology.replicas.len().saturating_sub(1);
    if followers == 0 {
        let why = "a single replica has no followers to wait for; place at least 2 replicas";
        return Err(parameter_error(spec, "semi-sync", why));
    }
    let given = whole_number(spec, "semi-sync", spec.argument.as_ref(), 1..=followers)?;
    Ok(given.unwrap_or(1))
}

//! Leader-follower replication: one leader orders writes in a log and ships it to followers.
//!
//! The leader executes and answers a write when the mode's rule is met: it has persisted the
//! write itself (`async`), and so have K followers (`semi-sync=K`) or all of the in-sync set
//! (`sync`). Followers execute what the leader says is committed and they have persisted.
//! Everything is executed in log order, so a follower's state is a prefix of the leader's.
//!
//! Reads are answered from the executed state: at the leader without a lease, so that a leader
//! that was replaced without knowing could answer with an old value.
//!
//! The leader is the topology's. Each of its lives leads a new term, which it persists first.
//! What is not decided here is who leads instead when it is gone: until it is back, writes are
//! refused, and a leader whose storage kept nothing does not lead again. The in-sync set is part
//! of the protocol and of what is persisted; it is all replicas until an agreement changes it, so
//! that in `sync` one follower that is down holds up all writes until they time out at the
//! client.
//!
//! Read in this order: [`log`](Entry), [`message`](Message), then `shipping`, `leading` and
//! `following` for the two roles, `journal` and `snapshot` for what outlives a process, and
//! `replica`, which joins them.

mod entries;
mod following;
mod journal;
mod leading;
mod log;
mod message;
mod replica;
mod shipping;
mod snapshot;

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
use crate::replica::Member;

pub use entries::Entries;
pub use log::{Entry, Position};
pub use message::{Append, Lead, Leadership, Message, Piece, Timer};
pub use replica::LeaderFollowerReplica;

/// The mode family `leader-follower`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderFollower {
    /// Whose persistence a write waits for, besides the leader's.
    pub acknowledgement: Acknowledgement,
    /// Which replicas answer reads.
    pub read: ReadAt,
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

const READ_FLOOR: &str = "d(c,l); with read=nearest d(c,s)";

const SOURCE: &str = "MySQL Reference Manual, Semisynchronous Replication; PostgreSQL \
     documentation, Synchronous Replication; Kafka documentation, Replication (in-sync set); \
     Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (terms, log \
     matching)";

impl Mode for LeaderFollower {
    type Replica = LeaderFollowerReplica;

    const DESCRIPTIONS: &'static [Description] = &[
        Description {
            family: "leader-follower",
            variant: "async",
            form: "leader-follower:async[,read=leader|nearest]",
            summary: "the leader answers a write when it has persisted it, and ships it to followers meanwhile",
            parameters: &[READ_PARAMETER],
            guarantee: "acknowledged writes that no follower has yet are lost with the leader; reads at the leader hold no lease, so they are linearizable only while it is the only one; reads at a follower see a prefix of the log, monotonic while the session sticks to it",
            write_floor: "d(c,l)",
            read_floor: READ_FLOOR,
            source: SOURCE,
        },
        Description {
            family: "leader-follower",
            variant: "semi-sync",
            form: "leader-follower:semi-sync=K[,read=leader|nearest]",
            summary: "the leader answers a write when it and K followers have persisted it",
            parameters: &[
                (
                    "semi-sync",
                    "K, how many followers a write waits for, from 1 to N-1; default 1",
                ),
                READ_PARAMETER,
            ],
            guarantee: "nothing acknowledged is lost while fewer than K+1 copies fail and a new leader is the most up-to-date of N-K reachable replicas; with fewer than K followers up writes wait until they time out; reads as in async",
            write_floor: "d(c,l) + K-th d(l,f)",
            read_floor: READ_FLOOR,
            source: SOURCE,
        },
        Description {
            family: "leader-follower",
            variant: "sync",
            form: "leader-follower:sync[,read=leader|nearest]",
            summary: "the leader answers a write when all replicas of the in-sync set have persisted it",
            parameters: &[READ_PARAMETER],
            guarantee: "nothing acknowledged is lost while one copy of the in-sync set is left; the set changes only by agreement and is all replicas at first: while one of them is down writes wait until they time out; reads as in async",
            write_floor: "d(c,l) + max d(l,f) over the in-sync set",
            read_floor: READ_FLOOR,
            source: SOURCE,
        },
    ];

    fn parse(spec: &ModeSpec, topology: &Topology) -> Result<LeaderFollower, ModeError> {
        check_parameters(spec, spec.variant == "semi-sync", &["read"])?;
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
        let read = match spec.parameters.get("read").map(String::as_str) {
            None | Some("leader") => ReadAt::Leader,
            Some("nearest") => ReadAt::Nearest,
            Some(other) => {
                let why = format!("'{other}' is neither leader nor nearest");
                return Err(parameter_error(spec, "read", why));
            }
        };
        Ok(LeaderFollower {
            acknowledgement,
            read,
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

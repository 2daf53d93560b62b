//! The leaderless register: `quorum:register`.
//!
//! Every key is an atomic register kept by quorums, without a leader or a log: Attiya, Bar-Noy and
//! Dolev, "Sharing Memory Robustly in Message-Passing Systems", Journal of the ACM 42(1), 1995; for
//! many writers Lynch and Shvartsman, "Robust Emulation of Shared Memory Using Dynamic
//! Quorum-Acknowledged Broadcasts", FTCS 1997.
//!
//! The first n replicas are members, which store data; a client asks its nearest replica, which
//! coordinates. Requests go to all members and the quorum's first answers count, so a slow member
//! outside the quorum costs nothing. The coordinator, when a member, asks itself without a message.
//!
//! - `phases=2`: a write asks for tags, waits for r, and stores its value under a greater one,
//!   waiting for w. A read asks for tags and values, waits for r, and is done if all agree and no
//!   other read can miss them (r + r > n); otherwise it stores the newest at w first (the
//!   write-back).
//! - `phases=1`: a write stores at w under a tag of the coordinator's hybrid clock; a read takes
//!   the newest of r answers. It is not linearizable whatever r and w: a write whose coordinator's
//!   clock lags is stored under a lesser tag than an earlier one, acknowledged, and never read; and
//!   two reads on either side of a write under way may see it first and then not.
//!
//! A tag is (counter, coordinator, incarnation, sequence), so no two writes share one. As a
//! [`Version`](longhaul_experiment::Version) the counter is `major` (with `phases=1` the hybrid
//! clock's reading), and the rest is packed into `minor` by [`crate::eventual::stamp::Writer`].
//!
//! Only reads and writes are supported: registers cannot agree (Herlihy, "Wait-Free
//! Synchronization", 1991), so nothing conditional can be atomic here. Retries are not recognised
//! once the first attempt ended: a retried write may be written again, under a newer tag. While an
//! attempt is under way at the same coordinator, its repetition starts nothing.
//!
//! Left out: read repair of members outside the quorum, and any change of the members. Members
//! that could not be reached catch up on a key with its next write or write-back alone.

mod catch_up;
mod coordinator;
mod message;
mod replica;
mod shelf;
#[cfg(test)]
mod tests;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{Contact, ModeSpec, OperationKind, Path, Round, Topology};

pub use coordinator::Quorums;
pub use message::{Ask, Entry, Message, Part};
pub use replica::{Phases, RegisterReplica, RegisterTimer};

use crate::eventual::stamp::REPLICAS_MAX;
use crate::mode::{Description, Mode, check_parameters, parameter_error, whole_number};
use crate::replica::Member;

/// The register's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Members and quorums.
    pub quorums: Quorums,
    /// One or two.
    pub phases: Phases,
}

impl Mode for Register {
    type Replica = RegisterReplica;

    const DESCRIPTIONS: &'static [Description] = &[Description {
        family: "quorum",
        variant: "register",
        form: "quorum:register[,n=N][,r=R][,w=W][,phases=1|2]",
        summary: "A leaderless register for each key: any replica coordinates, quorums answer.",
        parameters: &[
            (
                "n",
                "how many replicas store data, the first of the placement: 1 to all; default all",
            ),
            (
                "r",
                "how many answers a query needs: 1 to n; default a majority of n",
            ),
            (
                "w",
                "how many acknowledgements a store needs: 1 to n; default a majority of n",
            ),
            (
                "phases",
                "2: a write asks for tags before it stores, and a read writes back what repliers \
                 disagree on; 1: neither; default 2",
            ),
        ],
        guarantee: "phases=2 is linearizable if and only if r + w > n; phases=1 never is: a \
                    lagging clock can lose an acknowledged write. A retry may write again.",
        write_floor: "d(c,s) + (r-1)-th d(s,m) + (w-1)-th d(s,m); phases=1: d(c,s) + (w-1)-th \
                      d(s,m)",
        read_floor: "d(c,s) + (r-1)-th d(s,m); phases=2: a write-back adds up to (w-1)-th d(s,m) \
                     when repliers disagree and, with r + r <= n < r + w, whenever the key has a \
                     value",
        source: "Attiya, Bar-Noy and Dolev (1995); Lynch and Shvartsman (1997)",
    }];

    fn parse(spec: &ModeSpec, topology: &Topology) -> Result<Register, ModeError> {
        check_parameters(spec, false, &["n", "r", "w", "phases"])?;
        let replicas = topology.replicas.len();
        if replicas > REPLICAS_MAX {
            return Err(parameter_error(
                spec,
                "n",
                format!(
                    "tags tell {REPLICAS_MAX} replicas apart, and {replicas} are placed: place fewer"
                ),
            ));
        }
        let number = |name: &str, largest: usize| {
            whole_number(spec, name, spec.parameters.get(name), 1..=largest)
        };
        let members = number("n", replicas)?.unwrap_or(replicas);
        let majority = members / 2 + 1;
        let read = number("r", members)?.unwrap_or(majority);
        let write = number("w", members)?.unwrap_or(majority);
        let phases = match spec.parameters.get("phases").map(String::as_str) {
            None | Some("2") => Phases::Two,
            Some("1") => Phases::One,
            Some(other) => {
                let why = format!("'{other}' is neither 1 nor 2");
                return Err(parameter_error(spec, "phases", why));
            }
        };
        Ok(Register {
            quorums: Quorums {
                members,
                read,
                write,
            },
            phases,
        })
    }

    fn path(&self, kind: OperationKind, _topology: &Topology) -> Option<Path> {
        let Quorums {
            members,
            read,
            write,
        } = self.quorums;
        let round = |acknowledgements| Round {
            acknowledgements,
            among: members,
        };
        let rounds = match (kind, self.phases) {
            (OperationKind::Read, _) => vec![round(read)],
            (OperationKind::Write, Phases::One) => vec![round(write)],
            (OperationKind::Write, Phases::Two) => vec![round(read), round(write)],
            _ => return None,
        };
        Some(Path {
            contact: Contact::Nearest,
            rounds,
        })
    }

    fn replica(&self, member: Member) -> RegisterReplica {
        RegisterReplica::new(&member, self.quorums, self.phases)
    }
}

//! Eventual consistency without a leader: `eventual:lww`.
//!
//! Any replica takes a write alone, acknowledges it when its own storage has it (W = 1), and tells
//! the others in the background; a read is answered from what the replica has (R = 1). Replicas
//! that stop being written to become equal; until then reads may be stale, may go back in time
//! between replicas, and a write may be lost to a concurrent one with a greater version. How stale
//! reads are is what a run measures (Bailis, Venkataraman, Franklin, Hellerstein and Stoica,
//! "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012).
//!
//! The design follows DeCandia et al., "Dynamo: Amazon's Highly Available Key-value Store", SOSP
//! 2007, without its ring: every replica has every key. Three ways lead a write to a replica:
//!
//! - replication: one message per peer and batch with the batch's writes ([`replica`]);
//! - hinted hand-off: while a peer is away its keys are remembered, up to a bound, and sent when it
//!   is back; they are kept until the peer has acknowledged them as safe ([`outgoing`]);
//! - anti-entropy: at every interval each pair compares digests and repairs what differs, which
//!   covers discarded hints, crashes and lost storage ([`anti_entropy`]).
//!
//! Conflicts are the business of a [`Resolver`]; the last writer wins by hybrid logical clocks
//! ([`stamp`]) in the one there is. A version is the clock's reading and a number that no other
//! write has. A retried write is another write, with a greater version.
//!
//! A replica that lost its storage starts empty and serves at once, from nothing: anti-entropy
//! refills it. Its clock starts from its wall clock, so its first writes may be older than what it
//! wrote before; they never share a version, because its incarnation is new.
//!
//! [`replica`]: EventualReplica
//! [`outgoing`]: EventualReplica::hints
//! [`anti_entropy`]: Message::Compare

mod anti_entropy;
#[cfg(test)]
pub(crate) mod chart;
mod journal;
mod message;
mod outgoing;
mod replica;
mod resolver;
pub mod stamp;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{Contact, ModeSpec, OperationKind, Path, Topology};

pub use message::{Entry, ListedBucket, Message};
pub use replica::{EventualReplica, EventualTimer, MessageOf};
pub use resolver::{Comparison, LastWriterWins, Resolver, Written};

use crate::mode::{Description, Mode, check_parameters, parameter_error};
use crate::replica::Member;

/// The shortest and the longest interval of anti-entropy, in milliseconds.
const INTERVAL_MS: std::ops::RangeInclusive<u64> = 10..=3_600_000;

/// The parameters of `eventual:lww`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eventual {
    /// How long after a round of anti-entropy the next begins.
    pub interval: Duration,
}

impl Mode for Eventual {
    type Replica = EventualReplica<LastWriterWins>;

    const DESCRIPTIONS: &'static [Description] = &[Description {
        family: "eventual",
        variant: "lww",
        form: "eventual:lww[,interval=MS]",
        summary: "Any replica acknowledges alone and tells the others afterwards; the last writer \
                  wins.",
        parameters: &[(
            "interval",
            "milliseconds between rounds of anti-entropy: 10 to 3600000; default the larger of \
             1000 and 4 of the largest round trips",
        )],
        guarantee: "Convergence alone: reads may be stale, and of concurrent writes one is lost, \
                    though both are acknowledged. A retry writes again.",
        write_floor: "d(c,s)",
        read_floor: "d(c,s)",
        source: "DeCandia et al. (Dynamo, SOSP 2007); Kulkarni et al. (hybrid logical clocks, \
                 OPODIS 2014)",
    }];

    fn parse(spec: &ModeSpec, topology: &Topology) -> Result<Eventual, ModeError> {
        check_parameters(spec, false, &["interval"])?;
        let replicas = topology.replicas.len();
        if replicas > stamp::REPLICAS_MAX {
            let why = format!(
                "versions tell {} replicas apart, and {replicas} are placed: place fewer",
                stamp::REPLICAS_MAX
            );
            return Err(parameter_error(spec, "lww", why));
        }
        let interval = match spec.parameters.get("interval") {
            None => (4 * topology.largest_round_trip()).max(Duration::from_secs(1)),
            Some(text) => {
                let given = text.parse().ok().filter(|ms| INTERVAL_MS.contains(ms));
                Duration::from_millis(given.ok_or_else(|| {
                    let why = format!(
                        "'{text}' is not a whole number of milliseconds from {} to {}",
                        INTERVAL_MS.start(),
                        INTERVAL_MS.end()
                    );
                    parameter_error(spec, "interval", why)
                })?)
            }
        };
        Ok(Eventual { interval })
    }

    fn path(&self, kind: OperationKind, _topology: &Topology) -> Option<Path> {
        LastWriterWins.supports(kind).then_some(Path {
            contact: Contact::Nearest,
            rounds: Vec::new(),
        })
    }

    fn replica(&self, member: Member) -> Self::Replica {
        EventualReplica::new(&member, LastWriterWins, self.interval)
    }
}

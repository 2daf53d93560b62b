//! The message pattern of one operation: what its floor, its Monte Carlo and `explain` share.
//!
//! A mode states the pattern of each operation as data; `analysis` evaluates it over a topology.
//! That keeps floors out of the protocols and lets a new mode have one by stating it.

use serde::{Deserialize, Serialize};

/// Which replica a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contact {
    /// The leader, which clients know.
    Leader,
    /// The replica nearest to the client.
    Nearest,
}

/// One wait of the contacted replica: it asks `among` replicas and goes on when it holds
/// `acknowledgements` answers. Its own answer takes no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// How many answers complete the round, the contacted replica's own included.
    pub acknowledgements: usize,
    /// The members asked: the first `among` replicas of the placement.
    pub among: usize,
}

/// The message pattern of one operation on its stated route.
///
/// Its floor is d(client, contact) + the sum over rounds of the `acknowledgements`-th smallest
/// d(contact, member), d the round trip at minimum delays and zero to itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Whom the client asks.
    pub contact: Contact,
    /// The waits, one after the other; none when the contacted replica answers at once.
    pub rounds: Vec<Round>,
}

//! Leaderless modes without quorums.

#[cfg(test)]
pub(crate) mod chart;
pub mod stamp;

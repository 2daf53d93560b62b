//! How stale a partial quorum's reads are: the project's register against the PBS model.
//!
//! Bailis, Venkataraman, Franklin, Hellerstein and Stoica, "Probabilistically Bounded Staleness for
//! Practical Partial Quorums", PVLDB 5(8), 2012. A coordinator outside the replicas sends a write
//! to all n (W), each acknowledges (A), and w acknowledgements end it; t later a read is sent to
//! all n (R), and the first r responses (S) give its result. Each of the four messages has a delay
//! distribution of its own, drawn anew for every message.
//!
//! 1. [`Fit`]: the four distributions, with the paper's fits in [`FITS`];
//! 2. [`predict`]: a Monte Carlo of the model, without replicas;
//! 3. [`simulate`]: `quorum:register,phases=1` replicas in virtual time, one more than store data
//!    so that the coordinator is external; messages are really exchanged, as datagrams.
//!
//! Left out by both, as in the paper: failures, loss, read repair and anti-entropy, concurrent
//! writers, the time that replicas take, and any dependence between the delays of messages.

mod delay;
mod outcome;
mod paper;
mod replicas;
#[cfg(test)]
mod tests;
mod wars;

use longhaul_experiment::{Seed, parallel};

pub use delay::{Delay, FITS, Fit};
pub use outcome::{Measured, Point, Sorted, Staleness};
pub use paper::{PaperFigures, paper_figures};
pub use wars::predict;

/// The most replicas of a setting.
pub const REPLICAS_MAX: usize = 15;

/// The most writes of a setting.
pub const SAMPLES_MAX: usize = 10_000_000;

/// The most reads after each write.
pub const DISTANCES_MAX: usize = 64;

/// What is modelled.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The delays.
    pub fit: Fit,
    /// n: how many replicas store data, 1 to [`REPLICAS_MAX`].
    pub replicas: usize,
    /// r: how many responses end a read, 1 to n.
    pub read_quorum: usize,
    /// w: how many acknowledgements end a write, 1 to n.
    pub write_quorum: usize,
    /// How many writes are drawn, 1 to [`SAMPLES_MAX`].
    pub samples: usize,
}

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A number is out of range.
    #[error("{name} is {given}, and must be from 1 to {most}")]
    OutOfRange {
        /// What it counts.
        name: &'static str,
        /// What was given.
        given: usize,
        /// The largest allowed.
        most: usize,
    },
    /// The reads' distances are too many, not finite, below zero, or not ascending.
    #[error(
        "reads must begin at most {DISTANCES_MAX} finite, ascending times of at least 0 ms after the write"
    )]
    Distances,
}

impl Setting {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// Names the first number that is out of range.
    pub fn check(&self) -> Result<(), SettingError> {
        let bounds = [
            ("the number of replicas", self.replicas, REPLICAS_MAX),
            ("the read quorum", self.read_quorum, self.replicas),
            ("the write quorum", self.write_quorum, self.replicas),
            ("the number of samples", self.samples, SAMPLES_MAX),
        ];
        for (name, given, most) in bounds {
            if !(1..=most).contains(&given) {
                return Err(SettingError::OutOfRange { name, given, most });
            }
        }
        Ok(())
    }

    /// Says whether every read quorum meets every write quorum, so that no read is stale.
    pub fn is_strict(&self) -> bool {
        self.read_quorum + self.write_quorum > self.replicas
    }
}

/// Runs the setting on the register's replicas, with a read at each of the distances (ms after
/// the write's end, ascending). The reads of one write share its delays; at one distance all reads
/// are independent. All cores are used; the result is a function of setting, seed and distances.
///
/// # Errors
///
/// The setting or the distances are out of range.
pub fn simulate(
    setting: &Setting,
    seed: Seed,
    distances_ms: &[f64],
) -> Result<Measured, SettingError> {
    setting.check()?;
    let usable = |t: &f64| t.is_finite() && *t >= 0.0;
    if distances_ms.len() > DISTANCES_MAX
        || !distances_ms.iter().all(usable)
        || !distances_ms.is_sorted_by(|a, b| a < b)
    {
        return Err(SettingError::Distances);
    }
    let chunks = replicas::chunks(setting.samples);
    let seen = parallel::map(&chunks, parallel::processors(), |&chunk| {
        replicas::run_chunk(setting, seed, chunk, distances_ms)
    });
    Ok(replicas::join(seen))
}

/// Returns distances to read at: a coarse grid over the prediction, and a fine one around its t
/// for 99.9%.
pub fn distances(predicted: &Staleness) -> Vec<f64> {
    let t999 = predicted.t_for(0.999);
    if t999 == 0.0 {
        return vec![0.0, 1.0, 10.0];
    }
    let coarse = [0.0, 0.02, 0.05, 0.1, 0.2, 0.35].into_iter();
    let fine = (0..9).map(|step| libm::exp2((f64::from(step) - 4.0) / 4.0));
    let beyond = [3.0].into_iter();
    let factors = coarse.chain(fine).chain(beyond);
    factors.map(|factor| factor * t999).collect()
}

//! A round trip's jitter, split into that of one direction.
//!
//! Public figures are round trips. Both directions of a link are taken to be independent and
//! alike, so a direction's jitter is a distribution whose sum with an independent copy of itself
//! is the round trip's. For a gamma (and an exponential, a gamma of shape 1) and a normal that
//! is exact: mean and variance halve. For a table of quantiles it is found numerically.
//!
//! Let `p_k`, `q_k` be the table. The direction gets the probabilities `sqrt(p_k)`: two
//! directions are both below a delay with probability `p_k` when each is with `sqrt(p_k)`. Its
//! delays `v_k` then lie between `q_k / 2` and `q_k`, because the sum of two delays lies between
//! the greater of them and twice that. From a heavy tail's end of this range, `q_k`, each `v_k` is
//! scaled by the asked over the reached quantile until they agree. The sum's distribution needs no
//! grid: between two quantiles the delay is uniform, so the convolution is a sum of integrals of a
//! piecewise linear function.

use std::time::Duration;

use thiserror::Error;

use super::Marginal;

/// The most by which a quantile of the split round trip may differ from the table's.
pub const TOLERANCE: f64 = 0.05;

/// The most quantiles that a table of a round trip may have; the search takes time with the
/// cube of their number, about a quarter of a second at this many.
pub const MAX_ROUND_TRIP_QUANTILES: usize = 32;

/// The steps without an improvement of a hundredth after which the search ends.
const PATIENCE: usize = 40;
/// The relative error at which it is done.
const CONVERGED: f64 = 1e-4;

/// A round trip's jitter that is not the sum of two equal independent directions.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SplitError {
    /// No rule splits the distribution.
    #[error(
        "a round trip's {0} jitter cannot be split into directions; state gamma, normal, exponential or quantiles, or the `jitter` of one direction"
    )]
    Unsupported(&'static str),
    /// The table has too many quantiles to be split.
    #[error(
        "a round trip's table of {0} quantiles is too long to be split; state at most {MAX_ROUND_TRIP_QUANTILES}"
    )]
    TooManyQuantiles(usize),
    /// The best split is too far off the table.
    #[error(
        "two independent directions cannot reproduce the round trip's quantile {probability}: {asked_ms} ms asked, {reached_ms} ms reached; state the `jitter` of one direction"
    )]
    Irreproducible {
        /// The worst quantile's probability.
        probability: f64,
        /// The table's delay in milliseconds.
        asked_ms: f64,
        /// The split's in milliseconds.
        reached_ms: f64,
    },
}

impl Marginal {
    /// Returns the distribution of one direction, given that of a round trip of two independent
    /// directions alike.
    ///
    /// A normal is split before its clamping at zero, so the round trip is exact only as far as
    /// clamping is rare. A table of quantiles is reproduced at each of its probabilities within
    /// [`TOLERANCE`] of the delay, or a microsecond.
    ///
    /// # Errors
    ///
    /// [`SplitError`] for a distribution that cannot be split.
    pub fn one_way_of_round_trip(&self) -> Result<Marginal, SplitError> {
        Ok(match self {
            Marginal::None => Marginal::None,
            Marginal::Gamma { mean, deviation } => Marginal::Gamma {
                mean: half(*mean),
                deviation: over_root_two(*deviation),
            },
            Marginal::Normal { mean, deviation } => Marginal::Normal {
                mean: *mean / 2,
                deviation: over_root_two(*deviation),
            },
            Marginal::Exponential { mean } => Marginal::Gamma {
                mean: half(*mean),
                deviation: over_root_two(*mean),
            },
            Marginal::Quantiles(table) => Marginal::Quantiles(split_table(table)?),
            Marginal::Uniform { .. } => return Err(SplitError::Unsupported("uniform")),
            Marginal::Pareto { .. } => return Err(SplitError::Unsupported("pareto")),
            Marginal::ParetoNormal { .. } => return Err(SplitError::Unsupported("paretonormal")),
            Marginal::Mixture(_) => return Err(SplitError::Unsupported("mixture")),
        })
    }
}

/// Half a delay that must not become zero.
fn half(delay: Duration) -> Duration {
    (delay / 2).max(Duration::from_nanos(1))
}

fn over_root_two(delay: Duration) -> Duration {
    delay
        .mul_f64(std::f64::consts::FRAC_1_SQRT_2)
        .max(Duration::from_nanos(1))
}

fn split_table(table: &[(f64, Duration)]) -> Result<Vec<(f64, Duration)>, SplitError> {
    if table.len() > MAX_ROUND_TRIP_QUANTILES {
        return Err(SplitError::TooManyQuantiles(table.len()));
    }
    let asked: Vec<f64> = table.iter().map(|(_, delay)| delay.as_secs_f64()).collect();
    let probabilities = table.iter().map(|(p, _)| libm::sqrt(*p)).collect();
    let mut direction = Direction::new(probabilities, asked.clone());
    // Where the probabilities are certain (0 and 1), extremes add up exactly.
    let last = table.len() - 1;
    let ceiling = if table[last].0 >= 1.0 {
        asked[last] / 2.0
    } else {
        asked[last]
    };
    if table[0].0 <= 0.0 {
        direction.delays[0] /= 2.0;
    }
    direction.keep_ascending(ceiling);
    let mut best = (f64::INFINITY, direction.clone());
    let mut since_best = 0;
    while best.0 > CONVERGED && since_best < PATIENCE {
        let reached = direction.round_trip_quantiles(table);
        let error = worst(&asked, &reached).1;
        since_best += 1;
        if error < best.0 * 0.99 {
            best = (error, direction.clone());
            since_best = 0;
        }
        for (index, (probability, _)) in table.iter().enumerate() {
            let inner = *probability > 0.0 && *probability < 1.0;
            if inner && reached[index] > 0.0 {
                let scaled = direction.delays[index] * asked[index] / reached[index];
                // Half the step: neighbours move each other's quantiles.
                direction.delays[index] = ((direction.delays[index] + scaled) / 2.0)
                    .clamp(asked[index] / 2.0, asked[index]);
            }
        }
        direction.keep_ascending(ceiling);
    }
    let reached = best.1.round_trip_quantiles(table);
    let (index, error) = worst(&asked, &reached);
    if error > TOLERANCE {
        return Err(SplitError::Irreproducible {
            probability: table[index].0,
            asked_ms: asked[index] * 1e3,
            reached_ms: (reached[index] * 1e6).round() / 1e3,
        });
    }
    Ok(best.1.into_table())
}

/// Returns the index and size of the largest relative error; below a microsecond none counts.
fn worst(asked: &[f64], reached: &[f64]) -> (usize, f64) {
    let mut largest = (0, 0.0);
    for (index, (&asked, &reached)) in asked.iter().zip(reached).enumerate() {
        let difference = (asked - reached).abs();
        let error = difference / asked.max(1e-9);
        if difference > 1e-6 && error > largest.1 {
            largest = (index, error);
        }
    }
    largest
}

/// One direction's added delay: piecewise linear between quantiles, flat beyond the last.
#[derive(Clone)]
struct Direction {
    probabilities: Vec<f64>,
    /// In seconds, ascending.
    delays: Vec<f64>,
    /// The integral of the distribution up to each delay.
    integrals: Vec<f64>,
}

impl Direction {
    fn new(probabilities: Vec<f64>, delays: Vec<f64>) -> Direction {
        let mut direction = Direction {
            integrals: vec![0.0; delays.len()],
            probabilities,
            delays,
        };
        direction.integrate();
        direction
    }

    /// Keeps the delays in order and at most `ceiling`.
    fn keep_ascending(&mut self, ceiling: f64) {
        let mut least = 0.0;
        for delay in &mut self.delays {
            *delay = delay.clamp(least, ceiling.max(least));
            least = *delay;
        }
        self.integrate();
    }

    fn integrate(&mut self) {
        for index in 1..self.delays.len() {
            let width = self.delays[index] - self.delays[index - 1];
            let height = (self.probabilities[index] + self.probabilities[index - 1]) / 2.0;
            self.integrals[index] = self.integrals[index - 1] + width * height;
        }
    }

    /// Returns the probability of at most `delay`, and the integral of that from zero to `delay`.
    fn distribution_and_integral(&self, delay: f64) -> (f64, f64) {
        let above = self.delays.partition_point(|known| *known <= delay);
        if above == 0 {
            return (0.0, 0.0);
        }
        let low = self.delays[above - 1];
        if above == self.delays.len() {
            return (1.0, self.integrals[above - 1] + (delay - low));
        }
        let (from, to) = (self.probabilities[above - 1], self.probabilities[above]);
        let reached = from + (to - from) * (delay - low) / (self.delays[above] - low);
        let area = (delay - low) * (from + reached) / 2.0;
        (reached, self.integrals[above - 1] + area)
    }

    /// Returns the probability that two independent directions add at most `delay`.
    fn round_trip_distribution(&self, delay: f64) -> f64 {
        let last = self.delays.len() - 1;
        let beyond = 1.0 - self.probabilities[last];
        let mut sum = beyond * self.distribution_and_integral(delay - self.delays[last]).0;
        for index in 1..self.delays.len() {
            let (low, high) = (self.delays[index - 1], self.delays[index]);
            let share = self.probabilities[index] - self.probabilities[index - 1];
            // Narrower than a nanosecond the difference of integrals is rounding error: an atom.
            sum += if high - low < 1e-9 {
                share * self.distribution_and_integral(delay - high).0
            } else {
                let (_, from_low) = self.distribution_and_integral(delay - low);
                let (_, from_high) = self.distribution_and_integral(delay - high);
                share * (from_low - from_high) / (high - low)
            };
        }
        sum
    }

    fn round_trip_quantiles(&self, table: &[(f64, Duration)]) -> Vec<f64> {
        let most = 2.0 * self.delays[self.delays.len() - 1];
        let least = 2.0 * self.delays[0];
        let quantile = |probability: f64| {
            // The distribution is a sum of rounded terms; without the slack an atom's own
            // probability would be missed.
            let wanted = probability - 1e-12;
            if probability <= 0.0 || self.round_trip_distribution(least) >= wanted {
                return least;
            }
            let (mut low, mut high) = (least, most);
            for _ in 0..48 {
                let middle = (low + high) / 2.0;
                if self.round_trip_distribution(middle) < wanted {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            high
        };
        table.iter().map(|(p, _)| quantile(*p)).collect()
    }

    fn into_table(self) -> Vec<(f64, Duration)> {
        let delays = self.delays.into_iter().map(Duration::from_secs_f64);
        self.probabilities.into_iter().zip(delays).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::{Seed, Stream};

    fn table(figures: &[(f64, f64)]) -> Vec<(f64, Duration)> {
        figures
            .iter()
            .map(|&(p, ms)| (p, Duration::from_secs_f64(ms / 1e3)))
            .collect()
    }

    /// Added to p50 on EC2 in 2013, median over 56 pairs of regions.
    const HEAVY_TAIL: [(f64, f64); 8] = [
        (0.0, 0.0),
        (0.5, 0.0),
        (0.75, 4.5),
        (0.95, 12.0),
        (0.99, 25.0),
        (0.999, 67.0),
        (0.9999, 98.0),
        (0.99999, 233.0),
    ];

    fn draw(table: &[(f64, Duration)], probability: f64) -> f64 {
        let above = table.partition_point(|(p, _)| *p < probability);
        let seconds = |index: usize| table[index].1.as_secs_f64();
        match above {
            0 => seconds(0),
            _ if above == table.len() => seconds(above - 1),
            _ => {
                let (from, to) = (table[above - 1].0, table[above].0);
                let share = (probability - from) / (to - from);
                seconds(above - 1) + share * (seconds(above) - seconds(above - 1))
            }
        }
    }

    #[test]
    fn a_heavy_tailed_table_is_reproduced_by_the_sum_of_two_draws() {
        let asked = table(&HEAVY_TAIL);
        let direction = split_table(&asked).unwrap();
        let mut generator = Seed(1).stream(Stream::MonteCarlo, 0);
        let mut sums: Vec<f64> = (0..400_000)
            .map(|_| {
                draw(&direction, generator.random::<f64>())
                    + draw(&direction, generator.random::<f64>())
            })
            .collect();
        sums.sort_by(f64::total_cmp);
        // 400 000 draws leave 400 above p99.9: its rank errs by sqrt(400) = 20, which is 5% of
        // the tail's probability and about 2% of its delay. Beyond it the convolution is exact.
        for &(probability, delay) in &asked[2..6] {
            let reached = sums[(probability * sums.len() as f64) as usize];
            let error = (reached / delay.as_secs_f64() - 1.0).abs();
            assert!(error < 0.05, "p{probability}: {reached} for {delay:?}");
        }
        let zeros = sums.iter().filter(|sum| **sum == 0.0).count() as f64 / 4e5;
        assert!((zeros - 0.5).abs() < 0.005, "half stay at zero: {zeros}");
    }

    #[test]
    fn a_heavy_tailed_table_is_reproduced_by_convolution_up_to_its_last_quantile() {
        let asked = table(&HEAVY_TAIL);
        let direction = split_table(&asked).unwrap();
        let direction = Direction::new(
            direction.iter().map(|(p, _)| *p).collect(),
            direction.iter().map(|(_, v)| v.as_secs_f64()).collect(),
        );
        for ((probability, asked), reached) in
            asked.iter().zip(direction.round_trip_quantiles(&asked))
        {
            let difference = (reached - asked.as_secs_f64()).abs();
            assert!(
                difference <= 0.05 * asked.as_secs_f64() + 1e-6,
                "p{probability}: {reached} for {asked:?}"
            );
        }
    }

    #[test]
    fn a_table_without_an_atom_is_split_too() {
        // A round trip that is the sum of two uniforms on 0..10 ms: triangular on 0..20, whose
        // quantiles are 20 sqrt(p/2) below the middle and 20 - 20 sqrt((1-p)/2) above.
        let asked = table(&[
            (0.0, 0.0),
            (0.125, 5.0),
            (0.5, 10.0),
            (0.875, 15.0),
            (1.0, 20.0),
        ]);
        let direction = split_table(&asked).unwrap();
        assert_eq!(direction[4], (1.0, Duration::from_millis(10)));
        // The median of the direction lies near 5 ms = half the round trip's.
        let median = draw(&direction, 0.5);
        assert!((median - 0.005).abs() < 0.0008, "{median}");
    }

    #[test]
    fn the_least_round_trip_is_twice_the_least_direction() {
        let direction = split_table(&table(&[(0.0, 2.0), (0.5, 3.0), (0.99, 9.0)])).unwrap();
        assert_eq!(direction[0], (0.0, Duration::from_millis(1)));
    }

    #[test]
    fn two_values_with_a_gap_cannot_be_split() {
        // Half at 0 and half at 10 ms: two directions that reach 10 also reach 0 + 10 and
        // 10 + 10, so a share of the round trips would have to be at 20.
        let asked = table(&[(0.0, 0.0), (0.5, 0.0), (0.5001, 10.0), (1.0, 10.0)]);
        assert!(matches!(
            split_table(&asked),
            Err(SplitError::Irreproducible { .. })
        ));
    }

    #[test]
    fn a_gamma_keeps_mean_and_variance_when_two_directions_add_up() {
        let round_trip = Marginal::Gamma {
            mean: Duration::from_millis(4),
            deviation: Duration::from_millis(2),
        };
        let Marginal::Gamma { mean, deviation } = round_trip.one_way_of_round_trip().unwrap()
        else {
            panic!("a gamma splits into gammas");
        };
        assert_eq!(mean, Duration::from_millis(2));
        // Variances add: 2 x (2/sqrt 2)^2 = 4 = 2^2 ms^2. A nanosecond's rounding of 1.414 ms is
        // 2 x 2 x 1.414e-3 x 0.5e-9 = 3e-12 of it.
        let variance = deviation.as_secs_f64() * deviation.as_secs_f64();
        assert!((2.0 * variance - 4e-6).abs() < 1e-11);
    }

    #[test]
    fn a_uniform_round_trip_is_refused() {
        let uniform = Marginal::Uniform {
            low: Duration::ZERO,
            high: Duration::from_millis(1),
        };
        assert_eq!(
            uniform.one_way_of_round_trip(),
            Err(SplitError::Unsupported("uniform"))
        );
    }
}

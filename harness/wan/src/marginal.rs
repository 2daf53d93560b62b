//! Marginal distributions of jitter: exact tails, exact quantiles, and a fast table of them.

use std::time::Duration;

use longhaul_experiment::profile::Marginal;
use longhaul_experiment::random::Generator;
use longhaul_experiment::time::nanos;

use crate::{gamma, normal};

/// The normal score at which tables end on both sides: beyond it the value at the end holds. It
/// leaves out one draw in 10^9 on either side.
const SCORE_MAX: f64 = 6.0;

/// Cells of a table per unit of normal score.
const CELLS_PER_UNIT: f64 = 64.0;

const CELLS: usize = (2.0 * SCORE_MAX * CELLS_PER_UNIT) as usize;

/// No added delay is longer: 11 days, which keeps every sum within [`longhaul_experiment::Time`].
const DELAY_NS_MAX: f64 = 1e15;

/// The quantile function of a [`Marginal`], tabulated over the normal score.
///
/// A look-up interpolates linearly between cells of 1/64: within 1% of the exact quantile from
/// the median to the 99.999th percentile for every smooth marginal. Where the marginal jumps, the
/// jump is spread over one cell, at most 0.7% of the probability.
///
/// Caution: building a table of a gamma or of a mixture takes about a millisecond; share it.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantileTable {
    values_ns: Vec<f64>,
    constant: bool,
}

impl QuantileTable {
    /// Tabulates a marginal. Parameters without meaning (a deviation that is not a number, a
    /// mixture without weight) give no delay.
    pub fn new(marginal: &Marginal) -> QuantileTable {
        let mut values_ns: Vec<f64> = Vec::with_capacity(CELLS + 1);
        for cell in 0..=CELLS {
            let z = cell as f64 / CELLS_PER_UNIT - SCORE_MAX;
            // Quantiles ascend, so each search starts from the one before.
            let from = values_ns.last().copied().unwrap_or(0.0);
            values_ns.push(quantile_ns(marginal, z, from).max(from));
        }
        let constant = values_ns[0] == values_ns[CELLS];
        QuantileTable {
            values_ns,
            constant,
        }
    }

    /// Returns the added delay in nanoseconds at a normal score.
    pub fn at_score(&self, z: f64) -> f64 {
        let position = ((z + SCORE_MAX) * CELLS_PER_UNIT).clamp(0.0, CELLS as f64);
        let cell = (position as usize).min(CELLS - 1);
        let (left, right) = (self.values_ns[cell], self.values_ns[cell + 1]);
        left + (right - left) * (position - cell as f64)
    }

    /// Returns the added delay that a share `p` (0 to 1) of all instants does not exceed.
    pub fn quantile(&self, p: f64) -> Duration {
        let z = normal::score(p.clamp(0.0, 1.0), (1.0 - p).clamp(0.0, 1.0));
        Duration::from_nanos(self.at_score(z) as u64)
    }

    /// Draws an added delay, to the nanosecond; nothing is drawn when it never varies.
    ///
    /// Caution: draws are independent of each other. Links draw from [`crate::jitter`] instead,
    /// which is a process in time.
    pub fn draw(&self, generator: &mut Generator) -> Duration {
        let score = if self.is_constant() {
            0.0
        } else {
            normal::draw(generator)
        };
        Duration::from_nanos(self.at_score(score) as u64)
    }

    /// Says whether the added delay never varies.
    pub fn is_constant(&self) -> bool {
        self.constant
    }
}

/// Returns the share of a marginal's draws that fall below zero and are clamped to it, 0 to 1.
///
/// A clamped marginal has a larger mean and a smaller deviation than its parameters say; whoever
/// uses one reports this share.
pub fn clamped_share(marginal: &Marginal) -> f64 {
    match marginal {
        Marginal::Normal { mean, deviation } => {
            if deviation.is_zero() {
                return 0.0;
            }
            normal::below(-ns(*mean) / ns(*deviation))
        }
        Marginal::ParetoNormal { mean, deviation } => {
            normal::below(pareto_normal_score(0.0, *mean, *deviation))
        }
        Marginal::Mixture(components) => {
            let total: f64 = components.iter().map(|component| component.weight).sum();
            let clamped: f64 = components
                .iter()
                .map(|component| component.weight * clamped_share(&component.marginal))
                .sum();
            if total > 0.0 { clamped / total } else { 0.0 }
        }
        _ => 0.0,
    }
}

/// Returns a marginal's exact quantile in nanoseconds at a normal score, given any value that it
/// is not below.
pub(crate) fn quantile_ns(marginal: &Marginal, z: f64, from: f64) -> f64 {
    let upper = normal::below(-z);
    let value = match marginal {
        Marginal::None => 0.0,
        Marginal::Uniform { low, high } => {
            ns(*low) + (ns(*high) - ns(*low)).max(0.0) * normal::below(z)
        }
        Marginal::Normal { mean, deviation } => ns(*mean) + z * ns(*deviation),
        Marginal::Gamma { mean, deviation } => match gamma_shape(*mean, *deviation) {
            None => ns(*mean),
            Some(shape) if shape >= gamma::LARGE_SHAPE => {
                ns(*mean) * gamma::quantile_of_large_shape(shape, z)
            }
            Some(_) => invert(marginal, z, from),
        },
        Marginal::Pareto { scale, shape } => ns(*scale) * (libm::pow(upper, -1.0 / shape) - 1.0),
        Marginal::ParetoNormal { mean, deviation } => {
            ns(*mean) + ns(*deviation) * pareto_normal_sigmas(z)
        }
        Marginal::Exponential { mean } => -ns(*mean) * libm::log(upper),
        Marginal::Mixture(_) => invert(marginal, z, from),
        Marginal::Quantiles(points) => interpolate(points, normal::below(z)),
    };
    // What is not a number comes from meaningless parameters: no delay.
    if value.is_nan() {
        return 0.0;
    }
    value.clamp(0.0, DELAY_NS_MAX)
}

/// Returns the probabilities that a draw is at most `x` and above it (`x` in nanoseconds, at
/// least zero).
fn tails(marginal: &Marginal, x: f64) -> (f64, f64) {
    let at_score = |z: f64| (normal::below(z), normal::below(-z));
    let step_at = |place: f64| if x >= place { (1.0, 0.0) } else { (0.0, 1.0) };
    match marginal {
        Marginal::None => step_at(0.0),
        Marginal::Uniform { low, high } => {
            let (low, high) = (ns(*low), ns(*high));
            if high <= low {
                return step_at(low);
            }
            let below = ((x - low) / (high - low)).clamp(0.0, 1.0);
            (below, 1.0 - below)
        }
        Marginal::Normal { mean, deviation } => {
            if deviation.is_zero() {
                return step_at(ns(*mean));
            }
            at_score((x - ns(*mean)) / ns(*deviation))
        }
        Marginal::Gamma { mean, deviation } => match gamma_shape(*mean, *deviation) {
            None => step_at(ns(*mean)),
            Some(shape) => gamma::tails(shape, x * shape / ns(*mean)),
        },
        Marginal::Pareto { scale, shape } => {
            if scale.is_zero() {
                return step_at(0.0);
            }
            let above = libm::pow(1.0 + x / ns(*scale), -shape);
            (1.0 - above, above)
        }
        Marginal::ParetoNormal { mean, deviation } => {
            at_score(pareto_normal_score(x, *mean, *deviation))
        }
        Marginal::Exponential { mean } => {
            if mean.is_zero() {
                return step_at(0.0);
            }
            let exponent = -x / ns(*mean);
            (-libm::expm1(exponent), libm::exp(exponent))
        }
        Marginal::Mixture(components) => {
            let total: f64 = components.iter().map(|component| component.weight).sum();
            if total.is_nan() || total <= 0.0 {
                return step_at(0.0);
            }
            components
                .iter()
                .fold((0.0, 0.0), |(below, above), component| {
                    let (left, right) = tails(&component.marginal, x);
                    let share = component.weight / total;
                    (below + share * left, above + share * right)
                })
        }
        Marginal::Quantiles(points) => {
            let below = probability(points, x);
            (below, 1.0 - below)
        }
    }
}

/// Returns the least `x` at which the tails reach the normal score `z`.
///
/// The search runs in scores, where smooth marginals are nearly straight: regula falsi, and every
/// third step a bisection so that a jump cannot stall it.
fn invert(marginal: &Marginal, z: f64, from: f64) -> f64 {
    let excess = |x: f64| {
        let (below, above) = tails(marginal, x);
        normal::score(below, above).clamp(-40.0, 40.0) - z
    };
    let (mut low, mut low_excess) = (from, excess(from));
    if low_excess >= 0.0 {
        return low;
    }
    let mut step = (from * 0.02).max(1.0);
    let (mut high, mut high_excess) = (from + step, excess(from + step));
    while high_excess < 0.0 {
        if high > DELAY_NS_MAX {
            return DELAY_NS_MAX;
        }
        (low, low_excess) = (high, high_excess);
        step *= 2.0;
        high = low + step;
        high_excess = excess(high);
    }
    for round in 1..200 {
        if high - low <= high * 1e-9 + 1e-3 {
            break;
        }
        let middle = if round % 3 == 0 {
            0.5 * (low + high)
        } else {
            low + (high - low) * (-low_excess / (high_excess - low_excess)).clamp(0.01, 0.99)
        };
        let middle_excess = excess(middle);
        if middle_excess.abs() < 1e-9 {
            return middle;
        }
        if middle_excess < 0.0 {
            (low, low_excess) = (middle, middle_excess);
        } else {
            (high, high_excess) = (middle, middle_excess);
        }
    }
    high
}

/// Returns (mean / deviation)^2; `None` when the delay is constant.
fn gamma_shape(mean: Duration, deviation: Duration) -> Option<f64> {
    if mean.is_zero() || deviation.is_zero() {
        return None;
    }
    let ratio = ns(mean) / ns(deviation);
    Some(ratio * ratio)
}

/// The pareto-normal quantile in sigmas at a normal score.
///
/// iproute2's table (`netem/paretonormal.c`, after NIST Net) averages quantiles, not densities: a
/// quarter of the normal's and three quarters of the Pareto's, (U^(-1/3) - 1.5) x 4/3, which its
/// 16-bit entries of 1/8192 sigma cap at 32767/8192.
fn pareto_normal_sigmas(z: f64) -> f64 {
    const CAP: f64 = 32_767.0 / 8_192.0;
    let pareto = (4.0 / 3.0) * (libm::pow(normal::below(-z), -1.0 / 3.0) - 1.5);
    (0.25 * z + 0.75 * pareto.min(CAP)).min(CAP)
}

/// Returns the score at which the pareto-normal quantile reaches `x`, by bisection; ends at the
/// scores -40 and 40.
fn pareto_normal_score(x: f64, mean: Duration, deviation: Duration) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if ns(mean) + ns(deviation) * pareto_normal_sigmas(middle) <= x {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Returns the delay at probability `p` among stated quantiles.
fn interpolate(points: &[(f64, Duration)], p: f64) -> f64 {
    let above = points.partition_point(|(probability, _)| *probability <= p);
    match (
        above.checked_sub(1).map(|left| points[left]),
        points.get(above),
    ) {
        (None, None) => 0.0,
        (None, Some((_, first))) => ns(*first),
        (Some((_, last)), None) => ns(last),
        (Some((left_p, left)), Some((right_p, right))) => {
            ns(left) + (ns(*right) - ns(left)) * (p - left_p) / (right_p - left_p)
        }
    }
}

/// Returns the largest probability whose stated quantile is at most `x`.
fn probability(points: &[(f64, Duration)], x: f64) -> f64 {
    let above = points.partition_point(|(_, delay)| ns(*delay) <= x);
    match (
        above.checked_sub(1).map(|left| points[left]),
        points.get(above),
    ) {
        (None, Some(_)) => 0.0,
        (_, None) => 1.0,
        (Some((left_p, left)), Some((right_p, right))) => {
            left_p + (right_p - left_p) * (x - ns(left)) / (ns(*right) - ns(left))
        }
    }
}

fn ns(duration: Duration) -> f64 {
    nanos(duration) as f64
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::profile::Component;
    use longhaul_experiment::{Seed, Stream};
    use statrs::distribution::{ContinuousCDF, Gamma};

    use super::*;

    fn ms(milliseconds: f64) -> Duration {
        Duration::from_secs_f64(milliseconds / 1e3)
    }

    fn table_ms(marginal: &Marginal, p: f64) -> f64 {
        QuantileTable::new(marginal).quantile(p).as_secs_f64() * 1e3
    }

    fn near(value: f64, exact: f64, share: f64) {
        assert!(
            (value - exact).abs() <= exact.abs() * share + 1e-6,
            "{value} instead of {exact}"
        );
    }

    #[test]
    fn gamma_quantiles_are_within_one_percent_up_to_five_nines() {
        for (mean, deviation) in [(2.0, 1.0), (0.5, 2.0), (10.0, 0.3), (5.0, 5.0)] {
            let shape = (mean / deviation) * (mean / deviation);
            let oracle = Gamma::new(shape, shape / mean).unwrap();
            let table = QuantileTable::new(&Marginal::Gamma {
                mean: ms(mean),
                deviation: ms(deviation),
            });
            for p in [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999] {
                // The oracle's own inversion is inexact: ask for the probability of our answer
                // instead, a little to either side.
                let answer = table.quantile(p).as_secs_f64() * 1e3;
                assert!(
                    oracle.cdf(answer * 1.01 + 1e-6) >= p,
                    "{shape} {p}: {answer}"
                );
                assert!(
                    oracle.cdf(answer * 0.99 - 1e-6) <= p,
                    "{shape} {p}: {answer}"
                );
            }
        }
    }

    #[test]
    fn closed_forms_are_within_one_percent_up_to_five_nines() {
        for p in [0.5f64, 0.9, 0.99, 0.999, 0.99999] {
            let exponential = Marginal::Exponential { mean: ms(3.0) };
            near(table_ms(&exponential, p), -3.0 * libm::log(1.0 - p), 0.01);
            let uniform = Marginal::Uniform {
                low: ms(1.0),
                high: ms(3.0),
            };
            near(table_ms(&uniform, p), 1.0 + 2.0 * p, 0.01);
            for shape in [1.1, 1.5, 3.0] {
                let pareto = Marginal::Pareto {
                    scale: ms(2.0),
                    shape,
                };
                let exact = 2.0 * (libm::pow(1.0 - p, -1.0 / shape) - 1.0);
                near(table_ms(&pareto, p), exact, 0.01);
            }
        }
        assert_eq!(table_ms(&Marginal::None, 0.99), 0.0);
    }

    #[test]
    fn normal_is_clamped_at_zero_and_tells_the_share() {
        let normal = Marginal::Normal {
            mean: ms(1.0),
            deviation: ms(1.0),
        };
        assert_eq!(table_ms(&normal, 0.1), 0.0);
        near(table_ms(&normal, 0.5), 1.0, 0.01);
        near(table_ms(&normal, 0.975), 1.0 + 1.959_964, 0.01);
        // One deviation below the mean: 15.87% of the draws.
        near(clamped_share(&normal), 0.158_655, 1e-4);
    }

    #[test]
    fn pareto_normal_averages_quantiles_and_is_capped() {
        let marginal = Marginal::ParetoNormal {
            mean: ms(10.0),
            deviation: ms(2.0),
        };
        // At the median: 0/4 + 3/4 x (0.5^(-1/3) - 1.5) x 4/3 = 1.259921 - 1.5 = -0.240079.
        near(table_ms(&marginal, 0.5), 10.0 - 2.0 * 0.240_079, 1e-3);
        // Never more than 4 sigmas: 10 + 8 ms.
        assert!(table_ms(&marginal, 1.0) <= 18.0);
        assert!(clamped_share(&marginal) < 1e-12);
        // At z = -1: -0.25 + (0.841345^(-1/3) - 1.5) = -0.25 + 1.059284 - 1.5 = -0.690716; a mean
        // of that many deviations is clamped with probability 15.87%.
        let half = Marginal::ParetoNormal {
            mean: ms(0.690_716),
            deviation: ms(1.0),
        };
        near(clamped_share(&half), 0.158_655, 1e-3);
    }

    #[test]
    fn a_mixture_inverts_the_weighted_sum_of_its_tails() {
        let mixture = Marginal::Mixture(vec![
            Component {
                weight: 0.9,
                marginal: Marginal::None,
            },
            Component {
                weight: 0.1,
                marginal: Marginal::Uniform {
                    low: ms(10.0),
                    high: ms(20.0),
                },
            },
        ]);
        assert_eq!(table_ms(&mixture, 0.5), 0.0);
        // p = 0.95 is the middle of the uniform's share; 0.99 is nine tenths into it.
        near(table_ms(&mixture, 0.95), 15.0, 0.01);
        near(table_ms(&mixture, 0.99), 19.0, 0.01);
    }

    #[test]
    fn stated_quantiles_are_met_and_flat_beyond_the_last() {
        let stated = Marginal::Quantiles(vec![
            (0.0, ms(1.0)),
            (0.5, ms(2.0)),
            (0.99, ms(26.0)),
            (0.999, ms(90.0)),
        ]);
        near(table_ms(&stated, 0.25), 1.5, 0.01);
        near(table_ms(&stated, 0.5), 2.0, 0.06);
        near(table_ms(&stated, 0.99), 26.0, 0.03);
        near(table_ms(&stated, 0.9999), 90.0, 0.01);
    }

    #[test]
    fn draws_are_those_of_the_marginal_and_nothing_is_drawn_for_a_constant_one() {
        let table = QuantileTable::new(&Marginal::Exponential { mean: ms(3.0) });
        let mut generator = Seed(5).stream(Stream::Sync, 0);
        let total: Duration = (0..10_000).map(|_| table.draw(&mut generator)).sum();
        // The mean of 10^4 draws deviates by 3 ms / 100; four of these are granted.
        near(total.as_secs_f64() / 10.0, 3.0, 0.04);
        let drawn = generator.get_word_pos();
        let none = QuantileTable::new(&Marginal::None);
        assert_eq!(none.draw(&mut generator), Duration::ZERO);
        assert_eq!(generator.get_word_pos(), drawn);
    }

    #[test]
    fn meaningless_parameters_give_no_delay_instead_of_a_panic() {
        for marginal in [
            Marginal::Mixture(vec![]),
            Marginal::Quantiles(vec![]),
            Marginal::Pareto {
                scale: Duration::ZERO,
                shape: f64::NAN,
            },
            Marginal::Gamma {
                mean: Duration::ZERO,
                deviation: ms(1.0),
            },
        ] {
            assert!(QuantileTable::new(&marginal).is_constant(), "{marginal:?}");
            assert_eq!(table_ms(&marginal, 0.999), 0.0);
        }
    }
}

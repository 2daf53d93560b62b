//! Jitter as a process in time.
//!
//! Drawing each frame's delay on its own and keeping frames in order makes a running maximum: the
//! denser the frames, the worse the jitter. Here the delay is a function of time instead: a
//! stationary Gaussian process gives a normal score at every instant, and the marginal's quantile
//! function turns the score into a delay. How often it is looked at changes nothing.
//!
//! The process must also be smooth. A diffusion (an Ornstein-Uhlenbeck process) falls faster than
//! time passes within every interval, however short, so a stream in order would follow its running
//! maximum again. The score here has a velocity: its covariance is the Matern function with
//! smoothness 3/2, (1 + lambda t) e^(-lambda t). Its slope at any one instant is lambda times a
//! standard normal draw that does not depend on the score, and so
//!
//! ```text
//! |d delay / dt| = dq/dz * lambda * |N(0, 1)|        q(z): the delay at the normal score z
//! ```
//!
//! A frame waits for the one before it only where the delay falls by more than 1 ms per ms:
//! **order costs nothing where dq/dz * lambda is far below 1**. For a heavy tail that rises by
//! 55 ms per unit of score at p99.9, with a correlation time of 1 s (lambda = 2.15/s), the product
//! is 0.12 ms per ms: a wait takes a fall of eight standard deviations. With 100 ms it is 1.2, and
//! two falls in five from that height make frames wait.

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::profile::Jitter;
use longhaul_experiment::random::Generator;
use longhaul_experiment::time::nanos;

use crate::marginal::QuantileTable;
use crate::normal;

/// lambda times the correlation time: the root of (1 + c) e^(-c) = e^(-1), which makes the
/// autocorrelation at the correlation time 1/e. (At 2.146193: 3.146193 x 0.116928 = 0.367879.)
const RATE: f64 = 2.146_193_220_620_582_6;

/// Steps of this many 1/lambda and more leave nothing of the state: (1 + 40) e^(-40) = 2e-16.
const STEP_MAX: f64 = 40.0;

/// The added delay of one directed link over time.
///
/// The score is a critically damped oscillator driven by white noise, a Gauss-Markov process of
/// second order; its transition is exact for any step. Sources: C. E. Rasmussen and
/// C. K. I. Williams, "Gaussian Processes for Machine Learning" (2006), section 4.2.1, for the
/// covariance; J. Hartikainen and S. Sarkka, "Kalman filtering and smoothing solutions to temporal
/// Gaussian process regression models" (MLSP 2010), for the state and its transition.
#[derive(Clone, Debug)]
pub struct JitterProcess {
    table: Arc<QuantileTable>,
    /// lambda. Infinite: every later instant is independent.
    rate_per_ns: f64,
    state: State,
    at: Time,
    generator: Generator,
}

/// The score and its slope per 1/lambda: two independent standard normals at any one instant.
#[derive(Clone, Copy, Debug)]
struct State {
    score: f64,
    slope: f64,
}

impl JitterProcess {
    /// Starts the process in its stationary state. The table must be of `jitter`'s marginal.
    pub fn new(jitter: &Jitter, table: Arc<QuantileTable>, mut generator: Generator) -> Self {
        JitterProcess {
            table,
            rate_per_ns: rate_per_ns(jitter),
            state: State::draw(&mut generator),
            at: Time::ZERO,
            generator,
        }
    }

    /// Returns the added delay at an instant. The same or an earlier instant than the last one
    /// gets the last one's delay.
    pub fn delay_at(&mut self, at: Time) -> Duration {
        if !self.table.is_constant() {
            self.advance(at);
        }
        Duration::from_nanos(self.table.at_score(self.state.score) as u64)
    }

    /// Changes the distribution and the correlation time from here on; the score goes on, so a
    /// congested link stays congested.
    pub fn set_jitter(&mut self, jitter: &Jitter, table: Arc<QuantileTable>) {
        self.table = table;
        self.rate_per_ns = rate_per_ns(jitter);
    }

    /// Returns the table in use.
    pub fn table(&self) -> Arc<QuantileTable> {
        Arc::clone(&self.table)
    }

    fn advance(&mut self, at: Time) {
        if at <= self.at {
            return;
        }
        let step_ns = (at.as_nanos() - self.at.as_nanos()) as f64;
        // Both draws are made in every case: their number must not depend on the step.
        let fresh = State::draw(&mut self.generator);
        let step = step_ns * self.rate_per_ns;
        self.state = if step < STEP_MAX {
            Transition::over(step).apply(self.state, fresh)
        } else {
            fresh
        };
        self.at = at;
    }
}

impl State {
    fn draw(generator: &mut Generator) -> State {
        State {
            score: normal::draw(generator),
            slope: normal::draw(generator),
        }
    }
}

/// What a step of the process keeps of the state, and the factor of the noise that it adds.
///
/// With u = lambda dt and the slope per 1/lambda, the state keeps
/// A = e^(-u) [[1 + u, u], [-u, 1 - u]]. The noise has the covariance Q = I - A A^T, which leaves
/// the stationary covariance I as it was:
///
/// ```text
/// Q11 = 1 - e^(-2u) (1 + 2u + 2u^2)    4/3 u^3 for small u
/// Q12 = 2 u^2 e^(-2u)                  2 u^2
/// Q22 = 1 - e^(-2u) (1 - 2u + 2u^2)    4 u
/// ```
struct Transition {
    kept: [[f64; 2]; 2],
    /// The Cholesky factor of Q: what the first draw adds to score and slope, and the second
    /// draw to the slope.
    noise: [f64; 3],
}

impl Transition {
    /// The step is in units of 1/lambda, above zero and below [`STEP_MAX`].
    fn over(step: f64) -> Transition {
        let lost = libm::expm1(-step);
        let kept = 1.0 + lost;
        let squared = kept * kept;
        let twice = 2.0 * step;
        let score_variance = score_variance(twice, squared);
        let covariance = 2.0 * step * step * squared;
        // 1 - e^(-2u) is -lost (2 + lost), without the cancellation; the rest is small with u.
        let slope_variance = -lost * (2.0 + lost) + squared * twice * (1.0 - step);
        let score_from_first = score_variance.sqrt();
        let slope_from_first = covariance / score_from_first;
        // 4u - 3u for small u: a digit is lost, not more. Never negative but by rounding.
        let rest = (slope_variance - slope_from_first * slope_from_first).max(0.0);
        Transition {
            kept: [
                [kept * (1.0 + step), kept * step],
                [-kept * step, kept * (1.0 - step)],
            ],
            noise: [score_from_first, slope_from_first, rest.sqrt()],
        }
    }

    fn apply(&self, state: State, fresh: State) -> State {
        let [[score_score, score_slope], [slope_score, slope_slope]] = self.kept;
        let [score_first, slope_first, slope_second] = self.noise;
        State {
            score: score_score * state.score
                + score_slope * state.slope
                + score_first * fresh.score,
            slope: slope_score * state.score
                + slope_slope * state.slope
                + slope_first * fresh.score
                + slope_second * fresh.slope,
        }
    }
}

/// Returns 1 - e^(-s) (1 + s + s^2/2), given s and e^(-s).
fn score_variance(s: f64, exponential: f64) -> f64 {
    if s >= 0.25 {
        // At least 0.002: the subtraction costs three digits of sixteen.
        return 1.0 - exponential * (1.0 + s + 0.5 * s * s);
    }
    // The rest of the exponential's series, e^(-s) (s^3/3! + s^4/4! + ...), as s^3/6 times
    // 1 + s/4 + s^2/(4 5) + ...: the first term left out, 6 s^9/12!, is below 1e-13. Even and odd
    // powers apart, so that a processor can sum both at once.
    let square = s * s;
    let even = SERIES[0]
        + square * (SERIES[2] + square * (SERIES[4] + square * (SERIES[6] + square * SERIES[8])));
    let odd = SERIES[1] + square * (SERIES[3] + square * (SERIES[5] + square * SERIES[7]));
    exponential * s * square * (1.0 / 6.0) * (even + s * odd)
}

/// 3! / (k + 3)!.
const SERIES: [f64; 9] = [
    1.0,
    1.0 / 4.0,
    1.0 / 20.0,
    1.0 / 120.0,
    1.0 / 840.0,
    1.0 / 6_720.0,
    1.0 / 60_480.0,
    1.0 / 604_800.0,
    1.0 / 6_652_800.0,
];

/// Returns lambda per nanosecond; infinite without a correlation time.
fn rate_per_ns(jitter: &Jitter) -> f64 {
    RATE / nanos(jitter.correlation) as f64
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::profile::Marginal;
    use longhaul_experiment::{Seed, Stream};

    use super::*;

    fn process(marginal: Marginal, correlation_ms: u64, index: u64) -> JitterProcess {
        let table = Arc::new(QuantileTable::new(&marginal));
        let jitter = Jitter {
            marginal,
            correlation: Duration::from_millis(correlation_ms),
        };
        JitterProcess::new(&jitter, table, Seed(7).stream(Stream::Link, index))
    }

    fn gamma() -> Marginal {
        Marginal::Gamma {
            mean: Duration::from_millis(2),
            deviation: Duration::from_millis(1),
        }
    }

    #[test]
    fn scores_one_correlation_time_apart_correlate_by_one_over_e() {
        let mut process = process(gamma(), 100, 0);
        // Ten looks per correlation time, so lag ten is one correlation time.
        let scores: Vec<f64> = (1..=200_000u64)
            .map(|step| {
                process.advance(Time::from_millis(step * 10));
                process.state.score
            })
            .collect();
        let count = (scores.len() - 10) as f64;
        let products: f64 = scores.windows(11).map(|pair| pair[0] * pair[10]).sum();
        let squares: f64 = scores.iter().map(|score| score * score).sum();
        let correlation = (products / count) / (squares / scores.len() as f64);
        // 20 000 correlation times: the standard error is near 1/sqrt(20 000) = 0.007.
        assert!(
            (correlation - libm::exp(-1.0)).abs() < 0.028,
            "{correlation}"
        );
    }

    /// The covariance Q that a step adds: the factor times its transpose.
    fn added(transition: &Transition) -> [f64; 3] {
        let [first, second, third] = transition.noise;
        [
            first * first,
            first * second,
            second * second + third * third,
        ]
    }

    fn near(value: f64, exact: f64) {
        assert!(
            (value - exact).abs() <= 1e-11 * exact.abs() + 1e-15,
            "{value} instead of {exact}"
        );
    }

    #[test]
    fn two_half_steps_are_one_whole_step() {
        for step in [1e-9, 1e-6, 1e-3, 0.1, 0.124, 0.126, 0.26, 1.0, 5.0, 39.0] {
            let (half, whole) = (Transition::over(step / 2.0), Transition::over(step));
            let [[a, b], [c, d]] = half.kept;
            let [[p, q], [r, s]] = whole.kept;
            for (product, kept) in [
                (a * a + b * c, p),
                (a * b + b * d, q),
                (c * a + d * c, r),
                (c * b + d * d, s),
            ] {
                near(product, kept);
            }
            // A Q A^T + Q: the second half step carries on the noise of the first.
            let [score, both, slope] = added(&half);
            let carried = [
                a * a * score + 2.0 * a * b * both + b * b * slope,
                a * c * score + (a * d + b * c) * both + b * d * slope,
                c * c * score + 2.0 * c * d * both + d * d * slope,
            ];
            let whole = added(&whole);
            for place in 0..3 {
                near(carried[place] + added(&half)[place], whole[place]);
            }
        }
    }

    #[test]
    fn a_tiny_step_adds_noise_by_the_leading_terms() {
        let step = 1e-8;
        let [score, both, slope] = added(&Transition::over(step));
        // The next term of each is smaller by the step: relative errors below 1e-7.
        assert!((score / (4.0 / 3.0 * (step * step * step)) - 1.0).abs() < 1e-7);
        assert!((both / (2.0 * step * step) - 1.0).abs() < 1e-7);
        assert!((slope / (4.0 * step) - 1.0).abs() < 1e-7);
    }

    #[test]
    fn the_same_or_an_earlier_instant_gets_the_same_delay() {
        let mut process = process(gamma(), 100, 1);
        let delay = process.delay_at(Time::from_millis(500));
        assert_eq!(process.delay_at(Time::from_millis(500)), delay);
        assert_eq!(process.delay_at(Time::from_millis(300)), delay);
        assert_ne!(process.delay_at(Time::from_millis(501)), delay);
    }

    #[test]
    fn splitting_a_step_keeps_the_variance_at_one() {
        // A step of 60 ms and sixty steps of 1 ms: both leave unit variance.
        for parts in [1, 60] {
            let mut process = process(gamma(), 100, 2);
            let mut squares = 0.0;
            for step in 1..=30_000u64 {
                process.advance(Time(step * 60_000_000 / parts));
                squares += process.state.score * process.state.score;
            }
            // Correlated by e^(-0.6/parts): 30 000 looks are worth 30 000 x tanh(0.6/parts), so
            // 16 000 and 300: standard errors sqrt(2/n) of 0.011 and 0.082.
            let bound = if parts == 1 { 0.045 } else { 0.33 };
            let variance = squares / 30_000.0;
            assert!((variance - 1.0).abs() < bound, "{parts}: {variance}");
        }
    }

    #[test]
    fn no_correlation_time_means_independent_instants() {
        let mut process = process(gamma(), 0, 3);
        process.advance(Time(1));
        let first = process.state.score;
        process.advance(Time(2));
        assert!(first.is_finite() && process.state.score.is_finite());
        assert_ne!(first, process.state.score);
    }

    #[test]
    fn quantiles_over_time_are_those_of_the_marginal() {
        let mut process = process(gamma(), 20, 4);
        let mut delays: Vec<u64> = (1..=200_000u64)
            .map(|step| nanos(process.delay_at(Time::from_millis(step * 100))))
            .collect();
        delays.sort_unstable();
        let table = QuantileTable::new(&gamma());
        for p in [0.5, 0.99, 0.999] {
            let rank = (p * delays.len() as f64) as usize;
            // The empirical quantile lies between the exact ones four standard errors of its
            // rank, 4 sqrt(p (1 - p) / n), to either side.
            let spread = 4.0 * (p * (1.0 - p) / delays.len() as f64).sqrt();
            let (low, high) = (table.quantile(p - spread), table.quantile(p + spread));
            let seen = Duration::from_nanos(delays[rank]);
            assert!(low <= seen && seen <= high, "{p}: {seen:?}");
        }
    }
}

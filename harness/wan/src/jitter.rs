//! Jitter as a process in time.
//!
//! Drawing each frame's delay on its own and keeping frames in order makes a running maximum: the
//! denser the frames, the worse the jitter. Here the delay is a function of time instead: a
//! stationary Ornstein-Uhlenbeck process gives a normal score at every instant, and the marginal's
//! quantile function turns the score into a delay. How often it is looked at changes nothing.

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::Time;
use longhaul_experiment::profile::Jitter;
use longhaul_experiment::random::Generator;
use longhaul_experiment::time::nanos;

use crate::marginal::QuantileTable;
use crate::normal;

/// The added delay of one directed link over time.
///
/// The score's transition over a step dt is exact for any dt, x' = x e^(-dt/tau) +
/// sqrt(1 - e^(-2 dt/tau)) N(0, 1): D. T. Gillespie, "Exact numerical simulation of the
/// Ornstein-Uhlenbeck process and its integral", Physical Review E 54 (1996).
#[derive(Clone, Debug)]
pub struct JitterProcess {
    table: Arc<QuantileTable>,
    /// Zero: every later instant is independent.
    correlation_ns: f64,
    score: f64,
    at: Time,
    generator: Generator,
}

impl JitterProcess {
    /// Starts the process in its stationary state. The table must be of `jitter`'s marginal.
    pub fn new(jitter: &Jitter, table: Arc<QuantileTable>, mut generator: Generator) -> Self {
        JitterProcess {
            table,
            correlation_ns: nanos(jitter.correlation) as f64,
            score: normal::draw(&mut generator),
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
        Duration::from_nanos(self.table.at_score(self.score) as u64)
    }

    /// Changes the distribution and the correlation time from here on; the score goes on, so a
    /// congested link stays congested.
    pub fn set_jitter(&mut self, jitter: &Jitter, table: Arc<QuantileTable>) {
        self.table = table;
        self.correlation_ns = nanos(jitter.correlation) as f64;
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
        let kept = libm::exp(-step_ns / self.correlation_ns);
        let fresh = libm::sqrt((1.0 - kept) * (1.0 + kept));
        self.score = kept * self.score + fresh * normal::draw(&mut self.generator);
        self.at = at;
    }
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
                process.score
            })
            .collect();
        let count = (scores.len() - 10) as f64;
        let products: f64 = scores.windows(11).map(|pair| pair[0] * pair[10]).sum();
        let squares: f64 = scores.iter().map(|score| score * score).sum();
        let correlation = (products / count) / (squares / scores.len() as f64);
        // 20 000 correlation times: the standard error is near 1/sqrt(20 000) = 0.007.
        assert!((correlation - (-1f64).exp()).abs() < 0.028, "{correlation}");
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
                squares += process.score * process.score;
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
        let first = process.score;
        process.advance(Time(2));
        assert!(first.is_finite() && process.score.is_finite());
        assert_ne!(first, process.score);
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

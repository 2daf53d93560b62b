//! Delay distributions of one message, and the fits that the paper publishes.

use std::time::Duration;

use longhaul_experiment::random::{Generator, open_unit};
use serde::Serialize;

/// A mixture of a Pareto body and an exponential rest; all figures are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Delay {
    /// The probability of the Pareto component, 0 to 1; the rest is exponential.
    pub pareto_share: f64,
    /// The Pareto component's least value x_m, above 0.
    pub pareto_scale_ms: f64,
    /// The Pareto component's tail exponent alpha, above 0.
    pub pareto_shape: f64,
    /// The exponential component's rate lambda, above 0.
    pub exponential_rate_per_ms: f64,
}

impl Delay {
    /// Returns the probability that a delay is at most `at_ms`.
    pub fn cumulative(&self, at_ms: f64) -> f64 {
        let pareto = if at_ms <= self.pareto_scale_ms {
            0.0
        } else {
            1.0 - libm::pow(self.pareto_scale_ms / at_ms, self.pareto_shape)
        };
        let exponential = 1.0 - libm::exp(-self.exponential_rate_per_ms * at_ms.max(0.0));
        self.pareto_share * pareto + (1.0 - self.pareto_share) * exponential
    }

    /// Draws a delay in milliseconds: the component first, then its quantile function.
    pub fn draw_ms(&self, generator: &mut Generator) -> f64 {
        let component = open_unit(generator);
        let rest = open_unit(generator);
        if component < self.pareto_share {
            self.pareto_scale_ms * libm::pow(rest, -1.0 / self.pareto_shape)
        } else {
            -libm::log(rest) / self.exponential_rate_per_ms
        }
    }
}

/// Returns a delay as the simulator takes it. The largest draw of the bundled fits is far below
/// what a `Duration` holds; a larger one counts as a day.
pub(super) fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::from_secs(86_400))
}

/// The delays of the four messages of the model: WARS, after the paper.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// Its name on the command line.
    pub name: &'static str,
    /// A write on its way to a replica (W).
    pub write: Delay,
    /// Its acknowledgement (A).
    pub acknowledgement: Delay,
    /// A read on its way to a replica (R).
    pub read: Delay,
    /// Its response (S).
    pub response: Delay,
    /// What each message to or from a replica outside the coordinator's data centre takes on top,
    /// one way. `None`: all replicas are alike. With it, replicas are one to a data centre, and
    /// every operation's coordinator is in a data centre drawn evenly.
    pub remote_ms: Option<f64>,
}

const SSD: Delay = Delay {
    pareto_share: 0.9122,
    pareto_scale_ms: 0.235,
    pareto_shape: 10.0,
    exponential_rate_per_ms: 1.66,
};

const DISK_WRITE: Delay = Delay {
    pareto_share: 0.38,
    pareto_scale_ms: 1.05,
    pareto_shape: 1.51,
    exponential_rate_per_ms: 0.183,
};

const YMMR_WRITE: Delay = Delay {
    pareto_share: 0.939,
    pareto_scale_ms: 3.0,
    pareto_shape: 3.35,
    exponential_rate_per_ms: 0.0028,
};

const YMMR_REST: Delay = Delay {
    pareto_share: 0.982,
    pareto_scale_ms: 1.5,
    pareto_shape: 3.8,
    exponential_rate_per_ms: 0.0217,
};

/// The fits of Bailis et al., "Probabilistically Bounded Staleness for Practical Partial
/// Quorums", VLDB 2012, section 5 and its table of fits.
pub const FITS: [Fit; 4] = [
    Fit {
        name: "lnkd-ssd",
        write: SSD,
        acknowledgement: SSD,
        read: SSD,
        response: SSD,
        remote_ms: None,
    },
    Fit {
        name: "lnkd-disk",
        write: DISK_WRITE,
        acknowledgement: SSD,
        read: SSD,
        response: SSD,
        remote_ms: None,
    },
    Fit {
        name: "ymmr",
        write: YMMR_WRITE,
        acknowledgement: YMMR_REST,
        read: YMMR_REST,
        response: YMMR_REST,
        remote_ms: None,
    },
    Fit {
        name: "wan",
        write: DISK_WRITE,
        acknowledgement: SSD,
        read: SSD,
        response: SSD,
        remote_ms: Some(75.0),
    },
];

impl Fit {
    /// Returns the bundled fit of that name; `None`: there is none.
    pub fn named(name: &str) -> Option<&'static Fit> {
        FITS.iter().find(|fit| fit.name == name)
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::{Seed, Stream};

    use super::*;

    #[test]
    fn drawn_shares_follow_the_closed_form() {
        // The share of n = 20 000 draws below a point has deviation at most 0.5 / sqrt(n) =
        // 0.0035; 5 of them are 0.018.
        for fit in &FITS {
            for delay in [fit.write, fit.acknowledgement, fit.read, fit.response] {
                let mut generator = Seed(4).stream(Stream::MonteCarlo, 0);
                let mut draws: Vec<f64> =
                    (0..20_000).map(|_| delay.draw_ms(&mut generator)).collect();
                draws.sort_by(f64::total_cmp);
                for percent in [5, 25, 50, 75, 95, 99] {
                    let quantile = draws[draws.len() * percent / 100];
                    let expected = percent as f64 / 100.0;
                    let at = delay.cumulative(quantile);
                    assert!((at - expected).abs() < 0.018, "{}: {at}", fit.name);
                }
            }
        }
    }

    #[test]
    fn a_pareto_alone_has_its_textbook_quantiles() {
        // Median of Pareto(x_m, alpha): x_m 2^(1/alpha); here 2 * 2^(1/2) = 2.828.
        let delay = Delay {
            pareto_share: 1.0,
            pareto_scale_ms: 2.0,
            pareto_shape: 2.0,
            exponential_rate_per_ms: 1.0,
        };
        assert!((delay.cumulative(2.0 * std::f64::consts::SQRT_2) - 0.5).abs() < 1e-12);
        assert_eq!(delay.cumulative(2.0), 0.0);
    }
}

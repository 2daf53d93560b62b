//! How far measured round trips are from light in fibre on a great circle.
//!
//! For two places at great-circle distance d the ideal round trip is `2 d / v`, with
//! v = c / 1.468, the group index of single-mode fibre at 1550 nm (ITU-T G.652 fibres: about
//! 1.4682), 204.2 km in a millisecond. Measured round trips are fitted by
//! `rtt = intercept + inflation * ideal`. The line is that of Theil (1950) and Sen (1968): the
//! slope is the median of the slopes between any two points, the intercept the median of what it
//! leaves; up to 29% of the points can be anywhere without moving it far.

use std::sync::OnceLock;
use std::time::Duration;

use super::{Marginal, Profile, bundled};
use crate::ids::LinkId;

/// The kilometres that light in fibre covers in a millisecond: 299.792458 / 1.468.
pub const FIBRE_KM_PER_MS: f64 = 299.792_458 / 1.468;

/// The measured matrices that are fitted: all of AWS twice (minima of 2020, medians of 2025),
/// GCP (minima of 2020) and Azure (medians of 2026).
pub const MEASURED: [&str; 4] = ["aws-19", "aws-32", "gcp-20", "azure-48"];

/// The matrix that jitter is fitted on.
pub const JITTER_SOURCE: &str = "aws-19";

/// A measured pair of regions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The round trip of light in fibre on the great circle, in milliseconds.
    pub ideal_ms: f64,
    /// The base round trip of the profile, in milliseconds.
    pub rtt_ms: f64,
}

/// A line through measured pairs, and what it leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The profile fitted, or `pooled`.
    pub name: String,
    /// The number of pairs.
    pub pairs: usize,
    /// The round trip at no distance, in milliseconds.
    pub intercept_ms: f64,
    /// The factor on the ideal round trip.
    pub inflation: f64,
    /// The residuals (measured less fitted), in milliseconds.
    pub residuals: Residuals,
}

/// Figures of a fit's residuals, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residuals {
    /// The 5th percentile.
    pub p5_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The root of the mean square.
    pub rms_ms: f64,
}

/// The jitter of measured links relative to their base delays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JitterFit {
    /// The number of links with jitter.
    pub links: usize,
    /// The median of mean jitter over base delay.
    pub mean_share: f64,
    /// The median of the deviation over the mean.
    pub variation: f64,
}

/// Returns the ideal round trip between two places in milliseconds.
pub fn ideal_ms(distance_km: f64) -> f64 {
    2.0 * distance_km / FIBRE_KM_PER_MS
}

/// Returns the pairs of a profile's regions that both have coordinates, each pair once.
pub fn pairs(profile: &Profile) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for a in profile.region_indexes() {
        for b in profile.region_indexes().filter(|b| *b > a) {
            let places = profile.regions[a.index()]
                .coordinates
                .zip(profile.regions[b.index()].coordinates);
            if let Some((place_a, place_b)) = places {
                pairs.push(Pair {
                    ideal_ms: ideal_ms(place_a.distance_km(place_b)),
                    rtt_ms: profile.round_trip(a, b).as_secs_f64() * 1e3,
                });
            }
        }
    }
    pairs
}

impl Fit {
    /// Fits a line to pairs; `None` when no two of them differ in distance. It compares every
    /// two pairs: two million slopes for 2000 of them.
    pub fn of(name: &str, pairs: &[Pair]) -> Option<Fit> {
        let mut slopes = Vec::with_capacity(pairs.len() * pairs.len() / 2);
        for (index, a) in pairs.iter().enumerate() {
            let others = pairs[index + 1..].iter();
            slopes.extend(
                others
                    .filter(|b| b.ideal_ms != a.ideal_ms)
                    .map(|b| (b.rtt_ms - a.rtt_ms) / (b.ideal_ms - a.ideal_ms)),
            );
        }
        let inflation = median(slopes)?;
        let intercept_ms = median(
            pairs
                .iter()
                .map(|pair| pair.rtt_ms - inflation * pair.ideal_ms)
                .collect(),
        )?;
        let mut fit = Fit {
            name: name.to_owned(),
            pairs: pairs.len(),
            intercept_ms,
            inflation,
            residuals: Residuals {
                p5_ms: 0.0,
                p50_ms: 0.0,
                p95_ms: 0.0,
                rms_ms: 0.0,
            },
        };
        let residuals: Vec<f64> = pairs
            .iter()
            .map(|pair| pair.rtt_ms - fit.rtt_ms(pair.ideal_ms))
            .collect();
        fit.residuals = Residuals::of(residuals);
        Some(fit)
    }

    /// Returns the fitted round trip, in milliseconds.
    pub fn rtt_ms(&self, ideal_ms: f64) -> f64 {
        self.intercept_ms + self.inflation * ideal_ms
    }
}

impl Residuals {
    fn of(mut residuals: Vec<f64>) -> Residuals {
        residuals.sort_by(f64::total_cmp);
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let at = |share: f64| residuals[((residuals.len() - 1) as f64 * share).round() as usize];
        Residuals {
            p5_ms: at(0.05),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            rms_ms: libm::sqrt(squares / residuals.len() as f64),
        }
    }
}

impl JitterFit {
    /// Returns the fit of the profile's links between regions that have a gamma as jitter; `None`
    /// when none has.
    pub fn of(profile: &Profile) -> Option<JitterFit> {
        let mut shares = Vec::new();
        let mut variations = Vec::new();
        for from in profile.region_indexes() {
            for to in profile.region_indexes().filter(|to| *to != from) {
                let link = profile.link(LinkId { from, to });
                if let Marginal::Gamma { mean, deviation } = link.jitter.marginal {
                    shares.push(mean.as_secs_f64() / link.one_way.as_secs_f64());
                    variations.push(deviation.as_secs_f64() / mean.as_secs_f64());
                }
            }
        }
        Some(JitterFit {
            links: shares.len(),
            mean_share: median(shares)?,
            variation: median(variations)?,
        })
    }

    /// Returns the jitter of a link with that base delay, rounded to the microsecond; less than
    /// that is none.
    pub fn marginal(&self, one_way: Duration) -> Marginal {
        let micros = |seconds: f64| Duration::from_micros((seconds * 1e6).round() as u64);
        let mean_s = one_way.as_secs_f64() * self.mean_share;
        let (mean, deviation) = (micros(mean_s), micros(mean_s * self.variation));
        if mean.is_zero() || deviation.is_zero() {
            return Marginal::None;
        }
        Marginal::Gamma { mean, deviation }
    }
}

/// What the matrices in [`MEASURED`] say of round trips.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The pairs of all matrices.
    pub pairs: Vec<Pair>,
    /// The fit of each matrix, in the order of [`MEASURED`].
    pub fits: Vec<Fit>,
    /// The fit of all pairs together, named `pooled`.
    pub pooled: Fit,
    /// The fit of the jitter of [`JITTER_SOURCE`].
    pub jitter: JitterFit,
}

/// Returns what is measured.
///
/// It is a constant of the program, found once: a line through n pairs costs n squared.
pub fn measured() -> &'static Measured {
    static FOUND: OnceLock<Measured> = OnceLock::new();
    FOUND.get_or_init(Measured::find)
}

impl Measured {
    fn find() -> Measured {
        let matrix = |name| bundled::bundled(name).expect("measured matrices are bundled");
        let mut all = Vec::new();
        let mut fits = Vec::new();
        for name in MEASURED {
            let of_profile = pairs(&matrix(name));
            fits.push(fitted(name, &of_profile));
            all.extend(of_profile);
        }
        Measured {
            pooled: fitted("pooled", &all),
            pairs: all,
            fits,
            jitter: JitterFit::of(&matrix(JITTER_SOURCE)).expect("its links have jitter"),
        }
    }
}

fn fitted(name: &str, pairs: &[Pair]) -> Fit {
    Fit::of(name, pairs).expect("bundled regions differ in distance")
}

/// Returns the middle figure, the upper of the two middle ones where they are even in number.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    if figures.is_empty() {
        return None;
    }
    let middle = figures.len() / 2;
    Some(*figures.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(f64, f64)]) -> Fit {
        let pairs: Vec<Pair> = points
            .iter()
            .map(|&(ideal_ms, rtt_ms)| Pair { ideal_ms, rtt_ms })
            .collect();
        Fit::of("line", &pairs).unwrap()
    }

    #[test]
    fn a_line_is_found_again_with_an_outlier_on_it() {
        // rtt = 3 + 1.5 x at seven points, and one that is 500 off.
        let mut points: Vec<(f64, f64)> = (1..8)
            .map(|x| (f64::from(x), 3.0 + 1.5 * f64::from(x)))
            .collect();
        points.push((8.0, 515.0));
        let fit = line(&points);
        assert!((fit.inflation - 1.5).abs() < 1e-12 && (fit.intercept_ms - 3.0).abs() < 1e-12);
        // One residual of 500 in eight points: sqrt(500^2 / 8) = 176.8.
        assert!((fit.residuals.rms_ms - 176.776).abs() < 0.01);
        assert_eq!(fit.residuals.p50_ms, 0.0);
    }

    #[test]
    fn pairs_that_do_not_differ_in_distance_have_no_line() {
        let pair = Pair {
            ideal_ms: 1.0,
            rtt_ms: 2.0,
        };
        assert_eq!(Fit::of("point", &[pair, pair]), None);
        assert_eq!(Fit::of("none", &[]), None);
    }

    #[test]
    fn measured_inflation_is_above_that_of_a_straight_fibre_and_below_twice() {
        let measured = measured();
        let counts: Vec<usize> = measured.fits.iter().map(|fit| fit.pairs).collect();
        // n (n - 1) / 2 pairs of 19, 32, 20 and 48 regions.
        assert_eq!(counts, [171, 496, 190, 1128]);
        assert_eq!(measured.pooled.pairs, 1985);
        assert_eq!(measured.pairs.len(), 1985);
        for fit in measured.fits.iter().chain([&measured.pooled]) {
            assert!((1.0..2.0).contains(&fit.inflation), "{fit:?}");
        }
    }
}

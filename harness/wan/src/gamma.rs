//! The gamma distribution's tails, from the regularised incomplete gamma functions.

/// Above this shape the distribution is taken from a normal score; see [`quantile_of_large_shape`].
pub(crate) const LARGE_SHAPE: f64 = 10_000.0;

/// Terms after which a series or fraction stops: at the largest shape it needs about 1000.
const TERMS_MAX: u32 = 10_000;

/// Returns (P(shape, x), Q(shape, x)): the probabilities that a gamma draw of scale 1 is below
/// and above `x`, each with its own digits.
///
/// The power series below `shape + 1` and the continued fraction (by Lentz's method) above it;
/// Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964), 6.5.29 and 6.5.31.
pub(crate) fn tails(shape: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    let factor = libm::exp(shape * libm::log(x) - x - libm::lgamma(shape));
    if x < shape + 1.0 {
        let below = (factor * series(shape, x)).min(1.0);
        (below, 1.0 - below)
    } else {
        let above = (factor * fraction(shape, x)).min(1.0);
        (1.0 - above, above)
    }
}

fn series(shape: f64, x: f64) -> f64 {
    let mut term = 1.0 / shape;
    let mut sum = term;
    for n in 1..TERMS_MAX {
        term *= x / (shape + f64::from(n));
        sum += term;
        if term < sum * 1e-16 {
            break;
        }
    }
    sum
}

fn fraction(shape: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - shape;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b.max(TINY);
    let mut value = d;
    for n in 1..TERMS_MAX {
        let n = f64::from(n);
        let a = -n * (n - shape);
        b += 2.0;
        d = 1.0 / away_from_zero(a * d + b, TINY);
        c = away_from_zero(b + a / c, TINY);
        let change = d * c;
        value *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

fn away_from_zero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// Returns the quantile at a normal score, in units of the mean, for shapes of
/// [`LARGE_SHAPE`] and more.
///
/// Source: E. B. Wilson and M. M. Hilferty, "The Distribution of Chi-Square", PNAS 17 (1931): the
/// cube root of a gamma draw is nearly normal. The error falls with the shape; from 10^4 on it
/// is under 10^-4 of the standard deviation.
pub(crate) fn quantile_of_large_shape(shape: f64, z: f64) -> f64 {
    let ninth = 1.0 / (9.0 * shape);
    let root = 1.0 - ninth + z * ninth.sqrt();
    root * root * root
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF, Gamma};

    use super::*;

    #[test]
    fn tails_agree_with_an_independent_implementation() {
        for shape in [0.01, 0.3, 1.0, 4.0, 50.0, 2_000.0] {
            let oracle = Gamma::new(shape, 1.0).unwrap();
            for relative in [0.01, 0.3, 0.9, 1.0, 1.1, 3.0] {
                let x = shape * relative;
                let (below, above) = tails(shape, x);
                assert!((below - oracle.cdf(x)).abs() < 1e-9, "{shape} {x}: {below}");
                assert!((above - oracle.sf(x)).abs() < 1e-9, "{shape} {x}: {above}");
            }
        }
    }

    #[test]
    fn the_normal_score_of_a_large_shape_meets_the_exact_tails() {
        for z in [-4.0, -1.0, 0.0, 1.0, 4.0] {
            let x = LARGE_SHAPE * quantile_of_large_shape(LARGE_SHAPE, z);
            let (below, above) = tails(LARGE_SHAPE, x);
            let back = crate::normal::score(below, above);
            assert!((back - z).abs() < 1e-4, "{z}: {back}");
        }
    }
}

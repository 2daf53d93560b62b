//! Student's t distribution.

/// Returns the two-sided tail probability of |t| with `degrees` of freedom (above 0).
///
/// It is the regularized incomplete beta function I_x(degrees / 2, 1/2) at
/// x = degrees / (degrees + t^2): Abramowitz and Stegun, Handbook of Mathematical Functions,
/// 26.7.1.
pub fn two_sided_probability(t: f64, degrees: f64) -> f64 {
    if !t.is_finite() || degrees.is_nan() || degrees <= 0.0 {
        return if t.is_infinite() { 0.0 } else { 1.0 };
    }
    incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + t * t))
}

/// Returns the probability that a t variable exceeds `t`.
pub fn upper_probability(t: f64, degrees: f64) -> f64 {
    let half = two_sided_probability(t, degrees) / 2.0;
    if t >= 0.0 { half } else { 1.0 - half }
}

/// Returns the value that a t variable exceeds in absolute terms with this probability (0 to 1),
/// by bisection; e.g. 2.045 for 0.05 and 29 degrees.
pub fn two_sided_quantile(probability: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if two_sided_probability(middle, degrees) > probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// The regularized incomplete beta function, by its continued fraction (Abramowitz and Stegun
/// 26.5.8) evaluated with Lentz's method.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = libm::exp(
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
            + a * libm::log(x)
            + b * libm::log1p(-x),
    );
    // The fraction converges fast below the distribution's mean; above it the symmetry is used.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(a, b, x) / a
    } else {
        1.0 - front * continued_fraction(b, a, 1.0 - x) / b
    }
}

fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut numerator = 1.0;
    let mut denominator = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = denominator;
    for step in 1..=300 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut factor = 1.0;
        for term in [even, odd] {
            denominator = 1.0 / away_from_zero(1.0 + term * denominator);
            numerator = away_from_zero(1.0 + term / numerator);
            factor = denominator * numerator;
            fraction *= factor;
        }
        if (factor - 1.0).abs() < 1e-14 {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_printed_tables() {
        // Abramowitz and Stegun, table 26.10.
        for (probability, degrees, expected) in [
            (0.05, 1.0, 12.706),
            (0.05, 8.0, 2.306),
            (0.10, 8.0, 1.860),
            (0.05, 29.0, 2.045),
            (0.01, 4.0, 4.604),
            (0.05, 1e7, 1.960),
        ] {
            let found = two_sided_quantile(probability, degrees);
            assert!((found - expected).abs() < 6e-4, "{degrees}: {found}");
        }
    }

    #[test]
    fn tails_are_symmetric_and_never_undefined() {
        assert!((upper_probability(-1.0, 5.0) + upper_probability(1.0, 5.0) - 1.0).abs() < 1e-12);
        assert_eq!(two_sided_probability(0.0, 5.0), 1.0);
        assert_eq!(two_sided_probability(f64::INFINITY, 5.0), 0.0);
        assert_eq!(two_sided_probability(f64::NAN, 5.0), 1.0);
        assert_eq!(two_sided_probability(1.0, 0.0), 1.0);
    }
}

//! Which rates are swept.

use longhaul_experiment::Workload;

/// The most rates of one sweep.
pub const RATES_MAX: usize = 200;

/// Why rates are refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RatesError {
    /// There are none, or too many.
    #[error("{0} rates were asked for; sweep 1 to {RATES_MAX}")]
    Count(usize),
    /// A rate is none.
    #[error("the rate {0} is not above 0 and at most {max} operations per second and client region", max = Workload::RATE_MAX)]
    Rate(f64),
    /// A rate is there twice.
    #[error("the rate {0} is listed twice; list each rate once")]
    Repeated(f64),
    /// The ends of a range are in the wrong order.
    #[error("the range from {from} to {to} is empty; give --from below --to")]
    Range {
        /// Its lower end.
        from: f64,
        /// Its upper end.
        to: f64,
    },
}

/// Checks rates and returns them ascending.
///
/// # Errors
///
/// None or more than [`RATES_MAX`], one out of its range, one listed twice.
pub fn checked_rates(mut rates: Vec<f64>) -> Result<Vec<f64>, RatesError> {
    if rates.is_empty() || rates.len() > RATES_MAX {
        return Err(RatesError::Count(rates.len()));
    }
    if let Some(rate) = rates.iter().find(|rate| !is_rate(**rate)) {
        return Err(RatesError::Rate(*rate));
    }
    rates.sort_by(f64::total_cmp);
    match rates.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(RatesError::Repeated(pair[0])),
        None => Ok(rates),
    }
}

/// Returns `steps` rates from one to another, each the same factor above the last, to four digits.
///
/// # Errors
///
/// As [`checked_rates`], and ends in the wrong order.
pub fn geometric_rates(from: f64, to: f64, steps: usize) -> Result<Vec<f64>, RatesError> {
    if let Some(rate) = [from, to].into_iter().find(|rate| !is_rate(*rate)) {
        return Err(RatesError::Rate(rate));
    }
    if steps == 1 {
        return Ok(vec![from]);
    }
    if from >= to {
        return Err(RatesError::Range { from, to });
    }
    if steps > RATES_MAX {
        return Err(RatesError::Count(steps));
    }
    let last = steps.saturating_sub(1);
    let rate = |step: usize| match step {
        0 => from,
        step if step == last => to,
        step => four_digits(from * libm::pow(to / from, step as f64 / last as f64)),
    };
    checked_rates((0..steps).map(rate).collect())
}

fn is_rate(rate: f64) -> bool {
    rate > 0.0 && rate <= Workload::RATE_MAX
}

/// Rounds a positive rate to four digits.
pub(crate) fn four_digits(rate: f64) -> f64 {
    let unit = libm::pow(10.0, libm::floor(libm::log10(rate)) - 3.0);
    let digits = libm::round(rate / unit);
    // A unit below one is no exact binary number: dividing by its inverse lands nearer.
    if unit < 1.0 {
        digits / libm::round(1.0 / unit)
    } else {
        digits * unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geometric_range_has_equal_factors_and_keeps_its_ends() {
        // 100 x 64^(i/6): doublings.
        let doublings = geometric_rates(100.0, 6400.0, 7).unwrap();
        assert_eq!(
            doublings,
            [100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0]
        );
        // 1000 x 2^(1/2) = 1414.2.
        assert_eq!(geometric_rates(1000.0, 2000.0, 3).unwrap()[1], 1414.0);
        assert_eq!(geometric_rates(1.0, 2.0, 3).unwrap()[1], 1.414);
        assert_eq!(geometric_rates(5.0, 5.0, 1).unwrap(), [5.0]);
    }

    #[test]
    fn rates_that_make_no_sense_are_refused_with_what_to_give() {
        for (outcome, expected) in [
            (checked_rates(vec![]), "sweep 1 to 200"),
            (checked_rates(vec![1.0; 201]), "sweep 1 to 200"),
            (checked_rates(vec![0.0]), "not above 0"),
            (checked_rates(vec![f64::NAN]), "not above 0"),
            (checked_rates(vec![2e6]), "at most 1000000"),
            (checked_rates(vec![2.0, 1.0, 2.0]), "2 is listed twice"),
            (geometric_rates(5.0, 5.0, 3), "--from below --to"),
            (geometric_rates(-1.0, 5.0, 3), "not above 0"),
            (geometric_rates(1.0, 5.0, 0), "sweep 1 to 200"),
            (geometric_rates(1.0, 5.0, 201), "sweep 1 to 200"),
            // So close that four digits do not tell them apart.
            (geometric_rates(1000.0, 1001.0, 9), "listed twice"),
        ] {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert_eq!(checked_rates(vec![2.0, 1.0]).unwrap(), [1.0, 2.0]);
    }
}

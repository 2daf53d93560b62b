//! Which percentiles a number of operations can carry.

/// How many operations must lie above a percentile for it to be compared.
pub const TAIL_COUNT_MIN: f64 = 10.0;

/// The quantiles that are reported, ascending, each from 0 to 1.
pub const REPORTED_QUANTILES: [f64; 6] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/// Returns the largest quantile p (0 to 1) that `count` operations support: the one with
/// count x (1 - p) = 10. `None` with 10 operations or fewer, which support none.
pub fn percentile_support(count: u64) -> Option<f64> {
    let quantile = 1.0 - TAIL_COUNT_MIN / count as f64;
    (quantile > 0.0).then_some(quantile)
}

/// Says whether `count` operations support the quantile: count x (1 - q) is at least 10.
pub fn supports_quantile(count: u64, quantile: f64) -> bool {
    // 100 x (1 - 0.9) is an ulp below 10: a rounding error refuses nothing.
    count as f64 * (1.0 - quantile) >= TAIL_COUNT_MIN - 1e-6
}

/// Returns the largest of [`REPORTED_QUANTILES`] that `count` operations support; `None` when
/// they do not even support the median.
pub fn highest_reported_quantile(count: u64) -> Option<f64> {
    REPORTED_QUANTILES
        .into_iter()
        .rev()
        .find(|&quantile| supports_quantile(count, quantile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_operations_must_lie_above_a_percentile() {
        // 1600 operations: 10 / 1600 = 0.625% may lie above.
        assert_eq!(percentile_support(1600), Some(0.99375));
        assert_eq!(percentile_support(10), None);
        assert_eq!(percentile_support(0), None);
    }

    #[test]
    fn the_highest_reported_percentile_needs_its_exact_count() {
        for (count, highest) in [
            (0, None),
            (19, None),
            (20, Some(0.5)),
            (99, Some(0.5)),
            (100, Some(0.9)),
            (999, Some(0.9)),
            (1000, Some(0.99)),
            (10_000, Some(0.999)),
            (99_999, Some(0.999)),
            (1_000_000, Some(0.99999)),
        ] {
            assert_eq!(highest_reported_quantile(count), highest, "{count}");
        }
    }
}

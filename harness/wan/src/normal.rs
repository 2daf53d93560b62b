//! The normal distribution: probabilities, quantiles and seeded draws.
//!
//! All transcendental functions come from `libm`, so that one seed gives the same delays on every
//! machine.

use longhaul_experiment::random::Generator;
use rand::Rng;

/// Returns the probability that a standard normal draw is at most `z`, exact to about 1e-15 of
/// itself on both sides.
pub(crate) fn below(z: f64) -> f64 {
    0.5 * libm::erfc(-z * core::f64::consts::FRAC_1_SQRT_2)
}

/// Returns the normal score of a probability given by both its tails: the `z` with
/// `below(z) = lower` and `below(-z) = upper`.
///
/// Both tails are asked for because only the smaller one carries its digits near the ends. A tail
/// of zero gives an infinite score.
///
/// Source: M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution",
/// Applied Statistics 37 (1988), routine PPND16: about 1 part in 10^16.
pub(crate) fn score(lower: f64, upper: f64) -> f64 {
    let from_centre = if lower < upper {
        lower - 0.5
    } else {
        0.5 - upper
    };
    if from_centre.abs() <= 0.425 {
        let r = 0.180625 - from_centre * from_centre;
        return from_centre * ratio(&CENTRE, r);
    }
    let tail = lower.min(upper);
    if tail <= 0.0 {
        return f64::INFINITY.copysign(from_centre);
    }
    let r = (-libm::log(tail)).sqrt();
    let magnitude = if r <= 5.0 {
        ratio(&SHOULDER, r - 1.6)
    } else {
        ratio(&TAIL, r - 5.0)
    };
    magnitude.copysign(from_centre)
}

/// Draws from the standard normal distribution by inversion: one 64-bit word a draw, so that the
/// number of words drawn never depends on their values.
pub(crate) fn draw(generator: &mut Generator) -> f64 {
    let lower = open_unit(generator);
    score(lower, 1.0 - lower)
}

/// Draws uniformly from the open interval (0, 1): the middle of one of 2^52 cells.
pub(crate) fn open_unit(generator: &mut Generator) -> f64 {
    ((generator.next_u64() >> 12) as f64 + 0.5) * (1.0 / 4_503_599_627_370_496.0)
}

/// A quotient of two polynomials of degree 7, coefficients ascending.
struct Quotient {
    numerator: [f64; 8],
    denominator: [f64; 8],
}

fn ratio(quotient: &Quotient, r: f64) -> f64 {
    let horner = |coefficients: &[f64; 8]| {
        coefficients
            .iter()
            .rev()
            .fold(0.0, |sum, coefficient| sum * r + coefficient)
    };
    horner(&quotient.numerator) / horner(&quotient.denominator)
}

/// Within 0.425 of the median.
const CENTRE: Quotient = Quotient {
    numerator: [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    denominator: [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
};

/// From there to a tail of exp(-25).
const SHOULDER: Quotient = Quotient {
    numerator: [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        0.000_774_545_014_278_341_4,
    ],
    denominator: [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        0.000_547_593_808_499_534_5,
        1.050_750_071_644_416_9e-9,
    ],
};

/// Beyond it.
const TAIL: Quotient = Quotient {
    numerator: [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    denominator: [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        0.000_786_869_131_145_613_2,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
};

#[cfg(test)]
mod tests {
    use longhaul_experiment::{Seed, Stream};

    use super::*;

    #[test]
    fn score_undoes_below_from_minus_eight_to_eight() {
        for step in -800..=800 {
            let z = f64::from(step) / 100.0;
            let back = score(below(z), below(-z));
            assert!((back - z).abs() < 1e-13 * (1.0 + z.abs()), "{z}: {back}");
        }
    }

    #[test]
    fn a_tail_of_zero_is_infinitely_far() {
        assert_eq!(score(0.0, 1.0), f64::NEG_INFINITY);
        assert_eq!(score(1.0, 0.0), f64::INFINITY);
    }

    #[test]
    fn draws_have_mean_zero_and_deviation_one() {
        let mut generator = Seed(1).stream(Stream::Link, 0);
        let (mut sum, mut squares) = (0.0, 0.0);
        let count = 100_000;
        for _ in 0..count {
            let z = draw(&mut generator);
            sum += z;
            squares += z * z;
        }
        // The standard errors are 1/sqrt(n) = 0.0032 and sqrt(2/n) = 0.0045: four of each.
        assert!((sum / f64::from(count)).abs() < 0.0127);
        assert!((squares / f64::from(count) - 1.0).abs() < 0.018);
    }
}

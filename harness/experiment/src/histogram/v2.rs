//! HdrHistogram's V2 form: what its writer and its reader here share.
//!
//! A cookie and a length, then deflated: a cookie, the length of the counts, and what the
//! histogram is like, [`HEADER_BYTES`] together; then the counts up to the last one that is not
//! zero, as numbers of [`write_number`], each run of zeros as one negative number.

/// Begins a histogram.
pub(super) const COOKIE: u32 = 0x1c84_9313;

/// Begins a deflated one.
pub(super) const DEFLATED_COOKIE: u32 = 0x1c84_9314;

/// The bytes before the counts.
pub(super) const HEADER_BYTES: usize = 40;

/// The bytes before what is deflated: a cookie and a length.
pub(super) const DEFLATED_HEADER_BYTES: usize = 8;

/// The bits of a cookie that state the sizes of words, which do not matter to V2.
const WORD_SIZE_BITS: u32 = 0xf0;

/// Says whether a cookie is the expected one.
pub(super) fn is_cookie(word: u32, expected: u32) -> bool {
    word & !WORD_SIZE_BITS == expected & !WORD_SIZE_BITS
}

/// How buckets divide the values.
///
/// The first bucket spans 2^(half + 1) counts of 2^unit values each; every further one spans
/// twice the values, and needs new counts for the upper half of them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The power of two of the values that share a count in the first bucket.
    unit_magnitude: u32,
    /// The power of two of half the counts of a bucket.
    half_magnitude: u32,
}

impl Layout {
    /// Returns the layout for so many significant digits (at most 5) of values of which `lowest`
    /// (at least 1) is the least that is told from others.
    pub(super) const fn new(digits: u32, lowest: u64) -> Layout {
        // A width may be at most one part in 10^digits of values twice as large.
        let shared = (2 * 10u64.pow(digits)).next_power_of_two();
        Layout {
            unit_magnitude: lowest.ilog2(),
            half_magnitude: shared.ilog2() - 1,
        }
    }

    /// Returns the number of a value's bucket, from 0.
    pub(super) const fn bucket_of(self, value: u64) -> u32 {
        let bits = u64::BITS - value.leading_zeros();
        bits.saturating_sub(self.unit_magnitude + self.half_magnitude + 1)
    }

    /// Returns the largest value of a bucket.
    pub(super) const fn bucket_end(self, bucket: u32) -> u64 {
        u64::MAX >> (u64::BITS - (bucket + self.unit_magnitude + self.half_magnitude + 1))
    }

    /// Returns the index of a value's count.
    pub(super) const fn index_of(self, value: u64) -> u64 {
        let bucket = self.bucket_of(value);
        let within = value >> (bucket + self.unit_magnitude);
        ((bucket as u64) << self.half_magnitude) + within
    }

    /// Returns the largest value of the count at an index; `None` beyond 64 bits.
    pub(super) fn largest(self, index: u64) -> Option<u64> {
        let half = 1u64 << self.half_magnitude;
        let (bucket, within) = match index >> self.half_magnitude {
            0 => (0, index),
            halves => (halves - 1, (index & (half - 1)) + half),
        };
        // A forged index can be anything: `bucket` then has up to 64 bits of its own.
        let shift = u32::try_from(bucket)
            .ok()?
            .checked_add(self.unit_magnitude)?;
        let end = (within + 1).checked_mul(1u64.checked_shl(shift)?)?;
        Some(end - 1)
    }
}

/// Writes one number: its sign as the lowest bit, seven bits a byte, least first, the ninth byte
/// with eight.
pub(super) fn write_number(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    for _ in 0..8 {
        if rest < 0x80 {
            break;
        }
        bytes.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Takes one number from the front; `None` when its bytes end before it does.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for byte_number in 0..9 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let last = byte_number == 8;
        let bits = if last { byte } else { byte & 0x7f };
        value |= u64::from(bits) << (7 * byte_number);
        if byte & 0x80 == 0 || last {
            break;
        }
    }
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_read_back() {
        let sizes = (0..63).flat_map(|bits| [1i64 << bits, -(1i64 << bits), (1i64 << bits) - 1]);
        for number in sizes.chain([i64::MAX, i64::MIN]) {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            let mut rest = bytes.as_slice();
            assert_eq!(take_number(&mut rest), Some(number));
            assert!(rest.is_empty() && bytes.len() <= 9, "{number}");
        }
        assert_eq!(take_number(&mut [0x80].as_slice()), None);
    }

    #[test]
    fn a_value_is_within_the_count_that_it_is_counted_at() {
        // 4 digits: 2 x 10^4 in 2^15 counts, and 100 is told apart in steps of 2^6.
        let layout = Layout::new(4, 100);
        for value in [0, 63, 64, 2_097_151, 2_097_152, 70_000_000, 1 << 50] {
            let index = layout.index_of(value);
            let largest = layout.largest(index).unwrap();
            assert!(value <= largest, "{value}");
            assert!(index == 0 || layout.largest(index - 1).unwrap() < value);
            assert!(largest <= layout.bucket_end(layout.bucket_of(value)));
        }
        assert_eq!(layout.bucket_end(0), (1 << 21) - 1);
    }

    #[test]
    fn an_index_beyond_all_values_has_none() {
        let layout = Layout::new(5, 1 << 40);
        // The bucket's number is 2^32 - 1, to which the magnitude of 40 does not add.
        let forged = ((u64::from(u32::MAX) + 1) << 17) | 1;
        for index in [forged, u64::MAX, u64::MAX - 1, 1 << 40] {
            assert_eq!(layout.largest(index), None);
        }
    }
}

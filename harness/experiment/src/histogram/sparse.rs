//! Occupied buckets read straight from HdrHistogram's V2 encoding, deflated, in base64.
//!
//! The encoding is that of the HdrHistogram project: a cookie and a length, then deflated a
//! header of 40 bytes and the counts, each a ZigZag LEB128 number of at most nine bytes, where a
//! negative number skips so many empty buckets.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const COOKIE: u32 = 0x1c84_9303;
const DEFLATED_COOKIE: u32 = 0x1c84_9304;
/// Word sizes are stated in these bits of a cookie and do not matter to V2.
const COOKIE_MASK: u32 = !0xf0;
const HEADER_BYTES: usize = 40;
/// The most bytes of a histogram's counts: 64 buckets' halves of 2^17 counts of nine bytes.
const INFLATED_BYTES_MAX: u64 = 1 << 26;

pub(super) fn occupied(text: &str) -> Result<Vec<(u64, u64)>, String> {
    let bytes = BASE64
        .decode(text)
        .map_err(|error| format!("not base64: {error}"))?;
    let broken = || "not an HdrHistogram V2".to_owned();
    if word(&bytes, 0).ok_or_else(broken)? & COOKIE_MASK != DEFLATED_COOKIE & COOKIE_MASK {
        return Err(broken());
    }
    let deflated = bytes.get(8..).ok_or_else(broken)?;
    let mut inflated = Vec::new();
    flate2::read::ZlibDecoder::new(deflated)
        .take(INFLATED_BYTES_MAX)
        .read_to_end(&mut inflated)
        .map_err(|error| format!("not deflated: {error}"))?;
    if word(&inflated, 0).ok_or_else(broken)? & COOKIE_MASK != COOKIE & COOKIE_MASK {
        return Err(broken());
    }
    let length = word(&inflated, 4).ok_or_else(broken)? as usize;
    let digits = word(&inflated, 12).ok_or_else(broken)?;
    let lowest = u64::from(word(&inflated, 16).ok_or_else(broken)?) << 32
        | u64::from(word(&inflated, 20).ok_or_else(broken)?);
    let payload = inflated
        .get(HEADER_BYTES..HEADER_BYTES.saturating_add(length))
        .ok_or_else(broken)?;
    if digits > 5 || lowest == 0 {
        return Err(broken());
    }
    let layout = Layout::new(digits, lowest);
    counts(payload, &layout).ok_or_else(broken)
}

/// How buckets divide the values.
struct Layout {
    /// The power of two of the finest bucket's width.
    unit_magnitude: u32,
    /// The power of two of half the number of buckets that share one width.
    half_magnitude: u32,
}

impl Layout {
    fn new(digits: u32, lowest: u64) -> Layout {
        // A width may be at most one part in 10^digits of values twice as large.
        let shared = (2 * 10u64.pow(digits)).next_power_of_two();
        Layout {
            unit_magnitude: lowest.ilog2(),
            half_magnitude: shared.ilog2() - 1,
        }
    }

    /// The largest value of a bucket; `None` beyond 64 bits.
    fn largest(&self, index: u64) -> Option<u64> {
        let half = 1u64 << self.half_magnitude;
        let doubled = index >> self.half_magnitude;
        let (magnitude, within) = match doubled {
            0 => (0, index),
            _ => (doubled - 1, (index & (half - 1)) + half),
        };
        let shift = u32::try_from(magnitude).ok()? + self.unit_magnitude;
        let end = (within + 1).checked_mul(1u64.checked_shl(shift)?)?;
        Some(end - 1)
    }
}

fn counts(mut payload: &[u8], layout: &Layout) -> Option<Vec<(u64, u64)>> {
    let mut occupied = Vec::new();
    let mut index = 0u64;
    while !payload.is_empty() {
        let number = zigzag(&mut payload)?;
        if number < 0 {
            index = index.checked_add(number.unsigned_abs())?;
            continue;
        }
        if number > 0 {
            occupied.push((layout.largest(index)?, number as u64));
        }
        index = index.checked_add(1)?;
    }
    Some(occupied)
}

/// Takes one number: seven bits a byte, least first; the ninth byte has eight.
fn zigzag(payload: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for byte_number in 0..9 {
        let (&byte, rest) = payload.split_first()?;
        *payload = rest;
        let last = byte_number == 8;
        let bits = if last { byte } else { byte & 0x7f };
        value |= u64::from(bits) << (7 * byte_number);
        if byte & 0x80 == 0 || last {
            break;
        }
    }
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{EncodedHistogram, Histogram};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn occupied_buckets_are_those_of_the_whole_histogram(
            values in prop::collection::vec((0u64..50, 0u32..34), 0..60)
        ) {
            let mut histogram = Histogram::new();
            for (mantissa, shift) in values {
                histogram.record_ns((mantissa * 977) << shift);
            }
            let encoded = EncodedHistogram::encode(&histogram);
            let whole = encoded.decode().unwrap();
            let expected: Vec<(u64, u64)> = whole
                .iter_recorded()
                .map(|one| (one.value_iterated_to(), u64::from(one.count_at_value())))
                .collect();
            prop_assert_eq!(encoded.occupied().unwrap(), expected);
        }

        #[test]
        fn what_is_no_histogram_is_refused_without_a_panic(text in "[A-Za-z0-9+/]{0,80}") {
            let whole = format!("HISTF{text}");
            let _ = EncodedHistogram(whole).occupied();
            prop_assert!(EncodedHistogram(text).occupied().is_err());
        }
    }
}

//! Occupied buckets read straight from HdrHistogram's V2 encoding, deflated, in base64.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::v2::{
    COOKIE, DEFLATED_COOKIE, DEFLATED_HEADER_BYTES, HEADER_BYTES, Layout, is_cookie, take_number,
};

/// The most bytes of a histogram. With 5 digits a bucket's half is 2^17 counts, and values of 64
/// bits have at most 47 buckets of 2^18 counts, so 48 halves; a count takes at most nine bytes:
/// 48 x 2^17 x 9 = 56.6 million, and the header.
const INFLATED_BYTES_MAX: u64 = 1 << 26;

pub(super) fn occupied(text: &str) -> Result<Vec<(u64, u64)>, String> {
    let bytes = BASE64
        .decode(text)
        .map_err(|error| format!("not base64: {error}"))?;
    let broken = || "not an HdrHistogram V2".to_owned();
    if !is_cookie(word(&bytes, 0).ok_or_else(broken)?, DEFLATED_COOKIE) {
        return Err(broken());
    }
    let deflated = bytes.get(DEFLATED_HEADER_BYTES..).ok_or_else(broken)?;
    let mut inflated = Vec::new();
    flate2::read::ZlibDecoder::new(deflated)
        .take(INFLATED_BYTES_MAX)
        .read_to_end(&mut inflated)
        .map_err(|error| format!("not deflated: {error}"))?;
    if !is_cookie(word(&inflated, 0).ok_or_else(broken)?, COOKIE) {
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
    counts(payload, Layout::new(digits, lowest)).ok_or_else(broken)
}

fn counts(mut payload: &[u8], layout: Layout) -> Option<Vec<(u64, u64)>> {
    let mut occupied = Vec::new();
    let (mut index, mut total) = (0u64, 0u64);
    while !payload.is_empty() {
        let number = take_number(&mut payload)?;
        if number < 0 {
            index = index.checked_add(number.unsigned_abs())?;
            continue;
        }
        if number > 0 {
            // A histogram holds at most 2^64 - 1 values; who reads it adds its counts up.
            total = total.checked_add(number.unsigned_abs())?;
            occupied.push((layout.largest(index)?, number.unsigned_abs()));
        }
        index = index.checked_add(1)?;
    }
    Some(occupied)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::super::v2::write_number;
    use super::super::{EncodedHistogram, Histogram};
    use super::*;

    /// Returns a histogram of these numbers, for values of which `lowest` is told from others.
    fn forged(lowest: u64, numbers: &[i64]) -> EncodedHistogram {
        let mut counts = Vec::new();
        numbers
            .iter()
            .for_each(|&number| write_number(&mut counts, number));
        let mut plain = Vec::new();
        for word in [COOKIE, counts.len() as u32, 0, 5] {
            plain.extend_from_slice(&word.to_be_bytes());
        }
        plain.extend_from_slice(&lowest.to_be_bytes());
        plain.resize(HEADER_BYTES, 0);
        plain.extend_from_slice(&counts);
        let mut bytes = DEFLATED_COOKIE.to_be_bytes().to_vec();
        bytes.resize(DEFLATED_HEADER_BYTES, 0);
        let mut deflating = ZlibEncoder::new(&mut bytes, Compression::default());
        deflating.write_all(&plain).unwrap();
        deflating.finish().unwrap();
        EncodedHistogram(BASE64.encode(bytes))
    }

    #[test]
    fn numbers_that_no_histogram_has_are_refused_without_an_overflow() {
        assert_eq!(forged(1, &[-3, 7]).occupied(), Ok(vec![(3, 7)]));
        // The count's bucket is 2^32 - 1, to which its unit of 2^40 adds 40.
        let bucket_max = (i64::from(u32::MAX) + 1) << 17;
        for (lowest, numbers) in [
            (1 << 40, vec![-bucket_max, 1]),
            (1, vec![i64::MIN, i64::MIN, 1]),
            (1, vec![-(1 << 40), 1]),
            (1, vec![i64::MAX; 3]),
            (0, vec![1]),
        ] {
            assert!(forged(lowest, &numbers).occupied().is_err(), "{numbers:?}");
        }
    }

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

//! Histograms of durations that merge, with exact extremes beside them.

mod encoder;
mod sparse;
mod v2;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use crate::time::nanos;

pub(crate) use encoder::IntervalEncoder;

/// Significant decimal digits that a histogram keeps.
pub const SIGNIFICANT_DIGITS: u8 = 4;

/// The least difference that a histogram tells apart, in nanoseconds.
pub const RESOLUTION_NS: u64 = 100;

/// The largest duration that a histogram tells from larger ones: 11 days.
const DURATION_MAX_NS: u64 = 1_000_000_000_000_000;

/// A histogram of durations in nanoseconds: 4 significant digits, never finer than 100 ns, with
/// count, minimum, maximum and sum kept exactly beside it.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: hdrhistogram::Histogram<u32>,
    minimum_ns: u64,
    maximum_ns: u64,
    sum_ns: u128,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

impl Histogram {
    /// Returns an empty histogram. It grows as larger values come: about 1 MB up to 10 s.
    pub fn new() -> Histogram {
        let mut buckets = hdrhistogram::Histogram::new_with_bounds(
            RESOLUTION_NS,
            2 * RESOLUTION_NS,
            SIGNIFICANT_DIGITS,
        )
        .expect("constant bounds are valid");
        buckets.auto(true);
        Histogram {
            buckets,
            minimum_ns: u64::MAX,
            maximum_ns: 0,
            sum_ns: 0,
        }
    }

    /// Adds one duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_ns(nanos(duration));
    }

    /// Adds one duration in nanoseconds, at most 10^15 (11 days).
    pub fn record_ns(&mut self, nanoseconds: u64) {
        let nanoseconds = nanoseconds.min(DURATION_MAX_NS);
        self.buckets
            .record(nanoseconds)
            .expect("an auto-resizing histogram takes every value");
        self.minimum_ns = self.minimum_ns.min(nanoseconds);
        self.maximum_ns = self.maximum_ns.max(nanoseconds);
        self.sum_ns += u128::from(nanoseconds);
    }

    /// Adds all of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        self.buckets
            .add(&other.buckets)
            .expect("an auto-resizing histogram takes every other");
        self.minimum_ns = self.minimum_ns.min(other.minimum_ns);
        self.maximum_ns = self.maximum_ns.max(other.maximum_ns);
        self.sum_ns += other.sum_ns;
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.buckets.reset();
        (self.minimum_ns, self.maximum_ns, self.sum_ns) = (u64::MAX, 0, 0);
    }

    /// Returns how many durations it holds.
    pub fn count(&self) -> u64 {
        self.buckets.len()
    }

    /// Returns the exact minimum in nanoseconds; `None` when empty.
    pub fn minimum_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.minimum_ns)
    }

    /// Returns the exact maximum in nanoseconds; `None` when empty.
    pub fn maximum_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.maximum_ns)
    }

    /// Returns the exact mean in nanoseconds; `None` when empty.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum_ns as f64 / self.count() as f64)
    }

    /// Returns the value of the `rank`-th smallest duration (from 1) in nanoseconds, to 4 digits;
    /// the extremes exactly. `None` when there are fewer.
    pub fn value_at_rank_ns(&self, rank: u64) -> Option<u64> {
        if rank == 0 || rank > self.count() {
            return None;
        }
        if rank == 1 {
            return Some(self.minimum_ns);
        }
        if rank == self.count() {
            return Some(self.maximum_ns);
        }
        let quantile = (rank as f64 - 0.5) / self.count() as f64;
        let value = self.buckets.value_at_quantile(quantile);
        Some(
            self.buckets
                .median_equivalent(value)
                .clamp(self.minimum_ns, self.maximum_ns),
        )
    }

    /// Returns the quantile `q` (0 to 1) of the held durations in nanoseconds, by nearest rank.
    pub fn quantile_ns(&self, q: f64) -> Option<u64> {
        self.value_at_rank_ns(rank_of(q, self.count()))
    }

    /// Returns (value in nanoseconds, count) of each occupied bucket, ascending.
    pub fn occupied(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter_recorded().map(|bucket| {
            (
                bucket.value_iterated_to(),
                u64::from(bucket.count_at_value()),
            )
        })
    }

    /// Returns the underlying histogram, for interval logs.
    pub fn buckets(&self) -> &hdrhistogram::Histogram<u32> {
        &self.buckets
    }
}

/// Returns the nearest rank (from 1) of quantile `q` among `count` values: ceil(q x count).
pub fn rank_of(q: f64, count: u64) -> u64 {
    // The product of e.g. 0.99 and 100 may land an ulp above 99: round that away.
    let exact = q * count as f64;
    let nearest = exact.round();
    let rank = if (exact - nearest).abs() < 1e-6 {
        nearest
    } else {
        exact.ceil()
    };
    (rank as u64).clamp(1, count.max(1))
}

/// A histogram as the standard tools store it: HdrHistogram V2, deflated, in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodedHistogram(pub String);

impl EncodedHistogram {
    /// Encodes a histogram.
    pub fn encode(histogram: &Histogram) -> EncodedHistogram {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&histogram.buckets, &mut bytes)
            .expect("writing to memory succeeds");
        EncodedHistogram(BASE64.encode(bytes))
    }

    /// Decodes it.
    ///
    /// # Errors
    ///
    /// Says what is wrong when the text is no such histogram.
    pub fn decode(&self) -> Result<hdrhistogram::Histogram<u32>, String> {
        let bytes = BASE64
            .decode(&self.0)
            .map_err(|error| format!("not base64: {error}"))?;
        let mut buckets: hdrhistogram::Histogram<u32> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| format!("not an HdrHistogram V2: {error}"))?;
        buckets.auto(true);
        Ok(buckets)
    }
}

impl EncodedHistogram {
    /// Returns (largest value of the bucket, count) of each occupied bucket, ascending, without
    /// building the histogram: about a sixth of the time for 200 values.
    ///
    /// # Errors
    ///
    /// Says what is wrong when the text is no such histogram.
    pub fn occupied(&self) -> Result<Vec<(u64, u64)>, String> {
        sparse::occupied(&self.0)
    }
}

/// A histogram's form in records.
#[derive(Serialize, Deserialize)]
struct Stored {
    count: u64,
    minimum_ns: Option<u64>,
    maximum_ns: Option<u64>,
    /// In decimal: it may exceed 64 bits.
    sum_ns: String,
    hdr_v2: EncodedHistogram,
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored {
            count: self.count(),
            minimum_ns: self.minimum_ns(),
            maximum_ns: self.maximum_ns(),
            sum_ns: self.sum_ns.to_string(),
            hdr_v2: EncodedHistogram::encode(self),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Histogram, D::Error> {
        use serde::de::Error;
        let stored = Stored::deserialize(deserializer)?;
        let buckets = stored.hdr_v2.decode().map_err(D::Error::custom)?;
        if buckets.len() != stored.count {
            return Err(D::Error::custom(format!(
                "the histogram holds {} values where {} are stated",
                buckets.len(),
                stored.count
            )));
        }
        Ok(Histogram {
            buckets,
            minimum_ns: stored.minimum_ns.unwrap_or(u64::MAX),
            maximum_ns: stored.maximum_ns.unwrap_or(0),
            sum_ns: stored.sum_ns.parse().map_err(D::Error::custom)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values_ns: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values_ns
            .iter()
            .for_each(|&value| histogram.record_ns(value));
        histogram
    }

    #[test]
    fn extremes_and_mean_are_exact_and_quantiles_keep_four_digits() {
        let histogram = histogram(&[33_123, 70_123_457, 150_000_001]);
        assert_eq!(histogram.minimum_ns(), Some(33_123));
        assert_eq!(histogram.maximum_ns(), Some(150_000_001));
        assert_eq!(
            histogram.mean_ns(),
            Some((33_123.0 + 70_123_457.0 + 150_000_001.0) / 3.0)
        );
        let median = histogram.quantile_ns(0.5).unwrap() as f64;
        assert!((median / 70_123_457.0 - 1.0).abs() < 1e-4, "{median}");
    }

    #[test]
    fn merging_two_sources_equals_recording_both() {
        let (mut left, right) = (
            histogram(&[1_000, 2_000_000]),
            histogram(&[500, 9_000_000_000]),
        );
        left.merge(&right);
        assert_eq!(left.count(), 4);
        assert_eq!(left.minimum_ns(), Some(500));
        assert_eq!(left.maximum_ns(), Some(9_000_000_000));
        assert_eq!(
            left.mean_ns(),
            Some((1_000.0 + 2_000_000.0 + 500.0 + 9e9) / 4.0)
        );
    }

    #[test]
    fn nearest_rank_of_one_hundred_values() {
        assert_eq!(rank_of(0.5, 100), 50);
        assert_eq!(rank_of(0.99, 100), 99);
        assert_eq!(rank_of(0.999, 100), 100);
        assert_eq!(rank_of(0.0, 100), 1);
    }

    #[test]
    fn the_stored_form_reads_back_whole() {
        let first = histogram(&[33_123, 70_123_457, 150_000_001]);
        let json = serde_json::to_string(&first).unwrap();
        let second: Histogram = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&second).unwrap(), json);
        assert_eq!(second.minimum_ns(), Some(33_123));
        let forged = json.replace("\"count\":3", "\"count\":4");
        assert!(serde_json::from_str::<Histogram>(&forged).is_err());
    }
}

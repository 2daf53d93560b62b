//! Encoding few durations as a histogram, without the histogram.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::{Compress, Compression, FlushCompress, Status};

use super::v2::{
    COOKIE, DEFLATED_COOKIE, DEFLATED_HEADER_BYTES, HEADER_BYTES, Layout, write_number,
};
use super::{DURATION_MAX_NS, EncodedHistogram, RESOLUTION_NS, SIGNIFICANT_DIGITS};

const LAYOUT: Layout = Layout::new(SIGNIFICANT_DIGITS as u32, RESOLUTION_NS);

/// Encodes lists of durations as [`EncodedHistogram::encode`] would after recording each list
/// in one [`super::Histogram`] that is cleared in between, byte for byte.
///
/// That histogram has 150 000 counts, which it would take longer to clear and to read than to
/// encode the few durations of one interval.
#[derive(Debug)]
pub(crate) struct IntervalEncoder {
    compress: Compress,
    /// The largest value that the histogram would have room for: its header says so.
    highest_ns: u64,
    indexes: Vec<u64>,
    plain: Vec<u8>,
    deflated: Vec<u8>,
}

impl IntervalEncoder {
    pub(crate) fn new() -> IntervalEncoder {
        IntervalEncoder {
            compress: Compress::new(Compression::default(), true),
            highest_ns: 2 * RESOLUTION_NS,
            indexes: Vec::new(),
            plain: Vec::new(),
            deflated: Vec::new(),
        }
    }

    /// Encodes durations given in nanoseconds, in the order in which they are recorded.
    pub(crate) fn encode(&mut self, durations_ns: &[u64]) -> EncodedHistogram {
        self.indexes.clear();
        for &nanoseconds in durations_ns {
            let nanoseconds = nanoseconds.min(DURATION_MAX_NS);
            self.highest_ns = self.highest_ns.max(highest_with(nanoseconds));
            self.indexes.push(LAYOUT.index_of(nanoseconds));
        }
        self.indexes.sort_unstable();
        self.write_plain();
        self.deflate();
        EncodedHistogram(BASE64.encode(&self.deflated))
    }

    fn write_plain(&mut self) {
        self.plain.clear();
        self.plain.extend_from_slice(&COOKIE.to_be_bytes());
        // The length of the counts, known below, and the index offset.
        self.plain.extend_from_slice(&[0; 8]);
        let digits = u32::from(SIGNIFICANT_DIGITS);
        self.plain.extend_from_slice(&digits.to_be_bytes());
        self.plain.extend_from_slice(&RESOLUTION_NS.to_be_bytes());
        self.plain.extend_from_slice(&self.highest_ns.to_be_bytes());
        self.plain.extend_from_slice(&1f64.to_be_bytes());
        let mut next = 0;
        for equal in self.indexes.chunk_by(|a, b| a == b) {
            write_zeros(&mut self.plain, equal[0] - next);
            write_number(&mut self.plain, equal.len() as i64);
            next = equal[0] + 1;
        }
        if next == 0 {
            write_zeros(&mut self.plain, 1);
        }
        let length = (self.plain.len() - HEADER_BYTES) as u32;
        self.plain[4..8].copy_from_slice(&length.to_be_bytes());
    }

    fn deflate(&mut self) {
        self.deflated.clear();
        self.deflated
            .extend_from_slice(&DEFLATED_COOKIE.to_be_bytes());
        self.deflated.extend_from_slice(&[0; 4]);
        self.compress.reset();
        loop {
            // The list grows whenever it is full: each turn makes progress.
            self.deflated.reserve(self.plain.len() / 2 + 64);
            let taken = self.compress.total_in() as usize;
            let status = self.compress.compress_vec(
                &self.plain[taken..],
                &mut self.deflated,
                FlushCompress::Finish,
            );
            if status.expect("deflating into memory succeeds") == Status::StreamEnd {
                break;
            }
        }
        let length = (self.deflated.len() - DEFLATED_HEADER_BYTES) as u32;
        self.deflated[4..8].copy_from_slice(&length.to_be_bytes());
    }
}

/// Returns the largest value of a histogram that grew for a value; 0: it need not grow.
fn highest_with(nanoseconds: u64) -> u64 {
    match LAYOUT.bucket_of(nanoseconds) {
        0 => 0,
        bucket => LAYOUT.bucket_end(bucket),
    }
}

fn write_zeros(bytes: &mut Vec<u8>, count: u64) {
    match count {
        0 => {}
        1 => write_number(bytes, 0),
        _ => write_number(bytes, -(count as i64)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Histogram;
    use super::*;

    #[test]
    fn the_text_is_that_of_a_recorded_histogram() {
        let ms = 1_000_000;
        let mut scattered: Vec<u64> = (0..3_000u64).map(|n| n * n * n % (400 * ms)).collect();
        scattered.extend([64, 128, 192, 200, 4_095, 2_097_151, 2_097_152, 2_097_153]);
        let lists: [&[u64]; 9] = [
            &[],
            &[0, 0, 63, 64],
            &[70 * ms; 500],
            &[70 * ms, 140 * ms, 69 * ms],
            &[5 * ms, 4 * ms, 9 * ms, 10_000 * ms],
            &[1],
            &scattered,
            &[u64::MAX, 3],
            &[71 * ms],
        ];
        let mut encoder = IntervalEncoder::new();
        let mut recorded = Histogram::new();
        for list in lists {
            recorded.clear();
            list.iter().for_each(|&value| recorded.record_ns(value));
            let expected = EncodedHistogram::encode(&recorded);
            assert_eq!(encoder.encode(list), expected, "{list:?}");
        }
    }
}

//! The core workloads of YCSB by letter (Cooper et al., "Benchmarking cloud serving systems with
//! YCSB", SoCC 2010).

use super::validate::WorkloadError;
use super::{KeyDistribution, Workload, WriteMix};

impl Workload {
    /// Returns the YCSB core workload of a letter, with YCSB's thousand records of 1000 bytes and
    /// exponent 0.99; arrivals stay at the default, for YCSB states none.
    ///
    /// - `a`: half reads, half writes, Zipf; `b`: 95% reads; `c`: reads alone;
    /// - `d`: 95% reads of the latest keys. YCSB inserts new records; here the writes go round a
    ///   fixed set of keys;
    /// - `f`: half reads, half read-modify-writes. YCSB reads and then writes, in two requests;
    ///   here it is one atomic add at the replica, so its latency is that of one operation and
    ///   its values are 8 bytes long.
    ///
    /// A write replaces the whole value, where YCSB's default replaces one field of ten.
    ///
    /// # Errors
    ///
    /// `e` scans, which no operation here does; other letters are unknown.
    pub fn ycsb(letter: char) -> Result<Workload, WorkloadError> {
        const EXPONENT: f64 = 0.99;
        let base = Workload {
            value_size: 1000,
            key_count: 1000,
            keys: KeyDistribution::Zipfian { exponent: EXPONENT },
            ..Workload::default()
        };
        let with_reads = |read_share| Workload {
            read_share,
            ..base.clone()
        };
        match letter.to_ascii_lowercase() {
            'a' => Ok(with_reads(0.5)),
            'b' => Ok(with_reads(0.95)),
            'c' => Ok(with_reads(1.0)),
            'd' => Ok(Workload {
                keys: KeyDistribution::Latest { exponent: EXPONENT },
                ..with_reads(0.95)
            }),
            'e' => Err(WorkloadError::Scans { letter }),
            'f' => Ok(Workload {
                write_mix: WriteMix {
                    add: 1.0,
                    ..WriteMix::default()
                },
                ..with_reads(0.5)
            }),
            _ => Err(WorkloadError::UnknownYcsb { letter }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::OperationKind;

    #[test]
    fn the_letters_name_valid_workloads_and_scans_are_refused() {
        for letter in ['a', 'b', 'c', 'd', 'f', 'A'] {
            let workload = Workload::ycsb(letter).expect("a known letter");
            assert_eq!(workload.validate(), Ok(()), "{letter}");
        }
        let message = Workload::ycsb('e').unwrap_err().to_string();
        assert!(message.contains("no scans"), "{message}");
        assert!(Workload::ycsb('z').is_err());
        let kinds = Workload::ycsb('f').unwrap().kinds();
        assert_eq!(kinds, [OperationKind::Read, OperationKind::Add]);
        assert_eq!(Workload::ycsb('c').unwrap().kinds(), [OperationKind::Read]);
    }
}

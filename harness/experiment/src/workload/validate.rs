//! What makes a workload valid, and what an invalid one is told.

use super::{Arrivals, KeyDistribution, Workload, WriteMix};
use crate::workload::value::ValueMaker;

/// Why a workload is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkloadError {
    /// A number is out of its range.
    #[error("workload: {field} is {value}; give {allowed}")]
    OutOfRange {
        /// The field as scenario files name it.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The shares of the write mix exceed the whole.
    #[error("workload: the shares of write_mix sum to {sum}; give shares that sum to at most 1")]
    MixAboveOne {
        /// Their sum.
        sum: f64,
    },
    /// There are too few keys for the regions' slices.
    #[error(
        "workload: key_count is {key_count}, too few for {regions} client regions; \
         give at least {needed}"
    )]
    TooFewKeys {
        /// The number of keys.
        key_count: u64,
        /// The number of client regions.
        regions: usize,
        /// The least number of keys.
        needed: u64,
    },
    /// A YCSB workload scans.
    #[error(
        "YCSB workload '{letter}' scans ranges of keys, and longhaul has no scans; \
         choose one of a, b, c, d, f"
    )]
    Scans {
        /// The workload's letter.
        letter: char,
    },
    /// There is no YCSB workload of this letter.
    #[error("there is no YCSB workload '{letter}'; choose one of a, b, c, d, f")]
    UnknownYcsb {
        /// The letter.
        letter: char,
    },
}

impl Workload {
    /// The highest rate of a client region, in operations per second.
    pub const RATE_MAX: f64 = 1e6;
    /// The largest value in bytes.
    pub const VALUE_SIZE_MAX: u32 = 1 << 20;
    /// The most keys.
    pub const KEY_COUNT_MAX: u64 = 1 << 32;
    /// The most operations that one connection of a closed loop keeps in flight.
    pub const IN_FLIGHT_MAX: u32 = 10_000;
    /// The steepest exponent of Zipf's distribution.
    pub const EXPONENT_MAX: f64 = 10.0;

    /// Checks every number of the workload.
    ///
    /// # Errors
    ///
    /// Names the first field out of its range and the range.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        self.validate_arrivals()?;
        let shares = [
            ("read_share", self.read_share),
            ("write_mix.compare_and_set", self.write_mix.compare_and_set),
            ("write_mix.add", self.write_mix.add),
            ("write_mix.take_if_enough", self.write_mix.take_if_enough),
            ("conflict_rate", self.conflict_rate),
            ("locality", self.locality),
        ];
        for (field, share) in shares {
            check_share(field, share)?;
        }
        let sum = self.write_mix.sum();
        if sum > 1.0 + WriteMix::ROUNDING {
            return Err(WorkloadError::MixAboveOne { sum });
        }
        let least = ValueMaker::ID_BYTES as u32;
        if !(least..=Workload::VALUE_SIZE_MAX).contains(&self.value_size) {
            let allowed = format!("{least} to {} bytes", Workload::VALUE_SIZE_MAX);
            return Err(out_of_range("value_size", self.value_size, allowed));
        }
        let least = if self.conflict_rate > 0.0 { 2 } else { 1 };
        if !(least..=Workload::KEY_COUNT_MAX).contains(&self.key_count) {
            let allowed = format!("{least} to {} keys", Workload::KEY_COUNT_MAX);
            return Err(out_of_range("key_count", self.key_count, allowed));
        }
        self.validate_keys()
    }

    /// Checks that there are keys for every client region's slice, where slices matter.
    ///
    /// # Errors
    ///
    /// Says how many keys are needed.
    pub fn validate_for(&self, regions: usize) -> Result<(), WorkloadError> {
        let sliced = self.locality > 0.0 || matches!(self.keys, KeyDistribution::Latest { .. });
        let needed = regions as u64 + u64::from(self.conflict_rate > 0.0);
        if sliced && self.key_count < needed {
            return Err(WorkloadError::TooFewKeys {
                key_count: self.key_count,
                regions,
                needed,
            });
        }
        Ok(())
    }

    fn validate_arrivals(&self) -> Result<(), WorkloadError> {
        match self.arrivals {
            Arrivals::Poisson { rate } | Arrivals::Constant { rate } => {
                if !(rate > 0.0 && rate <= Workload::RATE_MAX) {
                    let allowed = format!(
                        "more than 0 and at most {} operations per second and region",
                        Workload::RATE_MAX
                    );
                    return Err(out_of_range("rate", rate, allowed));
                }
            }
            Arrivals::Closed { in_flight } => {
                if !(1..=Workload::IN_FLIGHT_MAX).contains(&in_flight) {
                    let allowed = format!("1 to {} per connection", Workload::IN_FLIGHT_MAX);
                    return Err(out_of_range("in_flight", in_flight, allowed));
                }
            }
        }
        Ok(())
    }

    fn validate_keys(&self) -> Result<(), WorkloadError> {
        match self.keys {
            KeyDistribution::Uniform => Ok(()),
            KeyDistribution::Zipfian { exponent } | KeyDistribution::Latest { exponent } => {
                if (0.0..=Workload::EXPONENT_MAX).contains(&exponent) {
                    return Ok(());
                }
                let allowed = format!("0 to {} (YCSB: 0.99)", Workload::EXPONENT_MAX);
                Err(out_of_range("keys.exponent", exponent, allowed))
            }
            KeyDistribution::Hotspot {
                hot_keys,
                hot_operations,
            } => {
                check_share("keys.hot_keys", hot_keys)?;
                check_share("keys.hot_operations", hot_operations)
            }
        }
    }
}

fn check_share(field: &'static str, share: f64) -> Result<(), WorkloadError> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(out_of_range(field, share, "a share from 0 to 1".to_owned()))
}

fn out_of_range(field: &'static str, value: impl ToString, allowed: String) -> WorkloadError {
    WorkloadError::OutOfRange {
        field,
        value: value.to_string(),
        allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl Fn(&mut Workload)) -> String {
        let mut workload = Workload::default();
        change(&mut workload);
        workload.validate().expect_err("it is invalid").to_string()
    }

    #[test]
    fn the_default_workload_is_valid() {
        assert_eq!(Workload::default().validate(), Ok(()));
        assert_eq!(Workload::default().validate_for(30), Ok(()));
    }

    #[test]
    fn every_number_out_of_range_is_named_with_its_range() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e6] {
            let message = refusal(|workload| workload.arrivals = Arrivals::Poisson { rate });
            assert!(message.contains("rate is"), "{message}");
        }
        let message = refusal(|workload| workload.arrivals = Arrivals::Closed { in_flight: 0 });
        assert!(message.contains("in_flight is 0"), "{message}");
        let message = refusal(|workload| workload.read_share = 1.5);
        assert_eq!(
            message,
            "workload: read_share is 1.5; give a share from 0 to 1"
        );
        let message = refusal(|workload| workload.locality = f64::NAN);
        assert!(message.contains("locality is NaN"), "{message}");
        let message = refusal(|workload| workload.value_size = 15);
        assert!(message.contains("value_size is 15"), "{message}");
        let message = refusal(|workload| workload.key_count = 0);
        assert!(message.contains("key_count is 0"), "{message}");
        let message = refusal(|workload| {
            workload.key_count = 1;
            workload.conflict_rate = 0.1;
        });
        assert!(message.contains("2 to"), "{message}");
        let message =
            refusal(|workload| workload.keys = KeyDistribution::Zipfian { exponent: -0.1 });
        assert!(message.contains("keys.exponent"), "{message}");
        let message = refusal(|workload| {
            workload.write_mix = WriteMix {
                compare_and_set: 0.6,
                add: 0.6,
                take_if_enough: 0.0,
            }
        });
        assert!(message.contains("sum to 1.2"), "{message}");
    }

    #[test]
    fn shares_that_sum_to_one_but_for_rounding_are_valid() {
        let workload = Workload {
            write_mix: WriteMix {
                compare_and_set: 0.1,
                add: 0.7,
                take_if_enough: 0.2,
            },
            ..Workload::default()
        };
        assert_eq!(workload.validate(), Ok(()));
    }

    #[test]
    fn slices_need_a_key_per_region() {
        let workload = Workload {
            key_count: 4,
            locality: 0.5,
            ..Workload::default()
        };
        assert_eq!(workload.validate_for(4), Ok(()));
        assert!(workload.validate_for(5).is_err());
    }
}

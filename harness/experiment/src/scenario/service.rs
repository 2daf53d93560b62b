//! The `[service]` of a scenario file: what replicas' work costs in virtual time.
//!
//! ```
//! use longhaul_experiment::scenario::ScenarioFile;
//!
//! let file = ScenarioFile::parse(
//!     r#"
//!     [service.default]
//!     per_message = "2.5us"         # processor time of a message received or sent
//!     per_kib = "400ns"             # and of 1024 bytes
//!     cores = 1                     # processors that share a batch of messages
//!     sync = [[0.5, "210us"], [0.99, "1.2ms"]]
//!
//!     [service.modes."quorum:raft"]
//!     per_message = "3us"           # the rest as above
//!     "#,
//!     "service.toml",
//! )?;
//! assert!(file.service.is_some());
//! # Ok::<(), longhaul_experiment::scenario::ScenarioError>(())
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration::DurationText;
use super::error::{ScenarioError, duration_out_of_range};
use crate::mode::ModeSpec;
use crate::profile::Marginal;
use crate::service::{Service, ServiceTimes};

/// The longest that a message, a KiB or a sync may take: beyond, a unit is surely wrong.
const LONGEST: Duration = Duration::from_secs(10);
/// The most processors of one replica.
const CORES_MAX: u32 = 1024;
const SYNC_QUANTILES_MAX: usize = 256;

/// The `[service]` of a scenario file. `longhaul calibrate --service` prints one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceFile {
    /// What a message costs in modes that have no times of their own.
    pub default: ServiceFields,
    /// The times of single modes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<ModeSpec, ServiceFields>,
}

impl ServiceFile {
    /// Returns it as the `[service]` of a scenario file.
    pub fn to_toml(&self) -> String {
        #[derive(Serialize)]
        struct Fragment<'a> {
            service: &'a ServiceFile,
        }
        toml::to_string(&Fragment { service: self }).expect("numbers and strings are TOML")
    }
}

/// The service times of one mode as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceFields {
    /// Processor time of one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_message: Option<DurationText>,
    /// Processor time of 1024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_kib: Option<DurationText>,
    /// Processors of a replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// The time of a sync: quantiles as pairs of a probability and a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<Vec<(f64, DurationText)>>,
}

/// Checks what is written and fills in what is not: a mode's missing times are the default's, and
/// the default's are zero, on one processor.
pub(super) fn resolve_service(file: ServiceFile) -> Result<Service, ScenarioError> {
    let default = file.default.over(&ServiceTimes::default())?;
    let modes = file.modes.into_iter();
    let modes = modes.map(|(mode, fields)| Ok((mode, fields.over(&default)?)));
    Ok(Service {
        modes: modes.collect::<Result<_, ScenarioError>>()?,
        default,
    })
}

impl ServiceFields {
    fn over(self, base: &ServiceTimes) -> Result<ServiceTimes, ScenarioError> {
        let time = |field, text: Option<DurationText>, base| {
            let value = text.map_or(base, Duration::from);
            check_time(field, value).map(|()| value)
        };
        let cores = self.cores.unwrap_or(base.cores);
        if !(1..=CORES_MAX).contains(&cores) {
            return Err(ScenarioError::OutOfRange {
                field: "service cores",
                value: cores.to_string(),
                allowed: format!("1 to {CORES_MAX}"),
            });
        }
        Ok(ServiceTimes {
            per_message: time("service per_message", self.per_message, base.per_message)?,
            per_kib: time("service per_kib", self.per_kib, base.per_kib)?,
            cores,
            sync: match self.sync {
                Some(quantiles) => sync_marginal(quantiles)?,
                None => base.sync.clone(),
            },
        })
    }
}

fn check_time(field: &'static str, value: Duration) -> Result<(), ScenarioError> {
    if value <= LONGEST {
        return Ok(());
    }
    let allowed = format!("at most {}", DurationText(LONGEST));
    Err(duration_out_of_range(field, value, allowed))
}

fn sync_marginal(quantiles: Vec<(f64, DurationText)>) -> Result<Marginal, ScenarioError> {
    let refused = |value: String, allowed: &str| ScenarioError::OutOfRange {
        field: "service sync",
        value,
        allowed: allowed.to_owned(),
    };
    if quantiles.is_empty() || quantiles.len() > SYNC_QUANTILES_MAX {
        let value = format!("a list of {} quantiles", quantiles.len());
        return Err(refused(value, "1 to 256 pairs such as [0.5, \"200us\"]"));
    }
    let mut points: Vec<(f64, Duration)> = Vec::with_capacity(quantiles.len() + 1);
    for (probability, DurationText(time)) in quantiles {
        check_time("service sync", time)?;
        let last = points.last();
        let ascends = last.is_none_or(|&(p, t)| probability > p && time >= t);
        if !(0.0..=1.0).contains(&probability) || !ascends {
            let value = format!("[{probability}, \"{}\"]", DurationText(time));
            return Err(refused(
                value,
                "probabilities from 0 to 1 and times, both ascending",
            ));
        }
        if points.is_empty() && probability > 0.0 {
            points.push((0.0, time));
        }
        points.push((probability, time));
    }
    Ok(Marginal::Quantiles(points))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::ScenarioFile;

    fn resolved(text: &str) -> Result<Service, String> {
        let file: ServiceFile = toml::from_str(text).map_err(|error| error.to_string())?;
        resolve_service(file).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mode_takes_from_the_default_what_it_does_not_state() {
        let service = resolved(
            "default = { per_message = \"2us\", cores = 4 }\n\
             modes.\"quorum:raft\" = { per_kib = \"1us\" }",
        )
        .unwrap();
        let raft = service.of(&"quorum:raft".parse().unwrap());
        assert_eq!(raft.per_message, Duration::from_micros(2));
        assert_eq!(raft.per_kib, Duration::from_micros(1));
        assert_eq!(raft.cores, 4);
        let other = service.of(&"eventual:lww".parse().unwrap());
        assert_eq!(other.per_kib, Duration::ZERO);
    }

    #[test]
    fn a_sync_below_its_first_quantile_takes_as_long_as_that() {
        let service = resolved("default = { sync = [[0.5, \"1ms\"], [0.9, \"3ms\"]] }").unwrap();
        let ms = Duration::from_millis;
        assert_eq!(
            service.default.sync,
            Marginal::Quantiles(vec![(0.0, ms(1)), (0.5, ms(1)), (0.9, ms(3))])
        );
    }

    #[test]
    fn what_is_printed_reads_back() {
        let text = "[service.default]\nper_message = \"2us\"\nsync = [[0.5, \"1ms\"]]\n\n\
                    [service.modes.\"quorum:raft\"]\nper_kib = \"1us\"\n";
        let first = ScenarioFile::parse(text, "x.toml")
            .unwrap()
            .service
            .unwrap();
        let second = ScenarioFile::parse(&first.to_toml(), "y.toml").unwrap();
        assert_eq!(second.service, Some(first));
    }

    #[test]
    fn unfit_times_are_refused_with_what_is_allowed() {
        for (text, expected) in [
            ("default = { per_message = \"11s\" }", "at most 10s"),
            ("default = { cores = 0 }", "1 to 1024"),
            ("default = { sync = [] }", "1 to 256 pairs"),
            (
                "default = { sync = [[0.9, \"3ms\"], [0.5, \"4ms\"]] }",
                "both ascending",
            ),
            (
                "default = { sync = [[0.5, \"3ms\"], [0.9, \"1ms\"]] }",
                "both ascending",
            ),
            ("default = { sync = [[nan, \"3ms\"]] }", "from 0 to 1"),
            ("default = { per_mile = \"1ms\" }", "unknown field"),
        ] {
            let why = resolved(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}

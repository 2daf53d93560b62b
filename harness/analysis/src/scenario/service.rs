//! What replicas' work cost in virtual time, in a run's summary.

use longhaul_experiment::service::{Service, ServiceTimes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::link;

/// What a replica's work cost in virtual time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSummary {
    /// The mode that it is of; null for all modes that have none of their own.
    pub mode: Option<String>,
    /// Processor time of a message received or sent, in microseconds.
    pub per_message_us: f64,
    /// Processor time of 1024 bytes received or sent, in microseconds.
    pub per_kib_us: f64,
    /// How many processors share a replica's work.
    pub cores: u32,
    /// How long a sync of the write-ahead log takes, in words.
    pub sync: String,
}

impl ServiceSummary {
    /// Returns the service times of a scenario: those of no mode in particular first.
    pub fn all(service: &Service) -> Vec<ServiceSummary> {
        let one = |mode: Option<String>, times: &ServiceTimes| ServiceSummary {
            mode,
            per_message_us: times.per_message.as_nanos() as f64 / 1e3,
            per_kib_us: times.per_kib.as_nanos() as f64 / 1e3,
            cores: times.cores,
            sync: link::told(&times.sync),
        };
        let modes = service.modes.iter();
        let modes = modes.map(|(mode, times)| one(Some(mode.to_string()), times));
        std::iter::once(one(None, &service.default))
            .chain(modes)
            .collect()
    }
}

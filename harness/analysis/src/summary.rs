//! The form of a summary: its JSON is published, with a schema generated from these types.

use std::collections::BTreeMap;

use longhaul_experiment::record::{BackendKind, Calibration, Environment, LoadCalibration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::latency::{LatencyMs, Percentile};
use crate::scenario::ScenarioSummary;
use crate::statistics::{Drift, Intervals};
use crate::traffic::WanSummary;

/// All figures of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The version of the record that it was made from.
    pub record_version: u32,
    /// The run's order.
    pub scenario: ScenarioSummary,
    /// Where it ran.
    pub backend: BackendKind,
    /// Its seed.
    pub seed: u64,
    /// Whether it ran to its end.
    pub complete: bool,
    /// Whether the run can carry its figures: complete, nothing below its floor, and for live
    /// runs calibrated, on time and on a machine not too busy.
    pub publishable: bool,
    /// Why it cannot; empty when it can.
    pub unpublishable_because: Vec<String>,
    /// How exact the emulation was, before load.
    pub calibration: Calibration,
    /// The machine and the program.
    pub environment: Environment,
    /// What casts doubt on the run as a whole, each saying what to do.
    pub warnings: Vec<String>,
    /// One per mode that ran.
    pub modes: Vec<ModeSummary>,
}

/// The figures of one mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModeSummary {
    /// The mode's canonical string.
    pub mode: String,
    /// Who led, from when; empty for modes without a leader.
    pub leaders: Vec<LeaderSummary>,
    /// Operations due in the window that succeeded, of all kinds and regions, per second.
    pub goodput_ops: f64,
    /// What a write sent between regions.
    pub wan: WanSummary,
    /// How exact the emulation was meanwhile; null in virtual time.
    pub load: Option<LoadCalibration>,
    /// What casts doubt on this mode's figures, each saying what to do.
    pub warnings: Vec<String>,
    /// One per client region.
    pub regions: Vec<RegionSummary>,
}

/// A leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeaderSummary {
    /// When it began, in seconds after the measured window did; negative when before.
    pub at_s: f64,
    /// The term or ballot.
    pub term: u64,
    /// The leader's region.
    pub region: String,
}

/// What the clients of one region saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegionSummary {
    /// The clients' region.
    pub region: String,
    /// All operations that change the store, of whatever kind; null when there were none. The
    /// floor is that of plain writes where there are any, else the least of the kinds'.
    pub writes: Option<OperationSummary>,
    /// Reads; null when there were none.
    pub reads: Option<OperationSummary>,
    /// Each kind by itself; null unless there were kinds other than reads and plain writes.
    pub by_kind: Option<BTreeMap<String, OperationSummary>>,
    /// Operations that waited because the cap on operations in flight was reached.
    pub capped: u64,
    /// Answers that sent a client on to another leader.
    pub redirects: u64,
}

/// What the clients of one region saw of some operations due in the measured window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationSummary {
    /// Operations due.
    pub due: u64,
    /// Those that succeeded.
    pub ok: u64,
    /// Those that certainly had no effect.
    pub failed: u64,
    /// Those that may have had one, unfinished ones included.
    pub unknown: u64,
    /// Failed and unknown operations by error kind.
    pub errors: BTreeMap<String, u64>,
    /// Due in the window and succeeded, per second of the window.
    pub goodput_ops: f64,
    /// Latency from the instant due, over all operations due: those that did not succeed rank
    /// above every success.
    pub latency_ms: LatencyMs,
    /// The same over the successes alone.
    pub success_latency_ms: LatencyMs,
    /// From the instant first sent, over the successes alone.
    pub service_time_ms: LatencyMs,
    /// Percentiles with fewer than 10 operations beyond them: not to be compared.
    pub too_few: Vec<Percentile>,
    /// How sure these figures are.
    pub intervals: Intervals,
    /// How the median moved over the measured window; null where there are too few time slices,
    /// and where the median of one falls among operations that did not succeed.
    pub drift: Option<Drift>,
    /// The least latency that the mode's own message pattern can have; null when unstated.
    pub floor_ms: Option<f64>,
    /// The median over the floor.
    pub p50_minus_floor_ms: Option<f64>,
    /// The 99th percentile over the floor.
    pub p99_minus_floor_ms: Option<f64>,
}

impl RegionSummary {
    /// Returns all `write` operations and all `read` operations, as far as there were any.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, &OperationSummary)> {
        let writes = self.writes.iter().map(|writes| ("write", writes));
        writes.chain(self.reads.iter().map(|reads| ("read", reads)))
    }
}

impl Summary {
    /// Returns the JSON Schema of a summary.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Summary)
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::OperationKind;

    use crate::{analyse, synthetic};

    #[test]
    fn a_summary_validates_against_the_schema_and_reads_back() {
        let kinds = [
            (OperationKind::Read, synthetic::kind(&[25, 25], 0, 0)),
            (OperationKind::Write, synthetic::kind(&[40, 41], 1, 2)),
            (OperationKind::Add, synthetic::kind(&[60], 0, 0)),
        ];
        let mode = synthetic::mode("quorum:raft", &[&kinds, &[]]);
        let summary = analyse(&synthetic::record(vec![mode])).summary;
        let value = serde_json::to_value(&summary).unwrap();
        let schema = serde_json::from_str(include_str!("../summary.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(
            value["modes"][0]["regions"][0]["writes"]["too_few"][0],
            "p50"
        );
        assert!(value["modes"][0]["regions"][0]["writes"]["latency_ms"]["max"].is_null());
        assert!(!validator.is_valid(&serde_json::json!({"record_version": 1})));
        let read_back: super::Summary = serde_json::from_value(value).unwrap();
        assert_eq!(read_back, summary);
    }
}

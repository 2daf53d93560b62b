//! The form of a sweep: its JSON is published, with a schema generated from these types.

use longhaul_experiment::record::{BackendKind, Calibration, Environment};
use longhaul_experiment::service::ServiceTimes;
use longhaul_experiment::{RunRecord, Scenario};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::doubts::doubts;
use super::knee::{Knee, knee};
use super::level::{Capacity, capacity};
use super::measure::{SweepPoint, in_us};
use super::objective::Slo;
use crate::scenario::ScenarioSummary;

/// The version of a sweep's form. A reader refuses a newer one.
pub const SWEEP_VERSION: u32 = 1;

/// The points of a scenario's modes at several rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sweep {
    /// [`SWEEP_VERSION`] when it was written.
    pub sweep_version: u32,
    /// The scenario that all runs share; its rate is null, since every point has one of its own,
    /// and so is each point's cap on operations in flight.
    pub scenario: ScenarioSummary,
    /// Where it ran.
    pub backend: BackendKind,
    /// Its seed: that of every run, or of the first of several at one rate.
    pub seed: u64,
    /// In which order runs were made.
    pub order: PointOrder,
    /// Whether it ran to its end; `false` after an interrupt.
    pub complete: bool,
    /// The limit that was judged, such as `p99=250ms`; null when there was none.
    pub limit: Option<String>,
    /// The client region in which alone it must hold; null: in every one by itself.
    pub limit_region: Option<String>,
    /// The machine and the program.
    pub environment: Environment,
    /// How exact the emulation was before the load of the last run.
    pub calibration: Calibration,
    /// What casts doubt on the sweep, each saying what to do.
    pub warnings: Vec<String>,
    /// What the points of each mode come to, in the scenario's order.
    pub modes: Vec<SweepMode>,
    /// The points, by mode in the scenario's order, rate and seed.
    pub points: Vec<SweepPoint>,
    /// The runs that failed.
    pub failures: Vec<PointFailure>,
}

/// In which order the runs of a sweep are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PointOrder {
    /// All rates of all modes in an order that the seed shuffles, so that what changes on the
    /// machine meanwhile does not fall on the high rates alone.
    Shuffled,
    /// Mode after mode, from the lowest rate to the highest.
    Ramp,
    /// As a search for the highest rate under a limit asked for them.
    Search,
}

/// What the points of one mode come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepMode {
    /// The mode's canonical string.
    pub mode: String,
    /// What a replica's work was taken to cost; null on a live backend, and in virtual time where
    /// it costs nothing.
    pub service: Option<ServiceSummary>,
    /// Where its line bends; null with too few points.
    pub knee: Option<Knee>,
    /// Up to which rate the limit holds; null without one.
    pub capacity: Option<Capacity>,
}

/// What one replica's work costs in virtual time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSummary {
    /// Processors of each replica, which share the messages of a batch.
    pub cores: u32,
    /// Microseconds of a processor for a message received or sent.
    pub per_message_us: f64,
    /// And for 1024 bytes of it.
    pub per_kib_us: f64,
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointFailure {
    /// The mode's canonical string.
    pub mode: String,
    /// The rate, operations per second and client region.
    pub rate_ops: f64,
    /// The run's seed.
    pub seed: u64,
    /// Why.
    pub why: String,
}

impl ServiceSummary {
    fn new(times: &ServiceTimes) -> ServiceSummary {
        ServiceSummary {
            cores: times.cores,
            per_message_us: in_us(times.per_message),
            per_kib_us: in_us(times.per_kib),
        }
    }
}

impl Sweep {
    /// Returns a sweep without points, not yet complete.
    pub fn begun(scenario: &Scenario, backend: BackendKind, seed: u64, order: PointOrder) -> Sweep {
        let mut summary = ScenarioSummary::new(scenario);
        summary.workload.rate_ops = None;
        let service = scenario.service.as_ref();
        let service = service.filter(|_| backend == BackendKind::Sim);
        let modes = scenario.modes.iter().map(|mode| SweepMode {
            mode: mode.to_string(),
            service: service.map(|service| ServiceSummary::new(service.of(mode))),
            knee: None,
            capacity: None,
        });
        Sweep {
            sweep_version: SWEEP_VERSION,
            scenario: summary,
            backend,
            seed,
            order,
            complete: false,
            limit: None,
            limit_region: None,
            environment: Environment::default(),
            calibration: Calibration::default(),
            warnings: Vec::new(),
            modes: modes.collect(),
            points: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds the run of one mode at one rate; an interrupted one is no point. Points keep their
    /// order by mode, rate and seed.
    pub fn add(&mut self, record: &RunRecord, position: u32) {
        if let Some(point) = SweepPoint::of(record, position) {
            if self.points.is_empty() {
                self.environment = record.environment.clone();
            }
            self.calibration = record.calibration.clone();
            let place = |one: &SweepPoint| {
                let mode = self.modes.iter().position(|mode| mode.mode == one.mode);
                // Rates are positive, and positive numbers are ordered as their bits are.
                (mode, one.rate_ops.to_bits(), one.seed)
            };
            let at = self
                .points
                .partition_point(|one| place(one) <= place(&point));
            self.points.insert(at, point);
        }
    }

    /// Returns the points of a mode, by rate and seed.
    pub fn points_of(&self, mode: &str) -> Vec<&SweepPoint> {
        self.points.iter().filter(|one| one.mode == mode).collect()
    }

    /// Sets what the points of each mode come to, what casts doubt on them, and the limit if there
    /// is one.
    pub fn conclude(&mut self, slo: Option<&Slo>, region: Option<&str>) {
        self.limit = slo.map(Slo::to_string);
        self.limit_region = slo.and(region).map(str::to_owned);
        for number in 0..self.modes.len() {
            let points = self.points_of(&self.modes[number].mode);
            let knee = knee(&points);
            let capacity = slo.map(|slo| capacity(slo, region, &points));
            let mode = &mut self.modes[number];
            (mode.knee, mode.capacity) = (knee, capacity);
        }
        self.warnings = doubts(self);
    }

    /// Returns the JSON Schema of a sweep.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Sweep)
    }
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::OperationKind;

    use super::*;
    use crate::synthetic;

    fn swept() -> Sweep {
        let run = |mode: &str, rate: f64, ms: u64| {
            let kinds = [(OperationKind::Write, synthetic::kind(&[ms; 2000], 0, 1))];
            let mut record = synthetic::record(vec![synthetic::mode(mode, &[&kinds])]);
            record.scenario = record.scenario.at_rate(rate).unwrap();
            record
        };
        let scenario = Scenario {
            modes: ["quorum:raft", "eventual:lww"]
                .map(|mode| mode.parse().unwrap())
                .into(),
            ..synthetic::record(Vec::new()).scenario
        };
        let mut sweep = Sweep::begun(&scenario, BackendKind::Local, 1, PointOrder::Shuffled);
        let runs = [("eventual:lww", 400.0, 900), ("quorum:raft", 400.0, 80)];
        for (position, (mode, rate, ms)) in (1..).zip(
            runs.into_iter()
                .chain([("quorum:raft", 100.0, 40), ("eventual:lww", 200.0, 30)]),
        ) {
            sweep.add(&run(mode, rate, ms), position);
        }
        sweep.failures.push(PointFailure {
            mode: "quorum:raft".to_owned(),
            rate_ops: 800.0,
            seed: 1,
            why: "it did not get ready".to_owned(),
        });
        sweep.complete = true;
        sweep.conclude(Some(&"p99=100ms".parse().unwrap()), None);
        sweep
    }

    #[test]
    fn points_are_kept_by_mode_rate_and_seed_whatever_the_order_of_the_runs() {
        let sweep = swept();
        let places = sweep
            .points
            .iter()
            .map(|one| (one.mode.as_str(), one.rate_ops, one.position));
        assert_eq!(
            places.collect::<Vec<_>>(),
            [
                ("quorum:raft", 100.0, 3),
                ("quorum:raft", 400.0, 2),
                ("eventual:lww", 200.0, 4),
                ("eventual:lww", 400.0, 1),
            ]
        );
        let held: Vec<_> = sweep
            .modes
            .iter()
            .map(|mode| mode.capacity.as_ref().unwrap().holds_to_ops)
            .collect();
        assert_eq!(held, [Some(400.0), Some(200.0)]);
        assert!(
            sweep.warnings[0].contains("1 of the runs failed, the first in quorum:raft at 800/s")
        );
    }

    #[test]
    fn virtual_time_without_service_times_says_that_nothing_saturates() {
        let scenario = &synthetic::record(vec![synthetic::mode("quorum:raft", &[])]).scenario;
        let warned = |scenario: &Scenario| {
            let mut sweep = Sweep::begun(scenario, BackendKind::Sim, 1, PointOrder::Ramp);
            sweep.complete = true;
            sweep.conclude(None, None);
            sweep
                .warnings
                .iter()
                .any(|warning| warning.contains("calibrate --service"))
        };
        assert!(warned(scenario));
        let mut stated = scenario.clone();
        stated.service = Some(longhaul_experiment::service::Service {
            default: ServiceTimes {
                per_message: std::time::Duration::from_micros(20),
                ..ServiceTimes::default()
            },
            modes: Default::default(),
        });
        assert!(!warned(&stated));
    }

    #[test]
    fn a_sweep_validates_against_the_schema_and_reads_back() {
        let sweep = swept();
        let value = serde_json::to_value(&sweep).unwrap();
        let schema = serde_json::from_str(include_str!("../../sweep.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert!(!validator.is_valid(&serde_json::json!({"sweep_version": 1})));
        assert!(value["scenario"]["workload"]["rate_ops"].is_null());
        let read_back: Sweep = serde_json::from_value(value).unwrap();
        assert_eq!(read_back, sweep);
    }
}

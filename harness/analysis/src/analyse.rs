//! From a run record to its summary and curves.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::record::{KindRecord, ModeRecord, RegionRecord};
use longhaul_experiment::time::nanos;
use longhaul_experiment::{LinkId, OperationKind, RegionIndex, RunRecord, Topology};

use crate::floor::{Route, floor, leaders_in_window, monte_carlo};
use crate::latency::{Curve, LatencyMs, Percentile, merge, milliseconds};
use crate::scenario::ScenarioSummary;
use crate::statistics::{Drift, Intervals, Slices};
use crate::summary::{LeaderSummary, ModeSummary, OperationSummary, RegionSummary, Summary};
use crate::traffic::WanSummary;
use crate::warnings;

/// All that analysis makes of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The figures, in their published form.
    pub summary: Summary,
    /// What charts draw.
    pub curves: Curves,
}

/// The percentile curves of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// One per mode, in the summary's order.
    pub modes: Vec<ModeCurves>,
}

/// The percentile curves of one mode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModeCurves {
    /// The mode's canonical string.
    pub mode: String,
    /// Writes of all client regions together; `None` when there were none.
    pub writes: Option<Curve>,
    /// Reads of all client regions together; `None` when there were none.
    pub reads: Option<Curve>,
    /// One per client region, in the summary's order.
    pub regions: Vec<RegionCurves>,
}

/// The percentile curves of one mode's clients in one region.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionCurves {
    /// The clients' region.
    pub region: String,
    /// Writes; `None` when there were none.
    pub writes: Option<Curve>,
    /// Reads; `None` when there were none.
    pub reads: Option<Curve>,
    /// What the message pattern of a write would take with jitter and nothing else; `None` until
    /// [`Analysis::add_models`] draws it.
    pub write_model: Option<Curve>,
    /// The same of a read.
    pub read_model: Option<Curve>,
}

/// Analyses a run.
pub fn analyse(record: &RunRecord) -> Analysis {
    let topology = &record.scenario.topology;
    let (mut modes, mut curves) = (Vec::new(), Vec::new());
    for mode in &record.modes {
        let context = ModeContext::new(mode, topology);
        modes.push(context.summary(record));
        curves.push(context.curves());
    }
    let mut summary = Summary {
        record_version: record.record_version,
        scenario: ScenarioSummary::new(&record.scenario),
        backend: record.backend,
        seed: record.seed.0,
        complete: record.complete,
        publishable: true,
        unpublishable_because: Vec::new(),
        calibration: record.calibration.clone(),
        environment: record.environment.clone(),
        warnings: Vec::new(),
        modes,
    };
    warnings::judge(record, &mut summary);
    Analysis {
        summary,
        curves: Curves { modes: curves },
    }
}

impl Analysis {
    /// Draws, for each mode and client region, what the message pattern would take with jitter
    /// and nothing else, to be shown beside the floor.
    ///
    /// `record` is the run analysed; `delays` draws one one-way delay of a link, its least delay
    /// included. The leader is the lowest replica id among those that led in the measured window.
    pub fn add_models(
        &mut self,
        record: &RunRecord,
        samples: u64,
        delays: &mut impl FnMut(LinkId) -> Duration,
    ) {
        let topology = &record.scenario.topology;
        for (mode, curves) in record.modes.iter().zip(&mut self.curves.modes) {
            let leader = leaders_in_window(mode, topology)[0];
            for (region, curves) in mode.regions.iter().zip(&mut curves.regions) {
                let route = Route {
                    topology,
                    leader,
                    region: region.region,
                };
                let mut model = |kind| {
                    let drawn = monte_carlo(mode.paths.get(&kind)?, &route, samples, delays);
                    Some(Curve::new(&drawn, samples))
                };
                curves.write_model = curves
                    .writes
                    .is_some()
                    .then(|| model(OperationKind::Write))
                    .flatten();
                curves.read_model = curves
                    .reads
                    .is_some()
                    .then(|| model(OperationKind::Read))
                    .flatten();
            }
        }
    }
}

/// The floor of one kind of operation from one region: the least over the leaders that answered
/// in the window; `None` when the record states no path for the kind.
pub(crate) fn kind_floor(
    mode: &ModeRecord,
    topology: &Topology,
    region: RegionIndex,
    kind: OperationKind,
) -> Option<Duration> {
    let path = mode.paths.get(&kind)?;
    let leaders = leaders_in_window(mode, topology).into_iter();
    leaders
        .map(|leader| {
            let route = Route {
                topology,
                leader,
                region,
            };
            floor(path, &route)
        })
        .min()
}

struct ModeContext<'a> {
    mode: &'a ModeRecord,
    topology: &'a Topology,
    regions: Vec<RegionContext<'a>>,
}

struct RegionContext<'a> {
    record: &'a RegionRecord,
    writes: Option<Merged>,
    reads: Option<Merged>,
}

/// Operations of one or several kinds and the floor they share.
#[derive(Clone)]
struct Merged {
    record: KindRecord,
    slices: Slices,
    floor: Option<Duration>,
}

impl Merged {
    fn summary(&self, window_s: f64) -> OperationSummary {
        let record = &self.record;
        let floor_ns = self.floor.map(nanos);
        let latency_ms = LatencyMs::ranked(&record.latency, record.due);
        let above_floor = |latency_ms: Option<f64>| {
            // Both are whole nanoseconds: subtracting them as such keeps the figure short.
            let latency_ns = (latency_ms? * 1e6).round();
            Some((latency_ns - floor_ns? as f64) / 1e6)
        };
        OperationSummary {
            due: record.due,
            ok: record.ok,
            failed: record.failed,
            unknown: record.unknown,
            errors: record.errors.clone(),
            goodput_ops: per_second(record.ok, window_s),
            latency_ms,
            success_latency_ms: LatencyMs::of_successes(&record.latency),
            service_time_ms: LatencyMs::of_successes(&record.service),
            too_few: Percentile::ALL
                .into_iter()
                .filter(|percentile| percentile.is_unsupported_by(record.due))
                .collect(),
            intervals: Intervals::new(&self.slices),
            drift: Drift::judge(&self.slices),
            floor_ms: floor_ns.map(milliseconds),
            p50_minus_floor_ms: above_floor(latency_ms.p50),
            p99_minus_floor_ms: above_floor(latency_ms.p99),
        }
    }

    fn curve(&self) -> Curve {
        let mut curve = Curve::new(&self.record.latency, self.record.due);
        if let Some(floor) = self.floor {
            curve.set_floors(vec![(self.record.due, milliseconds(nanos(floor)))]);
        }
        curve
    }
}

impl<'a> ModeContext<'a> {
    fn new(mode: &'a ModeRecord, topology: &'a Topology) -> ModeContext<'a> {
        let regions = mode.regions.iter().map(|record| RegionContext {
            record,
            writes: merged(mode, topology, record, OperationKind::is_write),
            reads: merged(mode, topology, record, |kind| !kind.is_write()),
        });
        ModeContext {
            mode,
            topology,
            regions: regions.collect(),
        }
    }

    fn summary(&self, record: &RunRecord) -> ModeSummary {
        let window_s = self.mode.window.as_secs_f64();
        let kinds = self.mode.regions.iter().flat_map(|region| &region.kinds);
        let (mut ok, mut writes_ok) = (0, 0);
        for (kind, kind_record) in kinds {
            ok += kind_record.ok;
            writes_ok += if kind.is_write() { kind_record.ok } else { 0 };
        }
        let mut summary = ModeSummary {
            mode: self.mode.mode.to_string(),
            leaders: self.leaders(),
            goodput_ops: per_second(ok, window_s),
            wan: WanSummary::new(&self.mode.traffic, writes_ok),
            load: self.mode.load.clone(),
            warnings: Vec::new(),
            regions: self
                .regions
                .iter()
                .map(|region| self.region_summary(region, window_s))
                .collect(),
        };
        summary.warnings = self.mode.warnings.clone();
        let doubts = warnings::of_mode(record, self.mode, &summary);
        summary
            .warnings
            .extend(doubts.iter().map(warnings::Doubt::warning));
        summary
    }

    fn region_summary(&self, region: &RegionContext<'_>, window_s: f64) -> RegionSummary {
        let plain =
            |kind: &OperationKind| matches!(kind, OperationKind::Read | OperationKind::Write);
        let by_kind = (!region.record.kinds.keys().all(plain)).then(|| {
            let one = |kind: &OperationKind| {
                let merged = merged(self.mode, self.topology, region.record, |other| {
                    other == *kind
                });
                merged.map(|merged| (kind.name().to_owned(), merged.summary(window_s)))
            };
            region
                .record
                .kinds
                .keys()
                .filter_map(one)
                .collect::<BTreeMap<_, _>>()
        });
        let summary = |merged: &Option<Merged>| merged.as_ref().map(|one| one.summary(window_s));
        RegionSummary {
            region: self.region_name(region).to_owned(),
            writes: summary(&region.writes),
            reads: summary(&region.reads),
            by_kind,
            capped: region.record.capped,
            redirects: region.record.redirects,
        }
    }

    fn leaders(&self) -> Vec<LeaderSummary> {
        let known = |leadership: &&longhaul_experiment::record::Leadership| {
            leadership.leader.index() < self.topology.replicas.len()
        };
        let leaders = self.mode.leaders.iter().filter(known);
        leaders
            .map(|leadership| LeaderSummary {
                at_s: leadership.at.as_secs_f64() - self.mode.window_start.as_secs_f64(),
                term: leadership.term,
                region: self
                    .topology
                    .region_name(self.topology.region_of(leadership.leader))
                    .to_owned(),
            })
            .collect()
    }

    fn curves(&self) -> ModeCurves {
        let all = |pick: for<'r> fn(&'r RegionContext<'a>) -> &'r Option<Merged>| {
            let parts: Vec<&Merged> = self
                .regions
                .iter()
                .filter_map(|one| pick(one).as_ref())
                .collect();
            let mut whole = KindRecord::default();
            parts
                .iter()
                .for_each(|part| merge(&mut whole, &part.record));
            let mut curve = Curve::new(&whole.latency, whole.due);
            let floors: Option<Vec<(u64, f64)>> = parts
                .iter()
                .map(|part| Some((part.record.due, milliseconds(nanos(part.floor?)))))
                .collect();
            curve.set_floors(floors.unwrap_or_default());
            (!parts.is_empty()).then_some(curve)
        };
        ModeCurves {
            mode: self.mode.mode.to_string(),
            writes: all(|region| &region.writes),
            reads: all(|region| &region.reads),
            regions: self
                .regions
                .iter()
                .map(|region| RegionCurves {
                    region: self.region_name(region).to_owned(),
                    writes: region.writes.as_ref().map(Merged::curve),
                    reads: region.reads.as_ref().map(Merged::curve),
                    ..RegionCurves::default()
                })
                .collect(),
        }
    }

    fn region_name(&self, region: &RegionContext<'_>) -> &'a str {
        self.topology.region_name(region.record.region)
    }
}

/// Merges the kinds of a region that `includes` accepts; `None` when none of them was due.
fn merged(
    mode: &ModeRecord,
    topology: &Topology,
    region: &RegionRecord,
    includes: impl Fn(OperationKind) -> bool,
) -> Option<Merged> {
    let mut whole = KindRecord::default();
    let mut floors = BTreeMap::new();
    let mut parts = Vec::new();
    for (&kind, record) in region.kinds.iter().filter(|(kind, _)| includes(**kind)) {
        if record.due > 0 {
            merge(&mut whole, record);
            parts.push(record);
            floors.insert(kind, kind_floor(mode, topology, region.region, kind));
        }
    }
    let plain_write = floors.get(&OperationKind::Write).copied().flatten();
    let floor = plain_write.or_else(|| floors.into_values().flatten().min());
    (whole.due > 0).then_some(Merged {
        record: whole,
        slices: Slices::of_kinds(parts.into_iter()),
        floor,
    })
}

fn per_second(count: u64, window_s: f64) -> f64 {
    if window_s > 0.0 {
        count as f64 / window_s
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    const WRITE: OperationKind = OperationKind::Write;

    fn ten_thousand(milliseconds: u64) -> Vec<u64> {
        vec![milliseconds; 10_000]
    }

    #[test]
    fn goodput_and_floor_of_one_region() {
        let kinds = [(WRITE, synthetic::kind(&ten_thousand(30), 0, 0))];
        let analysis = analyse(&synthetic::record(vec![synthetic::mode(
            "quorum:raft",
            &[&kinds],
        )]));
        let mode = &analysis.summary.modes[0];
        // 10 000 operations in a window of 10 s.
        assert_eq!(mode.goodput_ops, 1000.0);
        let writes = mode.regions[0].writes.as_ref().unwrap();
        assert_eq!(writes.goodput_ops, 1000.0);
        // d(a, leader in a) 0.5 + second smallest of (0, 20, 80) = 20.5 ms; 30 - 20.5 = 9.5.
        assert_eq!(writes.floor_ms, Some(20.5));
        assert!((writes.p50_minus_floor_ms.unwrap() - 9.5).abs() < 0.003);
        // 10 000 (1 - 0.9999) = 1 operation lies beyond p99.99.
        assert_eq!(writes.too_few, [Percentile::P9999]);
        assert!(mode.regions[0].reads.is_none());
        assert!(mode.regions[0].by_kind.is_none());
    }

    #[test]
    fn failures_make_percentiles_null_and_leave_those_of_successes() {
        let kinds = [(WRITE, synthetic::kind(&[100; 96], 1, 3))];
        let analysis = analyse(&synthetic::record(vec![synthetic::mode(
            "quorum:raft",
            &[&kinds],
        )]));
        let writes = analysis.summary.modes[0].regions[0].writes.clone().unwrap();
        assert_eq!(
            (writes.due, writes.ok, writes.failed, writes.unknown),
            (100, 96, 1, 3)
        );
        assert!(writes.latency_ms.p95.is_some());
        assert_eq!(writes.latency_ms.p99, None);
        assert_eq!(writes.p99_minus_floor_ms, None);
        assert_eq!(writes.success_latency_ms.max, Some(100.0));
        assert_eq!(writes.errors["timed-out"], 3);
    }

    #[test]
    fn kinds_that_write_are_merged_and_also_shown_apart() {
        let kinds = [
            (OperationKind::Read, synthetic::kind(&[25, 25], 0, 0)),
            (WRITE, synthetic::kind(&[40], 0, 0)),
            (OperationKind::Add, synthetic::kind(&[60, 80, 100], 1, 0)),
        ];
        let analysis = analyse(&synthetic::record(vec![synthetic::mode(
            "quorum:raft",
            &[&kinds],
        )]));
        let region = &analysis.summary.modes[0].regions[0];
        let writes = region.writes.as_ref().unwrap();
        assert_eq!((writes.due, writes.ok, writes.failed), (5, 4, 1));
        // (40 + 60 + 80 + 100) / 4.
        assert_eq!(writes.success_latency_ms.mean, Some(70.0));
        assert_eq!(region.reads.as_ref().unwrap().due, 2);
        let by_kind = region.by_kind.as_ref().unwrap();
        assert_eq!(by_kind["add"].due, 4);
        assert_eq!(by_kind.len(), 3);
    }

    #[test]
    fn curves_of_all_regions_merge_them_and_cumulate_their_floors() {
        let near = [(WRITE, synthetic::kind(&[30; 30], 0, 0))];
        let far = [(WRITE, synthetic::kind(&[50; 10], 0, 0))];
        let analysis = analyse(&synthetic::record(vec![synthetic::mode(
            "quorum:raft",
            &[&near, &far],
        )]));
        let mode = &analysis.curves.modes[0];
        let all = mode.writes.as_ref().unwrap();
        assert_eq!((all.due, all.ok), (40, 40));
        assert_eq!(all.points[0].latency_ms, 30.0);
        assert_eq!(all.points.last().unwrap().latency_ms, 50.0);
        // a: 0.5 + 20 for 30 of 40 operations; b: 20 + 20.
        let floors: Vec<_> = all
            .floors
            .iter()
            .map(|step| (step.share, step.floor_ms))
            .collect();
        assert_eq!(floors, [(0.75, 20.5), (1.0, 40.0)]);
        assert_eq!(mode.regions.len(), 2);
    }

    #[test]
    fn the_model_of_constant_delays_is_flat_at_the_floor() {
        let kinds = [(WRITE, synthetic::kind(&[30; 30], 0, 0))];
        let record = synthetic::record(vec![synthetic::mode("quorum:raft", &[&kinds])]);
        let mut analysis = analyse(&record);
        let profile = &record.scenario.topology.profile;
        analysis.add_models(&record, 100, &mut |link| profile.link(link).one_way);
        let region = &analysis.curves.modes[0].regions[0];
        let model = region.write_model.as_ref().unwrap();
        assert!(
            model
                .points
                .iter()
                .all(|point| (point.latency_ms - 20.5).abs() < 0.002)
        );
        assert!(region.read_model.is_none());
    }

    #[test]
    fn an_empty_record_is_analysed() {
        let analysis = analyse(&synthetic::record(Vec::new()));
        assert!(analysis.summary.modes.is_empty());
        let mut mode = synthetic::mode("eventual:lww", &[&[]]);
        mode.window = Duration::ZERO;
        let analysis = analyse(&synthetic::record(vec![mode]));
        assert_eq!(analysis.summary.modes[0].goodput_ops, 0.0);
        assert!(analysis.curves.modes[0].writes.is_none());
    }
}

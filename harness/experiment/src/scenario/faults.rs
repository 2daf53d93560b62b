//! Faults as scenario files write them, and checked against where and when they are to happen.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::duration::DurationText;
use super::error::ScenarioError;
use super::file::FaultFile;
use super::{Durability, Durations};
use crate::fault::{ClockShift, Fault, FaultError, FaultKind, FaultTarget, problem};
use crate::topology::Topology;

/// A fault's table in a scenario file: its kind and the figure of its kind stand side by side.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultFields {
    at: DurationText,
    lasts: DurationText,
    target: TargetField,
    kind: String,
    added: Option<DurationText>,
    loss: Option<f64>,
    factor: Option<f64>,
    by: Option<ClockShift>,
}

/// A target; the wrapper is there for its message.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a target is \"leader\", { replica = \"region\" }, { link = [\"from\", \"to\"] }, \
                 { pair = [\"a\", \"b\"] } or { regions = [\"a\", ...] }"
)]
enum TargetField {
    Known(FaultTarget),
}

impl<'de> Deserialize<'de> for FaultFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FaultFile, D::Error> {
        // By a visitor, so that what is wrong with the figures is told with the table's line.
        deserializer.deserialize_map(FaultVisitor)
    }
}

struct FaultVisitor;

impl<'de> Visitor<'de> for FaultVisitor {
    type Value = FaultFile;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table with at, lasts, kind and target")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FaultFile, A::Error> {
        let fields = FaultFields::deserialize(MapAccessDeserializer::new(map))?;
        let kind = fields.take_kind().map_err(A::Error::custom)?;
        let TargetField::Known(target) = fields.target;
        Ok(FaultFile {
            at: fields.at,
            lasts: fields.lasts,
            target,
            kind,
        })
    }
}

impl FaultFields {
    fn take_kind(&self) -> Result<FaultKind, String> {
        let (kind, figure) = match self.kind.as_str() {
            "crash" => (FaultKind::Crash, None),
            "pause" => (FaultKind::Pause, None),
            "partition" => (FaultKind::Partition, None),
            "connection-reset" => (FaultKind::ConnectionReset, None),
            "link-delay" => {
                let added = self.needed(self.added, "added = \"50ms\"")?.into();
                (FaultKind::LinkDelay { added }, Some("added"))
            }
            "slow-disk" => {
                let added = self.needed(self.added, "added = \"20ms\"")?.into();
                (FaultKind::SlowDisk { added }, Some("added"))
            }
            "link-loss" => {
                let loss = self.needed(self.loss, "loss = 0.01")?;
                (FaultKind::LinkLoss { loss }, Some("loss"))
            }
            "slow-replica" => {
                let factor = self.needed(self.factor, "factor = 4.0")?;
                (FaultKind::SlowReplica { factor }, Some("factor"))
            }
            "clock-jump" => {
                let by = self.needed(self.by, "by = \"-500ms\"")?;
                (FaultKind::ClockJump { by }, Some("by"))
            }
            unknown => {
                let known = FaultKind::NAMES.join(", ");
                return Err(format!(
                    "'{unknown}' is not a kind of fault; give one of {known}"
                ));
            }
        };
        let figures = [
            ("added", self.added.is_some()),
            ("loss", self.loss.is_some()),
            ("factor", self.factor.is_some()),
            ("by", self.by.is_some()),
        ];
        match figures
            .into_iter()
            .find(|&(name, is_given)| is_given && Some(name) != figure)
        {
            Some((name, _)) => Err(format!("a {} has no `{name}`; remove it", kind.name())),
            None => Ok(kind),
        }
    }

    fn needed<T>(&self, figure: Option<T>, example: &str) -> Result<T, String> {
        figure.ok_or_else(|| format!("a {} needs a figure; give e.g. {example}", self.kind))
    }
}

/// Returns what replicas keep: what is stated, and otherwise a log where a fault needs one, and
/// memory where none does.
///
/// # Errors
///
/// Storage in memory is stated, and a fault slows a disk.
pub(super) fn durability_under(
    faults: &[Fault],
    stated: Option<Durability>,
) -> Result<Durability, ScenarioError> {
    let needs_log =
        |fault: &Fault| matches!(fault.kind, FaultKind::Crash | FaultKind::SlowDisk { .. });
    let slows_disk = |fault: &Fault| matches!(fault.kind, FaultKind::SlowDisk { .. });
    match (stated, faults.iter().position(slows_disk)) {
        (Some(Durability::Memory), Some(number)) => Err(refused(
            number,
            &faults[number],
            "durability \"memory\" has no disk; give durability = \"wal\" or leave it out"
                .to_owned(),
        )),
        (Some(durability), _) => Ok(durability),
        (None, _) if faults.iter().any(needs_log) => Ok(Durability::Wal),
        (None, _) => Ok(Durability::Memory),
    }
}

fn refused(number: usize, fault: &Fault, why: String) -> ScenarioError {
    ScenarioError::Fault(FaultError {
        number: number + 1,
        kind: fault.kind.name(),
        at: DurationText(fault.at),
        why,
    })
}

/// Checks the faults of a scenario against its topology and durations.
pub(super) fn resolve_faults(
    files: Vec<FaultFile>,
    topology: &Topology,
    durations: &Durations,
) -> Result<Vec<Fault>, ScenarioError> {
    let check = |(position, file): (usize, FaultFile)| {
        let fault = Fault {
            at: file.at.0,
            lasts: file.lasts.0,
            target: file.target,
            kind: file.kind,
        };
        let why = problem(&fault, topology).or_else(|| begins_late(fault.at, durations));
        match why {
            None => Ok(fault),
            Some(why) => Err(refused(position, &fault, why)),
        }
    };
    files.into_iter().enumerate().map(check).collect()
}

fn begins_late(at: Duration, durations: &Durations) -> Option<String> {
    (at >= durations.measured).then(|| {
        format!(
            "it begins after the measured window of {}; give an earlier `at` or a longer \
             durations.measured",
            DurationText(durations.measured)
        )
    })
}

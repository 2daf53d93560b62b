//! What a scenario file or the flags of `run` say, before it is checked.

use serde::Deserialize;

use super::Durability;
use super::duration::DurationText;
use super::error::ScenarioError;
use super::service::ServiceFile;
use crate::fault::{FaultKind, FaultTarget};
use crate::mode::ModeSpec;
use crate::record::BackendKind;
use crate::workload::{KeyDistribution, WriteMix};

/// A scenario as written: every field may be missing, nothing is checked against a profile.
///
/// The flags of `run` fill another one, and [`ScenarioFile::merge`] lays it over the file's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScenarioFile {
    /// The scenario's name.
    pub name: Option<String>,
    /// The name of a bundled profile or the path of a profile file.
    pub profile: Option<String>,
    /// The regions that hold replicas, and clients unless `clients` says otherwise.
    pub regions: Option<Vec<String>>,
    /// The regions that hold clients.
    pub clients: Option<Vec<String>>,
    /// The region of the replica that should lead.
    pub leader: Option<String>,
    /// The modes, run one after the other.
    pub modes: Option<Vec<ModeSpec>>,
    /// Where the scenario runs.
    pub backend: Option<BackendKind>,
    /// Whether the profile's jitter, loss and rates apply.
    pub jitter: Option<JitterChoice>,
    /// What replicas keep when their process dies.
    pub durability: Option<Durability>,
    /// Whether one record per operation is kept.
    pub history: Option<bool>,
    /// How long the parts of a run last.
    pub durations: DurationsFile,
    /// Limits of the clients.
    pub limits: LimitsFile,
    /// The load.
    pub workload: WorkloadFile,
    /// What breaks.
    pub faults: Option<Vec<FaultFile>>,
    /// What replicas' work costs in virtual time.
    pub service: Option<ServiceFile>,
}

/// Whether the profile's jitter applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JitterChoice {
    /// As the profile states it.
    Profile,
    /// Base delays alone: neither jitter nor loss nor rates.
    None,
}

/// The `[durations]` of a scenario file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DurationsFile {
    /// Load that is not measured, first.
    pub warmup: Option<DurationText>,
    /// The measured window.
    pub measured: Option<DurationText>,
    /// The longest wait afterwards.
    pub drain: Option<DurationText>,
}

/// The `[limits]` of a scenario file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsFile {
    /// An operation without an answer for this long is Unknown.
    pub operation_timeout: Option<DurationText>,
    /// The most operations in flight per client region.
    pub max_in_flight: Option<u32>,
    /// TCP connections from each client region to each replica it asks.
    pub connections: Option<u32>,
}

/// How operations arrive, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrivalKind {
    /// Open loop, exponential gaps.
    Poisson,
    /// Open loop, equal gaps.
    Constant,
    /// Closed loop.
    Closed,
}

/// The `[workload]` of a scenario file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadFile {
    /// The YCSB workload that the other fields change.
    pub ycsb: Option<char>,
    /// How operations arrive.
    pub arrivals: Option<ArrivalKind>,
    /// Operations per second and client region, in an open loop.
    pub rate: Option<f64>,
    /// Operations in flight per connection, in a closed loop.
    pub in_flight: Option<u32>,
    /// The share of reads.
    pub read_share: Option<f64>,
    /// The shares of the kinds among the rest.
    pub write_mix: Option<WriteMix>,
    /// Bytes of a written value.
    pub value_size: Option<u32>,
    /// How many keys there are.
    pub key_count: Option<u64>,
    /// Which keys are asked for.
    pub keys: Option<KeyDistribution>,
    /// The share of operations on one common key.
    pub conflict_rate: Option<f64>,
    /// The share of operations on the own region's keys.
    pub locality: Option<f64>,
}

/// One of the `[[faults]]` of a scenario file; [`crate::fault`] shows some.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultFile {
    /// When it begins, after the start of the measured window.
    pub at: DurationText,
    /// How long it lasts.
    pub lasts: DurationText,
    /// What it hits: `"leader"`, `{ replica = "region" }`, `{ link = ["from", "to"] }`,
    /// `{ pair = ["a", "b"] }` or `{ regions = ["a", ...] }`.
    pub target: FaultTarget,
    /// What it does; in the file `kind` is its name, and the figure that some kinds need stands
    /// beside it: `added`, `loss`, `factor` or `by`.
    pub kind: FaultKind,
}

impl ScenarioFile {
    /// The largest scenario file in bytes.
    pub const BYTES_MAX: usize = 1 << 20;
    /// The profile where none is named.
    pub const DEFAULT_PROFILE: &str = "aws-5";

    /// Parses a scenario file's text; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// Files above [`ScenarioFile::BYTES_MAX`], text that is not TOML, unknown keys and values
    /// that are none, with file and line.
    pub fn parse(text: &str, file: &str) -> Result<ScenarioFile, ScenarioError> {
        if text.len() > ScenarioFile::BYTES_MAX {
            return Err(ScenarioError::TooLarge {
                file: file.to_owned(),
                bytes: text.len(),
                limit: ScenarioFile::BYTES_MAX,
            });
        }
        toml::from_str(text).map_err(|error| ScenarioError::Syntax {
            file: file.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().trim_end().replace('\n', "; "),
        })
    }

    /// Returns the profile that is asked for: a bundled one's name or a file's path.
    pub fn profile_name(&self) -> &str {
        self.profile
            .as_deref()
            .unwrap_or(ScenarioFile::DEFAULT_PROFILE)
    }

    /// Lays `overrides` over this file: what it states wins, field by field. Lists are replaced
    /// whole. Stating arrivals drops the number that belongs to the other loop, and stating a YCSB
    /// workload drops what such a workload decides.
    pub fn merge(self, overrides: ScenarioFile) -> ScenarioFile {
        ScenarioFile {
            name: overrides.name.or(self.name),
            profile: overrides.profile.or(self.profile),
            regions: overrides.regions.or(self.regions),
            clients: overrides.clients.or(self.clients),
            leader: overrides.leader.or(self.leader),
            modes: overrides.modes.or(self.modes),
            backend: overrides.backend.or(self.backend),
            jitter: overrides.jitter.or(self.jitter),
            durability: overrides.durability.or(self.durability),
            history: overrides.history.or(self.history),
            durations: self.durations.merge(overrides.durations),
            limits: self.limits.merge(overrides.limits),
            workload: self.workload.merge(overrides.workload),
            faults: overrides.faults.or(self.faults),
            service: overrides.service.or(self.service),
        }
    }
}

impl DurationsFile {
    fn merge(self, overrides: DurationsFile) -> DurationsFile {
        DurationsFile {
            warmup: overrides.warmup.or(self.warmup),
            measured: overrides.measured.or(self.measured),
            drain: overrides.drain.or(self.drain),
        }
    }
}

impl LimitsFile {
    fn merge(self, overrides: LimitsFile) -> LimitsFile {
        LimitsFile {
            operation_timeout: overrides.operation_timeout.or(self.operation_timeout),
            max_in_flight: overrides.max_in_flight.or(self.max_in_flight),
            connections: overrides.connections.or(self.connections),
        }
    }
}

impl WorkloadFile {
    fn merge(self, overrides: WorkloadFile) -> WorkloadFile {
        let base = if overrides.ycsb.is_some() {
            self.without_what_ycsb_decides()
        } else {
            self
        };
        let (rate, in_flight) = match overrides.arrivals {
            Some(ArrivalKind::Closed) => (None, base.in_flight),
            Some(ArrivalKind::Poisson | ArrivalKind::Constant) => (base.rate, None),
            None => (base.rate, base.in_flight),
        };
        WorkloadFile {
            ycsb: overrides.ycsb.or(base.ycsb),
            arrivals: overrides.arrivals.or(base.arrivals),
            rate: overrides.rate.or(rate),
            in_flight: overrides.in_flight.or(in_flight),
            read_share: overrides.read_share.or(base.read_share),
            write_mix: overrides.write_mix.or(base.write_mix),
            value_size: overrides.value_size.or(base.value_size),
            key_count: overrides.key_count.or(base.key_count),
            keys: overrides.keys.or(base.keys),
            conflict_rate: overrides.conflict_rate.or(base.conflict_rate),
            locality: overrides.locality.or(base.locality),
        }
    }

    fn without_what_ycsb_decides(self) -> WorkloadFile {
        WorkloadFile {
            read_share: None,
            write_mix: None,
            value_size: None,
            key_count: None,
            keys: None,
            ..self
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        ScenarioFile::parse(text, "crash.toml")
            .expect_err("it is refused")
            .to_string()
    }

    #[test]
    fn a_full_file_reads_into_its_fields() {
        let text = r#"
            name = "leader-crash"
            profile = "aws-5"
            regions = ["a", "b", "c"]
            clients = ["a"]
            leader = "b"
            modes = ["quorum:raft", "leader-follower:semi-sync=2"]
            backend = "sim"
            jitter = "none"
            durability = "wal"
            history = true
            [durations]
            warmup = "1.5s"
            measured = "8s"
            drain = "2s"
            [limits]
            operation_timeout = "5s"
            max_in_flight = 2048
            connections = 2
            [workload]
            arrivals = "constant"
            rate = 100
            keys = { kind = "zipfian" }
            write_mix = { add = 0.5 }
            [[faults]]
            at = "2s"
            lasts = "500ms"
            kind = "crash"
            target = "leader"
            [[faults]]
            at = "3s"
            lasts = "1s"
            kind = "partition"
            target = { link = ["a", "b"] }
        "#;
        let file = ScenarioFile::parse(text, "crash.toml").expect("it is well-formed");
        assert_eq!(file.backend, Some(BackendKind::Sim));
        assert_eq!(file.jitter, Some(JitterChoice::None));
        assert_eq!(file.modes.as_ref().map(Vec::len), Some(2));
        assert_eq!(file.workload.rate, Some(100.0));
        assert_eq!(
            file.workload.keys,
            Some(KeyDistribution::Zipfian { exponent: 0.99 })
        );
        let faults = file.faults.expect("faults are given");
        assert_eq!(faults[0].target, FaultTarget::Leader);
        assert_eq!(
            faults[1].target,
            FaultTarget::Link("a".to_owned(), "b".to_owned())
        );
    }

    #[test]
    fn errors_name_file_and_line() {
        let message = refusal("name = \"x\"\n\nregoins = [\"a\"]\n");
        assert!(message.starts_with("crash.toml, line 3: "), "{message}");
        assert!(message.contains("`regoins`"), "{message}");
        assert!(message.contains("`regions`"), "{message}");
        let message = refusal("name = \"x\"\n[durations]\nmeasured = \"8\"\n");
        assert!(message.starts_with("crash.toml, line 3: "), "{message}");
        assert!(message.contains("no unit"), "{message}");
        let message = refusal("modes = [\"quorum:raft\",\n  \"raft\"]\n");
        assert!(message.contains("'raft' is not a mode"), "{message}");
        let message = refusal("name = \n");
        assert!(message.starts_with("crash.toml, line 1: "), "{message}");
        assert!(!message.contains('\n'), "{message:?}");
    }

    #[test]
    fn faults_have_the_figure_of_their_kind() {
        let fault = |fields: &str| {
            let text =
                format!("faults = [{{ at = '1s', lasts = '1s', target = 'leader', {fields} }}]");
            ScenarioFile::parse(&text, "x").map(|file| file.faults.expect("given")[0].kind)
        };
        let milliseconds = std::time::Duration::from_millis;
        for (fields, kind) in [
            ("kind = 'connection-reset'", FaultKind::ConnectionReset),
            (
                "kind = 'link-delay', added = '50ms'",
                FaultKind::LinkDelay {
                    added: milliseconds(50),
                },
            ),
            (
                "kind = 'link-loss', loss = 0.01",
                FaultKind::LinkLoss { loss: 0.01 },
            ),
            (
                "kind = 'slow-replica', factor = 4.0",
                FaultKind::SlowReplica { factor: 4.0 },
            ),
            (
                "kind = 'slow-disk', added = '20ms'",
                FaultKind::SlowDisk {
                    added: milliseconds(20),
                },
            ),
            (
                "kind = 'clock-jump', by = '-500ms'",
                FaultKind::ClockJump {
                    by: crate::fault::ClockShift(-500_000_000),
                },
            ),
        ] {
            assert_eq!(fault(fields), Ok(kind));
        }
        for (fields, why) in [
            (
                "kind = 'crsh'",
                "'crsh' is not a kind of fault; give one of crash, pause",
            ),
            (
                "kind = 'link-delay'",
                "needs a figure; give e.g. added = \"50ms\"",
            ),
            (
                "kind = 'pause', added = '1s'",
                "a pause has no `added`; remove it",
            ),
            ("kind = 'link-loss', loss = 0.1, by = '1s'", "has no `by`"),
            ("kind = 'pause', adde = '1s'", "unknown field `adde`"),
            ("kind = 'clock-jump', by = '-5'", "no unit"),
        ] {
            let message = fault(fields).expect_err(fields).to_string();
            assert!(message.contains(why), "{fields}: {message}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_fault_is_told_with_the_line_of_its_table() {
        let crash = "[[faults]]\nat = '1s'\nlasts = '1s'\nkind = 'crash'\ntarget = 'leader'\n";
        let slow = "[[faults]]\nat = '1s'\nlasts = '1s'\nkind = 'slow-disk'\ntarget = 'leader'\n";
        let message = refusal(&format!("{crash}{slow}"));
        assert!(message.starts_with("crash.toml, line 6: "), "{message}");
        let message = refusal(&format!("{crash}{slow}adde = '1s'\n"));
        assert!(message.starts_with("crash.toml, line 11: "), "{message}");
    }

    #[test]
    fn a_target_that_is_none_is_told_what_targets_are() {
        let target = |target: &str| {
            let text = format!(
                "[[faults]]\nat = '1s'\nlasts = '1s'\nkind = 'partition'\ntarget = {target}\n"
            );
            ScenarioFile::parse(&text, "x")
                .map(|file| file.faults.expect("given")[0].target.clone())
        };
        let name = str::to_owned;
        assert_eq!(
            target("{ pair = ['a', 'b'] }"),
            Ok(FaultTarget::Pair(name("a"), name("b")))
        );
        assert_eq!(
            target("{ regions = ['a'] }"),
            Ok(FaultTarget::Regions(vec![name("a")]))
        );
        for wrong in ["'replica'", "{ link = ['a'] }", "{ region = 'a' }", "3"] {
            let message = target(wrong).expect_err(wrong).to_string();
            assert!(message.starts_with("x, line "), "{message}");
            assert!(
                message.contains("a target is \"leader\", { replica = "),
                "{message}"
            );
        }
    }

    #[test]
    fn a_file_above_the_limit_is_refused_unread() {
        let message = refusal(&"#".repeat(ScenarioFile::BYTES_MAX + 1));
        assert!(message.contains("1048577 bytes"), "{message}");
    }

    #[test]
    fn what_the_overrides_state_wins_and_the_rest_stays() {
        let parse = |text| ScenarioFile::parse(text, "x").expect("well-formed");
        let file = parse(
            "name = 'file'\nleader = 'a'\n[workload]\nrate = 50\nread_share = 0.9\n\
             [durations]\nwarmup = '1s'\nmeasured = '2s'",
        );
        let flags = parse("name = 'flag'\n[workload]\nrate = 70\n[durations]\nmeasured = '3s'");
        let merged = file.clone().merge(flags);
        assert_eq!(merged.name.as_deref(), Some("flag"));
        assert_eq!(merged.leader.as_deref(), Some("a"));
        assert_eq!(merged.workload.rate, Some(70.0));
        assert_eq!(merged.workload.read_share, Some(0.9));
        assert_eq!(merged.durations.warmup, Some("1s".parse().unwrap()));
        assert_eq!(merged.durations.measured, Some("3s".parse().unwrap()));

        let closed = file.clone().merge(parse("workload.arrivals = 'closed'"));
        assert_eq!(closed.workload.rate, None);
        let ycsb = file.merge(parse("workload.ycsb = 'a'"));
        assert_eq!(ycsb.workload.read_share, None);
        assert_eq!(ycsb.workload.rate, Some(50.0));
    }
}

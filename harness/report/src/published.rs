//! The index of published runs, as a page in Markdown and one in HTML.
//!
//! Both follow from the runs' summaries alone: the same runs give the same bytes, whenever.

mod html;
mod markdown;

use longhaul_analysis::Summary;
use longhaul_experiment::record::{BackendKind, run_name};

use crate::chart::axis::short;
use crate::chart::page;

pub use html::index_html;
pub use markdown::{index_markdown, introduction};

/// What every index begins with.
const FIRST: &str = "Each folder holds a run's summary (summary.json, with machine, seed and \
                     command), its table, its charts and report.html, one page with all of it. A \
                     run that doubts its own precision is not published.";

/// A published run.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The name of its folder, beside the index.
    pub name: String,
    /// Its figures.
    pub summary: Summary,
    /// The files in its folder.
    pub files: Vec<String>,
}

impl Published {
    /// The chart that stands for a run, the first of these that there is.
    const CHARTS: [&str; 4] = [
        "write-latency-grid",
        "write-latency-by-percentile",
        "read-latency-grid",
        "read-latency-by-percentile",
    ];

    /// Returns the file of its main chart with that extension; `None` where there is none.
    fn main_chart(&self, extension: &str) -> Option<String> {
        let files = Published::CHARTS.map(|chart| format!("{chart}.{extension}"));
        files.into_iter().find(|file| self.has(file))
    }

    fn has(&self, file: &str) -> bool {
        self.files.iter().any(|one| one == file)
    }

    /// Returns its facts in order: what each is, and what it says.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let summary = &self.summary;
        let environment = &summary.environment;
        let machine = match summary.backend {
            BackendKind::Sim => "any: the figures are a function of scenario and seed".to_owned(),
            BackendKind::Local | BackendKind::Tun | BackendKind::Netem => format!(
                "{} processors of {}, {}",
                environment.processors, environment.processor, environment.system
            ),
        };
        let backend = match summary.backend {
            BackendKind::Sim => "sim: virtual time",
            BackendKind::Local => "local: real TCP on loopback, delays added",
            BackendKind::Tun => {
                "tun: real TCP between network namespaces, packets delayed in user space"
            }
            BackendKind::Netem => {
                "netem: real TCP between network namespaces, packets delayed by the kernel"
            }
        };
        let mut facts = vec![
            ("Run", page::what_was_run(summary)),
            ("Backend", backend.to_owned()),
            ("Machine", machine),
            ("Date", date(environment.started_unix_s)),
        ];
        if summary.backend != BackendKind::Sim {
            facts.push(("Precision", precision(summary)));
        }
        facts.push((
            "Made by",
            format!(
                "longhaul {}, seed {}",
                environment.longhaul_version, summary.seed
            ),
        ));
        facts
    }

    /// Returns the command that made it, without the folder of the program.
    fn command(&self) -> String {
        let command = &self.summary.environment.command;
        let arguments = command.iter().skip(1).map(String::as_str);
        std::iter::once("longhaul")
            .chain(arguments)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Says in one sentence what it shows: the least and the greatest median, and what did not
    /// succeed.
    pub fn sentence(&self) -> String {
        let regions = || {
            let modes = self.summary.modes.iter();
            modes.flat_map(|mode| mode.regions.iter().map(move |region| (mode, region)))
        };
        let word = match regions().any(|(_, region)| region.writes.is_some()) {
            true => "write",
            false => "read",
        };
        let shown = || {
            regions().filter_map(|(mode, region)| {
                let operations = match word {
                    "write" => region.writes.as_ref(),
                    _ => region.reads.as_ref(),
                };
                Some((mode.mode.as_str(), region.region.as_str(), operations?))
            })
        };
        let medians = shown().filter_map(|(mode, region, one)| {
            let median = one.latency_ms.p50?;
            Some((
                median,
                format!("{} ms in {mode} from {region}", short(median)),
            ))
        });
        let mut medians: Vec<(f64, String)> = medians.collect();
        medians.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (due, ok) = shown().fold((0, 0), |(due, ok), (_, _, one)| {
            (due + one.due, ok + one.ok)
        });
        let done = match due - ok {
            0 => format!("all {due} due succeeded"),
            lost => format!("{lost} of {due} due did not succeed"),
        };
        match medians.as_slice() {
            [] => format!("No mode completed half of its {word}s; {done}."),
            [(_, only)] => format!("The median {word} took {only}; {done}."),
            [(_, least), .., (_, most)] => {
                format!("The median {word} took from {least} to {most}; {done}.")
            }
        }
    }
}

/// Returns the UTC date of an instant, e.g. `2026-11-24`.
fn date(unix_s: u64) -> String {
    let name = run_name(unix_s, "");
    let day = name.split('-').next().unwrap_or_default();
    let (rest, day) = day.split_at(day.len() - 2);
    let (year, month) = rest.split_at(rest.len() - 2);
    format!("{year}-{month}-{day}")
}

/// Says how exact the emulation was.
fn precision(summary: &Summary) -> String {
    let loads = || summary.modes.iter().filter_map(|mode| mode.load.as_ref());
    let late = loads().map(|load| load.release.p99_us.max(load.pacing.p99_us));
    let links = summary.calibration.links.iter();
    let error = links.map(|link| (link.achieved_p50_ms - link.asked_p50_ms).abs());
    let again = match loads().filter(|load| load.attempts > 1).count() {
        0 => String::new(),
        count => format!("; {count} of {} modes measured again", summary.modes.len()),
    };
    format!(
        "frames and operations at most {:.0} µs late at p99 under load, links' medians within \
         {:.2} ms{again}",
        late.fold(0.0, f64::max),
        error.fold(0.0, f64::max)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    pub(super) fn published(name: &str) -> Published {
        let record = synthetic::record(Shape {
            modes: 2,
            regions: 2,
            due: 1000,
            reads: 0.0,
            failures: 10,
        });
        let mut summary = longhaul_analysis::analyse(&record).summary;
        summary.environment.command = ["target/release/longhaul", "run", "--backend", "sim"]
            .map(str::to_owned)
            .to_vec();
        Published {
            name: name.to_owned(),
            summary,
            files: [
                "report.html",
                "write-latency-grid.png",
                "write-latency-grid.svg",
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }

    #[test]
    fn the_sentence_names_the_extremes_and_what_did_not_succeed() {
        // 10 of 1000 operations of the second mode fail: 10 in each of 2 regions, of 4 x 1000.
        let sentence = published("a").sentence();
        assert!(
            sentence.starts_with("The median write took from "),
            "{sentence}"
        );
        assert!(sentence.contains("ms in leader-follower:async from us-east-1 to "));
        assert!(
            sentence.ends_with("; 20 of 4000 due did not succeed."),
            "{sentence}"
        );
    }

    #[test]
    fn commands_lose_the_folder_of_the_program_and_dates_are_of_the_run() {
        assert_eq!(published("a").command(), "longhaul run --backend sim");
        // 2026-11-24 is day 20 781 since 1970-01-01.
        assert_eq!(date(20_781 * 86_400 + 40_000), "2026-11-24");
    }
}

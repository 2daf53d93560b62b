//! `longhaul report`, and what `run` shares with it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use longhaul_analysis::checkers::{to_elle_edn, to_knossos_edn, to_porcupine};
use longhaul_analysis::{Analysis, analyse};
use longhaul_experiment::random::{Stream, open_unit};
use longhaul_experiment::record::{RunDirectory, file_stem};
use longhaul_experiment::{LinkId, OperationRecord, RunRecord};
use longhaul_report::{TableOptions, charts, export, html, table};
use longhaul_wan::marginal::QuantileTable;

use crate::arguments::{ExportFormat, ReportArguments};
use crate::output::{CommandError, json, print, takes_colours, width};
use crate::sweep_command;

/// Draws of the message pattern beside the floor, for each mode and client region.
const MODEL_SAMPLES: u64 = 20_000;

/// Draws a run's table and charts again.
pub(crate) fn report(arguments: &ReportArguments) -> Result<ExitCode, CommandError> {
    if arguments.export.is_none()
        && let Some(code) = sweep_command::redraw(&arguments.directory, arguments.json)?
    {
        return Ok(code);
    }
    let directory = RunDirectory::open(&arguments.directory)?;
    let record = directory.read_record()?;
    let analysis = analysed(&record);
    let text = match arguments.export {
        _ if arguments.json => summary_json(&analysis)?,
        None => write_report(&directory, &record, &analysis)?,
        Some(ExportFormat::Csv) => export::csv(&analysis.summary),
        Some(ExportFormat::Markdown) => export::markdown(&analysis.summary),
        Some(ExportFormat::Latex) => export::latex(&analysis.summary),
        Some(ExportFormat::Openmetrics) => export::openmetrics(&analysis.summary),
        Some(ExportFormat::Percentiles) => write_percentiles(&directory, &record)?,
        Some(ExportFormat::Knossos) => {
            write_histories(&directory, &record, ("knossos.edn", to_knossos_edn))?
        }
        Some(ExportFormat::Elle) => {
            write_histories(&directory, &record, ("elle.edn", to_elle_edn))?
        }
        Some(ExportFormat::Porcupine) => {
            write_histories(&directory, &record, ("porcupine.jsonl", to_porcupine))?
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Analyses a record, and draws the model beside the floors where links have jitter.
pub(crate) fn analysed(record: &RunRecord) -> Analysis {
    let mut analysis = analyse(record);
    let profile = &record.scenario.topology.profile;
    let tables: BTreeMap<LinkId, (Duration, QuantileTable)> = profile
        .region_indexes()
        .flat_map(|from| profile.region_indexes().map(move |to| LinkId { from, to }))
        .map(|id| {
            let link = profile.link(id);
            (
                id,
                (link.one_way, QuantileTable::new(&link.jitter.marginal)),
            )
        })
        .collect();
    if tables.values().all(|(_, table)| table.is_constant()) {
        return analysis;
    }
    let mut generator = record.seed.stream(Stream::MonteCarlo, 0);
    analysis.add_models(record, MODEL_SAMPLES, &mut |link| {
        let (one_way, table) = &tables[&link];
        *one_way + table.quantile(open_unit(&mut generator))
    });
    analysis
}

/// Returns the summary as the JSON that is published.
pub(crate) fn summary_json(analysis: &Analysis) -> Result<String, CommandError> {
    json(&analysis.summary)
}

/// Writes one percentile text a mode and client region into a run's folder; returns their paths.
fn write_percentiles(directory: &RunDirectory, record: &RunRecord) -> Result<String, CommandError> {
    let mut paths = String::new();
    for file in export::percentiles(record) {
        let name = format!("{}.percentiles.txt", file.name);
        directory.write_file(&name, file.text.as_bytes())?;
        paths.push_str(&directory.path().join(name).display().to_string());
        paths.push('\n');
    }
    Ok(paths)
}

/// The ending of a history's file in another checker's form, and that form.
type HistoryForm = (&'static str, fn(&[OperationRecord]) -> String);

/// Writes the history of each mode that has one into a run's folder; returns the files' paths.
fn write_histories(
    directory: &RunDirectory,
    record: &RunRecord,
    (ending, form): HistoryForm,
) -> Result<String, CommandError> {
    let mut paths = String::new();
    for mode in &record.modes {
        let Some(history) = directory.read_history(&mode.mode)? else {
            continue;
        };
        let name = format!("{}.{ending}", file_stem(&mode.mode));
        directory.write_file(&name, form(&history).as_bytes())?;
        paths.push_str(&directory.path().join(name).display().to_string());
        paths.push('\n');
    }
    if paths.is_empty() {
        let path = directory.path().display();
        return Err(format!("{path} has no histories; make it with `run --history`").into());
    }
    Ok(paths)
}

/// Writes summary, table, charts and the HTML report into a run's folder; returns the table for
/// the terminal.
pub(crate) fn write_report(
    directory: &RunDirectory,
    record: &RunRecord,
    analysis: &Analysis,
) -> Result<String, CommandError> {
    directory.write_file("summary.json", summary_json(analysis)?.as_bytes())?;
    let plain = TableOptions {
        width: 120,
        service_time: true,
        ..TableOptions::default()
    };
    directory.write_file("table.txt", table(analysis, &plain).as_bytes())?;
    directory.write_file("report.html", html(record, analysis).as_bytes())?;
    for chart in charts(record, analysis) {
        directory.write_file(&format!("{}.svg", chart.name), chart.svg.as_bytes())?;
        directory.write_file(&format!("{}.png", chart.name), &chart.png)?;
    }
    let shown = TableOptions {
        width: width(),
        colour: takes_colours(),
        service_time: false,
    };
    Ok(table(analysis, &shown))
}

//! `longhaul profile list`, `show`, `check`, `import` and `generate`.

use std::fmt::Write as _;
use std::process::ExitCode;

use longhaul_experiment::profile::Source;
use longhaul_experiment::profile::bundled;
use longhaul_experiment::profile::derive::Derivation;
use longhaul_experiment::profile::fit::JITTER_SOURCE;
use longhaul_experiment::profile::generate::{Generated, Generation};
use longhaul_experiment::profile::import::{ImportOptions, import_file};
use longhaul_experiment::{Profile, Seed};
use longhaul_report::matrix_table;

use crate::arguments::{GenerateArguments, ImportArguments, ProfileCommand};
use crate::output::{CommandError, note, print, width, write_file};
use crate::scenario_arguments::find_profile;

/// Runs a `profile` command.
pub(crate) fn profile(command: ProfileCommand) -> Result<ExitCode, CommandError> {
    let text = match command {
        ProfileCommand::List => list()?,
        ProfileCommand::Show { profile, toml } => {
            let profile = find_profile(&profile)?;
            if toml {
                profile.to_toml()
            } else {
                show(&profile)?
            }
        }
        ProfileCommand::Check { file } => {
            let profile = Profile::load(&file)?;
            let regions = profile.regions.len();
            let symmetric = if profile.is_symmetric() {
                "symmetric"
            } else {
                "asymmetric"
            };
            format!(
                "{}: '{}' has {regions} regions and is {symmetric}\n",
                file.display(),
                profile.name
            )
        }
        ProfileCommand::Import(arguments) => import(&arguments)?,
        ProfileCommand::Generate(arguments) => generate(&arguments)?,
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<String, CommandError> {
    let mut text = String::new();
    for name in bundled::bundled_names() {
        let Some(profile) = bundled::bundled(name) else {
            continue;
        };
        let regions = profile.regions.len();
        let date = &profile.source.date;
        writeln!(
            text,
            "{name:<18} {regions:>3} regions  {date:<11} {}",
            profile.description
        )?;
    }
    Ok(text)
}

fn show(profile: &Profile) -> Result<String, CommandError> {
    let mut text = format!("{}: {}\n\n", profile.name, profile.description);
    text.push_str("Round trips at minimum delays in ms; the diagonal is each region's LAN.\n");
    text.push_str(&matrix_table(profile, width()));
    writeln!(
        text,
        "\nsource  {}\ndate    {}",
        profile.source.title, profile.source.date
    )?;
    writeln!(text, "method  {}", profile.source.method)?;
    Ok(text)
}

fn import(arguments: &ImportArguments) -> Result<String, CommandError> {
    let stem = arguments
        .file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let name = arguments
        .name
        .clone()
        .or(stem)
        .unwrap_or_else(|| "imported".to_owned());
    let has_spread = arguments.deviation_column.is_some();
    let source = Source {
        title: format!(
            "imported from {}, column {}",
            arguments.file.display(),
            arguments.column
        ),
        date: "not stated".to_owned(),
        method: "base: half the lower of the two directions' round trip".to_owned(),
    };
    let derivation = Derivation {
        description: "Imported: state what it is.".to_owned(),
        regions: arguments.regions.clone().unwrap_or_default(),
        jitter: has_spread,
        complete_only: arguments.complete_only,
        ..Derivation::new(name, source)
    };
    let options = ImportOptions {
        minimum_column: arguments.minimum_column.clone(),
        deviation_column: arguments.deviation_column.clone(),
        ..ImportOptions::new(&arguments.column, derivation)
    };
    let derived = import_file(&arguments.file, &options)?;
    if !derived.dropped.is_empty() {
        note(&format!(
            "left out, for want of measured pairs: {}\n",
            derived.dropped.join(", ")
        ));
    }
    Ok(derived.profile.to_toml())
}

fn generate(arguments: &GenerateArguments) -> Result<String, CommandError> {
    let generated = Profile::generate(&Generation {
        regions: arguments.regions,
        seed: Seed(arguments.seed),
        name: arguments.name.clone(),
    })?;
    note(&fit_table(&generated)?);
    let text = generated.profile.to_toml();
    let Some(file) = &arguments.out else {
        return Ok(text);
    };
    write_file(file, text)?;
    note(&format!("wrote {}\n", file.display()));
    Ok(String::new())
}

fn fit_table(generated: &Generated) -> Result<String, CommandError> {
    let mut text = String::from(
        "Round trip = intercept + inflation x light in fibre on the great circle (ms; Theil-Sen):\n",
    );
    writeln!(
        text,
        "{:<10} {:>6} {:>10} {:>10}   residuals {:>7} {:>8} {:>8} {:>8}",
        "matrix", "pairs", "intercept", "inflation", "p5", "p50", "p95", "RMS"
    )?;
    let measured = generated.measured;
    for fit in measured.fits.iter().chain([&measured.pooled]) {
        let residuals = fit.residuals;
        writeln!(
            text,
            "{:<10} {:>6} {:>10.3} {:>10.3}   {:>17.2} {:>8.2} {:>8.2} {:>8.2}",
            fit.name,
            fit.pairs,
            fit.intercept_ms,
            fit.inflation,
            residuals.p5_ms,
            residuals.p50_ms,
            residuals.p95_ms,
            residuals.rms_ms
        )?;
    }
    let jitter = measured.jitter;
    writeln!(
        text,
        "jitter, from {} links of {JITTER_SOURCE}: gamma, mean {:.4} of the delay, deviation {:.2} of the mean",
        jitter.links, jitter.mean_share, jitter.variation
    )?;
    Ok(text)
}

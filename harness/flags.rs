//! From the text of flags that several commands have to what they mean.

use longhaul_experiment::ModeSpec;
use longhaul_experiment::scenario::{DurationText, ScenarioFile};

use crate::output::CommandError;
use crate::scenario_arguments::find_profile;

/// Returns the modes that `--mode` names; `None` when it was not given.
pub(crate) fn modes(texts: &[String]) -> Result<Option<Vec<ModeSpec>>, CommandError> {
    let modes: Result<Vec<ModeSpec>, _> = texts.iter().map(|text| text.parse()).collect();
    let modes = modes.map_err(|why| CommandError::new("--mode", why))?;
    Ok((!modes.is_empty()).then_some(modes))
}

/// As [`modes`]; those that `run` takes by default when it was not given.
pub(crate) fn modes_or_default(texts: &[String]) -> Result<Vec<ModeSpec>, CommandError> {
    if let Some(modes) = modes(texts)? {
        return Ok(modes);
    }
    let file = ScenarioFile::default();
    let profile = find_profile(file.profile_name())?;
    Ok(file.resolve(profile)?.modes)
}

/// Returns the span of time that a flag states, if it was given.
pub(crate) fn time(name: &str, text: Option<&str>) -> Result<Option<DurationText>, CommandError> {
    let parsed = text.map(str::parse::<DurationText>).transpose();
    parsed.map_err(|why| CommandError::new(name, why))
}

/// Returns the span of time that a flag with a default states.
pub(crate) fn stated_time(name: &str, text: &str) -> Result<DurationText, CommandError> {
    text.parse().map_err(|why| CommandError::new(name, why))
}

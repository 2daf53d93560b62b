//! Placeholder until the key distributions land.

/// Chooses keys.
#[derive(Debug)]
pub struct KeyChooser;

//! What a mode declares of itself.

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{ModeSpec, OperationKind, Path, Topology};

use crate::replica::{Member, Replica};

/// A replication mode with its parameters: makes replicas and says what to expect of them.
pub trait Mode: Sized + Clone + Send + Sync + 'static {
    /// The mode's replica.
    type Replica: Replica + Send + 'static;

    /// One description per variant that this type implements.
    const DESCRIPTIONS: &'static [Description];

    /// Reads the mode's parameters.
    ///
    /// # Errors
    ///
    /// An unknown parameter, or one whose value is unfit for the topology.
    fn parse(spec: &ModeSpec, topology: &Topology) -> Result<Self, ModeError>;

    /// Returns the message pattern of an operation, from which its floor follows; `None` when
    /// the mode does not support the operation.
    fn path(&self, kind: OperationKind, topology: &Topology) -> Option<Path>;

    /// Makes a replica, not yet started.
    fn replica(&self, member: Member) -> Self::Replica;
}

/// A variant of a mode, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// E.g. `leader-follower`.
    pub family: &'static str,
    /// E.g. `semi-sync`.
    pub variant: &'static str,
    /// How it is written, with its parameters, e.g. `leader-follower:semi-sync=K`.
    pub form: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Each parameter with its meaning, range and default.
    pub parameters: &'static [(&'static str, &'static str)],
    /// What it guarantees, and what it does not.
    pub guarantee: &'static str,
    /// The floor of a write, as a formula.
    pub write_floor: &'static str,
    /// The floor of a read, as a formula.
    pub read_floor: &'static str,
    /// The paper or document that describes it.
    pub source: &'static str,
}

/// Something to be done with a mode whose type is known only at run time.
pub trait ModeVisitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<M: Mode>(self, mode: M) -> Self::Output;
}

/// Refuses an argument or parameters that a mode does not know.
///
/// # Errors
///
/// Names the first parameter of `spec` that is not in `known`, or the argument of a variant that
/// takes none.
pub fn check_parameters(
    spec: &ModeSpec,
    takes_argument: bool,
    known: &[&str],
) -> Result<(), ModeError> {
    if let Some(argument) = &spec.argument
        && !takes_argument
    {
        return Err(parameter_error(
            spec,
            &spec.variant,
            format!("it takes no value, and was given '{argument}'"),
        ));
    }
    for key in spec.parameters.keys() {
        if !known.contains(&key.as_str()) {
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Err(parameter_error(
                spec,
                key,
                format!("unknown; it has: {known}"),
            ));
        }
    }
    Ok(())
}

/// Reads a whole number between bounds, or the default when the parameter is absent.
///
/// # Errors
///
/// Says what was given and what is allowed.
pub fn whole_number(
    spec: &ModeSpec,
    name: &str,
    given: Option<&String>,
    bounds: std::ops::RangeInclusive<usize>,
) -> Result<Option<usize>, ModeError> {
    let Some(text) = given else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(number) if bounds.contains(&number) => Ok(Some(number)),
        _ => Err(parameter_error(
            spec,
            name,
            format!(
                "'{text}' is not a whole number from {} to {} (there are that many replicas to choose from)",
                bounds.start(),
                bounds.end()
            ),
        )),
    }
}

/// Returns an error about a parameter.
pub fn parameter_error(spec: &ModeSpec, parameter: &str, why: impl Into<String>) -> ModeError {
    ModeError::Parameter {
        mode: spec.to_string(),
        parameter: parameter.to_owned(),
        why: why.into(),
    }
}

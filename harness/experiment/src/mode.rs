//! Mode names: `family:variant[,key[=value]...]`, parsed once and printed canonically.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A parsed mode string. Its `Display` is canonical: parameters in alphabetical order.
///
/// A parameter that the variant carries itself, as in `leader-follower:semi-sync=2`, is kept in
/// [`ModeSpec::argument`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModeSpec {
    /// E.g. `quorum`.
    pub family: String,
    /// E.g. `raft`.
    pub variant: String,
    /// The variant's own value, the `2` of `semi-sync=2`.
    pub argument: Option<String>,
    /// The further parameters; a key without `=` has an empty value.
    pub parameters: BTreeMap<String, String>,
}

/// Why a mode string is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// The string has not the form of a mode.
    #[error("'{text}' is not a mode: {why}; the form is family:variant[,key=value...]")]
    Syntax {
        /// The string.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No mode has this family and variant.
    #[error("unknown mode '{text}': `longhaul mode list` shows the modes")]
    Unknown {
        /// The string.
        text: String,
    },
    /// A parameter is unknown or its value is unfit.
    #[error("mode '{mode}', parameter '{parameter}': {why}")]
    Parameter {
        /// The mode.
        mode: String,
        /// The parameter.
        parameter: String,
        /// What is wrong and what is allowed.
        why: String,
    },
}

impl FromStr for ModeSpec {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<ModeSpec, ModeError> {
        let syntax = |why| ModeError::Syntax {
            text: text.to_owned(),
            why,
        };
        let (family, rest) = text
            .split_once(':')
            .ok_or_else(|| syntax("it has no ':'"))?;
        let mut parts = rest.split(',');
        let head = parts.next().unwrap_or_default();
        let (variant, argument) = match head.split_once('=') {
            Some((variant, argument)) => (variant, Some(argument.to_owned())),
            None => (head, None),
        };
        if !is_word(family) || !is_word(variant) {
            return Err(syntax("family and variant are lower-case words"));
        }
        let mut parameters = BTreeMap::new();
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if !is_word(key) {
                return Err(syntax("a parameter's key is a lower-case word"));
            }
            if parameters
                .insert(key.to_owned(), value.to_owned())
                .is_some()
            {
                return Err(syntax("a parameter is given twice"));
            }
        }
        Ok(ModeSpec {
            family: family.to_owned(),
            variant: variant.to_owned(),
            argument,
            parameters,
        })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl fmt::Display for ModeSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.family, self.variant)?;
        if let Some(argument) = &self.argument {
            write!(formatter, "={argument}")?;
        }
        for (key, value) in &self.parameters {
            if value.is_empty() {
                write!(formatter, ",{key}")?;
            } else {
                write!(formatter, ",{key}={value}")?;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for ModeSpec {
    type Error = ModeError;

    fn try_from(text: String) -> Result<ModeSpec, ModeError> {
        text.parse()
    }
}

impl From<ModeSpec> for String {
    fn from(mode: ModeSpec) -> String {
        mode.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_string_sorts_parameters_and_parses_back() {
        let mode: ModeSpec = "quorum:register,w=3,r=3,phases=1".parse().unwrap();
        assert_eq!(mode.to_string(), "quorum:register,phases=1,r=3,w=3");
        assert_eq!(mode.to_string().parse::<ModeSpec>().unwrap(), mode);
        let semi: ModeSpec = "leader-follower:semi-sync=2".parse().unwrap();
        assert_eq!(semi.argument.as_deref(), Some("2"));
        assert_eq!(semi.to_string(), "leader-follower:semi-sync=2");
    }

    #[test]
    fn malformed_modes_are_refused() {
        for text in [
            "",
            "raft",
            "quorum:",
            ":raft",
            "quorum:raft,",
            "quorum:raft,a=1,a=2",
            "Quorum:raft",
        ] {
            assert!(text.parse::<ModeSpec>().is_err(), "{text:?}");
        }
    }
}

//! What can be wrong with a profile's file, and where.

use std::fmt;

use thiserror::Error;

/// A file that is not a profile: what is wrong with it, where, and what to do.
#[derive(Clone, Debug, PartialEq, Error)]
pub struct ProfileError {
    /// The file as the caller named it.
    pub file: String,
    /// Where in the file; `None` when the file as a whole is meant.
    pub location: Option<Location>,
    /// What is wrong.
    pub problem: Problem,
}

/// A place in a text file, as editors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Location {
    /// Returns the location of a byte offset; an offset past the end is the end.
    pub(super) fn of(text: &str, offset: usize) -> Location {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Location {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.location {
            Some(Location { line, column }) => {
                write!(formatter, "{}:{line}:{column}: {}", self.file, self.problem)
            }
            None => write!(formatter, "{}: {}", self.file, self.problem),
        }
    }
}

/// What is wrong with a profile's file.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be opened or read.
    #[error("cannot read the profile: {0}; check the path and its permissions")]
    Unreadable(String),
    /// The file is longer than any profile.
    #[error("the file is over {limit} bytes, more than any profile needs; check that it is one")]
    TooLarge {
        /// The most bytes accepted.
        limit: usize,
    },
    /// The file is not text.
    #[error("the file is not UTF-8 text; save it as UTF-8")]
    NotText,
    /// There is nothing in the file.
    #[error("the profile is empty; state its name, source, regions and links")]
    Empty,
    /// The text is not TOML, or a field is unknown, missing or of the wrong type.
    #[error("{0}; the bundled profiles are examples")]
    Syntax(String),
    /// The file is of a later format.
    #[error("profile format {0} is not known; this longhaul reads format 1")]
    Format(i64),
    /// A profile has no regions.
    #[error("the profile has no regions; state at least one")]
    NoRegions,
    /// A profile has more regions than supported.
    #[error("the profile has {count} regions; at most {limit} are supported")]
    TooManyRegions {
        /// The regions stated.
        count: usize,
        /// The most accepted.
        limit: usize,
    },
    /// A name cannot serve as one.
    #[error("the name {name} {reason}; choose another")]
    BadName {
        /// The name, quoted and escaped.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A region is stated twice.
    #[error("region '{name}' is already stated on line {first_line}; remove one of the two")]
    DuplicateRegion {
        /// Its name.
        name: String,
        /// The line of the first.
        first_line: usize,
    },
    /// A link names a region that the profile does not have.
    #[error("unknown region {name}; the regions are {known}")]
    UnknownRegion {
        /// The name, quoted and escaped.
        name: String,
        /// The first regions of the profile, joined.
        known: String,
    },
    /// A link from a region to itself stands among the links.
    #[error(
        "'{name}' is linked to itself; state `lan` in the region or `defaults.lan` for all of them"
    )]
    SelfLink {
        /// The region.
        name: String,
    },
    /// A direction is stated twice.
    #[error(
        "the link from '{from}' to '{to}' is already stated on line {first_line}; remove one of the two"
    )]
    DuplicateLink {
        /// Where it starts.
        from: String,
        /// Where it ends.
        to: String,
        /// The line of the first.
        first_line: usize,
    },
    /// Directions have no link.
    #[error("{count} directions have no link: {pairs}; add them to `links`")]
    MissingLinks {
        /// How many.
        count: usize,
        /// The first of them, joined.
        pairs: String,
    },
    /// Fields that exclude each other, or need each other.
    #[error("{0}")]
    Fields(String),
    /// A figure is not one, or not in its range.
    #[error("{field} is {value}; it must be {range}")]
    OutOfRange {
        /// The field.
        field: String,
        /// Its value.
        value: String,
        /// The range accepted.
        range: String,
    },
    /// A mixture's weights are no probabilities.
    #[error("the weights of the mixture sum to {0}; they must sum to 1")]
    Weights(f64),
    /// Quantiles are not in order.
    #[error("the quantiles are not in order at [{probability}, {delay_ms}]; {rule}")]
    Quantiles {
        /// The probability of the first that is not.
        probability: f64,
        /// Its delay in milliseconds.
        delay_ms: f64,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A round trip's jitter is not the sum of two equal independent directions.
    #[error("{0}")]
    Split(#[from] super::split::SplitError),
}

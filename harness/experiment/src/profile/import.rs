//! Profiles from tables of measured round trips.
//!
//! A table is CSV text with a header. The columns `from` and `to` name regions; the others are
//! round trips in milliseconds, of which one is chosen. Columns of the minimum, maximum and
//! deviation are used when they are named, or when they have the usual names `rtt_ms_min`,
//! `rtt_ms_max`, `rtt_ms_mdev`. A row may have the same region twice: its LAN. Rows may come in
//! any order, pairs in one direction or both. [`super::derive`] states what becomes of them.

use std::io::Read;
use std::path::Path;

use thiserror::Error;

use super::Profile;
use super::derive::{Derivation, DeriveError, Derived, Measurement, Measurements};
use super::link_fields::MAX_ONE_WAY_MS;
use super::parse::{MAX_FILE_BYTES, listed, name_fault};

/// How a table is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// The column of the round trip, e.g. `rtt_ms_avg`.
    pub column: String,
    /// The column of the least round trip; `None`: `rtt_ms_min` if the table has it.
    pub minimum_column: Option<String>,
    /// The column of the greatest; `None`: `rtt_ms_max` if the table has it.
    pub maximum_column: Option<String>,
    /// The column of the standard deviation; `None`: `rtt_ms_mdev` if the table has it.
    pub deviation_column: Option<String>,
    /// How the profile is derived from the rows.
    pub derivation: Derivation,
}

impl ImportOptions {
    /// Returns options that read one column, and beside it the usual ones.
    pub fn new(column: impl Into<String>, derivation: Derivation) -> ImportOptions {
        ImportOptions {
            column: column.into(),
            minimum_column: None,
            maximum_column: None,
            deviation_column: None,
            derivation,
        }
    }
}

/// A table that makes no profile.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{file}: cannot read the table: {reason}; check the path and its permissions")]
    Unreadable {
        /// The file as the caller named it.
        file: String,
        /// Why not.
        reason: String,
    },
    /// The file is longer than any table.
    #[error("{file}: the table is over {MAX_FILE_BYTES} bytes; check that it is one")]
    TooLarge {
        /// The file as the caller named it.
        file: String,
    },
    /// The header lacks a column.
    #[error("{file}:1: there is no column '{column}'; the columns are {known}")]
    NoColumn {
        /// The file as the caller named it.
        file: String,
        /// The column.
        column: String,
        /// The columns there are, joined.
        known: String,
    },
    /// A row is not one.
    #[error("{file}:{line}: {problem}")]
    Row {
        /// The file as the caller named it.
        file: String,
        /// Its line, from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The rows make no profile.
    #[error("{file}: {error}")]
    Derive {
        /// The file as the caller named it.
        file: String,
        /// Why not.
        error: DeriveError,
    },
}

/// Reads a table and derives a profile from it; `file` is what errors call it.
///
/// # Errors
///
/// [`ImportError`] for a table that cannot be read or makes no profile.
pub fn import(text: &str, file: &str, options: &ImportOptions) -> Result<Derived, ImportError> {
    if text.len() > MAX_FILE_BYTES {
        let file = file.to_owned();
        return Err(ImportError::TooLarge { file });
    }
    if let Some(reason) = name_fault(&options.derivation.name) {
        return Err(ImportError::Row {
            file: file.to_owned(),
            line: 1,
            problem: format!("the profile's name {reason}; choose another"),
        });
    }
    let measurements = read_measurements(text, file, options)?;
    Profile::derive(&measurements, &options.derivation).map_err(|error| ImportError::Derive {
        file: file.to_owned(),
        error,
    })
}

/// Reads a table from a file of at most [`MAX_FILE_BYTES`] and derives a profile from it.
///
/// # Errors
///
/// [`ImportError`] for a file that cannot be read or makes no profile.
pub fn import_file(
    path: impl AsRef<Path>,
    options: &ImportOptions,
) -> Result<Derived, ImportError> {
    let file = path.as_ref().display().to_string();
    let unreadable = |error: std::io::Error| ImportError::Unreadable {
        file: file.clone(),
        reason: error.to_string(),
    };
    let opened = std::fs::File::open(&path).map_err(unreadable)?;
    let mut text = String::new();
    opened
        .take(MAX_FILE_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    import(&text, &file, options)
}

/// Reads the rows of a table.
///
/// # Errors
///
/// [`ImportError`] for a missing column, or a row that names no regions, repeats another or has
/// a figure that is no round trip.
pub fn read_measurements(
    text: &str,
    file: &str,
    options: &ImportOptions,
) -> Result<Measurements, ImportError> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|error| unreadable_row(text, file, &error))?
        .clone();
    let columns = Columns::find(&header, file, options)?;
    let mut measurements = Measurements::default();
    let mut first_of = std::collections::BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable_row(text, file, &error))?;
        let position = record.position().cloned();
        let refuse = |problem: String| ImportError::Row {
            file: file.to_owned(),
            line: line_of(text, position.as_ref()),
            problem,
        };
        let mut ends = [0, 0];
        for (end, column) in ends.iter_mut().zip([columns.from, columns.to]) {
            let name = record.get(column).unwrap_or_default();
            if let Some(reason) = name_fault(name) {
                return Err(refuse(format!("a region's name {reason}; choose another")));
            }
            *end = index_of(&mut measurements.regions, name);
        }
        let measurement = columns.measurement(&record).map_err(refuse)?;
        let pair = (ends[0], ends[1]);
        if let Some(first) = first_of.insert(pair, position.clone()) {
            let first = line_of(text, first.as_ref());
            return Err(refuse(format!(
                "this pair is already measured on line {first}; keep one of the two"
            )));
        }
        measurements.pairs.insert(pair, measurement);
    }
    Ok(measurements)
}

fn index_of(regions: &mut Vec<String>, name: &str) -> usize {
    let known = regions.iter().position(|region| region == name);
    known.unwrap_or_else(|| {
        regions.push(name.to_owned());
        regions.len() - 1
    })
}

/// Returns the line of a row. The reader's own count leaves out the blank lines before it.
fn line_of(text: &str, position: Option<&csv::Position>) -> u64 {
    let start = position.map_or(0, |position| position.byte() as usize);
    let bytes = text.as_bytes();
    let blank = bytes[start.min(bytes.len())..].iter();
    let blank = blank.take_while(|byte| byte.is_ascii_whitespace()).count();
    let before = &bytes[..start.min(bytes.len()) + blank];
    before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}

fn unreadable_row(text: &str, file: &str, error: &csv::Error) -> ImportError {
    ImportError::Row {
        file: file.to_owned(),
        line: line_of(text, error.position()),
        problem: match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => format!("the row has {len} fields, the header {expected_len}; complete it"),
            csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8 text; save it as such".to_owned(),
            _ => format!("the row cannot be read: {error}"),
        },
    }
}

/// The positions of the columns.
struct Columns {
    from: usize,
    to: usize,
    rtt: usize,
    minimum: Option<usize>,
    maximum: Option<usize>,
    deviation: Option<usize>,
    names: csv::StringRecord,
}

impl Columns {
    fn find(
        header: &csv::StringRecord,
        file: &str,
        options: &ImportOptions,
    ) -> Result<Columns, ImportError> {
        let position = |column: &str| header.iter().position(|name| name == column);
        let needed = |column: &str| {
            position(column).ok_or_else(|| ImportError::NoColumn {
                file: file.to_owned(),
                column: column.to_owned(),
                known: listed(header.iter().map(|name| format!("'{name}'"))),
            })
        };
        let usual = |named: &Option<String>, usual: &str| match named {
            Some(column) => needed(column).map(Some),
            None => Ok(position(usual)),
        };
        Ok(Columns {
            from: needed("from")?,
            to: needed("to")?,
            rtt: needed(&options.column)?,
            minimum: usual(&options.minimum_column, "rtt_ms_min")?,
            maximum: usual(&options.maximum_column, "rtt_ms_max")?,
            deviation: usual(&options.deviation_column, "rtt_ms_mdev")?,
            names: header.clone(),
        })
    }

    fn measurement(&self, record: &csv::StringRecord) -> Result<Measurement, String> {
        let optional = |column: Option<usize>| {
            column
                .map(|column| self.round_trip(record, column))
                .transpose()
        };
        let measurement = Measurement {
            rtt_ms: self.round_trip(record, self.rtt)?,
            minimum_ms: optional(self.minimum)?,
            maximum_ms: optional(self.maximum)?,
            deviation_ms: optional(self.deviation)?,
        };
        let rtt_ms = measurement.rtt_ms;
        if measurement
            .minimum_ms
            .is_some_and(|minimum_ms| minimum_ms > rtt_ms)
            || measurement
                .maximum_ms
                .is_some_and(|maximum_ms| maximum_ms < rtt_ms)
        {
            return Err(format!(
                "the round trip {rtt_ms} ms is not between its minimum and maximum; correct the row"
            ));
        }
        Ok(measurement)
    }

    fn round_trip(&self, record: &csv::StringRecord, column: usize) -> Result<f64, String> {
        let text = record.get(column).unwrap_or_default();
        let most_ms = 2.0 * MAX_ONE_WAY_MS;
        match text.parse::<f64>() {
            Ok(figure) if (0.0..=most_ms).contains(&figure) => Ok(figure),
            _ => {
                let name = self.names.get(column).unwrap_or_default();
                let shown: String = text.chars().take(32).collect();
                Err(format!(
                    "'{name}' is {shown:?}; it must be milliseconds from 0 to {most_ms}"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::RegionIndex;
    use crate::profile::{Marginal, Source};

    const PINGS: &str = "\
from,to,rtt_ms_min,rtt_ms_avg,rtt_ms_max,rtt_ms_mdev
us-east-1,us-west-2,69.164,72.501,77.173,2.425
us-west-2,us-east-1,69.164,72.504,77.826,2.440
us-east-1,us-east-1,0.239,0.264,0.733,0.025
";

    fn options(column: &str) -> ImportOptions {
        let source = Source {
            title: "pings".to_owned(),
            date: "2020-06-05".to_owned(),
            method: "halved".to_owned(),
        };
        ImportOptions::new(column, Derivation::new("two", source))
    }

    #[test]
    fn the_usual_columns_become_base_delay_and_jitter() {
        let mut options = options("rtt_ms_avg");
        options.derivation.jitter = true;
        let profile = import(PINGS, "pings.csv", &options).unwrap().profile;
        let (east, west) = (RegionIndex(0), RegionIndex(1));
        assert_eq!(
            profile.round_trip(east, west),
            Duration::from_micros(69_164)
        );
        assert_eq!(profile.regions[0].place, "N. Virginia");
        // Measured: 0.239 / 2 = 0.1195 ms each way, rounded to 0.120.
        assert_eq!(profile.round_trip(east, east), Duration::from_micros(240));
        // Unmeasured: the default.
        assert_eq!(profile.round_trip(west, west), Duration::from_micros(200));
        let Marginal::Gamma { mean, deviation } = profile.links[1].jitter.marginal else {
            panic!("a spread makes a gamma");
        };
        // (72.501 - 69.164) / 2 = 1.6685 ms, and 2.425 / sqrt 2 = 1.7147 ms.
        assert_eq!(mean, Duration::from_micros(1669));
        assert_eq!(deviation, Duration::from_micros(1715));
    }

    #[test]
    fn a_bad_table_is_refused_with_its_line() {
        let cases = [
            ("", "t.csv:1: there is no column 'from'; the columns are "),
            (
                "from,to,x\n",
                "t.csv:1: there is no column 'rtt'; the columns are 'from', 'to', 'x'",
            ),
            (
                "from,to,rtt\na,b,1\na,b,2\n",
                "t.csv:3: this pair is already measured on line 2; keep one of the two",
            ),
            (
                "from,to,rtt\na,b,NaN\n",
                "t.csv:2: 'rtt' is \"NaN\"; it must be milliseconds from 0 to 20000",
            ),
            (
                "from,to,rtt\na,b,-1\n",
                "t.csv:2: 'rtt' is \"-1\"; it must be milliseconds from 0 to 20000",
            ),
            (
                "from,to,rtt\n\na,b\n",
                "t.csv:3: the row has 2 fields, the header 3; complete it",
            ),
            (
                "from,to,rtt\n,b,1\n",
                "t.csv:2: a region's name is empty; choose another",
            ),
            (
                "from,to,rtt,rtt_ms_min\na,b,1,2\n",
                "t.csv:2: the round trip 1 ms is not between its minimum and maximum; correct the row",
            ),
            (
                "from,to,rtt\n",
                "t.csv: no regions are left; measure more pairs",
            ),
        ];
        for (text, message) in cases {
            let error = import(text, "t.csv", &options("rtt")).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn an_unreadable_table_is_refused() {
        let error = import_file("/nonexistent/t.csv", &options("rtt")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/t.csv: cannot"));
    }
}

//! The file format of profiles, and its parser.
//!
//! A profile is a TOML file of at most 24 MiB. Delays are in milliseconds: at most 10 s one way,
//! and so is what jitter adds, also on a round trip. Rates are in Mbit/s of 10^6 bits. Whatever
//! is wrong is reported with its line and column.
//!
//! ```toml
//! format = 1                                # this format's version
//! name = "example-3"
//! description = "Three regions, one of them behind a bad link."
//! source.title = "who measured what, and where it is published"
//! source.date = "2026-11"                   # YYYY-MM-DD or YYYY-MM
//! source.method = "how the links follow from it, and what they leave out"
//!
//! # What regions and links state not otherwise. All of it is optional.
//! defaults.lan = { rtt_ms = 0.2 }           # a region to itself; 0.2 ms if nowhere stated
//! defaults.round_trip_jitter = { marginal = "gamma", mean_ms = 0.4, deviation_ms = 0.5 }
//! defaults.loss = 0.0001
//! defaults.rate_mbps = 1000
//!
//! regions = [                               # in order; place and coordinates are optional
//!   { name = "east", place = "N. Virginia", latitude = 38.95, longitude = -77.45 },
//!   { name = "west", place = "Oregon" },
//!   { name = "south", lan = { one_way_ms = 0.15 } },
//! ]
//!
//! links = [                                 # every two regions once, in any order
//!   { between = ["east", "west"], one_way_ms = 34.582 },
//!   { between = ["east", "south"], rtt_ms = 110.4, jitter = { marginal = "none" } },
//!   { from = "west", to = "south", one_way_ms = 80.0, loss = 0.01 },
//!   { from = "south", to = "west", one_way_ms = 95.0, rate_mbps = 20 },
//! ]
//! ```
//!
//! - A link with `between` states both directions, alike; one with `from` and `to` states one of
//!   them, and the other needs a line of its own. `rtt_ms` is halved; a directed link can only
//!   state `one_way_ms`.
//! - `loss` is the share of packets lost, from 0 to below 1. No `rate_mbps`: unlimited.
//! - `jitter` is that of one direction. `round_trip_jitter` is that of the round trip, as it was
//!   measured; it is split ([`super::split`]) so that two directions add up to it. A link, a
//!   region's `lan` and `defaults` state at most one of the two; a link's own replaces the
//!   default's. The defaults for jitter, loss and rate do not apply to LANs.
//!
//! What jitter adds to the delay has a `marginal` with its parameters:
//!
//! | `marginal` | parameters |
//! | --- | --- |
//! | `"none"` | |
//! | `"uniform"` | `low_ms`, `high_ms` |
//! | `"normal"`, `"gamma"`, `"paretonormal"` | `mean_ms`, `deviation_ms` |
//! | `"exponential"` | `mean_ms` |
//! | `"pareto"` | `scale_ms`, `shape` (above 1) |
//! | `"quantiles"` | `quantiles_ms = [[0, 0], [0.5, 0.1], [0.99, 7]]`: pairs of a probability and a delay, the first probability 0 |
//! | `"mixture"` | `components = [{ weight = 0.9, marginal = "none" }, { weight = 0.1, marginal = "exponential", mean_ms = 3 }]` |
//!
//! and, outside of components, a time constant `correlation_ms`; 100 ms where none is stated.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde_spanned::Spanned;

use super::jitter_fields::JitterFields;
use super::link_fields::{LanFields, LinkDefaults, LinkFields};
use super::link_grid::LinkGrid;
use super::{Coordinates, Link, Location, Problem, Profile, ProfileError, Region, Source};

/// The most bytes a profile's file may have: 24 MiB, enough for 512 regions that state each
/// pair's jitter.
pub const MAX_FILE_BYTES: usize = 24 << 20;
/// The most regions of a profile.
pub const MAX_REGIONS: usize = 512;
/// The most characters of a name.
pub const MAX_NAME_CHARACTERS: usize = 64;

/// The format's version that this module reads and writes.
pub(super) const FORMAT: i64 = 1;

/// How many regions or pairs an error lists before it says "and more".
const LISTED: usize = 8;

impl Profile {
    /// Reads a profile from its text; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] for any text that is not a complete profile in the format above.
    pub fn parse(text: &str, file: &str) -> Result<Profile, ProfileError> {
        let reader = Reader { text, file };
        if text.len() > MAX_FILE_BYTES {
            return Err(reader.whole(Problem::TooLarge {
                limit: MAX_FILE_BYTES,
            }));
        }
        let text_only = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text_only.trim().is_empty() {
            return Err(reader.whole(Problem::Empty));
        }
        let document: Document = toml::from_str(text).map_err(|error| {
            let problem = Problem::Syntax(error.message().trim().replace('\n', ", "));
            match error.span() {
                Some(span) => reader.at(span, problem),
                None => reader.whole(problem),
            }
        })?;
        reader.profile(document)
    }

    /// Reads a profile from a file, of which at most [`MAX_FILE_BYTES`] are read.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] when the file cannot be read or is not a profile.
    pub fn load(path: impl AsRef<Path>) -> Result<Profile, ProfileError> {
        let file = path.as_ref().display().to_string();
        let reader = Reader {
            text: "",
            file: &file,
        };
        let unreadable =
            |error: std::io::Error| reader.whole(Problem::Unreadable(error.to_string()));
        let opened = std::fs::File::open(&path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        opened
            .take(MAX_FILE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(reader.whole(Problem::TooLarge {
                limit: MAX_FILE_BYTES,
            }));
        }
        let text = String::from_utf8(bytes).map_err(|_| reader.whole(Problem::NotText))?;
        Profile::parse(&text, &file)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: Spanned<i64>,
    name: Spanned<String>,
    #[serde(default)]
    description: String,
    source: SourceFields,
    #[serde(default)]
    defaults: Defaults,
    regions: Spanned<Vec<Spanned<RegionFields>>>,
    #[serde(default)]
    links: Vec<Spanned<LinkFields>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceFields {
    title: String,
    date: String,
    method: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    lan: Option<Spanned<LanFields>>,
    jitter: Option<Spanned<JitterFields>>,
    round_trip_jitter: Option<Spanned<JitterFields>>,
    loss: Option<Spanned<f64>>,
    rate_mbps: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionFields {
    name: Spanned<String>,
    #[serde(default)]
    place: String,
    latitude: Option<Spanned<f64>>,
    longitude: Option<Spanned<f64>>,
    lan: Option<Spanned<LanFields>>,
}

/// A text under its file's name: turns spans into located errors.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    text: &'a str,
    file: &'a str,
}

impl Reader<'_> {
    pub(super) fn whole(&self, problem: Problem) -> ProfileError {
        ProfileError {
            file: self.file.to_owned(),
            location: None,
            problem,
        }
    }

    pub(super) fn at(&self, span: Range<usize>, problem: Problem) -> ProfileError {
        ProfileError {
            file: self.file.to_owned(),
            location: Some(Location::of(self.text, span.start)),
            problem,
        }
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        Location::of(self.text, offset).line
    }

    /// Checks that a figure is a number within `range`, both ends included.
    pub(super) fn number(
        &self,
        field: &str,
        value: &Spanned<f64>,
        range: (f64, f64),
    ) -> Result<f64, ProfileError> {
        let (least, most) = range;
        let figure = *value.get_ref();
        // Not a number is in no range.
        if (least..=most).contains(&figure) {
            return Ok(figure);
        }
        Err(self.at(
            value.span(),
            Problem::OutOfRange {
                field: field.to_owned(),
                value: figure.to_string(),
                range: format!("a number from {least} to {most}"),
            },
        ))
    }

    fn profile(&self, document: Document) -> Result<Profile, ProfileError> {
        if *document.format.get_ref() != FORMAT {
            let problem = Problem::Format(*document.format.get_ref());
            return Err(self.at(document.format.span(), problem));
        }
        self.name(&document.name)?;
        let defaults = &document.defaults;
        let link_defaults = LinkDefaults {
            jitter: self
                .stated_jitter(&defaults.jitter, &defaults.round_trip_jitter)?
                .unwrap_or(super::Jitter::NONE),
            loss: self.loss(&defaults.loss)?.unwrap_or(0.0),
            rate_bps: self.rate_bps(&defaults.rate_mbps)?,
        };
        let default_lan = match &defaults.lan {
            Some(lan) => self.lan(lan)?,
            None => Link::fixed(super::derive::DEFAULT_LAN_RTT / 2),
        };
        let regions = self.regions(&document.regions)?;
        let mut grid = LinkGrid::new(self, &regions);
        for (index, fields) in document.regions.get_ref().iter().enumerate() {
            let lan = match &fields.get_ref().lan {
                Some(lan) => self.lan(lan)?,
                None => default_lan.clone(),
            };
            grid.set_lan(index, (lan, fields.span().start));
        }
        for fields in &document.links {
            grid.add(fields, &link_defaults)?;
        }
        let links = grid.complete()?;
        let source = Source {
            title: document.source.title,
            date: document.source.date,
            method: document.source.method,
        };
        let name = document.name.into_inner();
        Ok(Profile::new(
            name,
            document.description,
            source,
            regions,
            links,
        ))
    }

    fn regions(
        &self,
        stated: &Spanned<Vec<Spanned<RegionFields>>>,
    ) -> Result<Vec<Region>, ProfileError> {
        let count = stated.get_ref().len();
        if count == 0 {
            return Err(self.at(stated.span(), Problem::NoRegions));
        }
        if count > MAX_REGIONS {
            let limit = MAX_REGIONS;
            return Err(self.at(stated.span(), Problem::TooManyRegions { count, limit }));
        }
        let mut first_of = BTreeMap::new();
        let mut regions = Vec::with_capacity(count);
        for fields in stated.get_ref() {
            let span = fields.span();
            let fields = fields.get_ref();
            let name = self.name(&fields.name)?;
            if let Some(first) = first_of.insert(name, span.start) {
                let problem = Problem::DuplicateRegion {
                    name: name.to_owned(),
                    first_line: self.line(first),
                };
                return Err(self.at(fields.name.span(), problem));
            }
            let coordinates = match (&fields.latitude, &fields.longitude) {
                (None, None) => None,
                (Some(latitude), Some(longitude)) => Some(Coordinates {
                    latitude: self.number("latitude", latitude, (-90.0, 90.0))?,
                    longitude: self.number("longitude", longitude, (-180.0, 180.0))?,
                }),
                _ => {
                    let advice = "a region states both `latitude` and `longitude`, or neither";
                    return Err(self.at(span, Problem::Fields(advice.to_owned())));
                }
            };
            regions.push(Region {
                name: name.to_owned(),
                place: fields.place.clone(),
                coordinates,
            });
        }
        Ok(regions)
    }

    fn name<'n>(&self, name: &'n Spanned<String>) -> Result<&'n str, ProfileError> {
        let text = name.get_ref();
        match name_fault(text) {
            None => Ok(text),
            Some(reason) => {
                let shown: String = text.chars().take(MAX_NAME_CHARACTERS).collect();
                let name_shown = format!("{shown:?}");
                Err(self.at(
                    name.span(),
                    Problem::BadName {
                        name: name_shown,
                        reason,
                    },
                ))
            }
        }
    }
}

/// Returns why a text cannot be the name of a profile or region.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.chars().count() > MAX_NAME_CHARACTERS {
        Some("is longer than 64 characters")
    } else if name.chars().any(char::is_control) {
        Some("has control characters")
    } else if name.trim() != name {
        Some("starts or ends with a space")
    } else {
        None
    }
}

/// Joins the first few of a list.
pub(super) fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names = names.peekable();
    let mut text = names.by_ref().take(LISTED).collect::<Vec<_>>().join(", ");
    if names.peek().is_some() {
        text.push_str(" and more");
    }
    text
}

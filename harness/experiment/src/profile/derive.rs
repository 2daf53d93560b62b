//! The rules by which measured round trips become a profile.
//!
//! Rules, in the order applied:
//!
//! 1. A pair counts as measured when at least one of its directions is: either end times the same
//!    round trip. A pair that is not measured is refused, or costs a region
//!    ([`Derivation::complete_only`]).
//! 2. The base round trip is the lower of the two directions' minimum, or of their stated figure
//!    (average, median) where no minimum is given.
//! 3. [`Derivation::subtract_floor`] takes out what the measuring itself adds: the mean of what
//!    the two regions read to themselves, less a LAN's round trip, which is really there.
//!    No link becomes shorter than a LAN.
//! 4. The one-way delay is half of that, rounded to the microsecond. This is where a round trip
//!    is halved, and the only place.
//! 5. The round trip's jitter is a gamma. Its mean is the lower of the two directions' averages
//!    less the base; its deviation the lower of theirs, so that a single stray ping of one
//!    direction does not become the link's tail. It is split over both directions.
//! 6. A region to itself: measured, its LAN follows from the same rules; unmeasured, or when its
//!    reading is the floor, it is [`Derivation::lan_rtt`].
//!
//! What a deviation is worth: no distribution with given mean and extremes can deviate by more
//! than sqrt((maximum - average) (average - minimum)) (Bhatia and Davis, "A better bound on the
//! variance", 2000). Of the AWS pings of 2020 185 of 342 rows between regions state a larger mdev,
//! of the GCP pings 1 of 380. The likely cause is an mdev computed from a mean cut to whole
//! microseconds, which adds up to sqrt(2 x mean x 1 us), half a millisecond at a mean of 150 ms.
//! A deviation beyond the bound is cut to it where the maximum is known.
//!
//! Left out: asymmetry, which round trips cannot show, loss, and rates.

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

use super::jitter_fields::GAMMA_VARIATION;
use super::link_fields::{MAX_ONE_WAY_MS, duration_of_ms};
use super::parse::{MAX_REGIONS, listed};
use super::{Jitter, Link, Marginal, Profile, Region, Source, places};

/// The round trip between a region's clients and its replica where none is measured: 0.2 ms.
///
/// It lies between the averages that regions read to themselves in the pings of 2020: median
/// 0.11 ms over 19 AWS regions, 0.28 ms over 20 GCP regions.
pub const DEFAULT_LAN_RTT: Duration = Duration::from_micros(200);

/// What one region measured to another, in milliseconds of round trip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// The figure chosen: an average or a median.
    pub rtt_ms: f64,
    /// The least.
    pub minimum_ms: Option<f64>,
    /// The greatest.
    pub maximum_ms: Option<f64>,
    /// The standard deviation.
    pub deviation_ms: Option<f64>,
}

/// A table of measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurements {
    /// The regions, in order of first appearance.
    pub regions: Vec<String>,
    /// What was measured, by indexes of the regions from and to.
    pub pairs: BTreeMap<(usize, usize), Measurement>,
}

/// How a profile is derived from measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivation {
    /// The profile's name.
    pub name: String,
    /// One sentence on what it is.
    pub description: String,
    /// Where its figures come from.
    pub source: Source,
    /// The regions to take, in this order; empty: all, in order of first appearance.
    pub regions: Vec<String>,
    /// Whether links get jitter; it needs measured minima and deviations.
    pub jitter: bool,
    /// The jitter's correlation time.
    pub correlation: Duration,
    /// The round trip within a region where none is measured.
    pub lan_rtt: Duration,
    /// Whether what a region reads to itself is the measurement's floor, to be subtracted.
    pub subtract_floor: bool,
    /// Whether regions are dropped until all pairs are measured: each time the one with the most
    /// unmeasured pairs, the last such in order. `false`: unmeasured pairs are refused.
    pub complete_only: bool,
}

impl Derivation {
    /// Returns the derivation of all regions, without jitter, refusing unmeasured pairs.
    pub fn new(name: impl Into<String>, source: Source) -> Derivation {
        Derivation {
            name: name.into(),
            description: String::new(),
            source,
            regions: Vec::new(),
            jitter: false,
            correlation: Jitter::DEFAULT_CORRELATION,
            lan_rtt: DEFAULT_LAN_RTT,
            subtract_floor: false,
            complete_only: false,
        }
    }
}

/// A derived profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The profile.
    pub profile: Profile,
    /// The regions that were dropped to complete it, in that order.
    pub dropped: Vec<String>,
}

/// Measurements that make no profile.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum DeriveError {
    /// A region was asked for that was not measured.
    #[error("region '{name}' is not in the measurements; they have {known}")]
    UnknownRegion {
        /// Its name.
        name: String,
        /// The first regions measured, joined.
        known: String,
    },
    /// A region was asked for twice.
    #[error("region '{0}' is asked for twice; name it once")]
    DuplicateRegion(String),
    /// There are no regions, or none is left.
    #[error("no regions are left; measure more pairs")]
    NoRegions,
    /// There are too many.
    #[error("{count} regions are measured, at most {limit} are supported; name the ones to take")]
    TooManyRegions {
        /// The regions measured.
        count: usize,
        /// The most supported.
        limit: usize,
    },
    /// Pairs are not measured in either direction.
    #[error(
        "{count} pairs are not measured: {pairs}; measure them, name other regions, or keep complete regions only"
    )]
    MissingPairs {
        /// How many.
        count: usize,
        /// All of them.
        missing: Vec<(String, String)>,
        /// The first of them, joined.
        pairs: String,
    },
    /// The floor is to be subtracted, but a region has no reading to itself.
    #[error("region '{0}' has no measurement to itself to take the floor from; do not subtract it")]
    NoFloor(String),
    /// Jitter is asked for, but the spread was not measured.
    #[error(
        "jitter needs a measured minimum and deviation from '{from}' to '{to}'; add the columns or leave the jitter out"
    )]
    NoSpread {
        /// Where from.
        from: String,
        /// Where to.
        to: String,
    },
}

impl Profile {
    /// Derives a profile from measured round trips by the rules of [`super::derive`].
    ///
    /// # Errors
    ///
    /// [`DeriveError`] when the measurements are not complete enough.
    pub fn derive(
        measurements: &Measurements,
        derivation: &Derivation,
    ) -> Result<Derived, DeriveError> {
        let mut chosen = choose(measurements, derivation)?;
        let mut dropped = Vec::new();
        if derivation.complete_only {
            while let Some(position) = most_incomplete(measurements, &chosen) {
                dropped.push(measurements.regions[chosen.remove(position)].clone());
            }
        }
        if chosen.is_empty() {
            return Err(DeriveError::NoRegions);
        }
        refuse_missing(measurements, &chosen)?;
        let rules = Rules {
            measurements,
            derivation,
        };
        let mut links = Vec::with_capacity(chosen.len() * chosen.len());
        for &from in &chosen {
            for &to in &chosen {
                links.push(rules.link(from, to)?);
            }
        }
        let regions = chosen
            .iter()
            .map(|&index| places::region(&measurements.regions[index]))
            .collect::<Vec<Region>>();
        let profile = Profile::new(
            derivation.name.clone(),
            derivation.description.clone(),
            derivation.source.clone(),
            regions,
            links,
        );
        Ok(Derived { profile, dropped })
    }
}

fn choose(measurements: &Measurements, derivation: &Derivation) -> Result<Vec<usize>, DeriveError> {
    let count = measurements.regions.len();
    let mut chosen: Vec<usize> = Vec::new();
    for name in &derivation.regions {
        let index = measurements.regions.iter().position(|known| known == name);
        let index = index.ok_or_else(|| DeriveError::UnknownRegion {
            name: name.clone(),
            known: listed(measurements.regions.iter().cloned()),
        })?;
        if chosen.contains(&index) {
            return Err(DeriveError::DuplicateRegion(name.clone()));
        }
        chosen.push(index);
    }
    if derivation.regions.is_empty() {
        chosen = (0..count).collect();
    }
    if chosen.len() > MAX_REGIONS {
        return Err(DeriveError::TooManyRegions {
            count: chosen.len(),
            limit: MAX_REGIONS,
        });
    }
    Ok(chosen)
}

fn is_missing(measurements: &Measurements, a: usize, b: usize) -> bool {
    let pairs = &measurements.pairs;
    a != b && !pairs.contains_key(&(a, b)) && !pairs.contains_key(&(b, a))
}

/// Returns the position of the region with the most unmeasured pairs, if any has one.
fn most_incomplete(measurements: &Measurements, chosen: &[usize]) -> Option<usize> {
    let missing_of = |&a: &usize| {
        let missing = chosen.iter().filter(|&&b| is_missing(measurements, a, b));
        missing.count()
    };
    let counts = chosen.iter().map(missing_of).enumerate();
    counts
        .filter(|(_, missing)| *missing > 0)
        .max_by_key(|(_, missing)| *missing)
        .map(|(position, _)| position)
}

fn refuse_missing(measurements: &Measurements, chosen: &[usize]) -> Result<(), DeriveError> {
    let mut missing = Vec::new();
    for (position, &a) in chosen.iter().enumerate() {
        for &b in &chosen[position + 1..] {
            if is_missing(measurements, a, b) {
                let regions = &measurements.regions;
                missing.push((regions[a].clone(), regions[b].clone()));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(DeriveError::MissingPairs {
        count: missing.len(),
        pairs: listed(missing.iter().map(|(a, b)| format!("'{a}' and '{b}'"))),
        missing,
    })
}

struct Rules<'a> {
    measurements: &'a Measurements,
    derivation: &'a Derivation,
}

impl Rules<'_> {
    fn link(&self, from: usize, to: usize) -> Result<Link, DeriveError> {
        let directions: Vec<&Measurement> = [(from, to), (to, from)]
            .iter()
            .filter_map(|pair| self.measurements.pairs.get(pair))
            .collect();
        let lan_ms = self.derivation.lan_rtt.as_secs_f64() * 1e3;
        let is_floor = from == to && self.derivation.subtract_floor;
        if directions.is_empty() || is_floor {
            return Ok(Link::fixed(half_of_round_trip(lan_ms)));
        }
        let measured_ms = least(
            directions
                .iter()
                .map(|direction| direction.minimum_ms.unwrap_or(direction.rtt_ms)),
        );
        let mut base_ms = measured_ms;
        if self.derivation.subtract_floor {
            let floor_ms = (self.reading(from)? + self.reading(to)?) / 2.0 - lan_ms;
            base_ms = (measured_ms - floor_ms.max(0.0)).max(lan_ms);
        }
        let mut link = Link::fixed(half_of_round_trip(base_ms));
        if self.derivation.jitter {
            let jitter = round_trip_jitter(&directions, measured_ms);
            let marginal = jitter.ok_or_else(|| DeriveError::NoSpread {
                from: self.measurements.regions[from].clone(),
                to: self.measurements.regions[to].clone(),
            })?;
            link.jitter = Jitter {
                marginal: rounded(marginal),
                correlation: self.derivation.correlation,
            };
        }
        Ok(link)
    }

    fn reading(&self, region: usize) -> Result<f64, DeriveError> {
        match self.measurements.pairs.get(&(region, region)) {
            Some(own) => Ok(own.rtt_ms),
            None => Err(DeriveError::NoFloor(
                self.measurements.regions[region].clone(),
            )),
        }
    }
}

/// Returns the jitter of the round trip, or `None` when its spread was not measured.
fn round_trip_jitter(directions: &[&Measurement], base_ms: f64) -> Option<Marginal> {
    let mut deviations = Vec::new();
    for direction in directions {
        let mut deviation_ms = direction.deviation_ms?;
        if let Some(maximum_ms) = direction.maximum_ms {
            let above = (maximum_ms - direction.rtt_ms).max(0.0);
            let below = (direction.rtt_ms - direction.minimum_ms?).max(0.0);
            deviation_ms = deviation_ms.min(libm::sqrt(above * below));
        }
        deviations.push(deviation_ms);
    }
    let mean_ms = least(directions.iter().map(|direction| direction.rtt_ms)) - base_ms;
    let deviation_ms = least(deviations.into_iter());
    if mean_ms <= 0.0 || deviation_ms <= 0.0 {
        return Some(Marginal::None);
    }
    Some(Marginal::Gamma {
        mean: Duration::from_secs_f64(mean_ms / 1e3),
        deviation: Duration::from_secs_f64(deviation_ms / 1e3),
    })
}

/// Splits the gamma of a round trip and rounds it to microseconds, as files state it; what
/// rounds to zero is none. The deviation stays in the range that files accept.
fn rounded(round_trip: Marginal) -> Marginal {
    match round_trip.one_way_of_round_trip() {
        Ok(Marginal::Gamma { mean, deviation }) => {
            let (mean, deviation) = (to_microseconds(mean), to_microseconds(deviation));
            if mean.is_zero() || deviation.is_zero() {
                return Marginal::None;
            }
            let (least, most) = GAMMA_VARIATION;
            Marginal::Gamma {
                mean,
                deviation: deviation
                    .max(mean.mul_f64(least))
                    .min(mean.mul_f64(most))
                    .min(duration_of_ms(MAX_ONE_WAY_MS)),
            }
        }
        _ => Marginal::None,
    }
}

pub(super) fn half_of_round_trip(rtt_ms: f64) -> Duration {
    to_microseconds(Duration::from_secs_f64(rtt_ms / 2e3))
}

fn to_microseconds(delay: Duration) -> Duration {
    Duration::from_micros(((delay.as_nanos() + 500) / 1000) as u64)
}

fn least(figures: impl Iterator<Item = f64>) -> f64 {
    figures.fold(f64::INFINITY, f64::min)
}

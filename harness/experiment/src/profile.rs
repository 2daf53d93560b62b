//! Profiles: regions and directed links, with the source and date of their figures.
//!
//! The types are here. In the order in which figures travel through them, the modules are:
//!
//! 1. [`import`]: a table of measured round trips (CSV) becomes [`derive::Measurements`];
//! 2. [`mod@derive`]: measured round trips become one-way links, by stated rules;
//! 3. [`parse`] and `write`: a profile as a TOML file, which [`parse`] specifies;
//! 4. [`split`]: a round trip's jitter becomes that of one direction;
//! 5. [`bundled`]: the profiles that come with longhaul;
//! 6. [`fit`] and [`generate`]: what measured delays are to distances, and profiles of [`cities`]
//!    made by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{LinkId, RegionIndex};

pub mod bundled;
pub mod cities;
pub mod derive;
mod error;
pub mod fit;
pub mod generate;
pub mod import;
mod jitter_fields;
mod link_fields;
mod link_grid;
pub mod parse;
pub mod places;
pub mod split;
mod write;

#[cfg(test)]
mod derive_tests;
#[cfg(test)]
mod parse_tests;
#[cfg(test)]
mod property_tests;

pub use error::{Location, Problem, ProfileError};

/// Regions and the links between them.
///
/// A profile is complete: every ordered pair of regions has a link, and so has every region to
/// itself (its LAN, which also separates a region's clients from its replica).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The profile's name, e.g. `aws-5`.
    pub name: String,
    /// One sentence on what it is.
    pub description: String,
    /// Where its figures come from.
    pub source: Source,
    /// The regions; a [`RegionIndex`] counts into this list.
    pub regions: Vec<Region>,
    /// The links, row-major: from region `i` to region `j` at `i * regions.len() + j`.
    links: Vec<Link>,
}

/// Where a profile's figures come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Who measured what, and where it is published.
    pub title: String,
    /// The date of the measurement, `YYYY-MM-DD` or `YYYY-MM`.
    pub date: String,
    /// How the profile's links were derived from it, and what it leaves out.
    pub method: String,
}

/// A place. The clients and replicas in it are a LAN apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The provider's name of it, e.g. `eu-west-1`.
    pub name: String,
    /// Where it is, e.g. `Ireland`; empty when not stated.
    pub place: String,
    /// Its coordinates; `None` when not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
}

/// A point on the globe, to draw maps and to check delays against the speed of light.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coordinates {
    /// Degrees north of the equator, -90 to 90.
    pub latitude: f64,
    /// Degrees east of Greenwich, -180 to 180.
    pub longitude: f64,
}

impl Coordinates {
    /// Returns the great-circle distance in kilometres (haversine, mean radius 6371 km).
    pub fn distance_km(self, other: Coordinates) -> f64 {
        let (latitude_a, latitude_b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_height = libm::sin((latitude_b - latitude_a) / 2.0);
        let half_width = libm::sin((other.longitude - self.longitude).to_radians() / 2.0);
        let haversine = half_height * half_height
            + libm::cos(latitude_a) * libm::cos(latitude_b) * half_width * half_width;
        2.0 * 6371.0 * libm::asin(libm::sqrt(haversine).min(1.0))
    }
}

/// One direction of a path between two regions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The least delay in this direction.
    pub one_way: Duration,
    /// What varies on top of it.
    pub jitter: Jitter,
    /// The share of packets lost, 0 to 1. On a stream a loss costs a retransmission's delay.
    pub loss: f64,
    /// The link's rate in bits per second; `None`: unlimited.
    pub rate_bps: Option<u64>,
}

impl Region {
    /// Returns a region of which nothing but the name is stated.
    pub fn named(name: impl Into<String>) -> Region {
        Region {
            name: name.into(),
            place: String::new(),
            coordinates: None,
        }
    }
}

impl Link {
    /// Returns a link with a delay and nothing else.
    pub const fn fixed(one_way: Duration) -> Link {
        Link {
            one_way,
            jitter: Jitter::NONE,
            loss: 0.0,
            rate_bps: None,
        }
    }
}

/// Delay that varies in time, added to a link's least delay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Jitter {
    /// The distribution of the added delay at any one instant.
    pub marginal: Marginal,
    /// The time after which the process's autocorrelation has fallen to 1/e.
    pub correlation: Duration,
}

impl Jitter {
    /// No jitter.
    pub const NONE: Jitter = Jitter {
        marginal: Marginal::None,
        correlation: Jitter::DEFAULT_CORRELATION,
    };

    /// The correlation time where a profile states none: 100 ms. No public source measures it
    /// for cloud links; it is an assumption, of the order of a queue's life at a busy router.
    pub const DEFAULT_CORRELATION: Duration = Duration::from_millis(100);
}

/// The distribution of an added one-way delay. All delays are at least zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Marginal {
    /// Always zero.
    None,
    /// Uniform between two delays.
    Uniform {
        /// The least added delay.
        low: Duration,
        /// The largest.
        high: Duration,
    },
    /// Normal, clamped at zero; the clamped share is reported.
    Normal {
        /// The mean before clamping.
        mean: Duration,
        /// The standard deviation before clamping.
        deviation: Duration,
    },
    /// Gamma with the given mean and standard deviation.
    Gamma {
        /// The mean.
        mean: Duration,
        /// The standard deviation.
        deviation: Duration,
    },
    /// Pareto (type I) shifted to start at zero: `scale * (U^(-1/shape) - 1)`.
    Pareto {
        /// The scale x_m.
        scale: Duration,
        /// The tail exponent alpha, above 1.
        shape: f64,
    },
    /// A quarter normal and three quarters Pareto, as in iproute2's table of the same name:
    /// mean and deviation of the mixture in its units, clamped at zero.
    ParetoNormal {
        /// The mean before clamping.
        mean: Duration,
        /// The standard deviation before clamping.
        deviation: Duration,
    },
    /// Exponential with the given mean.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// A mixture: with each component's probability, a draw from it.
    Mixture(Vec<Component>),
    /// Piecewise linear between stated quantiles (probability, added delay), both ascending,
    /// the first probability 0 and the last at most 1; flat beyond the last.
    Quantiles(Vec<(f64, Duration)>),
}

/// One component of a [`Marginal::Mixture`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Its probability; a mixture's probabilities sum to 1.
    pub weight: f64,
    /// Its distribution; not itself a mixture.
    pub marginal: Marginal,
}

impl Profile {
    /// Builds a profile from its parts.
    ///
    /// # Panics
    ///
    /// Panics when `links` does not hold one link for every ordered pair of regions; parsers
    /// check that first and report it.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        source: Source,
        regions: Vec<Region>,
        links: Vec<Link>,
    ) -> Profile {
        assert_eq!(
            links.len(),
            regions.len() * regions.len(),
            "a link for every ordered pair"
        );
        Profile {
            name: name.into(),
            description: description.into(),
            source,
            regions,
            links,
        }
    }

    /// Returns the directed link.
    ///
    /// # Panics
    ///
    /// Panics when a region is not of this profile.
    pub fn link(&self, link: LinkId) -> &Link {
        &self.links[link.from.index() * self.regions.len() + link.to.index()]
    }

    /// Returns the region of that name.
    pub fn region(&self, name: &str) -> Option<RegionIndex> {
        self.regions
            .iter()
            .position(|region| region.name == name)
            .map(|index| RegionIndex(index as u16))
    }

    /// Returns all region indexes in order.
    pub fn region_indexes(&self) -> impl Iterator<Item = RegionIndex> + use<> {
        (0..self.regions.len() as u16).map(RegionIndex)
    }

    /// Returns the round trip at minimum delays: there and back.
    pub fn round_trip(&self, a: RegionIndex, b: RegionIndex) -> Duration {
        self.link(LinkId { from: a, to: b }).one_way + self.link(LinkId { from: b, to: a }).one_way
    }

    /// Returns the profile reduced to some of its regions, in the order given.
    pub fn subset(&self, regions: &[RegionIndex]) -> Profile {
        let links = regions
            .iter()
            .flat_map(|&from| {
                regions
                    .iter()
                    .map(move |&to| self.link(LinkId { from, to }).clone())
            })
            .collect();
        Profile {
            name: self.name.clone(),
            description: self.description.clone(),
            source: self.source.clone(),
            regions: regions
                .iter()
                .map(|region| self.regions[region.index()].clone())
                .collect(),
            links,
        }
    }

    /// Returns the round trips at minimum delays in milliseconds, a row for every region in
    /// order; the diagonal holds each region's LAN.
    pub fn matrix(&self) -> Vec<Vec<f64>> {
        self.region_indexes()
            .map(|from| {
                self.region_indexes()
                    .map(|to| self.round_trip(from, to).as_secs_f64() * 1e3)
                    .collect()
            })
            .collect()
    }

    /// Returns whether every link equals the link of the opposite direction.
    pub fn is_symmetric(&self) -> bool {
        self.region_indexes().all(|from| {
            self.region_indexes().all(|to| {
                self.link(LinkId { from, to }) == self.link(LinkId { from: to, to: from })
            })
        })
    }

    /// Returns the profile with base delays alone: no jitter, loss or rate stays.
    pub fn without_jitter(&self) -> Profile {
        let mut profile = self.clone();
        for link in &mut profile.links {
            *link = Link::fixed(link.one_way);
        }
        profile
    }
}

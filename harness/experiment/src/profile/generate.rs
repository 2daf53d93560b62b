//! Profiles of any size made of real cities, by a fit of measured round trips.
//!
//! Rules, in the order applied:
//!
//! 1. Cities are drawn without replacement, weighted by population (the exponential keys of
//!    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006). The fewer
//!    regions of one seed are the first of the more.
//! 2. A pair's round trip is the pooled line of [`super::fit`] at its great-circle distance, times
//!    the ratio of measured to fitted of one measured pair, drawn among the [`NEIGHBOURS`] nearest
//!    in distance, to the power of [`SPREAD`]. It is never less than light
//!    takes in fibre, nor than a LAN's round trip.
//! 3. Half of that, rounded to the microsecond, is the delay of both directions.
//! 4. The jitter is a gamma whose mean is a fixed share of the delay, as [`JitterFit`] finds it in
//!    aws-19.
//!
//! A pair's draw depends on the seed and the two cities alone, not on which others are drawn.
//!
//! Left out: that pairs of one city or along one cable deviate together (draws are independent),
//! asymmetry, loss and rates.

use thiserror::Error;

use super::cities::{City, cities};
use super::derive::DEFAULT_LAN_RTT;
use super::fit::{Fit, JITTER_SOURCE, JitterFit, Measured, ideal_ms, measured};
use super::parse::name_fault;
use super::{Jitter, Link, Profile, Source};
use crate::random::unit;
use crate::random::{Seed, Stream};

/// The measured pairs among which a pair's deviation is drawn.
pub const NEIGHBOURS: usize = 64;

/// The power of a measured pair's ratio that a generated pair gets: half the spread, in logarithms.
///
/// Measured deviations go with the place (a coast without cables is far from everywhere); draws
/// are independent, so that with the whole spread 10% of detours over a third region would be
/// shorter than the direct way, where the measured matrices have 2% to 6%. With half of it 4% are.
pub const SPREAD: f64 = 0.5;

/// What to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// How many regions: from 2 to the number of [`cities`].
    pub regions: usize,
    /// The seed of all draws.
    pub seed: Seed,
    /// The profile's name; `None`: `generated-<regions>-seed-<seed>`.
    pub name: Option<String>,
}

/// A generated profile, and the fits that it follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The profile.
    pub profile: Profile,
    /// What was measured: the fits of all pairs and of the jitter are those applied.
    pub measured: &'static Measured,
}

/// What cannot be generated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GenerateError {
    /// The number of regions is out of range.
    #[error("{asked} regions cannot be generated; ask for 2 to {most}, the number of cities known")]
    Regions {
        /// The number asked for.
        asked: usize,
        /// The number of cities.
        most: usize,
    },
    /// The name cannot be a profile's.
    #[error("the profile's name {reason}; choose another")]
    Name {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Profile {
    /// Generates a profile by the rules of [`super::generate`]. Its cost grows with the square of
    /// the number of regions.
    ///
    /// # Errors
    ///
    /// [`GenerateError`] when the number of regions or the name is not valid.
    pub fn generate(generation: &Generation) -> Result<Generated, GenerateError> {
        let most = cities().len();
        if !(2..=most).contains(&generation.regions) {
            let asked = generation.regions;
            return Err(GenerateError::Regions { asked, most });
        }
        if let Some(reason) = generation.name.as_deref().and_then(name_fault) {
            return Err(GenerateError::Name { reason });
        }
        let chosen = choose(generation.regions, generation.seed);
        let measured = measured();
        let delays = Delays::new(measured, generation.seed);
        let links = links(&chosen, &delays, &measured.jitter);
        let regions = chosen.iter().map(|&city| cities()[city].to_region());
        let name = generation.name.clone().unwrap_or_else(|| {
            format!(
                "generated-{}-seed-{}",
                generation.regions, generation.seed.0
            )
        });
        let profile = Profile::new(
            name,
            format!(
                "{} real cities with generated delays, seed {}.",
                generation.regions, generation.seed.0
            ),
            source(measured),
            regions.collect(),
            links,
        );
        Ok(Generated { profile, measured })
    }
}

/// Draws cities and returns their places in the list, in the order drawn.
fn choose(count: usize, seed: Seed) -> Vec<usize> {
    let mut keys: Vec<(f64, usize)> = cities()
        .iter()
        .enumerate()
        .map(|(index, city)| {
            let mut generator = seed.stream(Stream::Generation, index as u64);
            let exponential = -libm::log(1.0 - unit(&mut generator));
            (exponential / f64::from(city.population), index)
        })
        .collect();
    keys.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    keys.truncate(count);
    keys.into_iter().map(|(_, index)| index).collect()
}

fn links(chosen: &[usize], delays: &Delays, jitter: &JitterFit) -> Vec<Link> {
    let count = chosen.len();
    let mut links = vec![Link::fixed(DEFAULT_LAN_RTT / 2); count * count];
    for from in 0..count {
        for to in from + 1..count {
            let rtt_ms = delays.rtt_ms(chosen[from], chosen[to]);
            let one_way = super::derive::half_of_round_trip(rtt_ms);
            let mut link = Link::fixed(one_way);
            link.jitter = Jitter {
                marginal: jitter.marginal(one_way),
                correlation: Jitter::DEFAULT_CORRELATION,
            };
            links[to * count + from] = link.clone();
            links[from * count + to] = link;
        }
    }
    links
}

/// Round trips between cities: the fit, and measured pairs' ratios to it in order of distance.
struct Delays {
    fit: &'static Fit,
    ratios: Vec<(f64, f64)>,
    seed: Seed,
}

impl Delays {
    fn new(measured: &'static Measured, seed: Seed) -> Delays {
        let fit = &measured.pooled;
        let pairs = measured.pairs.iter();
        let mut ratios: Vec<(f64, f64)> = pairs
            .map(|pair| (pair.ideal_ms, pair.rtt_ms / fit.rtt_ms(pair.ideal_ms)))
            .collect();
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Delays { fit, ratios, seed }
    }

    fn rtt_ms(&self, a: usize, b: usize) -> f64 {
        let (low, high) = (a.min(b), a.max(b));
        let place = |index: usize| City::coordinates(&cities()[index]);
        let ideal_ms = ideal_ms(place(low).distance_km(place(high)));
        // The streams of single cities come before those of pairs.
        let stream = ((low as u64 + 1) << 32) | high as u64;
        let mut generator = self.seed.stream(Stream::Generation, stream);
        let ratio = libm::pow(self.ratio(ideal_ms, unit(&mut generator)), SPREAD);
        let least_ms = ideal_ms.max(DEFAULT_LAN_RTT.as_secs_f64() * 1e3);
        (self.fit.rtt_ms(ideal_ms) * ratio).max(least_ms)
    }

    /// Returns the ratio of one of the measured pairs about as far apart; `draw` is in 0..1.
    fn ratio(&self, ideal_ms: f64, draw: f64) -> f64 {
        let position = self.ratios.partition_point(|(ideal, _)| *ideal < ideal_ms);
        let window = NEIGHBOURS.min(self.ratios.len());
        let first = position
            .saturating_sub(window / 2)
            .min(self.ratios.len() - window);
        self.ratios[first + (draw * window as f64) as usize].1
    }
}

fn source(
    Measured {
        pooled: fit,
        jitter,
        ..
    }: &Measured,
) -> Source {
    Source {
        title: "Generated, not measured: cities of GeoNames (geonames.org, CC BY 4.0); delays \
                fitted on the bundled matrices aws-19, aws-32, gcp-20 and azure-48"
            .to_owned(),
        date: "2020-06 to 2026-03".to_owned(),
        method: format!(
            "Cities drawn by population. Round trip: {:.3} ms + {:.3} times that of light in fibre \
             (c / 1.468) on the great circle (Theil-Sen line through {} measured pairs, RMS of \
             residuals {:.1} ms), times the ratio of measured to fitted of one of the {} measured \
             pairs nearest in distance, drawn by the seed, to the power of {SPREAD}; never less than light in fibre. Half of \
             it each way. Jitter: a gamma of mean {:.4} of the delay and deviation {:.2} of the \
             mean, medians of {JITTER_SOURCE}. A region to itself: 0.2 ms, assumed. Left out: that the pairs \
             of one city deviate together, asymmetry, loss, rates.",
            fit.intercept_ms,
            fit.inflation,
            fit.pairs,
            fit.residuals.rms_ms,
            NEIGHBOURS,
            jitter.mean_share,
            jitter.variation
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(regions: usize, seed: u64) -> Result<Generated, GenerateError> {
        Profile::generate(&Generation {
            regions,
            seed: Seed(seed),
            name: None,
        })
    }

    #[test]
    fn a_generated_profile_reads_back_and_is_the_same_for_one_seed() {
        let profile = generated(20, 7).unwrap().profile;
        assert_eq!(profile.regions.len(), 20);
        assert_eq!(
            Profile::parse(&profile.to_toml(), "x").as_ref(),
            Ok(&profile)
        );
        assert_eq!(profile, generated(20, 7).unwrap().profile);
        assert_ne!(profile, generated(20, 8).unwrap().profile);
        assert!(profile.is_symmetric());
    }

    #[test]
    fn fewer_regions_of_one_seed_are_the_first_of_more_with_the_same_delays() {
        let (few, more) = (generated(5, 3).unwrap(), generated(12, 3).unwrap());
        assert_eq!(few.profile.regions, more.profile.regions[..5]);
        let kept: Vec<_> = few.profile.region_indexes().collect();
        let reduced = more.profile.subset(&kept);
        assert_eq!(few.profile.matrix(), reduced.matrix());
    }

    #[test]
    fn no_pair_is_faster_than_light_in_fibre() {
        let profile = generated(60, 1).unwrap().profile;
        for a in profile.region_indexes() {
            for b in profile.region_indexes().filter(|b| *b > a) {
                let place = |index: usize| profile.regions[index].coordinates.unwrap();
                let least = ideal_ms(place(a.index()).distance_km(place(b.index())));
                let rtt_ms = profile.round_trip(a, b).as_secs_f64() * 1e3;
                // Rounding to the microsecond takes up to half of one each way.
                assert!(rtt_ms >= least - 0.001, "{rtt_ms} {least}");
            }
        }
    }

    #[test]
    fn about_as_many_triangles_as_measured_are_shorter_by_a_detour() {
        // Measured: 1.6% (azure-48) to 5.9% (aws-32) of ordered triangles of three regions.
        let share = detour_share(&generated(60, 7).unwrap().profile);
        assert!((0.015..0.07).contains(&share), "{share}");
    }

    /// Returns the share of the pairs and third regions where the way over the third is shorter.
    fn detour_share(profile: &Profile) -> f64 {
        let (mut shorter, mut all) = (0, 0);
        for a in profile.region_indexes() {
            for b in profile.region_indexes().filter(|b| *b > a) {
                for via in profile
                    .region_indexes()
                    .filter(|via| *via != a && *via != b)
                {
                    let detour = profile.round_trip(a, via) + profile.round_trip(via, b);
                    shorter += usize::from(detour < profile.round_trip(a, b));
                    all += 1;
                }
            }
        }
        f64::from(shorter as u32) / f64::from(all as u32)
    }

    #[test]
    fn populous_cities_are_drawn_more_often() {
        // The first of 200 draws is one of the 50 most populous about as often as inhabitants live
        // there; five standard deviations of a count are granted.
        let inhabitants =
            |some: &[City]| -> f64 { some.iter().map(|city| f64::from(city.population)).sum() };
        let share = inhabitants(&cities()[..50]) / inhabitants(cities());
        let drawn = (0..200)
            .filter(|seed| choose(1, Seed(*seed))[0] < 50)
            .count() as f64;
        let deviation = libm::sqrt(200.0 * share * (1.0 - share));
        assert!(
            (drawn - 200.0 * share).abs() < 5.0 * deviation,
            "{drawn} of {share}"
        );
        // By number alone it would be 50 of 506.
        assert!(drawn > 40.0, "{drawn}");
    }

    #[test]
    fn numbers_of_regions_and_names_out_of_range_are_refused() {
        for asked in [0, 1, cities().len() + 1] {
            let most = cities().len();
            assert_eq!(
                generated(asked, 1),
                Err(GenerateError::Regions { asked, most })
            );
        }
        let unnamed = Generation {
            regions: 3,
            seed: Seed(1),
            name: Some(String::new()),
        };
        assert!(matches!(
            Profile::generate(&unnamed),
            Err(GenerateError::Name { .. })
        ));
    }
}

//! The profiles that come with longhaul, embedded in the binary.

use super::Profile;

/// The files in `profiles/`, by the profile's name.
const FILES: [(&str, &str); 9] = [
    ("aws-5", include_str!("../../../../profiles/aws-5.toml")),
    (
        "aws-5-heavy-tail",
        include_str!("../../../../profiles/aws-5-heavy-tail.toml"),
    ),
    ("aws-19", include_str!("../../../../profiles/aws-19.toml")),
    ("aws-32", include_str!("../../../../profiles/aws-32.toml")),
    (
        "azure-48",
        include_str!("../../../../profiles/azure-48.toml"),
    ),
    ("gcp-5", include_str!("../../../../profiles/gcp-5.toml")),
    ("gcp-20", include_str!("../../../../profiles/gcp-20.toml")),
    ("lan-3", include_str!("../../../../profiles/lan-3.toml")),
    (
        "loopback-3",
        include_str!("../../../../profiles/loopback-3.toml"),
    ),
];

/// Returns the names of the bundled profiles.
pub fn bundled_names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Returns the file of a bundled profile, comments included: a start for one's own.
pub fn bundled_text(name: &str) -> Option<&'static str> {
    FILES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Returns the bundled profile of that name. It is parsed anew at each call, which takes up to
/// 20 ms (48 regions).
pub fn bundled(name: &str) -> Option<Profile> {
    let profile = Profile::parse(bundled_text(name)?, name);
    // A test reads every one of them.
    Some(profile.expect("bundled profiles are valid"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::LinkId;
    use crate::profile::{Jitter, Link, Marginal};

    fn link(profile: &str, from: &str, to: &str) -> Link {
        let profile = bundled(profile).unwrap();
        let from = profile.region(from).unwrap();
        let to = profile.region(to).unwrap();
        profile.link(LinkId { from, to }).clone()
    }

    fn one_way_us(profile: &str, from: &str, to: &str) -> u128 {
        link(profile, from, to).one_way.as_micros()
    }

    #[test]
    fn every_bundled_profile_is_complete_named_symmetric_and_sourced() {
        for name in bundled_names() {
            let profile = bundled(name).unwrap();
            assert_eq!(profile.name, name);
            assert!(profile.is_symmetric(), "{name}");
            assert!(!profile.description.is_empty(), "{name}");
            assert!(!profile.source.title.is_empty(), "{name}");
            assert!(!profile.source.method.is_empty(), "{name}");
            let number = name.rsplit('-').find_map(|part| part.parse().ok());
            let number = if name == "aws-5-heavy-tail" {
                Some(5)
            } else {
                number
            };
            assert_eq!(Some(profile.regions.len()), number, "{name}");
            assert_eq!(
                Profile::parse(&profile.to_toml(), name).as_ref(),
                Ok(&profile),
                "what is written reads back"
            );
        }
        assert_eq!(bundled("moon-3"), None);
    }

    #[test]
    fn no_bundled_round_trip_is_faster_than_light_on_a_straight_line_through_fibre() {
        // Light in glass covers 299.79 / 1.468 = 204.2 km in a millisecond. Coordinates are of a
        // city within 0.05 degrees, and sites lie up to about 100 km from it: 200 km are
        // granted at both ends together.
        for name in bundled_names() {
            let profile = bundled(name).unwrap();
            let matrix = profile.matrix();
            for a in profile.region_indexes() {
                for b in profile.region_indexes() {
                    let places = profile.regions[a.index()]
                        .coordinates
                        .zip(profile.regions[b.index()].coordinates);
                    let Some((place_a, place_b)) = places else {
                        continue;
                    };
                    let distance_km = (place_a.distance_km(place_b) - 200.0).max(0.0);
                    let least_ms = 2.0 * distance_km / 204.2;
                    let rtt_ms = matrix[a.index()][b.index()];
                    assert!(
                        rtt_ms >= least_ms,
                        "{name} {} {}: {rtt_ms} ms for {least_ms}",
                        profile.regions[a.index()].name,
                        profile.regions[b.index()].name
                    );
                }
            }
        }
    }

    #[test]
    fn aws_figures_of_2020_are_half_the_lower_minimum() {
        // us-east-1,us-west-2,69.164,72.501,77.173,2.425
        // us-west-2,us-east-1,69.164,72.504,77.826,2.440
        for profile in ["aws-5", "aws-19"] {
            assert_eq!(one_way_us(profile, "us-east-1", "us-west-2"), 34_582);
        }
        // us-east-1,sa-east-1,110.448,113.022,114.958,1.915
        // sa-east-1,us-east-1,110.450,113.027,115.979,1.928
        let east_south = link("aws-5", "sa-east-1", "us-east-1");
        assert_eq!(east_south.one_way, Duration::from_micros(55_224));
        // Mean (113.022 - 110.448) / 2 = 1.287 ms; deviation 1.915 / sqrt 2 = 1.354 ms. (The
        // bound sqrt(1.936 x 2.574) = 2.23 ms is above it.)
        let gamma = Marginal::Gamma {
            mean: Duration::from_micros(1_287),
            deviation: Duration::from_micros(1_354),
        };
        assert_eq!(east_south.jitter.marginal, gamma);
        // us-east-1,us-east-1,0.239,0.264,0.733,0.025: half of 0.239 is 0.1195.
        assert_eq!(one_way_us("aws-5", "us-east-1", "us-east-1"), 120);
    }

    #[test]
    fn aws_figures_of_2025_lose_the_floor_of_their_measuring() {
        // eu-central-1,eu-west-3,12.172 and eu-west-3,eu-central-1,12.703; to themselves 3.972
        // and 3.048. 12.172 - (3.972 + 3.048) / 2 + 0.2 = 8.862 ms, half of it 4.431.
        assert_eq!(one_way_us("aws-32", "eu-west-3", "eu-central-1"), 4_431);
        // us-east-1,us-west-2,64.269 and us-west-2,us-east-1,63.97194; 5.349 and 3.042.
        // 63.97194 - 4.1955 + 0.2 = 59.97644 ms, half of it 29.98822.
        assert_eq!(one_way_us("aws-32", "us-east-1", "us-west-2"), 29_988);
        assert_eq!(one_way_us("aws-32", "us-east-1", "us-east-1"), 100);
        assert_eq!(
            link("aws-32", "us-east-1", "us-west-2").jitter,
            Jitter::NONE
        );
    }

    #[test]
    fn gcp_figures_of_2020_are_half_the_lower_minimum() {
        // asia-east1,asia-east2,12.766,18.908,66.849,0.873
        // asia-east2,asia-east1,12.772,18.911,59.307,0.757
        assert_eq!(one_way_us("gcp-20", "asia-east2", "asia-east1"), 6_383);
        // us-central1,europe-west2,92.759,93.695,103.691,0.412
        // europe-west2,us-central1,92.738,93.690,96.976,0.427
        let ocean = link("gcp-5", "us-central1", "europe-west2");
        assert_eq!(ocean.one_way, Duration::from_micros(46_369));
        // Mean (93.690 - 92.738) / 2 = 0.476 ms; deviation 0.412 / sqrt 2 = 0.291 ms.
        let gamma = Marginal::Gamma {
            mean: Duration::from_micros(476),
            deviation: Duration::from_micros(291),
        };
        assert_eq!(ocean.jitter.marginal, gamma);
        // asia-east1,asia-east1,0.134,0.338,4.643,0.152
        assert_eq!(one_way_us("gcp-20", "asia-east1", "asia-east1"), 67);
    }

    #[test]
    fn azure_figures_are_half_the_lower_median() {
        // East US,West Europe,83 and West Europe,East US,85
        assert_eq!(one_way_us("azure-48", "West Europe", "East US"), 41_500);
        // Australia Central,Australia East,8, and back 8
        assert_eq!(
            one_way_us("azure-48", "Australia Central", "Australia East"),
            4_000
        );
        assert_eq!(one_way_us("azure-48", "East US", "East US"), 100);
    }

    #[test]
    fn zones_are_half_the_lower_median() {
        // us-east-1b,us-east-1d,1.65 and us-east-1d,us-east-1b,1.6
        assert_eq!(one_way_us("lan-3", "us-east-1b", "us-east-1d"), 800);
        assert_eq!(one_way_us("lan-3", "us-east-1c", "us-east-1c"), 100);
    }

    #[test]
    fn heavy_tails_share_the_base_of_aws_5() {
        let heavy = bundled("aws-5-heavy-tail").unwrap().without_jitter();
        let base = bundled("aws-5").unwrap().without_jitter();
        assert_eq!(heavy.matrix(), base.matrix());
        let link = link("aws-5-heavy-tail", "us-east-1", "eu-west-1");
        let Marginal::Quantiles(table) = link.jitter.marginal else {
            panic!("the tail is a table");
        };
        // Half of the round trips add nothing, so each direction does with sqrt(0.5).
        assert_eq!(table[1], (0.5f64.sqrt(), Duration::ZERO));
        // The rarest delays come from one direction alone, so they are nearly the round trip's.
        assert!(table[7].1 > Duration::from_millis(200));
    }

    #[test]
    fn loopback_adds_nothing() {
        let profile = bundled("loopback-3").unwrap();
        assert!(
            profile
                .matrix()
                .concat()
                .iter()
                .all(|rtt_ms| *rtt_ms == 0.0)
        );
    }
}

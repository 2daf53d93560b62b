//! Whatever the text, parsers return; whatever the profile, its file reads back.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::derive::Derivation;
use super::import::{ImportOptions, import};
use super::parse::MAX_NAME_CHARACTERS;
use super::*;

fn delay() -> impl Strategy<Value = Duration> {
    (1u64..=5_000_000_000).prop_map(Duration::from_nanos)
}

fn simple_marginal() -> impl Strategy<Value = Marginal> {
    let gamma = (delay(), 0.01f64..1.9).prop_map(|(mean, variation)| Marginal::Gamma {
        mean,
        deviation: mean.mul_f64(variation).max(Duration::from_nanos(1)),
    });
    let quantiles = vec((1e-6f64..1.0, delay()), 0..12).prop_map(|points| {
        let (mut probabilities, mut delays): (Vec<f64>, Vec<Duration>) = points.into_iter().unzip();
        probabilities.push(0.0);
        delays.push(Duration::ZERO);
        probabilities.sort_by(f64::total_cmp);
        probabilities.dedup();
        delays.sort();
        Marginal::Quantiles(probabilities.into_iter().zip(delays).collect())
    });
    prop_oneof![
        Just(Marginal::None),
        (delay(), delay()).prop_map(|(a, b)| Marginal::Uniform {
            low: a.min(b),
            high: a.max(b),
        }),
        (delay(), delay()).prop_map(|(mean, deviation)| Marginal::Normal { mean, deviation }),
        (delay(), delay()).prop_map(|(mean, deviation)| Marginal::ParetoNormal { mean, deviation }),
        (delay(), 1.01f64..900.0).prop_map(|(scale, shape)| Marginal::Pareto { scale, shape }),
        delay().prop_map(|mean| Marginal::Exponential { mean }),
        gamma,
        quantiles,
    ]
}

fn marginal() -> impl Strategy<Value = Marginal> {
    let mixture = vec(simple_marginal(), 1..5).prop_map(|marginals| {
        let weight = 1.0 / marginals.len() as f64;
        let components = marginals.into_iter();
        Marginal::Mixture(
            components
                .map(|marginal| Component { weight, marginal })
                .collect(),
        )
    });
    prop_oneof![4 => simple_marginal(), 1 => mixture]
}

fn link() -> impl Strategy<Value = Link> {
    let correlation = (1_000u64..=1_000_000_000_000).prop_map(Duration::from_nanos);
    let rate = proptest::option::of(1_000u64..1_000_000_000_000);
    (delay(), marginal(), correlation, 0.0f64..0.99, rate).prop_map(
        |(one_way, marginal, correlation, loss, rate_bps)| Link {
            one_way,
            jitter: Jitter {
                marginal,
                correlation,
            },
            loss,
            rate_bps,
        },
    )
}

/// Any text without control characters, made fit for a name.
fn name(index: usize) -> impl Strategy<Value = String> {
    "\\PC{0,70}".prop_map(move |text| {
        let name: String = format!("r{index}{text}")
            .chars()
            .filter(|character| !character.is_control())
            .take(MAX_NAME_CHARACTERS)
            .collect();
        name.trim().to_owned()
    })
}

fn region(index: usize) -> impl Strategy<Value = Region> {
    let coordinates = proptest::option::of((-90.0f64..=90.0, -180.0f64..=180.0));
    (name(index), any::<String>(), coordinates).prop_map(|(name, place, coordinates)| Region {
        name,
        place,
        coordinates: coordinates.map(|(latitude, longitude)| Coordinates {
            latitude,
            longitude,
        }),
    })
}

fn profile() -> impl Strategy<Value = Profile> {
    let regions = (1usize..5).prop_flat_map(|count| {
        let regions: Vec<_> = (0..count).map(region).collect();
        (regions, vec(link(), count * count), any::<bool>())
    });
    let long_text = "([ a\\PC]{0,300}|.{0,200})";
    (regions, name(0), any::<String>(), long_text).prop_map(
        |((regions, mut links, symmetric), name, description, method)| {
            let count = regions.len();
            if symmetric {
                for index in 0..links.len() {
                    let (from, to) = (index / count, index % count);
                    links[index] = links[from.min(to) * count + from.max(to)].clone();
                }
            }
            let source = Source {
                title: "a title".to_owned(),
                date: "2026-11".to_owned(),
                method,
            };
            Profile::new(name, description, source, regions, links)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_written_profile_reads_back_equal(profile in profile()) {
        let text = profile.to_toml();
        let read = Profile::parse(&text, "written");
        prop_assert_eq!(read.as_ref(), Ok(&profile), "{}", text);
    }

    #[test]
    fn random_bytes_are_refused_and_nothing_panics(bytes in vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(Profile::parse(&text, "random").is_err());
    }

    #[test]
    fn a_mutated_profile_is_read_or_refused_in_one_line_and_nothing_panics(
        profile in profile(),
        mutations in vec((any::<prop::sample::Index>(), 0usize..4, any::<u8>()), 1..6),
    ) {
        let mut bytes = profile.to_toml().into_bytes();
        for (place, kind, byte) in mutations {
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes[at] = b"-0.9[]{}\"=\\\n"[usize::from(byte) % 12],
                _ => {
                    let end = (at + usize::from(byte)).min(bytes.len() - 1);
                    bytes.drain(at.min(end)..end);
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = Profile::parse(&text, "mutated") {
            let message = error.to_string();
            prop_assert!(message.starts_with("mutated:"), "{}", message);
            prop_assert!(!message.contains('\n'), "{}", message);
        }
    }

    #[test]
    fn any_table_is_imported_or_refused_and_what_is_imported_reads_back(
        rows in vec((0u8..4, 0u8..4, "[0-9]{1,3}(\\.[0-9]{1,3})?|NaN|-1||1e300", 0.0f64..900.0), 0..24),
        complete_only in any::<bool>(),
        subtract_floor in any::<bool>(),
        jitter in any::<bool>(),
    ) {
        let mut text = "from,to,rtt_ms_min,rtt,rtt_ms_mdev\n".to_owned();
        for (from, to, minimum, deviation) in rows {
            text.push_str(&format!("r{from},r{to},{minimum},1000,{deviation}\n"));
        }
        let source = Source {
            title: String::new(),
            date: String::new(),
            method: String::new(),
        };
        let mut derivation = Derivation::new("imported", source);
        derivation.complete_only = complete_only;
        derivation.subtract_floor = subtract_floor;
        derivation.jitter = jitter;
        if let Ok(derived) = import(&text, "table", &ImportOptions::new("rtt", derivation)) {
            let written = derived.profile.to_toml();
            let read = Profile::parse(&written, "written");
            prop_assert_eq!(read.as_ref(), Ok(&derived.profile), "{}", written);
        }
    }
}

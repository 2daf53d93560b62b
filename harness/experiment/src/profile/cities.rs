//! The cities that generated profiles are made of.
//!
//! The file `data/cities.csv` states its source (GeoNames, CC BY 4.0) and how it was reduced.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Coordinates, Region};

/// The embedded list, most populous city first.
const FILE: &str = include_str!("../../data/cities.csv");

/// A city of the list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct City {
    /// The name as a region: lower-case ASCII words and the country's ISO code, e.g. `lima-pe`.
    pub region: String,
    /// Its name.
    pub city: String,
    /// The country's name.
    pub country: String,
    /// The continent's code: `AF`, `AS`, `EU`, `NA`, `OC` or `SA`.
    pub continent: String,
    /// Degrees north of the equator, to 0.01.
    pub latitude: f64,
    /// Degrees east of Greenwich, to 0.01.
    pub longitude: f64,
    /// The inhabitants, as GeoNames states them.
    pub population: u32,
}

impl City {
    /// Returns where it is.
    pub fn coordinates(&self) -> Coordinates {
        Coordinates {
            latitude: self.latitude,
            longitude: self.longitude,
        }
    }

    /// Returns it as a profile's region.
    pub fn to_region(&self) -> Region {
        Region {
            name: self.region.clone(),
            place: format!("{}, {}", self.city, self.country),
            coordinates: Some(self.coordinates()),
        }
    }
}

/// Returns all cities, most populous first.
pub fn cities() -> &'static [City] {
    static CITIES: LazyLock<Vec<City>> = LazyLock::new(|| {
        csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .from_reader(FILE.as_bytes())
            .deserialize()
            // A test reads every row.
            .map(|row| row.expect("the embedded list of cities is valid"))
            .collect()
    });
    &CITIES
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::profile::parse::{MAX_REGIONS, name_fault};

    #[test]
    fn every_city_is_plausible_and_on_the_list_once() {
        let names: BTreeSet<&str> = cities().iter().map(|city| city.region.as_str()).collect();
        assert_eq!(names.len(), cities().len());
        assert!((400..=MAX_REGIONS).contains(&cities().len()));
        for city in cities() {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(city.region.chars().all(allowed), "{}", city.region);
            assert_eq!(name_fault(&city.region), None);
            assert!((-60.0..70.0).contains(&city.latitude), "{}", city.region);
            assert!((-180.0..180.0).contains(&city.longitude), "{}", city.region);
            assert!(
                (250_000..40_000_000).contains(&city.population),
                "{}",
                city.region
            );
        }
        assert!(cities().is_sorted_by(|a, b| a.population >= b.population));
    }

    #[test]
    fn all_inhabited_continents_have_cities() {
        let continents: BTreeSet<&str> = cities()
            .iter()
            .map(|city| city.continent.as_str())
            .collect();
        assert_eq!(
            continents.into_iter().collect::<Vec<_>>(),
            ["AF", "AS", "EU", "NA", "OC", "SA"]
        );
    }

    #[test]
    fn no_two_cities_are_within_sixty_kilometres() {
        // Coordinates rounded to 0.01 degrees move each end by under a kilometre.
        for (index, a) in cities().iter().enumerate() {
            for b in &cities()[index + 1..] {
                let km = a.coordinates().distance_km(b.coordinates());
                assert!(km > 58.0, "{} {}: {km} km", a.region, b.region);
            }
        }
    }

    #[test]
    fn cities_lie_where_the_list_of_cloud_regions_has_them() {
        for (city, region) in [
            ("tokyo-jp", "ap-northeast-1"),
            ("sao-paulo-br", "sa-east-1"),
            ("cape-town-za", "af-south-1"),
            ("london-gb", "eu-west-2"),
            ("sydney-au", "ap-southeast-2"),
        ] {
            let city = cities().iter().find(|known| known.region == city).unwrap();
            let cloud = crate::profile::places::region(region).coordinates.unwrap();
            assert!(city.coordinates().distance_km(cloud) < 20.0, "{region}");
        }
    }
}

//! Where the regions of the large providers are.
//!
//! Places as the providers' region lists name them (November 2026); coordinates are those of the
//! city or area named, to a tenth of a degree, because the sites themselves are not published.

use super::{Coordinates, Region};

/// Returns a region of that name, with its place and coordinates where they are known.
pub fn region(name: &str) -> Region {
    let known = PLACES.iter().find(|(known, ..)| *known == name);
    Region {
        name: name.to_owned(),
        place: known.map_or_else(String::new, |(_, place, ..)| (*place).to_owned()),
        coordinates: known.map(|&(_, _, latitude, longitude)| Coordinates {
            latitude,
            longitude,
        }),
    }
}

/// Name, place, degrees north, degrees east.
#[rustfmt::skip]
const PLACES: &[(&str, &str, f64, f64)] = &[
    // AWS
    ("af-south-1", "Cape Town", -33.9, 18.4),
    ("ap-east-1", "Hong Kong", 22.3, 114.2),
    ("ap-northeast-1", "Tokyo", 35.7, 139.7),
    ("ap-northeast-2", "Seoul", 37.6, 127.0),
    ("ap-northeast-3", "Osaka", 34.7, 135.5),
    ("ap-south-1", "Mumbai", 19.1, 72.9),
    ("ap-south-2", "Hyderabad", 17.4, 78.5),
    ("ap-southeast-1", "Singapore", 1.3, 103.8),
    ("ap-southeast-2", "Sydney", -33.9, 151.2),
    ("ap-southeast-3", "Jakarta", -6.2, 106.8),
    ("ap-southeast-4", "Melbourne", -37.8, 145.0),
    ("ap-southeast-5", "Malaysia", 3.1, 101.7),
    ("ap-southeast-7", "Thailand", 13.8, 100.5),
    ("ca-central-1", "Canada (Central)", 45.5, -73.6),
    ("ca-west-1", "Calgary", 51.0, -114.1),
    ("eu-central-1", "Frankfurt", 50.1, 8.7),
    ("eu-central-2", "Zurich", 47.4, 8.5),
    ("eu-north-1", "Stockholm", 59.3, 18.1),
    ("eu-south-1", "Milan", 45.5, 9.2),
    ("eu-south-2", "Spain", 41.6, -0.9),
    ("eu-west-1", "Ireland", 53.3, -6.3),
    ("eu-west-2", "London", 51.5, -0.1),
    ("eu-west-3", "Paris", 48.9, 2.4),
    ("il-central-1", "Tel Aviv", 32.1, 34.8),
    ("me-central-1", "UAE", 25.2, 55.3),
    ("me-south-1", "Bahrain", 26.2, 50.6),
    ("mx-central-1", "Mexico (Central)", 20.6, -100.4),
    ("sa-east-1", "São Paulo", -23.5, -46.6),
    ("us-east-1", "N. Virginia", 39.0, -77.5),
    ("us-east-2", "Ohio", 40.0, -83.0),
    ("us-west-1", "N. California", 37.4, -121.9),
    ("us-west-2", "Oregon", 45.8, -119.7),
    // GCP
    ("asia-east1", "Taiwan", 24.1, 120.5),
    ("asia-east2", "Hong Kong", 22.3, 114.2),
    ("asia-northeast1", "Tokyo", 35.7, 139.7),
    ("asia-northeast2", "Osaka", 34.7, 135.5),
    ("asia-south1", "Mumbai", 19.1, 72.9),
    ("asia-southeast1", "Singapore", 1.3, 103.8),
    ("australia-southeast1", "Sydney", -33.9, 151.2),
    ("europe-north1", "Finland", 60.6, 27.2),
    ("europe-west1", "Belgium", 50.5, 3.8),
    ("europe-west2", "London", 51.5, -0.1),
    ("europe-west3", "Frankfurt", 50.1, 8.7),
    ("europe-west4", "Netherlands", 53.4, 6.8),
    ("europe-west6", "Zurich", 47.4, 8.5),
    ("northamerica-northeast1", "Montréal", 45.5, -73.6),
    ("southamerica-east1", "São Paulo", -23.5, -46.6),
    ("us-central1", "Iowa", 41.3, -95.9),
    ("us-east1", "South Carolina", 33.2, -80.0),
    ("us-east4", "N. Virginia", 39.0, -77.5),
    ("us-west1", "Oregon", 45.6, -121.2),
    ("us-west2", "Los Angeles", 34.1, -118.2),
    // Azure
    ("Australia Central", "Canberra", -35.3, 149.1),
    ("Australia Central 2", "Canberra", -35.3, 149.1),
    ("Australia East", "New South Wales", -33.9, 151.2),
    ("Australia Southeast", "Victoria", -37.8, 145.0),
    ("Brazil South", "São Paulo State", -23.5, -46.6),
    ("Canada Central", "Toronto", 43.7, -79.4),
    ("Canada East", "Quebec", 46.8, -71.2),
    ("Central India", "Pune", 18.5, 73.9),
    ("Central US", "Iowa", 41.6, -93.6),
    ("East Asia", "Hong Kong", 22.3, 114.2),
    ("East US", "Virginia", 37.4, -79.0),
    ("East US 2", "Virginia", 36.7, -78.4),
    ("France Central", "Paris", 48.9, 2.4),
    ("France South", "Marseille", 43.3, 5.4),
    ("Germany North", "Berlin", 52.5, 13.4),
    ("Germany West Central", "Frankfurt", 50.1, 8.7),
    ("Indonesia Central", "Jakarta", -6.2, 106.8),
    ("Israel Central", "Israel", 32.1, 34.8),
    ("Italy North", "Milan", 45.5, 9.2),
    ("Japan East", "Tokyo, Saitama", 35.7, 139.7),
    ("Japan West", "Osaka", 34.7, 135.5),
    ("Jio India West", "Jamnagar", 22.5, 70.1),
    ("Korea Central", "Seoul", 37.6, 127.0),
    ("Korea South", "Busan", 35.2, 129.1),
    ("Malaysia West", "Kuala Lumpur", 3.1, 101.7),
    ("Mexico Central", "Querétaro State", 20.6, -100.4),
    ("New Zealand North", "Auckland", -36.8, 174.8),
    ("North Central US", "Illinois", 41.9, -87.6),
    ("North Europe", "Ireland", 53.3, -6.3),
    ("Norway East", "Norway", 59.9, 10.8),
    ("Norway West", "Norway", 59.0, 5.7),
    ("Poland Central", "Warsaw", 52.2, 21.0),
    ("Qatar Central", "Doha", 25.3, 51.5),
    ("South Africa North", "Johannesburg", -26.2, 28.0),
    ("South Africa West", "Cape Town", -33.9, 18.4),
    ("South Central US", "Texas", 29.4, -98.5),
    ("South India", "Chennai", 13.1, 80.3),
    ("Southeast Asia", "Singapore", 1.3, 103.8),
    ("Sweden Central", "Gävle", 60.7, 17.1),
    ("Switzerland North", "Zurich", 47.4, 8.5),
    ("Switzerland West", "Geneva", 46.2, 6.1),
    ("UAE Central", "Abu Dhabi", 24.5, 54.4),
    ("UAE North", "Dubai", 25.2, 55.3),
    ("UK South", "London", 51.5, -0.1),
    ("UK West", "Cardiff", 51.5, -3.2),
    ("West Central US", "Wyoming", 41.1, -104.8),
    ("West Europe", "Netherlands", 52.4, 4.9),
    ("West India", "Mumbai", 19.1, 72.9),
    ("West US", "California", 37.8, -122.4),
    ("West US 2", "Washington", 47.2, -119.9),
    ("West US 3", "Phoenix", 33.4, -112.1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_region_is_listed_twice() {
        for (index, (name, ..)) in PLACES.iter().enumerate() {
            assert!(PLACES[index + 1..].iter().all(|(other, ..)| other != name));
        }
    }

    #[test]
    fn an_unknown_region_keeps_its_name_alone() {
        assert_eq!(region("moon-1").place, "");
        assert_eq!(region("moon-1").coordinates, None);
    }

    #[test]
    fn dublin_and_tokyo_are_nine_and_a_half_thousand_kilometres_apart() {
        let distance = region("eu-west-1")
            .coordinates
            .zip(region("ap-northeast-1").coordinates)
            .map(|(dublin, tokyo)| dublin.distance_km(tokyo));
        assert!(distance.is_some_and(|km| (9_500.0..9_700.0).contains(&km)));
    }
}

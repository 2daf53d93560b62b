//! The land, from a file of public-domain coastlines.

const COASTLINE: &str = include_str!("../../../data/coastline.csv");

/// What a ring surrounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// A continent or an island.
    Land,
    /// A lake large enough to be seen.
    Water,
}

/// Returns all rings as degrees east (-168.5 to 191.5) and north, lakes after the land around
/// them.
pub fn rings() -> Vec<(Surface, Vec<(f64, f64)>)> {
    let rows = COASTLINE.lines().filter(|line| !line.starts_with('#'));
    let mut rings: Vec<_> = rows.filter_map(ring).collect();
    rings.sort_by_key(|(surface, _)| *surface == Surface::Water);
    rings
}

fn ring(row: &str) -> Option<(Surface, Vec<(f64, f64)>)> {
    let (surface, points) = row.split_once(',')?;
    let surface = match surface {
        "land" => Surface::Land,
        "water" => Surface::Water,
        _ => return None,
    };
    let numbers: Vec<f64> = points
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    let points = numbers.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    Some((surface, points.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_continents_and_the_caspian_sea_and_nothing_out_of_range() {
        let rings = rings();
        assert!(rings.len() > 100);
        let water = rings.iter().filter(|ring| ring.0 == Surface::Water);
        assert_eq!(water.count(), 1);
        for (_, ring) in &rings {
            assert!(ring.len() > 2);
            for (east, north) in ring {
                assert!((-168.5..=191.5).contains(east), "{east}");
                assert!((-60.0..=84.0).contains(north), "{north}");
            }
        }
    }
}

//! The part of the world that a map shows: an equidistant cylindrical projection, true to scale
//! at the middle latitude.

use longhaul_experiment::profile::Coordinates;

use crate::scene::{Point, Rectangle};

/// The map's edge in the Bering Strait, where it cuts no land.
const WEST: f64 = -168.5;
const EAST: f64 = WEST + 360.0;
const SOUTH: f64 = -57.0;
const NORTH: f64 = 80.0;
/// The least span of longitudes shown, so that a country has neighbours to be recognised by.
const SPAN_MIN: f64 = 36.0;
/// From this span on the whole world is shown.
const SPAN_MAX: f64 = 190.0;
/// The height of the map over its width.
const SHAPE: (f64, f64) = (0.36, 0.56);

/// A cut-out of the world and where it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Where it is drawn.
    pub frame: Rectangle,
    west: f64,
    north: f64,
    /// Pixels per degree of longitude and of latitude.
    scale: (f64, f64),
}

impl View {
    /// Returns a view of that width that holds all places with some room around them.
    pub fn around(places: &[Coordinates], (left, top): Point, width: f64) -> View {
        let east = places.iter().map(|place| normal(place.longitude));
        let north = places.iter().map(|place| place.latitude);
        let (west, east) = padded(limits(east), 0.22, SPAN_MIN);
        let (west, east) = if east - west > SPAN_MAX {
            (WEST, EAST)
        } else {
            shifted((west, east), (WEST, EAST))
        };
        let (south, north) = limits(north);
        let middle = (south + north) / 2.0;
        let ratio = 1.0 / middle.to_radians().cos().max(0.35);
        let across = width / (east - west);
        // As high as the places ask for, within what looks like a map.
        let (south, north) = padded((south, north), 0.3, 0.0);
        let height = (north - south) * across * ratio;
        let height = height.clamp(SHAPE.0 * width, SHAPE.1 * width);
        let half = height / (across * ratio) / 2.0;
        let middle = (south + north) / 2.0;
        let (south, north) = shifted((middle - half, middle + half), (SOUTH, NORTH));
        // Places beyond the usual latitudes widen the view rather than fall out of it.
        let north = places
            .iter()
            .map(|place| place.latitude + 2.0)
            .fold(north, f64::max);
        let south = places
            .iter()
            .map(|place| place.latitude - 2.0)
            .fold(south, f64::min);
        View {
            frame: Rectangle {
                left,
                top,
                width,
                height: (north - south) * across * ratio,
            },
            west,
            north,
            scale: (across, across * ratio),
        }
    }

    fn at(&self, (east, north): (f64, f64)) -> Point {
        (
            self.frame.left + (east - self.west) * self.scale.0,
            self.frame.top + (self.north - north) * self.scale.1,
        )
    }

    /// Returns where a place is drawn.
    pub fn place(&self, place: Coordinates) -> Point {
        self.at((normal(place.longitude), place.latitude))
    }

    /// Returns a ring of degrees east and north as an area, cut at the frame.
    pub fn area(&self, ring: &[(f64, f64)]) -> Vec<Point> {
        let frame = self.frame;
        let mut points: Vec<Point> = ring.iter().map(|point| self.at(*point)).collect();
        // Sutherland and Hodgman: cut by each edge in turn.
        let edges: [fn(&Point, &Rectangle) -> f64; 4] = [
            |point, frame| point.0 - frame.left,
            |point, frame| frame.right() - point.0,
            |point, frame| point.1 - frame.top,
            |point, frame| frame.bottom() - point.1,
        ];
        for inside in edges {
            let mut kept = Vec::new();
            for (index, to) in points.iter().enumerate() {
                let from = points[(index + points.len() - 1) % points.len()];
                let (a, b) = (inside(&from, &frame), inside(to, &frame));
                if (a >= 0.0) != (b >= 0.0) {
                    let share = a / (a - b);
                    let cut = |from: f64, to: f64| from + (to - from) * share;
                    kept.push((cut(from.0, to.0), cut(from.1, to.1)));
                }
                if b >= 0.0 {
                    kept.push(*to);
                }
            }
            points = kept;
        }
        let (right, bottom) = (frame.right(), frame.bottom());
        for point in &mut points {
            *point = (
                point.0.clamp(frame.left, right),
                point.1.clamp(frame.top, bottom),
            );
        }
        points
    }

    /// Returns the line between two places the shorter way round: in two pieces where that leaves
    /// the map on one side and comes back on the other.
    pub fn line(&self, a: Coordinates, b: Coordinates) -> Vec<Vec<Point>> {
        let from = (normal(a.longitude), a.latitude);
        let to = (normal(b.longitude), b.latitude);
        if (from.0 - to.0).abs() <= 180.0 {
            return vec![vec![self.at(from), self.at(to)]];
        }
        let (first, second) = if from.0 < to.0 {
            (from, to)
        } else {
            (to, from)
        };
        // The western one reaches the left edge, the eastern one the right edge, at one latitude.
        let way = first.0 + 360.0 - second.0;
        let share = (first.0 - WEST) / way;
        let north = first.1 + (second.1 - first.1) * share;
        vec![
            vec![self.at(first), self.at((WEST, north))],
            vec![self.at((EAST, north)), self.at(second)],
        ]
    }
}

/// Returns a longitude between the map's edges.
fn normal(longitude: f64) -> f64 {
    if longitude < WEST {
        longitude + 360.0
    } else {
        longitude
    }
}

fn limits(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// Widens a range by a share of it on either side, and to a least span.
fn padded((low, high): (f64, f64), share: f64, least: f64) -> (f64, f64) {
    let span = ((high - low) * (1.0 + 2.0 * share)).max(least);
    let middle = (low + high) / 2.0;
    (middle - span / 2.0, middle + span / 2.0)
}

/// Moves a range between limits, and cuts it where it is longer than they are apart.
fn shifted((low, high): (f64, f64), (least, most): (f64, f64)) -> (f64, f64) {
    let span = (high - low).min(most - least);
    let low = low.clamp(least, most - span);
    (low, low + span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(latitude: f64, longitude: f64) -> Coordinates {
        Coordinates {
            latitude,
            longitude,
        }
    }

    const TOKYO: Coordinates = place(35.7, 139.7);
    const OREGON: Coordinates = place(45.8, -119.7);
    const IRELAND: Coordinates = place(53.3, -6.3);

    #[test]
    fn the_pacific_is_crossed_the_shorter_way() {
        let view = View::around(&[TOKYO, OREGON, IRELAND], (0.0, 0.0), 720.0);
        // 720 pixels for 360 degrees: 2 to the degree.
        assert_eq!(view.place(OREGON).0, 2.0 * (168.5 - 119.7));
        let pieces = view.line(TOKYO, OREGON);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0][1].0, 0.0);
        assert_eq!(pieces[1][0].0, 720.0);
        assert_eq!(pieces[0][1].1, pieces[1][0].1);
        assert_eq!(view.line(OREGON, IRELAND).len(), 1);
    }

    #[test]
    fn near_places_get_a_close_view_that_holds_them() {
        let near = [place(50.1, 8.7), place(48.9, 2.4), place(51.5, -0.1)];
        let view = View::around(&near, (10.0, 20.0), 900.0);
        assert!(900.0 / view.scale.0 < 60.0);
        for one in near {
            let at = view.place(one);
            assert!(at.0 > 10.0 && at.0 < 910.0 && at.1 > 20.0 && at.1 < view.frame.bottom());
        }
    }

    #[test]
    fn areas_are_cut_at_the_frame() {
        let view = View::around(&[place(50.0, 0.0), place(51.0, 1.0)], (0.0, 0.0), 360.0);
        // A ring around everything becomes the frame itself.
        let area = view.area(&[
            (-160.0, -56.0),
            (180.0, -56.0),
            (180.0, 80.0),
            (-160.0, 80.0),
        ]);
        assert_eq!(area.len(), 4);
        assert!(area.contains(&(0.0, 0.0)));
        // One far away leaves nothing.
        assert!(
            view.area(&[(100.0, 0.0), (110.0, 0.0), (110.0, 10.0)])
                .len()
                < 3
        );
    }
}

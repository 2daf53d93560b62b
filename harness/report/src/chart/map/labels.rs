//! Room for texts on a map: each takes the first free place of a fixed list.

use crate::scene::{Point, Rectangle};

/// What is taken on a map.
#[derive(Clone, Debug)]
pub struct Room {
    frame: Rectangle,
    taken: Vec<Rectangle>,
}

impl Room {
    /// Returns an empty map.
    pub fn new(frame: Rectangle) -> Room {
        Room {
            frame,
            taken: Vec::new(),
        }
    }

    /// Takes the square around a point.
    pub fn take_around(&mut self, (x, y): Point, reach: f64) {
        self.taken.push(Rectangle {
            left: x - reach,
            top: y - reach,
            width: 2.0 * reach,
            height: 2.0 * reach,
        });
    }

    /// Takes room for a text of that width and height beside a point, as near as there is;
    /// `None` when nothing within reach is free.
    pub fn beside(&mut self, (x, y): Point, (width, height): (f64, f64)) -> Option<Rectangle> {
        // Right and left before above and below, then all around, ever farther.
        let directions = [0.0, 0.5, 0.75, 0.25, 0.875, 0.125, 0.625, 0.375];
        let distances = [10.0, 18.0, 28.0, 40.0, 54.0, 70.0, 90.0, 115.0];
        let candidates = distances.into_iter().flat_map(|distance: f64| {
            directions.into_iter().map(move |turn: f64| {
                let (down, across) = (turn * std::f64::consts::TAU).sin_cos();
                let left = x + across * distance - width * (1.0 - across) / 2.0;
                Rectangle {
                    left,
                    top: y + down * distance - height * (1.0 - down) / 2.0,
                    width,
                    height,
                }
            })
        });
        self.first_free(candidates)
    }

    /// Takes room for a text along a line, near its middle before its ends.
    pub fn along(&mut self, from: Point, to: Point, size: (f64, f64)) -> Option<Rectangle> {
        let shares = [0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73, 0.2, 0.8];
        let candidates = shares.into_iter().map(|share| Rectangle {
            left: from.0 + (to.0 - from.0) * share - size.0 / 2.0,
            top: from.1 + (to.1 - from.1) * share - size.1 / 2.0,
            width: size.0,
            height: size.1,
        });
        self.first_free(candidates)
    }

    fn first_free(&mut self, candidates: impl Iterator<Item = Rectangle>) -> Option<Rectangle> {
        const APART: f64 = 2.5;
        let mut candidates = candidates;
        let free = candidates.find(|area| {
            let wide = Rectangle {
                left: area.left - APART,
                top: area.top - APART,
                width: area.width + 2.0 * APART,
                height: area.height + 2.0 * APART,
            };
            let inside = wide.left >= self.frame.left
                && wide.right() <= self.frame.right()
                && wide.top >= self.frame.top
                && wide.bottom() <= self.frame.bottom();
            inside && !self.taken.iter().any(|taken| taken.overlaps(&wide))
        })?;
        self.taken.push(free);
        Some(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_label_at_one_point_goes_elsewhere_and_none_leaves_the_frame() {
        let frame = Rectangle {
            left: 0.0,
            top: 0.0,
            width: 200.0,
            height: 60.0,
        };
        let mut room = Room::new(frame);
        let areas: Vec<Rectangle> = (0..40)
            .map_while(|_| room.beside((100.0, 30.0), (50.0, 10.0)))
            .collect();
        assert!(areas.len() > 4, "{areas:?}");
        for (index, area) in areas.iter().enumerate() {
            assert!(area.left >= 0.0 && area.right() <= 200.0);
            assert!(area.top >= 0.0 && area.bottom() <= 60.0);
            assert!(areas[..index].iter().all(|other| !other.overlaps(area)));
        }
    }
}

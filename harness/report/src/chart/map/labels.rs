//! Room for texts on a map: each takes the first free place of a fixed list.

use crate::scene::{Point, Rectangle};

/// What is taken on a map.
#[derive(Clone, Debug)]
pub struct Room {
    frame: Rectangle,
    taken: Vec<Rectangle>,
    lines: Vec<(Point, Point)>,
}

impl Room {
    /// Returns an empty map.
    pub fn new(frame: Rectangle) -> Room {
        Room {
            frame,
            taken: Vec::new(),
            lines: Vec::new(),
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

    /// Notes a line, which texts beside points keep off where they can.
    pub fn note_line(&mut self, from: Point, to: Point) {
        self.lines.push((from, to));
    }

    /// Takes room for a text of that width and height beside a point, as near as there is;
    /// `None` when nothing within reach is free.
    pub fn beside(&mut self, (x, y): Point, (width, height): (f64, f64)) -> Option<Rectangle> {
        const DISTANCES: [f64; 8] = [10.0, 18.0, 28.0, 40.0, 54.0, 70.0, 90.0, 115.0];
        // Right and left before above and below, then all around.
        const TURNS: [f64; 8] = [0.0, 0.5, 0.75, 0.25, 0.875, 0.125, 0.625, 0.375];
        let candidate = |distance: f64, turn: f64| {
            let (down, across) = (turn * std::f64::consts::TAU).sin_cos();
            Rectangle {
                left: x + across * distance - width * (1.0 - across) / 2.0,
                top: y + down * distance - height * (1.0 - down) / 2.0,
                width,
                height,
            }
        };
        let candidates = || {
            let all = DISTANCES.iter().map(|distance| (*distance, TURNS));
            all.flat_map(|(distance, turns)| turns.map(|turn| (distance, turn)))
        };
        // Near by and off all lines; else the nearest that is free.
        let near = candidates().filter(|(distance, _)| *distance <= DISTANCES[2]);
        let near = near.map(|(distance, turn)| candidate(distance, turn));
        let clear: Vec<Rectangle> = near.filter(|area| !self.is_crossed(area)).collect();
        let any = candidates().map(|(distance, turn)| candidate(distance, turn));
        let any: Vec<Rectangle> = any.collect();
        self.first_free(clear.into_iter().chain(any))
    }

    /// Says whether a noted line runs through an area.
    pub fn is_crossed(&self, area: &Rectangle) -> bool {
        let inside = |(x, y): Point| {
            (area.left..=area.right()).contains(&x) && (area.top..=area.bottom()).contains(&y)
        };
        self.lines.iter().any(|(from, to)| {
            // Points along the line at most 4 pixels apart: less than a text is high.
            let steps = ((to.0 - from.0).hypot(to.1 - from.1) / 4.0).ceil().max(1.0) as u32;
            (0..=steps).any(|step| {
                let share = f64::from(step) / f64::from(steps);
                inside((
                    from.0 + (to.0 - from.0) * share,
                    from.1 + (to.1 - from.1) * share,
                ))
            })
        })
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
        // Right, left, above and below; the frame holds no more.
        assert_eq!(areas.len(), 4, "{areas:?}");
        for (index, area) in areas.iter().enumerate() {
            assert!(area.left >= 0.0 && area.right() <= 200.0);
            assert!(area.top >= 0.0 && area.bottom() <= 60.0);
            assert!(areas[..index].iter().all(|other| !other.overlaps(area)));
        }
    }
}

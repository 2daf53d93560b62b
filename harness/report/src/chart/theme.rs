//! What a mode looks like: one colour and one marker, the same in every chart of a run.

use crate::scene::{Colour, Point, Scene, Stroke};

/// Colours that the common colour-vision deficiencies tell apart: those of Okabe and Ito (2008)
/// that are dark enough on white, then of Tol's muted scheme (2021).
const COLOURS: [Colour; 12] = [
    Colour(0x00, 0x72, 0xb2),
    Colour(0xd5, 0x5e, 0x00),
    Colour(0x00, 0x9e, 0x73),
    Colour(0xcc, 0x79, 0xa7),
    Colour(0x22, 0x26, 0x2b),
    Colour(0xe6, 0x9f, 0x00),
    Colour(0x56, 0xb4, 0xe9),
    Colour(0x88, 0x22, 0x55),
    Colour(0x99, 0x99, 0x33),
    Colour(0x33, 0x22, 0x88),
    Colour(0x44, 0xaa, 0x99),
    Colour(0x8a, 0x5a, 0x2b),
];

/// Returns the colour of the mode with that number.
pub fn colour(mode: usize) -> Colour {
    COLOURS[mode % COLOURS.len()]
}

/// Draws the marker of the mode with that number, so that black and white tells modes apart.
/// There are six shapes, filled for the first six modes and hollow for the next.
pub fn marker(scene: &mut Scene, mode: usize, at: Point, radius: f64) {
    let outline = outline(mode % 6, at, radius);
    let ring = outline.clone();
    let fill = if (mode / 6).is_multiple_of(2) {
        colour(mode)
    } else {
        Colour::WHITE
    };
    scene.polygon(outline, fill);
    let closed: Vec<Point> = ring.iter().chain(&ring[..1]).copied().collect();
    scene.line(&closed, Stroke::solid(colour(mode), 1.4));
}

fn outline(shape: usize, (x, y): Point, radius: f64) -> Vec<Point> {
    // Corners of regular polygons, from straight up (turned by a share of a full turn).
    let regular = |corners: usize, turn: f64, size: f64| {
        (0..corners)
            .map(|corner| {
                let angle = std::f64::consts::TAU * (corner as f64 / corners as f64 + turn);
                let reach = size * radius;
                (x + reach * angle.sin(), y - reach * angle.cos())
            })
            .collect()
    };
    match shape {
        0 => regular(20, 0.0, 1.0),
        1 => regular(4, 0.125, 1.25),
        2 => regular(3, 0.0, 1.35),
        3 => regular(4, 0.0, 1.35),
        4 => regular(3, 0.5, 1.35),
        _ => {
            let (arm, half) = (1.25 * radius, 0.42 * radius);
            let corners = [
                (-half, -arm),
                (half, -arm),
                (half, -half),
                (arm, -half),
                (arm, half),
                (half, half),
                (half, arm),
                (-half, arm),
                (-half, half),
                (-arm, half),
                (-arm, -half),
                (-half, -half),
            ];
            corners.map(|(dx, dy)| (x + dx, y + dy)).to_vec()
        }
    }
}

/// Returns the colour of a value in a heat map: 0 is light, 1 dark (ColorBrewer's Blues).
pub fn heat(share: f64) -> Colour {
    const STOPS: [Colour; 6] = [
        Colour(0xee, 0xf5, 0xfb),
        Colour(0xc6, 0xdb, 0xef),
        Colour(0x9e, 0xca, 0xe1),
        Colour(0x5a, 0xa3, 0xd0),
        Colour(0x21, 0x71, 0xb5),
        Colour(0x08, 0x30, 0x6b),
    ];
    let position = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (position as usize).min(STOPS.len() - 2);
    STOPS[below].mix(STOPS[below + 1], position - below as f64)
}

//! What a mode looks like: one colour and one marker, the same in every chart of a run.

use super::style::Style;
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

/// How strongly a mode's colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is: lines and markers.
    Full,
    /// Darker, for text.
    Text,
    /// Lighter, for floors.
    Soft,
    /// Lighter still, for what stands behind a line.
    Pale,
    /// For areas that carry a line.
    Band,
    /// For areas around those.
    Veil,
}

impl Tone {
    const ALL: [Tone; 6] = [
        Tone::Full,
        Tone::Text,
        Tone::Soft,
        Tone::Pale,
        Tone::Band,
        Tone::Veil,
    ];

    fn of(self, colour: Colour, ink: Colour, paper: Colour) -> Colour {
        match self {
            Tone::Full => colour,
            Tone::Text => colour.mix(ink, 0.25),
            Tone::Soft => colour.mix(paper, 0.25),
            Tone::Pale => colour.mix(paper, 0.45),
            Tone::Band => colour.mix(paper, 0.6),
            Tone::Veil => colour.mix(paper, 0.8),
        }
    }
}

/// Dash and gap of the modes' lines where colours may be lost; `None` is solid.
const DASHES: [Option<(f64, f64)>; 6] = [
    None,
    Some((6.0, 2.0)),
    Some((3.0, 1.5)),
    Some((1.5, 1.5)),
    Some((10.0, 3.0)),
    Some((4.0, 4.0)),
];

/// Returns how the line of the mode with that number is drawn, dashed where the style asks for it.
pub fn line(mode: usize, width: f64, style: &Style) -> Stroke {
    let dash = DASHES[mode % DASHES.len()].filter(|_| style.dashed);
    Stroke {
        dash,
        ..Stroke::solid(colour(mode), width)
    }
}

/// Returns a tone of the colour of the mode with that number.
pub fn toned(mode: usize, tone: Tone) -> Colour {
    tone.of(colour(mode), Colour::INK, Colour::WHITE)
}

/// The same modes' colours on dark paper.
const DARK_COLOURS: [Colour; 12] = [
    Colour(0x4d, 0xa3, 0xe0),
    Colour(0xf0, 0x80, 0x3c),
    Colour(0x2f, 0xc7, 0x9a),
    Colour(0xe3, 0xa3, 0xc8),
    Colour(0xe6, 0xe9, 0xec),
    Colour(0xf0, 0xb4, 0x29),
    Colour(0x94, 0xd5, 0xf8),
    Colour(0xc8, 0x58, 0x92),
    Colour(0xc6, 0xc6, 0x5a),
    Colour(0x9a, 0x8c, 0xf0),
    Colour(0x6f, 0xd6, 0xc6),
    Colour(0xc0, 0x8f, 0x5c),
];

/// The neutral colours on light paper, and on dark paper.
const NEUTRALS: [(Colour, Colour); 7] = [
    (Colour::WHITE, Colour(0x16, 0x19, 0x1d)),
    (Colour::INK, Colour(0xe6, 0xe9, 0xec)),
    (Colour::GREY, Colour(0xa9, 0xb1, 0xb9)),
    (Colour::AXIS, Colour(0x6b, 0x73, 0x7b)),
    (Colour::GRID, Colour(0x2e, 0x34, 0x3a)),
    (Colour::LAND, Colour(0x2a, 0x30, 0x36)),
    (Colour::ALARM, Colour(0xff, 0x8a, 0x80)),
];

/// Returns what a colour of these charts becomes on dark paper; heat-map colours stay.
pub fn dark(light: Colour) -> Colour {
    let (paper, ink) = (NEUTRALS[0].1, NEUTRALS[1].1);
    if let Some((_, dark)) = NEUTRALS.iter().find(|(neutral, _)| *neutral == light) {
        return *dark;
    }
    for (mode, dark) in DARK_COLOURS.iter().enumerate() {
        let toned_so = |tone: &&Tone| toned(mode, **tone) == light;
        if let Some(tone) = Tone::ALL.iter().find(toned_so) {
            return tone.of(*dark, ink, paper);
        }
    }
    light
}

/// Draws the marker of the mode with that number, so that black and white tells modes apart.
/// There are six shapes, filled for the first six modes and hollow for the next.
pub fn marker(scene: &mut Scene, mode: usize, at: Point, radius: f64) {
    let hollow = !(mode / 6).is_multiple_of(2);
    shaped(scene, (mode, hollow), at, radius);
}

/// Draws a mode's shape, hollow or filled, where that says something else than the mode.
pub fn shaped(scene: &mut Scene, (mode, hollow): (usize, bool), at: Point, radius: f64) {
    let outline = outline(mode % 6, at, radius);
    let closed: Vec<Point> = outline.iter().chain(&outline[..1]).copied().collect();
    let fill = if hollow { Colour::WHITE } else { colour(mode) };
    scene.polygon(outline, fill);
    scene.line(&closed, Stroke::solid(colour(mode), 1.4));
}

/// Draws a small disc in ink.
pub fn dot(scene: &mut Scene, at: Point, radius: f64, fill: Colour) {
    dot_of(scene, at, radius, (fill, Colour::INK));
}

/// Draws a small disc: its fill and its edge.
pub fn dot_of(scene: &mut Scene, at: Point, radius: f64, (fill, edge): (Colour, Colour)) {
    let outline = outline(0, at, radius);
    let closed: Vec<Point> = outline.iter().chain(&outline[..1]).copied().collect();
    scene.polygon(outline, fill);
    scene.line(&closed, Stroke::solid(edge, 1.4));
}

/// Draws a ring around a disc.
pub fn ring(scene: &mut Scene, at: Point, radius: f64) {
    let outline = outline(0, at, radius);
    let closed: Vec<Point> = outline.iter().chain(&outline[..1]).copied().collect();
    scene.line(&closed, Stroke::solid(Colour::INK, 1.4));
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

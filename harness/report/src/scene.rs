//! Scenes: a drawing as a list of shapes, which both renderers draw and tests can inspect.
//!
//! The unit is the CSS pixel, x to the right and y downwards from the upper left corner.

use crate::font::{self, Face};

/// A place.
pub type Point = (f64, f64);

/// An opaque colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    /// Paper.
    pub const WHITE: Colour = Colour(255, 255, 255);
    /// Text.
    pub const INK: Colour = Colour(0x22, 0x26, 0x2b);
    /// Secondary text.
    pub const GREY: Colour = Colour(0x5f, 0x66, 0x6e);
    /// Frames and axes.
    pub const AXIS: Colour = Colour(0x9a, 0xa1, 0xa9);
    /// Grid lines.
    pub const GRID: Colour = Colour(0xe4, 0xe7, 0xea);
    /// Text on a light fill that stays light whatever surrounds the drawing.
    pub const TEXT_ON_LIGHT: Colour = Colour(0x1c, 0x20, 0x25);
    /// Land on maps.
    pub const LAND: Colour = Colour(0xe9, 0xeb, 0xe6);
    /// Doubts.
    pub const ALARM: Colour = Colour(0xb3, 0x1d, 0x1d);

    /// Mixes it with another: 0 is this one, 1 the other.
    pub fn mix(self, other: Colour, share: f64) -> Colour {
        let mix = |a: u8, b: u8| {
            (f64::from(a) + (f64::from(b) - f64::from(a)) * share.clamp(0.0, 1.0)).round() as u8
        };
        Colour(
            mix(self.0, other.0),
            mix(self.1, other.1),
            mix(self.2, other.2),
        )
    }

    /// Returns its relative luminance, 0 (black) to 1 (white), as WCAG 2 defines it.
    pub fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.03928 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// Returns white or the dark of texts on light fills, whichever is read better on it.
    pub fn readable_on(self) -> Colour {
        // Contrast is (lighter + 0.05) / (darker + 0.05).
        let with_white = 1.05 / (self.luminance() + 0.05);
        let with_dark = (self.luminance() + 0.05) / (Colour::TEXT_ON_LIGHT.luminance() + 0.05);
        if with_white > with_dark {
            Colour::WHITE
        } else {
            Colour::TEXT_ON_LIGHT
        }
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Its colour.
    pub colour: Colour,
    /// Its width.
    pub width: f64,
    /// The lengths of dash and gap; `None` for a solid line.
    pub dash: Option<(f64, f64)>,
}

impl Stroke {
    /// Returns a solid stroke.
    pub const fn solid(colour: Colour, width: f64) -> Stroke {
        Stroke {
            colour,
            width,
            dash: None,
        }
    }

    /// Returns a dashed stroke.
    pub const fn dashed(colour: Colour, width: f64, dash: f64, gap: f64) -> Stroke {
        Stroke {
            colour,
            width,
            dash: Some((dash, gap)),
        }
    }
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// How a text is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextStyle {
    /// The font size.
    pub size: f64,
    /// The face.
    pub face: Face,
    /// The colour.
    pub colour: Colour,
    /// Where it stands along its direction.
    pub anchor: Anchor,
    /// Whether it runs upwards instead of to the right.
    pub upwards: bool,
}

impl TextStyle {
    /// Returns a style of that size, in ink, from its point to the right.
    pub const fn new(size: f64) -> TextStyle {
        TextStyle {
            size,
            face: Face::Regular,
            colour: Colour::INK,
            anchor: Anchor::Start,
            upwards: false,
        }
    }

    /// Returns it in another size.
    pub const fn sized(self, size: f64) -> TextStyle {
        TextStyle { size, ..self }
    }

    /// Returns it in bold.
    pub const fn bold(self) -> TextStyle {
        TextStyle {
            face: Face::Bold,
            ..self
        }
    }

    /// Returns it in a colour.
    pub const fn colour(self, colour: Colour) -> TextStyle {
        TextStyle { colour, ..self }
    }

    /// Returns it with an anchor.
    pub const fn anchor(self, anchor: Anchor) -> TextStyle {
        TextStyle { anchor, ..self }
    }

    /// Returns it running upwards.
    pub const fn upwards(self) -> TextStyle {
        TextStyle {
            upwards: true,
            ..self
        }
    }

    /// Returns how wide a text is in it.
    pub fn width(&self, text: &str) -> f64 {
        font::width(text, self.size, self.face)
    }
}

/// A drawn thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line through points.
    Line {
        /// At least two points.
        points: Vec<Point>,
        /// How it is drawn; dashes are already cut into lines of their own.
        stroke: Stroke,
    },
    /// A filled area.
    Polygon {
        /// Its corners.
        points: Vec<Point>,
        /// Its colour.
        fill: Colour,
    },
    /// A text.
    Text {
        /// A point of its baseline.
        at: Point,
        /// What it says.
        text: String,
        /// How it is drawn.
        style: TextStyle,
    },
}

/// An upright rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// Its left edge.
    pub left: f64,
    /// Its upper edge.
    pub top: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

impl Rectangle {
    /// Returns its right edge.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Returns its lower edge.
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Returns its middle.
    pub fn middle(&self) -> Point {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    /// Says whether two rectangles overlap.
    pub fn overlaps(&self, other: &Rectangle) -> bool {
        self.left < other.right()
            && other.left < self.right()
            && self.top < other.bottom()
            && other.top < self.bottom()
    }
}

/// A drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// What it shows, the later over the earlier.
    pub shapes: Vec<Shape>,
    /// What a pointer can ask for.
    pub marks: Vec<Mark>,
}

/// An invisible area that answers a pointer with exact figures, where the output can.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Where.
    pub area: Rectangle,
    /// What it says.
    pub text: String,
}

impl Scene {
    /// Returns an empty drawing.
    pub fn new(width: f64, height: f64) -> Scene {
        Scene {
            width,
            height,
            shapes: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Adds a line through points, cutting dashes; nothing for fewer than two points.
    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        if points.len() < 2 {
            return;
        }
        let solid = Stroke {
            dash: None,
            ..stroke
        };
        let parts = match stroke.dash {
            None => vec![points.to_vec()],
            Some((dash, gap)) => dashes(points, dash, gap),
        };
        for points in parts {
            self.shapes.push(Shape::Line {
                points,
                stroke: solid,
            });
        }
    }

    /// Adds a filled area.
    pub fn polygon(&mut self, points: Vec<Point>, fill: Colour) {
        self.shapes.push(Shape::Polygon { points, fill });
    }

    /// Adds a filled rectangle.
    pub fn rectangle(&mut self, area: Rectangle, fill: Colour) {
        let (left, top, right, bottom) = (area.left, area.top, area.right(), area.bottom());
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        self.polygon(corners, fill);
    }

    /// Adds a mark over an area.
    pub fn mark(&mut self, area: Rectangle, text: impl Into<String>) {
        self.marks.push(Mark {
            area,
            text: text.into(),
        });
    }

    /// Adds a mark around a point, wide enough to be hit.
    pub fn mark_point(&mut self, at: Point, text: impl Into<String>) {
        const REACH: f64 = 6.0;
        let area = Rectangle {
            left: at.0 - REACH,
            top: at.1 - REACH,
            width: 2.0 * REACH,
            height: 2.0 * REACH,
        };
        self.mark(area, text);
    }

    /// Adds a text whose baseline passes through a point.
    pub fn text(&mut self, at: Point, text: impl Into<String>, style: TextStyle) {
        self.shapes.push(Shape::Text {
            at,
            text: text.into(),
            style,
        });
    }

    /// Adds a text whose capitals are centred on a point, across its direction.
    pub fn text_centred(&mut self, at: Point, text: impl Into<String>, style: TextStyle) {
        let shift = style.size * font::CAPITAL_HEIGHT / 2.0;
        let at = if style.upwards {
            (at.0 + shift, at.1)
        } else {
            (at.0, at.1 + shift)
        };
        self.text(at, text, style);
    }

    /// Multiplies the widths of all strokes.
    pub fn scale_strokes(&mut self, factor: f64) {
        for shape in &mut self.shapes {
            if let Shape::Line { stroke, .. } = shape {
                stroke.width *= factor;
            }
        }
    }

    /// Returns the area of each text with the text, in drawing order.
    pub fn texts(&self) -> Vec<(&str, Rectangle)> {
        let area = |shape| match shape {
            &Shape::Text {
                at,
                ref text,
                style,
            } => Some((text.as_str(), text_area(at, text, &style))),
            _ => None,
        };
        self.shapes.iter().filter_map(area).collect()
    }
}

fn text_area(at: Point, text: &str, style: &TextStyle) -> Rectangle {
    let length = style.width(text);
    let before = match style.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => length / 2.0,
        Anchor::End => length,
    };
    let (ascent, height) = (style.size * font::CAPITAL_HEIGHT, style.size);
    if style.upwards {
        Rectangle {
            left: at.0 - ascent,
            top: at.1 + before - length,
            width: height,
            height: length,
        }
    } else {
        Rectangle {
            left: at.0 - before,
            top: at.1 - ascent,
            width: length,
            height,
        }
    }
}

/// Cuts a line into dashes.
fn dashes(points: &[Point], dash: f64, gap: f64) -> Vec<Vec<Point>> {
    let (mut parts, mut current) = (Vec::new(), vec![points[0]]);
    let (mut drawn, mut left) = (true, dash);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length <= left {
                left -= length;
                if drawn {
                    current.push(to);
                }
                break;
            }
            let share = left / length;
            from = (
                from.0 + (to.0 - from.0) * share,
                from.1 + (to.1 - from.1) * share,
            );
            if drawn {
                current.push(from);
                parts.push(std::mem::take(&mut current));
            } else {
                current = vec![from];
            }
            drawn = !drawn;
            left = if drawn { dash } else { gap };
        }
    }
    if drawn && current.len() > 1 {
        parts.push(current);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_follow_a_line_round_its_corner() {
        // 10 right and 10 down in dashes of 6 and gaps of 2: drawn 0-6, 8-14, 16-20 of its length.
        let parts = dashes(&[(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)], 6.0, 2.0);
        assert_eq!(
            parts,
            [
                vec![(0.0, 0.0), (6.0, 0.0)],
                vec![(8.0, 0.0), (10.0, 0.0), (10.0, 4.0)],
                vec![(10.0, 6.0), (10.0, 10.0)],
            ]
        );
    }

    #[test]
    fn text_on_a_colour_is_readable() {
        assert_eq!(Colour(8, 48, 107).readable_on(), Colour::WHITE);
        assert_eq!(Colour(222, 235, 247).readable_on(), Colour::TEXT_ON_LIGHT);
    }
}

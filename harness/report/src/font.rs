//! The built-in font: DejaVu Sans, so that charts need no system library and look alike
//! everywhere.

use std::sync::OnceLock;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _};

/// The family that SVG viewers are asked for. Verdana has nearly the same widths.
pub const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// The height of capitals over the font size.
pub const CAPITAL_HEIGHT: f64 = 0.729;

/// A built-in face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// DejaVu Sans.
    Regular,
    /// DejaVu Sans Bold.
    Bold,
}

/// One glyph of a laid-out text: its outline's pixels come relative to the text's origin.
pub(crate) struct Pixel {
    pub x: i32,
    pub y: i32,
    pub coverage: f32,
}

fn font(face: Face) -> &'static FontRef<'static> {
    static REGULAR: OnceLock<FontRef<'static>> = OnceLock::new();
    static BOLD: OnceLock<FontRef<'static>> = OnceLock::new();
    let (cell, bytes) = match face {
        Face::Regular => (&REGULAR, dejavu::sans::regular()),
        Face::Bold => (&BOLD, dejavu::sans::bold()),
    };
    cell.get_or_init(|| FontRef::try_from_slice(bytes).expect("the built-in font is a font"))
}

/// Returns the scale at which an em is `size` pixels.
fn scale(font: &FontRef<'_>, size: f64) -> PxScale {
    let units_per_em = f64::from(
        font.units_per_em()
            .expect("the built-in font states its em"),
    );
    PxScale::from((size * f64::from(font.height_unscaled()) / units_per_em) as f32)
}

/// Returns how wide a text is at a font size, in the size's unit.
pub fn width(text: &str, size: f64, face: Face) -> f64 {
    let font = font(face);
    let scaled = font.as_scaled(scale(font, size));
    let advance = |character| f64::from(scaled.h_advance(scaled.glyph_id(character)));
    text.chars().map(advance).sum()
}

/// Calls `draw` for every pixel of a text whose baseline starts at the origin.
pub(crate) fn rasterise(text: &str, size: f64, face: Face, mut draw: impl FnMut(Pixel)) {
    let font = font(face);
    let scaled = font.as_scaled(scale(font, size));
    let mut pen = 0.0;
    for character in text.chars() {
        let mut glyph = scaled.scaled_glyph(character);
        glyph.position.x = pen;
        pen += scaled.h_advance(glyph.id);
        if let Some(outline) = scaled.outline_glyph(glyph) {
            let bounds = outline.px_bounds();
            outline.draw(|x, y, coverage| {
                draw(Pixel {
                    x: bounds.min.x as i32 + x as i32,
                    y: bounds.min.y as i32 + y as i32,
                    coverage,
                });
            });
        }
    }
}

/// Breaks a text at spaces into lines no wider than `limit`; a single longer word stays whole.
pub fn wrap(text: &str, size: f64, face: Face, limit: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        let longer = if line.is_empty() {
            word.to_owned()
        } else {
            format!("{line} {word}")
        };
        if line.is_empty() || width(&longer, size, face) <= limit {
            *line = longer;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_keep_every_word_and_the_limit() {
        let text = "what a write costs when the replicas are an ocean apart";
        let lines = wrap(text, 12.0, Face::Regular, 120.0);
        assert!(lines.len() > 2);
        assert_eq!(lines.join(" "), text);
        for line in lines {
            assert!(width(&line, 12.0, Face::Regular) <= 120.0, "{line}");
        }
    }

    #[test]
    fn width_grows_with_size_and_weight() {
        let regular = width("p99.9", 10.0, Face::Regular);
        assert!((width("p99.9", 20.0, Face::Regular) / regular - 2.0).abs() < 0.01);
        assert!(width("p99.9", 10.0, Face::Bold) > regular);
    }
}

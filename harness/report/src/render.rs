//! Scenes to SVG and PNG, through plotters' two backends.

use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle,
};

use crate::font::{self, Face};
use crate::scene::{Anchor, Colour, Point, Scene, Shape, Stroke, TextStyle};

/// SVG units per CSS pixel: backends draw at whole units, and lines at whole pixels would be
/// stair-stepped.
const SVG_SCALE: f64 = 10.0;

/// Drawn pixels per PNG pixel in each direction; averaging them smooths edges.
const SUPERSAMPLING: u32 = 2;

const MILLIMETRES_PER_INCH: f64 = 25.4;

/// What a scene is rendered for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Medium {
    /// Pixels of a PNG per CSS pixel.
    pub pixels: f64,
    /// Whether an SVG has white behind it, and states its size in CSS pixels instead of millimetres.
    pub is_screen: bool,
}

impl Medium {
    /// Screens of double density.
    pub const SCREEN: Medium = Medium {
        pixels: 2.0,
        is_screen: true,
    };

    /// Print at 600 dots per inch, of which a CSS pixel is a 96th.
    pub const PAPER: Medium = Medium {
        pixels: 600.0 / 96.0,
        is_screen: false,
    };

    /// Returns a length of CSS pixels as an SVG states it.
    fn stated(&self, length: f64) -> String {
        if self.is_screen {
            format!("{length:.0}")
        } else {
            format!("{:.2}mm", length / 96.0 * MILLIMETRES_PER_INCH)
        }
    }
}

/// Renders a scene as SVG.
pub fn svg(scene: &Scene, medium: &Medium) -> String {
    let size = |length: f64| (length * SVG_SCALE).round() as u32;
    let (width, height) = (size(scene.width), size(scene.height));
    let mut text = String::new();
    {
        let mut pen = Pen {
            backend: SVGBackend::with_string(&mut text, (width, height)),
            scale: SVG_SCALE,
        };
        pen.draw(scene, medium.is_screen);
        pen.backend.present().expect("drawing into memory succeeds");
    }
    // The backend states its units as the size: state the size on the medium instead.
    let stated = format!("width=\"{width}\" height=\"{height}\"");
    let wanted = format!(
        "width=\"{}\" height=\"{}\" stroke-linejoin=\"round\"",
        medium.stated(scene.width),
        medium.stated(scene.height)
    );
    text.replacen(&stated, &wanted, 1)
}

/// Renders a scene as PNG on white.
pub fn png(scene: &Scene, medium: &Medium) -> Vec<u8> {
    let size = |length: f64| (length * medium.pixels).round() as u32;
    let (width, height) = (size(scene.width), size(scene.height));
    let (wide, high) = (width * SUPERSAMPLING, height * SUPERSAMPLING);
    let mut drawn = vec![255; wide as usize * high as usize * 3];
    {
        let mut pen = Pen {
            backend: BitMapBackend::with_buffer(&mut drawn, (wide, high)),
            scale: medium.pixels * f64::from(SUPERSAMPLING),
        };
        pen.draw(scene, false);
        pen.backend.present().expect("drawing into memory succeeds");
    }
    encode(&average(&drawn, width, height), (width, height), medium)
}

/// Averages squares of drawn pixels.
fn average(drawn: &[u8], width: u32, height: u32) -> Vec<u8> {
    let (width, height, factor) = (width as usize, height as usize, SUPERSAMPLING as usize);
    let mut averaged = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let mut sum = 0;
                for row in 0..factor {
                    for column in 0..factor {
                        let pixel = (y * factor + row) * width * factor + x * factor + column;
                        sum += usize::from(drawn[pixel * 3 + channel]);
                    }
                }
                averaged.push((sum / (factor * factor)) as u8);
            }
        }
    }
    averaged
}

fn encode(pixels: &[u8], (width, height): (u32, u32), medium: &Medium) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Default);
    encoder.set_filter(png::FilterType::Up);
    if !medium.is_screen {
        let per_metre = medium.pixels * 96.0 * 1000.0 / MILLIMETRES_PER_INCH;
        encoder.set_pixel_dims(Some(png::PixelDimensions {
            xppu: per_metre.round() as u32,
            yppu: per_metre.round() as u32,
            unit: png::Unit::Meter,
        }));
    }
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(pixels))
        .expect("encoding into memory succeeds");
    bytes
}

struct Pen<B> {
    backend: B,
    scale: f64,
}

/// How a backend draws text: SVG leaves glyphs to the viewer, a bitmap has to place them.
trait DrawText {
    fn draw_text_at(&mut self, at: (i32, i32), text: &str, style: &TextStyle);
}

impl<B: DrawingBackend + DrawText> Pen<B> {
    fn draw(&mut self, scene: &Scene, on_white: bool) {
        if on_white {
            let corners = [(0.0, 0.0), (scene.width, scene.height)].map(|point| self.place(point));
            self.backend
                .draw_rect(corners[0], corners[1], &shape(Colour::WHITE, 1), true)
                .expect("drawing into memory succeeds");
        }
        for shape in &scene.shapes {
            match shape {
                Shape::Line { points, stroke } => self.line(points, stroke),
                Shape::Polygon { points, fill } => self.polygon(points, *fill),
                Shape::Text { at, text, style } => {
                    let scaled = TextStyle {
                        size: style.size * self.scale,
                        ..*style
                    };
                    let at = self.place(*at);
                    self.backend.draw_text_at(at, text, &scaled);
                }
            }
        }
    }

    fn line(&mut self, points: &[Point], stroke: &Stroke) {
        let width = (stroke.width * self.scale).round().max(1.0) as u32;
        let points: Vec<_> = points.iter().map(|&point| self.place(point)).collect();
        self.backend
            .draw_path(points, &shape(stroke.colour, width))
            .expect("drawing into memory succeeds");
    }

    fn polygon(&mut self, points: &[Point], fill: Colour) {
        let points: Vec<_> = points.iter().map(|&point| self.place(point)).collect();
        self.backend
            .fill_polygon(points, &shape(fill, 1))
            .expect("drawing into memory succeeds");
    }

    fn place(&self, point: Point) -> (i32, i32) {
        let whole = |length: f64| (length * self.scale).round() as i32;
        (whole(point.0), whole(point.1))
    }
}

fn rgb(colour: Colour) -> RGBColor {
    RGBColor(colour.0, colour.1, colour.2)
}

fn shape(colour: Colour, width: u32) -> ShapeStyle {
    ShapeStyle::from(&rgb(colour)).filled().stroke_width(width)
}

impl DrawText for SVGBackend<'_> {
    fn draw_text_at(&mut self, at: (i32, i32), text: &str, style: &TextStyle) {
        // The backend divides sizes by 1.24, and puts the baseline of a text anchored at its top
        // 0.76 em lower: both are undone here.
        let drop = (0.76 * style.size).round() as i32;
        let at = if style.upwards {
            (at.0 - drop, at.1)
        } else {
            (at.0, at.1 - drop)
        };
        let horizontal = match style.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let weight = match style.face {
            Face::Regular => FontStyle::Normal,
            Face::Bold => FontStyle::Bold,
        };
        let transform = if style.upwards {
            FontTransform::Rotate270
        } else {
            FontTransform::None
        };
        let described = FontDesc::new(FontFamily::Name(font::FAMILY), style.size * 1.24, weight)
            .transform(transform)
            .color(&rgb(style.colour));
        let described = described.pos(Pos::new(horizontal, VPos::Top));
        self.draw_text(text, &described, at)
            .expect("drawing into memory succeeds");
    }
}

impl DrawText for BitMapBackend<'_> {
    fn draw_text_at(&mut self, at: (i32, i32), text: &str, style: &TextStyle) {
        let length = style.width(text);
        let before = match style.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => length / 2.0,
            Anchor::End => length,
        }
        .round() as i32;
        let (width, height) = self.get_size();
        font::rasterise(text, style.size, style.face, |pixel| {
            let along = pixel.x - before;
            let (x, y) = if style.upwards {
                (at.0 + pixel.y, at.1 - along)
            } else {
                (at.0 + along, at.1 + pixel.y)
            };
            let inside = (0..width as i32).contains(&x) && (0..height as i32).contains(&y);
            if inside && pixel.coverage > 0.0 {
                let colour = rgb(style.colour).mix(f64::from(pixel.coverage.min(1.0)));
                self.draw_pixel((x, y), colour.to_backend_color())
                    .expect("drawing into memory succeeds");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        let mut scene = Scene::new(60.0, 40.0);
        scene.line(
            &[(5.0, 5.0), (55.0, 35.0)],
            Stroke::solid(Colour(200, 0, 0), 3.0),
        );
        scene.text((30.0, 20.0), "a <b> & \"c\"", TextStyle::new(10.0));
        scene
    }

    #[test]
    fn an_svg_states_css_pixels_and_draws_in_tenths_of_them() {
        let svg = svg(&scene(), &Medium::SCREEN);
        assert!(svg.contains("width=\"60\" height=\"40\""), "{svg}");
        assert!(svg.contains("viewBox=\"0 0 600 400\""), "{svg}");
        assert!(svg.contains("points=\"50,50 550,350"), "{svg}");
    }

    #[test]
    fn paper_has_no_background_and_states_its_size() {
        // 60 CSS pixels are 60 / 96 inches: 15.88 mm, and 375 dots at 600 an inch.
        let drawn = svg(&scene(), &Medium::PAPER);
        assert!(
            drawn.contains("width=\"15.88mm\" height=\"10.58mm\""),
            "{drawn}"
        );
        assert!(!drawn.contains("<rect"), "{drawn}");
        let bytes = png(&scene(), &Medium::PAPER);
        let info = png::Decoder::new(bytes.as_slice()).read_info().unwrap();
        assert_eq!((info.info().width, info.info().height), (375, 250));
        // 600 dots an inch are 23622 a metre.
        assert_eq!(info.info().pixel_dims.unwrap().xppu, 23_622);
    }

    #[test]
    fn text_is_escaped_in_svg() {
        let svg = svg(&scene(), &Medium::SCREEN);
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;"), "{svg}");
    }

    #[test]
    fn a_png_has_double_density_and_both_ink_and_paper() {
        let bytes = png(&scene(), &Medium::SCREEN);
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((number(16), number(20)), (120, 80));
        let mut reader = png::Decoder::new(bytes.as_slice()).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(&pixels[..3], [255, 255, 255]);
        assert!(pixels.chunks(3).any(|pixel| pixel == [200, 0, 0]));
    }
}

//! Scenes as SVG inside a page: colours by class, so that both themes have their own, and marks
//! that answer a pointer.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use crate::chart::{Drawing, theme};
use crate::font::Face;
use crate::scene::{Anchor, Colour, Point, Scene, Shape, Stroke, TextStyle};

/// The colours of a page's charts, by class.
#[derive(Clone, Debug, Default)]
pub struct Palette {
    colours: Vec<Colour>,
}

impl Palette {
    /// Returns the number of a colour.
    fn number(&mut self, colour: Colour) -> usize {
        let known = self.colours.iter().position(|one| *one == colour);
        known.unwrap_or_else(|| {
            self.colours.push(colour);
            self.colours.len() - 1
        })
    }

    /// Returns the style sheet: `f3` fills with colour 3, `s3` strokes with it.
    pub fn css(&self) -> String {
        let mut css = String::new();
        let variables = |shade: fn(Colour) -> Colour| {
            let mut text = String::new();
            for (number, colour) in self.colours.iter().enumerate() {
                let Colour(red, green, blue) = shade(*colour);
                let _ = write!(text, "--k{number}:#{red:02x}{green:02x}{blue:02x};");
            }
            text
        };
        let (light, dark) = (variables(|colour| colour), variables(theme::dark));
        let _ = write!(
            css,
            ":root{{{light}}}\
             @media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\
             @media screen{{:root[data-theme=dark]{{{dark}}}}}"
        );
        for number in 0..self.colours.len() {
            let _ = write!(
                css,
                ".f{number}{{fill:var(--k{number})}}.s{number}{{stroke:var(--k{number})}}"
            );
        }
        css
    }
}

/// Renders a chart for a page.
pub fn svg(drawing: &Drawing, palette: &mut Palette) -> Markup {
    let scene = &drawing.scene;
    let view = format!("0 0 {} {}", number(scene.width), number(scene.height));
    let shapes = shapes(scene, palette);
    html! {
        svg viewBox=(view) width=(number(scene.width)) height=(number(scene.height))
            role="img" aria-label=(drawing.title) {
            @for shape in &shapes { (shape) }
            @for mark in &scene.marks {
                rect.h x=(number(mark.area.left)) y=(number(mark.area.top))
                    width=(number(mark.area.width)) height=(number(mark.area.height)) {
                    title { (mark.text) }
                }
            }
        }
    }
}

fn shapes(scene: &Scene, palette: &mut Palette) -> Vec<Markup> {
    let mut written = Vec::new();
    // Lines of one stroke, dashes above all, share a path.
    let mut pending: Option<(Stroke, String)> = None;
    for shape in &scene.shapes {
        if let Shape::Line { points, stroke } = shape {
            match &mut pending {
                Some((same, path)) if same == stroke => path.push_str(&outline(points)),
                _ => {
                    written.extend(pending.take().map(|line| line_markup(line, palette)));
                    pending = Some((*stroke, outline(points)));
                }
            }
            continue;
        }
        written.extend(pending.take().map(|line| line_markup(line, palette)));
        match shape {
            Shape::Polygon { points, fill } => {
                let class = format!("f{}", palette.number(*fill));
                let path = format!("{}z", outline(points));
                written.push(html! { path class=(class) d=(path) {} });
            }
            Shape::Text { at, text, style } => {
                written.push(text_markup(*at, text, style, palette));
            }
            Shape::Line { .. } => {}
        }
    }
    written.extend(pending.take().map(|line| line_markup(line, palette)));
    written
}

fn line_markup((stroke, path): (Stroke, String), palette: &mut Palette) -> Markup {
    let class = format!("l s{}", palette.number(stroke.colour));
    html! { path class=(class) stroke-width=(number(stroke.width)) d=(path) {} }
}

fn text_markup(at: Point, text: &str, style: &TextStyle, palette: &mut Palette) -> Markup {
    // White text stands on dark cells, which are the same in both themes.
    let colour = match style.colour {
        Colour::WHITE => "w".to_owned(),
        colour => format!("f{}", palette.number(colour)),
    };
    let anchor = match style.anchor {
        Anchor::Start => "",
        Anchor::Middle => " m",
        Anchor::End => " e",
    };
    let face = match style.face {
        Face::Regular => "",
        Face::Bold => " b",
    };
    let class = format!("{colour}{anchor}{face}");
    let (x, y) = (number(at.0), number(at.1));
    let turn = style.upwards.then(|| format!("rotate(-90 {x} {y})"));
    html! {
        text class=(class) x=(x) y=(y) font-size=(number(style.size)) transform=[turn] { (text) }
    }
}

fn outline(points: &[Point]) -> String {
    let mut path = String::new();
    for (index, point) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{} {}", number(point.0), number(point.1));
    }
    path
}

/// Returns a length to a tenth of a pixel.
fn number(length: f64) -> String {
    format!("{}", (length * 10.0).round() / 10.0)
}

/// Returns text that a `script` element of data can hold: nothing in it ends the element.
pub fn inert_json(json: &str) -> PreEscaped<String> {
    PreEscaped(
        json.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029"),
    )
}

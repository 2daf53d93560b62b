//! Sizes of type, room and strokes: one set for screens and one for papers.

use crate::font::Face;
use crate::scene::{Colour, TextStyle};

/// The width of a paper's column in CSS pixels: 84 mm at 96 pixels an inch.
pub const COLUMN: f64 = 84.0 / 25.4 * 96.0;
/// The width of a paper's two columns and the room between them: 174 mm.
pub const PAGE: f64 = 174.0 / 25.4 * 96.0;

/// How large things are drawn, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// The width of the whole drawing; `None` where its content decides.
    pub width: Option<f64>,
    /// The margin around everything.
    pub margin: f64,
    /// The font size of axis titles and modes' names.
    pub text: f64,
    /// The font size of tick labels.
    pub tick: f64,
    /// The font size of tick labels in small panels.
    pub panel_tick: f64,
    /// The font size of notes.
    pub note: f64,
    /// The face of modes' names.
    pub name_face: Face,
    /// The radius of markers.
    pub marker: f64,
    /// What widths of strokes are multiplied by.
    pub stroke: f64,
    /// Whether modes have dash patterns too, for black and white.
    pub dashed: bool,
}

impl Style {
    /// For screens, and for pictures that stand alone.
    pub const SCREEN: Style = Style {
        width: None,
        margin: 20.0,
        text: 12.0,
        tick: 11.0,
        panel_tick: 10.0,
        note: 10.5,
        name_face: Face::Bold,
        marker: 3.8,
        stroke: 1.0,
        dashed: false,
    };

    /// For one column of a paper: all type is 7.05 pt.
    pub const PAPER: Style = Style {
        width: Some(COLUMN),
        margin: 1.0,
        text: 9.4,
        tick: 9.4,
        panel_tick: 9.4,
        note: 9.4,
        name_face: Face::Regular,
        marker: 2.7,
        stroke: 0.55,
        dashed: true,
    };

    /// Returns it for both columns of a paper where it is for one.
    pub fn across_columns(self) -> Style {
        Style {
            width: self.width.map(|_| PAGE),
            ..self
        }
    }

    /// Returns room that is so wide on screens, in proportion to the type.
    pub fn room(&self, on_screens: f64) -> f64 {
        on_screens * self.text / Style::SCREEN.text
    }

    /// Returns the size of a plot that begins at `left` and is so large on screens: as wide as the
    /// drawing allows where its width is given.
    pub fn plot(&self, left: f64, on_screens: (f64, f64)) -> (f64, f64) {
        match self.width {
            None => on_screens,
            Some(width) => {
                let wide = width - left - self.margin - self.room(8.0);
                (wide, wide * 0.6)
            }
        }
    }

    /// Returns the style of modes' and regions' names.
    pub const fn name(&self) -> TextStyle {
        TextStyle {
            face: self.name_face,
            ..TextStyle::new(self.text)
        }
    }

    /// Returns the style of notes.
    pub const fn note(&self) -> TextStyle {
        TextStyle::new(self.note).colour(Colour::GREY)
    }

    /// Returns the style of axis titles.
    pub const fn axis(&self) -> TextStyle {
        TextStyle::new(self.text).colour(Colour::GREY)
    }
}

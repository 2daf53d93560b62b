//! A plain plot: a frame with a horizontal and a vertical axis of amounts, and what is drawn in it.

use super::axis::{AmountAxis, tick_label};
use super::page::MARGIN;
use crate::scene::{Anchor, Colour, Point, Rectangle, Scene, Stroke, TextStyle};

/// A frame and its axes.
#[derive(Clone, Copy, Debug)]
pub struct Plot {
    /// The frame.
    pub frame: Rectangle,
    /// The horizontal axis.
    pub across: AmountAxis,
    /// The vertical axis.
    pub up: AmountAxis,
    /// The font size of tick labels.
    pub tick_size: f64,
}

impl Plot {
    /// Returns where a pair of amounts stands.
    pub fn place(&self, across: f64, up: f64) -> Point {
        let frame = self.frame;
        (
            frame.left + frame.width * self.across.position(across),
            frame.bottom() - frame.height * self.up.position(up),
        )
    }

    /// Draws grid, frame and tick labels; `unit` is added to the horizontal ones.
    pub fn axes(&self, scene: &mut Scene, unit: &str) {
        self.levels(scene);
        let frame = self.frame;
        let label = TextStyle::new(self.tick_size).colour(Colour::GREY);
        let wanted = (frame.width / (self.tick_size * 7.0)) as usize;
        let mut free_from = f64::NEG_INFINITY;
        for tick in self.across.ticks(wanted.max(2)) {
            let x = frame.left + frame.width * self.across.position(tick);
            scene.line(
                &[(x, frame.top), (x, frame.bottom())],
                Stroke::solid(Colour::GRID, 1.0),
            );
            let text = format!("{}{unit}", tick_label(tick));
            let half = label.width(&text) / 2.0;
            if x - half > free_from {
                let baseline = frame.bottom() + self.tick_size * 1.4;
                scene.text((x, baseline), text, label.anchor(Anchor::Middle));
                free_from = x + half + self.tick_size * 0.6;
            }
        }
        self.corner(scene);
    }

    /// Draws the vertical axis' grid and labels alone.
    pub fn levels(&self, scene: &mut Scene) {
        let frame = self.frame;
        let label = TextStyle::new(self.tick_size).colour(Colour::GREY);
        let wanted = (frame.height / (self.tick_size * 3.0)) as usize;
        for tick in self.up.ticks(wanted.max(2)) {
            let y = frame.bottom() - frame.height * self.up.position(tick);
            let ends = [(frame.left, y), (frame.right(), y)];
            scene.line(&ends, Stroke::solid(Colour::GRID, 1.0));
            let at = (frame.left - 6.0, y);
            scene.text_centred(at, tick_label(tick), label.anchor(Anchor::End));
        }
    }

    /// Draws the frame's left and lower edge.
    pub fn corner(&self, scene: &mut Scene) {
        let frame = self.frame;
        let (left, bottom) = (frame.left, frame.bottom());
        let edges = [(left, frame.top), (left, bottom), (frame.right(), bottom)];
        scene.line(&edges, Stroke::solid(Colour::AXIS, 1.0));
    }
}

/// Draws the titles of the axes around a frame, and returns where they end.
pub fn titles(scene: &mut Scene, frame: Rectangle, across: &str, up: &str) -> f64 {
    let style = TextStyle::new(12.0)
        .colour(Colour::GREY)
        .anchor(Anchor::Middle);
    scene.text_centred((MARGIN + 6.0, frame.middle().1), up, style.upwards());
    let baseline = frame.bottom() + 36.0;
    // A narrow frame's title begins at the page's margin.
    let x = frame.middle().0.max(MARGIN + style.width(across) / 2.0);
    scene.text((x, baseline), across, style);
    baseline + 6.0
}

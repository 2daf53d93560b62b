//! A plain plot: a frame with a horizontal and a vertical axis of amounts; and how the axes of
//! every chart are drawn.

use super::axis::{AmountAxis, Tick};
use super::style::Style;
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
        let up = self.up.ticks(levels_wanted(self.frame, self.tick_size), "");
        levels(scene, self.frame, self.tick_size, &up);
        let across = columns_wanted(self.frame, self.tick_size);
        let across = self.across.ticks(across, unit);
        columns(scene, self.frame, self.tick_size, &across);
        corner(scene, self.frame);
    }
}

/// Returns how many grid lines a vertical axis has room for: a label takes about three times its
/// height, with the room around it.
pub fn levels_wanted(frame: Rectangle, tick_size: f64) -> usize {
    ((frame.height / (tick_size * 3.0)) as usize).max(2)
}

/// Returns how many grid lines a horizontal axis has room for.
pub fn columns_wanted(frame: Rectangle, tick_size: f64) -> usize {
    ((frame.width / (tick_size * 7.0)) as usize).max(2)
}

/// Draws a vertical axis' grid lines and labels.
pub fn levels(scene: &mut Scene, frame: Rectangle, tick_size: f64, ticks: &[Tick]) {
    let label = TextStyle::new(tick_size).colour(Colour::GREY);
    for tick in ticks {
        let y = frame.bottom() - frame.height * tick.position;
        let ends = [(frame.left, y), (frame.right(), y)];
        scene.line(&ends, Stroke::solid(Colour::GRID, 1.0));
        let at = (frame.left - 6.0, y);
        scene.text_centred(at, tick.label.clone(), label.anchor(Anchor::End));
    }
}

/// Draws a horizontal axis' grid lines, and below the frame the labels that do not touch the one
/// before.
pub fn columns(scene: &mut Scene, frame: Rectangle, tick_size: f64, ticks: &[Tick]) {
    let label = TextStyle::new(tick_size).colour(Colour::GREY);
    let mut free_from = f64::NEG_INFINITY;
    for tick in ticks {
        let x = frame.left + frame.width * tick.position;
        let ends = [(x, frame.top), (x, frame.bottom())];
        scene.line(&ends, Stroke::solid(Colour::GRID, 1.0));
        let half = label.width(&tick.label) / 2.0;
        if x - half > free_from {
            let baseline = frame.bottom() + tick_size * 1.4;
            let style = label.anchor(Anchor::Middle);
            scene.text((x, baseline), tick.label.clone(), style);
            free_from = x + half + tick_size * 0.5;
        }
    }
}

/// Draws a frame's left and lower edge.
pub fn corner(scene: &mut Scene, frame: Rectangle) {
    let (left, bottom) = (frame.left, frame.bottom());
    let edges = [(left, frame.top), (left, bottom), (frame.right(), bottom)];
    scene.line(&edges, Stroke::solid(Colour::AXIS, 1.0));
}

/// Draws the titles of the axes around a frame, for screens, and returns where they end.
pub fn titles(scene: &mut Scene, frame: Rectangle, across: &str, up: &str) -> f64 {
    titled(scene, frame, &Style::SCREEN, [across, up])
}

/// Draws the titles of the horizontal and of the vertical axis around a frame, and returns where
/// they end.
pub fn titled(scene: &mut Scene, frame: Rectangle, style: &Style, [across, up]: [&str; 2]) -> f64 {
    let text = style.axis().anchor(Anchor::Middle);
    let at = (style.margin + style.room(6.0), frame.middle().1);
    scene.text_centred(at, up, text.upwards());
    let baseline = frame.bottom() + style.room(36.0);
    // A narrow frame's title begins at the page's margin.
    let half = text.width(across) / 2.0;
    let x = frame.middle().0.max(style.margin + half);
    scene.text((x, baseline), across, text);
    baseline + style.room(6.0)
}

/// Returns the title of an axis of latencies, shorter where there is little room.
pub fn latency_title(axis: &AmountAxis, style: &Style) -> String {
    let from = match style.width {
        None => " from the instant due",
        Some(_) => "",
    };
    format!("latency{from}, ms{}", axis.scale_note())
}

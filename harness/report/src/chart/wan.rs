//! What a write sends between regions: messages and bytes, a bar per mode.

use longhaul_analysis::ModeSummary;

use super::axis::AmountAxis;
use super::page::{self, MARGIN};
use super::theme::{self, Tone};
use super::{Run, axis, plot};
use crate::font::Face;
use crate::scene::{Anchor, Colour, Rectangle, Scene, Stroke, TextStyle};

const BARS: f64 = 260.0;
const ROW: f64 = 26.0;
const NAME: TextStyle = TextStyle::new(12.0).bold();
const FIGURE: TextStyle = TextStyle::new(11.0);
const SMALL: TextStyle = TextStyle::new(10.5).colour(Colour::GREY);

/// One column of bars: what replicas sent each other, and what clients and replicas did.
struct Column {
    title: &'static str,
    replicas: fn(&ModeSummary) -> Option<f64>,
    clients: fn(&ModeSummary) -> Option<f64>,
}

const COLUMNS: [Column; 2] = [
    Column {
        title: "WAN messages per write",
        replicas: |mode| mode.wan.messages_per_write,
        clients: |mode| mode.wan.client_messages_per_write,
    },
    Column {
        title: "WAN bytes per write",
        replicas: |mode| mode.wan.bytes_per_write,
        clients: |mode| mode.wan.client_bytes_per_write,
    },
];

/// Lays out the chart; `None` where no mode completed a write.
pub fn scene(run: &Run<'_>) -> Option<Scene> {
    let modes = &run.analysis.summary.modes;
    if modes.iter().all(|mode| mode.wan.bytes_per_write.is_none()) {
        return None;
    }
    let names = modes.iter().map(|mode| mode.mode.as_str());
    let left = MARGIN + page::widest(names, NAME.size, Face::Bold) + 12.0;
    let figures = COLUMNS.map(|column| {
        let figures: Vec<String> = modes.iter().map(|mode| figures(&column, mode)).collect();
        page::widest(figures.iter().map(String::as_str), FIGURE.size, FIGURE.face) + 8.0
    });
    let starts = [left, left + BARS + figures[0] + 26.0];
    let width = starts[1] + BARS + figures[1] + MARGIN;
    let mut scene = Scene::new(width.max(640.0).ceil(), 0.0);
    let title = "Messages and bytes between regions per write";
    let top = page::heading(&mut scene, title, run) + 26.0;
    for (column, start) in COLUMNS.iter().zip(starts) {
        let frame = Rectangle {
            left: start,
            top,
            width: BARS,
            height: modes.len() as f64 * ROW,
        };
        bars(&mut scene, frame, column, modes);
    }
    for (number, mode) in modes.iter().enumerate() {
        let y = top + (number as f64 + 0.5) * ROW;
        let style = NAME.colour(theme::toned(number, Tone::Text));
        scene.text_centred(
            (left - 10.0, y),
            mode.mode.clone(),
            style.anchor(Anchor::End),
        );
    }
    let bottom = top + modes.len() as f64 * ROW + 22.0;
    let text = "Full bar: between replicas, heartbeats and what reads cause included. Pale bar \
                after it: between clients and replicas of other regions. Traffic within a region \
                does not count.";
    let bottom = page::paragraph(&mut scene, (MARGIN, bottom), text, SMALL);
    page::footer(&mut scene, bottom, run);
    Some(scene)
}

fn bars(scene: &mut Scene, frame: Rectangle, column: &Column, modes: &[ModeSummary]) {
    let total = |mode: &ModeSummary| {
        (column.replicas)(mode).unwrap_or(0.0) + (column.clients)(mode).unwrap_or(0.0)
    };
    let scale = AmountAxis::linear(modes.iter().map(total));
    let x = |amount: f64| frame.left + frame.width * scale.position(amount);
    scene.text((frame.left, frame.top - 10.0), column.title, NAME);
    plot::columns(scene, frame, SMALL.size, &scale.ticks(4, ""));
    for (number, mode) in modes.iter().enumerate() {
        let top = frame.top + number as f64 * ROW + 5.0;
        let replicas = (column.replicas)(mode).unwrap_or(0.0);
        let bar = |from: f64, to: f64| Rectangle {
            left: x(from),
            top,
            width: x(to) - x(from),
            height: ROW - 10.0,
        };
        let all = total(mode);
        let (full, pale) = (bar(0.0, replicas), bar(replicas, all));
        scene.rectangle(pale, theme::toned(number, Tone::Veil));
        let (right, bottom) = (pale.right(), pale.bottom());
        let outline = [
            (pale.left, top),
            (right, top),
            (right, bottom),
            (pale.left, bottom),
        ];
        scene.line(
            &outline,
            Stroke::solid(theme::toned(number, Tone::Soft), 1.0),
        );
        scene.rectangle(full, theme::colour(number));
        let text = figures(column, mode);
        scene.text_centred((right + 6.0, top + ROW / 2.0 - 5.0), text.clone(), FIGURE);
        let whole = Rectangle {
            width: frame.width,
            ..bar(0.0, all)
        };
        let title = column.title;
        scene.mark(whole, format!("{}: {title} {text}", mode.mode));
    }
    let foot = [(frame.left, frame.top), (frame.left, frame.bottom())];
    scene.line(&foot, Stroke::solid(Colour::AXIS, 1.0));
}

/// Returns both parts, e.g. `4.0 + 2.0`.
fn figures(column: &Column, mode: &ModeSummary) -> String {
    let figure = |value: Option<f64>| value.map_or("–".to_owned(), axis::short);
    let (replicas, clients) = ((column.replicas)(mode), (column.clients)(mode));
    format!("{} + {}", figure(replicas), figure(clients))
}

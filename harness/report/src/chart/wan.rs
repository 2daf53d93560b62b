//! What a write sends between regions: messages and bytes, a bar per mode.

use longhaul_analysis::ModeSummary;

use super::axis::AmountAxis;
use super::style::Style;
use super::theme::{self, Tone};
use super::{Run, axis, page, plot};
use crate::font::Face;
use crate::scene::{Anchor, Colour, Rectangle, Scene, Stroke, TextStyle};

const BARS: f64 = 260.0;
const ROW: f64 = 26.0;

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
    let style = run.style();
    let names = modes.iter().map(|mode| mode.mode.as_str());
    let names = page::widest(names, style.text, style.name_face);
    let left = style.margin + names + style.room(12.0);
    let figures = COLUMNS.map(|column| {
        let figures: Vec<String> = modes.iter().map(|mode| figures(&column, mode)).collect();
        page::widest(
            figures.iter().map(String::as_str),
            style.tick,
            Face::Regular,
        ) + 8.0
    });
    let height = modes.len() as f64 * style.room(ROW);
    // A narrow page has one column below the other.
    let (wide, starts) = match style.width {
        None => (BARS, [(left, 0.0), (left + BARS + figures[0] + 26.0, 0.0)]),
        Some(width) => {
            let wide = width - style.margin - left - figures[0].max(figures[1]);
            (wide, [(left, 0.0), (left, height + style.room(46.0))])
        }
    };
    let width = starts[1].0 + wide + figures[1] + style.margin;
    let mut scene = Scene::new(style.width.unwrap_or(width.max(640.0).ceil()), 0.0);
    let title = "Messages and bytes between regions per write";
    let top = page::heading(&mut scene, title, run) + style.room(26.0);
    for (column, (start, down)) in COLUMNS.iter().zip(starts) {
        let frame = Rectangle {
            left: start,
            top: top + down,
            width: wide,
            height,
        };
        bars(&mut scene, frame, column, (modes, &style));
        if start == left {
            beside(&mut scene, frame, modes, &style);
        }
    }
    let bottom = top + starts[1].1 + height + style.room(22.0);
    let text = "Full bar: between replicas, heartbeats and what reads cause included. Pale bar \
                after it: between clients and replicas of other regions. Traffic within a region \
                does not count.";
    let bottom = page::note(&mut scene, (style.margin, bottom), text, &style);
    page::footer(&mut scene, bottom, run);
    Some(scene)
}

/// Draws the modes' names beside a frame.
fn beside(scene: &mut Scene, frame: Rectangle, modes: &[ModeSummary], style: &Style) {
    for (number, mode) in modes.iter().enumerate() {
        let y = frame.top + (number as f64 + 0.5) * style.room(ROW);
        let name = style.name().colour(theme::toned(number, Tone::Text));
        let at = (frame.left - style.room(10.0), y);
        scene.text_centred(at, mode.mode.clone(), name.anchor(Anchor::End));
    }
}

fn bars(
    scene: &mut Scene,
    frame: Rectangle,
    column: &Column,
    (modes, style): (&[ModeSummary], &Style),
) {
    let (row, inset) = (style.room(ROW), style.room(5.0));
    let total = |mode: &ModeSummary| {
        (column.replicas)(mode).unwrap_or(0.0) + (column.clients)(mode).unwrap_or(0.0)
    };
    let scale = AmountAxis::linear(modes.iter().map(total));
    let x = |amount: f64| frame.left + frame.width * scale.position(amount);
    let at = (frame.left, frame.top - style.room(10.0));
    scene.text(at, column.title, style.name());
    let wanted = match style.width {
        None => 4,
        Some(_) => plot::columns_wanted(frame, style.note),
    };
    plot::columns(scene, frame, style.note, &scale.ticks(wanted, ""));
    for (number, mode) in modes.iter().enumerate() {
        let top = frame.top + number as f64 * row + inset;
        let replicas = (column.replicas)(mode).unwrap_or(0.0);
        let bar = |from: f64, to: f64| Rectangle {
            left: x(from),
            top,
            width: x(to) - x(from),
            height: row - 2.0 * inset,
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
        let at = (right + 6.0, top + row / 2.0 - inset);
        scene.text_centred(at, text.clone(), TextStyle::new(style.tick));
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

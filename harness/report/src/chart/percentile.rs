//! Latency by percentile, all client regions together: one labelled line per mode.

use super::axis::{AmountAxis, PercentileAxis};
use super::page::{self, MARGIN};
use super::panel::{self, Line, Panel};
use super::theme::{self, Tone};
use super::{Run, Shown, plot};
use crate::scene::{Rectangle, Scene, Stroke, TextStyle};

const PLOT: (f64, f64) = (680.0, 400.0);
const LABEL: TextStyle = TextStyle::new(12.0).bold();
/// From the plot's right edge to the labels: room for the lines that lead to them.
const LEAD: f64 = 30.0;

/// Lays out the chart.
pub fn scene(run: &Run<'_>, shown: Shown) -> Scene {
    let modes = &run.analysis.curves.modes;
    let lines: Vec<Line<'_>> = modes
        .iter()
        .enumerate()
        .filter_map(|(mode, curves)| {
            let curve = shown.of_mode(curves)?;
            Some(Line {
                mode,
                curve,
                model: None,
            })
        })
        .collect();
    let style = run.style();
    let names: Vec<&str> = modes.iter().map(|mode| mode.mode.as_str()).collect();
    let labels = page::widest(names.iter().copied(), LABEL.size, LABEL.face);
    let left = style.margin + style.room(56.0);
    let plot = style.plot(left, PLOT);
    let width = left + plot.0 + LEAD + labels + MARGIN;
    let mut scene = Scene::new(style.width.unwrap_or(width.ceil()), 0.0);
    let title = format!(
        "Latency of {}s by percentile, all client regions",
        shown.name()
    );
    let mut top = page::heading(&mut scene, &title, run);
    // A narrow page has its labels above the plot instead of beside it.
    let is_narrow = style.width.is_some();
    if is_narrow {
        top = page::names(&mut scene, top, run, shown);
    }
    let panel = Panel {
        frame: Rectangle {
            left,
            top: top + style.room(10.0),
            width: plot.0,
            height: plot.1,
        },
        percentiles: PercentileAxis::of(&style, lines.iter().map(|line| line.curve)),
        latencies: AmountAxis::fitting(lines.iter().map(|line| line.curve)),
        tick_size: style.tick,
        line_width: 2.4,
        style,
    };
    panel.axes(&mut scene);
    lines
        .iter()
        .for_each(|line| panel.floors(&mut scene, line, lines.len()));
    lines.iter().for_each(|line| panel.line(&mut scene, line));
    if !is_narrow {
        end_labels(&mut scene, &panel, &lines, &names);
    }
    marks(&mut scene, &panel, &lines, &names);
    let up = plot::latency_title(&panel.latencies, &style);
    let titles = [PercentileAxis::title(&style), &up];
    let bottom = plot::titled(&mut scene, panel.frame, &style, titles);
    let at = (left, bottom + style.room(6.0));
    let bottom = panel::key(&mut scene, at, &lines, &style);
    page::footer(&mut scene, bottom, run);
    scene
}

/// Draws each mode's name at its line's end, moved apart where they would touch.
fn end_labels(scene: &mut Scene, panel: &Panel, lines: &[Line<'_>], names: &[&str]) {
    let ends: Vec<_> = lines.iter().map(|line| panel.end(line.curve)).collect();
    let wanted: Vec<f64> = ends.iter().map(|end| end.1).collect();
    let frame = panel.frame;
    let heights = page::spread(&wanted, LABEL.size * 1.45, frame.top, frame.bottom());
    let x = frame.right() + LEAD;
    for ((line, end), height) in lines.iter().zip(&ends).zip(heights) {
        let lead = Stroke::solid(theme::toned(line.mode, Tone::Pale), 0.8);
        let bend = frame.right() + 8.0;
        let straight = [*end, (bend.max(end.0), end.1), (x - 14.0, height)];
        scene.line(&straight, lead);
        theme::marker(scene, line.mode, (x - 9.0, height), 3.8);
        let name = names[line.mode];
        let colour = theme::toned(line.mode, Tone::Text);
        scene.text_centred((x, height), name, LABEL.colour(colour));
    }
}

/// Marks points of each curve with what they are, a few to the nine.
fn marks(scene: &mut Scene, panel: &Panel, lines: &[Line<'_>], names: &[&str]) {
    for line in lines {
        let (mut last, name) = (f64::NEG_INFINITY, names[line.mode]);
        for point in &line.curve.points {
            let at = panel.place(point);
            if at.0 - last >= 9.0 {
                scene.mark_point(at, panel::describe(name, point));
                last = at.0;
            }
        }
    }
}

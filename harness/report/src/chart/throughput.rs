//! Latency against throughput: a line per mode through the points of a sweep.

use super::Drawing;
use super::axis::AmountAxis;
use super::page::{self, MARGIN};
use super::plot::{self, Plot};
use super::theme::{self, Tone};
use crate::scene::{Colour, Point, Rectangle, Scene, Stroke, TextStyle};

const PLOT: (f64, f64) = (680.0, 380.0);
const LABEL: TextStyle = TextStyle::new(12.0).bold();
const SMALL: TextStyle = TextStyle::new(10.5).colour(Colour::GREY);
const LEAD: f64 = 30.0;

/// What one rate gave in one mode.
#[derive(Clone, Debug, PartialEq)]
pub struct ThroughputPoint {
    /// The mode's canonical string.
    pub mode: String,
    /// Operations per second that were due, of all client regions together.
    pub offered_ops: f64,
    /// Those that succeeded, per second.
    pub goodput_ops: f64,
    /// The median latency of all operations due, in milliseconds; `None` where it falls among
    /// those that did not succeed.
    pub p50_ms: Option<f64>,
    /// The 99th percentile of the same.
    pub p99_ms: Option<f64>,
    /// Whether the machine, not the mode, set the limit: such points are drawn hollow.
    pub machine_bound: bool,
}

/// Lays out latency against goodput; points of one mode are joined in the order of their offered
/// rates. `caption` says what was run, below the title; empty where it stands elsewhere.
pub fn throughput(points: &[ThroughputPoint], caption: &str) -> Drawing {
    let title = "Latency against throughput".to_owned();
    let lines = lines(points);
    let names = lines.iter().map(|(mode, _)| *mode);
    let labels = page::widest(names, LABEL.size, LABEL.face);
    let left = MARGIN + 56.0;
    let mut scene = Scene::new((left + PLOT.0 + LEAD + labels + MARGIN).ceil(), 0.0);
    let top = match caption {
        "" => 14.0,
        caption => page::captioned(&mut scene, &title, caption) + 10.0,
    };
    let latencies = points.iter().flat_map(|point| [point.p50_ms, point.p99_ms]);
    let plot = Plot {
        frame: Rectangle {
            left,
            top,
            width: PLOT.0,
            height: PLOT.1,
        },
        across: AmountAxis::spanning(points.iter().map(|point| point.goodput_ops)),
        up: AmountAxis::spanning(latencies.flatten()),
        tick_size: 11.0,
    };
    plot.axes(&mut scene, "");
    for (number, (_, points)) in lines.iter().enumerate() {
        line(&mut scene, &plot, number, points);
    }
    end_labels(&mut scene, &plot, &lines);
    let across = format!(
        "operations that succeeded, per second, all client regions{}",
        plot.across.scale_note()
    );
    let up = format!("latency from the instant due, ms{}", plot.up.scale_note());
    let bottom = plot::titles(&mut scene, plot.frame, &across, &up);
    let text = "Thick: p99; thin: p50. Hollow: the machine was the limit, not the mode. A triangle \
                at the top: the percentile is beyond the time-out.";
    let bottom = page::paragraph(&mut scene, (left, bottom + 4.0), text, SMALL);
    scene.height = (bottom + MARGIN / 2.0).ceil();
    Drawing {
        name: "latency-against-throughput".to_owned(),
        title,
        reading: "Each point is one offered rate; where a line bends upwards or back, the mode \
                  no longer keeps up.",
        scene,
    }
}

/// The points of each mode by offered rate, modes in order of appearance.
fn lines(points: &[ThroughputPoint]) -> Vec<(&str, Vec<&ThroughputPoint>)> {
    let mut lines: Vec<(&str, Vec<&ThroughputPoint>)> = Vec::new();
    for point in points {
        match lines.iter_mut().find(|(mode, _)| *mode == point.mode) {
            Some((_, line)) => line.push(point),
            None => lines.push((&point.mode, vec![point])),
        }
    }
    for (_, line) in &mut lines {
        line.sort_by(|a, b| a.offered_ops.total_cmp(&b.offered_ops));
    }
    lines
}

/// Returns where a latency stands: at the top where it is beyond the time-out.
fn place(plot: &Plot, point: &ThroughputPoint, latency_ms: Option<f64>) -> Point {
    match latency_ms {
        Some(latency_ms) => plot.place(point.goodput_ops, latency_ms),
        None => (plot.place(point.goodput_ops, 0.0).0, plot.frame.top),
    }
}

fn line(scene: &mut Scene, plot: &Plot, mode: usize, points: &[&ThroughputPoint]) {
    let path = |latency: fn(&ThroughputPoint) -> Option<f64>| -> Vec<Point> {
        let points = points.iter();
        points
            .map(|point| place(plot, point, latency(point)))
            .collect()
    };
    let colour = theme::colour(mode);
    let thin = Stroke::dashed(theme::toned(mode, Tone::Soft), 1.0, 4.0, 2.5);
    scene.line(&path(|point| point.p50_ms), thin);
    scene.line(&path(|point| point.p99_ms), Stroke::solid(colour, 2.2));
    for point in points {
        let at = place(plot, point, point.p99_ms);
        match (point.p99_ms, point.machine_bound) {
            (None, _) => {
                let corners = [(0.0, -3.0), (4.5, 6.0), (-4.5, 6.0)];
                scene.polygon(corners.map(|(x, y)| (at.0 + x, at.1 + y)).to_vec(), colour);
            }
            (Some(_), hollow) => theme::shaped(scene, (mode, hollow), at, 4.2),
        }
        scene.mark_point(at, describe(point));
    }
}

fn end_labels(scene: &mut Scene, plot: &Plot, lines: &[(&str, Vec<&ThroughputPoint>)]) {
    let last = |(_, points): &(&str, Vec<&ThroughputPoint>)| {
        let last = points.last().map(|point| place(plot, point, point.p99_ms));
        last.unwrap_or((plot.frame.right(), plot.frame.top))
    };
    let ends: Vec<Point> = lines.iter().map(last).collect();
    let wanted: Vec<f64> = ends.iter().map(|end| end.1).collect();
    let frame = plot.frame;
    let heights = page::spread(&wanted, LABEL.size * 1.45, frame.top, frame.bottom());
    let x = frame.right() + LEAD;
    for (number, ((name, _), (end, height))) in
        lines.iter().zip(ends.iter().zip(heights)).enumerate()
    {
        let lead = Stroke::solid(theme::toned(number, Tone::Pale), 0.8);
        scene.line(
            &[*end, (frame.right() + 8.0, height), (x - 16.0, height)],
            lead,
        );
        theme::shaped(scene, (number, false), (x - 9.0, height), 3.8);
        let style = LABEL.colour(theme::toned(number, Tone::Text));
        scene.text_centred((x, height), *name, style);
    }
}

fn describe(point: &ThroughputPoint) -> String {
    let figure = |value: Option<f64>| {
        value.map_or("> time-out".to_owned(), |value| format!("{value:.2} ms"))
    };
    let bound = if point.machine_bound {
        "; machine-bound"
    } else {
        ""
    };
    format!(
        "{}: {:.0} due and {:.0} succeeded per second, p50 {}, p99 {}{bound}",
        point.mode,
        point.offered_ops,
        point.goodput_ops,
        figure(point.p50_ms),
        figure(point.p99_ms),
    )
}

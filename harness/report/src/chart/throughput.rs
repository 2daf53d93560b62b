//! Latency against throughput: a line per mode through the points of a sweep.

use super::Drawing;
use super::axis::{AmountAxis, short};
use super::page::{self, MARGIN};
use super::plot::{self, Plot};
use super::theme::{self, Tone};
use crate::scene::{Colour, Point, Rectangle, Scene, Stroke, TextStyle};

const PLOT: (f64, f64) = (680.0, 400.0);
const LABEL: TextStyle = TextStyle::new(12.0).bold();
const SMALL: TextStyle = TextStyle::new(10.5).colour(Colour::GREY);
const LEAD: f64 = 30.0;
/// Room above the axis' end for what is beyond the time-out.
const BEYOND: f64 = 16.0;

/// What one rate gave in one mode.
#[derive(Clone, Debug, PartialEq)]
pub struct ThroughputPoint {
    /// The mode's canonical string.
    pub mode: String,
    /// The rate asked for, operations per second and client region.
    pub rate_ops: f64,
    /// Operations per second that were due, of all client regions together.
    pub offered_ops: f64,
    /// Operations per second that were done while load went on.
    pub throughput_ops: f64,
    /// The median latency of all operations due, in milliseconds; `None` where it falls among
    /// those that did not succeed.
    pub p50_ms: Option<f64>,
    /// The 99th percentile of the same.
    pub p99_ms: Option<f64>,
    /// Operations due that did not succeed, in percent.
    pub errors_percent: f64,
    /// Operations due and not done when the window ended.
    pub backlog: u64,
    /// Whether the machine, not the mode, set the limit: such points are drawn hollow.
    pub machine_bound: bool,
}

/// What a chart of latency against throughput shows.
#[derive(Clone, Copy, Debug)]
pub struct ThroughputChart<'a> {
    /// The modes, in the order that gives them their colours.
    pub modes: &'a [&'a str],
    /// The points of each, by rate; of several at one rate the first is on the line.
    pub points: &'a [ThroughputPoint],
    /// A latency that must not be exceeded, in milliseconds, and what it is a limit of.
    pub limit: Option<(f64, &'a str)>,
    /// What was run, below the title; empty where that stands elsewhere.
    pub caption: &'a str,
}

/// Lays out latency against throughput.
pub fn throughput(chart: &ThroughputChart<'_>) -> Drawing {
    let title = "Latency against throughput".to_owned();
    let lines = lines(chart);
    let names = lines.iter().map(|line| line.name);
    let labels = page::widest(names, LABEL.size, LABEL.face);
    let left = MARGIN + 56.0;
    let mut scene = Scene::new((left + PLOT.0 + LEAD + labels + MARGIN).ceil(), 0.0);
    let top = match chart.caption {
        "" => 14.0,
        caption => page::captioned(&mut scene, &title, caption) + 10.0,
    };
    let points = chart.points.iter();
    let latencies = points
        .clone()
        .flat_map(|point| [point.p50_ms, point.p99_ms]);
    let limit = chart.limit.map(|(limit_ms, _)| limit_ms);
    let plot = Plot {
        frame: Rectangle {
            left,
            top: top + BEYOND,
            width: PLOT.0,
            height: PLOT.1,
        },
        across: AmountAxis::spanning(points.map(|point| point.throughput_ops)),
        up: AmountAxis::logarithmic(latencies.chain([limit]).flatten()),
        tick_size: 11.0,
    };
    plot.axes(&mut scene, "");
    if let Some((limit_ms, text)) = chart.limit {
        draw_limit(&mut scene, &plot, limit_ms, text);
    }
    // Leads to the labels first: markers cover their ends.
    end_labels(&mut scene, &plot, &lines);
    for line in &lines {
        draw_line(&mut scene, &plot, line);
    }
    let across = format!(
        "operations done per second, all client regions{}",
        plot.across.scale_note()
    );
    let up = "latency from the instant due, ms, logarithmic";
    let bottom = plot::titles(&mut scene, plot.frame, &across, up);
    let bottom = page::paragraph(&mut scene, (left, bottom + 4.0), &key(chart), SMALL);
    scene.height = (bottom + MARGIN / 2.0).ceil();
    Drawing {
        name: "latency-against-throughput".to_owned(),
        title,
        reading: "Each point is one offered rate, joined from low to high; where a line turns \
                  upwards or back, the mode no longer keeps up and operations pile up.",
        scene,
    }
}

/// Says what marks mean, of those that are there.
fn key(chart: &ThroughputChart<'_>) -> String {
    let mut text = "Thick: p99; thin: p50.".to_owned();
    if chart.points.iter().any(|point| point.machine_bound) {
        text.push_str(
            " Hollow, dotted line: machine-bound, over 80% busy: the machine was the limit, not \
             the mode.",
        );
    }
    if chart.points.iter().any(|point| point.p99_ms.is_none()) {
        text.push_str(" A triangle above the frame: p99 is beyond the time-out.");
    }
    text
}

/// The points of one mode.
struct Line<'a> {
    /// Its place among the modes.
    number: usize,
    name: &'a str,
    /// Those that are joined: one a rate, ascending.
    joined: Vec<&'a ThroughputPoint>,
    /// Further ones at the same rates.
    others: Vec<&'a ThroughputPoint>,
}

/// Returns the modes that have points.
fn lines<'a>(chart: &ThroughputChart<'a>) -> Vec<Line<'a>> {
    let line = |(number, name): (usize, &&'a str)| {
        let of_mode = |point: &&ThroughputPoint| point.mode == *name;
        let mut points: Vec<&ThroughputPoint> = chart.points.iter().filter(of_mode).collect();
        points.sort_by(|a, b| a.rate_ops.total_cmp(&b.rate_ops));
        let mut joined: Vec<&ThroughputPoint> = Vec::new();
        let mut others = Vec::new();
        for point in points {
            match joined.last() {
                Some(last) if last.rate_ops == point.rate_ops => others.push(point),
                _ => joined.push(point),
            }
        }
        (!joined.is_empty()).then_some(Line {
            number,
            name,
            joined,
            others,
        })
    };
    chart.modes.iter().enumerate().filter_map(line).collect()
}

/// Returns where a latency stands: above the frame where it is beyond the time-out.
fn place(plot: &Plot, point: &ThroughputPoint, latency_ms: Option<f64>) -> Point {
    let x = plot.place(point.throughput_ops, 0.0).0;
    match latency_ms {
        Some(latency_ms) => plot.place(point.throughput_ops, latency_ms),
        None => (x, plot.frame.top - BEYOND / 2.0),
    }
}

fn draw_limit(scene: &mut Scene, plot: &Plot, limit_ms: f64, text: &str) {
    let (_, y) = plot.place(0.0, limit_ms);
    let (left, right) = (plot.frame.left, plot.frame.right());
    scene.line(
        &[(left, y), (right, y)],
        Stroke::dashed(Colour::ALARM, 1.2, 7.0, 4.0),
    );
    scene.text((left + 8.0, y - 5.0), text, SMALL.colour(Colour::ALARM));
}

fn draw_line(scene: &mut Scene, plot: &Plot, line: &Line<'_>) {
    let colour = theme::colour(line.number);
    let soft = theme::toned(line.number, Tone::Soft);
    for pair in line.joined.windows(2) {
        let ends = |latency: fn(&ThroughputPoint) -> Option<f64>| {
            [0, 1].map(|end| place(plot, pair[end], latency(pair[end])))
        };
        let stroke = match pair[1].machine_bound {
            true => Stroke::dashed(colour, 1.6, 1.6, 3.4),
            false => Stroke::solid(colour, 2.2),
        };
        scene.line(&ends(|point| point.p50_ms), Stroke::solid(soft, 1.0));
        scene.line(&ends(|point| point.p99_ms), stroke);
    }
    let marked = line.others.iter().map(|point| (point, 2.6));
    for (point, radius) in marked.chain(line.joined.iter().map(|point| (point, 4.2))) {
        let at = place(plot, point, point.p99_ms);
        match point.p99_ms {
            None => beyond(scene, at, radius, (colour, point.machine_bound)),
            Some(_) => theme::shaped(scene, (line.number, point.machine_bound), at, radius),
        }
        scene.mark_point(at, describe(point));
    }
}

/// Draws a triangle that points to where there is no more room.
fn beyond(scene: &mut Scene, at: Point, radius: f64, (colour, hollow): (Colour, bool)) {
    let corners = [(0.0, -1.2), (1.1, 0.9), (-1.1, 0.9)];
    let corners = corners.map(|(x, y)| (at.0 + radius * x, at.1 + radius * y));
    let fill = if hollow { Colour::WHITE } else { colour };
    scene.polygon(corners.to_vec(), fill);
    let [a, b, c] = corners;
    scene.line(&[a, b, c, a], Stroke::solid(colour, 1.4));
}

fn end_labels(scene: &mut Scene, plot: &Plot, lines: &[Line<'_>]) {
    // The rightmost point: a line that turns back ends somewhere among the others.
    let rightmost = |line: &Line<'_>| {
        let points = line.joined.iter();
        let most = points.max_by(|a, b| a.throughput_ops.total_cmp(&b.throughput_ops));
        let most = most.map(|point| place(plot, point, point.p99_ms));
        most.unwrap_or((plot.frame.right(), plot.frame.top))
    };
    let ends: Vec<Point> = lines.iter().map(rightmost).collect();
    let wanted: Vec<f64> = ends.iter().map(|end| end.1).collect();
    let frame = plot.frame;
    let heights = page::spread(&wanted, LABEL.size * 1.45, frame.top, frame.bottom());
    let x = frame.right() + LEAD;
    for (line, (end, height)) in lines.iter().zip(ends.iter().zip(heights)) {
        let lead = Stroke::solid(theme::toned(line.number, Tone::Pale), 0.8);
        scene.line(
            &[*end, (frame.right() + 8.0, height), (x - 16.0, height)],
            lead,
        );
        theme::shaped(scene, (line.number, false), (x - 9.0, height), 3.8);
        let style = LABEL.colour(theme::toned(line.number, Tone::Text));
        scene.text_centred((x, height), line.name, style);
    }
}

fn describe(point: &ThroughputPoint) -> String {
    let figure = |value: Option<f64>| {
        value.map_or("> time-out".to_owned(), |value| {
            format!("{} ms", short(value))
        })
    };
    let bound = if point.machine_bound {
        "; machine-bound"
    } else {
        ""
    };
    format!(
        "{}: {:.0} due and {:.0} done per second, p50 {}, p99 {}, errors {:.2}%, backlog {}{bound}",
        point.mode,
        point.offered_ops,
        point.throughput_ops,
        figure(point.p50_ms),
        figure(point.p99_ms),
        point.errors_percent,
        point.backlog,
    )
}

//! Latency over time: for each mode a panel with the median of every second and bands up to p99.

mod seconds;

use longhaul_experiment::parallel;

use super::axis::AmountAxis;
use super::page::{self, MARGIN};
use super::plot::Plot;
use super::theme::{self, Tone};
use super::{Run, Shown};
use crate::scene::{Anchor, Colour, Point, Rectangle, Scene, Stroke, TextStyle};

use seconds::{Span, spans};

const PLOT: (f64, f64) = (420.0, 120.0);
const LEFT: f64 = 44.0;
const ABOVE: f64 = 30.0;
const BELOW: f64 = 26.0;
const RIGHT: f64 = 22.0;
const NAME: TextStyle = TextStyle::new(12.0).bold();
const SMALL: TextStyle = TextStyle::new(10.5).colour(Colour::GREY);
/// Most spans of a panel: longer runs have spans of several seconds.
const SPANS_MAX: usize = 120;

/// Lays out the chart; `None` where the record has no interval logs.
pub fn scene(run: &Run<'_>, shown: Shown) -> Option<Scene> {
    let threads = parallel::processors();
    let spans_of_mode = |mode: &_| spans(mode, shown, SPANS_MAX);
    let spans_of_modes = parallel::map(&run.record.modes, threads, spans_of_mode);
    let modes: Vec<(usize, Vec<Span>)> = spans_of_modes
        .into_iter()
        .enumerate()
        .filter(|(_, spans)| !spans.is_empty())
        .collect();
    if modes.is_empty() {
        return None;
    }
    let columns = if modes.len() == 1 { 1 } else { 2 };
    let cell = (LEFT + PLOT.0 + RIGHT, ABOVE + PLOT.1 + BELOW);
    let axis_title = 20.0;
    let width = MARGIN + axis_title + columns as f64 * cell.0 + MARGIN - RIGHT;
    let mut scene = Scene::new(width.max(640.0), 0.0);
    let title = format!("Latency of {}s over time, all client regions", shown.name());
    let top = page::heading(&mut scene, &title, run);
    let all = || modes.iter().flat_map(|(_, spans)| spans);
    let across = AmountAxis::exactly(all().map(|span| span.end_s).fold(0.0, f64::max));
    for (place, (mode, spans)) in modes.iter().enumerate() {
        let plot = Plot {
            frame: Rectangle {
                left: MARGIN + axis_title + (place % columns) as f64 * cell.0 + LEFT,
                top: top + (place / columns) as f64 * cell.1 + ABOVE,
                width: PLOT.0,
                height: PLOT.1,
            },
            across,
            up: axis(spans),
            tick_size: 10.0,
        };
        let name = run.analysis.summary.modes.get(*mode);
        let name = name.map_or("", |mode| mode.mode.as_str());
        panel(&mut scene, &plot, (*mode, name), spans);
    }
    let rows = modes.len().div_ceil(columns);
    let bottom = top + rows as f64 * cell.1;
    let style = TextStyle::new(12.0).colour(Colour::GREY);
    scene.text_centred(
        (MARGIN + 6.0, (top + ABOVE + bottom - BELOW) / 2.0),
        "latency, ms",
        style.anchor(Anchor::Middle).upwards(),
    );
    let failed = all().any(|span| span.ok < span.due);
    let bottom = key(&mut scene, bottom + 4.0, all().next(), failed);
    page::footer(&mut scene, bottom, run);
    Some(scene)
}

/// A mode's own scale: what matters here is how it changes, not how modes compare.
fn axis(spans: &[Span]) -> AmountAxis {
    let latencies = spans
        .iter()
        .flat_map(|span| [span.p50_ms, span.p90_ms, span.p99_ms]);
    AmountAxis::spanning(latencies.flatten())
}

fn panel(scene: &mut Scene, plot: &Plot, (mode, name): (usize, &str), spans: &[Span]) {
    plot.axes(scene, " s");
    let outer = runs(spans, |span| Some((span.p50_ms?, span.p99_ms?)));
    band(scene, plot, &outer, theme::toned(mode, Tone::Veil));
    let inner = runs(spans, |span| Some((span.p50_ms?, span.p90_ms?)));
    band(scene, plot, &inner, theme::toned(mode, Tone::Band));
    for run in runs(spans, |span| span.p50_ms) {
        let points: Vec<Point> = run
            .iter()
            .flat_map(|(span, p50)| [plot.place(span.start_s, *p50), plot.place(span.end_s, *p50)])
            .collect();
        scene.line(&points, Stroke::solid(theme::colour(mode), 1.8));
    }
    let frame = plot.frame;
    for span in spans {
        let (left, right) = (
            plot.place(span.start_s, 0.0).0,
            plot.place(span.end_s, 0.0).0,
        );
        if span.ok < span.due {
            let lost = Rectangle {
                left,
                top: frame.top - 5.0,
                width: (right - left).max(1.0),
                height: 4.0,
            };
            scene.rectangle(lost, Colour::ALARM);
        }
        let area = Rectangle {
            left,
            top: frame.top,
            width: right - left,
            height: frame.height,
        };
        scene.mark(area, span.describe(name));
    }
    let marker = (frame.left + 5.0, frame.top - 16.0);
    theme::marker(scene, mode, marker, 3.8);
    let style = NAME.colour(theme::toned(mode, Tone::Text));
    scene.text_centred((marker.0 + 11.0, marker.1), name, style);
}

/// Returns the stretches of spans that have a value.
fn runs<T>(spans: &[Span], value: impl Fn(&Span) -> Option<T>) -> Vec<Stretch<'_, T>> {
    let mut runs = vec![Vec::new()];
    for span in spans {
        match (value(span), runs.last_mut()) {
            (Some(value), Some(run)) => run.push((span, value)),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Spans next to each other, each with what holds in it.
type Stretch<'a, T> = Vec<(&'a Span, T)>;

/// Fills the area between the limits of every stretch.
fn band(scene: &mut Scene, plot: &Plot, stretches: &[Stretch<'_, (f64, f64)>], fill: Colour) {
    for run in stretches {
        let lower = run.iter().flat_map(|(span, (low, _))| {
            [plot.place(span.start_s, *low), plot.place(span.end_s, *low)]
        });
        let upper = run.iter().rev().flat_map(|(span, (_, high))| {
            [
                plot.place(span.end_s, *high),
                plot.place(span.start_s, *high),
            ]
        });
        scene.polygon(lower.chain(upper).collect(), fill);
    }
}

/// Says what line and bands are, and returns where it ends.
fn key(scene: &mut Scene, top: f64, span: Option<&Span>, failed: bool) -> f64 {
    let seconds = span.map_or(1.0, |span| span.end_s - span.start_s);
    let each = if seconds <= 1.0 {
        "second".to_owned()
    } else {
        format!("{seconds:.0} seconds")
    };
    let lost = if failed {
        " A bar above a panel: some due then did not succeed."
    } else {
        ""
    };
    let text = format!(
        "Seconds after the start of the measured window. Line: p50 of all operations due in each \
         {each}; inner band: up to p90; outer band: up to p99. Each panel has \
         its own scale.{lost}"
    );
    page::paragraph(scene, (MARGIN, top), &text, SMALL)
}

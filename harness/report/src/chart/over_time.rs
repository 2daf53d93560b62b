//! Latency over time: for each mode a panel with the median of successive spans and bands up to
//! p99. Spans last a second at least.

mod seconds;

use longhaul_analysis::Percentile;
use longhaul_experiment::parallel;

use super::axis::{AmountAxis, short};
use super::plot::Plot;
use super::style::Style;
use super::theme::{self, Tone};
use super::{Run, Shown, page};
use crate::scene::{Anchor, Colour, Point, Rectangle, Scene, Stroke};

use seconds::{Span, spans};

const PLOT: (f64, f64) = (420.0, 120.0);
/// Room around each plot on screens.
const LEFT: f64 = 44.0;
const ABOVE: f64 = 30.0;
const BELOW: f64 = 26.0;
const RIGHT: f64 = 22.0;
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
    let style = run.style();
    let columns = if modes.len() == 1 || style.width.is_some() {
        1
    } else {
        2
    };
    let axis_title = style.room(20.0);
    let [beside, above, below, right] = [LEFT, ABOVE, BELOW, RIGHT].map(|room| style.room(room));
    let start = style.margin + axis_title + beside;
    let wide = style.plot(start + right - style.room(8.0), PLOT).0;
    let high = match style.width {
        None => PLOT.1,
        Some(_) => 48.0,
    };
    let cell = (beside + wide + right, above + high + below);
    let width = 2.0 * style.margin + axis_title + columns as f64 * cell.0 - right;
    let mut scene = Scene::new(style.width.unwrap_or(width.max(640.0)), 0.0);
    let title = format!("Latency of {}s over time, all client regions", shown.name());
    let top = page::heading(&mut scene, &title, run);
    let all = || modes.iter().flat_map(|(_, spans)| spans);
    let across = AmountAxis::exactly(all().map(|span| span.end_s).fold(0.0, f64::max));
    for (place, (mode, spans)) in modes.iter().enumerate() {
        let plot = Plot {
            frame: Rectangle {
                left: start + (place % columns) as f64 * cell.0,
                top: top + (place / columns) as f64 * cell.1 + above,
                width: wide,
                height: high,
            },
            across,
            up: axis(spans),
            tick_size: style.panel_tick,
        };
        let name = run.analysis.summary.modes.get(*mode);
        let name = name.map_or("", |mode| mode.mode.as_str());
        let mode = Named {
            mode: *mode,
            name,
            style: &style,
        };
        panel(&mut scene, &plot, &mode, spans);
    }
    let rows = modes.len().div_ceil(columns);
    let bottom = top + rows as f64 * cell.1;
    let middle = (top + above + bottom - below) / 2.0;
    scene.text_centred(
        (style.margin + style.room(6.0), middle),
        "latency, ms",
        style.axis().anchor(Anchor::Middle).upwards(),
    );
    let spans: Vec<Span> = all().copied().collect();
    let bottom = key(&mut scene, bottom + style.room(4.0), &spans, &style);
    page::footer(&mut scene, bottom, run);
    Some(scene)
}

/// A mode's own scale: what matters here is how it changes, not how modes compare.
fn axis(spans: &[Span]) -> AmountAxis {
    let latencies = spans.iter().flat_map(|span| span.latencies_ms);
    AmountAxis::spanning(latencies.flatten())
}

/// A mode and how its panel is set.
struct Named<'a> {
    mode: usize,
    name: &'a str,
    style: &'a Style,
}

fn panel(scene: &mut Scene, plot: &Plot, named: &Named<'_>, spans: &[Span]) {
    let (mode, style) = (named.mode, named.style);
    plot.axes(scene, " s");
    let outer = runs(spans, |span| {
        Some((span.at(Percentile::P50)?, span.at(Percentile::P99)?))
    });
    band(scene, plot, &outer, theme::toned(mode, Tone::Veil));
    let inner = runs(spans, |span| {
        Some((span.at(Percentile::P50)?, span.at(Percentile::P90)?))
    });
    band(scene, plot, &inner, theme::toned(mode, Tone::Band));
    let doubted = Stroke::dashed(theme::toned(mode, Tone::Soft), 0.9, 3.0, 2.0);
    for edge in EDGES {
        let too_few = |span: &Span| span.at(edge).filter(|_| span.is_unsupported(edge));
        for run in runs(spans, too_few) {
            scene.line(&steps(plot, &run), doubted);
        }
    }
    for run in runs(spans, |span| span.at(Percentile::P50)) {
        scene.line(&steps(plot, &run), Stroke::solid(theme::colour(mode), 1.8));
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
        scene.mark(area, span.describe(named.name));
    }
    let marker = (frame.left + style.room(5.0), frame.top - style.room(16.0));
    theme::marker(scene, mode, marker, style.marker);
    let name = style.name().colour(theme::toned(mode, Tone::Text));
    scene.text_centred((marker.0 + style.room(11.0), marker.1), named.name, name);
}

/// The upper edges of the bands.
const EDGES: [Percentile; 2] = [Percentile::P90, Percentile::P99];

/// Returns the line through the values of a stretch, level within each span.
fn steps(plot: &Plot, stretch: &Stretch<'_, f64>) -> Vec<Point> {
    let ends = |(span, value): &(&Span, f64)| {
        [
            plot.place(span.start_s, *value),
            plot.place(span.end_s, *value),
        ]
    };
    stretch.iter().flat_map(ends).collect()
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
fn key(scene: &mut Scene, top: f64, spans: &[Span], style: &Style) -> f64 {
    let lengths = spans.iter().map(|span| span.end_s - span.start_s);
    let mut text = format!(
        "Seconds after the start of the measured window. Line: p50 of all operations due in spans of \
         {} s; inner band: up to p90; outer band: up to p99.",
        short(lengths.fold(0.0, f64::max))
    );
    let doubted = |span: &Span| EDGES.iter().any(|edge| span.is_unsupported(*edge));
    if spans.iter().any(doubted) {
        text.push_str(" Dashed edge: fewer than 10 operations beyond it, do not compare.");
    }
    text.push_str(" Each panel has its own scale.");
    if spans.iter().any(|span| span.ok < span.due) {
        text.push_str(" A bar above a panel: some due then did not succeed.");
    }
    page::note(scene, (style.margin, top), &text, style)
}

//! The distribution of latency: the share of operations done within a time, a line per mode.

use longhaul_experiment::record::KindRecord;

use super::axis::AmountAxis;
use super::plot::{self, Plot};
use super::{Run, Shown, page, theme};
use crate::overall::{overall, percentiles};
use crate::scene::{Anchor, Point, Rectangle, Scene, Stroke};

const PLOT: (f64, f64) = (880.0, 340.0);
/// Stands at the right edge where latencies lie beyond it.
const BEYOND: &str = "the longest 0.1% or less lie beyond this edge";

/// Lays out the chart.
pub fn scene(run: &Run<'_>, shown: Shown) -> Scene {
    let modes: Vec<(usize, KindRecord)> = run
        .record
        .modes
        .iter()
        .enumerate()
        .filter_map(|(index, mode)| Some((index, overall(mode, shown)?)))
        .collect();
    let style = run.style();
    let left = style.margin + style.room(56.0);
    let size = style.plot(left, PLOT);
    let width = left + size.0 + style.margin + 20.0;
    let mut scene = Scene::new(style.width.unwrap_or(width), 0.0);
    let title = format!(
        "Distribution of latency of {}s, all client regions",
        shown.name()
    );
    let top = page::heading(&mut scene, &title, run);
    let top = page::names(&mut scene, top, run, shown) + style.room(22.0);
    let ends = modes.iter().flat_map(|(_, whole)| ends_ms(whole));
    let plot = Plot {
        frame: Rectangle {
            left,
            top,
            width: size.0,
            height: size.1,
        },
        across: AmountAxis::spanning(ends),
        up: AmountAxis::percent(),
        tick_size: style.tick,
    };
    plot.axes(&mut scene, " ms");
    let most = |whole: &KindRecord| whole.latency.maximum_ns();
    let longest = modes.iter().filter_map(|(_, whole)| most(whole)).max();
    if longest.is_some_and(|longest| longest as f64 / 1e6 > plot.across.high()) {
        let at = (plot.frame.right(), plot.frame.top - style.room(5.0));
        scene.text(at, BEYOND, style.note().anchor(Anchor::End));
    }
    for (mode, whole) in &modes {
        let stroke = theme::line(*mode, 2.2, &style);
        line(&mut scene, &plot, stroke, whole);
    }
    for (mode, whole) in &modes {
        let name = run.analysis.summary.modes.get(*mode);
        let name = name.map_or("", |mode| mode.mode.as_str());
        let marker = Marker {
            mode: *mode,
            name,
            radius: style.marker,
        };
        marks(&mut scene, &plot, &marker, whole);
    }
    let across = format!(
        "latency from the instant due, ms{}",
        plot.across.scale_note()
    );
    let up = "share of all operations due, %";
    let bottom = plot::titled(&mut scene, plot.frame, &style, [&across, up]);
    page::footer(&mut scene, bottom, run);
    scene
}

/// The axis leaves out the longest thousandth, which would take most of its room.
fn ends_ms(whole: &KindRecord) -> Vec<f64> {
    let least = whole.latency.minimum_ns().map(|least| least as f64 / 1e6);
    let latency = percentiles(whole);
    let successes = whole.latency.quantile_ns(0.999);
    let most = latency.p999.or(successes.map(|most| most as f64 / 1e6));
    least.into_iter().chain(most).collect()
}

fn line(scene: &mut Scene, plot: &Plot, stroke: Stroke, whole: &KindRecord) {
    let mut points: Vec<Point> = Vec::new();
    let (mut below, mut last) = (0u64, None);
    let share = |count: u64| 100.0 * count as f64 / whole.due as f64;
    for (value, count) in whole.latency.occupied() {
        let latency_ms = value as f64 / 1e6;
        let before = plot.place(latency_ms, share(below));
        below += count;
        let after = plot.place(latency_ms, share(below));
        // Points closer than can be seen are left out; a step keeps both its corners.
        for point in [before, after] {
            let seen = |from: &Point| (from.0 - point.0).hypot(from.1 - point.1) >= 0.8;
            if points.last().is_none_or(seen) {
                points.push(point);
            }
        }
        last = Some(after);
    }
    points.extend(last);
    scene.line(&points, stroke);
    if let Some(end) = last {
        let right = (plot.frame.right(), end.1);
        if whole.ok < whole.due {
            // What is missing from 100% did not succeed.
            scene.line(&[end, right], Stroke::dashed(stroke.colour, 1.2, 2.0, 2.0));
        }
    }
}

/// What tells a mode's line from the others'.
struct Marker<'a> {
    mode: usize,
    name: &'a str,
    radius: f64,
}

/// Draws markers at quarters, and marks some percentiles for the pointer.
fn marks(scene: &mut Scene, plot: &Plot, marker: &Marker<'_>, whole: &KindRecord) {
    for percent in [1u64, 5, 10, 25, 50, 75, 90, 95, 99] {
        let rank = (whole.due * percent).div_ceil(100);
        let Some(value) = whole.latency.value_at_rank_ns(rank) else {
            continue;
        };
        let latency_ms = value as f64 / 1e6;
        let at = plot.place(latency_ms, percent as f64);
        if [25, 50, 75].contains(&percent) {
            theme::marker(scene, marker.mode, at, marker.radius);
        }
        let text = format!("{}: {percent}% within {latency_ms:.2} ms", marker.name);
        scene.mark_point(at, text);
    }
}

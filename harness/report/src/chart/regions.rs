//! Latency by percentile for each client region: one small panel each, on the same axes.

use longhaul_analysis::RegionCurves;

use super::axis::{AmountAxis, PercentileAxis};
use super::page::{self, MARGIN};
use super::panel::{self, Line, Panel};
use super::theme::{self, Tone};
use super::{Run, Shown, plot};
use crate::font;
use crate::scene::{Rectangle, Scene, TextStyle};

const PLOT: (f64, f64) = (260.0, 180.0);
/// Room around each plot: tick labels on the left and below, the region's name above.
const LEFT: f64 = 44.0;
const ABOVE: f64 = 26.0;
const BELOW: f64 = 24.0;
const RIGHT: f64 = 18.0;
const NAME: TextStyle = TextStyle::new(12.0);

/// Lays out the chart.
pub fn scene(run: &Run<'_>, shown: Shown) -> Scene {
    let analysis = run.analysis;
    let regions = analysis.curves.modes.first();
    let regions = regions.map_or(&[][..], |mode| &mode.regions);
    let columns = columns(regions.len());
    let rows = regions.len().div_ceil(columns).max(1);
    let cell = (LEFT + PLOT.0 + RIGHT, ABOVE + PLOT.1 + BELOW);
    let axis_title = 20.0;
    let width = MARGIN + axis_title + columns as f64 * cell.0 + MARGIN - RIGHT;
    let mut scene = Scene::new(width.max(640.0), 0.0);
    let title = format!(
        "Latency of {}s by percentile and client region",
        shown.name()
    );
    let top = page::heading(&mut scene, &title, run) + 4.0;
    let top = names(&mut scene, top, run, shown) + 6.0;

    let all = all_lines(run, shown);
    let fitted = || {
        let curves = all.iter().flatten();
        curves.flat_map(|line| std::iter::once(line.curve).chain(line.model))
    };
    let (percentiles, latencies) = (
        PercentileAxis::fitting(all.iter().flatten().map(|line| line.curve)),
        AmountAxis::fitting(fitted()),
    );
    for (index, (region, lines)) in regions.iter().zip(&all).enumerate() {
        let (column, row) = (index % columns, index / columns);
        let panel = Panel {
            frame: Rectangle {
                left: MARGIN + axis_title + column as f64 * cell.0 + LEFT,
                top: top + row as f64 * cell.1 + ABOVE,
                width: PLOT.0,
                height: PLOT.1,
            },
            percentiles,
            latencies,
            tick_size: 10.0,
            line_width: 1.8,
        };
        draw(&mut scene, &panel, region, lines);
        marks(&mut scene, &panel, run, lines);
    }
    let plots = Rectangle {
        left: MARGIN + axis_title + LEFT,
        top: top + ABOVE,
        width: columns as f64 * cell.0 - LEFT - RIGHT,
        height: rows as f64 * cell.1 - ABOVE - BELOW,
    };
    let up = format!("latency, ms{}", latencies.scale_note());
    let bottom = plot::titles(&mut scene, plots, PercentileAxis::TITLE, &up);
    let key_at = (plots.left, bottom + 6.0);
    let lines: Vec<Line<'_>> = all.into_iter().flatten().collect();
    let bottom = panel::key(&mut scene, key_at, &lines);
    page::footer(&mut scene, bottom, run);
    scene
}

/// Returns how many panels stand side by side: near the square of their number, at most four.
fn columns(regions: usize) -> usize {
    match regions {
        0..=3 => regions.max(1),
        4 => 2,
        5..=9 => 3,
        _ => 4,
    }
}

/// Returns the lines of each region's panel.
fn all_lines<'a>(run: &Run<'a>, shown: Shown) -> Vec<Vec<Line<'a>>> {
    let modes = &run.analysis.curves.modes;
    let regions = modes.first().map_or(0, |mode| mode.regions.len());
    let line = |mode: usize, region: usize| {
        let curves = modes[mode].regions.get(region)?;
        Some(Line {
            mode,
            curve: shown.of_region(curves)?,
            model: shown.model_of(curves),
        })
    };
    let lines = |region| (0..modes.len()).filter_map(move |mode| line(mode, region));
    (0..regions).map(|region| lines(region).collect()).collect()
}

fn draw(scene: &mut Scene, panel: &Panel, region: &RegionCurves, lines: &[Line<'_>]) {
    panel.axes(scene);
    for line in lines {
        panel.floors(scene, line, lines.len());
    }
    lines.iter().for_each(|line| panel.line(scene, line));
    let at = (panel.frame.left, panel.frame.top - 9.0);
    scene.text(at, region.region.clone(), NAME.bold());
}

/// Marks each curve's latency at each labelled percentile.
fn marks(scene: &mut Scene, panel: &Panel, run: &Run<'_>, lines: &[Line<'_>]) {
    for line in lines {
        let name = run.analysis.curves.modes[line.mode].mode.as_str();
        for quantile in panel.percentiles.marked() {
            if let Some(point) = panel::at_quantile(line.curve, quantile) {
                scene.mark_point(panel.place(&point), panel::describe(name, &point));
            }
        }
    }
}

/// Draws every mode's marker and name in rows below `top` and returns where they end.
pub(crate) fn names(scene: &mut Scene, top: f64, run: &Run<'_>, shown: Shown) -> f64 {
    let (mut x, mut y) = (MARGIN, top + 10.0);
    for (mode, curves) in run.analysis.curves.modes.iter().enumerate() {
        if shown.of_mode(curves).is_none() {
            continue;
        }
        let width = 16.0 + font::width(&curves.mode, NAME.size, NAME.bold().face) + 22.0;
        if x > MARGIN && x + width - 22.0 > scene.width - MARGIN {
            (x, y) = (MARGIN, y + NAME.size * 1.6);
        }
        theme::marker(scene, mode, (x + 5.0, y), 3.8);
        let colour = theme::toned(mode, Tone::Text);
        scene.text_centred(
            (x + 16.0, y),
            curves.mode.clone(),
            NAME.bold().colour(colour),
        );
        x += width;
    }
    y + 10.0
}

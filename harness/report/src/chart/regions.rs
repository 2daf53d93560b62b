//! Latency by percentile for each client region: one small panel each, on the same axes.

use longhaul_analysis::RegionCurves;

use super::axis::{AmountAxis, PercentileAxis};
use super::panel::{self, Line, Panel};
use super::{Run, Shown, page, plot};
use crate::scene::{Rectangle, Scene};

const PLOT: (f64, f64) = (260.0, 180.0);
/// Room around each plot on screens: tick labels on the left and below, the region's name above.
const LEFT: f64 = 44.0;
const ABOVE: f64 = 26.0;
const BELOW: f64 = 24.0;
const RIGHT: f64 = 18.0;

/// Lays out the chart.
pub fn scene(run: &Run<'_>, shown: Shown) -> Scene {
    let analysis = run.analysis;
    let regions = analysis.curves.modes.first();
    let regions = regions.map_or(&[][..], |mode| &mode.regions);
    let style = run.style();
    let columns = match style.width {
        None => columns(regions.len()),
        Some(_) => regions.len().clamp(1, 2),
    };
    let rows = regions.len().div_ceil(columns).max(1);
    let axis_title = style.room(20.0);
    let [beside, above, below, right] = [LEFT, ABOVE, BELOW, RIGHT].map(|room| style.room(room));
    let plot = match style.width {
        None => PLOT,
        Some(width) => {
            let room = width - 2.0 * style.margin - axis_title + right - style.room(10.0);
            let wide = room / columns as f64 - beside - right;
            (wide, wide.min(130.0) * 0.8)
        }
    };
    let cell = (beside + plot.0 + right, above + plot.1 + below);
    let width = 2.0 * style.margin + axis_title + columns as f64 * cell.0 - right;
    let mut scene = Scene::new(style.width.unwrap_or(width.max(640.0)), 0.0);
    let title = format!(
        "Latency of {}s by percentile and client region",
        shown.name()
    );
    let top = page::heading(&mut scene, &title, run) + style.room(4.0);
    let top = page::names(&mut scene, top, run, shown) + style.room(6.0);

    let all = all_lines(run, shown);
    let fitted = || {
        let curves = all.iter().flatten();
        curves.flat_map(|line| std::iter::once(line.curve).chain(line.model))
    };
    let (percentiles, latencies) = (
        PercentileAxis::of(&style, all.iter().flatten().map(|line| line.curve)),
        AmountAxis::fitting(fitted()),
    );
    for (index, (region, lines)) in regions.iter().zip(&all).enumerate() {
        let (column, row) = (index % columns, index / columns);
        let panel = Panel {
            frame: Rectangle {
                left: style.margin + axis_title + column as f64 * cell.0 + beside,
                top: top + row as f64 * cell.1 + above,
                width: plot.0,
                height: plot.1,
            },
            percentiles,
            latencies,
            tick_size: style.panel_tick,
            line_width: 1.8,
            style,
        };
        draw(&mut scene, &panel, region, lines);
        marks(&mut scene, &panel, run, lines);
    }
    let plots = Rectangle {
        left: style.margin + axis_title + beside,
        top: top + above,
        width: columns as f64 * cell.0 - beside - right,
        height: rows as f64 * cell.1 - above - below,
    };
    let up = format!("latency, ms{}", latencies.scale_note());
    let titles = [PercentileAxis::title(&style), &up];
    let bottom = plot::titled(&mut scene, plots, &style, titles);
    let key_at = (plots.left, bottom + style.room(6.0));
    let lines: Vec<Line<'_>> = all.into_iter().flatten().collect();
    let bottom = panel::key(&mut scene, key_at, &lines, &style);
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
    let at = (panel.frame.left, panel.frame.top - panel.style.room(9.0));
    scene.text(at, region.region.clone(), panel.style.name().bold());
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

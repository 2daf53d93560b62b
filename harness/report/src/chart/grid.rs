//! The grid of medians: a row per mode, a column per client region, p50 over p99 in each cell.

use longhaul_analysis::{ModeSummary, OperationSummary, Percentile};

use super::axis::short;
use super::style::Style;
use super::theme::{self, Tone};
use super::{Run, Shown, page};
use crate::figures::{self, NO_SUCCESS};
use crate::font::Face;
use crate::scene::{Anchor, Colour, Point, Rectangle, Scene, TextStyle};

const CELL: (f64, f64) = (70.0, 46.0);
const GAP: f64 = 2.0;
/// The size of the colour bar on screens.
const BAR: (f64, f64) = (200.0, 10.0);
/// What narrow cells read where the percentile falls among operations that did not succeed.
const NO_SUCCESS_SHORT: &str = "∞";

/// Lays out the chart.
pub fn scene(run: &Run<'_>, shown: Shown) -> Scene {
    let modes = &run.analysis.summary.modes;
    let regions: Vec<&str> = modes.first().map_or(Vec::new(), |mode| {
        mode.regions
            .iter()
            .map(|region| region.region.as_str())
            .collect()
    });
    let layout = Layout::new(run.style(), modes, &regions);
    let Layout { style, left, cell } = layout;
    let width = left + regions.len() as f64 * cell.0 + style.margin;
    let width = match style.width {
        None => width.max(640.0).ceil(),
        Some(least) => width.max(least),
    };
    let mut scene = Scene::new(width, 0.0);
    let title = format!(
        "Median latency of {}s by mode and client region, ms",
        shown.name()
    );
    let top = page::heading(&mut scene, &title, run) + style.room(8.0);
    let top = layout.regions(&mut scene, top, &regions);
    let scale = HeatScale::new(modes, shown);
    for (row, mode) in modes.iter().enumerate() {
        let y = top + row as f64 * cell.1;
        let colour = theme::toned(row, Tone::Text);
        let name = style.name().colour(colour).anchor(Anchor::End);
        let at = (left - style.room(10.0), y + cell.1 / 2.0);
        scene.text_centred(at, mode.mode.clone(), name);
        for (column, region) in mode.regions.iter().enumerate() {
            let area = Rectangle {
                left: left + column as f64 * cell.0,
                top: y,
                width: cell.0 - GAP,
                height: cell.1 - GAP,
            };
            layout.cell(&mut scene, area, shown.in_summary(region), &scale);
            if let Some(one) = shown.in_summary(region) {
                let place = format!("{} from {}", mode.mode, region.region);
                scene.mark(area, describe(&place, one));
            }
        }
    }
    let bottom = top + modes.len() as f64 * cell.1;
    let cells = modes.iter().flat_map(|mode| &mode.regions);
    let marked = cells
        .filter_map(|region| shown.in_summary(region))
        .any(|one| one.too_few.contains(&Percentile::P99));
    let bottom = layout.legend(&mut scene, bottom + style.room(14.0), &scale, marked);
    page::footer(&mut scene, bottom, run);
    scene
}

/// Where cells are and how they are set.
struct Layout {
    style: Style,
    /// Where the first column begins.
    left: f64,
    /// The size of a cell with the gap after it.
    cell: (f64, f64),
}

impl Layout {
    fn new(style: Style, modes: &[ModeSummary], regions: &[&str]) -> Layout {
        let names = modes.iter().map(|mode| mode.mode.as_str());
        let names = page::widest(names, style.text, style.name_face);
        let left = style.margin + names + style.room(12.0);
        let count = regions.len().max(1) as f64;
        let widest_region = widest_region(&style, regions);
        let Some(width) = style.width else {
            // Few columns are widened so that region names lie flat; many are turned upwards.
            let upright = regions.len() > 8 && widest_region + 12.0 > CELL.0;
            let wide = if upright {
                CELL.0
            } else {
                CELL.0.max(widest_region + 14.0)
            };
            return Layout {
                style,
                left,
                cell: (wide, CELL.1),
            };
        };
        // As wide as the column, or as both where four digits would not fit.
        let least = TextStyle::new(style.text).bold().width("0000") + 2.0 * GAP;
        let style = if (width - style.margin - left) / count < least {
            style.across_columns()
        } else {
            style
        };
        let width = style.width.unwrap_or(width);
        let wide = ((width - style.margin - left) / count).clamp(least, CELL.0);
        Layout {
            style,
            left,
            cell: (wide, style.text * 2.9),
        }
    }

    /// Draws the regions' names above their columns and returns where the cells begin.
    fn regions(&self, scene: &mut Scene, top: f64, regions: &[&str]) -> f64 {
        let style = &self.style;
        let widest = widest_region(style, regions);
        let upright = widest + style.room(12.0) > self.cell.0;
        let header = if upright {
            widest + style.room(10.0)
        } else {
            style.room(24.0)
        };
        let name = TextStyle::new(style.text);
        for (column, region) in regions.iter().enumerate() {
            let x = self.left + (column as f64 + 0.5) * self.cell.0 - GAP / 2.0;
            if upright {
                let at = (x, top + header - style.room(8.0));
                scene.text_centred(at, *region, name.upwards());
            } else {
                let at = (x, top + header - style.room(9.0));
                scene.text(at, *region, name.anchor(Anchor::Middle));
            }
        }
        top + header
    }

    fn cell(
        &self,
        scene: &mut Scene,
        area: Rectangle,
        operations: Option<&OperationSummary>,
        scale: &HeatScale,
    ) {
        let nothing = Colour(0xe3, 0xe3, 0xe3);
        let small = TextStyle::new(self.style.panel_tick).anchor(Anchor::Middle);
        let (x, y) = area.middle();
        let Some(operations) = operations else {
            scene.rectangle(area, nothing);
            scene.text_centred((x, y), "none", small.colour(nothing.readable_on()));
            return;
        };
        let latency = &operations.latency_ms;
        let fill = latency.p50.map_or(nothing, |p50| scale.colour(p50));
        let ink = fill.readable_on();
        scene.rectangle(area, fill);
        let beyond = if small.width(NO_SUCCESS) < area.width {
            NO_SUCCESS
        } else {
            NO_SUCCESS_SHORT
        };
        let figure = |percentile: Percentile| {
            let mark = if operations.too_few.contains(&percentile) {
                "*"
            } else {
                ""
            };
            let value = latency.at(percentile);
            value.map_or(beyond.to_owned(), |value| short(value) + mark)
        };
        let large = match (latency.p50, self.style.width) {
            (Some(_), None) => small.sized(14.0).bold(),
            (Some(_), Some(_)) => small.bold(),
            (None, _) => small.bold(),
        };
        let apart = area.height / 4.0;
        let (p50, p99) = (figure(Percentile::P50), figure(Percentile::P99));
        scene.text_centred((x, y - apart * 0.7), p50, large.colour(ink));
        scene.text_centred((x, y + apart), p99, small.colour(ink));
    }

    /// Draws the colour bar and what a cell shows, and returns where they end.
    fn legend(&self, scene: &mut Scene, top: f64, scale: &HeatScale, marked: bool) -> f64 {
        let style = &self.style;
        let (left, bar) = match style.width {
            None => (self.left, BAR),
            Some(_) => (style.margin, (style.room(BAR.0), style.room(BAR.1))),
        };
        colour_bar(scene, ((left, top), bar), scale, style.note());
        let mark = if marked {
            " * fewer than 10 operations beyond: do not compare."
        } else {
            ""
        };
        let beyond = match style.width {
            Some(_) if scale.any_beyond => " ∞: beyond the time-out.",
            _ => "",
        };
        let text = format!(
            "Large: p50 of all operations due, which sets the colour (by square root). Small: \
             p99.{beyond}{mark}"
        );
        let text = match style.width {
            None => text,
            Some(_) => text
                .replacen("Large", "Bold, in ms", 1)
                .replacen("Small", "Below", 1),
        };
        let beside = (left + bar.0 + 24.0, top - 5.0);
        let below = top + bar.1 + style.note * 1.72;
        if scene.width - beside.0 > 320.0 {
            page::note(scene, beside, &text, style).max(below)
        } else {
            page::note(scene, (style.margin, below + 4.0), &text, style)
        }
    }
}

fn widest_region(style: &Style, regions: &[&str]) -> f64 {
    page::widest(regions.iter().copied(), style.text, Face::Regular)
}

/// Says what a cell shows, exactly.
fn describe(place: &str, operations: &OperationSummary) -> String {
    let latency = &operations.latency_ms;
    let floor = operations
        .floor_ms
        .map_or(String::new(), |floor| format!(", floor {floor:.3} ms"));
    format!(
        "{place}: p50 {}, p99 {}{floor}; {} of {} due succeeded",
        figures::latency(latency.p50, 3),
        figures::latency(latency.p99, 3),
        operations.ok,
        operations.due,
    )
}

/// The colours of medians: by square root from zero to the largest, which tells both 10 from 30
/// and 200 from 300 ms apart.
struct HeatScale {
    high_ms: f64,
    /// Whether a percentile that cells show falls among operations that did not succeed.
    any_beyond: bool,
}

impl HeatScale {
    fn new(modes: &[ModeSummary], shown: Shown) -> HeatScale {
        let regions = modes.iter().flat_map(|mode| &mode.regions);
        let cells: Vec<_> = regions
            .filter_map(|region| shown.in_summary(region))
            .collect();
        let medians = cells.iter().filter_map(|one| one.latency_ms.p50);
        HeatScale {
            high_ms: medians.fold(0.0, f64::max),
            any_beyond: cells.iter().any(|one| one.latency_ms.p99.is_none()),
        }
    }

    fn colour(&self, latency_ms: f64) -> Colour {
        theme::heat((latency_ms / self.high_ms.max(1e-6)).max(0.0).sqrt())
    }

    fn at(&self, share: f64) -> f64 {
        self.high_ms * share * share
    }
}

/// Draws the colours of the scale with three of its values.
fn colour_bar(
    scene: &mut Scene,
    ((left, top), bar): (Point, (f64, f64)),
    scale: &HeatScale,
    style: TextStyle,
) {
    let steps = 50;
    for step in 0..steps {
        let share = (f64::from(step) + 0.5) / f64::from(steps);
        let area = Rectangle {
            left: left + bar.0 * f64::from(step) / f64::from(steps),
            top,
            width: bar.0 / f64::from(steps) + 0.3,
            height: bar.1,
        };
        scene.rectangle(area, scale.colour(scale.at(share)));
    }
    let anchors = [Anchor::Start, Anchor::Middle, Anchor::End];
    for (share, anchor) in [0.0, 0.5, 1.0].into_iter().zip(anchors) {
        let at = (left + bar.0 * share, top + bar.1 + style.size * 1.33);
        let label = match share {
            0.0 => "0 ms".to_owned(),
            _ => short(scale.at(share)),
        };
        scene.text(at, label, style.anchor(anchor));
    }
}

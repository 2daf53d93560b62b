//! The grid of medians: a row per mode, a column per client region, p50 over p99 in each cell.

use longhaul_analysis::{ModeSummary, OperationSummary, Percentile};

use super::axis::short;
use super::page::{self, MARGIN};
use super::theme::{self, Tone};
use super::{Run, Shown};
use crate::figures::{self, NO_SUCCESS};
use crate::font::Face;
use crate::scene::{Anchor, Colour, Point, Rectangle, Scene, TextStyle};

const CELL: (f64, f64) = (70.0, 46.0);
const GAP: f64 = 2.0;
const NAME: TextStyle = TextStyle::new(12.0);
const MEDIAN: TextStyle = TextStyle::new(14.0).bold().anchor(Anchor::Middle);
const TAIL: TextStyle = TextStyle::new(10.0).anchor(Anchor::Middle);
const SMALL: TextStyle = TextStyle::new(10.5).colour(Colour::GREY);

/// Lays out the chart.
pub fn scene(run: &Run<'_>, shown: Shown) -> Scene {
    let modes = &run.analysis.summary.modes;
    let regions: Vec<&str> = modes.first().map_or(Vec::new(), |mode| {
        mode.regions
            .iter()
            .map(|region| region.region.as_str())
            .collect()
    });
    let names = modes.iter().map(|mode| mode.mode.as_str());
    let left = MARGIN + page::widest(names, NAME.size, Face::Bold) + 12.0;
    let widest_region = page::widest(regions.iter().copied(), NAME.size, Face::Regular);
    // Few columns are widened so that region names lie flat; many are turned upwards.
    let upright = regions.len() > 8 && widest_region + 12.0 > CELL.0;
    let cell_width = if upright {
        CELL.0
    } else {
        CELL.0.max(widest_region + 14.0)
    };
    let width = left + regions.len() as f64 * cell_width + MARGIN;
    let mut scene = Scene::new(width.max(640.0).ceil(), 0.0);
    let title = format!(
        "Median latency of {}s by mode and client region, ms",
        shown.name()
    );
    let top = page::heading(&mut scene, &title, run) + 8.0;
    let header = if upright { widest_region + 10.0 } else { 24.0 };
    let top = top + header;
    for (column, region) in regions.iter().enumerate() {
        let x = left + (column as f64 + 0.5) * cell_width;
        let style = NAME.anchor(Anchor::Middle);
        if upright {
            let at = (x, top - 8.0);
            scene.text_centred(at, *region, NAME.upwards());
        } else {
            scene.text((x, top - 9.0), *region, style);
        }
    }
    let scale = HeatScale::new(modes, shown);
    for (row, mode) in modes.iter().enumerate() {
        let y = top + row as f64 * CELL.1;
        let colour = theme::toned(row, Tone::Text);
        let style = NAME.bold().colour(colour).anchor(Anchor::End);
        scene.text_centred((left - 10.0, y + CELL.1 / 2.0), mode.mode.clone(), style);
        for (column, region) in mode.regions.iter().enumerate() {
            let area = Rectangle {
                left: left + column as f64 * cell_width,
                top: y,
                width: cell_width - GAP,
                height: CELL.1 - GAP,
            };
            draw_cell(&mut scene, area, shown.in_summary(region), &scale);
            if let Some(one) = shown.in_summary(region) {
                let place = format!("{} from {}", mode.mode, region.region);
                scene.mark(area, describe(&place, one));
            }
        }
    }
    let bottom = top + modes.len() as f64 * CELL.1;
    let cells = modes.iter().flat_map(|mode| &mode.regions);
    let marked = cells
        .filter_map(|region| shown.in_summary(region))
        .any(|one| one.too_few.contains(&Percentile::P99));
    let bottom = legend(&mut scene, (left, bottom + 14.0), &scale, marked);
    page::footer(&mut scene, bottom, run);
    scene
}

fn draw_cell(
    scene: &mut Scene,
    area: Rectangle,
    operations: Option<&OperationSummary>,
    scale: &HeatScale,
) {
    let nothing = Colour(0xe3, 0xe3, 0xe3);
    let (x, y) = area.middle();
    let Some(operations) = operations else {
        scene.rectangle(area, nothing);
        scene.text_centred((x, y), "none", TAIL.colour(nothing.readable_on()));
        return;
    };
    let latency = &operations.latency_ms;
    let fill = latency.p50.map_or(nothing, |p50| scale.colour(p50));
    let ink = fill.readable_on();
    scene.rectangle(area, fill);
    let figure = |percentile: Percentile| {
        let mark = if operations.too_few.contains(&percentile) {
            "*"
        } else {
            ""
        };
        let value = latency.at(percentile);
        value.map_or(NO_SUCCESS.to_owned(), |value| short(value) + mark)
    };
    let median = match latency.p50 {
        Some(_) => MEDIAN,
        None => TAIL.bold(),
    };
    scene.text_centred((x, y - 7.5), figure(Percentile::P50), median.colour(ink));
    scene.text_centred((x, y + 11.0), figure(Percentile::P99), TAIL.colour(ink));
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
}

impl HeatScale {
    fn new(modes: &[ModeSummary], shown: Shown) -> HeatScale {
        let regions = modes.iter().flat_map(|mode| &mode.regions);
        let medians = regions.filter_map(|region| shown.in_summary(region)?.latency_ms.p50);
        HeatScale {
            high_ms: medians.fold(0.0, f64::max),
        }
    }

    fn colour(&self, latency_ms: f64) -> Colour {
        theme::heat((latency_ms / self.high_ms.max(1e-6)).max(0.0).sqrt())
    }

    fn at(&self, share: f64) -> f64 {
        self.high_ms * share * share
    }
}

/// Draws the colour bar and what a cell shows, and returns where they end.
fn legend(scene: &mut Scene, (left, top): Point, scale: &HeatScale, marked: bool) -> f64 {
    const BAR: (f64, f64) = (200.0, 10.0);
    let steps = 50;
    for step in 0..steps {
        let share = (f64::from(step) + 0.5) / f64::from(steps);
        let area = Rectangle {
            left: left + BAR.0 * f64::from(step) / f64::from(steps),
            top,
            width: BAR.0 / f64::from(steps) + 0.3,
            height: BAR.1,
        };
        scene.rectangle(area, scale.colour(scale.at(share)));
    }
    let anchors = [Anchor::Start, Anchor::Middle, Anchor::End];
    for (share, anchor) in [0.0, 0.5, 1.0].into_iter().zip(anchors) {
        let at = (left + BAR.0 * share, top + BAR.1 + 14.0);
        let label = match share {
            0.0 => "0 ms".to_owned(),
            _ => short(scale.at(share)),
        };
        scene.text(at, label, SMALL.anchor(anchor));
    }
    let mark = if marked {
        " * fewer than 10 operations beyond: do not compare."
    } else {
        ""
    };
    let text = format!(
        "Large: p50 of all operations due, which sets the colour (by square root). Small: p99.{mark}"
    );
    let at = (left + BAR.0 + 24.0, top - 5.0);
    if scene.width - at.0 > 320.0 {
        page::paragraph(scene, at, &text, SMALL).max(top + BAR.1 + 18.0)
    } else {
        page::paragraph(scene, (MARGIN, top + BAR.1 + 22.0), &text, SMALL)
    }
}

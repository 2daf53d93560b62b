//! Charts of an analysis.
//!
//! [`percentile`] draws latency by percentile for all clients together, [`regions`] the same for
//! each client region, [`grid`] the medians of each mode and region, [`distribution`] the share
//! done within a time, [`over_time`] that of successive seconds; [`wan`] what a write sends, [`map`] where the
//! regions are, [`delays`] and [`lateness`] how exact the emulation was; [`throughput`] the points
//! of a sweep. [`style`], [`axis`], [`plot`], [`panel`], [`theme`] and [`page`] are what they share.

pub mod axis;
pub mod delays;
pub mod distribution;
pub mod grid;
pub mod lateness;
pub mod map;
pub mod over_time;
pub mod page;
pub mod panel;
pub mod percentile;
pub mod plot;
pub mod regions;
pub mod style;
pub mod theme;
pub mod throughput;
pub mod wan;

use std::num::NonZeroUsize;

use longhaul_analysis::{
    Analysis, Curve, ModeCurves, OperationSummary, RegionCurves, RegionSummary,
};
use longhaul_experiment::{OperationKind, RunRecord, parallel};

pub use throughput::{ThroughputChart, ThroughputPoint, throughput};

use style::Style;

use crate::render::{self, Medium};
use crate::scene::Scene;

/// The most charts that are rendered at once: each bitmap takes tens of megabytes meanwhile.
const RENDERED_AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// A run and how its charts are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What the run left behind.
    pub record: &'a RunRecord,
    /// What analysis made of it.
    pub analysis: &'a Analysis,
    /// What stands around each chart.
    pub surroundings: Surroundings,
}

/// Where title, what was run and the line that makes it repeatable stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surroundings {
    /// In the chart, which can then stand alone.
    Drawn,
    /// Around the chart: on a page or in a caption.
    Elsewhere,
    /// In the caption of a paper, to whose columns the chart is set.
    Paper,
}

impl Run<'_> {
    /// Returns how large things are drawn.
    pub const fn style(&self) -> Style {
        match self.surroundings {
            Surroundings::Drawn | Surroundings::Elsewhere => Style::SCREEN,
            Surroundings::Paper => Style::PAPER,
        }
    }
}

/// A laid-out chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Its name, fit for a file name without extension.
    pub name: String,
    /// Its title.
    pub title: String,
    /// How to read it, in one sentence.
    pub reading: &'static str,
    /// What is drawn.
    pub scene: Scene,
}

/// A finished chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Its name, fit for a file name without extension.
    pub name: String,
    /// As SVG.
    pub svg: String,
    /// As PNG.
    pub png: Vec<u8>,
}

/// Which operations a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All that change the store.
    Writes,
    /// Reads.
    Reads,
}

impl Shown {
    /// Returns the word for one of them, for titles.
    pub const fn name(self) -> &'static str {
        match self {
            Shown::Writes => "write",
            Shown::Reads => "read",
        }
    }

    /// Says whether a kind of operation is among them.
    pub const fn includes(self, kind: OperationKind) -> bool {
        match self {
            Shown::Writes => kind.is_write(),
            Shown::Reads => !kind.is_write(),
        }
    }

    pub(crate) fn of_mode(self, curves: &ModeCurves) -> Option<&Curve> {
        match self {
            Shown::Writes => curves.writes.as_ref(),
            Shown::Reads => curves.reads.as_ref(),
        }
    }

    pub(crate) fn of_region(self, curves: &RegionCurves) -> Option<&Curve> {
        match self {
            Shown::Writes => curves.writes.as_ref(),
            Shown::Reads => curves.reads.as_ref(),
        }
    }

    pub(crate) fn model_of(self, curves: &RegionCurves) -> Option<&Curve> {
        match self {
            Shown::Writes => curves.write_model.as_ref(),
            Shown::Reads => curves.read_model.as_ref(),
        }
    }

    pub(crate) fn in_summary(self, region: &RegionSummary) -> Option<&OperationSummary> {
        match self {
            Shown::Writes => region.writes.as_ref(),
            Shown::Reads => region.reads.as_ref(),
        }
    }
}

/// Draws all charts of a run, each to stand alone: for writes, and for reads where there were any,
/// latency by percentile over all clients, the same per client region, the grid of medians, the
/// distribution and latency over time; then WAN traffic, the map, and how exact the emulation was.
///
/// It takes about a tenth of a second per chart and processor, most of it for the PNG.
pub fn charts(record: &RunRecord, analysis: &Analysis) -> Vec<Chart> {
    let run = Run {
        record,
        analysis,
        surroundings: Surroundings::Drawn,
    };
    rendered(&drawings(&run), &Medium::SCREEN)
}

/// Draws the same charts for papers: as wide as a column of 84 mm, or as two of 174 mm where one is
/// too narrow, with sans-serif type of 7 pt (DejaVu Sans), thin lines that dashes and markers tell
/// apart in black and white, and without titles, which are the caption's. SVGs have no background,
/// PNGs 600 dots per inch on white.
pub fn paper_charts(record: &RunRecord, analysis: &Analysis) -> Vec<Chart> {
    let run = Run {
        record,
        analysis,
        surroundings: Surroundings::Paper,
    };
    rendered(&drawings(&run), &Medium::PAPER)
}

fn rendered(drawings: &[Drawing], medium: &Medium) -> Vec<Chart> {
    let threads = parallel::processors().min(RENDERED_AT_ONCE);
    parallel::map(drawings, threads, |drawing| drawing.rendered(medium))
}

impl Drawing {
    /// Renders it as SVG, and as PNG with two pixels per CSS pixel.
    pub fn finish(&self) -> Chart {
        self.rendered(&Medium::SCREEN)
    }

    fn rendered(&self, medium: &Medium) -> Chart {
        Chart {
            name: self.name.clone(),
            svg: render::svg(&self.scene, medium),
            png: render::png(&self.scene, medium),
        }
    }
}

/// Lays out all charts of a run; those that it has no figures for are left out.
pub fn drawings(run: &Run<'_>) -> Vec<Drawing> {
    let mut drawings = Vec::new();
    for shown in [Shown::Writes, Shown::Reads] {
        let modes = &run.analysis.curves.modes;
        if modes.iter().any(|mode| shown.of_mode(mode).is_some()) {
            drawings.extend(of_operations(run, shown));
        }
    }
    drawings.extend(of_run(run));
    for drawing in &mut drawings {
        drawing.scene.scale_strokes(run.style().stroke);
    }
    drawings
}

/// The charts that are not about the latency of operations.
fn of_run(run: &Run<'_>) -> Vec<Drawing> {
    type Layout = fn(&Run<'_>) -> Option<Scene>;
    let layouts: [(&str, &str, &'static str, Layout); 4] = [
        (
            "wan-per-write",
            "Messages and bytes between regions per write",
            "Longer bars cost more traffic between regions for one write, whatever its latency.",
            wan::scene,
        ),
        (
            "map",
            "Regions and round trips between them",
            "The numbers are round trips in milliseconds: no write that waits for a far region \
             can be faster than the way there and back.",
            map::scene,
        ),
        (
            "link-delays",
            "Achieved less asked delay of each link, before load",
            "Each dot is a probed link: the farther from 0, the less exactly this machine \
             emulated its delay.",
            delays::scene,
        ),
        (
            "lateness",
            "Lateness of frames and operations under load",
            "The second filled dot, p99, must lie left of the dashed line for figures to be trusted.",
            lateness::scene,
        ),
    ];
    let drawing = |(name, title, reading, layout): (&str, &str, &'static str, Layout)| {
        Some(Drawing {
            name: name.to_owned(),
            title: title.to_owned(),
            reading,
            scene: layout(run)?,
        })
    };
    layouts.into_iter().filter_map(drawing).collect()
}

fn of_operations(run: &Run<'_>, shown: Shown) -> Vec<Drawing> {
    let word = shown.name();
    let drawing = |name: &str, title: String, reading, scene| Drawing {
        name: format!("{word}-{name}"),
        title,
        reading,
        scene,
    };
    let mut drawings = vec![
        drawing(
            "latency-by-percentile",
            format!("Latency of {word}s by percentile"),
            "A point at p99 and 200 ms says that 99 of 100 operations took 200 ms or less; \
             each step to the right has ten times fewer operations beyond it, and dotted lines \
             are the least that distance allows.",
            percentile::scene(run, shown),
        ),
        drawing(
            "latency-by-region",
            format!("Latency of {word}s by percentile and client region"),
            "The same for the clients of each region alone, all on the same axes: compare \
             panels to see who pays for the distance.",
            regions::scene(run, shown),
        ),
        drawing(
            "latency-grid",
            format!("Median latency of {word}s by mode and client region"),
            "Each cell holds the median of a mode's clients in one region, with the 99th \
             percentile below it; darker is slower.",
            grid::scene(run, shown),
        ),
        drawing(
            "latency-distribution",
            format!("Distribution of latency of {word}s"),
            "A point at 200 ms and 90% says that 90 of 100 operations took 200 ms or less; a steep \
             line means that most took the same time, a step is another client region.",
            distribution::scene(run, shown),
        ),
    ];
    drawings.extend(over_time::scene(run, shown).map(|scene| {
        drawing(
            "latency-over-time",
            format!("Latency of {word}s over time"),
            "A level line and narrow bands mean a run that had settled; what breaks or recovers \
             shows as a step, and bands that widen are a tail that grows.",
            scene,
        )
    }));
    drawings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Rectangle, Shape as Drawn};
    use crate::synthetic::{self, Shape};

    const SHAPE: Shape = Shape {
        modes: 2,
        regions: 2,
        due: 2000,
        reads: 0.0,
        failures: 0,
    };

    fn analysed(shape: Shape) -> (RunRecord, Analysis) {
        let record = synthetic::record(shape);
        let analysis = longhaul_analysis::analyse(&record);
        (record, analysis)
    }

    /// The same run with all that charts can show: places, probes, lateness, interval logs.
    fn repeated(
        (record, analysis): &(RunRecord, Analysis),
        modes: usize,
        regions: usize,
    ) -> (RunRecord, Analysis) {
        let record = synthetic::repeated_record(record, modes, regions);
        let mut analysis = synthetic::repeated(analysis.clone(), modes, regions);
        synthetic::add_accuracy(&mut analysis, &record);
        (record, analysis)
    }

    fn drawn(record: &RunRecord, analysis: &Analysis) -> Vec<(String, Scene)> {
        set(record, analysis, Surroundings::Drawn)
    }

    fn set(
        record: &RunRecord,
        analysis: &Analysis,
        surroundings: Surroundings,
    ) -> Vec<(String, Scene)> {
        let run = Run {
            record,
            analysis,
            surroundings,
        };
        let named = |drawing: Drawing| (drawing.name, drawing.scene);
        drawings(&run).into_iter().map(named).collect()
    }

    /// Checks that no text leaves the page or touches another, and that all points are numbers.
    fn check(scenes: &[(String, Scene)]) {
        for (name, scene) in scenes {
            let page = Rectangle {
                left: 0.0,
                top: 0.0,
                width: scene.width,
                height: scene.height,
            };
            let texts = scene.texts();
            for (index, (text, area)) in texts.iter().enumerate() {
                let inside = area.left >= page.left
                    && area.top >= page.top
                    && area.right() <= page.right()
                    && area.bottom() <= page.bottom();
                assert!(inside, "{name}: '{text}' is cut off at {area:?}");
                for (other, other_area) in &texts[..index] {
                    let touch = area.overlaps(other_area);
                    assert!(!touch, "{name}: '{text}' and '{other}' overlap");
                }
            }
            for shape in &scene.shapes {
                let points = match shape {
                    Drawn::Line { points, .. } | Drawn::Polygon { points, .. } => &points[..],
                    Drawn::Text { at, .. } => std::slice::from_ref(at),
                };
                for (x, y) in points {
                    let inside = (0.0..=page.width).contains(x) && (0.0..=page.height).contains(y);
                    assert!(inside, "{name}: a shape at ({x}, {y}) leaves the page");
                }
            }
        }
    }

    #[test]
    fn no_text_is_cut_off_or_overlaps_from_one_mode_and_region_to_twelve_and_nineteen() {
        let sizes: [(u64, &[(usize, usize)]); 2] = [
            (0, &[(1, 1), (2, 4), (3, 5), (5, 9), (12, 19)]),
            (300, &[(3, 5)]),
        ];
        for (failures, sizes) in sizes {
            let run = analysed(Shape { failures, ..SHAPE });
            for (modes, regions) in sizes {
                let (record, analysis) = repeated(&run, *modes, *regions);
                let scenes = drawn(&record, &analysis);
                assert_eq!(scenes.len(), if *regions > 1 { 9 } else { 8 });
                check(&scenes);
            }
        }
    }

    #[test]
    fn charts_for_papers_fit_their_columns_with_type_of_seven_points() {
        let run = analysed(Shape {
            failures: 300,
            ..SHAPE
        });
        for (modes, regions) in [(1, 1), (3, 5), (7, 5), (12, 19)] {
            let (record, analysis) = repeated(&run, modes, regions);
            let scenes = set(&record, &analysis, Surroundings::Paper);
            check(&scenes);
            for (name, scene) in &scenes {
                let column = (scene.width - style::COLUMN).abs() < 0.1;
                let page = (scene.width - style::PAGE).abs() < 0.1;
                // Only a grid of 19 regions is wider than a page.
                let wide = regions > 9 && name.ends_with("grid");
                assert!(column || page || wide, "{name} is {} wide", scene.width);
                for shape in &scene.shapes {
                    // 7 points are 7 / 72 of an inch, 9.33 CSS pixels.
                    let small = matches!(shape, Drawn::Text { style, .. } if style.size < 9.33);
                    assert!(!small, "{name}: {shape:?}");
                }
            }
        }
    }

    #[test]
    fn every_mode_and_region_is_named_and_doubts_are_shown() {
        let (record, mut analysis) = analysed(SHAPE);
        analysis.summary.unpublishable_because = vec!["the machine was 91% busy".to_owned()];
        let scenes = drawn(&record, &analysis);
        check(&scenes);
        let names: Vec<&str> = scenes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "write-latency-by-percentile",
                "write-latency-by-region",
                "write-latency-grid",
                "write-latency-distribution",
                "wan-per-write",
            ]
        );
        for (name, scene) in &scenes[..4] {
            let texts: Vec<&str> = scene.texts().iter().map(|(text, _)| *text).collect();
            let says = |part: &str| texts.iter().any(|text| text.contains(part));
            for part in ["quorum:raft", "leader-follower:async", "seed 1", "91% busy"] {
                assert!(says(part), "{name} does not say '{part}'");
            }
            assert!(says("ms"), "{name} has no unit");
            if !["write-latency-by-percentile", "write-latency-distribution"]
                .contains(&name.as_str())
            {
                assert!(says("us-west-2"), "{name} does not name the region");
            }
            if !["write-latency-grid", "write-latency-distribution"].contains(&name.as_str()) {
                assert!(says("p99") && says("p50"), "{name} has no percentiles");
            }
        }
    }

    #[test]
    fn reads_have_charts_of_their_own() {
        let shape = Shape {
            reads: 0.5,
            ..SHAPE
        };
        let (record, analysis) = analysed(shape);
        let scenes = drawn(&record, &analysis);
        // Percentiles, regions, grid and distribution of either, and the traffic.
        assert_eq!(scenes.len(), 9);
        assert!(scenes[4].0.starts_with("read-"));
    }

    #[test]
    fn a_run_in_which_nothing_succeeded_or_nothing_ran_is_drawn() {
        let shape = Shape {
            failures: 1000,
            ..SHAPE
        };
        let (record, mut analysis) = analysed(shape);
        check(&drawn(&record, &analysis));
        analysis.curves.modes.clear();
        analysis.summary.modes.clear();
        assert!(charts(&record, &analysis).is_empty());
    }

    #[test]
    fn a_sweep_of_one_to_twelve_modes_is_drawn_without_overlaps() {
        let point = |mode: usize, step: u32| ThroughputPoint {
            mode: format!("mode:number-{mode}"),
            rate_ops: f64::from(step) * 100.0,
            offered_ops: f64::from(step) * 500.0,
            throughput_ops: f64::from(step.min(6)) * 500.0,
            errors_percent: 0.0,
            backlog: 0,
            p50_ms: (step < 8).then_some(40.0 + mode as f64),
            p99_ms: (step < 7).then(|| 45.0 + f64::from(step * step) + mode as f64),
            machine_bound: step == 6,
        };
        for modes in [1, 2, 12] {
            let points: Vec<ThroughputPoint> = (0..modes)
                .flat_map(|mode| (1..9).map(move |step| point(mode, step)))
                .collect();
            let names: Vec<String> = (0..modes)
                .map(|mode| format!("mode:number-{mode}"))
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut chart = ThroughputChart {
                modes: &names,
                points: &points,
                limit: Some((70.0, "limit: p99 70 ms")),
                caption: "aws-5 · simulated · seed 1",
            };
            check(&[("sweep".to_owned(), throughput(&chart).scene)]);
            (chart.points, chart.limit) = (&[], None);
            check(&[("empty".to_owned(), throughput(&chart).scene)]);
        }
    }

    #[test]
    fn charts_come_as_svg_with_a_view_box_and_as_png() {
        let (record, mut analysis) = analysed(Shape {
            modes: 1,
            regions: 1,
            ..SHAPE
        });
        analysis.curves.modes[0].mode = "a<b>&c".to_owned();
        let run = Run {
            record: &record,
            analysis: &analysis,
            surroundings: Surroundings::Drawn,
        };
        for drawing in &drawings(&run)[..1] {
            let chart = drawing.finish();
            assert!(chart.svg.starts_with("<svg width="), "{}", chart.name);
            assert!(chart.svg.contains("viewBox=\"0 0 "));
            assert!(!chart.svg.contains("NaN") && !chart.svg.contains("a<b>"));
            assert!(chart.svg.ends_with("</svg>\n"));
            assert_eq!(&chart.png[..8], b"\x89PNG\r\n\x1a\n");
        }
    }
}

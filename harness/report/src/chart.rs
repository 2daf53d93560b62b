//! Charts of an analysis.
//!
//! [`percentile`] draws latency by percentile for all clients together, [`regions`] the same for
//! each client region, [`grid`] the medians of each mode and region; [`axis`], [`theme`] and
//! [`page`] are what they share.

pub mod axis;
pub mod grid;
pub mod page;
pub mod panel;
pub mod percentile;
pub mod regions;
pub mod theme;

use longhaul_analysis::{
    Analysis, Curve, ModeCurves, OperationSummary, RegionCurves, RegionSummary,
};

use crate::render;
use crate::scene::Scene;

/// A finished chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Its name, fit for a file name without extension.
    pub name: String,
    /// As SVG.
    pub svg: String,
    /// As PNG, two pixels per CSS pixel.
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

/// Draws all charts of an analysis: for writes, and for reads where there were any, latency by
/// percentile over all clients, the same per client region, and the grid of medians.
///
/// It takes about a tenth of a second per chart, most of it for the PNG.
pub fn charts(analysis: &Analysis) -> Vec<Chart> {
    let finish = |(name, scene): (String, Scene)| Chart {
        name,
        svg: render::svg(&scene),
        png: render::png(&scene),
    };
    scenes(analysis).into_iter().map(finish).collect()
}

/// Lays out all charts of an analysis, by name.
pub fn scenes(analysis: &Analysis) -> Vec<(String, Scene)> {
    let mut scenes = Vec::new();
    for shown in [Shown::Writes, Shown::Reads] {
        let modes = &analysis.curves.modes;
        if !modes.iter().any(|mode| shown.of_mode(mode).is_some()) {
            continue;
        }
        let name = shown.name();
        scenes.push((
            format!("{name}-latency-by-percentile"),
            percentile::scene(analysis, shown),
        ));
        scenes.push((
            format!("{name}-latency-by-region"),
            regions::scene(analysis, shown),
        ));
        scenes.push((format!("{name}-latency-grid"), grid::scene(analysis, shown)));
    }
    scenes
}

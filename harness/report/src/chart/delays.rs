//! Achieved against asked link delay: how far each probed link was off.

use longhaul_analysis::Percentile;
use longhaul_experiment::histogram::rank_of;
use longhaul_experiment::record::LinkCalibration;

use super::Run;
use super::axis::AmountAxis;
use super::page;
use super::plot::{self, Plot};
use crate::scene::{Colour, Rectangle, Scene, Stroke};

const PLOT: (f64, f64) = (880.0, 260.0);

/// Lays out the chart; `None` where no link was probed, as in virtual time.
pub fn scene(run: &Run<'_>) -> Option<Scene> {
    let links = &run.analysis.summary.calibration.links;
    if links.is_empty() {
        return None;
    }
    let style = run.style();
    let left = style.margin + style.room(70.0);
    let size = style.plot(left + style.room(8.0), PLOT);
    let width = left + size.0 + style.margin + 24.0;
    let mut scene = Scene::new(style.width.unwrap_or(width), 0.0);
    let title = "Achieved less asked delay of each link, before load";
    let top = page::heading(&mut scene, title, run) + 10.0;
    let asked = links
        .iter()
        .flat_map(|link| [link.asked_p50_ms, link.asked_p99_ms]);
    let errors = links.iter().map(error_us);
    let (low, high) = errors.fold((0.0f64, 1.0f64), |(low, high), (at_p50, tail)| {
        (low.min(at_p50).min(tail), high.max(at_p50).max(tail))
    });
    let plot = Plot {
        frame: Rectangle {
            left,
            top,
            width: size.0,
            height: size.1,
        },
        across: AmountAxis::spanning(asked),
        up: AmountAxis::between(low * 1.1, high * 1.1),
        tick_size: style.tick,
    };
    plot.axes(&mut scene, " ms");
    let exact = plot.place(0.0, 0.0).1;
    let ends = [(left, exact), (plot.frame.right(), exact)];
    scene.line(&ends, Stroke::solid(Colour::AXIS, 1.4));
    for link in links {
        dots(&mut scene, &plot, link, style.marker * 0.95);
    }
    let across = format!("one-way delay asked for, ms{}", plot.across.scale_note());
    let bottom = plot::titled(
        &mut scene,
        plot.frame,
        &style,
        [&across, "achieved less asked, µs"],
    );
    let fewest = links.iter().map(|link| link.probes).min().unwrap_or(0);
    let text = format!(
        "Filled: p50 of the link's probes. Hollow: {}. A dot on the line at 0 arrived exactly when \
         asked.",
        tail(fewest)
    );
    let start = match style.width {
        None => left,
        Some(_) => style.margin,
    };
    let bottom = page::note(&mut scene, (start, bottom + 4.0), &text, &style);
    page::footer(&mut scene, bottom, run);
    Some(scene)
}

/// Says what the 99th percentile of so many probes is.
pub fn tail(probes: u64) -> &'static str {
    if rank_of(Percentile::P99.quantile(), probes) == probes {
        "the longest of fewer than 100 probes"
    } else if Percentile::P99.is_unsupported_by(probes) {
        "p99, with fewer than 10 probes beyond it"
    } else {
        "p99"
    }
}

/// The errors at p50 and p99 in microseconds.
fn error_us(link: &LinkCalibration) -> (f64, f64) {
    let error = |achieved_ms: f64, asked_ms: f64| (achieved_ms - asked_ms) * 1e3;
    (
        error(link.achieved_p50_ms, link.asked_p50_ms),
        error(link.achieved_p99_ms, link.asked_p99_ms),
    )
}

fn dots(scene: &mut Scene, plot: &Plot, link: &LinkCalibration, radius: f64) {
    let (at_p50, at_tail) = error_us(link);
    let points = [
        (link.asked_p50_ms, at_p50, "p50", Colour::INK),
        (link.asked_p99_ms, at_tail, tail(link.probes), Colour::WHITE),
    ];
    for (asked_ms, error, name, fill) in points {
        let at = plot.place(asked_ms, error);
        super::theme::dot(scene, at, radius, fill);
        scene.mark_point(
            at,
            format!(
                "{} to {}: {name} asked {asked_ms:.3} ms, achieved {error:+.0} µs; {} probes",
                link.from, link.to, link.probes
            ),
        );
    }
}

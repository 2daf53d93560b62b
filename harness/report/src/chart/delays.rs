//! Achieved against asked link delay: how far each probed link was off.

use longhaul_experiment::record::LinkCalibration;

use super::Run;
use super::axis::{AmountAxis, step, tick_label};
use super::page::{self, MARGIN};
use super::plot;
use crate::scene::{Anchor, Colour, Point, Rectangle, Scene, Stroke, TextStyle};

const PLOT: (f64, f64) = (880.0, 260.0);
const LABEL: TextStyle = TextStyle::new(11.0).colour(Colour::GREY);
const RADIUS: f64 = 3.6;

/// Lays out the chart; `None` where no link was probed, as in virtual time.
pub fn scene(run: &Run<'_>) -> Option<Scene> {
    let links = &run.analysis.summary.calibration.links;
    if links.is_empty() {
        return None;
    }
    let left = MARGIN + 70.0;
    let mut scene = Scene::new(left + PLOT.0 + MARGIN + 24.0, 0.0);
    let title = "Achieved less asked delay of each link, before load";
    let top = page::heading(&mut scene, title, run) + 10.0;
    let asked = links
        .iter()
        .flat_map(|link| [link.asked_p50_ms, link.asked_p99_ms]);
    let errors = || {
        links
            .iter()
            .flat_map(|link| [error_us(link).0, error_us(link).1])
    };
    let field = Field {
        frame: Rectangle {
            left,
            top,
            width: PLOT.0,
            height: PLOT.1,
        },
        asked: AmountAxis::spanning(asked),
        low_us: errors().fold(0.0, f64::min) * 1.1,
        high_us: errors().fold(1.0, f64::max) * 1.1,
    };
    field.axes(&mut scene);
    for link in links {
        field.link(&mut scene, link);
    }
    let across = format!("one-way delay asked for, ms{}", field.asked.scale_note());
    let bottom = plot::titles(&mut scene, field.frame, &across, "achieved less asked, µs");
    let text = "Filled: p50 of the link's probes. Hollow: p99. A dot on the line at 0 arrived \
                exactly when asked.";
    let style = TextStyle::new(10.5).colour(Colour::GREY);
    let bottom = page::paragraph(&mut scene, (left, bottom + 4.0), text, style);
    page::footer(&mut scene, bottom, run);
    Some(scene)
}

/// The errors at p50 and p99 in microseconds.
fn error_us(link: &LinkCalibration) -> (f64, f64) {
    let error = |achieved_ms: f64, asked_ms: f64| (achieved_ms - asked_ms) * 1e3;
    (
        error(link.achieved_p50_ms, link.asked_p50_ms),
        error(link.achieved_p99_ms, link.asked_p99_ms),
    )
}

struct Field {
    frame: Rectangle,
    asked: AmountAxis,
    low_us: f64,
    high_us: f64,
}

impl Field {
    fn place(&self, asked_ms: f64, error_us: f64) -> Point {
        let share = (error_us - self.low_us) / (self.high_us - self.low_us);
        (
            self.frame.left + self.frame.width * self.asked.position(asked_ms),
            self.frame.bottom() - self.frame.height * share.clamp(0.0, 1.0),
        )
    }

    fn axes(&self, scene: &mut Scene) {
        let frame = self.frame;
        let step_us = step(self.high_us - self.low_us, 6);
        let first = (self.low_us / step_us).ceil() as i64;
        let last = (self.high_us / step_us).floor() as i64;
        for number in first..=last {
            let error = number as f64 * step_us;
            let y = self.place(0.0, error).1;
            let (colour, width) = match number {
                0 => (Colour::AXIS, 1.4),
                _ => (Colour::GRID, 1.0),
            };
            let ends = [(frame.left, y), (frame.right(), y)];
            scene.line(&ends, Stroke::solid(colour, width));
            let at = (frame.left - 6.0, y);
            scene.text_centred(at, tick_label(error), LABEL.anchor(Anchor::End));
        }
        let mut free_from = f64::NEG_INFINITY;
        for tick in self.asked.ticks(9) {
            let x = self.place(tick, 0.0).0;
            let text = format!("{} ms", tick_label(tick));
            let half = LABEL.width(&text) / 2.0;
            let ends = [(x, frame.top), (x, frame.bottom())];
            scene.line(&ends, Stroke::solid(Colour::GRID, 1.0));
            if x - half > free_from {
                let at = (x, frame.bottom() + 15.4);
                scene.text(at, text, LABEL.anchor(Anchor::Middle));
                free_from = x + half + 6.0;
            }
        }
    }

    fn link(&self, scene: &mut Scene, link: &LinkCalibration) {
        let (at_p50, at_p99) = error_us(link);
        let points = [
            (link.asked_p50_ms, at_p50, "p50", Colour::INK),
            (link.asked_p99_ms, at_p99, "p99", Colour::WHITE),
        ];
        for (asked_ms, error, name, fill) in points {
            let at = self.place(asked_ms, error);
            super::theme::dot(scene, at, RADIUS, fill);
            scene.mark_point(
                at,
                format!(
                    "{} to {}: {name} asked {asked_ms:.3} ms, achieved {error:+.0} µs; {} probes",
                    link.from, link.to, link.probes
                ),
            );
        }
    }
}

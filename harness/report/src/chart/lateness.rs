//! How late frames were released and operations sent under load, a pair of rows per mode.

use longhaul_analysis::warnings::LATENESS_P99_US;
use longhaul_experiment::record::{Lateness, LoadCalibration};

use super::axis::AmountAxis;
use super::page::{self, MARGIN};
use super::theme::{self, Tone};
use super::{Run, plot};
use crate::font::Face;
use crate::scene::{Anchor, Colour, Rectangle, Scene, Stroke, TextStyle};

const WIDTH: f64 = 620.0;
const ROW: f64 = 20.0;
const GAP: f64 = 12.0;
const NAME: TextStyle = TextStyle::new(12.0).bold();
const SMALL: TextStyle = TextStyle::new(10.5).colour(Colour::GREY);

/// Lays out the chart; `None` where nothing measured lateness, as in virtual time.
pub fn scene(run: &Run<'_>) -> Option<Scene> {
    let modes = run.analysis.summary.modes.iter().enumerate();
    let modes: Vec<(usize, &str, &LoadCalibration)> = modes
        .filter_map(|(number, mode)| Some((number, mode.mode.as_str(), mode.load.as_ref()?)))
        .collect();
    if modes.is_empty() {
        return None;
    }
    let names = page::widest(modes.iter().map(|mode| mode.1), NAME.size, Face::Bold);
    let rows = page::widest(["frames", "operations"], SMALL.size, SMALL.face);
    let left = MARGIN + names + 14.0 + rows + 10.0;
    let mut scene = Scene::new((left + WIDTH + MARGIN + 20.0).ceil(), 0.0);
    let title = "Lateness of frames and operations under load";
    let top = page::heading(&mut scene, title, run) + 8.0;
    let all = modes
        .iter()
        .flat_map(|(_, _, load)| [&load.release, &load.pacing]);
    let amounts = all.flat_map(|one| [one.p50_us, one.p99_us, one.p999_us, one.max_us]);
    // A microsecond is as fine as clocks and readers care for.
    let amounts = amounts.map(|one| one.max(1.0));
    let axis = AmountAxis::spanning(amounts.chain([LATENESS_P99_US]));
    let frame = Rectangle {
        left,
        top,
        width: WIDTH,
        height: modes.len() as f64 * (2.0 * ROW + GAP),
    };
    plot::columns(&mut scene, frame, SMALL.size, &axis.ticks(9, ""));
    let limit = left + WIDTH * axis.position(LATENESS_P99_US);
    let ends = [(limit, frame.top), (limit, frame.bottom())];
    scene.line(&ends, Stroke::dashed(Colour::ALARM, 1.4, 5.0, 3.0));
    for (place, (number, name, load)) in modes.iter().enumerate() {
        let y = top + place as f64 * (2.0 * ROW + GAP) + GAP / 2.0;
        let style = NAME.colour(theme::toned(*number, Tone::Text));
        scene.text_centred((MARGIN, y + ROW), *name, style);
        for (row, word, lateness) in [
            (0.5, "frames", &load.release),
            (1.5, "operations", &load.pacing),
        ] {
            let y = y + row * ROW;
            scene.text_centred((left - 10.0, y), word, SMALL.anchor(Anchor::End));
            let line = Rectangle {
                top: y,
                height: 0.0,
                ..frame
            };
            strip(&mut scene, (line, axis), *number, lateness);
            let area = Rectangle {
                top: y - ROW / 2.0,
                height: ROW,
                ..frame
            };
            scene.mark(area, describe(name, word, lateness));
        }
    }
    let bottom = frame.bottom() + 32.0;
    let title = format!("late by, µs{}", axis.scale_note());
    let middle = SMALL.anchor(Anchor::Middle);
    scene.text((frame.middle().0, bottom), title, middle);
    let text = format!(
        "Filled: p50, then p99; hollow: p99.9; the line ends at the maximum. Dashed: the limit of \
         {LATENESS_P99_US} µs for p99."
    );
    let bottom = page::paragraph(&mut scene, (MARGIN, bottom + 8.0), &text, SMALL);
    page::footer(&mut scene, bottom, run);
    Some(scene)
}

fn strip(scene: &mut Scene, (line, axis): (Rectangle, AmountAxis), mode: usize, late: &Lateness) {
    if late.count == 0 {
        return;
    }
    let place = |amount: f64| {
        (
            line.left + line.width * axis.position(amount.max(1.0)),
            line.top,
        )
    };
    let colour = theme::colour(mode);
    let ends = [place(late.p50_us), place(late.max_us)];
    scene.line(&ends, Stroke::solid(theme::toned(mode, Tone::Pale), 2.0));
    let stop = place(late.max_us);
    let bar = [(stop.0, stop.1 - 5.0), (stop.0, stop.1 + 5.0)];
    scene.line(&bar, Stroke::solid(theme::toned(mode, Tone::Pale), 2.0));
    for (amount, fill) in [
        (late.p999_us, Colour::WHITE),
        (late.p99_us, colour),
        (late.p50_us, colour),
    ] {
        theme::dot_of(scene, place(amount), 4.0, (fill, colour));
    }
}

fn describe(mode: &str, word: &str, late: &Lateness) -> String {
    format!(
        "{mode}, {word}: p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs, max {:.0} µs of {}",
        late.p50_us, late.p99_us, late.p999_us, late.max_us, late.count
    )
}

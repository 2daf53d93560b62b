//! How late frames were released and operations sent under load, a pair of rows per mode.

use longhaul_analysis::warnings::LATENESS_P99_US;
use longhaul_experiment::record::{Lateness, LoadCalibration};

use super::axis::AmountAxis;
use super::theme::{self, Tone};
use super::{Run, page, plot};
use crate::scene::{Anchor, Colour, Rectangle, Scene, Stroke};

const WIDTH: f64 = 620.0;
const ROW: f64 = 20.0;
const GAP: f64 = 12.0;

/// Lays out the chart; `None` where nothing measured lateness, as in virtual time.
pub fn scene(run: &Run<'_>) -> Option<Scene> {
    let modes = run.analysis.summary.modes.iter().enumerate();
    let modes: Vec<(usize, &str, &LoadCalibration)> = modes
        .filter_map(|(number, mode)| Some((number, mode.mode.as_str(), mode.load.as_ref()?)))
        .collect();
    if modes.is_empty() {
        return None;
    }
    // Names and rows take too much of one column.
    let style = run.style().across_columns();
    let note = style.note();
    let names = page::widest(modes.iter().map(|mode| mode.1), style.text, style.name_face);
    let rows = page::widest(["frames", "operations"], note.size, note.face);
    let left = style.margin + names + style.room(14.0) + rows + style.room(10.0);
    let wide = style.plot(left + style.room(8.0), (WIDTH, 0.0)).0;
    let width = (left + wide + style.margin + 20.0).ceil();
    let mut scene = Scene::new(style.width.unwrap_or(width), 0.0);
    let title = "Lateness of frames and operations under load";
    let top = page::heading(&mut scene, title, run) + style.room(8.0);
    let [row_height, gap] = [ROW, GAP].map(|room| style.room(room));
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
        width: wide,
        height: modes.len() as f64 * (2.0 * row_height + gap),
    };
    plot::columns(&mut scene, frame, note.size, &axis.ticks(9, ""));
    let limit = left + wide * axis.position(LATENESS_P99_US);
    let ends = [(limit, frame.top), (limit, frame.bottom())];
    scene.line(&ends, Stroke::dashed(Colour::ALARM, 1.4, 5.0, 3.0));
    for (place, (number, name, load)) in modes.iter().enumerate() {
        let y = top + place as f64 * (2.0 * row_height + gap) + gap / 2.0;
        let text = style.name().colour(theme::toned(*number, Tone::Text));
        scene.text_centred((style.margin, y + row_height), *name, text);
        for (row, word, lateness) in [
            (0.5, "frames", &load.release),
            (1.5, "operations", &load.pacing),
        ] {
            let y = y + row * row_height;
            let at = (left - style.room(10.0), y);
            scene.text_centred(at, word, note.anchor(Anchor::End));
            let line = Rectangle {
                top: y,
                height: 0.0,
                ..frame
            };
            let strip = Strip {
                line,
                axis,
                mode: *number,
                radius: style.marker,
            };
            strip.draw(&mut scene, lateness);
            let area = Rectangle {
                top: y - row_height / 2.0,
                height: row_height,
                ..frame
            };
            scene.mark(area, describe(name, word, lateness));
        }
    }
    let bottom = frame.bottom() + style.room(32.0);
    let title = format!("late by, µs{}", axis.scale_note());
    let middle = note.anchor(Anchor::Middle);
    scene.text((frame.middle().0, bottom), title, middle);
    let text = format!(
        "Filled: p50, then p99; hollow: p99.9; the line ends at the maximum. Dashed: the limit of \
         {LATENESS_P99_US} µs for p99."
    );
    let bottom = page::note(&mut scene, (style.margin, bottom + 8.0), &text, &style);
    page::footer(&mut scene, bottom, run);
    Some(scene)
}

/// Where a row of the chart is drawn, and how.
struct Strip {
    line: Rectangle,
    axis: AmountAxis,
    mode: usize,
    radius: f64,
}

impl Strip {
    fn draw(&self, scene: &mut Scene, late: &Lateness) {
        if late.count == 0 {
            return;
        }
        let line = self.line;
        let place = |amount: f64| {
            let share = self.axis.position(amount.max(1.0));
            (line.left + line.width * share, line.top)
        };
        let (colour, pale) = (
            theme::colour(self.mode),
            Stroke::solid(theme::toned(self.mode, Tone::Pale), 2.0),
        );
        let stop = place(late.max_us);
        scene.line(&[place(late.p50_us), stop], pale);
        let reach = 1.3 * self.radius;
        scene.line(&[(stop.0, stop.1 - reach), (stop.0, stop.1 + reach)], pale);
        for (amount, fill) in [
            (late.p999_us, Colour::WHITE),
            (late.p99_us, colour),
            (late.p50_us, colour),
        ] {
            theme::dot_of(scene, place(amount), self.radius, (fill, colour));
        }
    }
}

fn describe(mode: &str, word: &str, late: &Lateness) -> String {
    format!(
        "{mode}, {word}: p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs, max {:.0} µs of {}",
        late.p50_us, late.p99_us, late.p999_us, late.max_us, late.count
    )
}

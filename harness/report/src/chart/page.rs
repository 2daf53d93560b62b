//! What surrounds a chart: title, what was run, doubts, and the line that makes it repeatable.

use longhaul_analysis::Summary;
use longhaul_analysis::scenario::WorkloadSummary;

use super::style::Style;
use super::theme::{self, Tone};
use super::{Run, Shown, Surroundings};
use crate::font::{self, Face};
use crate::scene::{Colour, Point, Scene, TextStyle};

/// The margin of every page for screens.
pub const MARGIN: f64 = Style::SCREEN.margin;

const TITLE: TextStyle = TextStyle::new(18.0).bold();
const SUBTITLE: TextStyle = TextStyle::new(12.0).colour(Colour::GREY);
const ALARM: TextStyle = TextStyle::new(12.0).colour(Colour::ALARM).bold();
const FOOTER: TextStyle = TextStyle::new(10.0).colour(Colour::GREY);

/// Draws the heading from the top of the page and returns where it ends; nothing where the
/// surroundings say it all.
pub fn heading(scene: &mut Scene, title: &str, run: &Run<'_>) -> f64 {
    match run.surroundings {
        Surroundings::Drawn => {}
        Surroundings::Elsewhere => return 6.0,
        Surroundings::Paper => return run.style().room(6.0),
    }
    let summary = &run.analysis.summary;
    let mut bottom = MARGIN;
    bottom = paragraph(scene, (MARGIN, bottom), title, TITLE);
    bottom = paragraph(
        scene,
        (MARGIN, bottom + 2.0),
        &what_was_run(summary),
        SUBTITLE,
    );
    if let Some(reason) = summary.unpublishable_because.first() {
        let text = format!("Not for publication: {reason}.");
        bottom = paragraph(scene, (MARGIN, bottom + 2.0), &text, ALARM);
    }
    bottom + 6.0
}

/// Draws a title and a line below it from the top of the page and returns where they end.
pub fn captioned(scene: &mut Scene, title: &str, caption: &str) -> f64 {
    let bottom = paragraph(scene, (MARGIN, MARGIN), title, TITLE);
    paragraph(scene, (MARGIN, bottom + 2.0), caption, SUBTITLE) + 6.0
}

/// Draws the footer from `top` on unless the surroundings have it, and sets the page's height to
/// end below it.
pub fn footer(scene: &mut Scene, top: f64, run: &Run<'_>) {
    let bottom = match run.surroundings {
        Surroundings::Drawn => {
            let text = repeatable(&run.analysis.summary);
            paragraph(scene, (MARGIN, top + 8.0), &text, FOOTER)
        }
        Surroundings::Elsewhere | Surroundings::Paper => top,
    };
    scene.height = (bottom + run.style().margin / 2.0).ceil();
}

/// Draws a text wrapped to the page's width below a point and returns where it ends.
pub fn paragraph(scene: &mut Scene, at: Point, text: &str, style: TextStyle) -> f64 {
    let limit = scene.width - at.0 - MARGIN;
    wrapped(scene, (at, limit), text, style)
}

/// Draws a note wrapped to the page's width below a point and returns where it ends.
pub fn note(scene: &mut Scene, at: Point, text: &str, style: &Style) -> f64 {
    let limit = scene.width - at.0 - style.margin;
    wrapped(scene, (at, limit), text, style.note())
}

fn wrapped(
    scene: &mut Scene,
    ((left, top), limit): (Point, f64),
    text: &str,
    style: TextStyle,
) -> f64 {
    let mut bottom = top;
    for line in font::wrap(text, style.size, style.face, limit) {
        bottom += style.size * 1.4;
        scene.text((left, bottom - style.size * 0.35), line, style);
    }
    bottom
}

/// Says what was run, in one line.
pub fn what_was_run(summary: &Summary) -> String {
    let scenario = &summary.scenario;
    let workload = &scenario.workload;
    let reads = match workload.read_share {
        share if share > 0.0 => format!(", {:.0}% reads", 100.0 * share),
        _ => String::new(),
    };
    let faults = match scenario.faults.as_slice() {
        [] => String::new(),
        faults => format!(" · faults: {}", faults.join(", ")),
    };
    format!(
        "{} · replicas in {} · preferred leader in {} · {}{reads} · measured for {} s{faults}",
        scenario.profile,
        scenario.replicas.join(", "),
        scenario.leader,
        load(workload),
        scenario.measured_s,
    )
}

/// Describes how operations arrive.
pub fn load(workload: &WorkloadSummary) -> String {
    match (workload.rate_ops, workload.in_flight) {
        (Some(rate), _) if workload.arrivals == "poisson" => {
            format!("Poisson arrivals, {rate} operations/s per client region")
        }
        (Some(rate), _) => format!("constant rate, {rate} operations/s per client region"),
        (None, Some(in_flight)) => format!("closed loop, {in_flight} in flight per connection"),
        (None, None) => workload.arrivals.clone(),
    }
}

/// Everything that a reader needs to run it again, and the machine that it ran on.
fn repeatable(summary: &Summary) -> String {
    let environment = &summary.environment;
    let machine = match environment.processor.as_str() {
        "" => String::new(),
        processor => format!(
            " · {} processors of {processor}, {}",
            environment.processors, environment.system
        ),
    };
    let command = match environment.command.as_slice() {
        [] => String::new(),
        command => format!(" · {}", command.join(" ")),
    };
    format!(
        "longhaul {} · scenario {} · backend {} · seed {}{machine} · delays: {} ({}){command}",
        environment.longhaul_version,
        summary.scenario.name,
        summary.backend.name(),
        summary.seed,
        summary.scenario.profile_source,
        summary.scenario.profile_date,
    )
}

/// Draws labels at given heights, moved apart where they would touch, and returns the heights
/// they got.
///
/// Heights keep their order; all lie between `top` and `bottom` if the labels fit there at all.
pub fn spread(wanted: &[f64], distance: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut heights = vec![0.0; wanted.len()];
    let mut next = top;
    for &index in &order {
        heights[index] = wanted[index].max(next);
        next = heights[index] + distance;
    }
    let mut limit = bottom;
    for &index in order.iter().rev() {
        heights[index] = heights[index].min(limit);
        limit = heights[index] - distance;
    }
    heights
}

/// Draws every mode's marker and name in rows below `top` and returns where they end.
pub fn names(scene: &mut Scene, top: f64, run: &Run<'_>, shown: Shown) -> f64 {
    let style = run.style();
    let name = style.name();
    let left = style.margin;
    let (mut x, mut y) = (left, top + style.room(10.0));
    for (mode, curves) in run.analysis.curves.modes.iter().enumerate() {
        if shown.of_mode(curves).is_none() {
            continue;
        }
        let sample = if style.dashed { 26.0 } else { 10.0 };
        let indent = style.room(sample + 6.0);
        let width = indent + name.width(&curves.mode);
        if x > left && x + width > scene.width - style.margin {
            (x, y) = (left, y + name.size * 1.6);
        }
        let middle = (x + style.room(sample / 2.0), y);
        if style.dashed {
            let ends = [(x, y), (x + style.room(sample), y)];
            scene.line(&ends, theme::line(mode, 2.0, &style));
        }
        theme::marker(scene, mode, middle, style.marker);
        let colour = theme::toned(mode, Tone::Text);
        let at = (x + indent, y);
        scene.text_centred(at, curves.mode.clone(), name.colour(colour));
        x += width + style.room(22.0);
    }
    y + style.room(10.0)
}

/// Returns the width of the widest text, zero without any.
pub fn widest<'a>(texts: impl IntoIterator<Item = &'a str>, size: f64, face: Face) -> f64 {
    texts
        .into_iter()
        .map(|text| font::width(text, size, face))
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_would_touch_move_apart_and_stay_on_the_page() {
        // Three want 95, the page ends at 100, and 10 must lie between them: 80, 90, 100.
        assert_eq!(
            spread(&[95.0, 20.0, 95.0, 95.0], 10.0, 0.0, 100.0),
            [80.0, 20.0, 90.0, 100.0]
        );
    }
}

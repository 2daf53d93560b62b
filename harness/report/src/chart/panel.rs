//! One panel of percentile curves: frame, grid, floors and lines.

use longhaul_analysis::{Curve, CurvePoint};

use super::axis::{AmountAxis, PercentileAxis};
use super::style::Style;
use super::theme::{self, Tone};
use super::{page, plot};
use crate::scene::{Colour, Point, Rectangle, Scene, Stroke, TextStyle};

/// A curve and the number of its mode.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The mode's number, which sets colour and marker.
    pub mode: usize,
    /// What was measured.
    pub curve: &'a Curve,
    /// What the message pattern would take with jitter alone.
    pub model: Option<&'a Curve>,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// The plot's frame.
    pub frame: Rectangle,
    /// Its x axis.
    pub percentiles: PercentileAxis,
    /// Its y axis.
    pub latencies: AmountAxis,
    /// The font size of tick labels.
    pub tick_size: f64,
    /// The width of lines.
    pub line_width: f64,
    /// How large everything else is.
    pub style: Style,
}

impl Panel {
    /// Returns where a percentile's latency stands.
    pub fn place(&self, point: &CurvePoint) -> Point {
        (self.x(point.quantile), self.y(point.latency_ms))
    }

    fn x(&self, quantile: f64) -> f64 {
        self.frame.left + self.frame.width * self.percentiles.position(quantile)
    }

    fn y(&self, latency_ms: f64) -> f64 {
        self.frame.bottom() - self.frame.height * self.latencies.position(latency_ms)
    }

    /// Draws grid, frame and tick labels.
    pub fn axes(&self, scene: &mut Scene) {
        let (frame, size) = (self.frame, self.tick_size);
        let wanted = plot::levels_wanted(frame, size);
        plot::levels(scene, frame, size, &self.latencies.ticks(wanted, ""));
        plot::columns(scene, frame, size, &self.percentiles.ticks());
        plot::corner(scene, frame);
    }

    /// Draws the floors of a curve: a dotted line that no operation can be below.
    ///
    /// `lines` is how many share the panel: equal floors then alternate in colour.
    pub fn floors(&self, scene: &mut Scene, line: &Line<'_>, lines: usize) {
        let colour = theme::toned(line.mode, Tone::Soft);
        let mut points = Vec::new();
        let mut from = 0.0;
        for floor in &line.curve.floors {
            let y = self.y(floor.floor_ms);
            points.push((self.x(from), y));
            let right = if floor.share < 1.0 {
                self.x(floor.share)
            } else {
                self.frame.right()
            };
            points.push((right, y));
            from = floor.share;
        }
        if let Some(first) = points.first_mut() {
            first.0 += 4.0 * (line.mode % lines.clamp(1, 3)) as f64;
        }
        scene.line(&points, Stroke::dashed(colour, 1.2, 2.0, 3.5));
    }

    /// Draws a curve with its markers, and its model.
    pub fn line(&self, scene: &mut Scene, line: &Line<'_>) {
        let colour = theme::colour(line.mode);
        if let Some(model) = line.model {
            let shown = |one: &&CurvePoint| self.percentiles.holds(one.quantile);
            let points = model.points.iter().filter(shown);
            let points: Vec<Point> = points.map(|one| self.place(one)).collect();
            let pale = theme::toned(line.mode, Tone::Pale);
            scene.line(&points, Stroke::solid(pale, 0.8));
        }
        let curve = line.curve;
        let supported_to = curve.supported_to();
        let split = curve
            .points
            .partition_point(|point| point.quantile <= supported_to);
        let points: Vec<Point> = curve.points.iter().map(|point| self.place(point)).collect();
        let stroke = theme::line(line.mode, self.line_width, &self.style);
        scene.line(&points[..split], stroke);
        // Where dashes tell modes apart they cannot tell doubtful figures apart too.
        if !self.style.dashed {
            let thin = Stroke::dashed(colour, self.line_width * 0.55, 5.0, 3.0);
            scene.line(&points[split.saturating_sub(1)..], thin);
        }
        if curve.ok < curve.due {
            self.not_succeeded(scene, line);
        }
        for quantile in self.percentiles.marked() {
            if quantile <= supported_to
                && let Some(marked) = at_quantile(curve, quantile)
            {
                let radius = self.style.marker * self.line_width / 2.2;
                theme::marker(scene, line.mode, self.place(&marked), radius);
            }
        }
    }

    /// Draws a curve's way off the chart, where operations begin that did not succeed.
    fn not_succeeded(&self, scene: &mut Scene, line: &Line<'_>) {
        let colour = theme::colour(line.mode);
        let x = self.x(line.curve.ok as f64 / line.curve.due as f64);
        let last = line.curve.points.last().map(|point| self.place(point));
        let from = last.unwrap_or((x, self.frame.bottom()));
        let top = self.frame.top;
        let thin = Stroke::dashed(colour, self.line_width * 0.55, 2.0, 2.0);
        scene.line(&[from, (x.max(from.0), from.1), (x, top + 6.0)], thin);
        scene.polygon(
            vec![(x, top - 3.0), (x + 4.5, top + 6.0), (x - 4.5, top + 6.0)],
            colour,
        );
    }

    /// Returns where a curve's line ends on the right.
    pub fn end(&self, curve: &Curve) -> Point {
        if curve.ok < curve.due {
            let x = self.x(curve.ok as f64 / curve.due as f64);
            return (x, self.frame.top);
        }
        let last = curve.points.last().map(|point| self.place(point));
        last.unwrap_or((self.frame.right(), self.frame.bottom()))
    }
}

/// Returns the point of a curve at a quantile; `None` beyond its ends.
pub fn at_quantile(curve: &Curve, quantile: f64) -> Option<CurvePoint> {
    let at = curve
        .points
        .partition_point(|point| point.quantile < quantile);
    let (from, to) = (curve.points.get(at.checked_sub(1)?)?, curve.points.get(at)?);
    Some(interpolate(from, to, quantile))
}

/// Says what a point of a curve is.
pub fn describe(mode: &str, point: &CurvePoint) -> String {
    // As many decimals as tell the percentile from its neighbours on the chart's scale.
    let beyond = (1.0 - point.quantile).max(1e-9);
    let decimals = (0.3 - beyond.log10()).floor().clamp(1.0, 6.0) as usize - 1;
    let percent = 100.0 * point.quantile;
    format!("{mode}: p{percent:.decimals$} {:.2} ms", point.latency_ms)
}

/// Returns the point of a curve at a quantile between two of its points.
fn interpolate(from: &CurvePoint, to: &CurvePoint, quantile: f64) -> CurvePoint {
    let share = (quantile - from.quantile) / (to.quantile - from.quantile).max(1e-12);
    CurvePoint {
        quantile,
        latency_ms: from.latency_ms + (to.latency_ms - from.latency_ms) * share,
    }
}

/// Draws the key of line styles below `top` and returns where it ends.
pub fn key(scene: &mut Scene, at: Point, lines: &[Line<'_>], style: &Style) -> f64 {
    if style.width.is_some() {
        return words(scene, (style.margin, at.1), lines, style);
    }
    const SIZE: f64 = Style::SCREEN.note;
    let (left, top) = at;
    let ink = Colour::GREY;
    let any = |holds: fn(&Line<'_>) -> bool| lines.iter().any(holds);
    let mut entries: Vec<(Stroke, &str)> = Vec::new();
    if any(|line| !line.curve.floors.is_empty()) {
        let text = "floor: the least that the mode's messages can take";
        entries.push((Stroke::dashed(ink, 1.2, 2.0, 3.5), text));
    }
    if any(|line| line.model.is_some()) {
        entries.push((Stroke::solid(ink, 0.8), "floor with jitter (Monte Carlo)"));
    }
    if any(|line| line.curve.ok > 0) {
        let text = "fewer than 10 operations beyond: do not compare";
        entries.push((Stroke::dashed(ink, 1.2, 5.0, 3.0), text));
    }
    let style = TextStyle::new(SIZE).colour(ink);
    let (mut x, mut y) = (left, top + SIZE);
    let failed = any(|line| line.curve.ok < line.curve.due).then_some("the rest did not succeed");
    let widths = entries.iter().map(|(_, text)| *text).chain(failed);
    for (index, text) in widths.enumerate() {
        let width = 34.0 + style.width(text) + 18.0;
        if x > left && x + width > scene.width {
            (x, y) = (left, y + SIZE * 1.6);
        }
        let middle = y - SIZE * 0.36;
        match entries.get(index) {
            Some((stroke, _)) => scene.line(&[(x, middle), (x + 28.0, middle)], *stroke),
            None => {
                let (tip, base) = (middle - 5.0, middle + 4.0);
                let corners = vec![(x + 18.0, tip), (x + 22.5, base), (x + 13.5, base)];
                scene.polygon(corners, ink);
            }
        }
        scene.text((x + 34.0, y), text, style);
        x += width;
    }
    y + SIZE * 0.4
}

/// The key in words, for where there is little room.
fn words(scene: &mut Scene, at: Point, lines: &[Line<'_>], style: &Style) -> f64 {
    let any = |holds: fn(&Line<'_>) -> bool| lines.iter().any(holds);
    let mut text = String::new();
    if any(|line| !line.curve.floors.is_empty()) {
        text.push_str("Dotted: the least that the mode's messages can take. ");
    }
    if any(|line| line.model.is_some()) {
        text.push_str("Hairline: the same with jitter (Monte Carlo). ");
    }
    text.push_str("Lines end where fewer than 10 operations lie beyond.");
    if any(|line| line.curve.ok < line.curve.due) {
        text.push_str(" Triangle: what is beyond did not succeed.");
    }
    page::note(scene, at, &text, style)
}

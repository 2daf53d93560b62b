//! Space-time diagrams: processes as lines, messages as arrows, operations as bars, faults as
//! shades (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", 1978,
//! turned so that time runs to the right).
//!
//! Time is not to scale: a gap in which nothing happens is drawn short, so that a run of seconds
//! with a few milliseconds that matter stays legible. The axis states the instants. What has no
//! room for its label has none, and carries it as a tooltip instead.

use std::fmt::Write as _;

use crate::font::{self, Face};
use crate::scene::Rectangle;

/// A diagram as data. Instants are nanoseconds of one clock; lanes count from the top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceTime {
    /// What it shows.
    pub title: String,
    /// The processes' names.
    pub lanes: Vec<String>,
    /// The messages between them.
    pub arrows: Vec<Arrow>,
    /// What takes time at a process.
    pub bars: Vec<Bar>,
    /// What is wrong with a process for a time.
    pub shades: Vec<Shade>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The sender's lane and the instant of sending.
    pub from: (usize, u64),
    /// The receiver's lane and the instant of receipt.
    pub to: (usize, u64),
    /// What it is called.
    pub label: String,
    /// Whether it stands back: there are many of its kind.
    pub is_faint: bool,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The lane.
    pub lane: usize,
    /// When it begins.
    pub from: u64,
    /// When it ends; `None`: its end is unknown.
    pub to: Option<u64>,
    /// What it is and came to.
    pub label: String,
    /// Whether it is one of those that matter.
    pub is_marked: bool,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shade {
    /// The lanes that it hits.
    pub lanes: Vec<usize>,
    /// When it begins.
    pub from: u64,
    /// When it ends.
    pub to: u64,
    /// What it is.
    pub label: String,
}

const LEFT: f64 = 90.0;
const TOP: f64 = 56.0;
const LANE: f64 = 64.0;
const BAR: f64 = 12.0;
const FONT: f64 = 10.0;
/// The least and the most width of a gap between two instants.
const GAP: (f64, f64) = (3.0, 60.0);
/// The width of a millisecond.
const MILLISECOND: f64 = 8.0;

/// Draws a diagram as SVG.
pub fn space_time(diagram: &SpaceTime) -> String {
    let scale = Scale::of(diagram);
    let right = scale.end().max(LEFT + 300.0) + 220.0;
    let bottom = TOP + LANE * diagram.lanes.len() as f64;
    let mut drawing = Drawing {
        svg: String::new(),
        scale,
        taken: Vec::new(),
    };
    drawing.open(&diagram.title, right, bottom + 40.0);
    for shade in &diagram.shades {
        drawing.shade(shade);
    }
    for (lane, name) in diagram.lanes.iter().enumerate() {
        drawing.lane(lane, name, right);
    }
    for bar in &diagram.bars {
        drawing.bar(bar);
    }
    // Arrows that stand back neither hide others nor take the room for their labels.
    for is_faint in [true, false] {
        for arrow in diagram.arrows.iter().filter(|it| it.is_faint == is_faint) {
            drawing.arrow(arrow);
        }
    }
    drawing.labels(diagram);
    drawing.axis(bottom + 8.0);
    drawing.svg.push_str("</svg>\n");
    drawing.svg
}

/// Where instants are drawn.
#[derive(Debug)]
struct Scale {
    instants: Vec<u64>,
    places: Vec<f64>,
}

impl Scale {
    fn of(diagram: &SpaceTime) -> Scale {
        let arrows = diagram.arrows.iter().flat_map(|it| [it.from.1, it.to.1]);
        let bars = diagram
            .bars
            .iter()
            .flat_map(|it| [it.from, it.to.unwrap_or(it.from)]);
        let shades = diagram.shades.iter().flat_map(|it| [it.from, it.to]);
        let mut instants: Vec<u64> = arrows.chain(bars).chain(shades).collect();
        instants.sort_unstable();
        instants.dedup();
        let mut places = Vec::with_capacity(instants.len());
        let mut place = LEFT + 10.0;
        for (index, &instant) in instants.iter().enumerate() {
            if index > 0 {
                let gap_ms = (instant - instants[index - 1]) as f64 / 1e6;
                place += (gap_ms * MILLISECOND).clamp(GAP.0, GAP.1);
            }
            places.push(place);
        }
        Scale { instants, places }
    }

    /// Returns the place of an instant; one that nothing marks is drawn at the next that is.
    fn x(&self, instant: u64) -> f64 {
        let index = self.instants.partition_point(|&it| it < instant);
        let place = self.places.get(index).or(self.places.last());
        place.copied().unwrap_or(LEFT)
    }

    fn end(&self) -> f64 {
        self.places.last().copied().unwrap_or(LEFT)
    }
}

struct Drawing {
    svg: String,
    scale: Scale,
    /// Where text stands already.
    taken: Vec<Rectangle>,
}

impl Drawing {
    fn open(&mut self, title: &str, width: f64, height: f64) {
        self.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"{}\" \
             font-size=\"{FONT}\">\n<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" \
             refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 \
             8z\" fill=\"#34495e\"/></marker></defs>\n<rect width=\"100%\" height=\"100%\" \
             fill=\"#fff\"/>\n<text x=\"12\" y=\"22\" font-size=\"15\">{}</text>",
            font::FAMILY,
            escaped(title)
        ));
    }

    fn put(&mut self, part: std::fmt::Arguments<'_>) {
        // Writing into a string succeeds.
        let _ = writeln!(self.svg, "{part}");
    }

    fn lane(&mut self, lane: usize, name: &str, right: f64) {
        let y = middle(lane);
        let end = right - 20.0;
        self.put(format_args!(
            "<line x1=\"{LEFT}\" x2=\"{end:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#7f8c8d\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"12\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            escaped(name)
        ));
    }

    fn shade(&mut self, shade: &Shade) {
        let (left, right) = (self.scale.x(shade.from), self.scale.x(shade.to));
        for &lane in &shade.lanes {
            let top = middle(lane) - LANE / 2.0 + 2.0;
            self.put(format_args!(
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
                 fill=\"#e67e22\" fill-opacity=\"0.16\"><title>{}</title></rect>",
                (right - left).max(2.0),
                LANE - 4.0,
                escaped(&shade.label)
            ));
        }
    }

    fn bar(&mut self, bar: &Bar) {
        let left = self.scale.x(bar.from);
        let right = bar
            .to
            .map_or(self.scale.end() + 30.0, |to| self.scale.x(to));
        let fill = match (bar.is_marked, bar.to) {
            (true, _) => "#c0392b",
            (false, Some(_)) => "#2980b9",
            (false, None) => "#95a5a6",
        };
        self.put(format_args!(
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\" \
             fill=\"{fill}\" fill-opacity=\"0.75\"><title>{}</title></rect>",
            middle(bar.lane) - BAR / 2.0,
            (right - left).max(2.0),
            escaped(&bar.label)
        ));
    }

    fn arrow(&mut self, arrow: &Arrow) {
        let opacity = if arrow.is_faint { 0.25 } else { 0.85 };
        self.put(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#34495e\" \
             stroke-opacity=\"{opacity}\" marker-end=\"url(#head)\"><title>{}</title></line>",
            self.scale.x(arrow.from.1),
            middle(arrow.from.0),
            self.scale.x(arrow.to.1),
            middle(arrow.to.0),
            escaped(&arrow.label)
        ));
    }

    /// Writes the labels for which there is room: of operations that matter first.
    fn labels(&mut self, diagram: &SpaceTime) {
        let mut bars: Vec<&Bar> = diagram.bars.iter().collect();
        bars.sort_by_key(|bar| !bar.is_marked);
        for bar in bars {
            let (x, y) = (self.scale.x(bar.from), middle(bar.lane));
            let rows = [
                y - BAR / 2.0 - 3.0,
                y + BAR / 2.0 + FONT,
                y - BAR / 2.0 - 14.0,
            ];
            self.write(&bar.label, x, &rows);
        }
        for shade in &diagram.shades {
            let Some(&lane) = shade.lanes.first() else {
                continue;
            };
            let x = self.scale.x(shade.from) + 2.0;
            let rows = [
                middle(lane) + LANE / 2.0 - 6.0,
                middle(lane) - LANE / 2.0 + FONT,
            ];
            self.write(&shade.label, x, &rows);
        }
        for arrow in diagram.arrows.iter().filter(|arrow| !arrow.is_faint) {
            let (from, to) = (
                (self.scale.x(arrow.from.1), middle(arrow.from.0)),
                (self.scale.x(arrow.to.1), middle(arrow.to.0)),
            );
            let at = |share: f64| {
                (
                    from.0 + (to.0 - from.0) * share,
                    from.1 + (to.1 - from.1) * share,
                )
            };
            let (x, y) = at(0.35);
            if !self.write(&arrow.label, x + 3.0, &[y]) {
                let (x, y) = at(0.6);
                self.write(&arrow.label, x + 3.0, &[y]);
            }
        }
    }

    /// Writes a text at the first of some heights where no other stands; says whether it did.
    fn write(&mut self, text: &str, x: f64, rows: &[f64]) -> bool {
        let width = font::width(text, FONT, Face::Regular);
        for &y in rows {
            let area = Rectangle {
                left: x,
                top: y - FONT,
                width,
                height: FONT + 2.0,
            };
            if !self.taken.iter().any(|taken| taken.overlaps(&area)) {
                self.taken.push(area);
                self.put(format_args!(
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" stroke=\"#fff\" stroke-width=\"3\" \
                     paint-order=\"stroke\">{}</text>",
                    escaped(text)
                ));
                return true;
            }
        }
        false
    }

    fn axis(&mut self, y: f64) {
        let instants = self.scale.instants.clone();
        for instant in instants {
            let x = self.scale.x(instant);
            let text = format!("{:.2} ms", instant as f64 / 1e6);
            if self.write(&text, x, &[y + 14.0]) {
                self.put(format_args!(
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{y:.1}\" \
                     stroke=\"#bdc3c7\" stroke-dasharray=\"2 4\"/>"
                ));
            }
        }
    }
}

fn middle(lane: usize) -> f64 {
    TOP + LANE * (lane as f64 + 0.5)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagram() -> SpaceTime {
        let bar = |lane, from, to, label: &str| Bar {
            lane,
            from,
            to,
            label: label.to_owned(),
            is_marked: lane == 0,
        };
        SpaceTime {
            title: "a < b".to_owned(),
            lanes: vec!["c0".to_owned(), "r0".to_owned()],
            arrows: vec![Arrow {
                from: (0, 1_000_000),
                to: (1, 2_000_000),
                label: "Write".to_owned(),
                is_faint: false,
            }],
            bars: vec![
                bar(0, 1_000_000, Some(3_000_000), "write 1"),
                bar(0, 1_000_000, None, "write 2"),
            ],
            shades: vec![Shade {
                lanes: vec![1],
                from: 0,
                to: 9_000_000_000,
                label: "pause".to_owned(),
            }],
        }
    }

    #[test]
    fn texts_are_escaped_and_do_not_overlap() {
        let svg = space_time(&diagram());
        assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
        let area = |label: &str| {
            let line = svg
                .lines()
                .find(|line| line.starts_with("<text") && line.contains(label))
                .unwrap_or_else(|| panic!("{label} is written"));
            let number = |name: &str| -> f64 {
                let rest = line.split(&format!("{name}=\"")).nth(1).unwrap_or_default();
                rest.split('"').next().unwrap_or_default().parse().unwrap()
            };
            (number(" x"), number(" y"))
        };
        // Both begin at one place of one lane: the second stands below the bar.
        let (first, second) = (area("write 1"), area("write 2"));
        assert_eq!(first.0, second.0);
        assert!((first.1 - second.1).abs() > FONT);
    }

    #[test]
    fn long_gaps_are_drawn_short_and_order_is_kept() {
        let scale = Scale::of(&diagram());
        let places: Vec<f64> = [0, 1_000_000, 2_000_000, 3_000_000, 9_000_000_000]
            .into_iter()
            .map(|instant| scale.x(instant))
            .collect();
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        // Nine seconds take as much room as the longest gap may.
        assert_eq!(places[4] - places[3], GAP.1);
    }
}

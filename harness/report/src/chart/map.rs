//! The world map: regions, the links between them, and the links' round trips.
//!
//! [`projection`] cuts out the part of the world that is shown, [`coastline`] holds the land,
//! [`labels`] finds room for texts.

mod coastline;
mod labels;
mod projection;

use longhaul_experiment::profile::Coordinates;
use longhaul_experiment::{RegionIndex, Topology};

use super::axis::short;
use super::style::Style;
use super::{Run, page, theme};
use crate::scene::{Colour, Point, Rectangle, Scene, Stroke, TextStyle};

use labels::Room;
use projection::View;

const WIDTH: f64 = 980.0;
const RADIUS: f64 = 4.5;
/// Up to so many regions all links are drawn alike; beyond, the preferred leader's stand out.
const ALL_LINKS_MAX: usize = 6;

/// A region on the map.
struct Place<'a> {
    region: RegionIndex,
    name: &'a str,
    coordinates: Coordinates,
    replica: bool,
    leader: bool,
}

/// Lays out the map; `None` where a region of the topology has no coordinates, or there is but
/// one.
pub fn scene(run: &Run<'_>) -> Option<Scene> {
    let topology = &run.record.scenario.topology;
    let places = places(topology)?;
    if places.len() < 2 {
        return None;
    }
    // One column has no room for the names.
    let style = run.style().across_columns();
    let width = style.width.unwrap_or(WIDTH + 2.0 * style.margin);
    let mut scene = Scene::new(width, 0.0);
    let title = "Regions and round trips between them";
    let top = page::heading(&mut scene, title, run) + style.room(4.0);
    let coordinates: Vec<Coordinates> = places.iter().map(|place| place.coordinates).collect();
    let view = View::around(
        &coordinates,
        (style.margin, top),
        width - 2.0 * style.margin,
    );
    for (surface, ring) in coastline::rings() {
        let fill = match surface {
            coastline::Surface::Land => Colour::LAND,
            coastline::Surface::Water => Colour::WHITE,
        };
        let clipped = view.area(&ring);
        if clipped.len() > 2 {
            scene.polygon(clipped, fill);
        }
    }
    let mut map = Map {
        room: Room::new(view.frame),
        scene,
        style,
    };
    let radius = map.radius();
    let dots: Vec<Point> = places
        .iter()
        .map(|place| view.place(place.coordinates))
        .collect();
    for dot in &dots {
        map.room.take_around(*dot, radius + 1.0);
    }
    let links = links(&view, topology, &places);
    for link in &links {
        let (colour, width) = if link.stands_out {
            (Colour::GREY, 1.3)
        } else {
            (Colour::AXIS, 0.5)
        };
        for piece in &link.pieces {
            map.scene.line(piece, Stroke::solid(colour, width));
            if link.stands_out {
                map.room.note_line(piece[0], piece[piece.len() - 1]);
            }
        }
    }
    for (place, dot) in places.iter().zip(&dots) {
        map.draw_place(place, *dot);
    }
    for link in links.iter().filter(|link| link.stands_out) {
        map.label_link(link);
    }
    for (place, dot) in places.iter().zip(&dots) {
        map.scene
            .mark_point(*dot, describe(topology, &places, place));
    }
    let bottom = map.key(view.frame, &places);
    page::footer(&mut map.scene, bottom, run);
    Some(map.scene)
}

fn places(topology: &Topology) -> Option<Vec<Place<'_>>> {
    let replicas = &topology.replicas;
    let mut regions: Vec<RegionIndex> = replicas.iter().chain(&topology.clients).copied().collect();
    regions.sort();
    regions.dedup();
    let leader = topology.region_of(topology.leader);
    let place = |region: RegionIndex| {
        Some(Place {
            region,
            name: topology.region_name(region),
            coordinates: topology.profile.regions[usize::from(region.0)].coordinates?,
            replica: replicas.contains(&region),
            leader: region == leader,
        })
    };
    regions.into_iter().map(place).collect()
}

/// A link on the map: one line, or two where it crosses the map's edge.
struct Line {
    pieces: Vec<Vec<Point>>,
    round_trip_ms: f64,
    stands_out: bool,
    text: String,
}

fn links(view: &View, topology: &Topology, places: &[Place<'_>]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, a) in places.iter().enumerate() {
        for b in &places[index + 1..] {
            let round_trip_ms = round_trip_ms(topology, a, b);
            lines.push(Line {
                pieces: view.line(a.coordinates, b.coordinates),
                round_trip_ms,
                stands_out: places.len() <= ALL_LINKS_MAX || a.leader || b.leader,
                text: format!("{} ms", short(round_trip_ms)),
            });
        }
    }
    // Short links have the least room for their labels: they choose first.
    lines.sort_by(|a, b| a.round_trip_ms.total_cmp(&b.round_trip_ms));
    lines
}

fn round_trip_ms(topology: &Topology, a: &Place<'_>, b: &Place<'_>) -> f64 {
    let profile = &topology.profile;
    profile.round_trip(a.region, b.region).as_secs_f64() * 1e3
}

/// A map being drawn.
struct Map {
    scene: Scene,
    room: Room,
    style: Style,
}

impl Map {
    /// Returns the radius of a region's dot.
    fn radius(&self) -> f64 {
        self.style.room(RADIUS)
    }

    fn draw_place(&mut self, place: &Place<'_>, dot: Point) {
        let fill = if place.replica {
            Colour::INK
        } else {
            Colour::WHITE
        };
        let radius = self.radius();
        theme::dot(&mut self.scene, dot, radius, fill);
        if place.leader {
            theme::ring(&mut self.scene, dot, radius + self.style.room(3.0));
        }
        let name = TextStyle {
            size: self.style.tick,
            ..self.style.name()
        };
        let size = (name.width(place.name), name.size);
        let Some(area) = self.room.beside(dot, size) else {
            return;
        };
        let near = (
            dot.0.clamp(area.left, area.right()),
            dot.1.clamp(area.top, area.bottom()),
        );
        if (near.0 - dot.0).hypot(near.1 - dot.1) > 14.0 {
            self.scene
                .line(&[dot, near], Stroke::solid(Colour::INK, 0.7));
        }
        if self.room.is_crossed(&area) {
            halo(&mut self.scene, area);
        }
        let at = (area.left, area.middle().1);
        self.scene.text_centred(at, place.name, name);
    }

    fn label_link(&mut self, link: &Line) {
        let style = TextStyle::new(self.style.panel_tick);
        let size = (style.width(&link.text), style.size);
        // The longer piece has more room.
        let length = |piece: &Vec<Point>| {
            let (from, to) = (piece[0], piece[piece.len() - 1]);
            (to.0 - from.0).hypot(to.1 - from.1)
        };
        let mut pieces: Vec<&Vec<Point>> = link.pieces.iter().collect();
        pieces.sort_by(|a, b| length(b).total_cmp(&length(a)));
        let mut ends = pieces
            .iter()
            .map(|piece| (piece[0], piece[piece.len() - 1]));
        let room = &mut self.room;
        if let Some(area) = ends.find_map(|(from, to)| room.along(from, to, size)) {
            halo(&mut self.scene, area);
            let at = (area.left, area.middle().1);
            self.scene.text_centred(at, link.text.clone(), style);
        }
    }

    fn key(&mut self, frame: Rectangle, places: &[Place<'_>]) -> f64 {
        let note = self.style.note();
        let [gap, apart, ring] = [12.0, 24.0, 3.0].map(|room| self.style.room(room));
        let radius = self.radius();
        let y = frame.bottom() + self.style.room(18.0);
        let mut x = frame.left + self.style.room(8.0);
        let mut entry = |scene: &mut Scene, text: &str, fill: Colour, leader: bool| {
            theme::dot(scene, (x, y), radius, fill);
            if leader {
                theme::ring(scene, (x, y), radius + ring);
            }
            scene.text_centred((x + gap, y), text, note);
            x += gap + note.width(text) + apart;
        };
        entry(&mut self.scene, "replica", Colour::INK, false);
        entry(&mut self.scene, "preferred leader", Colour::INK, true);
        if places.iter().any(|place| !place.replica) {
            entry(&mut self.scene, "clients only", Colour::WHITE, false);
        }
        let links = if places.len() <= ALL_LINKS_MAX {
            ""
        } else {
            " Strong lines lead to the preferred leader."
        };
        let text = format!(
            "Round trips at the links' least delays, as far as there is room for them. Lines are \
             straight on the map, not the way of cables.{links} Coastlines: Natural Earth."
        );
        let at = (frame.left, y + self.style.room(10.0));
        page::note(&mut self.scene, at, &text, &self.style)
    }
}

/// Clears what is behind a text.
fn halo(scene: &mut Scene, area: Rectangle) {
    let wider = Rectangle {
        left: area.left - 2.0,
        top: area.top - 1.0,
        width: area.width + 4.0,
        height: area.height + 2.0,
    };
    scene.rectangle(wider, Colour::WHITE);
}

/// Says where a region is and how far all others are.
fn describe(topology: &Topology, places: &[Place<'_>], place: &Place<'_>) -> String {
    let others = places.iter().filter(|other| other.region != place.region);
    let distances: Vec<String> = others
        .map(|other| {
            format!(
                "{} {:.1} ms",
                other.name,
                round_trip_ms(topology, place, other)
            )
        })
        .collect();
    let region = &topology.profile.regions[usize::from(place.region.0)];
    let role = match (place.leader, place.replica) {
        (true, _) => "preferred leader",
        (_, true) => "replica",
        _ => "clients only",
    };
    let city = match region.place.as_str() {
        "" => String::new(),
        city => format!(" ({city})"),
    };
    format!(
        "{}{city}, {role}. Round trips: {}",
        place.name,
        distances.join(", ")
    )
}

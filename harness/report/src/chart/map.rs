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
use super::page::{self, MARGIN};
use super::{Run, theme};
use crate::scene::{Colour, Point, Rectangle, Scene, Stroke, TextStyle};

use labels::Room;
use projection::View;

const WIDTH: f64 = 980.0;
const RADIUS: f64 = 4.5;
const NAME: TextStyle = TextStyle::new(11.0).bold();
const ROUND_TRIP: TextStyle = TextStyle::new(10.0);
const SMALL: TextStyle = TextStyle::new(10.5).colour(Colour::GREY);
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
    let mut scene = Scene::new(WIDTH + 2.0 * MARGIN, 0.0);
    let title = "Regions and round trips between them";
    let top = page::heading(&mut scene, title, run) + 4.0;
    let coordinates: Vec<Coordinates> = places.iter().map(|place| place.coordinates).collect();
    let view = View::around(&coordinates, (MARGIN, top), WIDTH);
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
    let mut room = Room::new(view.frame);
    let dots: Vec<Point> = places
        .iter()
        .map(|place| view.place(place.coordinates))
        .collect();
    for dot in &dots {
        room.take_around(*dot, RADIUS + 1.0);
    }
    let links = links(&view, topology, &places);
    for link in &links {
        let (colour, width) = if link.stands_out {
            (Colour::GREY, 1.3)
        } else {
            (Colour::AXIS, 0.5)
        };
        for piece in &link.pieces {
            scene.line(piece, Stroke::solid(colour, width));
            if link.stands_out {
                room.note_line(piece[0], piece[piece.len() - 1]);
            }
        }
    }
    for (place, dot) in places.iter().zip(&dots) {
        draw_place(&mut scene, &mut room, place, *dot);
    }
    for link in links.iter().filter(|link| link.stands_out) {
        label_link(&mut scene, &mut room, link);
    }
    for (place, dot) in places.iter().zip(&dots) {
        scene.mark_point(*dot, describe(topology, &places, place));
    }
    let bottom = key(&mut scene, view.frame, &places);
    page::footer(&mut scene, bottom, run);
    Some(scene)
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

fn draw_place(scene: &mut Scene, room: &mut Room, place: &Place<'_>, dot: Point) {
    let fill = if place.replica {
        Colour::INK
    } else {
        Colour::WHITE
    };
    theme::dot(scene, dot, RADIUS, fill);
    if place.leader {
        theme::ring(scene, dot, RADIUS + 3.0);
    }
    let size = (NAME.width(place.name), NAME.size);
    if let Some(area) = room.beside(dot, size) {
        let near = (
            dot.0.clamp(area.left, area.right()),
            dot.1.clamp(area.top, area.bottom()),
        );
        if (near.0 - dot.0).hypot(near.1 - dot.1) > 14.0 {
            scene.line(&[dot, near], Stroke::solid(Colour::INK, 0.7));
        }
        if room.is_crossed(&area) {
            halo(scene, area);
        }
        scene.text_centred((area.left, area.middle().1), place.name, NAME);
    }
}

fn label_link(scene: &mut Scene, room: &mut Room, link: &Line) {
    let size = (ROUND_TRIP.width(&link.text), ROUND_TRIP.size);
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
    if let Some(area) = ends.find_map(|(from, to)| room.along(from, to, size)) {
        halo(scene, area);
        scene.text_centred((area.left, area.middle().1), link.text.clone(), ROUND_TRIP);
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

fn key(scene: &mut Scene, frame: Rectangle, places: &[Place<'_>]) -> f64 {
    let y = frame.bottom() + 18.0;
    let mut x = frame.left + 8.0;
    let mut entry = |scene: &mut Scene, text: &str, fill: Colour, leader: bool| {
        theme::dot(scene, (x, y), RADIUS, fill);
        if leader {
            theme::ring(scene, (x, y), RADIUS + 3.0);
        }
        scene.text_centred((x + 12.0, y), text, SMALL);
        x += 12.0 + SMALL.width(text) + 24.0;
    };
    entry(scene, "replica", Colour::INK, false);
    entry(scene, "preferred leader", Colour::INK, true);
    if places.iter().any(|place| !place.replica) {
        entry(scene, "clients only", Colour::WHITE, false);
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
    page::paragraph(scene, (frame.left, y + 10.0), &text, SMALL)
}

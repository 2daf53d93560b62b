use longhaul_analysis::capacity::SweepPoint;
use longhaul_experiment::record::{CpuUse, LoadCalibration};

use super::*;
use crate::scene::{Colour, Shape as Drawn};
use crate::sweep_html;
use crate::synthetic::{self, Shape};

/// Two modes of a live backend at three rates; the highest of the first is machine-bound, and most
/// operations of the second's highest did not succeed.
fn swept() -> Sweep {
    let record = synthetic::record(Shape {
        modes: 2,
        regions: 2,
        due: 1200,
        reads: 0.0,
        failures: 0,
    });
    let mut sweep = Sweep::begun(
        &record.scenario,
        BackendKind::Local,
        7,
        PointOrder::Shuffled,
    );
    let mut position = 0;
    for mode in 0..2 {
        for rate in [100.0, 200.0, 400.0] {
            position += 1;
            let mut one = record.clone();
            one.scenario = one.scenario.at_rate(rate).unwrap();
            one.modes = vec![one.modes.swap_remove(mode)];
            one.backend = BackendKind::Local;
            let busy = if mode == 0 && rate == 400.0 {
                0.93
            } else {
                0.4
            };
            one.modes[0].load = Some(LoadCalibration {
                cpu: Some(CpuUse {
                    machine_busy: busy,
                    replica_cores: 0.25,
                    ..CpuUse::default()
                }),
                ..LoadCalibration::default()
            });
            sweep.add(&one, position);
        }
    }
    for point in &mut sweep.points {
        (point.offered_ops, point.throughput_ops) = (2.0 * point.rate_ops, 2.0 * point.rate_ops);
    }
    let last = sweep.points.last_mut().unwrap();
    (last.latency_ms.p50, last.latency_ms.p99) = (None, None);
    last.regions[0].latency_ms.p99 = None;
    (last.backlog, last.throughput_ops) = (900, 300.0);
    sweep.complete = true;
    sweep.conclude(Some(&"p99=10s".parse().unwrap()), None);
    sweep
}

#[test]
fn a_machine_bound_point_is_hollow_and_a_point_beyond_the_time_out_above_the_frame() {
    let hollow = |drawing: &Drawing| {
        let shapes = drawing.scene.shapes.iter();
        let white =
            |shape: &&Drawn| matches!(shape, Drawn::Polygon { fill, .. } if *fill == Colour::WHITE);
        shapes.filter(white).count()
    };
    let texts = |drawing: &Drawing| -> String {
        let texts = drawing.scene.texts();
        texts.iter().map(|(text, _)| format!("{text}\n")).collect()
    };
    let mut sweep = swept();
    let drawn = drawing(&sweep, "two modes");
    assert_eq!(hollow(&drawn), 1);
    for said in [
        "machine-bound",
        "above the frame",
        "limit: p99 10000 ms",
        "two modes",
        "logarithmic",
    ] {
        assert!(texts(&drawn).contains(said), "{said}");
    }
    let marks = drawn.scene.marks.iter().map(|mark| mark.text.as_str());
    let marks: Vec<&str> = marks.collect();
    assert_eq!(marks.len(), 6);
    assert!(marks[2].ends_with("; machine-bound"), "{marks:?}");
    assert!(
        marks[5].contains("p99 > time-out, errors 0.00%, backlog 900"),
        "{marks:?}"
    );
    let is_bound = |point: &mut SweepPoint| point.machine_bound = false;
    sweep.points.iter_mut().for_each(is_bound);
    let drawn = drawing(&sweep, "two modes");
    assert_eq!(hollow(&drawn), 0);
    assert!(!texts(&drawn).contains("machine-bound"));
}

#[test]
fn the_table_states_who_used_the_machine_and_what_the_modes_take() {
    let table = sweep_table(&swept());
    for said in [
        "busy  clients  links  replicas",
        " 93%     0.00   0.00      0.25     0  machine-bound",
        "> time-out  > time-out",
        "p99=10000ms: at least 200/s: held in every run up to 200/s, beyond, the machine",
        "p99=10000ms: 200/s: held in every run up to 200/s, broke in every run from 400/s",
        "all replicas share",
        "warning: 1 of 6 points were taken with the machine over 80% busy (machine-bound)",
    ] {
        assert!(table.contains(said), "{said}\n{table}");
    }
}

/// Returns how often each tag opens.
fn opened(page: &str, tag: &str) -> usize {
    let start = format!("<{tag}");
    let tags = page.match_indices(&start);
    tags.filter(|(at, _)| page[at + start.len()..].starts_with([' ', '>']))
        .count()
}

#[test]
fn the_page_has_its_parts_and_asks_for_nothing_from_elsewhere() {
    let page = sweep_html(&swept());
    // The script of the page, the sweep and the points.
    assert_eq!(opened(&page, "script"), 3);
    assert_eq!(opened(&page, "figure"), 1);
    for part in [
        "id=\"modes\"",
        "id=\"all\"",
        "id=\"filter\"",
        "id=\"trust\"",
        "data-file=\"sweep.json\"",
        "machine-bound",
        "The limit p99=10000ms held in every client region up to at least 200/s in ",
        "had 900 of ",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for from_elsewhere in ["src=", "href=\"http", "url(", "@import", "fetch("] {
        assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
    }
    let bare = Sweep {
        points: Vec::new(),
        limit: None,
        ..swept()
    };
    assert!(sweep_html(&bare).ends_with("</html>"));
    assert!(sweep_table(&bare).contains("quorum:raft"));
}

#[test]
fn hostile_names_are_inert() {
    const HOSTILE: &str = "</script><script>alert(1)</script>]]><img src=x onerror=alert(2)>\
                           \" ' `onmouseover=alert(3) --> <!-- \u{1b}[2J";
    let clean = sweep_html(&swept());
    let mut sweep = swept();
    let hostile = || HOSTILE.to_owned();
    sweep.scenario.name = hostile();
    sweep.scenario.profile = hostile();
    sweep.scenario.profile_source = hostile();
    sweep.scenario.replicas = vec![hostile()];
    sweep.scenario.leader = hostile();
    sweep.environment.command = vec![hostile()];
    sweep.environment.processor = hostile();
    sweep.limit_region = Some(hostile());
    sweep.warnings = vec![hostile()];
    sweep.modes[0].mode = hostile();
    let breach = sweep.modes[1].capacity.as_mut().unwrap().broken_by.as_mut();
    breach.unwrap().region = hostile();
    for point in &mut sweep.points[..3] {
        point.mode = hostile();
        point.regions[0].region = hostile();
    }
    let page = sweep_html(&sweep);
    for tag in ["script", "a", "button", "style", "figure", "table", "svg"] {
        assert_eq!(opened(&page, tag), opened(&clean, tag), "{tag}");
    }
    assert_eq!(page.matches("</script>").count(), 3);
    assert!(!page.contains("<!--") && !page.contains("<img"));
    // What was a name is the same name in the data.
    let json = page.split("<script id=\"summary\" type=\"application/json\">");
    let json = json.last().unwrap().split("</script>").next().unwrap();
    let read: Sweep = serde_json::from_str(json).unwrap();
    assert_eq!(read, sweep);
    // Terminals are not steered, and the drawing escapes what it draws.
    assert!(!sweep_table(&sweep).contains('\u{1b}'));
    let svg = &sweep_charts(&sweep)[0].svg;
    assert!(!svg.contains("<script") && !svg.contains("<img"));
    let mut formula = swept();
    formula
        .points
        .iter_mut()
        .for_each(|point| point.mode = "=cmd()".to_owned());
    assert!(csv(&formula).contains("\n'=cmd(),"));
}

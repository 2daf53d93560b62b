//! A system that a formula describes, for tests.

use std::time::Duration;

use longhaul_experiment::profile::{Link, Profile, Region, Source};
use longhaul_experiment::scenario::ScenarioFile;
use longhaul_experiment::{ModeSpec, Scenario};

use super::{Conduct, Progress, Runner, RunnerInVirtualTime};

/// A lone replica 25 ms one way from its clients, and Poisson arrivals.
///
/// A message takes it a millisecond of one core, and a write is two, the request received and the
/// answer sent: it carries 500 writes a second, and a lone one takes 50 + 2 ms. That is a queue with
/// constant service time, but that what waits is received together before it is answered.
pub(crate) fn queue(modes: &[&str], measured: &str) -> Scenario {
    let text = format!(
        "regions = [\"store\"]\nclients = [\"shop\"]\n\
         [durations]\nwarmup = \"500ms\"\nmeasured = \"{measured}\"\n\
         [service.default]\nper_message = \"1ms\"\n"
    );
    let mut file = ScenarioFile::parse(&text, "queue.toml").unwrap();
    let modes: Vec<ModeSpec> = modes.iter().map(|mode| mode.parse().unwrap()).collect();
    file.modes = Some(modes);
    let delay = Duration::from_millis(25);
    let links = [Duration::ZERO, delay, delay, Duration::ZERO].map(Link::fixed);
    let source = Source {
        title: "made by hand".to_owned(),
        date: "2026-11-24".to_owned(),
        method: "none".to_owned(),
    };
    let regions = ["store", "shop"].map(Region::named);
    let profile = Profile::new(
        "queue",
        "One replica.",
        source,
        regions.into(),
        links.into(),
    );
    file.resolve(profile).unwrap()
}

/// Makes runs in virtual time that nobody ends or hears of.
pub(crate) fn undisturbed<R>(study: impl FnOnce(&mut Conduct<'_>) -> R) -> R {
    let mut on_run = |_: Progress<'_>| {};
    study(&mut Conduct {
        runner: Runner::InVirtualTime(RunnerInVirtualTime::default()),
        stop: &|| false,
        on_run: &mut on_run,
    })
}

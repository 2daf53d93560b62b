//! `longhaul doctor`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use longhaul_wan::machine::{Capability, capabilities};

use crate::output::{CommandError, print};

/// How long the machine is watched for other programs.
const WATCHED: Duration = Duration::from_millis(300);

/// Above this share of busy processors, live figures are not worth much.
const QUIET_BELOW: f64 = 0.1;

/// Says what this machine can do, and what to do about what it cannot.
pub(crate) fn doctor() -> Result<ExitCode, CommandError> {
    let found = capabilities();
    let mut text = String::new();
    line(&mut text, "ok", "timers", &found.timer.sentence)?;
    let features: [(&str, &Capability); 5] = [
        ("priority", &found.realtime),
        ("namespaces", &found.namespaces),
        ("tun", &found.tun),
        ("iproute2", &found.iproute2),
        ("netem", &found.netem),
    ];
    for (name, capability) in features {
        let state = if capability.available { "ok" } else { "no" };
        line(&mut text, state, name, &capability.sentence)?;
    }
    let (state, sentence) = match longhaul_live::busy_share(WATCHED) {
        None => ("?", "this system does not tell how busy it is".to_owned()),
        Some(share) if share < QUIET_BELOW => ("ok", format!("{:.0}% busy", share * 100.0)),
        Some(share) => (
            "no",
            format!(
                "{:.0}% busy with other programs: live figures will be late, wait or stop them",
                share * 100.0
            ),
        ),
    };
    line(&mut text, state, "load", &sentence)?;
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn line(text: &mut String, state: &str, name: &str, sentence: &str) -> std::fmt::Result {
    writeln!(text, "{state:<3} {name:<11} {sentence}")
}

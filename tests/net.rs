//! Networks as their users see them: the built program, real namespaces, real packets.
//!
//! Where the system permits no namespaces or no TUN device the tests say so and pass;
//! `LONGHAUL_DEMAND_NET=1` makes that a failure.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");

/// Where one test's networks have their files.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LONGHAUL);
        command
            .arg("net")
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.directory.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output();
        output.expect("longhaul starts")
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("output is text")
    }

    /// Brings a network up. `false`: the system does not permit it, which has been said.
    fn up(&self, arguments: &[&str]) -> bool {
        let output = self.run(&[&["up"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success() || skips(&errors)
    }

    fn probe(&self, from: &str, to: &str, options: &[&str]) -> Value {
        let text = self.succeed(&[&["probe", from, to], options].concat());
        serde_json::from_str(&text).expect("a probe prints JSON")
    }

    fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.directory.path().join("longhaul")) else {
            return Vec::new();
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    fn holder(&self, name: &str) -> u32 {
        let lock = self.directory.path().join(format!("longhaul/{name}.lock"));
        let text = fs::read_to_string(lock).expect("the lock names its holder");
        let lock: Value = serde_json::from_str(&text).expect("the lock is JSON");
        lock["pid"].as_u64().expect("the lock has a pid") as u32
    }

    fn wait_until_nothing_is_left(&self, processes: &[u32]) {
        let started = Instant::now();
        let runs = |process: &&u32| is_ours(**process);
        while !self.files().is_empty() || processes.iter().find(runs).is_some() {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "left are {:?} and of {processes:?} {:?}",
                self.files(),
                processes.iter().filter(runs).collect::<Vec<_>>()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn skips(errors: &str) -> bool {
    let refused = [
        "Permission denied",
        "Operation not permitted",
        "was not found",
        "No such",
    ];
    let is_refusal = refused.iter().any(|refusal| errors.contains(refusal));
    let is_demanded = std::env::var_os("LONGHAUL_DEMAND_NET").is_some();
    assert!(is_refusal && !is_demanded, "{errors}");
    eprintln!("skipped: {errors}");
    false
}

/// Says whether a process is one of a network's, and alive.
fn is_ours(process: u32) -> bool {
    let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("longhaul")
}

fn only_child(process: u32) -> u32 {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).expect("the process runs");
    children.trim().parse().expect("it has one child")
}

/// What a network must leave as it is: devices and routes of this namespace, and all mounts.
fn surroundings() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let devices = read("/proc/self/net/dev");
    let names = devices.lines().filter_map(|line| line.split_once(':'));
    let names: Vec<&str> = names.map(|(name, _)| name.trim()).collect();
    let routes = read("/proc/self/net/route");
    format!("{names:?}\n{routes}\n{}", read("/proc/self/mountinfo"))
}

fn milliseconds(report: &Value, quantile: &str) -> f64 {
    report["achieved_ms"][quantile]
        .as_f64()
        .expect("it has that quantile")
}

#[test]
fn packets_take_the_profiles_delay_and_a_network_leaves_nothing() {
    let place = Place::new();
    let before = surroundings();
    if !place.up(&["lan-3"]) {
        return;
    }
    let listed = place.succeed(&["list"]);
    assert!(listed.starts_with("default "), "{listed}");
    // 1.87 ms between c and d, 0.2 ms from c to itself. On a busy machine round trips are long, but
    // not all of them, and none is shorter than asked by more than the compensation, 2 x 50 us.
    for (to, asked_ms) in [("us-east-1d", 1.87), ("us-east-1c", 0.2)] {
        let report = place.probe("us-east-1c", to, &["--count", "50", "--interval", "1ms"]);
        assert_eq!(report["lost"], 0, "{report}");
        let least = milliseconds(&report, "min");
        assert!(
            (asked_ms - 0.1..asked_ms + 5.0).contains(&least),
            "{to}: {report}"
        );
    }
    let report: Value = serde_json::from_str(&place.succeed(&["down"])).expect("JSON");
    // Two times 50 probes and 50 answers.
    assert_eq!(report["tun"]["packets"], 200, "{report}");
    assert_eq!(report["tun"]["lateness"]["count"], 200);
    place.wait_until_nothing_is_left(&[]);
    assert_eq!(surroundings(), before);
}

#[test]
fn links_break_and_mend_while_a_network_is_up() {
    let place = Place::new();
    if !place.up(&["lan-3"]) {
        return;
    }
    let few = ["--count", "20", "--interval", "1ms"];
    let pair = ["--pair", "us-east-1b,us-east-1c"];
    place.succeed(&[&["fault", "partition"], &pair[..]].concat());
    let cut = place.probe("us-east-1b", "us-east-1c", &few);
    assert_eq!(cut["lost"], 20, "{cut}");
    let other = place.probe("us-east-1b", "us-east-1d", &few);
    assert_eq!(other["lost"], 0, "{other}");
    assert!(
        place
            .succeed(&["show"])
            .contains("us-east-1b -> us-east-1c: cut")
    );

    place.succeed(&["fault", "heal"]);
    place.succeed(&[&["fault", "delay", "30ms"], &pair[..]].concat());
    let slow = place.probe("us-east-1c", "us-east-1b", &few);
    // 0.838 ms and twice 30 ms.
    assert_eq!(slow["asked_ms"].as_f64(), Some(60.838), "{slow}");
    assert!(milliseconds(&slow, "min") > 60.7, "{slow}");

    place.succeed(&["fault", "heal"]);
    place.succeed(&["fault", "loss", "0.2", "--link", "us-east-1b,us-east-1c"]);
    let many = ["--count", "500", "--interval", "200us"];
    let lossy = place.probe("us-east-1b", "us-east-1c", &many);
    // 100 of 500 in the mean; the standard deviation is sqrt(500 x 0.2 x 0.8) = 8.9: six of them.
    let lost = lossy["lost"].as_u64().expect("a number");
    assert!((46..=154).contains(&lost), "{lossy}");

    let refused = place.run(&["fault", "loss", "2", "--pair", "us-east-1b,us-east-1c"]);
    assert!(!refused.status.success());
    place.succeed(&["down"]);
}

#[test]
fn two_networks_do_not_touch_each_other() {
    let place = Place::new();
    if !place.up(&["lan-3", "--name", "one"]) {
        return;
    }
    assert!(place.up(&["lan-3", "--name", "two"]));
    let again = place.run(&["up", "lan-3", "--name", "one"]);
    let errors = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(errors.contains("is up already"), "{errors}");
    place.succeed(&["fault", "partition", "--name", "one"]);
    let few = ["--count", "5", "--interval", "1ms"];
    let one = place.probe(
        "us-east-1b",
        "us-east-1c",
        &[&few[..], &["--name", "one"]].concat(),
    );
    let two = place.probe(
        "us-east-1b",
        "us-east-1c",
        &[&few[..], &["--name", "two"]].concat(),
    );
    assert_eq!(
        (&one["lost"], &two["lost"]),
        (&Value::from(5), &Value::from(0))
    );
    place.succeed(&["down", "--name", "one"]);
    let two = place.probe(
        "us-east-1b",
        "us-east-1c",
        &[&few[..], &["--name", "two"]].concat(),
    );
    assert_eq!(two["lost"], 0);
    place.succeed(&["down", "--name", "two"]);
    place.wait_until_nothing_is_left(&[]);
}

#[test]
fn a_network_goes_with_any_of_its_processes() {
    let before = surroundings();
    for victim in 0..3 {
        let place = Place::new();
        if !place.up(&["lan-3"]) {
            return;
        }
        let holder = place.holder("default");
        let init = only_child(holder);
        let keeper = only_child(init);
        let inner = place
            .command(&["exec", "us-east-1b", "--", "sleep", "60"])
            .stderr(Stdio::null())
            .spawn()
            .expect("longhaul starts");
        let processes = [holder, init, keeper];
        kill(processes[victim]);
        place.wait_until_nothing_is_left(&processes);
        assert_ended(inner);
        // The name is free again, whatever was left.
        assert!(place.up(&["lan-3"]));
        place.succeed(&["down"]);
    }
    assert_eq!(surroundings(), before);
}

#[test]
fn a_network_in_the_foreground_goes_with_its_supervisor() {
    let place = Place::new();
    if !place.up(&["lan-3", "--name", "permitted"]) {
        return;
    }
    place.succeed(&["down", "--name", "permitted"]);
    let mut supervisor = place
        .command(&["up", "lan-3", "--foreground"])
        .stdout(Stdio::null())
        .spawn()
        .expect("longhaul starts");
    let started = Instant::now();
    while !place.files().iter().any(|file| file == "default.sock") {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "it does not come up"
        );
        thread::sleep(Duration::from_millis(5));
    }
    let holder = place.holder("default");
    supervisor.kill().expect("it runs");
    supervisor.wait().expect("it ended");
    place.wait_until_nothing_is_left(&[holder]);
}

#[test]
fn what_a_killed_network_left_is_not_in_the_way_of_the_next() {
    let place = Place::new();
    let folder = place.directory.path().join("longhaul");
    if !place.up(&["lan-3"]) {
        return;
    }
    place.succeed(&["down"]);
    make_private(&folder);
    let dead = r#"{"boot_id":"an earlier boot","pid":1,"start_time":1}"#;
    fs::write(folder.join("default.lock"), dead).expect("it can be written");
    fs::write(folder.join("default.sock"), "").expect("it can be written");
    let down = place.run(&["down"]);
    assert!(String::from_utf8_lossy(&down.stderr).contains("no network 'default' is up"));
    assert!(place.files().is_empty(), "{:?}", place.files());
    make_private(&folder);
    fs::write(folder.join("default.lock"), dead).expect("it can be written");
    assert!(place.up(&["lan-3"]));
    place.succeed(&["down"]);
    place.wait_until_nothing_is_left(&[]);
}

#[test]
fn a_command_inside_keeps_its_user_its_folder_and_its_exit_code() {
    let place = Place::new();
    if !place.up(&["lan-3"]) {
        return;
    }
    let script = "echo $LONGHAUL_REGION $LONGHAUL_ADDRESS; id -u; pwd; exit 7";
    let here = place.directory.path();
    let output = place
        .command(&["exec", "us-east-1c", "--", "sh", "-c", script])
        .current_dir(here)
        .output()
        .expect("longhaul starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let own = Command::new("id").arg("-u").output().expect("`id` runs");
    let user = String::from_utf8_lossy(&own.stdout);
    let expected = format!(
        "us-east-1c 10.77.2.1\n{}\n{}\n",
        user.trim(),
        here.display()
    );
    assert_eq!(text, expected);
    assert_eq!(output.status.code(), Some(7));

    let known = place.succeed(&["exec", "us-east-1c", "--", "getent", "hosts", "us-east-1d"]);
    assert!(known.starts_with("10.77.3.1"), "{known}");

    let script = "trap 'exit 9' TERM; sleep 60 & wait";
    let mut terminated = place
        .command(&["exec", "us-east-1c", "--", "sh", "-c", script])
        .spawn()
        .expect("longhaul starts");
    thread::sleep(Duration::from_millis(500));
    let status = Command::new("kill")
        .arg(terminated.id().to_string())
        .status();
    assert!(status.expect("`kill` runs").success());
    assert_eq!(terminated.wait().expect("it ends").code(), Some(9));
    place.succeed(&["down"]);
}

#[test]
fn a_plan_is_shown_and_nothing_is_run() {
    let place = Place::new();
    let text = place.succeed(&[
        "plan",
        "aws-5",
        "--regions",
        "us-east-1,eu-west-1",
        "--jitter",
        "none",
    ]);
    assert!(
        text.starts_with("# inside us-east-1\ntc qdisc add dev wan0 root handle 1: htb\n"),
        "{text}"
    );
    assert!(text.contains("delay 35230us\n"), "{text}");
    let json = place.succeed(&["plan", "aws-5", "--json"]);
    let plan: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(plan["regions"].as_array().map(Vec::len), Some(5));
    let command = &plan["regions"][0]["commands"][0];
    assert_eq!(command[0], "tc", "a command is a list of words: {command}");
    assert!(place.files().is_empty());
}

fn kill(process: u32) {
    let status = Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status();
    assert!(status.expect("`kill` runs").success());
}

fn assert_ended(mut process: Child) {
    let started = Instant::now();
    while process.try_wait().expect("it was started").is_none() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "it outlived its network"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

fn make_private(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(folder)
        .expect("it can be made");
}

//! The Linux side of [`super::capabilities`].

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Capability;

const TUN: &str = "/dev/net/tun";

/// Makes a network namespace that ends with the command in it: the one sure way to know.
pub(super) fn namespaces() -> Capability {
    let root = nix::unistd::geteuid().is_root();
    let (what, arguments): (_, &[&str]) = if root {
        ("as root", &["--net", "true"])
    } else {
        (
            "in a user namespace",
            &["--user", "--map-root-user", "--net", "true"],
        )
    };
    let tried = Command::new("unshare")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    match tried {
        Ok(output) if output.status.success() => {
            Capability::yes(format!("network namespaces can be made {what}"))
        }
        Ok(output) => Capability::no(format!(
            "network namespaces cannot be made {what}: {}",
            first_line(&output.stderr)
        )),
        Err(error) => Capability::no(format!(
            "network namespaces were not tried: `unshare` of util-linux does not start: {error}"
        )),
    }
}

/// Opens the device, which makes no interface yet.
pub(super) fn tun() -> Capability {
    match OpenOptions::new().read(true).write(true).open(TUN) {
        Ok(_) => Capability::yes(format!("{TUN} can be opened")),
        Err(error) => Capability::no(format!("{TUN} cannot be opened: {error}")),
    }
}

/// Looks for `tc` and for the kernel's `sch_netem`, without loading it.
pub(super) fn netem() -> Capability {
    let Some(tc) = find_program("tc") else {
        return Capability::no("`tc` was not found: install iproute2");
    };
    let tc = tc.display();
    match find_netem() {
        Some(place) => Capability::yes(format!("{tc} is there, and sch_netem is in {place}")),
        None => Capability::no(format!(
            "{tc} is there, but sch_netem is not among this kernel's modules: \
             use the local backend or another kernel"
        )),
    }
}

/// Returns the file that says that the running kernel has netem, built in or as a module.
fn find_netem() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let release = release.trim();
    [
        "/proc/modules".to_owned(),
        format!("/lib/modules/{release}/modules.builtin"),
        format!("/lib/modules/{release}/modules.dep"),
    ]
    .into_iter()
    .find(|path| names_netem(&fs::read_to_string(path).unwrap_or_default()))
}

fn names_netem(listing: &str) -> bool {
    listing.contains("sch_netem")
}

/// Looks along PATH, and where administrators' programs are even when PATH leaves them out.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| Path::is_file(program))
}

fn first_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().next().unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netem_is_found_in_each_listing_of_modules() {
        assert!(names_netem("sch_netem 20480 0 - Live 0x0000000000000000\n"));
        assert!(names_netem("kernel/net/sched/sch_netem.ko\n"));
        assert!(!names_netem("kernel/net/sched/sch_fq.ko\n"));
    }

    #[test]
    fn a_program_is_found_along_the_path() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-program-has-this-name").is_none());
    }
}

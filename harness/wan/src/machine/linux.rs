//! The Linux side of [`super::capabilities`].

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use super::Capability;
use crate::namespaces::program;

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
            "network namespaces cannot be made {what}: {}: {}",
            first_line(&output.stderr),
            if root {
                "this container keeps the right from its root"
            } else {
                "be root, or permit user namespaces (user.max_user_namespaces, \
                 kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
            }
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
        Err(error) => {
            let remedy = match error.kind() {
                ErrorKind::NotFound => "load its module: `modprobe tun`".to_owned(),
                ErrorKind::PermissionDenied => {
                    format!("be root, or have it opened to users: `chmod 666 {TUN}`")
                }
                _ => "use the local backend".to_owned(),
            };
            Capability::no(format!("{TUN} cannot be opened: {error}: {remedy}"))
        }
    }
}

/// Looks for the programs that lay devices, routes and queues.
pub(super) fn iproute2() -> Capability {
    let missing: Vec<&str> = ["ip", "tc"]
        .into_iter()
        .filter(|name| program::find(name).is_none())
        .collect();
    if missing.is_empty() {
        return Capability::yes("`ip` and `tc` are there");
    }
    Capability::no(format!(
        "`{}` was not found: install iproute2, without which no network can be laid",
        missing.join("` and `")
    ))
}

/// Looks for the kernel's `sch_netem`, without loading it.
pub(super) fn netem() -> Capability {
    match find_netem() {
        Some(place) => Capability::yes(format!("sch_netem is in {place}")),
        None => Capability::no(
            "sch_netem is not among this kernel's modules: use the tun backend, or \
             scripts/netem-uml.sh, which brings a kernel that has it",
        ),
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
}

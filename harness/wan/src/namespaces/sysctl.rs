//! The kernel's settings inside a region, all of them the namespace's own.

use std::fs;

/// Settings of a region, as (path under `/proc/sys/net`, value).
///
/// Long fat links need large windows: with Linux's defaults a round trip of 100 ms carries
/// 284 Mbit/s, with 64 MB 3.3 Gbit/s (measured). A window that shrinks while a connection is idle
/// (RFC 2861) or that remembers an earlier run would make one measurement depend on another. The
/// reverse-path filter and the refusal of own addresses would drop what a region sends to itself
/// through its own link.
const SETTINGS: [(&str, &str); 9] = [
    ("ipv4/tcp_rmem", "4096 131072 67108864"),
    ("ipv4/tcp_wmem", "4096 65536 67108864"),
    ("ipv4/tcp_slow_start_after_idle", "0"),
    ("ipv4/tcp_no_metrics_save", "1"),
    ("ipv4/ip_unprivileged_port_start", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/default/accept_local", "1"),
    ("ipv6/conf/default/disable_ipv6", "1"),
];

/// Who may send echo requests without privileges: group ranges, the widest that is accepted wins.
const ECHO_GROUPS: [&str; 2] = ["0 2147483647", "0 0"];

/// Applies the settings in the calling thread's network namespace. Returns a warning for each that
/// the kernel refused; one that it does not have at all is left out silently, IPv6 above all.
pub(super) fn apply() -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, value) in SETTINGS {
        let path = format!("/proc/sys/net/{name}");
        match fs::write(&path, value) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                warnings.push(format!("{path} stays as it was: {error}"));
            }
            _ => {}
        }
    }
    let echo = "/proc/sys/net/ipv4/ping_group_range";
    if !ECHO_GROUPS
        .iter()
        .any(|range| fs::write(echo, range).is_ok())
    {
        warnings.push(format!("{echo} stays as it was: ping needs root"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespaces::NetworkNamespace;

    #[test]
    fn settings_hold_inside_and_change_nothing_outside() {
        let Ok(namespace) = NetworkNamespace::create() else {
            eprintln!("skipped: network namespaces are not permitted here");
            return;
        };
        let read = || fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap();
        let before = read();
        let (warnings, inside) = namespace.run(|| (apply(), read())).unwrap();
        assert_eq!(
            inside.split_whitespace().collect::<Vec<_>>(),
            ["4096", "131072", "67108864"],
            "{warnings:?}"
        );
        assert_eq!(read(), before);
    }
}

//! Which process something belongs to, across reboots and reused process ids.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// A process of this machine: no two processes ever have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// The process id, as the process itself saw it.
    pub pid: u32,
    /// When the process started, in clock ticks since the boot.
    pub start_time: u64,
}

impl ProcessIdentity {
    /// Returns the identity of the calling process.
    ///
    /// # Errors
    ///
    /// `/proc` is not mounted.
    pub fn current() -> io::Result<ProcessIdentity> {
        let pid = std::process::id();
        Ok(ProcessIdentity {
            boot_id: boot_id()?,
            pid,
            start_time: start_time(pid)?,
        })
    }

    /// Says whether the process is running: same boot, same id, same start.
    pub fn is_running(&self) -> bool {
        boot_id().is_ok_and(|boot_id| boot_id == self.boot_id)
            && start_time(self.pid).is_ok_and(|start_time| start_time == self.start_time)
    }
}

fn boot_id() -> io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

/// Reads field 22 of `/proc/PID/stat` (proc(5)). The second field is the program's name in
/// brackets, which may hold anything: fields are counted from the last bracket on.
fn start_time(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let field = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(22 - 3))
        .and_then(|field| field.parse().ok());
    field.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no start time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_running_and_one_of_another_start_or_boot_is_not() {
        let this = ProcessIdentity::current().unwrap();
        assert!(this.is_running());
        let reused = ProcessIdentity {
            start_time: this.start_time + 1,
            ..this.clone()
        };
        assert!(!reused.is_running());
        let rebooted = ProcessIdentity {
            boot_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            ..this
        };
        assert!(!rebooted.is_running());
    }
}

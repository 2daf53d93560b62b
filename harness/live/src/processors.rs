//! Who used the processors: time per thread and of the whole machine, where the system tells.

use longhaul_experiment::record::CpuUse;
use serde::{Deserialize, Serialize};

/// What the threads of this process have used, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ThreadTimes {
    clients_ns: u64,
    replicas_ns: u64,
    delay_line_ns: u64,
}

impl ThreadTimes {
    /// Reads the times used so far; `None` where the system does not tell.
    #[cfg(target_os = "linux")]
    pub(crate) fn read() -> Option<ThreadTimes> {
        use std::fs;
        let mut times = ThreadTimes::default();
        for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
            // A thread may end while it is looked at.
            let (Some(name), Some(statistics)) = (read("comm"), read("schedstat")) else {
                continue;
            };
            let used = statistics
                .split(' ')
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            if name.starts_with("client-") {
                times.clients_ns += used;
            } else if name.starts_with("replica-") {
                times.replicas_ns += used;
            } else if name.starts_with("delay-line") {
                times.delay_line_ns += used;
            }
        }
        Some(times)
    }

    /// Reads the times used so far; `None` where the system does not tell.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn read() -> Option<ThreadTimes> {
        None
    }

    /// Returns what was used between this reading and a later one.
    pub(crate) fn until(&self, later: &ThreadTimes) -> ThreadTimes {
        ThreadTimes {
            clients_ns: later.clients_ns.saturating_sub(self.clients_ns),
            replicas_ns: later.replicas_ns.saturating_sub(self.replicas_ns),
            delay_line_ns: later.delay_line_ns.saturating_sub(self.delay_line_ns),
        }
    }

    /// Returns what this process and another used.
    pub(crate) fn and(&self, other: &ThreadTimes) -> ThreadTimes {
        ThreadTimes {
            clients_ns: self.clients_ns + other.clients_ns,
            replicas_ns: self.replicas_ns + other.replicas_ns,
            delay_line_ns: self.delay_line_ns + other.delay_line_ns,
        }
    }

    /// Returns these times, used in so many seconds on a machine that was used like this, in the
    /// record's words.
    pub(crate) fn as_use(&self, seconds: f64, machine: MachineUse) -> CpuUse {
        let cores = |ns: u64| ns as f64 / 1e9 / seconds.max(1e-9);
        CpuUse {
            generator_cores: cores(self.clients_ns),
            delay_line_cores: cores(self.delay_line_ns),
            replica_cores: cores(self.replicas_ns),
            machine_busy: machine.busy,
            machine_stolen: machine.stolen,
        }
    }
}

/// What the machine's processors have been used for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineTimes {
    busy_ticks: u64,
    stolen_ticks: u64,
    all_ticks: u64,
}

/// Which share of the machine's processors was used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineUse {
    busy: f64,
    stolen: f64,
}

impl MachineTimes {
    /// Reads the times used since boot; `None` where the system does not tell.
    pub(crate) fn read() -> Option<MachineTimes> {
        let statistics = std::fs::read_to_string("/proc/stat").ok()?;
        let words = statistics.lines().next()?.split_whitespace().skip(1);
        let ticks: Vec<u64> = words.map_while(|text| text.parse().ok()).take(8).collect();
        // user nice system idle iowait irq softirq steal; guest time is within user time.
        let ticks: [u64; 8] = ticks.try_into().ok()?;
        let all_ticks = ticks.iter().sum();
        Some(MachineTimes {
            busy_ticks: all_ticks - ticks[3] - ticks[4],
            stolen_ticks: ticks[7],
            all_ticks,
        })
    }

    /// Returns the use between this reading and a later one.
    pub(crate) fn used_until(&self, later: &MachineTimes) -> MachineUse {
        let ticks = later.all_ticks.saturating_sub(self.all_ticks).max(1);
        let share = |from: u64, to: u64| to.saturating_sub(from) as f64 / ticks as f64;
        MachineUse {
            busy: share(self.busy_ticks, later.busy_ticks),
            stolen: share(self.stolen_ticks, later.stolen_ticks),
        }
    }
}

/// Measures for `span` what share of the machine is busy; `None` where the system does not tell.
pub fn busy_share(span: std::time::Duration) -> Option<f64> {
    let before = MachineTimes::read()?;
    std::thread::sleep(span);
    let after = MachineTimes::read()?;
    Some(before.used_until(&after).busy)
}

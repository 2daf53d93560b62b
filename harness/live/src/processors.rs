//! Who used the processors: time per thread and of the whole machine, where the system tells.

use longhaul_experiment::record::CpuUse;

/// What had been used at one instant.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessorTimes {
    clients_ns: u64,
    replicas_ns: u64,
    delay_line_ns: u64,
    machine_busy_ticks: u64,
    machine_stolen_ticks: u64,
    machine_ticks: u64,
}

impl ProcessorTimes {
    /// Reads the times used so far; `None` where the system does not tell.
    #[cfg(target_os = "linux")]
    pub(crate) fn read() -> Option<ProcessorTimes> {
        use std::fs;
        let mut times = ProcessorTimes::default();
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
        let ticks = machine_ticks()?;
        // user nice system idle iowait irq softirq steal; guest time is within user time.
        times.machine_ticks = ticks.iter().sum();
        times.machine_busy_ticks = times.machine_ticks - ticks[3] - ticks[4];
        times.machine_stolen_ticks = ticks[7];
        Some(times)
    }

    /// Reads the times used so far; `None` where the system does not tell.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn read() -> Option<ProcessorTimes> {
        None
    }

    /// Returns the use between two readings `seconds` apart.
    pub(crate) fn used_until(&self, later: &ProcessorTimes, seconds: f64) -> CpuUse {
        let cores = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9 / seconds.max(1e-9);
        let ticks = later
            .machine_ticks
            .saturating_sub(self.machine_ticks)
            .max(1);
        let share = |from: u64, to: u64| to.saturating_sub(from) as f64 / ticks as f64;
        CpuUse {
            generator_cores: cores(self.clients_ns, later.clients_ns),
            delay_line_cores: cores(self.delay_line_ns, later.delay_line_ns),
            replica_cores: cores(self.replicas_ns, later.replicas_ns),
            machine_busy: share(self.machine_busy_ticks, later.machine_busy_ticks),
            machine_stolen: share(self.machine_stolen_ticks, later.machine_stolen_ticks),
        }
    }
}

/// Returns the ticks of all processors since boot, by what they went to.
#[cfg(target_os = "linux")]
fn machine_ticks() -> Option<[u64; 8]> {
    let statistics = std::fs::read_to_string("/proc/stat").ok()?;
    let words = statistics.lines().next()?.split_whitespace().skip(1);
    let ticks: Vec<u64> = words.map_while(|text| text.parse().ok()).take(8).collect();
    ticks.try_into().ok()
}

/// Measures for `span` what share of the machine is busy; `None` where the system does not tell.
pub fn busy_share(span: std::time::Duration) -> Option<f64> {
    let before = ProcessorTimes::read()?;
    std::thread::sleep(span);
    let after = ProcessorTimes::read()?;
    Some(before.used_until(&after, span.as_secs_f64()).machine_busy)
}

//! Facts of the machine, for the record.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longhaul_experiment::record::Environment;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::processors::busy_share;

/// How long the machine is watched for other programs before a run.
const WATCHED: Duration = Duration::from_millis(300);

/// Describes this machine, this program and this moment. Takes 0.3 s: it watches how busy the
/// machine is.
pub fn describe(longhaul_version: &str, command: Vec<String>) -> Environment {
    let system = System::new_with_specifics(
        RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram()),
    )
    .ok();
    let processor = system
        .as_ref()
        .and_then(|system| system.cpus().first())
        .map(|cpu| cpu.brand().trim().to_owned());
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Environment {
        longhaul_version: longhaul_version.to_owned(),
        command,
        started_unix_s: since_epoch.as_secs(),
        system: format!(
            "{} (kernel {})",
            System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
            System::kernel_version().unwrap_or_else(|_| "unknown".to_owned())
        ),
        processor: processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
        memory_bytes: system.map_or(0, |system| system.total_memory()),
        busy_before: busy_share(WATCHED),
    }
}

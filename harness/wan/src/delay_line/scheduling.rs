//! How the system schedules the calling thread: timer slack, real-time priority, processor time.

use std::time::Duration;

/// Makes the calling thread's waits precise and, where asked for and permitted, real-time.
/// Returns what came of it in the record's words, e.g. `SCHED_FIFO 20`.
pub fn make_precise(priority: Option<u8>) -> String {
    narrow_timer_slack();
    match priority {
        None => "normal: no priority asked for".to_owned(),
        Some(priority) => match set_fifo(priority) {
            Ok(()) => format!("SCHED_FIFO {priority}"),
            Err(reason) => format!("normal: {reason}"),
        },
    }
}

/// Returns the processor time that the calling thread has used; `None` where the system does not
/// tell.
pub fn thread_processor_time() -> Option<Duration> {
    ThreadId::current().processor_time()
}

/// Names a thread for its processor time to be read by others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadId(#[cfg(target_os = "linux")] nix::unistd::Pid);

impl ThreadId {
    /// Returns the calling thread's name.
    pub(crate) fn current() -> ThreadId {
        ThreadId(
            #[cfg(target_os = "linux")]
            nix::unistd::gettid(),
        )
    }

    /// Returns the processor time that the thread has used; `None` where the system does not tell
    /// or the thread has ended.
    #[cfg(target_os = "linux")]
    pub(crate) fn processor_time(self) -> Option<Duration> {
        use nix::time::{ClockId, clock_gettime};
        // A thread's clock id, as the kernel packs it: the complement of the thread id above
        // three bits, 4 for "a thread, not a process" and 2 for "time on a processor".
        let clock = ClockId::from_raw((!self.0.as_raw() << 3) | 4 | 2);
        clock_gettime(clock).ok().map(Duration::from)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn processor_time(self) -> Option<Duration> {
        None
    }
}

/// The kernel may end a wait late by the timer slack, 50 us by default; 1 ns is the least.
#[cfg(target_os = "linux")]
fn narrow_timer_slack() {
    // A refusal leaves the default, which the recorded lateness shows.
    let _ = nix::sys::prctl::set_timerslack(1);
}

#[cfg(not(target_os = "linux"))]
fn narrow_timer_slack() {}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn set_fifo(priority: u8) -> Result<(), String> {
    use nix::errno::Errno;
    use nix::libc;
    // SAFETY: `sched_param` is plain integers, for which all zeroes is a value.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = libc::c_int::from(priority);
    // Threads and processes that this one starts fall back to normal priority.
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: thread 0 is the calling thread, and the kernel only reads `parameter`, which lives
    // until the call returns.
    let result = unsafe { libc::sched_setscheduler(0, policy, &parameter) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        Err(Errno::EPERM) => Err("SCHED_FIFO is not permitted".to_owned()),
        Err(error) => Err(format!(
            "SCHED_FIFO {priority} was refused: {}",
            error.desc()
        )),
    }
}

#[cfg(not(target_os = "linux"))]
fn set_fifo(_priority: u8) -> Result<(), String> {
    Err("SCHED_FIFO is used on Linux only".to_owned())
}

//! A replica on a slower processor: what it computes takes a multiple of the time.

use std::thread;
use std::time::{Duration, Instant};

use longhaul_wan::delay_line::thread_processor_time;

/// Waits above this are slept, but for their last part: a sleep ends some 50 us late.
const SPIN: Duration = Duration::from_micros(100);

/// How many times as long a thread's computations take, and what of them has been paid for.
///
/// The processor time that the thread used is multiplied, and the rest is waited for, so that the
/// other threads of this machine do not become slower, too. Left out: the system's own work for the
/// replica, such as that of its disk and its sockets beyond the thread's own calls.
#[derive(Debug, Default)]
pub(super) struct Slowness {
    /// What is waited for per time used; 0: nothing.
    added: f64,
    used: Duration,
}

impl Slowness {
    /// Sets how many times as long everything takes from here on; 1: as without faults.
    pub(super) fn set(&mut self, factor: f64) {
        self.added = (factor - 1.0).max(0.0);
        self.used = thread_processor_time().unwrap_or_default();
    }

    /// Waits for what was computed since the last call.
    pub(super) fn pay(&mut self) {
        if self.added == 0.0 {
            return;
        }
        let used = thread_processor_time().unwrap_or_default();
        let owed = used.saturating_sub(self.used).mul_f64(self.added);
        wait(owed);
        // Spinning is no computation.
        self.used = thread_processor_time().unwrap_or_default();
    }
}

fn wait(owed: Duration) {
    let until = Instant::now() + owed;
    if owed > SPIN {
        thread::sleep(owed - SPIN);
    }
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_computed_takes_a_multiple_of_its_time() {
        let mut slowness = Slowness::default();
        slowness.set(4.0);
        let before = thread_processor_time().unwrap();
        while thread_processor_time().unwrap() - before < Duration::from_millis(2) {}
        let began = Instant::now();
        slowness.pay();
        // 2 ms of computing take three times as long again.
        assert!(began.elapsed() >= Duration::from_millis(6));
        let began = Instant::now();
        slowness.set(1.0);
        slowness.pay();
        assert!(began.elapsed() < Duration::from_millis(6));
    }
}

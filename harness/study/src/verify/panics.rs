//! Panics of replicas, which are findings: while a case is tried, the message that the system
//! prints for them is noise.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

thread_local! {
    /// Whether this thread tries a case.
    static TRIES: Cell<bool> = const { Cell::new(false) };
}

/// Calls `try_case`, and returns its panic if it panics, of which nothing is printed. Panics of
/// everything else are printed as before.
pub(super) fn caught<T>(try_case: impl FnOnce() -> T) -> thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !TRIES.get() {
                before(panic);
            }
        }));
    });
    let outer = TRIES.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(try_case));
    TRIES.set(outer);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_and_the_thread_prints_its_later_ones() {
        let panic = caught(|| assert_eq!(1, 2, "replicas disagree")).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("replicas disagree"), "{text}");
        assert!(!TRIES.get());
        assert!(caught(|| TRIES.get()).unwrap());
    }
}

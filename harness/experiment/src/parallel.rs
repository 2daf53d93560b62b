//! Independent pieces of work on several threads, with results that do not depend on how many.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Returns how many processors this process may use; 1 where that is not known.
pub fn processors() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Does `work` on every item, on at most `threads` threads, the caller's included, and returns the
/// results in the items' order.
///
/// # Panics
///
/// Panics when `work` does.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    threads: NonZeroUsize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let work = |number: u64| work(&items[number as usize]);
    map_until(items.len() as u64, threads, work, |_| false)
}

/// Does the pieces of work 0, 1, 2 and so on below `count`, on at most `threads` threads, the
/// caller's included. Returns the results in order, up to the first that `ends`, which is the last.
///
/// Some pieces after that one may be done all the same; their results are dropped.
///
/// # Panics
///
/// Panics when `work` does.
///
/// ```
/// use longhaul_experiment::parallel::{map_until, processors};
///
/// let squares = map_until(100, processors(), |number| number * number, |&square| square > 10);
/// assert_eq!(squares, [0, 1, 4, 9, 16]);
/// ```
pub fn map_until<R: Send>(
    count: u64,
    threads: NonZeroUsize,
    work: impl Fn(u64) -> R + Sync,
    ends: impl Fn(&R) -> bool + Sync,
) -> Vec<R> {
    let next = AtomicU64::new(0);
    // Pieces are begun in order, and this never falls below one that was begun before the piece
    // that lowers it: all below its last value are done.
    let end = AtomicU64::new(count);
    let do_some = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end.load(Ordering::Relaxed) {
                return done;
            }
            let result = work(number);
            if ends(&result) {
                end.fetch_min(number + 1, Ordering::Relaxed);
            }
            done.push((number, result));
        }
    };
    let others = (threads.get() as u64).min(count).saturating_sub(1);
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(do_some)).collect();
        let mut done = do_some();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    let end = end.into_inner();
    done.retain(|&(number, _)| number < end);
    done.sort_unstable_by_key(|&(number, _)| number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).expect("not zero")
    }

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u32> = (0..37).collect();
        let squares: Vec<u32> = items.iter().map(|item| item * item).collect();
        for count in [1, 2, 64] {
            assert_eq!(map(&items, threads(count), |item| item * item), squares);
        }
        assert!(map(&[] as &[u32], threads(2), |item| *item).is_empty());
    }

    #[test]
    fn the_first_piece_that_ends_is_the_last_result_on_any_number_of_threads() {
        // The pieces 20 and 23 end; 20 takes longest, so that others are done before it.
        let work = |number: u64| {
            if number == 20 {
                thread::sleep(std::time::Duration::from_millis(20));
            }
            number
        };
        for count in [1, 2, 5] {
            let done = map_until(100, threads(count), work, |&it| it == 20 || it == 23);
            assert_eq!(done, (0..=20).collect::<Vec<u64>>());
        }
    }

    #[test]
    #[should_panic(expected = "piece 3")]
    fn a_panic_in_a_piece_is_the_callers() {
        map_until(
            8,
            threads(2),
            |number| assert_ne!(number, 3, "piece 3"),
            |()| false,
        );
    }
}

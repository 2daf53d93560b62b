//! Work of equal kind on several processors at once.

use std::num::NonZero;
use std::thread;

/// Workers at most: each chart's bitmap takes tens of megabytes while it is drawn.
const WORKERS_MAX: usize = 4;

/// Applies a function to every item and returns the results in the items' order.
pub fn map<T: Sync, R: Send>(items: &[T], function: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = processors.min(WORKERS_MAX).min(items.len()).max(1);
    let function = &function;
    let work = |worker: usize| {
        let own = items.iter().enumerate().skip(worker).step_by(workers);
        own.map(|(index, item)| (index, function(item)))
            .collect::<Vec<(usize, R)>>()
    };
    let work = &work;
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let others: Vec<_> = (1..workers)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        let mut results = work(0);
        for other in others {
            match other.join() {
                Ok(part) => results.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u32> = (0..37).collect();
        let squares: Vec<u32> = items.iter().map(|item| item * item).collect();
        assert_eq!(super::map(&items, |item| item * item), squares);
        assert!(super::map(&[] as &[u32], |item| *item).is_empty());
    }
}

//! Independent pieces of work on all cores.

use std::sync::Mutex;
use std::thread;

/// Does each piece of work and returns the results in the order of the pieces, whichever thread
/// did which. As many threads run as the machine has processors for this process.
///
/// # Panics
///
/// Panics when `work` does.
pub(crate) fn in_parallel<T: Send, R: Send>(
    pieces: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(pieces.len());
    let queue = Mutex::new(pieces.into_iter().enumerate());
    let next = || {
        queue
            .lock()
            .expect("no thread panics while it takes")
            .next()
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut own = Vec::new();
                    while let Some((position, piece)) = next() {
                        own.push((position, work(piece)));
                    }
                    own
                })
            })
            .collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| worker.join().expect("work panicked");
        workers.into_iter().flat_map(join).collect()
    });
    results.sort_by_key(|&(position, _)| position);
    results.into_iter().map(|(_, result)| result).collect()
}

//! One network namespace, held by a file descriptor and by nothing else.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace. It ends when this is dropped and the last process in it has ended.
#[derive(Debug)]
pub struct NetworkNamespace {
    file: File,
}

impl NetworkNamespace {
    /// Makes an empty network namespace: a loopback device that is down, and nothing else.
    ///
    /// # Errors
    ///
    /// The system refuses: neither root nor in a user namespace of one's own.
    pub fn create() -> io::Result<NetworkNamespace> {
        // A namespace belongs to a thread; the file keeps it when the thread ends.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = made.join().map_err(|_| thread_panicked())??;
        Ok(NetworkNamespace { file })
    }

    /// Returns the namespace that a file stands for, e.g. one under `/proc/PID/ns`.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(path: &str) -> io::Result<NetworkNamespace> {
        let file = File::open(path)?;
        Ok(NetworkNamespace { file })
    }

    /// Returns a second handle of the same namespace.
    ///
    /// # Errors
    ///
    /// The process has too many files open.
    pub fn try_clone(&self) -> io::Result<NetworkNamespace> {
        let file = self.file.try_clone()?;
        Ok(NetworkNamespace { file })
    }

    /// Runs `work` on a thread of its own inside the namespace. Processes that it starts are in
    /// the namespace too.
    ///
    /// # Errors
    ///
    /// The thread may not enter the namespace, or `work` panicked.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET)?;
                Ok(work())
            });
            entered.join().map_err(|_| thread_panicked())?
        })
    }
}

impl AsFd for NetworkNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for NetworkNamespace {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn thread_panicked() -> io::Error {
    io::Error::other("the thread inside the namespace panicked")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn namespace_of_this_thread() -> std::path::PathBuf {
        fs::read_link("/proc/thread-self/ns/net").expect("this thread has a network namespace")
    }

    #[test]
    fn work_runs_inside_and_the_caller_stays_outside() {
        let outside = namespace_of_this_thread();
        let namespace = match NetworkNamespace::create() {
            Ok(namespace) => namespace,
            Err(error) => {
                eprintln!("skipped: network namespaces are not permitted here: {error}");
                return;
            }
        };
        let inside = namespace.run(namespace_of_this_thread).unwrap();
        assert_ne!(inside, outside);
        assert_eq!(namespace_of_this_thread(), outside);
        // Nothing but the loopback device: two lines of headers and one of it.
        let devices = namespace.run(|| fs::read_to_string("/proc/thread-self/net/dev"));
        assert_eq!(devices.unwrap().unwrap().lines().count(), 3);
    }
}

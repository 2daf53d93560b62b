//! The holder of a network: has the lock, makes the user and the PID namespace, and waits.

use std::fs;
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{getgid, getuid, setsid};

use super::message::{self, Envelope, OUTLIVE, Outcome, QUIT, Start};
use super::place::HeldPlace;
use super::{NetError, Place};

/// How long init may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Holds a network until it ends: the hidden command `net hold`. What to hold comes from standard
/// input, a socket of the supervisor's; the outcome goes back on it.
///
/// The calling process must have one thread: a user namespace is made for it.
///
/// # Errors
///
/// The network could not be set up; the supervisor has been told.
pub fn hold() -> Result<(), NetError> {
    let input = message::standard_input().map_err(NetError::doing("reading standard input"))?;
    let mut channel = UnixStream::from(input);
    let start: Start = message::receive(&mut channel).map_err(NetError::doing(
        "reading what to hold (this command is longhaul's own, see `longhaul net up`)",
    ))?;
    let held = Holding::begin(start, &channel);
    match held {
        Ok(holding) => holding.until_the_end(channel),
        Err(error) => {
            // The supervisor may be gone; then nobody is left to be told.
            let _ = message::send(&mut channel, &Outcome::Failed(error.to_string()));
            Err(error)
        }
    }
}

struct Holding {
    /// Removes the network's files when it is dropped, last of all.
    _held: HeldPlace,
    init: Child,
    lifeline: PipeWriter,
    signals: SignalFd,
}

impl Holding {
    fn begin(start: Start, channel: &UnixStream) -> Result<Holding, NetError> {
        // A session of its own: the terminal's signals are for the supervisor. It has one already
        // only when it was started by hand.
        let _ = setsid();
        let place = Place::within(start.directory.clone(), &start.name)?;
        let held = place.lock()?;
        let signals = watched_signals().map_err(NetError::doing("watching signals"))?;
        raise_priority_limit();
        isolate()?;
        let (reader, lifeline) = io::pipe().map_err(NetError::doing("making a pipe"))?;
        let program = std::env::current_exe().map_err(NetError::doing("finding this program"))?;
        let output: OwnedFd = channel
            .try_clone()
            .map_err(NetError::doing("copying"))?
            .into();
        let init = Command::new(program)
            .args(["net", "init"])
            .stdin(reader)
            .stdout(output)
            .spawn()
            .map_err(NetError::doing("starting the network's first process"))?;
        let envelope = Envelope {
            request: start.request,
            directory: start.directory,
            name: start.name,
            holder: held.holder().clone(),
            warnings: Vec::new(),
        };
        let mut holding = Holding {
            _held: held,
            init,
            lifeline,
            signals,
        };
        message::send(&mut holding.lifeline, &envelope)
            .map_err(NetError::doing("telling the network's first process"))?;
        Ok(holding)
    }

    /// Waits for the first of: init's end, a signal, the supervisor's end.
    fn until_the_end(mut self, channel: UnixStream) -> Result<(), NetError> {
        let mut channel = Some(channel);
        loop {
            let supervisor = channel.as_ref().map(|channel| channel.as_fd());
            let mut watched = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            watched.extend(supervisor.map(|channel| PollFd::new(channel, PollFlags::POLLIN)));
            match poll(&mut watched, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                other => other.map_err(NetError::doing("waiting"))?,
            };
            let [signalled, spoken] = [0, 1].map(|index| {
                watched
                    .get(index)
                    .is_some_and(|watched| watched.any() == Some(true))
            });
            if signalled && self.must_end() {
                return self.end();
            }
            if spoken {
                let mut byte = [0];
                let read = channel.as_mut().map(|channel| channel.read(&mut byte));
                if !matches!(read, Some(Ok(1))) || byte != [OUTLIVE] {
                    return self.end();
                }
                channel = None;
                let _ = message::nothing().map(nix::unistd::dup2_stdin);
            }
        }
    }

    /// Reads the signals that came. Says whether one of them asks for the end.
    fn must_end(&mut self) -> bool {
        let mut must_end = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let is_child = signal.ssi_signo == Signal::SIGCHLD as u32;
            must_end |= !is_child || !matches!(self.init.try_wait(), Ok(None));
        }
        must_end
    }

    fn end(mut self) -> Result<(), NetError> {
        // Init has ended already, or ends now; the kernel then kills all that is left inside.
        let _ = self.lifeline.write_all(&[QUIT]);
        let started = Instant::now();
        while matches!(self.init.try_wait(), Ok(None)) {
            if started.elapsed() > PATIENCE {
                let _ = self.init.kill();
                let _ = self.init.wait();
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

fn watched_signals() -> nix::Result<SignalFd> {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
    ] {
        signals.add(signal);
    }
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// Real-time priority is a matter of the user's limit inside a user namespace, where privileges do
/// not count: the limit is raised as far as it goes before.
fn raise_priority_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_RTPRIO) {
        // With privileges even the hard limit may be raised; a refusal is recorded by the thread
        // that then runs at normal priority.
        let wanted = hard.max(20);
        if setrlimit(Resource::RLIMIT_RTPRIO, wanted, wanted).is_err() && soft < hard {
            let _ = setrlimit(Resource::RLIMIT_RTPRIO, hard, hard);
        }
    }
}

/// Moves the calling process's future children into a PID namespace, and where that takes it (for
/// all but root, and for a root without the right) the process itself into a user namespace.
fn isolate() -> Result<(), NetError> {
    let processes = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if unshare(processes).is_ok() {
        return Ok(());
    }
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(NetError::doing(
        "making a user namespace (be root, or permit it: user.max_user_namespaces, \
         kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)",
    ))?;
    map_to_root(user.as_raw(), group.as_raw())
        .map_err(NetError::doing("becoming root of the user namespace"))?;
    unshare(processes).map_err(NetError::doing("making a PID namespace"))
}

/// Inside, the user is root: over the network, and over nothing else.
fn map_to_root(user: u32, group: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

//! The first process of a network's PID namespace: with its end, everything inside ends.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::message::{self, Envelope, Outcome};
use super::{NetError, NetRequest, address};

/// Runs a network's first process: the hidden command `net init`. What to do comes from standard
/// input, a pipe that stays open as long as the holder lives.
///
/// # Errors
///
/// The mount or the network namespace could not be made, or the keeper not be started; the
/// supervisor has been told.
pub fn init() -> Result<(), NetError> {
    let input = message::standard_input().map_err(NetError::doing("reading standard input"))?;
    let mut lifeline = File::from(input);
    let envelope: Envelope = message::receive(&mut lifeline).map_err(NetError::doing(
        "reading what to do (this command is longhaul's own, see `longhaul net up`)",
    ))?;
    let place = envelope.place()?;
    let holder = envelope.holder.clone();
    let running = match Init::begin(envelope) {
        Ok(running) => running,
        Err(error) => {
            let _ = message::send(&mut io::stdout(), &Outcome::Failed(error.to_string()));
            return Err(error);
        }
    };
    if running.until_the_end(&mut lifeline)? == End::HolderKilled {
        // -1: every process inside but this one. They end before the files do.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        place.remove_after(&holder);
    }
    Ok(())
}

struct Init {
    signals: SignalFd,
    keeper: Pid,
    /// Kept open: the keeper reads it once.
    _input: OwnedFd,
}

#[derive(PartialEq)]
enum End {
    Keeper,
    Holder,
    HolderKilled,
}

impl Init {
    fn begin(mut envelope: Envelope) -> Result<Init, NetError> {
        let mut children = SigSet::empty();
        children.add(Signal::SIGCHLD);
        let signals = SigSet::all()
            .thread_unblock()
            .and_then(|()| children.thread_block())
            .and_then(|()| {
                SignalFd::with_flags(&children, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            })
            .map_err(NetError::doing("watching children"))?;
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
            .map_err(NetError::doing("making a mount and a network namespace"))?;
        // Without this, mounts made below could travel to the machine's own namespace.
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )
        .map_err(NetError::doing("making mounts private"))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if let Err(error) = mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>) {
            envelope.warnings.push(format!(
                "/proc shows the processes of the whole machine, mounting a new one failed: {error}"
            ));
        }
        if let Err(error) = mount_hosts(&envelope.request) {
            envelope.warnings.push(format!(
                "regions are not known by name, mounting /etc/hosts failed: {error}"
            ));
        }
        let program = std::env::current_exe().map_err(NetError::doing("finding this program"))?;
        let (reader, mut writer) = io::pipe().map_err(NetError::doing("making a pipe"))?;
        let keeper = Command::new(program)
            .args(["net", "keep"])
            .stdin(Stdio::from(reader))
            .spawn()
            .map_err(NetError::doing("starting the keeper"))?;
        message::send(&mut writer, &envelope).map_err(NetError::doing("telling the keeper"))?;
        // The supervisor hears from the keeper from here on.
        let _ = message::nothing().map(nix::unistd::dup2_stdout);
        Ok(Init {
            signals,
            keeper: Pid::from_raw(keeper.id() as i32),
            _input: writer.into(),
        })
    }

    fn until_the_end(&self, lifeline: &mut File) -> Result<End, NetError> {
        loop {
            let lifeline_fd = lifeline.as_fd();
            let mut watched = [self.signals.as_fd(), lifeline_fd]
                .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other.map_err(NetError::doing("waiting"))?,
            };
            let [signalled, spoken] = watched.map(|watched| watched.any() == Some(true));
            if signalled {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                if self.reap() {
                    return Ok(End::Keeper);
                }
            }
            if spoken {
                let mut byte = [0];
                return Ok(match lifeline.read(&mut byte) {
                    Ok(1) => End::Holder,
                    _ => End::HolderKilled,
                });
            }
        }
    }

    /// Takes the status of every child that has ended, orphans included. Says whether the keeper
    /// was one of them.
    fn reap(&self) -> bool {
        loop {
            match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return false,
                Ok(status) if status.pid() == Some(self.keeper) => return true,
                Ok(_) | Err(Errno::EINTR) => {}
                // No child is left, so the keeper has ended.
                Err(_) => return true,
            }
        }
    }
}

/// Lets programs inside name regions: a file with the machine's own lines and one for each region,
/// on a file system in memory, laid over `/etc/hosts`. No file is left anywhere.
fn mount_hosts(request: &NetRequest) -> io::Result<()> {
    const STAGING: &str = "/tmp";
    const HOSTS: &str = "/etc/hosts";
    let mut text = fs::read_to_string(HOSTS).unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for index in request.profile.region_indexes() {
        let name = &request.profile.regions[index.index()].name;
        text.push_str(&format!("{} {name}\n", address::address(index)));
    }
    let none = None::<&str>;
    mount(
        Some("tmpfs"),
        STAGING,
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        none,
    )?;
    let staged = format!("{STAGING}/hosts");
    let laid = fs::write(&staged, text).and_then(|()| {
        Ok(mount(
            Some(staged.as_str()),
            HOSTS,
            none,
            MsFlags::MS_BIND,
            none,
        )?)
    });
    // The file lives on under its second name.
    nix::mount::umount2(STAGING, nix::mount::MntFlags::MNT_DETACH)?;
    laid
}

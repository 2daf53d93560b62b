//! Processes inside a region, started from outside.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Pid, Uid, getgid, getuid, setgid, setgroups, setuid};

use super::control::Connection;
use super::{NetError, NetState, NetworkNamespace, Place};

/// Signals that the process outside passes on. Those of a terminal reach the inner process too.
const PASSED_ON: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Who a process inside a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user id, as outside.
    pub user: u32,
    /// The group id, as outside.
    pub group: u32,
}

impl Identity {
    /// Returns the identity of whoever called: the user of this process, or the one who called
    /// `sudo`.
    pub fn of_caller() -> Identity {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
        match (getuid().is_root(), number("SUDO_UID"), number("SUDO_GID")) {
            (true, Some(user), Some(group)) => Identity { user, group },
            _ => Identity {
                user: getuid().as_raw(),
                group: getgid().as_raw(),
            },
        }
    }
}

/// A region to be entered.
#[derive(Debug)]
pub struct Entrance {
    state: NetState,
    keeper: Pid,
    /// `None`: the network is in this process's user namespace.
    user: Option<File>,
    mounts: File,
    processes: File,
    /// Kept open while the descriptors above are opened, so that the keeper's process id is its.
    _connection: Connection,
}

impl Entrance {
    /// Finds the namespaces of a network of the calling user.
    ///
    /// # Errors
    ///
    /// No such network is up, or this process may not look into it.
    pub fn find(place: &Place) -> Result<Entrance, NetError> {
        let mut connection = Connection::open(place)?;
        let state = connection.state()?;
        let keeper = connection.keeper();
        let open = |kind: &str| {
            let path = format!("/proc/{keeper}/ns/{kind}");
            File::open(&path).map_err(NetError::doing(format!("opening '{path}'")))
        };
        let link = |process: &str| fs::read_link(format!("/proc/{process}/ns/user"));
        let is_shared = match (link("self"), link(&keeper.to_string())) {
            (Ok(own), Ok(theirs)) => own == theirs,
            _ => false,
        };
        Ok(Entrance {
            user: if is_shared { None } else { Some(open("user")?) },
            mounts: open("mnt")?,
            processes: open("pid")?,
            state,
            keeper,
            _connection: connection,
        })
    }

    /// Returns what the network is.
    pub fn state(&self) -> &NetState {
        &self.state
    }

    /// Returns a region's network namespace and address.
    ///
    /// # Errors
    ///
    /// There is no such region, or this process may not look into the keeper.
    pub fn region(&self, name: &str) -> Result<(NetworkNamespace, Ipv4Addr), NetError> {
        let region = self.state.region(name)?;
        let path = format!("/proc/{}/fd/{}", self.keeper, region.descriptor);
        let namespace =
            NetworkNamespace::open(&path).map_err(NetError::doing(format!("opening '{path}'")))?;
        Ok((namespace, region.address))
    }

    /// Moves the calling process, which must have one thread, into the network's user namespace,
    /// where it is root: its threads may then enter regions.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn enter_user_namespace(&self) -> Result<(), NetError> {
        match &self.user {
            None => Ok(()),
            Some(user) => setns(user, CloneFlags::CLONE_NEWUSER)
                .map_err(NetError::doing("entering the network's user namespace")),
        }
    }
}

/// Runs a command inside a region and returns its status, once it has ended. The calling process
/// must have one thread; it leaves its own namespaces for good. Signals are passed on; when the
/// calling process is killed, so is the command.
///
/// # Errors
///
/// No such network or region, a refusal of the system, or the command cannot be started.
pub fn run(place: &Place, region: &str, command: &[OsString]) -> Result<ExitStatus, NetError> {
    let identity = Identity::of_caller();
    let program = std::env::current_exe().map_err(NetError::doing("finding this program"))?;
    let folder = std::env::current_dir();
    let entrance = Entrance::find(place)?;
    let (namespace, address) = entrance.region(region)?;
    entrance.enter_user_namespace()?;
    let entering = || NetError::doing(format!("entering the region '{region}'"));
    setns(&entrance.processes, CloneFlags::CLONE_NEWPID).map_err(entering())?;
    setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(entering())?;
    setns(&entrance.mounts, CloneFlags::CLONE_NEWNS).map_err(entering())?;
    // Entering the mounts has moved this process to their root.
    if let Ok(folder) = folder {
        let _ = std::env::set_current_dir(folder);
    }
    let signals = watch().map_err(NetError::doing("watching signals"))?;
    let inner = Command::new(program)
        .args(["net", "inside", "--user", &identity.user.to_string()])
        .args(["--group", &identity.group.to_string(), "--"])
        .args(command)
        .env("LONGHAUL_NET", place.name())
        .env("LONGHAUL_REGION", region)
        .env("LONGHAUL_ADDRESS", address.to_string())
        .spawn()
        .map_err(NetError::doing("starting a process inside"))?;
    drop(entrance);
    pass_on(&signals, inner).map_err(NetError::doing("waiting for the command"))
}

/// Becomes a command as the given user: the hidden command `net inside`, which is started inside a
/// region. Returns only when that fails.
pub fn become_command(identity: Identity, command: &[OsString]) -> NetError {
    let become_user = || NetError::doing("becoming the calling user");
    if let Err(error) = become_identity(identity).map_err(become_user()) {
        return error;
    }
    // After the change of user, which takes it back.
    let prepared = set_pdeathsig(Signal::SIGKILL).and_then(|()| SigSet::all().thread_unblock());
    if let Err(error) = prepared {
        return NetError::doing("preparing the command")(error);
    }
    let Some((program, arguments)) = command.split_first() else {
        return NetError::Reported("no command given".to_owned());
    };
    let error = Command::new(program).args(arguments).exec();
    NetError::doing(format!("starting `{}`", Path::new(program).display()))(error)
}

/// Returns the exit code by which a shell would know a command's end.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    u8::try_from(code.unwrap_or(1)).unwrap_or(u8::MAX)
}

fn watch() -> nix::Result<SignalFd> {
    let mut watched: SigSet = PASSED_ON.into_iter().collect();
    watched.add(Signal::SIGCHLD);
    watched.thread_block()?;
    SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC)
}

fn pass_on(signals: &SignalFd, mut inner: Child) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = inner.try_wait()? {
            return Ok(status);
        }
        let Some(signal) = signals.read_signal()? else {
            continue;
        };
        // What a terminal sends, the inner process got as well: those come from the kernel.
        let is_from_process = signal.ssi_code <= 0;
        let number = Signal::try_from(signal.ssi_signo as i32);
        if let (true, Ok(number)) = (is_from_process, number)
            && number != Signal::SIGCHLD
        {
            // It may have ended in between.
            let _ = kill(Pid::from_raw(inner.id() as i32), number);
        }
    }
}

fn become_identity(identity: Identity) -> io::Result<()> {
    if identity.user == 0 {
        return Ok(());
    }
    if is_root_of_the_machine()? {
        let (user, group) = (Uid::from_raw(identity.user), Gid::from_raw(identity.group));
        setgroups(&[group])?;
        setgid(group)?;
        setuid(user)?;
        return Ok(());
    }
    // In the network's user namespace the calling user is root. Programs that refuse to be root, as
    // databases do, see their own user again in a namespace within it.
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{} 0 1", identity.user))?;
    fs::write("/proc/self/gid_map", format!("{} 0 1", identity.group))
}

/// Says whether user ids mean the same here as in the machine's first user namespace.
fn is_root_of_the_machine() -> io::Result<bool> {
    let map = fs::read_to_string("/proc/self/uid_map")?;
    Ok(map.split_whitespace().eq(["0", "0", "4294967295"]))
}

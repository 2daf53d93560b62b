//! Starting a network from the outside.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::message::{self, OUTLIVE, Outcome, Start};
use super::{NetError, NetRequest, NetState, Place};

/// How long setting up may take: on a slow machine a network of many regions takes a minute.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// How long a network may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A network that lives as long as this, or until this process ends, however it ends.
#[derive(Debug)]
pub struct Supervisor {
    program: PathBuf,
    place: Place,
    holder: Child,
    /// Closed: the holder ends the network.
    channel: UnixStream,
    state: NetState,
    outlives: bool,
}

impl Supervisor {
    /// Makes a network and waits until it is ready. `program` is longhaul itself, which is started
    /// again with hidden commands.
    ///
    /// # Errors
    ///
    /// A network of that name is up, or the system does not permit what is needed: the message says
    /// what.
    pub fn start(
        program: &Path,
        place: &Place,
        request: &NetRequest,
    ) -> Result<Supervisor, NetError> {
        let starting = || NetError::doing("starting the network's holder");
        let (mut channel, theirs) = UnixStream::pair().map_err(starting())?;
        let mut holder = Command::new(program)
            .args(["net", "hold"])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // It may outlive this process, whose standard error others may wait for the end of.
            .stderr(Stdio::null())
            .spawn()
            .map_err(starting())?;
        let start = Start {
            request: request.clone(),
            directory: place.directory().to_owned(),
            name: place.name().to_owned(),
        };
        let outcome = channel
            .set_read_timeout(Some(READY_WITHIN))
            .and_then(|()| message::send(&mut channel, &start))
            .and_then(|()| message::receive(&mut channel));
        let failed = match outcome {
            Ok(Outcome::Ready(state)) => {
                return Ok(Supervisor {
                    program: program.to_owned(),
                    place: place.clone(),
                    holder,
                    channel,
                    state,
                    outlives: false,
                });
            }
            Ok(Outcome::Failed(why)) => NetError::Reported(why),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => NetError::Reported(
                "the network's processes ended while it was being set up".to_owned(),
            ),
            Err(error) => NetError::doing("waiting for the network")(error),
        };
        drop(channel);
        wait(&mut holder);
        Err(failed)
    }

    /// Returns what the network is.
    pub fn state(&self) -> &NetState {
        &self.state
    }

    /// Returns the network's place, to connect to it.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the process id of the network's holder.
    pub fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// Returns a command that will run `program` inside a region, as the calling user. It ends with
    /// the process that it is started as, and with the network.
    pub fn command(&self, region: &str, program: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["net", "exec", "--name", self.place.name(), region, "--"]);
        command.arg(program);
        command
    }

    /// Waits until the network ends, because it was taken down or one of its processes died.
    pub fn wait(mut self) {
        // The holder sends nothing more; its end is the end of the stream.
        let forever = self.channel.set_read_timeout(None);
        if forever.is_ok() {
            let _ = self.channel.read(&mut [0]);
        }
    }

    /// Lets the network outlive this process, until [`super::control::down`].
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub fn outlive(mut self) -> Result<NetState, NetError> {
        self.channel
            .write_all(&[OUTLIVE])
            .map_err(NetError::doing("leaving the network to its holder"))?;
        self.outlives = true;
        Ok(self.state.clone())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if !self.outlives {
            let _ = self.channel.shutdown(Shutdown::Both);
            wait(&mut self.holder);
        }
    }
}

/// Waits for the holder's end, which follows the channel's; one that hangs is killed.
fn wait(holder: &mut Child) {
    let started = Instant::now();
    while matches!(holder.try_wait(), Ok(None)) {
        if started.elapsed() > END_WITHIN {
            let _ = holder.kill();
            let _ = holder.wait();
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

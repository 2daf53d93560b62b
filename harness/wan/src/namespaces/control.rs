//! What a network can be asked while it is up, over its socket.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::keep::FabricReport;
use super::{FaultRequest, NetError, NetState, Place, message};

/// How long an answer may take: a change of a large netem network is thousands of commands.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How long a network may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);

/// What a network is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Question {
    /// What it is.
    State,
    /// What passed so far.
    Report,
    /// To break or to mend links.
    Fault(FaultRequest),
    /// To end, and what passed.
    Down,
}

/// What it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    State(Box<NetState>),
    Report(Box<FabricReport>),
    /// How many links were changed.
    Changed(usize),
    Failed(String),
}

/// A connection to a network that is up.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    keeper: Pid,
}

impl Connection {
    /// Connects to a network of the calling user.
    ///
    /// # Errors
    ///
    /// No network of that name is up, or it does not answer.
    pub fn open(place: &Place) -> Result<Connection, NetError> {
        let stream = match UnixStream::connect(place.socket()) {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Err(NetError::Absent {
                    name: place.name().to_owned(),
                });
            }
            Err(error) => return Err(NetError::doing("connecting to the network")(error)),
        };
        let asking = || NetError::doing("asking the network");
        stream
            .set_read_timeout(Some(ANSWER_WITHIN))
            .map_err(asking())?;
        // Who listens, under its id in this process's PID namespace.
        let peer = getsockopt(&stream.as_fd(), PeerCredentials)
            .map_err(NetError::doing("finding out who answers for the network"))?;
        Ok(Connection {
            stream,
            keeper: Pid::from_raw(peer.pid()),
        })
    }

    /// Returns the id of the process that keeps the network's namespaces open.
    pub fn keeper(&self) -> Pid {
        self.keeper
    }

    /// Returns what the network is.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn state(&mut self) -> Result<NetState, NetError> {
        match self.ask(&Question::State)? {
            Answer::State(state) => Ok(*state),
            other => Err(unexpected(other)),
        }
    }

    /// Returns what passed so far.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn report(&mut self) -> Result<FabricReport, NetError> {
        match self.ask(&Question::Report)? {
            Answer::Report(report) => Ok(*report),
            other => Err(unexpected(other)),
        }
    }

    /// Breaks or mends links. Returns how many changed.
    ///
    /// # Errors
    ///
    /// There are no such links, or the change failed.
    pub fn fault(&mut self, request: &FaultRequest) -> Result<usize, NetError> {
        match self.ask(&Question::Fault(request.clone()))? {
            Answer::Changed(links) => Ok(links),
            other => Err(unexpected(other)),
        }
    }

    fn ask(&mut self, question: &Question) -> Result<Answer, NetError> {
        let asked = message::send(&mut self.stream, question)
            .and_then(|()| message::receive(&mut self.stream));
        match asked.map_err(NetError::doing("asking the network"))? {
            Answer::Failed(why) => Err(NetError::Reported(why)),
            answer => Ok(answer),
        }
    }
}

/// Takes a network down and waits until its files are gone. Returns what passed, where it could
/// still be asked; a holder that does not answer is ended by a signal.
///
/// # Errors
///
/// No network of that name is up, or it does not end.
pub fn down(place: &Place) -> Result<Option<FabricReport>, NetError> {
    let Some(holder) = place.holder() else {
        place.remove_stale()?;
        return Err(NetError::Absent {
            name: place.name().to_owned(),
        });
    };
    let asked = Connection::open(place).and_then(|mut connection| connection.ask(&Question::Down));
    let report = match asked {
        Ok(Answer::Report(report)) => Some(*report),
        _ => None,
    };
    let pid = Pid::from_raw(holder.pid as i32);
    if report.is_none() && holder.is_running() {
        let _ = kill(pid, Signal::SIGTERM);
    }
    let started = Instant::now();
    while holder.is_running() {
        if started.elapsed() > END_WITHIN {
            let _ = kill(pid, Signal::SIGKILL);
            return Err(NetError::Reported(format!(
                "the network '{}' did not end within {END_WITHIN:?}, so its holder (process {}) \
                 was killed",
                place.name(),
                holder.pid
            )));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(report)
}

fn unexpected(answer: Answer) -> NetError {
    NetError::Reported(format!(
        "the network gave an answer to another question: {answer:?}"
    ))
}

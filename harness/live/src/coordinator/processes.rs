//! Agents in processes of their own, seen from the coordinator.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::cluster::Place;
use crate::agent_process::ProcessSetup;
use crate::faults::SiteHand;
use crate::launcher::Launcher;
use crate::message_stream::{MessageReader, MessageWriter};
use crate::messages::{FromAgent, ToSite};

/// How long an agent's process may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// How often is looked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A region's agent in a process of its own. Dropping it ends the process.
pub(super) struct AgentProcess {
    child: Child,
    socket: UnixStream,
    /// Shared with the faults' thread.
    orders: Arc<Mutex<MessageWriter>>,
    /// Set when the end of the connection is no news.
    is_ending: Arc<AtomicBool>,
    reading: Option<JoinHandle<()>>,
}

impl AgentProcess {
    /// Starts the process and tells it what to run; `name` is the region's.
    ///
    /// # Errors
    ///
    /// The system's, and the launcher's.
    pub(super) fn start(
        launcher: &dyn Launcher,
        setup: &ProcessSetup,
        name: &str,
        reports: UnboundedSender<FromAgent>,
    ) -> io::Result<AgentProcess> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = launcher
            .command(setup.region)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // An interrupt from the terminal is for the coordinator.
            .process_group(0)
            .spawn()?;
        let is_ending = Arc::new(AtomicBool::new(false));
        // From here on, dropping it ends the process.
        let mut process = AgentProcess {
            child,
            orders: Arc::new(Mutex::new(MessageWriter::new(socket.try_clone()?))),
            socket,
            is_ending: Arc::clone(&is_ending),
            reading: None,
        };
        writer(&process.orders).send(setup)?;
        let reader = MessageReader::new(process.socket.try_clone()?);
        let name = name.to_owned();
        let reading = thread::Builder::new()
            .name(format!("agent-{name}"))
            .spawn(move || read(reader, &name, &is_ending, &reports))?;
        process.reading = Some(reading);
        Ok(process)
    }

    fn end(&mut self) {
        self.is_ending.store(true, Ordering::Release);
        let _ = self.socket.shutdown(Shutdown::Both);
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(LOOK_EVERY),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes on what an agent reports, and the end of its process unless that was asked for.
fn read(
    mut reader: MessageReader,
    name: &str,
    is_ending: &AtomicBool,
    reports: &UnboundedSender<FromAgent>,
) {
    let ended = loop {
        match reader.receive() {
            Ok(Some(report)) => {
                let _ = reports.send(report);
            }
            Ok(None) => break "its process ended".to_owned(),
            Err(why) => break why.to_string(),
        }
    };
    if !is_ending.load(Ordering::Acquire) {
        let _ = reports.send(FromAgent::Failed(format!(
            "lost the agent of {name}: {ended}"
        )));
    }
}

impl Place for AgentProcess {
    fn order(&mut self, order: &ToSite) {
        // An agent that takes no orders has gone, as the reading thread tells.
        let _ = writer(&self.orders).send(order);
    }

    fn fault_hand(&self) -> SiteHand {
        let orders = Arc::clone(&self.orders);
        Box::new(move |order| {
            let _ = writer(&orders).send(&ToSite::Fault(*order));
        })
    }
}

/// Takes the writing end; a thread that panicked while it had it ends the run by its silence.
fn writer(orders: &Mutex<MessageWriter>) -> MutexGuard<'_, MessageWriter> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        self.end();
        if let Some(reading) = self.reading.take() {
            // A thread that panicked has said so on standard error.
            let _ = reading.join();
        }
    }
}

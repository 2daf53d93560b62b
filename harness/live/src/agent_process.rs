//! An agent in a process of its own: it takes its setup and its orders from standard input, a
//! socket whose other end the coordinator holds, and ends when that does.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::{ModeSpec, RegionIndex, RunError, Scenario, Seed};
use longhaul_protocol::modes::{paths, with_mode};
use longhaul_protocol::{Mode, ModeVisitor};
use longhaul_wan::clock::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::links::Links;
use crate::message_stream::{MessageReader, MessageWriter};
use crate::messages::{FromAgent, ToSite};
use crate::receiving_end::Emulation;
use crate::site::{Site, SiteSetup, contacts};

/// What an agent's process is told first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProcessSetup {
    /// The scenario, as JSON: its forms for files are no forms for postcard.
    pub(crate) scenario: String,
    pub(crate) mode: ModeSpec,
    pub(crate) seed: Seed,
    /// The region whose agent it is.
    pub(crate) region: RegionIndex,
    /// The run's clock, which all processes of a machine share.
    pub(crate) clock: Clock,
    pub(crate) emulation: Emulation,
    /// Where its replica listens.
    pub(crate) address: IpAddr,
    /// Where its replica keeps its log, in a folder of its own; `None`: memory.
    pub(crate) log_directory: Option<PathBuf>,
}

/// Why an agent's process ends early.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Standard input is no socket.
    #[error(
        "standard input is not the coordinator's socket ({0}): agents are started by the runs that \
         need them, not by hand"
    )]
    NoSocket(io::Error),
    /// The connection with the coordinator broke.
    #[error("lost the coordinator: {0}")]
    Connection(#[from] io::Error),
    /// The coordinator ended before it said what to run.
    #[error("the coordinator ended without saying what to run")]
    NoSetup,
    /// What it says does not parse.
    #[error("the coordinator's scenario does not parse: {0}")]
    Scenario(#[from] serde_json::Error),
    /// The mode does not exist or does not fit the topology.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// The mode has not an operation that the workload asks for.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs the agent of a region for the coordinator at the other end of standard input, until the
/// coordinator closes it.
///
/// # Errors
///
/// Standard input is no socket, the connection breaks, or what comes over it cannot be run.
pub fn run_agent() -> Result<(), AgentError> {
    let standard_input = io::stdin().as_fd().try_clone_to_owned();
    let socket = UnixStream::from(standard_input.map_err(AgentError::NoSocket)?);
    // The system tells sockets from files by this call.
    socket.local_addr().map_err(AgentError::NoSocket)?;
    let writer = MessageWriter::new(socket.try_clone()?);
    let (reports, reported) = unbounded_channel();
    let reporting = thread::Builder::new()
        .name("reports".to_owned())
        .spawn(move || report(writer, reported))?;
    let outcome = obey(MessageReader::new(socket), reports.clone());
    if let Err(why) = &outcome {
        let _ = reports.send(FromAgent::Failed(why.to_string()));
    }
    drop(reports);
    // A thread that panicked has said so on standard error.
    let _ = reporting.join();
    outcome
}

/// Passes on what the region's threads report, until they have ended or nobody listens.
fn report(mut writer: MessageWriter, mut reported: UnboundedReceiver<FromAgent>) {
    while let Some(report) = reported.blocking_recv() {
        if writer.send(&report).is_err() {
            return;
        }
    }
}

fn obey(mut orders: MessageReader, reports: UnboundedSender<FromAgent>) -> Result<(), AgentError> {
    let setup: ProcessSetup = orders.receive()?.ok_or(AgentError::NoSetup)?;
    let scenario: Scenario = serde_json::from_str(&setup.scenario)?;
    let topology = scenario.topology.clone();
    let mode = setup.mode.clone();
    let visitor = Obey {
        setup,
        scenario,
        orders,
        reports,
    };
    with_mode(&mode, &topology, visitor)?
}

struct Obey {
    setup: ProcessSetup,
    scenario: Scenario,
    orders: MessageReader,
    reports: UnboundedSender<FromAgent>,
}

impl ModeVisitor for Obey {
    type Output = Result<(), AgentError>;

    fn visit<M: Mode>(mut self, mode: M) -> Self::Output {
        let ProcessSetup { seed, clock, .. } = self.setup;
        let topology = Arc::new(self.scenario.topology.clone());
        let paths = paths(&mode, &self.setup.mode, &self.scenario)?;
        let mut site = Site::start(&SiteSetup {
            mode,
            contacts: contacts(&paths),
            links: Links::new(Arc::clone(&topology), seed),
            topology,
            scenario: Arc::new(self.scenario),
            seed,
            regions: vec![self.setup.region],
            clock,
            emulation: self.setup.emulation,
            address: self.setup.address,
            log_directory: self.setup.log_directory,
            reports: self.reports,
        })?;
        while let Some(order) = self.orders.receive::<ToSite>()? {
            site.obey(order);
        }
        Ok(())
    }
}

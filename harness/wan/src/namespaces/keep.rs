//! The keeper of a network: makes the regions, lays the links, answers on the socket.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};

use longhaul_experiment::ids::LinkId;
use longhaul_experiment::profile::Link;
use nix::sys::signal::SigSet;
use serde::{Deserialize, Serialize};

use super::control::{ANSWER_WITHIN, Answer, Question};
use super::fault::Conditions;
use super::message::{self, Envelope, Outcome};
use super::{Backend, NetError, NetRequest, NetState, NetworkNamespace, RegionState, address};
use super::{program, sysctl};
use crate::netem::{NetemFabric, NetemReport};
use crate::tun::{RouterReport, TunFabric};

/// What passed through a network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FabricReport {
    /// What the TUN router saw.
    Tun(Box<RouterReport>),
    /// What the kernel counted.
    Netem(NetemReport),
}

/// What delays packets.
pub(crate) trait Fabric {
    /// Changes a link; a link that is cut drops every packet.
    fn set_link(&mut self, link: LinkId, parameters: &Link, is_cut: bool) -> Result<(), NetError>;

    /// Returns what passed so far.
    fn report(&mut self) -> Result<FabricReport, NetError>;

    /// Returns how the thread that moves packets is scheduled, where there is one.
    fn scheduling(&self) -> Option<String> {
        None
    }
}

/// What a fabric is laid between.
pub(crate) struct Site<'a> {
    pub request: &'a NetRequest,
    /// In the profile's order.
    pub regions: &'a [NetworkNamespace],
    /// For files that programs need in the meantime.
    pub scratch: std::path::PathBuf,
}

/// Keeps a network up: the hidden command `net keep`. What to keep comes from standard input; the
/// outcome goes to standard output.
///
/// # Errors
///
/// The network could not be set up; the supervisor has been told.
pub fn keep() -> Result<(), NetError> {
    // Init blocks some signals for itself; programs that are started here must not inherit that.
    let _ = SigSet::all().thread_unblock();
    let input = message::standard_input().map_err(NetError::doing("reading standard input"))?;
    let envelope: Envelope = message::receive(&mut File::from(input)).map_err(NetError::doing(
        "reading what to keep (this command is longhaul's own, see `longhaul net up`)",
    ))?;
    let outcome = Keeper::begin(envelope);
    let (told, keeper) = match outcome {
        Ok(keeper) => (Outcome::Ready(keeper.state()), Ok(keeper)),
        Err(error) => (Outcome::Failed(error.to_string()), Err(error)),
    };
    // Without a supervisor the holder ends the network.
    let _ = message::send(&mut io::stdout(), &told);
    let _ = message::nothing().map(nix::unistd::dup2_stdout);
    keeper?.answer()
}

struct Keeper {
    state: NetState,
    conditions: Conditions,
    fabric: Box<dyn Fabric>,
    listener: UnixListener,
    /// Kept open: they are the regions.
    _regions: Vec<NetworkNamespace>,
}

impl Keeper {
    fn begin(envelope: Envelope) -> Result<Keeper, NetError> {
        let place = envelope.place()?;
        let request = envelope.request;
        let count = request.profile.regions.len();
        if count == 0 || count > address::REGIONS_MAX {
            return Err(NetError::Regions {
                regions: count,
                max: address::REGIONS_MAX,
            });
        }
        let mut warnings = envelope.warnings;
        let regions = make_regions(count, &mut warnings)?;
        let site = Site {
            request: &request,
            regions: &regions,
            scratch: place.scratch(),
        };
        let fabric: Box<dyn Fabric> = match request.backend {
            Backend::Tun => Box::new(TunFabric::lay(&site)?),
            Backend::Netem => Box::new(NetemFabric::lay(&site)?),
        };
        let listener = UnixListener::bind(place.socket()).map_err(NetError::doing(format!(
            "listening on '{}'",
            place.socket().display()
        )))?;
        let described = request.profile.region_indexes().zip(&regions);
        let described = described.map(|(index, namespace)| RegionState {
            name: request.profile.regions[index.index()].name.clone(),
            address: address::address(index),
            descriptor: namespace.as_raw_fd(),
        });
        let compensation = match request.backend {
            Backend::Tun => request.compensation.as_secs_f64() * 1e6,
            Backend::Netem => 0.0,
        };
        Ok(Keeper {
            state: NetState {
                name: place.name().to_owned(),
                profile: request.profile.name.clone(),
                backend: request.backend,
                regions: described.collect(),
                one_way: Vec::new(),
                scheduling: fabric.scheduling(),
                compensation_us: compensation,
                warnings,
                faults: Vec::new(),
            },
            conditions: Conditions::new(request.profile),
            fabric,
            listener,
            _regions: regions,
        })
    }

    fn state(&self) -> NetState {
        NetState {
            one_way: self.conditions.one_way(),
            faults: self.conditions.faults(),
            ..self.state.clone()
        }
    }

    /// Answers one connection after the other until the network is taken down.
    fn answer(mut self) -> Result<(), NetError> {
        loop {
            let (stream, _) = self
                .listener
                .accept()
                .map_err(NetError::doing("waiting for commands"))?;
            if self.converse(stream) {
                return Ok(());
            }
        }
    }

    /// Answers until the other side hangs up. Says whether the network is to end.
    fn converse(&mut self, mut stream: UnixStream) -> bool {
        // Whoever connects and stays silent must not keep others waiting for ever.
        let _ = stream.set_read_timeout(Some(ANSWER_WITHIN));
        while let Ok(question) = message::receive::<Question>(&mut stream) {
            let is_last = question == Question::Down;
            let answer = self
                .answer_to(question)
                .unwrap_or_else(|error| Answer::Failed(error.to_string()));
            if message::send(&mut stream, &answer).is_err() || is_last {
                return is_last;
            }
        }
        false
    }

    fn answer_to(&mut self, question: Question) -> Result<Answer, NetError> {
        Ok(match question {
            Question::State => Answer::State(Box::new(self.state())),
            Question::Report | Question::Down => Answer::Report(Box::new(self.fabric.report()?)),
            Question::Fault(request) => {
                let changes = self.conditions.change(&request)?;
                for (link, parameters, condition) in &changes {
                    self.fabric.set_link(*link, parameters, condition.is_cut)?;
                }
                Answer::Changed(changes.len())
            }
        })
    }
}

fn make_regions(
    count: usize,
    warnings: &mut Vec<String>,
) -> Result<Vec<NetworkNamespace>, NetError> {
    let mut regions = Vec::with_capacity(count);
    for _ in 0..count {
        let region = NetworkNamespace::create()
            .map_err(NetError::doing("making a network namespace for a region"))?;
        let refused = region.run(|| program::ip("link set lo up").map(|_| sysctl::apply()));
        for warning in refused.map_err(NetError::doing("entering a region"))?? {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        regions.push(region);
    }
    Ok(regions)
}

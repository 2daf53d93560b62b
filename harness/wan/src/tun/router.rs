//! The router's handle: starts the thread that moves packets, and passes orders on to it.

use std::io::{self, PipeWriter, Write as _};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use longhaul_experiment::ids::LinkId;
use longhaul_experiment::profile::Link;
use longhaul_experiment::{Profile, Seed};

use super::device::TunDevice;
use super::report::RouterReport;
use super::worker::Worker;
use crate::delay_line::make_precise;

/// How a router is run.
#[derive(Clone, Debug)]
pub struct RouterOptions {
    /// The seed of jitter and loss.
    pub seed: Seed,
    /// The SCHED_FIFO priority to ask for.
    pub priority: Option<u8>,
    /// Subtracted from every delay.
    pub compensation: Duration,
    /// Whether segments may pass as one packet where a region's links permit it.
    pub offload: bool,
}

/// A router's handle. The thread ends when it is dropped.
#[derive(Debug)]
pub struct Router {
    orders: Sender<Order>,
    /// One byte wakes the thread.
    bell: PipeWriter,
    scheduling: String,
}

/// What the handle asks of the thread.
pub(super) enum Order {
    SetLink {
        id: LinkId,
        link: Box<Link>,
        is_cut: bool,
    },
    Report(Sender<RouterReport>),
}

impl Router {
    /// Starts a router between devices, one for each region of the profile in its order.
    ///
    /// # Errors
    ///
    /// The system starts no more threads, or a device takes no offloads.
    pub fn start(
        profile: Profile,
        devices: Vec<TunDevice>,
        options: RouterOptions,
    ) -> io::Result<Router> {
        let (on_bell, bell) = io::pipe()?;
        let (orders, on_order) = mpsc::channel();
        let priority = options.priority;
        let mut worker = Worker::new(profile, devices, options)?;
        let (started, on_start) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("tun-router".to_owned())
            .spawn(move || {
                let _end = EndTogether;
                let scheduling = make_precise(priority);
                worker.is_scheduled(&scheduling);
                let _ = started.send(scheduling);
                worker.run(&on_order, on_bell);
            })?;
        let scheduling = on_start
            .recv()
            .map_err(|_| io::Error::other("the router's thread ended at once"))?;
        Ok(Router {
            orders,
            bell,
            scheduling,
        })
    }

    /// Returns how the thread is scheduled, in the record's words.
    pub fn scheduling(&self) -> &str {
        &self.scheduling
    }

    /// Changes a link for the packets read from here on.
    ///
    /// # Errors
    ///
    /// The router has ended.
    pub fn set_link(&mut self, id: LinkId, link: &Link, is_cut: bool) -> io::Result<()> {
        self.order(Order::SetLink {
            id,
            link: Box::new(link.clone()),
            is_cut,
        })
    }

    /// Returns what passed so far; what the kernel dropped is not in it.
    ///
    /// # Errors
    ///
    /// The router has ended.
    pub fn report(&mut self) -> io::Result<RouterReport> {
        let (sender, receiver) = mpsc::channel();
        self.order(Order::Report(sender))?;
        receiver
            .recv()
            .map_err(|_| io::Error::other("the router has ended"))
    }

    fn order(&mut self, order: Order) -> io::Result<()> {
        self.orders
            .send(order)
            .map_err(|_| io::Error::other("the router has ended"))?;
        self.bell.write_all(&[0])
    }
}

/// A network whose router panicked must not look alive: the process ends, and the network with it.
struct EndTogether;

impl Drop for EndTogether {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

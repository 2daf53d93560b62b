//! The thread that moves packets: read, ask the link, wait, write.
//!
//! It waits in `ppoll` with a time-out in nanoseconds and the least timer slack until shortly
//! before the next packet is due, then looks again and again while releases are few, and runs at a
//! real-time priority where that is permitted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::ids::{LinkId, RegionIndex};
use longhaul_experiment::profile::Link;
use longhaul_experiment::record::Lateness;
use longhaul_experiment::time::nanos;
use longhaul_experiment::{Profile, Stream, Time};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike as _};

use super::datagram::{DatagramLink, DatagramVerdict, takes_offload};
use super::device::TunDevice;
use super::packet::{self, Buffers, HEADER_BYTES, Packet};
use super::report::{DeviceReport, LinkCounts, LinkReport, RouterReport};
use super::router::{Order, RouterOptions};
use crate::clock::Clock;
use crate::delay_line::thread_processor_time;
use crate::namespaces::address;

/// Packets written before devices are read again, and read from one device before the next.
const BATCH_MAX: usize = 64;

/// Bytes that one link holds at most, as memory: 25 ms at 40 Gbit/s.
const LINK_BYTES_MAX: usize = 128 << 20;

/// How long before a packet is due the thread stops sleeping.
const SPIN: Duration = Duration::from_micros(80);

/// Batches within [`DENSITY_WINDOW`] from which on it sleeps until the packet is due.
const SPIN_BATCHES_MAX: usize = 8;
const DENSITY_WINDOW: Duration = Duration::from_millis(1);

/// A directed link with what is under way on it.
struct Lane {
    link: DatagramLink,
    parameters: Link,
    waiting: VecDeque<(Time, Packet)>,
    waiting_bytes: usize,
    counts: LinkCounts,
}

struct Port {
    device: TunDevice,
    unroutable: u64,
    offload: bool,
}

/// What the thread works on.
pub(super) struct Worker {
    profile: Profile,
    options: RouterOptions,
    scheduling: String,
    clock: Clock,
    ports: Vec<Port>,
    /// From region `i` to region `j` at `i * regions + j`.
    lanes: Vec<Lane>,
    /// The lanes with something under way, by when their first packet is due.
    heads: BinaryHeap<Reverse<(Time, usize)>>,
    buffers: Buffers,
    lateness: Histogram,
    /// When the latest batches were written, at most [`SPIN_BATCHES_MAX`] of them.
    batches: VecDeque<Time>,
    first_read: Option<Time>,
    last_written: Time,
    packets: u64,
}

impl Worker {
    pub(super) fn new(
        profile: Profile,
        devices: Vec<TunDevice>,
        options: RouterOptions,
    ) -> io::Result<Worker> {
        let regions = profile.regions.len();
        let lanes = (0..regions * regions).map(|index| {
            let id = LinkId {
                from: RegionIndex((index / regions) as u16),
                to: RegionIndex((index % regions) as u16),
            };
            let parameters = profile.link(id).clone();
            let generator = options.seed.stream(Stream::Link, index as u64);
            Lane {
                link: DatagramLink::new(&parameters, generator),
                parameters,
                waiting: VecDeque::new(),
                waiting_bytes: 0,
                counts: LinkCounts::default(),
            }
        });
        let lanes: Vec<Lane> = lanes.collect();
        let ports = devices.into_iter().map(|device| Port {
            device,
            unroutable: 0,
            offload: false,
        });
        let mut worker = Worker {
            options,
            scheduling: String::new(),
            clock: Clock::start(),
            ports: ports.collect(),
            lanes,
            heads: BinaryHeap::new(),
            buffers: Buffers::new(),
            lateness: Histogram::new(),
            batches: VecDeque::new(),
            first_read: None,
            last_written: Time::ZERO,
            packets: 0,
            profile,
        };
        for region in 0..worker.ports.len() {
            worker.set_offload(region)?;
        }
        Ok(worker)
    }

    /// Takes note of how the thread is scheduled, for its reports.
    pub(super) fn is_scheduled(&mut self, scheduling: &str) {
        self.scheduling = scheduling.to_owned();
    }

    /// Takes segments from a region as one packet where none of its links looks at them.
    fn set_offload(&mut self, region: usize) -> io::Result<()> {
        let regions = self.ports.len();
        let lanes = &self.lanes[region * regions..(region + 1) * regions];
        let offload =
            self.options.offload && lanes.iter().all(|lane| takes_offload(&lane.parameters));
        let port = &mut self.ports[region];
        port.offload = offload;
        port.device.set_offload(offload)
    }

    /// Runs until the handle is dropped.
    pub(super) fn run(&mut self, orders: &Receiver<Order>, mut bell: PipeReader) {
        loop {
            let written = self.write_due();
            let time_out = if written {
                Duration::ZERO
            } else {
                self.time_until_look()
            };
            let Some((readable, is_called)) = self.wait(&bell, time_out) else {
                continue;
            };
            for region in readable {
                self.read(region);
            }
            if is_called {
                // One byte an order; the end of the pipe is the end of the handle.
                if !matches!(bell.read(&mut [0]), Ok(1)) {
                    return;
                }
                if let Ok(order) = orders.recv() {
                    self.carry_out(order);
                }
            }
        }
    }

    /// Writes a batch of what is due. Says whether there was anything.
    fn write_due(&mut self) -> bool {
        let mut now = self.clock.now();
        let mut count = 0;
        while count < BATCH_MAX {
            match self.heads.peek() {
                Some(&Reverse((due, _))) if due <= now => {}
                _ => break,
            }
            let Some(Reverse((_, index))) = self.heads.pop() else {
                break;
            };
            if let Some((due, packet)) = self.lanes[index].waiting.pop_front() {
                self.lanes[index].waiting_bytes -= packet.bytes().len();
                self.write(index, due, now, packet);
                count += 1;
            }
            if let Some(&(due, _)) = self.lanes[index].waiting.front() {
                self.heads.push(Reverse((due, index)));
            }
            now = self.clock.now();
        }
        if count == 0 {
            return false;
        }
        if self.batches.len() >= SPIN_BATCHES_MAX {
            self.batches.pop_front();
        }
        self.batches.push_back(now);
        true
    }

    fn write(&mut self, index: usize, due: Time, now: Time, packet: Packet) {
        self.lateness.record_ns(nanos(now.since(due)));
        let receiver = &self.ports[index % self.ports.len()];
        let counts = &mut self.lanes[index].counts;
        match receiver.device.write(packet.bytes()) {
            Ok(()) => {
                counts.delivered += 1;
                counts.delivered_bytes += (packet.bytes().len() - HEADER_BYTES) as u64;
                self.packets += 1;
                self.last_written = now;
            }
            Err(_) => counts.refused += 1,
        }
        self.buffers.give_back(packet);
    }

    /// Returns how long to sleep: until shortly before the next packet is due while there are few,
    /// until then while there are many; [`Duration::MAX`] while there are none.
    fn time_until_look(&self) -> Duration {
        let Some(&Reverse((due, _))) = self.heads.peek() else {
            return Duration::MAX;
        };
        let now = self.clock.now();
        let left = due.since(now);
        let is_dense = self.batches.len() >= SPIN_BATCHES_MAX
            && self
                .batches
                .front()
                .is_some_and(|&oldest| now.since(oldest) < DENSITY_WINDOW);
        if is_dense {
            left
        } else {
            left.saturating_sub(SPIN)
        }
    }

    /// Waits for packets, orders, or the time-out. Returns the regions that sent something and
    /// whether there is an order; `None` when nothing happened.
    fn wait(&self, bell: &PipeReader, time_out: Duration) -> Option<(Vec<usize>, bool)> {
        let devices = self.ports.iter().map(|port| port.device.as_fd());
        let mut watched: Vec<PollFd<'_>> = devices
            .chain([bell.as_fd()])
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        let time_out = (time_out != Duration::MAX)
            .then(|| TimeSpec::nanoseconds(i64::try_from(nanos(time_out)).unwrap_or(i64::MAX)));
        match ppoll(&mut watched, time_out, None) {
            Ok(0) | Err(Errno::EINTR) => return None,
            Ok(_) => {}
            // Out of kernel memory: the next try may do better.
            Err(_) => return None,
        }
        let is_ready = |watched: &PollFd<'_>| watched.any() == Some(true);
        let is_called = watched.pop().is_some_and(|bell| is_ready(&bell));
        let ready = watched
            .iter()
            .enumerate()
            .filter(|(_, device)| is_ready(device));
        Some((ready.map(|(region, _)| region).collect(), is_called))
    }

    /// Takes what a region has sent, up to a batch.
    fn read(&mut self, region: usize) {
        for _ in 0..BATCH_MAX {
            match self.ports[region].device.read(&mut self.buffers.reading) {
                Ok(Some(length)) => self.forward(region, length),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn forward(&mut self, region: usize, length: usize) {
        let now = self.clock.now();
        let regions = self.ports.len();
        let destination = packet::destination(&self.buffers.reading[..length]);
        let receiver = destination.and_then(|destination| address::region(destination, regions));
        let Some(receiver) = receiver else {
            self.ports[region].unroutable += 1;
            return;
        };
        self.first_read.get_or_insert(now);
        let index = region * regions + receiver.index();
        let lane = &mut self.lanes[index];
        let due = match lane.link.send(now, length - HEADER_BYTES) {
            DatagramVerdict::Deliver(due) => due,
            DatagramVerdict::Lost => {
                lane.counts.lost += 1;
                return;
            }
            DatagramVerdict::Cut => {
                lane.counts.cut += 1;
                return;
            }
            DatagramVerdict::Overflown => {
                lane.counts.overflown += 1;
                return;
            }
        };
        if lane.waiting_bytes + length > LINK_BYTES_MAX {
            lane.counts.overflown += 1;
            return;
        }
        // Never before it was read: that instant is what lateness counts from then.
        let due = (due - self.options.compensation).max(now);
        let packet = self.buffers.take(length);
        let lane = &mut self.lanes[index];
        if lane.waiting.is_empty() {
            if due <= now {
                self.write(index, due, now, packet);
                return;
            }
            self.heads.push(Reverse((due, index)));
        }
        lane.waiting_bytes += length;
        lane.waiting.push_back((due, packet));
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::SetLink { id, link, is_cut } => {
                let regions = self.ports.len();
                let lane = &mut self.lanes[id.from.index() * regions + id.to.index()];
                lane.link.set(&link, is_cut);
                lane.parameters = *link;
                // A kernel that took the offloads once takes them again.
                let _ = self.set_offload(id.from.index());
            }
            Order::Report(sender) => {
                // Whoever asked may be gone.
                let _ = sender.send(self.report());
            }
        }
    }

    fn report(&self) -> RouterReport {
        let seconds = self.clock.now().as_secs_f64();
        let first = self.first_read.unwrap_or(self.last_written);
        let moving = self.last_written.since(first).as_secs_f64();
        let name = |index: usize| self.profile.regions[index].name.clone();
        let regions = self.ports.len();
        let links = self
            .lanes
            .iter()
            .enumerate()
            .map(|(index, lane)| LinkReport {
                from: name(index / regions),
                to: name(index % regions),
                counts: LinkCounts {
                    waiting: lane.waiting.len() as u64,
                    ..lane.counts
                },
            });
        let devices = self
            .ports
            .iter()
            .enumerate()
            .map(|(region, port)| DeviceReport {
                region: name(region),
                kernel_dropped: None,
                unroutable: port.unroutable,
                offload: port.offload,
            });
        RouterReport {
            seconds,
            scheduling: self.scheduling.clone(),
            processor_cores: thread_processor_time().map(|used| used.as_secs_f64() / seconds),
            compensation_us: self.options.compensation.as_secs_f64() * 1e6,
            packets: self.packets,
            packets_per_second: if moving > 0.0 {
                self.packets as f64 / moving
            } else {
                0.0
            },
            lateness: Lateness::from(&self.lateness),
            lateness_histogram: self.lateness.clone(),
            links: links.filter(|link| link.counts.is_used()).collect(),
            devices: devices.collect(),
        }
    }
}

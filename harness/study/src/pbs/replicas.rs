//! The model with the project's replicas: register replicas in virtual time, whose messages take
//! the model's delays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::profile::{Link, Profile, Region, Source};
use longhaul_experiment::random::Generator;
use longhaul_experiment::{
    ClientId, Key, Operation, OperationId, OperationResult, Outcome, RegionIndex, ReplicaId, Seed,
    Stream, Time, Topology,
};
use longhaul_protocol::Request;
use longhaul_protocol::quorum::register::{Message, Part, Phases, Quorums, Register};
use longhaul_sim::SimulationOptions;
use longhaul_sim::simulation::{ClientAddress, OccurrenceKind, Simulation, Verdict};

use super::Setting;
use super::delay::duration;
use super::outcome::{Measured, Point, Sorted};
use super::wars::data_centre;

/// How many writes one simulation makes. Chunks of the samples have seeds of their own, so that
/// the result does not depend on how many threads share them.
const CHUNK: usize = 500;

/// How many samples a chunk has and where they begin: its number and its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    number: u64,
    writes: usize,
}

/// Returns the chunks of a number of samples.
pub(super) fn chunks(samples: usize) -> Vec<Chunk> {
    (0..samples.div_ceil(CHUNK))
        .map(|number| Chunk {
            number: number as u64,
            writes: CHUNK.min(samples - number * CHUNK),
        })
        .collect()
}

/// What one chunk saw, before samples are sorted.
#[derive(Debug)]
pub(super) struct Seen {
    points: Vec<Point>,
    writes: Vec<f64>,
    reads: Vec<f64>,
    failed: u64,
}

/// Joins what chunks saw.
pub(super) fn join(chunks: Vec<Seen>) -> Measured {
    let mut points: Vec<Point> = Vec::new();
    let (mut writes, mut reads, mut failed) = (Vec::new(), Vec::new(), 0);
    for chunk in chunks {
        if points.is_empty() {
            points = chunk.points;
        } else {
            for (sum, point) in points.iter_mut().zip(chunk.points) {
                sum.reads += point.reads;
                sum.consistent += point.consistent;
            }
        }
        writes.extend(chunk.writes);
        reads.extend(chunk.reads);
        failed += chunk.failed;
    }
    Measured {
        points,
        write_latency: Sorted::new(writes),
        read_latency: Sorted::new(reads),
        failed,
    }
}

/// Runs a chunk: each write goes to a key of its own, and when it is acknowledged a read of that
/// key begins at each of the distances.
pub(super) fn run_chunk(setting: &Setting, seed: Seed, chunk: Chunk, distances: &[f64]) -> Seen {
    let mut run = Run::new(setting, seed, chunk.number, distances);
    for key in 0..chunk.writes as u64 {
        run.sample(Key(key));
    }
    run.seen
}

/// One replica more than store data: the last is the coordinator, and stores nothing.
fn simulation(setting: &Setting, seed: Seed, chunk: u64) -> Simulation<Register> {
    let count = setting.replicas + 1;
    let regions = (0..count).map(|index| Region::named(format!("r{index}")));
    let source = Source {
        title: "Bailis et al., Probabilistically Bounded Staleness, VLDB 2012".to_owned(),
        date: "2012".to_owned(),
        method: "links take no time: every message's delay is drawn by the model".to_owned(),
    };
    let profile = Profile::new(
        "pbs",
        "The model's replicas and their coordinator.",
        source,
        regions.collect(),
        vec![Link::fixed(Duration::ZERO); count * count],
    );
    let mode = Register {
        quorums: Quorums {
            members: setting.replicas,
            read: setting.read_quorum,
            write: setting.write_quorum,
        },
        phases: Phases::One,
    };
    let topology = Arc::new(Topology::everywhere(profile));
    let mut simulation = Simulation::new(mode, topology, seed, SimulationOptions::default());
    let mut model = Model {
        setting: setting.clone(),
        generator: seed.stream(Stream::MonteCarlo, chunk),
        data_centres: Vec::new(),
    };
    let coordinator = ReplicaId(setting.replicas as u16);
    simulation.set_judge(Box::new(move |_, from, to, message| {
        let replica = if from == coordinator { to } else { from };
        model.delay(replica, message)
    }));
    simulation
}

/// Draws the delay of every message.
struct Model {
    setting: Setting,
    generator: Generator,
    /// By the number of the operation at the coordinator: where that operation's coordinator is.
    data_centres: Vec<usize>,
}

impl Model {
    fn delay(&mut self, replica: ReplicaId, message: &Message) -> Verdict {
        // Batches end after every event, so a message has one part.
        let fit = &self.setting.fit;
        let (delay, ask) = match message.parts.first() {
            Some(Part::Store { ask, .. }) => (fit.write, ask),
            Some(Part::Stored { ask }) => (fit.acknowledgement, ask),
            Some(Part::Query { ask, .. }) => (fit.read, ask),
            Some(Part::Answer { ask, .. }) => (fit.response, ask),
            Some(Part::Pull { .. } | Part::Pulled { .. }) | None => return Verdict::Deliver,
        };
        let drawn = delay.draw_ms(&mut self.generator);
        let number = ask.number as usize;
        while self.data_centres.len() <= number {
            let place = data_centre(&self.setting, &mut self.generator);
            self.data_centres.push(place);
        }
        let remote = match fit.remote_ms {
            Some(remote) if self.data_centres[number] != replica.index() => remote,
            _ => 0.0,
        };
        Verdict::DeliverAfter(duration(drawn + remote))
    }
}

/// A simulation under its one client, who is where the coordinator is.
struct Run {
    simulation: Simulation<Register>,
    client: ClientAddress,
    coordinator: ReplicaId,
    distances: Vec<f64>,
    next_sequence: u64,
    seen: Seen,
}

impl Run {
    fn new(setting: &Setting, seed: Seed, chunk: u64, distances: &[f64]) -> Run {
        let mut simulation = simulation(setting, seed, chunk);
        // Connections come up at the epoch.
        simulation.run_until(Time::ZERO);
        let none = |&t_ms: &f64| Point {
            t_ms,
            reads: 0,
            consistent: 0,
        };
        Run {
            simulation,
            client: ClientAddress {
                region: RegionIndex(setting.replicas as u16),
                connection: 0,
            },
            coordinator: ReplicaId(setting.replicas as u16),
            distances: distances.to_vec(),
            next_sequence: 0,
            seen: Seen {
                points: distances.iter().map(none).collect(),
                writes: Vec::new(),
                reads: Vec::new(),
                failed: 0,
            },
        }
    }

    /// One write, and a read at each distance from its end.
    fn sample(&mut self, key: Key) {
        let value = Bytes::from_static(b"written");
        let start = self.simulation.now();
        let write = self.submit(start, Operation::Write { key, value });
        let Some((end, outcome)) = self.answers(1).remove(&write) else {
            self.seen.failed += 1;
            return;
        };
        if !matches!(outcome, Outcome::Ok(_)) {
            self.seen.failed += 1;
            return;
        }
        self.seen.writes.push(milliseconds(end.since(start)));
        let mut reads = Vec::with_capacity(self.distances.len());
        for (point, t_ms) in self.distances.clone().into_iter().enumerate() {
            let at = end + duration(t_ms);
            reads.push((point, at, self.submit(at, Operation::Read { key })));
        }
        let mut answers = self.answers(reads.len());
        for (point, at, id) in reads {
            let Some((end, Outcome::Ok(OperationResult::Read { value, .. }))) = answers.remove(&id)
            else {
                self.seen.failed += 1;
                continue;
            };
            self.seen.reads.push(milliseconds(end.since(at)));
            self.seen.points[point].reads += 1;
            self.seen.points[point].consistent += u64::from(value.is_some());
        }
    }

    fn submit(&mut self, at: Time, operation: Operation) -> OperationId {
        let id = OperationId {
            client: ClientId(0),
            sequence: self.next_sequence,
        };
        self.next_sequence += 1;
        let request = Request {
            id,
            first_incomplete: id.sequence,
            operation,
        };
        self.simulation
            .submit(at, self.client, self.coordinator, request);
        id
    }

    /// Runs until so many answers came; every operation is answered when patience ends.
    fn answers(&mut self, count: usize) -> BTreeMap<OperationId, (Time, Outcome)> {
        let mut answers = BTreeMap::new();
        while answers.len() < count {
            while let Some(occurrence) = self.simulation.next_occurrence() {
                if let OccurrenceKind::Reply {
                    operation, outcome, ..
                } = occurrence.kind
                {
                    answers.insert(operation, (occurrence.at, outcome));
                }
            }
            if answers.len() < count && !self.simulation.step() {
                break;
            }
        }
        answers
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

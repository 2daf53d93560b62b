//! What the parts around the replicas cost in processor time: `cargo bench --bench cpu`.
//!
//! The figures tell how much of a measured latency can be longhaul's doing, and which load one
//! processor can carry:
//!
//! - `link-core`: when a frame leaves its link;
//! - `delay-line`: handing items to the precise thread, and having them released;
//! - `codec`: a client's request into a frame and out of it;
//! - `recorder`: an operation due and ended;
//! - `report`: a small record analysed, and its table printed.
//!
//! Criterion measures wall time. All but `delay-line` run on one thread that never waits, so there
//! it is processor time, as long as the machine has a processor free. `delay-line` measures two
//! threads together and depends on whether SCHED_FIFO is permitted. Memory stays warm, which
//! flatters: in a run the parts push each other out of the caches. Left out: sockets, logs on
//! disk, charts, and the replicas, which `protocol_step` measures.

use std::hint::black_box;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use longhaul_analysis::analyse;
use longhaul_experiment::profile::{Jitter, Link, Marginal, bundled::bundled};
use longhaul_experiment::record::{Completion, Recorder};
use longhaul_experiment::scenario::ScenarioFile;
use longhaul_experiment::{
    Backend, ClientId, Key, Operation, OperationId, OperationKind, OperationResult, Outcome,
    RunRecord, Seed, Stream, Time, Version,
};
use longhaul_live::transport::{FrameReader, FrameWriter};
use longhaul_protocol::Request;
use longhaul_report::{TableOptions, table};
use longhaul_sim::SimBackend;
use longhaul_wan::clock::Clock;
use longhaul_wan::delay_line::{DelayLine, Options, Release};
use longhaul_wan::link::LinkCore;

const VALUE_BYTES: usize = 128;
/// Frames that a connection writes in one go.
const FRAMES: u64 = 64;
/// Items on the delay line.
const ITEMS: u64 = 10_000;

fn link_core(criterion: &mut Criterion) {
    let fixed = Link::fixed(Duration::from_millis(75));
    let gamma = Link {
        jitter: Jitter {
            marginal: Marginal::Gamma {
                mean: Duration::from_millis(2),
                deviation: Duration::from_millis(1),
            },
            correlation: Jitter::DEFAULT_CORRELATION,
        },
        ..fixed.clone()
    };
    let mut group = criterion.benchmark_group("link-core");
    group.throughput(Throughput::Elements(1));
    for (name, link) in [("send-fixed", fixed), ("send-gamma", gamma)] {
        let mut core = LinkCore::new(&link, Seed(1).stream(Stream::Link, 0));
        let mut at = Time::ZERO;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at += Duration::from_micros(50);
                core.send(black_box(at), VALUE_BYTES)
            });
        });
    }
    group.finish();
}

fn delay_line(criterion: &mut Criterion) {
    let clock = Clock::start();
    let mut group = criterion.benchmark_group("delay-line");
    group.throughput(Throughput::Elements(ITEMS));

    let (all_left, on_all_left) = mpsc::channel();
    let mut released = 0;
    let sink = move |_: Release<u64>| {
        released += 1;
        if released % ITEMS == 0 {
            // The receiver is gone only when the benchmark ends.
            let _ = all_left.send(());
        }
    };
    let line = DelayLine::spawn(Options::new(clock), sink).expect("a thread can be started");
    let queue = line.open_queue();
    group.bench_function("push-to-release-due-at-once", |bencher| {
        bencher.iter(|| {
            let now = clock.now();
            line.push_all(queue, (0..ITEMS).map(|item| (now, item)));
            on_all_left.recv().expect("the line lives");
        });
    });

    // One by one, due when the benchmark is over. A line for each round: memory stays flat.
    let empty_line = || {
        DelayLine::spawn(Options::new(clock), |_: Release<u64>| {})
            .expect("a thread can be started")
    };
    group.bench_function("push", |bencher| {
        bencher.iter_batched_ref(
            empty_line,
            |line| {
                let queue = line.open_queue();
                let due = clock.now() + Duration::from_secs(3600);
                (0..ITEMS).for_each(|item| line.push(queue, due, item));
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let request = Request {
        id: OperationId {
            client: ClientId(1),
            sequence: 1_000_000,
        },
        first_incomplete: 999_000,
        operation: Operation::Write {
            key: Key(5_000),
            value: Bytes::from_static(&[7; VALUE_BYTES]),
        },
    };
    let mut writer = FrameWriter::default();
    let mut sent = Vec::new();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(FRAMES));
    let mut encode = || {
        for _ in 0..FRAMES {
            let pushed = writer.push(Time::ZERO, black_box(&request));
            pushed.expect("it fits a frame");
        }
        sent.clear();
        writer.swap(&mut sent);
    };
    // Once in any case: a filter may leave the first benchmark out, and the second needs frames.
    encode();
    group.bench_function("encode-request", |bencher| bencher.iter(&mut encode));
    let mut reader = FrameReader::default();
    group.bench_function("decode-request", |bencher| {
        bencher.iter(|| {
            reader.buffer().extend_from_slice(&sent);
            while let Some(frame) = reader.next_frame::<Request>().expect("it is a request") {
                black_box(frame);
            }
        });
    });
    group.finish();
}

/// At 20 000 operations a second: every second one interval of the log is encoded.
fn recorder(criterion: &mut Criterion) {
    let mut recorder = Recorder::new(Time::ZERO, Duration::from_secs(1 << 30));
    let version = Version::NONE;
    let outcome = Outcome::Ok(OperationResult::Written { version });
    let mut operation = 0;
    let mut group = criterion.benchmark_group("recorder");
    group.throughput(Throughput::Elements(1));
    group.bench_function("due-and-complete", |bencher| {
        bencher.iter(|| {
            let intended_at = Time(operation * 50_000);
            // 40 to 50 ms, scattered: 7919 is prime to 10 000.
            let latency = Duration::from_micros(40_000 + operation * 7919 % 10_000);
            recorder.due(OperationKind::Write, intended_at);
            recorder.complete(Completion {
                kind: OperationKind::Write,
                intended_at,
                sent_at: intended_at,
                completed_at: intended_at + latency,
                outcome: &outcome,
            });
            operation += 1;
        });
    });
    group.finish();
}

fn report(criterion: &mut Criterion) {
    let record = small_record();
    let analysis = analyse(&record);
    let mut group = criterion.benchmark_group("report");
    // An analysis takes milliseconds: growing batches would not fit the time.
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("analyse-7-modes", |bencher| {
        bencher.iter(|| analyse(&record));
    });
    group.bench_function("table-7-modes", |bencher| {
        bencher.iter(|| table(&analysis, &TableOptions::default()));
    });
    group.finish();
}

/// Three replicas, all default modes, writes at 200 a second and region for a second.
fn small_record() -> RunRecord {
    let text = "durations = { warmup = '0s', measured = '1s' }";
    let profile = bundled("lan-3").expect("it is bundled");
    let scenario = ScenarioFile::parse(text, "the scenario above")
        .and_then(|file| file.resolve(profile))
        .expect("it is a valid scenario");
    SimBackend::default()
        .run(&scenario, Seed(1))
        .expect("virtual time carries it")
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30);
    targets = link_core, delay_line, codec, recorder, report
}
criterion_main!(benches);

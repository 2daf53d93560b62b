//! One mode's run, phase by phase.

use std::collections::BTreeMap;
use std::time::Duration;

use longhaul_experiment::fault::FaultPlan;
use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::record::{
    FaultRecord, Lateness, Leadership, LinkTraffic, LoadCalibration, ModeRecord, RegionRecord,
};
use longhaul_experiment::time::nanos;
use longhaul_experiment::{Contact, OperationRecord, ReplicaId, RunError, Time};
use longhaul_protocol::modes::paths;
use longhaul_protocol::{Mode, Replica};
use longhaul_wan::delay_line::ReleaseKind;

use super::cluster::Cluster;
use super::mode_run::{ModeRun, Paths};
use super::{ModeOutcome, Phase, Progress, READY_WITHIN, calibration};
use crate::messages::{
    ClientsReport, FaultReport, FromAgent, LoadPlan, ProbePlan, ProbeSample, ToAgent,
};
use crate::processors::ProcessorTimes;
use crate::traffic;

/// Probes sent on each directed link, and the time between two.
const PROBES: u32 = 40;
const PROBE_GAP: Duration = Duration::from_millis(5);

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What the agents have told so far.
#[derive(Default)]
struct Heard {
    addresses: Vec<Option<std::net::SocketAddr>>,
    replicas_connected: usize,
    clients_connected: usize,
    /// Whom each replica takes for the leader.
    leaders: Vec<Option<ReplicaId>>,
    leaderships: Vec<Leadership>,
    faults: Vec<FaultReport>,
    clients: Vec<ClientsReport>,
    stopped: usize,
    traffic: Vec<LinkTraffic>,
    probes: Vec<ProbeSample>,
    failure: Option<String>,
}

impl Heard {
    /// Returns the leader of the latest term.
    fn leader(&self) -> Option<ReplicaId> {
        let latest = self.leaderships.iter().max_by_key(|known| known.term);
        latest.map(|latest| latest.leader)
    }

    fn take(&mut self, message: FromAgent) {
        match message {
            FromAgent::Listening { replica, address } => {
                self.addresses[replica.index()] = Some(address);
            }
            FromAgent::ReplicaConnected(_) => self.replicas_connected += 1,
            FromAgent::ClientsConnected => self.clients_connected += 1,
            FromAgent::Leader {
                replica,
                at,
                term,
                leader,
            } => {
                self.leaders[replica.index()] = leader;
                let known = |leader| {
                    self.leaderships
                        .iter()
                        .any(|known| known.term == term && known.leader == leader)
                };
                if let Some(leader) = leader
                    && !known(leader)
                {
                    self.leaderships.push(Leadership { at, term, leader });
                }
            }
            FromAgent::Fault(report) => self.faults.push(report),
            FromAgent::Finished(report) => self.clients.push(*report),
            FromAgent::Stopped(report) => {
                self.stopped += 1;
                self.traffic.extend(report.traffic);
                self.probes.extend(report.probes);
            }
            FromAgent::Failed(why) => {
                self.failure.get_or_insert(why);
            }
        }
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Done,
    TimedOut,
    Interrupted,
}

impl ModeRun<'_> {
    /// Runs the mode: bootstrap, calibration, warm-up, measurement, drain.
    pub(super) async fn run<M: Mode>(mut self, mode: M) -> Result<ModeOutcome, RunError> {
        let paths = paths(&mode, self.spec, self.scenario)?;
        let mut cluster = Cluster::start(&self, &mode, &paths)?;
        let mut heard = Heard {
            addresses: vec![None; self.topology.replicas.len()],
            leaders: vec![None; self.topology.replicas.len()],
            ..Heard::default()
        };
        if !self.bootstrap(&mut cluster, &mut heard, &paths).await? {
            return Ok(ModeOutcome {
                record: None,
                calibration: None,
                interrupted: true,
            });
        }
        let emulated_from = cluster.clock.now();
        cluster.emulated_from.set(emulated_from);
        cluster.order(ToAgent::Emulate(emulated_from));
        self.calibrate(&mut cluster, &mut heard).await?;
        let measured = self.put_load_on(&mut cluster, &mut heard).await?;
        self.stop(&mut cluster, &mut heard).await?;
        Ok(self.outcome(heard, measured, paths))
    }

    /// Connects everyone and waits for the wanted leader, without delay; `false`: interrupted.
    async fn bootstrap<R: Replica + Send + 'static>(
        &mut self,
        cluster: &mut Cluster<R>,
        heard: &mut Heard,
        paths: &Paths,
    ) -> Result<bool, RunError> {
        let deadline = cluster.clock.now() + READY_WITHIN;
        let (replicas, clients) = (self.topology.replicas.len(), self.topology.clients.len());
        let listening = |heard: &Heard| heard.addresses.iter().all(Option::is_some);
        if !self
            .ready(
                cluster,
                heard,
                deadline,
                "a replica does not listen",
                listening,
            )
            .await?
        {
            return Ok(false);
        }
        cluster.order(ToAgent::Connect(
            heard.addresses.iter().flatten().copied().collect(),
        ));
        let connected = |heard: &Heard| {
            heard.replicas_connected == replicas && heard.clients_connected == clients
        };
        if !self
            .ready(
                cluster,
                heard,
                deadline,
                "connections are missing",
                connected,
            )
            .await?
        {
            return Ok(false);
        }
        cluster.order_replicas(ToAgent::Start);
        let wanted = Some(self.topology.leader);
        let needs_leader = paths
            .iter()
            .any(|(_, path)| path.contact == Contact::Leader);
        let led = |heard: &Heard| !needs_leader || heard.leaders.iter().all(|&led| led == wanted);
        let why = "the replicas do not agree on the wanted leader";
        self.ready(cluster, heard, deadline, why, led).await
    }

    /// Waits until the agents have told enough; `false`: interrupted.
    async fn ready<R: Replica + Send + 'static>(
        &mut self,
        cluster: &mut Cluster<R>,
        heard: &mut Heard,
        deadline: Time,
        why: &str,
        done: impl Fn(&Heard) -> bool,
    ) -> Result<bool, RunError> {
        match self
            .wait(cluster, heard, (Phase::Bootstrap, deadline), done)
            .await?
        {
            Waited::Done => Ok(true),
            Waited::Interrupted => Ok(false),
            Waited::TimedOut => Err(RunError::NotReady {
                mode: self.spec.to_string(),
                why: format!("{why} after {} s", READY_WITHIN.as_secs()),
            }),
        }
    }

    /// Probes the links before load, in the first mode's run.
    async fn calibrate<R: Replica + Send + 'static>(
        &mut self,
        cluster: &mut Cluster<R>,
        heard: &mut Heard,
    ) -> Result<(), RunError> {
        if !self.probe_links {
            return Ok(());
        }
        let start = cluster.clock.now() + PROBE_GAP;
        let plan = ProbePlan {
            start,
            count: PROBES,
            gap_ns: nanos(PROBE_GAP),
        };
        cluster.order(ToAgent::Probe(plan));
        // Jitter may hold the last ones up; what has not come by then is not counted.
        let longest = 2 * self.topology.largest_round_trip() + Duration::from_millis(50);
        let until = start + PROBE_GAP * PROBES + longest;
        self.wait(cluster, heard, (Phase::Calibration, until), |_| false)
            .await?;
        Ok(())
    }

    /// Puts the load on, measures the window, and drains.
    async fn put_load_on<R: Replica + Send + 'static>(
        &mut self,
        cluster: &mut Cluster<R>,
        heard: &mut Heard,
    ) -> Result<Measured, RunError> {
        let durations = self.scenario.durations;
        // Far enough ahead for every client's thread to have its schedule in place.
        let start = cluster.clock.now() + Duration::from_millis(20);
        let window_start = start + durations.warmup;
        let end = window_start + durations.measured;
        let drained_by = end + durations.drain;
        let plan = LoadPlan {
            start,
            window_start,
            end,
            drained_by,
        };
        self.start_faults(cluster, window_start)?;
        cluster.order(ToAgent::Load(plan));

        let mut measured = Measured {
            window_start,
            window: durations.measured,
            scheduling: cluster.line.scheduling().to_owned(),
            compensation: cluster.line.options().compensation,
            ..Measured::default()
        };
        let mut waited = self
            .wait(cluster, heard, (Phase::Warmup, window_start), |_| false)
            .await?;
        cluster.line.reset_lateness();
        let before = ProcessorTimes::read();
        let began = cluster.clock.now();
        if waited != Waited::Interrupted {
            waited = self
                .wait(cluster, heard, (Phase::Measuring, end), |_| false)
                .await?;
        }
        let seconds = cluster.clock.now().since(began).as_secs_f64();
        let after = ProcessorTimes::read();
        measured.load.cpu = before
            .zip(after)
            .map(|(before, after)| before.used_until(&after, seconds));
        measured.load.release = Lateness::from(&cluster.line.lateness(ReleaseKind::Frame));
        if waited == Waited::Interrupted {
            measured.interrupted = true;
            measured.window = cluster
                .clock
                .now()
                .since(window_start)
                .min(durations.measured);
            cluster.order_clients(ToAgent::Cut);
        }
        let clients = self.topology.clients.len();
        let grace = drained_by + Duration::from_secs(2);
        let drained = |heard: &Heard| heard.clients.len() == clients;
        self.wait(cluster, heard, (Phase::Drain, grace), drained)
            .await?;
        Ok(measured)
    }

    fn start_faults<R: Replica + Send + 'static>(
        &self,
        cluster: &mut Cluster<R>,
        window_start: Time,
    ) -> Result<(), RunError> {
        let plan = FaultPlan::new(&self.scenario.faults, self.topology, window_start)?;
        cluster
            .start_faults(plan, self.topology)
            .map_err(|why| RunError::Failed {
                mode: self.spec.to_string(),
                why: format!("cannot start the faults' thread: {why}"),
            })
    }

    async fn stop<R: Replica + Send + 'static>(
        &mut self,
        cluster: &mut Cluster<R>,
        heard: &mut Heard,
    ) -> Result<(), RunError> {
        cluster.stop();
        let replicas = self.topology.replicas.len();
        let deadline = cluster.clock.now() + Duration::from_secs(5);
        let stopped = |heard: &Heard| heard.stopped == replicas;
        self.wait(cluster, heard, (Phase::Drain, deadline), stopped)
            .await?;
        Ok(())
    }

    /// Takes messages until `done`, an instant, or an interrupt; while load is on, an interrupt
    /// is heard once.
    async fn wait<R: Replica + Send + 'static>(
        &mut self,
        cluster: &mut Cluster<R>,
        heard: &mut Heard,
        (phase, until): (Phase, Time),
        done: impl Fn(&Heard) -> bool,
    ) -> Result<Waited, RunError> {
        let began = cluster.clock.now();
        let interrupt = self.options.interrupt.clone();
        let interruptible = phase != Phase::Drain;
        loop {
            if let Some(why) = heard.failure.take() {
                return Err(RunError::Failed {
                    mode: self.spec.to_string(),
                    why,
                });
            }
            let now = cluster.clock.now();
            if done(heard) {
                return Ok(Waited::Done);
            }
            if now >= until {
                return Ok(Waited::TimedOut);
            }
            if interruptible && interrupt.is_raised() {
                return Ok(Waited::Interrupted);
            }
            let share = now.since(began).as_secs_f64() / until.since(began).as_secs_f64();
            let progress = Progress {
                mode: self.spec,
                position: self.position,
                phase,
                share,
            };
            (self.options.on_progress)(progress);
            let pause = until.since(now).min(PROGRESS_EVERY);
            tokio::select! {
                message = cluster.reports.recv() => match message {
                    Some(message) => {
                        heard.take(message);
                        cluster.tell_leader(heard.leader().unwrap_or(self.topology.leader));
                    }
                    None => return Ok(Waited::TimedOut),
                },
                () = interrupt.raised(), if interruptible => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn outcome(&self, mut heard: Heard, mut measured: Measured, paths: Paths) -> ModeOutcome {
        let mut pacing = Histogram::new();
        let mut history: Vec<OperationRecord> = Vec::new();
        let mut regions: Vec<RegionRecord> = Vec::new();
        let mut traffic = std::mem::take(&mut heard.traffic);
        let mut probes = std::mem::take(&mut heard.probes);
        for report in heard.clients {
            pacing.merge(&report.pacing);
            history.extend(report.history);
            regions.push(report.record);
            traffic.extend(report.traffic);
            probes.extend(report.probes);
        }
        let order = |region| {
            self.topology
                .clients
                .iter()
                .position(|&client| client == region)
        };
        regions.sort_by_key(|region| order(region.region));
        history.sort_by_key(|record| (record.intended_at, record.id));
        measured.load.pacing = Lateness::from(&pacing);
        let calibration = self.probe_links.then(|| {
            let scheduling = &measured.scheduling;
            calibration::summarise(scheduling, measured.compensation, self.topology, &probes)
        });
        let record = (!measured.window.is_zero()).then(|| ModeRecord {
            mode: self.spec.clone(),
            paths,
            leaders: heard.leaderships,
            faults: fault_records(&heard.faults),
            window_start: measured.window_start,
            window: measured.window,
            regions,
            traffic: traffic::merge(traffic),
            load: Some(measured.load),
            warnings: Vec::new(),
            history: self.scenario.keep_history.then_some(history),
        });
        ModeOutcome {
            record,
            calibration,
            interrupted: measured.interrupted,
        }
    }
}

/// Returns when each fault really began and ended, in the order of the scenario.
///
/// Where it was done in several places, the last of them counts.
fn fault_records(reports: &[FaultReport]) -> Vec<FaultRecord> {
    let mut records: BTreeMap<usize, FaultRecord> = BTreeMap::new();
    let mut by_time = reports.to_vec();
    by_time.sort_by_key(|report| (report.at, !report.begins));
    for report in by_time {
        let record = records.entry(report.number).or_insert(FaultRecord {
            number: report.number,
            replica: None,
            began_at: report.at,
            ended_at: None,
        });
        record.replica = record.replica.or(report.replica);
        if report.begins {
            record.began_at = report.at;
        } else {
            record.ended_at = Some(report.at);
        }
    }
    records.into_values().collect()
}

/// What was measured around the load.
#[derive(Default)]
struct Measured {
    window_start: Time,
    window: Duration,
    load: LoadCalibration,
    scheduling: String,
    compensation: Duration,
    interrupted: bool,
}

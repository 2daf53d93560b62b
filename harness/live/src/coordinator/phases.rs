//! One mode's run, phase by phase.

use std::time::Duration;

use longhaul_experiment::fault::FaultPlan;
use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::record::{Lateness, LoadCalibration, ModeRecord, RegionRecord};
use longhaul_experiment::time::nanos;
use longhaul_experiment::{Contact, OperationRecord, RunError, Time};
use longhaul_protocol::Mode;
use longhaul_protocol::modes::paths;

use super::cluster::Cluster;
use super::heard::Heard;
use super::mode_run::{ModeRun, Paths};
use super::{ModeOutcome, Phase, Progress, READY_WITHIN, calibration};
use crate::messages::{LoadPlan, ProbePlan, ToAgent, ToSite};
use crate::processors::MachineTimes;
use crate::site::WAKE_UP;
use crate::traffic;

/// Probes sent on each directed link, and the time between two.
const PROBES: u32 = 40;
const PROBE_GAP: Duration = Duration::from_millis(5);

/// How long after the last operation may be under way the clients may take to report.
const REPORT_WITHIN: Duration = Duration::from_secs(2);

/// How long replicas may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Why a wait for what agents tell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum Waited {
    /// They told it.
    Done,
    /// They did not in the time they had.
    TimedOut,
    /// The run is to end.
    Interrupted,
}

/// How far the run got through a span of time, or a part of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum Passed {
    /// To its end.
    Whole,
    /// The run is to end before that.
    Interrupted,
}

impl ModeRun<'_> {
    /// Runs the mode: bootstrap, calibration, warm-up, measurement, drain.
    pub(super) async fn run<M: Mode>(mut self, mode: M) -> Result<ModeOutcome, RunError> {
        let paths = paths(&mode, self.spec, self.scenario)?;
        let mut cluster = Cluster::start(&self, &mode, &paths)?;
        let mut heard = Heard::nothing(self.topology);
        let interrupted = ModeOutcome {
            record: None,
            calibration: None,
            interrupted: true,
        };
        if self.bootstrap(&mut cluster, &mut heard, &paths).await? == Passed::Interrupted {
            return Ok(interrupted);
        }
        cluster.order(ToSite::Emulate(cluster.clock.now()));
        if self.calibrate(&mut cluster, &mut heard).await? == Passed::Interrupted {
            return Ok(interrupted);
        }
        let mut measured = self.put_load_on(&mut cluster, &mut heard).await?;
        measured
            .warnings
            .extend(self.stop(&mut cluster, &mut heard).await?);
        Ok(self.outcome(heard, measured, paths))
    }

    /// Connects everyone and waits for the wanted leader, without delay.
    async fn bootstrap(
        &mut self,
        cluster: &mut Cluster,
        heard: &mut Heard,
        paths: &Paths,
    ) -> Result<Passed, RunError> {
        let deadline = cluster.clock.now() + READY_WITHIN;
        let (replicas, clients) = (self.topology.replicas.len(), self.topology.clients.len());
        let listening = |heard: &Heard| heard.addresses.iter().all(Option::is_some);
        let why = "a replica does not listen";
        let ready = self.ready(cluster, heard, (deadline, why), listening);
        if ready.await? == Passed::Interrupted {
            return Ok(Passed::Interrupted);
        }
        let addresses = heard.addresses.iter().flatten().copied().collect();
        cluster.order(ToSite::Everyone(ToAgent::Connect(addresses)));
        let connected = |heard: &Heard| {
            heard.replicas_connected == replicas && heard.clients_connected == clients
        };
        let why = "connections are missing";
        let ready = self.ready(cluster, heard, (deadline, why), connected);
        if ready.await? == Passed::Interrupted {
            return Ok(Passed::Interrupted);
        }
        cluster.order(ToSite::Replicas(ToAgent::Start));
        let wanted = Some(self.topology.leader);
        let needs_leader = paths
            .iter()
            .any(|(_, path)| path.contact == Contact::Leader);
        let led = |heard: &Heard| !needs_leader || heard.leaders.iter().all(|&led| led == wanted);
        let why = "the replicas do not agree on the wanted leader";
        self.ready(cluster, heard, (deadline, why), led).await
    }

    /// Waits until the agents have told enough; `why` says what is missing until then.
    async fn ready(
        &mut self,
        cluster: &mut Cluster,
        heard: &mut Heard,
        (deadline, why): (Time, &str),
        done: impl Fn(&Heard) -> bool,
    ) -> Result<Passed, RunError> {
        match self
            .wait(cluster, heard, (Phase::Bootstrap, deadline), done)
            .await?
        {
            Waited::Done => Ok(Passed::Whole),
            Waited::Interrupted => Ok(Passed::Interrupted),
            Waited::TimedOut => Err(RunError::NotReady {
                mode: self.spec.to_string(),
                why: format!("{why} after {} s", READY_WITHIN.as_secs()),
            }),
        }
    }

    /// Probes the links before load, unless another mode's run did.
    async fn calibrate(
        &mut self,
        cluster: &mut Cluster,
        heard: &mut Heard,
    ) -> Result<Passed, RunError> {
        if !self.probe_links {
            return Ok(Passed::Whole);
        }
        let start = cluster.clock.now() + PROBE_GAP;
        let plan = ProbePlan {
            start,
            count: PROBES,
            gap_ns: nanos(PROBE_GAP),
        };
        cluster.order(ToSite::Everyone(ToAgent::Probe(plan)));
        // Jitter may hold the last ones up; what has not come by then is not counted.
        let longest = 2 * self.topology.largest_round_trip() + Duration::from_millis(50);
        let until = start + PROBE_GAP * PROBES + longest;
        self.pass(cluster, heard, (Phase::Calibration, until)).await
    }

    /// Puts the load on, measures the window, and drains.
    async fn put_load_on(
        &mut self,
        cluster: &mut Cluster,
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
        self.start_faults(cluster, heard, window_start)?;
        cluster.order(ToSite::Everyone(ToAgent::Load(plan)));

        let mut measured = Measured {
            window_start,
            window: durations.measured,
            ..Measured::default()
        };
        let mut passed = self
            .pass(cluster, heard, (Phase::Warmup, window_start))
            .await?;
        cluster.order(ToSite::BeginWindow);
        let before = MachineTimes::read();
        let began = cluster.clock.now();
        if passed == Passed::Whole {
            passed = self.pass(cluster, heard, (Phase::Measuring, end)).await?;
        }
        let seconds = cluster.clock.now().since(began).as_secs_f64();
        cluster.order(ToSite::EndWindow);
        let machine = before.zip(MachineTimes::read());
        let machine = machine.map(|(before, after)| before.used_until(&after));
        if passed == Passed::Interrupted {
            measured.interrupted = true;
            measured.window = cluster
                .clock
                .now()
                .since(window_start)
                .min(durations.measured);
            cluster.order(ToSite::Clients(ToAgent::Cut));
        }
        self.drain(cluster, heard, drained_by + REPORT_WITHIN)
            .await?;
        measured.load.cpu = heard
            .used()
            .zip(machine)
            .map(|(used, machine)| used.as_use(seconds, machine));
        measured.load.release = Lateness::from(&heard.lateness());
        Ok(measured)
    }

    /// Waits for what the clients of all regions saw, and for what that took: without one region's
    /// part, the figures would not be those of the scenario.
    async fn drain(
        &mut self,
        cluster: &mut Cluster,
        heard: &mut Heard,
        deadline: Time,
    ) -> Result<(), RunError> {
        let (clients, places) = (self.topology.clients.len(), cluster.places());
        let drained = |heard: &Heard| heard.clients.len() == clients && heard.loads.len() == places;
        let wait = self.wait(cluster, heard, (Phase::Drain, deadline), drained);
        match wait.await? {
            Waited::Done | Waited::Interrupted => Ok(()),
            Waited::TimedOut => {
                let silent = heard.silent_clients(self.topology);
                let who = match silent.as_slice() {
                    [] => "an agent".to_owned(),
                    regions => format!("the clients in {}", regions.join(", ")),
                };
                Err(self.failed(format!(
                    "{who} did not report within {} s of the drain's end: is the machine \
                     overloaded?",
                    REPORT_WITHIN.as_secs()
                )))
            }
        }
    }

    fn failed(&self, why: String) -> RunError {
        RunError::Failed {
            mode: self.spec.to_string(),
            why,
        }
    }

    fn start_faults(
        &self,
        cluster: &mut Cluster,
        heard: &Heard,
        window_start: Time,
    ) -> Result<(), RunError> {
        let plan = FaultPlan::new(&self.scenario.faults, self.topology, window_start)?;
        let leader = heard.leader().unwrap_or(self.topology.leader);
        cluster
            .start_faults(self, plan, leader)
            .map_err(|why| self.failed(format!("cannot start the faults' thread: {why}")))
    }

    /// Ends the replicas and waits for what they leave; returns what is to be said about it.
    async fn stop(
        &mut self,
        cluster: &mut Cluster,
        heard: &mut Heard,
    ) -> Result<Option<String>, RunError> {
        cluster.order(ToSite::Stop);
        let replicas = self.topology.replicas.len();
        let deadline = cluster.clock.now() + END_WITHIN;
        let stopped = |heard: &Heard| heard.stopped.len() == replicas;
        let wait = self.wait(cluster, heard, (Phase::Drain, deadline), stopped);
        Ok(match wait.await? {
            Waited::Done | Waited::Interrupted => None,
            Waited::TimedOut => Some(format!(
                "what the replicas in {} sent is missing from the traffic: they did not end \
                 within {} s",
                heard.running_replicas(self.topology).join(", "),
                END_WITHIN.as_secs()
            )),
        })
    }

    /// Takes messages until an instant, or an interrupt.
    async fn pass(
        &mut self,
        cluster: &mut Cluster,
        heard: &mut Heard,
        until: (Phase, Time),
    ) -> Result<Passed, RunError> {
        match self.wait(cluster, heard, until, |_| false).await? {
            Waited::Done | Waited::TimedOut => Ok(Passed::Whole),
            Waited::Interrupted => Ok(Passed::Interrupted),
        }
    }

    /// Takes messages until `done`, an instant, or an interrupt, which is not heard any more while
    /// the run ends.
    async fn wait(
        &mut self,
        cluster: &mut Cluster,
        heard: &mut Heard,
        (phase, until): (Phase, Time),
        done: impl Fn(&Heard) -> bool,
    ) -> Result<Waited, RunError> {
        let began = cluster.clock.now();
        let interrupt = self.options.interrupt.clone();
        let interruptible = phase != Phase::Drain;
        loop {
            if let Some(why) = heard.failure.take() {
                return Err(self.failed(why));
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
                        let before = heard.leader();
                        heard.take(message);
                        if let Some(leader) = heard.leader().filter(|_| heard.leader() != before) {
                            cluster.tell_leader(leader);
                        }
                    }
                    None => return Err(self.failed("all agents have gone".to_owned())),
                },
                () = interrupt.raised(), if interruptible => {}
                // The runtime's timers are a millisecond coarse. Whatever is due at an instant is
                // so by the plan that the agents have: this only says when the coordinator looks.
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
        let faults = heard.fault_records();
        let scheduling = heard.scheduling();
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
        let calibration = self
            .probe_links
            .then(|| calibration::summarise(&scheduling, WAKE_UP, self.topology, &probes));
        let record = (!measured.window.is_zero()).then(|| ModeRecord {
            mode: self.spec.clone(),
            paths,
            leaders: heard.leaderships,
            faults,
            window_start: measured.window_start,
            window: measured.window,
            regions,
            traffic: traffic::merge(traffic),
            load: Some(measured.load),
            warnings: measured.warnings,
            history: self.scenario.keep_history.then_some(history),
        });
        ModeOutcome {
            record,
            calibration,
            interrupted: measured.interrupted,
        }
    }
}

/// What was measured around the load.
#[derive(Default)]
struct Measured {
    window_start: Time,
    window: Duration,
    load: LoadCalibration,
    interrupted: bool,
    warnings: Vec<String>,
}

//! How long a mode with a leader has none after the leader's process dies.
//!
//! The mode's real replicas run in virtual time without clients. Seed by seed the leader is
//! killed at an instant drawn evenly over a second, which is many heartbeats, and time is counted
//! from there until a majority of all replicas knows a new leader. Ongaro and Ousterhout, "In
//! Search of an Understandable Consensus Algorithm" (2014), measure this in section 9.3 and figure
//! 16; there heartbeats are half the least time-out apart, and here 1/20 of it, so that the time
//! without a leader is shorter than the least time-out by little, not by half.
//!
//! Left out: replicas take no time to think or to sync, all logs are equally long, and all
//! replicas start at the same instant, so that their timers tick together.

use std::sync::Arc;
use std::time::Duration;

use longhaul_experiment::mode::ModeError;
use longhaul_experiment::profile::{Link, Profile, Region, Source};
use longhaul_experiment::{ModeSpec, ReplicaId, RunError, Seed, Stream, Topology, parallel};
use longhaul_protocol::modes::with_mode;
use longhaul_protocol::{Mode, ModeVisitor};
use longhaul_sim::backend::agree_on_leader;
use longhaul_sim::{Simulation, SimulationOptions};
use rand::Rng;

/// The most seeds of one measurement.
pub const SEEDS_MAX: u64 = 10_000_000;

/// How many seeds a thread takes at a time.
const SEEDS_AT_A_TIME: u64 = 16;

/// What is measured.
#[derive(Clone, Debug)]
pub struct LeaderlessOrder<'a> {
    /// The mode.
    pub mode: &'a ModeSpec,
    /// Who is where; its leader is killed.
    pub topology: &'a Arc<Topology>,
    /// The first seed; the others follow it, and 0 follows the largest.
    pub first_seed: Seed,
    /// How many seeds, 1 to [`SEEDS_MAX`].
    pub seeds: u64,
    /// How long to wait for a new leader, in virtual time.
    pub patience: Duration,
}

/// How long there was no leader, seed by seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderlessTimes {
    /// In ascending order; only of the seeds that ended with a leader.
    pub times: Vec<Duration>,
    /// How many seeds had no new leader when patience ended.
    pub never: u64,
}

impl LeaderlessTimes {
    /// Returns the least time that a share `p` of all seeds, 0 to 1, does not exceed; seeds that
    /// never had a leader rank last. `None`: that share was not reached.
    pub fn quantile(&self, p: f64) -> Option<Duration> {
        let all = self.times.len() + self.never as usize;
        let rank = (p * all as f64).ceil() as usize;
        self.times.get(rank.saturating_sub(1)).copied()
    }
}

/// Why there is no measurement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaderlessError {
    /// The mode is unknown, or its parameters are unfit.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// The replicas did not agree on the leader that was to be killed.
    #[error("before the crash: {0}")]
    Start(String),
    /// Too few replicas to go on without one.
    #[error("{0} replicas are no majority without their leader: place at least 3")]
    TooFew(usize),
    /// The number of seeds is out of range.
    #[error("{0} seeds were asked for: 1 to {SEEDS_MAX} can be measured")]
    Seeds(u64),
}

/// Measures the time without a leader for every seed. All cores are used; the result is a
/// function of the order.
///
/// # Errors
///
/// The mode does not fit the topology or has no leader there, or numbers are out of range.
pub fn measure_leaderless(order: &LeaderlessOrder<'_>) -> Result<LeaderlessTimes, LeaderlessError> {
    if !(1..=SEEDS_MAX).contains(&order.seeds) {
        return Err(LeaderlessError::Seeds(order.seeds));
    }
    let replicas = order.topology.replicas.len();
    if replicas < 3 {
        return Err(LeaderlessError::TooFew(replicas));
    }
    with_mode(order.mode, order.topology, Measure(order))?
}

/// Returns a topology of so many replicas, each pair the same one-way delay apart, as in a model.
pub fn evenly_spaced(replicas: u16, one_way: Duration) -> Topology {
    let count = usize::from(replicas);
    let regions = (0..count).map(|index| Region::named(format!("r{index}")));
    let source = Source {
        title: "a model".to_owned(),
        date: String::new(),
        method: format!("every pair is {one_way:?} apart, one way, always"),
    };
    let links = (0..count * count).map(|index| {
        let own = index % (count + 1) == 0;
        Link::fixed(if own { Duration::ZERO } else { one_way })
    });
    Topology::everywhere(Profile::new(
        "evenly-spaced",
        "Replicas that are all equally far apart.",
        source,
        regions.collect(),
        links.collect(),
    ))
}

struct Measure<'a>(&'a LeaderlessOrder<'a>);

impl ModeVisitor for Measure<'_> {
    type Output = Result<LeaderlessTimes, LeaderlessError>;

    fn visit<M: Mode>(self, mode: M) -> Self::Output {
        let order = self.0;
        let starts = (0..order.seeds).step_by(SEEDS_AT_A_TIME as usize);
        let starts: Vec<u64> = starts.collect();
        let results = parallel::map(&starts, parallel::processors(), |&start| {
            (start..order.seeds.min(start + SEEDS_AT_A_TIME))
                .map(|number| Seed(order.first_seed.0.wrapping_add(number)))
                .map(|seed| time_without_leader(&mode, order, seed))
                .collect::<Result<Vec<_>, _>>()
        });
        let mut measured = LeaderlessTimes {
            times: Vec::new(),
            never: 0,
        };
        for times in results {
            for time in times? {
                match time {
                    Some(time) => measured.times.push(time),
                    None => measured.never += 1,
                }
            }
        }
        measured.times.sort_unstable();
        Ok(measured)
    }
}

/// `None`: there was no leader when patience ended.
fn time_without_leader<M: Mode>(
    mode: &M,
    order: &LeaderlessOrder<'_>,
    seed: Seed,
) -> Result<Option<Duration>, LeaderlessError> {
    let topology = Arc::clone(order.topology);
    let old = topology.leader;
    let options = SimulationOptions::default();
    let mut simulation = Simulation::new(mode.clone(), topology, seed, options);
    agree_on_leader(&mut simulation, order.mode)
        .map_err(|error: RunError| LeaderlessError::Start(error.to_string()))?;
    let settled = 1_000_000_000;
    let drawn = seed.stream(Stream::Faults, 0).next_u64() % 1_000_000_000;
    let crash_at = simulation.now() + Duration::from_nanos(settled + drawn);
    simulation.run_until(crash_at);
    simulation.crash(old);
    let deadline = crash_at + order.patience;
    while simulation
        .next_event_time()
        .is_some_and(|next| next <= deadline)
    {
        simulation.step();
        if is_led_anew(&simulation, old) {
            return Ok(Some(simulation.now().since(crash_at)));
        }
    }
    Ok(None)
}

fn is_led_anew<M: Mode>(simulation: &Simulation<M>, old: ReplicaId) -> bool {
    let topology = simulation.topology();
    let majority = topology.replicas.len() / 2 + 1;
    topology.replica_ids().any(|candidate| {
        let knows = |&replica: &ReplicaId| simulation.leader_known_by(replica) == Some(candidate);
        candidate != old && topology.replica_ids().filter(knows).count() >= majority
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(mode: &str, replicas: u16, seeds: u64) -> LeaderlessTimes {
        let topology = Arc::new(evenly_spaced(replicas, Duration::from_micros(7500)));
        let order = LeaderlessOrder {
            mode: &mode.parse().unwrap(),
            topology: &topology,
            first_seed: Seed(1),
            seeds,
            patience: Duration::from_secs(60),
        };
        measure_leaderless(&order).unwrap()
    }

    #[test]
    fn raft_is_leaderless_within_the_bounds_of_its_time_outs() {
        let measured = measure("quorum:raft,election=150ms-300ms", 5, 12);
        assert_eq!(measured.never, 0);
        // What is under way is lost with the leader, so the last heartbeat arrived at the crash or
        // up to an interval of 7.5 ms before. A follower stands 160 ticks of 0.9375 ms later, of
        // which the first may come at once; then come two rounds of votes of 15 ms each, of which
        // the first only asks, and the leader's word of 7.5 ms:
        // at least -7.5 + 159 * 0.9375 + 30 + 7.5 = 179.06 ms.
        assert!(
            measured.times[0] >= Duration::from_millis(179),
            "{:?}",
            measured.times[0]
        );
        // Without a split vote the first to stand does so after at most 320 ticks, 300 ms, from a
        // heartbeat that arrived at the crash at the latest: 300 + 30 + 7.5 = 337.5 ms. Splits are
        // the minority.
        let median = measured.quantile(0.5).unwrap();
        assert!(median <= Duration::from_millis(338), "{median:?}");
    }

    #[test]
    fn the_default_time_outs_are_at_least_a_second() {
        for mode in ["quorum:raft", "quorum:paxos"] {
            let measured = measure(mode, 3, 4);
            assert_eq!(measured.never, 0, "{mode}");
            assert_eq!(measured, measure(mode, 3, 4), "{mode}");
        }
        // 20 heartbeats of 50 ms, the first of which may have begun before the crash, and the
        // heartbeat before was at most 50 ms old: at least 1000 - 2 * 50 ms.
        let raft = measure("quorum:raft", 3, 4);
        assert!(
            raft.times[0] >= Duration::from_millis(900),
            "{:?}",
            raft.times
        );
    }

    #[test]
    fn seeds_that_never_had_a_leader_rank_last() {
        let measured = LeaderlessTimes {
            times: vec![Duration::from_secs(1), Duration::from_secs(2)],
            never: 2,
        };
        assert_eq!(measured.quantile(0.5), Some(Duration::from_secs(2)));
        assert_eq!(measured.quantile(0.75), None);
    }

    #[test]
    fn unfit_orders_are_refused() {
        let topology = Arc::new(evenly_spaced(2, Duration::from_millis(1)));
        let order = LeaderlessOrder {
            mode: &"quorum:raft".parse().unwrap(),
            topology: &topology,
            first_seed: Seed(1),
            seeds: 1,
            patience: Duration::from_secs(1),
        };
        assert_eq!(measure_leaderless(&order), Err(LeaderlessError::TooFew(2)));
        let none = LeaderlessOrder { seeds: 0, ..order };
        assert_eq!(measure_leaderless(&none), Err(LeaderlessError::Seeds(0)));
    }
}

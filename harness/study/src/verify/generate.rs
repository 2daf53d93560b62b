//! Random cases.

use std::num::NonZeroU32;
use std::time::Duration;

use longhaul_experiment::fault::ClockShift;
use longhaul_experiment::mode::ModeError;
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::{
    Fault, FaultKind, FaultTarget, ModeSpec, OperationKind, RegionIndex, ReplicaId, Seed,
};

use super::Case;
use super::case::{INTEGER_KEYS, OperationPlan, Patience, SessionPlan, WRITE_ONCE_KEYS, Work};
use super::draws::Draws;
use super::promises::{Nature, nature};

/// The least and the most replicas of a case.
pub const REPLICAS: std::ops::RangeInclusive<usize> = 3..=7;

/// The longest one-way delay of a case, in microseconds.
const ONE_WAY_US_MAX: u64 = 40_000;

/// The most operations of a case; auditors add some.
const OPERATIONS_MAX: u64 = 120;

/// The most faults of a case.
const FAULTS_MAX: u64 = 8;

/// Bytes of a value in the few cases whose entries, log records and snapshots are so large that
/// they travel in several messages.
const LARGE_VALUE: u32 = 400_000;

/// One in how many cases has large values; they cost a hundred times as much as others.
const LARGE_ONE_IN: usize = 300;

/// The binary logarithms of the least and the most parts in which a case divides what replicas keep
/// of their past, where it does. With the least, raft and Paxos keep 4 entries, a leader of
/// leader-follower the last 32 KiB of its log, about 250 small entries, and 4 KiB of records make a
/// checkpoint; with the most it is one entry, 2 KiB and 256 bytes.
const RETENTION_PARTS_LOG2: (u64, u64) = (12, 16);

/// How much faster than time clocks run at most, in millionths: a quarter faster than others is
/// what raft's leases bear.
const CLOCKS_FASTER_PPM_MAX: u64 = 250_000;

/// What the draws of a case are for: changing how one part is drawn changes no other part.
#[derive(Clone, Copy)]
enum Part {
    Topology,
    Replicas,
    Sessions,
    Operations,
    Faults,
}

/// Draws the case of a seed.
///
/// # Errors
///
/// The mode is unknown, or unfit for [`REPLICAS`].
pub fn generate(mode: &ModeSpec, seed: Seed) -> Result<(Case, Nature), ModeError> {
    let mut case = bare(mode, seed);
    let nature = fit(&mut case)?;
    describe_replicas(&mut case);
    add_sessions(&mut case);
    add_operations(&mut case, &nature);
    add_faults(&mut case, &nature);
    Ok((case, nature))
}

/// Draws everything but load and faults.
fn bare(mode: &ModeSpec, seed: Seed) -> Case {
    let mut draws = Draws::of(seed, Part::Topology as u64);
    let replicas = draws.between(*REPLICAS.start() as u64, *REPLICAS.end() as u64) as usize;
    let longest = draws.magnitude(500, ONE_WAY_US_MAX);
    let is_symmetric = draws.chance(30);
    let mut one_way_us: Vec<Vec<u64>> = Vec::with_capacity(replicas);
    for from in 0..replicas {
        let row = (0..replicas).map(|to| match from.cmp(&to) {
            std::cmp::Ordering::Equal => draws.between(50, 500),
            std::cmp::Ordering::Greater if is_symmetric => one_way_us[to][from],
            _ => draws.magnitude(200, longest.max(400)),
        });
        let row = row.collect();
        one_way_us.push(row);
    }
    let durability = draws.pick(&[Durability::Memory, Durability::Wal]);
    Case {
        mode: mode.clone(),
        seed,
        one_way_us,
        jitter_us: if draws.chance(50) {
            draws.magnitude(50, 10_000)
        } else {
            0
        },
        leader: ReplicaId(draws.below(replicas) as u16),
        durability,
        sync_us: match durability {
            Durability::Wal if draws.chance(80) => draws.magnitude(100, 30_000),
            _ => 0,
        },
        work: Work::default(),
        batches_instants: false,
        retention: NonZeroU32::MIN,
        clocks_faster_ppm: Vec::new(),
        value_size: if draws.below(LARGE_ONE_IN) == 0 {
            LARGE_VALUE
        } else {
            16
        },
        sessions: Vec::new(),
        operations: Vec::new(),
        patience: Patience {
            attempt: draws.milliseconds(100, 2_000),
            attempts: draws.between(1, 8) as u32,
            pause: draws.milliseconds(10, 200),
        },
        faults: Vec::new(),
        load: Duration::from_millis(draws.between(1_500, 5_000)),
    }
}

/// Adds regions until the mode's parameters fit.
fn fit(case: &mut Case) -> Result<Nature, ModeError> {
    loop {
        let found = nature(&case.mode, &case.topology());
        if found.is_ok() || case.replicas() >= *REPLICAS.end() {
            return found;
        }
        let one_more = case.replicas() + 1;
        for row in &mut case.one_way_us {
            row.push(ONE_WAY_US_MAX / 2);
        }
        case.one_way_us.push(vec![ONE_WAY_US_MAX / 2; one_more]);
    }
}

/// Draws how replicas work, what they keep, and how fast their clocks run.
fn describe_replicas(case: &mut Case) {
    let mut draws = Draws::of(case.seed, Part::Replicas as u64);
    case.batches_instants = draws.chance(30);
    let works = draws.chance(25);
    let work = Work {
        message_us: draws.magnitude(5, 100),
        kib_us: draws.magnitude(1, 100),
        cores: draws.between(1, 4) as u32,
    };
    // With large values a slow replica would be busy for longer than anybody waits.
    if works && case.value_size < LARGE_VALUE {
        case.work = work;
    }
    let (least, most) = RETENTION_PARTS_LOG2;
    let parts = draws.between(least, most) as u32;
    if draws.chance(50) {
        case.retention = NonZeroU32::MIN.saturating_add((1 << parts) - 1);
    }
    if draws.chance(40) {
        let most = draws.between(1, CLOCKS_FASTER_PPM_MAX);
        let clocks = (0..case.replicas()).map(|_| draws.between(0, most) as u32);
        case.clocks_faster_ppm = clocks.collect();
    }
}

fn add_sessions(case: &mut Case) {
    let mut draws = Draws::of(case.seed, Part::Sessions as u64);
    for _ in 0..draws.between(2, 6) {
        let region = draws.below(case.replicas()) as u16;
        let home = match draws.below(4) {
            0 => None,
            1 => Some(ReplicaId(draws.below(case.replicas()) as u16)),
            _ => Some(ReplicaId(region)),
        };
        case.sessions.push(SessionPlan {
            region: RegionIndex(region),
            home,
        });
    }
}

fn add_operations(case: &mut Case, nature: &Nature) {
    let mut draws = Draws::of(case.seed, Part::Operations as u64);
    let load_us = case.load.as_micros() as u64;
    let hot_keys = draws.between(1, 3);
    let reads = draws.between(20, 70);
    let supports = |kind| nature.contacts.iter().any(|(listed, _)| *listed == kind);
    let supports_integers =
        supports(OperationKind::Add) && supports(OperationKind::TakeIfEnough) && draws.chance(50);
    let swaps = supports(OperationKind::CompareAndSet) && draws.chance(50);
    for number in 0..draws.between(10, OPERATIONS_MAX) {
        let hot = draws.between(0, hot_keys - 1);
        let integer = supports_integers && draws.chance(40);
        let once = draws.chance(4);
        let kind = if draws.chance(reads) {
            OperationKind::Read
        } else if integer {
            draws.pick(&[OperationKind::Add, OperationKind::TakeIfEnough])
        } else if swaps && draws.chance(30) {
            OperationKind::CompareAndSet
        } else {
            OperationKind::Write
        };
        let key = match kind {
            OperationKind::Write if once => WRITE_ONCE_KEYS + number,
            _ if integer => INTEGER_KEYS + hot,
            _ => hot,
        };
        case.operations.push(OperationPlan {
            at_us: draws.between(0, load_us * 9 / 10),
            session: draws.below(case.sessions.len()),
            kind,
            key,
            amount: draws.between(1, 9) as u8,
            replica: ReplicaId(draws.below(case.replicas()) as u16),
        });
    }
    case.operations.sort_by_key(|planned| planned.at_us);
}

/// A kind of fault that a case may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Crash,
    Blackout,
    Pause,
    CutOneWay,
    CutBothWays,
    CutAllButABridge,
    Isolate,
    Delay,
    Loss,
    SlowReplica,
    SlowDisk,
    ClockJump,
    ClockDrift,
    Reset,
}

impl Trouble {
    const ALL: [Trouble; 14] = [
        Trouble::Crash,
        Trouble::Blackout,
        Trouble::Pause,
        Trouble::CutOneWay,
        Trouble::CutBothWays,
        Trouble::CutAllButABridge,
        Trouble::Isolate,
        Trouble::Delay,
        Trouble::Loss,
        Trouble::SlowReplica,
        Trouble::SlowDisk,
        Trouble::ClockJump,
        Trouble::ClockDrift,
        Trouble::Reset,
    ];
}

fn add_faults(case: &mut Case, nature: &Nature) {
    let mut draws = Draws::of(case.seed, Part::Faults as u64);
    let keeps = case.durability == Durability::Wal;
    // Those that may lose what they keep.
    let may_forget = draws.sample(nature.losses_max, case.replicas());
    let possible = |trouble: &Trouble| match trouble {
        Trouble::Crash => nature.may_crash && (keeps || !may_forget.is_empty()),
        Trouble::SlowDisk => keeps,
        // A large value is hundreds of packets: hardly one would come through.
        Trouble::Loss => case.value_size < LARGE_VALUE,
        Trouble::Blackout => nature.may_crash && keeps,
        _ => true,
    };
    let mut enabled: Vec<Trouble> = Trouble::ALL
        .into_iter()
        .filter(|_| draws.chance(50))
        .collect();
    enabled.retain(possible);
    if enabled.is_empty() {
        return;
    }
    let load_ms = case.load.as_millis() as u64;
    for _ in 0..draws.between(1, FAULTS_MAX) {
        let spot = Spot {
            at: Duration::from_millis(draws.between(0, load_ms * 9 / 10)),
            lasts: draws.milliseconds(5, load_ms),
            may_forget: (!keeps).then_some(&may_forget),
            leader: !nature.reads_anywhere() && draws.chance(40),
            first_leader: case.leader.index(),
            factor_max: if case.work == Work::default() {
                FACTOR_MAX_OF_BATCHES
            } else {
                FACTOR_MAX_OF_MESSAGES
            },
            replicas: case.replicas(),
        };
        let trouble = draws.pick(&enabled);
        let spot = spot.lasting_long_enough(trouble, load_ms, &mut draws);
        // The factors of slow replicas multiply: a few at once would stop a replica for minutes.
        if trouble == Trouble::SlowReplica && case.faults.iter().any(slows_a_replica) {
            continue;
        }
        case.faults.extend(spot.draw(trouble, &mut draws));
    }
    case.faults.sort_by_key(|fault| fault.at);
}

fn slows_a_replica(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::SlowReplica { .. })
}

/// How many times as long a slow replica takes for messages of [`Work`] at most: at most 5 ms each,
/// so that what has come meanwhile is done with within seconds.
const FACTOR_MAX_OF_MESSAGES: u64 = 50;

/// How many times as long it takes for batches that cost nothing else, and then 20 us: 10 ms.
const FACTOR_MAX_OF_BATCHES: u64 = 500;

/// When and where a fault may strike.
struct Spot<'a> {
    at: Duration,
    lasts: Duration,
    /// The replicas that may crash; `None`: all.
    may_forget: Option<&'a Vec<usize>>,
    /// Whether the leader is hit, where that is possible.
    leader: bool,
    /// The replica that leads first.
    first_leader: usize,
    /// How many times as long everything takes a slow replica at most.
    factor_max: u64,
    replicas: usize,
}

impl Spot<'_> {
    /// Lets half of all partitions last for as long as connections bear silence, and so for as long
    /// as it takes to elect another leader: a shorter one only delays.
    fn lasting_long_enough(self, trouble: Trouble, load_ms: u64, draws: &mut Draws) -> Self {
        let cuts = matches!(
            trouble,
            Trouble::CutOneWay
                | Trouble::CutBothWays
                | Trouble::CutAllButABridge
                | Trouble::Isolate
        );
        let long = Duration::from_millis(draws.between(1_000, load_ms));
        if cuts && draws.chance(50) {
            return Spot {
                lasts: self.lasts.max(long),
                ..self
            };
        }
        self
    }

    /// Draws a fault; a drift is one in many small steps.
    fn draw(&self, trouble: Trouble, draws: &mut Draws) -> Vec<Fault> {
        let replica = self.replica(draws);
        let links = self.links(draws);
        let (kind, target) = match trouble {
            Trouble::Crash => (FaultKind::Crash, self.loser(replica, draws)),
            Trouble::Pause => (FaultKind::Pause, replica),
            Trouble::CutOneWay => (FaultKind::Partition, self.link(draws)),
            Trouble::CutBothWays => (FaultKind::Partition, self.pair(draws)),
            Trouble::CutAllButABridge => return self.bridge(draws),
            Trouble::Isolate => (FaultKind::Partition, self.side(draws)),
            Trouble::Delay => {
                let added = draws.milliseconds(1, 500);
                (FaultKind::LinkDelay { added }, links)
            }
            Trouble::Loss => {
                let loss = draws.between(5, 80) as f64 / 100.0;
                (FaultKind::LinkLoss { loss }, links)
            }
            Trouble::SlowReplica => {
                let factor = draws.magnitude(2, self.factor_max) as f64;
                (FaultKind::SlowReplica { factor }, replica)
            }
            Trouble::SlowDisk => {
                let added = draws.milliseconds(1, 500);
                (FaultKind::SlowDisk { added }, replica)
            }
            Trouble::ClockJump => {
                let by = ClockShift(self.shift_ns(draws));
                (FaultKind::ClockJump { by }, replica)
            }
            Trouble::ClockDrift => return self.drift(replica, draws),
            Trouble::Blackout => return self.blackout(draws),
            // A connection has both directions.
            Trouble::Reset => match links {
                FaultTarget::Link(one, other) => {
                    (FaultKind::ConnectionReset, FaultTarget::Pair(one, other))
                }
                links => (FaultKind::ConnectionReset, links),
            },
        };
        vec![self.fault(kind, target)]
    }

    fn fault(&self, kind: FaultKind, target: FaultTarget) -> Fault {
        Fault {
            at: self.at,
            lasts: self.lasts,
            target,
            kind,
        }
    }

    fn replica(&self, draws: &mut Draws) -> FaultTarget {
        let any = draws.below(self.replicas);
        if self.leader {
            FaultTarget::Leader
        } else {
            FaultTarget::Replica(Case::region_name(any))
        }
    }

    fn loser(&self, any: FaultTarget, draws: &mut Draws) -> FaultTarget {
        match self.may_forget {
            None => any,
            Some(losers) => FaultTarget::Replica(Case::region_name(draws.pick(losers))),
        }
    }

    fn two(&self, draws: &mut Draws) -> (String, String) {
        let one = draws.below(self.replicas);
        let other = (one + 1 + draws.below(self.replicas - 1)) % self.replicas;
        (Case::region_name(one), Case::region_name(other))
    }

    fn link(&self, draws: &mut Draws) -> FaultTarget {
        let (from, to) = self.two(draws);
        FaultTarget::Link(from, to)
    }

    /// Draws two replicas that lose each other and nobody else, one of them the first leader where
    /// the leader is hit.
    fn pair(&self, draws: &mut Draws) -> FaultTarget {
        let (one, other) = self.two(draws);
        let leader = Case::region_name(self.first_leader);
        if self.leader && leader != other {
            return FaultTarget::Pair(leader, other);
        }
        FaultTarget::Pair(one, other)
    }

    /// Draws a partial partition (Alquraan, Takruri, Alfatafta and Al-Kiswany, "An Analysis of
    /// Network-Partitioning Failures in Cloud Systems", OSDI 2018): two sides that a single replica
    /// reaches both. With three replicas it is one pair.
    fn bridge(&self, draws: &mut Draws) -> Vec<Fault> {
        let bridge = draws.below(self.replicas);
        let others: Vec<usize> = (0..self.replicas).filter(|&it| it != bridge).collect();
        let size = 1 + draws.below(others.len() - 1);
        let inside = draws.sample(size, others.len());
        let is_inside = |position: &usize| inside.contains(position);
        let (here, there): (Vec<usize>, Vec<usize>) = (0..others.len()).partition(is_inside);
        let pairs = here
            .iter()
            .flat_map(|&one| there.iter().map(move |&other| (one, other)));
        let name = |position: usize| Case::region_name(others[position]);
        pairs
            .map(|(one, other)| {
                let target = FaultTarget::Pair(name(one), name(other));
                self.fault(FaultKind::Partition, target)
            })
            .collect()
    }

    /// Draws one side of a partition.
    fn side(&self, draws: &mut Draws) -> FaultTarget {
        let size = 1 + draws.below(self.replicas / 2);
        let regions = draws.sample(size, self.replicas);
        if self.leader {
            return FaultTarget::Leader;
        }
        FaultTarget::Regions(regions.into_iter().map(Case::region_name).collect())
    }

    fn links(&self, draws: &mut Draws) -> FaultTarget {
        match draws.below(4) {
            0 => self.link(draws),
            1 => self.pair(draws),
            2 => self.replica(draws),
            _ => self.side(draws),
        }
    }

    /// Draws how far a clock moves: up to 2 s, forward or back.
    fn shift_ns(&self, draws: &mut Draws) -> i64 {
        let by = draws.magnitude(100_000, 2_000_000_000) as i64;
        if draws.chance(50) { by } else { -by }
    }

    /// Draws how long each replica is down: all die at one instant.
    fn blackout(&self, draws: &mut Draws) -> Vec<Fault> {
        let names = (0..self.replicas).map(Case::region_name);
        let crash = |name| Fault {
            at: self.at,
            lasts: draws.milliseconds(5, 1_000),
            target: FaultTarget::Replica(name),
            kind: FaultKind::Crash,
        };
        names.map(crash).collect()
    }

    fn drift(&self, target: FaultTarget, draws: &mut Draws) -> Vec<Fault> {
        const STEPS: u32 = 4;
        let by = ClockShift(self.shift_ns(draws) / i64::from(STEPS));
        let step = |number: u32| {
            let later = self.lasts * number / STEPS;
            Fault {
                at: self.at + later,
                lasts: self.lasts - later,
                target: target.clone(),
                kind: FaultKind::ClockJump { by },
            }
        };
        (0..STEPS).map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_of_fault_is_drawn_and_partial_partitions_with_force() {
        let mode = "quorum:raft".parse().expect("it is a mode");
        let cases: Vec<Case> = (1..=200)
            .map(|seed| generate(&mode, Seed(seed)).expect("it fits").0)
            .collect();
        let faults = || cases.iter().flat_map(|case| &case.faults);
        let kinds: BTreeSet<&str> = faults().map(|fault| fault.kind.name()).collect();
        assert_eq!(kinds, FaultKind::NAMES.into_iter().collect());
        // Of 200 cases half allow each of the two partitions of pairs, with some 4 faults of some 7
        // kinds each: about 100 draws, half of them for a second or more, a fifth of these at the
        // leader by intent.
        let is_forceful = |case: &Case, fault: &Fault| {
            let leader = Case::region_name(case.leader.index());
            let is_long = fault.kind == FaultKind::Partition && fault.lasts.as_secs() >= 1;
            matches!(&fault.target, FaultTarget::Pair(a, b) if is_long && [a, b].contains(&&leader))
        };
        let forceful = |case: &&Case| case.faults.iter().any(|it| is_forceful(case, it));
        assert!(cases.iter().filter(forceful).count() >= 20);
    }

    #[test]
    fn clocks_stay_within_what_leases_bear() {
        let mode = "quorum:raft,read=lease".parse().expect("it is a mode");
        let cases = (1..=200).map(|seed| generate(&mode, Seed(seed)).expect("it fits").0);
        let fast: Vec<Vec<u32>> = cases
            .map(|case| case.clocks_faster_ppm)
            .filter(|clocks| !clocks.is_empty())
            .collect();
        // 40% of 200, with a deviation of 7.
        assert!((50..=110).contains(&fast.len()), "{}", fast.len());
        let most = fast.iter().flatten().max();
        // 1.25 to 1.
        assert!(
            (200_000..=250_000).contains(most.expect("there are some")),
            "{most:?}"
        );
    }
}

//! What becomes of a leader-follower cluster when its leader dies or is cut off.
//!
//! The leader is b. The slowest pair is a and e: 90.2 + 88.8 = 179 ms. A heartbeat's interval is
//! half of that, 89.5 ms; the election time-out T = 20 of them, 1790 ms; a lease 15 of them,
//! 1342.5 ms. From b it takes 22.5 ms to a and back, 53.1 to c, 100.5 to d, and 164.4 to e. The
//! first controller is c: of all but b it reaches a majority soonest.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longhaul_experiment::scenario::Durability;
use longhaul_experiment::{
    ErrorKind, Key, LinkId, Operation, OperationResult, Outcome, RegionIndex, ReplicaId, Time,
};
use longhaul_protocol::Mode;
use longhaul_protocol::leader_follower::LeaderFollower;
use longhaul_sim::simulation::{ClientAddress, Simulation};

use world::{answers, ready, request, topology, write};

const B: RegionIndex = RegionIndex(1);
const LEADER: ReplicaId = ReplicaId(1);
const CONTROLLER: ReplicaId = ReplicaId(2);
const D: ReplicaId = ReplicaId(3);
const E: ReplicaId = ReplicaId(4);

type Cluster = Simulation<LeaderFollower>;

fn cluster(mode: &str, durability: Durability) -> Cluster {
    let spec = mode.parse().unwrap();
    let mode = LeaderFollower::parse(&spec, &topology()).unwrap();
    ready(mode, &spec, durability)
}

fn slowest_round_trip() -> Duration {
    topology().largest_round_trip()
}

fn heartbeat() -> Duration {
    slowest_round_trip() / 2
}

fn election_timeout() -> Duration {
    heartbeat() * 20
}

fn lease() -> Duration {
    heartbeat() * 15
}

fn run_for(cluster: &mut Cluster, time: Duration) {
    let until = cluster.now() + time;
    cluster.run_until(until);
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Sends an operation to a replica from its region.
fn send(cluster: &mut Cluster, to: ReplicaId, sequence: u64, operation: Operation) {
    let region = RegionIndex(to.0);
    let client = ClientAddress {
        region,
        connection: 0,
    };
    let request = request(region, sequence, operation);
    cluster.submit(cluster.now(), client, to, request);
}

/// Sends an operation to a replica from its region and waits for ten seconds.
fn ask(
    cluster: &mut Cluster,
    to: ReplicaId,
    sequence: u64,
    operation: Operation,
) -> (Outcome, Duration) {
    let start = cluster.now();
    send(cluster, to, sequence, operation);
    let until = start + seconds(10);
    let answer = answers(cluster, until).pop().expect("an answer");
    (answer.1, answer.2.since(start))
}

fn read(cluster: &mut Cluster, at: ReplicaId, sequence: u64, key: u64) -> Option<Bytes> {
    match ask(cluster, at, sequence, Operation::Read { key: Key(key) }).0 {
        Outcome::Ok(OperationResult::Read { value, .. }) => value,
        other => panic!("{at} {key}: {other:?}"),
    }
}

fn last_leader(cluster: &Cluster) -> (ReplicaId, Time) {
    let last = cluster.leaders().last().unwrap();
    (last.leader, last.at)
}

/// Cuts b off, with the clients of its region, or ends that.
fn isolate(cluster: &mut Cluster, is_cut: bool) {
    for other in [0, 2, 3, 4].map(RegionIndex) {
        for (from, to) in [(B, other), (other, B)] {
            if is_cut {
                cluster.cut(LinkId { from, to });
            } else {
                cluster.heal(LinkId { from, to });
            }
        }
    }
}

/// Has b write a key every 20 ms for some time, from its own region. Returns by key when each was
/// acknowledged.
fn write_at_leader(cluster: &mut Cluster, keys: std::ops::Range<u64>) -> BTreeMap<u64, Time> {
    let mut acknowledged = BTreeMap::new();
    for key in keys {
        send(cluster, LEADER, key, write(key, key));
        let until = cluster.now() + Duration::from_millis(20);
        note_acknowledged(cluster, until, &mut acknowledged);
    }
    acknowledged
}

fn note_acknowledged(cluster: &mut Cluster, until: Time, noted: &mut BTreeMap<u64, Time>) {
    for (id, outcome, at) in answers(cluster, until) {
        if outcome.is_ok() {
            noted.insert(id.sequence, at);
        }
    }
}

/// Says which of the keys no replica has, and checks that all replicas agree.
fn lost(cluster: &mut Cluster, keys: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut lost = Vec::new();
    for key in keys {
        let values: Vec<Option<Bytes>> = (0..5)
            .map(|at| {
                let replica = ReplicaId(at);
                send(
                    cluster,
                    replica,
                    10_000 + key,
                    Operation::Read { key: Key(key) },
                );
                let until = cluster.now() + Duration::from_millis(1);
                match answers(cluster, until).pop() {
                    Some((_, Outcome::Ok(OperationResult::Read { value, .. }), _)) => value,
                    other => panic!("{replica} {key}: {other:?}"),
                }
            })
            .collect();
        assert!(values.iter().all(|value| *value == values[0]), "{key}");
        if values[0].is_none() {
            lost.push(key);
        }
    }
    lost
}

#[test]
fn another_leads_soon_after_the_leader_died_and_writes_succeed_again() {
    for mode in ["async", "semi-sync=1", "semi-sync=2", "sync"] {
        for durability in [Durability::Memory, Durability::Wal] {
            let mut cluster = cluster(&format!("leader-follower:{mode}"), durability);
            assert!(ask(&mut cluster, LEADER, 0, write(0, 0)).0.is_ok());
            let died = cluster.now();
            cluster.crash(LEADER);
            run_for(&mut cluster, seconds(5));
            let (leader, at) = last_leader(&cluster);
            assert_ne!(leader, LEADER, "{mode} {durability:?}");
            let took = at.since(died);
            // The last heartbeat was heard at most an interval before the death. That the leader
            // is missing is seen within an interval after T and told within a trip; then come
            // positions and the agreement, a round trip each, and the news, a trip.
            assert!(took >= election_timeout() - heartbeat(), "{mode} {took:?}");
            let most = election_timeout() + heartbeat() + 3 * slowest_round_trip();
            assert!(took <= most, "{mode} {took:?}");
            // A synchronous write does not wait for the dead one: it left the set in the same
            // agreement.
            let (outcome, took) = ask(&mut cluster, leader, 1, write(1, 1));
            assert!(outcome.is_ok(), "{mode}: {outcome:?}");
            assert!(took <= slowest_round_trip(), "{mode}: {took:?}");
            // Sequence number 0 of this client was not used at this leader before.
            let read = ask(&mut cluster, leader, 2, Operation::Read { key: Key(0) }).0;
            let Outcome::Ok(OperationResult::Read { value, .. }) = read else {
                panic!("{mode}: {read:?}");
            };
            assert!(value.is_some(), "{mode}");
        }
    }
}

#[test]
fn the_death_of_leader_and_controller_together_takes_an_election_of_a_controller_first() {
    for mode in ["async", "semi-sync=2", "sync"] {
        let mut cluster = cluster(&format!("leader-follower:{mode}"), Durability::Wal);
        run_for(&mut cluster, seconds(3));
        let died = cluster.now();
        cluster.crash(LEADER);
        cluster.crash(CONTROLLER);
        run_for(&mut cluster, seconds(10));
        let (leader, at) = last_leader(&cluster);
        let took = at.since(died);
        assert!(![LEADER, CONTROLLER].contains(&leader), "{mode}");
        // A node stands for controller after T to 2 T, asks and is elected within two round
        // trips, hears within an interval that the leader is missing, and then goes on as above.
        let most = 2 * election_timeout() + 2 * heartbeat() + 5 * slowest_round_trip();
        assert!(took >= election_timeout() - heartbeat(), "{mode} {took:?}");
        assert!(took <= most, "{mode} {took:?}");
        let (outcome, _) = ask(&mut cluster, leader, 0, write(0, 0));
        assert!(outcome.is_ok(), "{mode}: {outcome:?}");
    }
}

/// Isolates b for ten seconds while it is asked to write. Returns when, what it acknowledged, and
/// what of that is lost in the end.
fn isolated(mode: &str) -> (Cluster, Time, BTreeMap<u64, Time>, Vec<u64>) {
    let mut cluster = cluster(mode, Durability::Wal);
    let before = write_at_leader(&mut cluster, 0..10);
    assert_eq!(before.len(), 10);
    run_for(&mut cluster, seconds(1));
    let cut = cluster.now();
    isolate(&mut cluster, true);
    // 500 writes take 10 s.
    let acknowledged = write_at_leader(&mut cluster, 10..510);
    let (leader, _) = last_leader(&cluster);
    assert_ne!(leader, LEADER, "the others have a leader");
    assert!(ask(&mut cluster, leader, 0, write(1000, 0)).0.is_ok());
    isolate(&mut cluster, false);
    run_for(&mut cluster, seconds(10));
    assert_eq!(lost(&mut cluster, 0..10), [0; 0], "what all had is kept");
    assert_eq!(lost(&mut cluster, 1000..1001), [0; 0]);
    let lost = lost(&mut cluster, acknowledged.keys().copied());
    (cluster, cut, acknowledged, lost)
}

#[test]
fn a_leader_that_is_cut_off_without_fencing_acknowledges_what_is_lost_and_counted() {
    let (cluster, _, acknowledged, lost) =
        isolated("leader-follower:async,fencing=none,read=nearest");
    assert_eq!((acknowledged.len(), lost.len()), (500, 500));
    let truncations = cluster.truncations();
    assert!(truncations.iter().all(|it| it.replica == LEADER));
    let entries: u64 = truncations.iter().map(|it| it.entries).sum();
    assert_eq!(entries, 500);
}

#[test]
fn with_a_lease_it_stops_before_another_leads() {
    let (cluster, cut, acknowledged, lost) = isolated("leader-follower:async,read=nearest");
    let last = acknowledged.values().max().unwrap().since(cut);
    // The last heartbeat that was heard was sent at most an interval and a round trip before the
    // cut. The answer to a client in the region takes 0.3 ms.
    assert!(last <= lease() + Duration::from_millis(1), "{last:?}");
    assert!(
        last >= lease() - heartbeat() - slowest_round_trip(),
        "{last:?}"
    );
    let (_, at) = last_leader(&cluster);
    assert!(at.since(cut) > last);
    // The leader alone had what it acknowledged in that time, and what it took after that until
    // another may lead: a write every 20 ms for T - lease = 447.5 ms.
    assert_eq!(lost.len(), acknowledged.len());
    let entries: u64 = cluster.truncations().iter().map(|it| it.entries).sum();
    let unacknowledged = entries - lost.len() as u64;
    assert!((20..=23).contains(&unacknowledged), "{unacknowledged}");
}

#[test]
fn what_was_never_acknowledged_is_cut_off_too_and_its_clients_hear_that_it_is_unknown() {
    let mut cluster = cluster(
        "leader-follower:semi-sync=1,fencing=none,read=nearest",
        Durability::Wal,
    );
    write_at_leader(&mut cluster, 0..10);
    let until = cluster.now() + seconds(1);
    answers(&mut cluster, until);
    isolate(&mut cluster, true);
    assert_eq!(write_at_leader(&mut cluster, 10..20), BTreeMap::new());
    run_for(&mut cluster, seconds(10));
    let (leader, _) = last_leader(&cluster);
    assert!(ask(&mut cluster, leader, 0, write(1000, 0)).0.is_ok());
    isolate(&mut cluster, false);
    let until = cluster.now() + seconds(10);
    let ends = answers(&mut cluster, until);
    let hint = Some(leader);
    let unknown = Outcome::Unknown(ErrorKind::NotLeader { hint });
    assert_eq!(ends.len(), 10);
    assert!(ends.iter().all(|(_, outcome, _)| *outcome == unknown));
    let entries: u64 = cluster.truncations().iter().map(|it| it.entries).sum();
    assert_eq!(entries, 10);
    assert_eq!(lost(&mut cluster, 0..20), (10..20).collect::<Vec<_>>());
}

#[test]
fn sync_goes_on_without_a_dead_follower_and_takes_it_in_again() {
    let mut cluster = cluster("leader-follower:sync", Durability::Wal);
    let trip = |to| topology().replica_round_trip(LEADER, to);
    let within_b = topology().profile.round_trip(B, B);
    let (_, took) = ask(&mut cluster, LEADER, 0, write(0, 0));
    assert_eq!(took, trip(E) + within_b);
    cluster.crash(E);
    // The write waits until e, which was heard at most an interval and a trip ago, is absent for
    // T, which is noticed within an interval, and that is agreed on: at the controller, by a
    // majority, and at b again.
    let (outcome, took) = ask(&mut cluster, LEADER, 1, write(1, 1));
    assert!(outcome.is_ok());
    let agreed = trip(CONTROLLER) + Duration::from_micros(53_100);
    assert!(
        took >= election_timeout() - heartbeat() - trip(E),
        "{took:?}"
    );
    assert!(
        took <= election_timeout() + heartbeat() + agreed,
        "{took:?}"
    );
    // d is the farthest that is left.
    let (_, took) = ask(&mut cluster, LEADER, 2, write(2, 2));
    assert_eq!(took, trip(D) + within_b);
    cluster.restart(E);
    run_for(&mut cluster, seconds(3));
    let (_, took) = ask(&mut cluster, LEADER, 3, write(3, 3));
    assert_eq!(took, trip(E) + within_b);
    assert_eq!(cluster.leaders().len(), 1, "nobody else led");
}

#[test]
fn sync_goes_on_when_the_leader_and_the_controller_cannot_reach_each_other() {
    for directions in [1, 2] {
        let mut cluster = cluster("leader-follower:sync", Durability::Wal);
        run_for(&mut cluster, seconds(1));
        let start = cluster.now();
        let (b, c) = (B, RegionIndex(CONTROLLER.0));
        for (from, to) in [(c, b), (b, c)].into_iter().take(directions) {
            cluster.cut(LinkId { from, to });
        }
        send(&mut cluster, LEADER, 0, write(0, 0));
        let answers = answers(&mut cluster, start + seconds(10));
        assert_eq!(answers.len(), 1);
        // As with a dead follower; but the proposal goes through another, and so does the news.
        let took = answers[0].2.since(start);
        let most = election_timeout() + heartbeat() + 4 * slowest_round_trip();
        assert!(took <= most, "{took:?}");
        assert_eq!(cluster.leaders().len(), 1, "a majority hears the leader");
    }
}

#[test]
fn a_leader_that_is_cut_off_answers_reads_only_without_fencing() {
    let read = Operation::Read { key: Key(0) };
    for (fencing, last_ok) in [("lease", lease()), ("none", seconds(4))] {
        let mode = format!("leader-follower:sync,fencing={fencing}");
        let mut cluster = cluster(&mode, Durability::Memory);
        run_for(&mut cluster, seconds(1));
        let cut = cluster.now();
        isolate(&mut cluster, true);
        let mut answered = Duration::ZERO;
        for sequence in 0..200 {
            send(&mut cluster, LEADER, sequence, read.clone());
            let until = cluster.now() + Duration::from_millis(20);
            for (_, outcome, at) in answers(&mut cluster, until) {
                if outcome.is_ok() {
                    answered = at.since(cut);
                }
            }
        }
        // A read comes every 20 ms, and takes 0.6 ms; a lease is as old as the last heartbeat that
        // a majority heard, up to an interval and the round trip of c.
        let oldest = heartbeat() + topology().replica_round_trip(LEADER, CONTROLLER);
        let slack = Duration::from_millis(21);
        assert!(answered <= last_ok + slack, "{fencing} {answered:?}");
        assert!(
            answered >= last_ok.saturating_sub(oldest + slack),
            "{fencing} {answered:?}"
        );
    }
}

#[test]
fn sync_waits_while_less_than_a_majority_is_left() {
    let mut cluster = cluster("leader-follower:sync", Durability::Wal);
    for follower in [CONTROLLER, D, E] {
        cluster.crash(follower);
    }
    send(&mut cluster, LEADER, 0, write(0, 0));
    let until = cluster.now() + seconds(20);
    assert_eq!(answers(&mut cluster, until), []);
    cluster.restart(CONTROLLER);
    let until = cluster.now() + seconds(20);
    assert_eq!(answers(&mut cluster, until).len(), 1);
}

#[test]
fn semi_sync_and_sync_lose_nothing_when_the_leader_dies() {
    for mode in ["semi-sync=1", "semi-sync=2", "sync"] {
        for after_ms in [3, 11, 17, 23, 31, 57, 111, 263] {
            let mode = format!("leader-follower:{mode},read=nearest");
            let mut cluster = cluster(&mode, Durability::Memory);
            let mut acknowledged = write_at_leader(&mut cluster, 0..20);
            run_for(&mut cluster, Duration::from_millis(after_ms));
            cluster.crash(LEADER);
            let until = cluster.now() + seconds(10);
            note_acknowledged(&mut cluster, until, &mut acknowledged);
            cluster.restart(LEADER);
            run_for(&mut cluster, seconds(10));
            let lost = lost(&mut cluster, acknowledged.into_keys());
            assert_eq!(lost, [0; 0], "{mode}, {after_ms} ms after the last write");
        }
    }
}

#[test]
fn a_leader_that_lost_everything_comes_back_as_a_follower_and_counts_when_that_is_agreed_on() {
    // With K = 4 of 4 followers every write needs the one that came back.
    let mut cluster = cluster(
        "leader-follower:semi-sync=4,read=nearest",
        Durability::Memory,
    );
    write_at_leader(&mut cluster, 0..10);
    let until = cluster.now() + seconds(1);
    answers(&mut cluster, until);
    cluster.crash(LEADER);
    run_for(&mut cluster, seconds(4));
    let (leader, _) = last_leader(&cluster);
    assert_ne!(leader, LEADER);
    send(&mut cluster, leader, 0, write(100, 0));
    let until = cluster.now() + seconds(4);
    assert_eq!(answers(&mut cluster, until), [], "one of four is missing");
    cluster.restart(LEADER);
    let until = cluster.now() + seconds(4);
    assert_eq!(answers(&mut cluster, until).len(), 1);
    assert_eq!(last_leader(&cluster).0, leader, "it does not lead again");
    assert!(read(&mut cluster, LEADER, 1000, 3).is_some());
    assert_eq!(lost(&mut cluster, 0..10), [0; 0]);
}

#[test]
fn a_leader_that_restarts_with_its_log_leads_another_term_before_anybody_misses_it() {
    let mut cluster = cluster("leader-follower:semi-sync=1", Durability::Wal);
    assert!(ask(&mut cluster, LEADER, 0, write(0, 0)).0.is_ok());
    let died = cluster.now();
    cluster.crash(LEADER);
    cluster.restart(LEADER);
    run_for(&mut cluster, seconds(1));
    let (leader, at) = last_leader(&cluster);
    assert_eq!((leader, cluster.leaders().len()), (LEADER, 2));
    // It asks at its first heartbeat, and hears from the controller after an agreement.
    let agreed = topology().replica_round_trip(LEADER, CONTROLLER) + Duration::from_micros(53_100);
    assert!(at.since(died) <= heartbeat() + agreed + slowest_round_trip());
    assert!(ask(&mut cluster, LEADER, 1, write(1, 1)).0.is_ok());
}

#[test]
fn stated_time_outs_make_the_failover_faster() {
    let mut cluster = cluster("leader-follower:sync,election=400ms-600ms", Durability::Wal);
    run_for(&mut cluster, seconds(1));
    let died = cluster.now();
    cluster.crash(LEADER);
    run_for(&mut cluster, seconds(3));
    let (leader, at) = last_leader(&cluster);
    assert_ne!(leader, LEADER);
    let took = at.since(died);
    // T = 400 ms, heartbeats are 20 ms apart; then as above.
    assert!(took >= Duration::from_millis(380), "{took:?}");
    let most = Duration::from_millis(420) + 3 * slowest_round_trip();
    assert!(took <= most, "{took:?}");
}

#[test]
fn a_follower_in_another_region_hears_where_the_leader_is() {
    let mut cluster = cluster("leader-follower:sync", Durability::Wal);
    cluster.crash(LEADER);
    run_for(&mut cluster, seconds(5));
    let (leader, _) = last_leader(&cluster);
    let other = [0, 2, 3, 4]
        .map(ReplicaId)
        .into_iter()
        .find(|&id| id != leader);
    let asked = other.unwrap();
    let (outcome, _) = ask(&mut cluster, asked, 0, write(0, 0));
    let hint = Some(leader);
    assert_eq!(outcome, Outcome::Fail(ErrorKind::NotLeader { hint }));
}

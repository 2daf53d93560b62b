//! Floors: the least latency that an operation's own message pattern can have.

use std::time::Duration;

use longhaul_experiment::histogram::Histogram;
use longhaul_experiment::record::ModeRecord;
use longhaul_experiment::{Contact, LinkId, Path, RegionIndex, ReplicaId, Topology};

/// Where an operation's messages go: who is placed where, who leads, and who asks.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The placement.
    pub topology: &'a Topology,
    /// The replica that leads, for paths whose contact is the leader.
    pub leader: ReplicaId,
    /// The client's region.
    pub region: RegionIndex,
}

impl Route<'_> {
    /// Returns the replica that the client asks.
    pub fn contact(&self, path: &Path) -> ReplicaId {
        match path.contact {
            Contact::Leader => self.leader,
            Contact::Nearest => self.topology.nearest_replica(self.region),
        }
    }
}

/// Returns the floor of an operation on a route:
/// d(client, contact) + the sum over rounds of the `acknowledgements`-th smallest
/// d(contact, member), d the round trip at minimum delays and zero to itself.
///
/// It leaves out processing, storage, serialisation and jitter. A round that wants more answers
/// than it has members waits for the farthest.
pub fn floor(path: &Path, route: &Route<'_>) -> Duration {
    let topology = route.topology;
    let contact = route.contact(path);
    let round_trip_to = |member| topology.replica_round_trip(contact, member);
    pattern(
        path,
        topology,
        topology
            .profile
            .round_trip(route.region, topology.region_of(contact)),
        round_trip_to,
    )
}

/// Draws an operation's latency `samples` times from the same message pattern with delays that
/// vary.
///
/// `delays` draws one one-way delay of a link, its least delay included. Draws are independent,
/// so the correlation of one link's delays within an operation is left out, and so is all that
/// [`floor`] leaves out but jitter.
pub fn monte_carlo(
    path: &Path,
    route: &Route<'_>,
    samples: u64,
    delays: &mut impl FnMut(LinkId) -> Duration,
) -> Histogram {
    let topology = route.topology;
    let contact = route.contact(path);
    let contact_region = topology.region_of(contact);
    let mut round_trip =
        |a, b| delays(LinkId { from: a, to: b }) + delays(LinkId { from: b, to: a });
    let mut histogram = Histogram::new();
    for _ in 0..samples {
        let client = round_trip(route.region, contact_region);
        histogram.record(pattern(path, topology, client, |member| {
            if member == contact {
                Duration::ZERO
            } else {
                round_trip(contact_region, topology.region_of(member))
            }
        }));
    }
    histogram
}

/// Adds the rounds of a path to the client's own round trip.
fn pattern(
    path: &Path,
    topology: &Topology,
    client: Duration,
    mut round_trip_to: impl FnMut(ReplicaId) -> Duration,
) -> Duration {
    let mut total = client;
    for round in &path.rounds {
        let members = topology.replica_ids().take(round.among);
        let mut waits: Vec<Duration> = members.map(&mut round_trip_to).collect();
        waits.sort_unstable();
        let last = round.acknowledgements.min(waits.len()).checked_sub(1);
        total += last.map_or(Duration::ZERO, |index| waits[index]);
    }
    total
}

/// Returns the leaders that answered operations of the measured window: the last one to begin
/// before it and all later ones; the topology's preferred leader when none is recorded.
pub fn leaders_in_window(record: &ModeRecord, topology: &Topology) -> Vec<ReplicaId> {
    let first = record
        .leaders
        .iter()
        .rposition(|leadership| leadership.at <= record.window_start)
        .unwrap_or(0);
    let mut leaders: Vec<ReplicaId> = record.leaders[first..]
        .iter()
        .map(|leadership| leadership.leader)
        .filter(|leader| leader.index() < topology.replicas.len())
        .collect();
    if leaders.is_empty() {
        leaders.push(topology.leader);
    }
    leaders.sort_unstable();
    leaders.dedup();
    leaders
}

#[cfg(test)]
mod tests {
    use longhaul_experiment::record::Leadership;
    use longhaul_experiment::{Round, Time};

    use super::*;
    use crate::synthetic;

    fn route(topology: &Topology, region: u16) -> Route<'_> {
        Route {
            topology,
            leader: topology.leader,
            region: RegionIndex(region),
        }
    }

    fn path(contact: Contact, rounds: &[(usize, usize)]) -> Path {
        Path {
            contact,
            rounds: rounds
                .iter()
                .map(|&(acknowledgements, among)| Round {
                    acknowledgements,
                    among,
                })
                .collect(),
        }
    }

    // One-way delays of the synthetic topology in ms: a-b 10, a-c 40, b-c 35, LAN 0.25.
    // Round trips: a-b 20, a-c 80, b-c 70, within a region 0.5. The leader is in a.

    #[test]
    fn a_write_that_waits_for_the_leader_alone_takes_one_round_trip_to_it() {
        let topology = synthetic::topology();
        let path = path(Contact::Leader, &[]);
        // d(c, l): 0.5 within a, 20 from b, 80 from c.
        for (region, micros) in [(0, 500), (1, 20_000), (2, 80_000)] {
            assert_eq!(
                floor(&path, &route(&topology, region)),
                Duration::from_micros(micros)
            );
        }
    }

    #[test]
    fn a_majority_round_adds_the_second_smallest_round_trip_of_the_leader() {
        let topology = synthetic::topology();
        let path = path(Contact::Leader, &[(2, 3)]);
        // From a the waits are 0 (itself), 20 (b), 80 (c): the second is 20.
        for (region, micros) in [(0, 20_500), (1, 40_000), (2, 100_000)] {
            assert_eq!(
                floor(&path, &route(&topology, region)),
                Duration::from_micros(micros)
            );
        }
    }

    #[test]
    fn waiting_for_all_adds_the_largest_round_trip() {
        let topology = synthetic::topology();
        // 0.5 + max(0, 20, 80), also when more answers are wanted than there are members.
        for wanted in [3, 9] {
            assert_eq!(
                floor(&path(Contact::Leader, &[(wanted, 3)]), &route(&topology, 0)),
                Duration::from_micros(80_500)
            );
        }
    }

    #[test]
    fn two_phases_at_the_nearest_replica_add_two_quorum_waits() {
        let topology = synthetic::topology();
        let path = path(Contact::Nearest, &[(2, 3), (2, 3)]);
        // c is 0.5 from its replica; its second smallest wait is 70 (b): 0.5 + 70 + 70.
        assert_eq!(
            floor(&path, &route(&topology, 2)),
            Duration::from_micros(140_500)
        );
        // b: 0.5 + 20 + 20.
        assert_eq!(
            floor(&path, &route(&topology, 1)),
            Duration::from_micros(40_500)
        );
    }

    #[test]
    fn a_round_among_the_first_members_leaves_out_the_others() {
        let topology = synthetic::topology();
        // Members a and b only, both asked by c's replica, which is none of them: waits 80 and
        // 70, the first smallest is 70.
        assert_eq!(
            floor(&path(Contact::Nearest, &[(1, 2)]), &route(&topology, 2)),
            Duration::from_micros(70_500)
        );
    }

    #[test]
    fn the_monte_carlo_of_constant_delays_is_the_floor() {
        let topology = synthetic::topology();
        let path = path(Contact::Nearest, &[(2, 3), (2, 3)]);
        let route = route(&topology, 2);
        let drawn = monte_carlo(&path, &route, 5, &mut |link| {
            topology.profile.link(link).one_way
        });
        assert_eq!(drawn.minimum_ns(), Some(140_500_000));
        assert_eq!(drawn.maximum_ns(), Some(140_500_000));
        assert_eq!(drawn.count(), 5);
    }

    #[test]
    fn leaders_before_the_last_one_of_the_warm_up_do_not_count() {
        let topology = synthetic::topology();
        let mut record = synthetic::mode("quorum:raft", &[]);
        assert_eq!(leaders_in_window(&record, &topology), [topology.leader]);
        let leads = |at, term, leader| Leadership {
            at: Time::from_millis(at),
            term,
            leader: ReplicaId(leader),
        };
        // The window begins at 1000 ms.
        record.leaders = vec![leads(0, 1, 0), leads(500, 2, 2), leads(3000, 3, 1)];
        assert_eq!(
            leaders_in_window(&record, &topology),
            [ReplicaId(1), ReplicaId(2)]
        );
    }
}

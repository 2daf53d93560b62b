use longhaul_experiment::workload::Workload;
use longhaul_experiment::{OperationResult, Seed, Version};

use super::*;

const FIRST: ReplicaId = ReplicaId(0);
const LAST: ReplicaId = ReplicaId(2);

/// Two sessions near the last of three replicas; writes go to the leader, reads to the nearest.
fn clients(closed_loop: Option<ClosedLoop>) -> ClientCore {
    ClientCore::new(ClientSettings {
        region: RegionIndex(0),
        sessions: vec![ClientId(0), ClientId(1)],
        leader: LAST,
        nearest: LAST,
        replicas: 3,
        contacts: vec![
            (OperationKind::Write, Contact::Leader),
            (OperationKind::Read, Contact::Nearest),
        ],
        values: ValueMaker::new(16),
        max_in_flight: 10,
        operation_timeout: Duration::from_secs(1),
        window_start: Time::ZERO,
        window: Duration::from_secs(1),
        keep_history: true,
        closed_loop,
    })
}

fn due(kind: OperationKind) -> PlannedOperation {
    let workload = Workload {
        read_share: if kind == OperationKind::Read {
            1.0
        } else {
            0.0
        },
        ..Workload::default()
    };
    OperationSource::new(&workload, Seed(1), 0, 1).plan(Time::ZERO)
}

fn outcomes(core: ClientCore) -> Vec<(OperationId, Outcome)> {
    let history = core.finish(Time::from_millis(50)).history;
    history
        .into_iter()
        .map(|record| (record.id, record.outcome))
        .collect()
}

#[test]
fn what_a_lost_connection_carried_is_unknown_and_nothing_else_is() {
    let mut core = clients(None);
    let mut sends = Vec::new();
    for _ in 0..4 {
        core.on_due(Time::ZERO, due(OperationKind::Write), &mut sends);
    }
    // Sessions take turns: the first has sent its operations 0 and 1.
    let lost_at = Time::from_millis(3);
    core.on_connection_lost(lost_at, 0, FIRST, &mut sends);
    assert!(!core.is_idle(), "nothing was asked of that replica");
    core.on_connection_lost(lost_at, 0, LAST, &mut sends);
    let lost = Outcome::Unknown(ErrorKind::ConnectionLost);
    let unfinished = Outcome::Unknown(ErrorKind::Unfinished);
    let id = |client, sequence| OperationId {
        client: ClientId(client),
        sequence,
    };
    let expected = [
        (id(0, 0), lost.clone()),
        (id(0, 1), lost),
        (id(1, 0), unfinished.clone()),
        (id(1, 1), unfinished),
    ];
    assert_eq!(outcomes(core), expected);
}

#[test]
fn an_answer_after_the_connection_was_lost_changes_nothing() {
    let mut core = clients(None);
    let mut sends = Vec::new();
    core.on_due(Time::ZERO, due(OperationKind::Write), &mut sends);
    let id = sends[0].request.id;
    core.on_connection_lost(Time::from_millis(3), 0, LAST, &mut sends);
    let version = Version { major: 1, minor: 0 };
    let late = Outcome::Ok(OperationResult::Written { version });
    core.on_reply(Time::from_millis(4), id, late, &mut sends);
    assert!(core.is_idle());
    assert_eq!(
        outcomes(core),
        [(id, Outcome::Unknown(ErrorKind::ConnectionLost))]
    );
}

#[test]
fn a_closed_loop_goes_on_after_a_lost_connection_without_losing_the_next_operation_to_it() {
    let workload = Workload::default();
    let mut core = clients(Some(ClosedLoop {
        in_flight: 2,
        end: Time::from_millis(10),
        source: OperationSource::new(&workload, Seed(1), 0, 1),
    }));
    let mut sends = Vec::new();
    core.on_start(Time::ZERO, &mut sends);
    assert_eq!(sends.len(), 4);
    sends.clear();
    core.on_connection_lost(Time::from_millis(3), 1, LAST, &mut sends);
    let sent: Vec<u64> = sends.iter().map(|send| send.request.id.sequence).collect();
    assert_eq!(sent, [2, 3]);
}

#[test]
fn who_wants_the_leader_and_finds_none_asks_round_the_placement_and_then_fails_as_refused() {
    let mut core = clients(None);
    let mut sends = Vec::new();
    core.on_due(Time::ZERO, due(OperationKind::Write), &mut sends);
    let id = sends[0].request.id;
    let refusals = [
        ErrorKind::NotReady,
        ErrorKind::NotLeader { hint: None },
        ErrorKind::NotReady,
        ErrorKind::NotReady,
    ];
    for refusal in refusals {
        core.on_reply(Time::from_millis(1), id, Outcome::Fail(refusal), &mut sends);
    }
    let asked: Vec<u16> = sends.iter().map(|send| send.to.0).collect();
    assert_eq!(asked, [2, 0, 1, 2]);
    assert_eq!(outcomes(core), [(id, Outcome::Fail(ErrorKind::NotReady))]);
}

#[test]
fn who_asks_the_nearest_replica_is_refused_by_it() {
    let mut core = clients(None);
    let mut sends = Vec::new();
    core.on_due(Time::ZERO, due(OperationKind::Read), &mut sends);
    let id = sends[0].request.id;
    let refused = Outcome::Fail(ErrorKind::NotReady);
    core.on_reply(Time::from_millis(1), id, refused.clone(), &mut sends);
    assert_eq!(sends.len(), 1);
    assert_eq!(outcomes(core), [(id, refused)]);
}

#[test]
fn whose_connection_to_the_leader_is_lost_asks_the_next_replica_from_then_on() {
    let mut core = clients(None);
    let mut sends = Vec::new();
    core.on_connection_lost(Time::from_millis(3), 0, FIRST, &mut sends);
    core.on_due(Time::from_millis(4), due(OperationKind::Write), &mut sends);
    core.on_connection_lost(Time::from_millis(5), 1, LAST, &mut sends);
    core.on_due(Time::from_millis(6), due(OperationKind::Write), &mut sends);
    core.on_due(Time::from_millis(6), due(OperationKind::Read), &mut sends);
    let asked: Vec<ReplicaId> = sends.iter().map(|send| send.to).collect();
    assert_eq!(asked, [LAST, FIRST, LAST]);
}

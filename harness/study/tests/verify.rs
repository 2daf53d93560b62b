//! The hunter finds what is there, and nothing where nothing is.

use longhaul_analysis::checkers::Guarantee;
mod mutated;

use std::num::NonZeroUsize;

use longhaul_experiment::{ModeSpec, Seed};
use longhaul_protocol::mutations::Mutation;
use longhaul_sim::trace::TraceKind;
use longhaul_study::verify::judge::Broken;
use longhaul_study::verify::{
    Caught, Counterexample, HuntOptions, HuntOutcome, RunOptions, Shipped, Subject, generate, hunt,
    shrink, trace_text,
};

use mutated::Mutated;

fn hunted(subject: &impl Subject, mode: &str, seeds: u64, demanded: &[Guarantee]) -> HuntOutcome {
    let options = HuntOptions {
        mode: mode.parse().unwrap(),
        first: Seed(1),
        seeds,
        demanded: demanded.to_vec(),
        threads: NonZeroUsize::MIN,
    };
    hunt(subject, &options, &|_| true).unwrap()
}

fn caught(mode: &str, seeds: u64) -> Caught {
    let outcome = hunted(&Shipped, mode, seeds, &[Guarantee::Linearizability]);
    outcome
        .caught
        .unwrap_or_else(|| panic!("{mode} is caught within {seeds} seeds"))
}

#[test]
fn shipped_modes_keep_what_they_promise() {
    for mode in [
        "quorum:raft",
        "quorum:raft,read=lease",
        "quorum:paxos",
        "quorum:register",
        "quorum:register,phases=1",
        "eventual:lww",
        "leader-follower:async",
        "leader-follower:async,read=nearest",
        "leader-follower:semi-sync=1",
        "leader-follower:sync",
    ] {
        let outcome = hunted(&Shipped, mode, 4, &[]);
        let caught = outcome
            .caught
            .map(|caught| (caught.case.seed, caught.findings));
        assert_eq!(caught, None, "{mode}");
        assert_eq!(outcome.undecided, [], "{mode}");
        assert_eq!(outcome.seeds, 4);
    }
}

#[test]
fn weaker_modes_are_caught_breaking_the_stronger_guarantee() {
    for mode in ["eventual:lww", "leader-follower:async,read=nearest"] {
        let caught = caught(mode, 100);
        let broken = Broken::Guarantee(Guarantee::Linearizability);
        assert!(caught.findings.iter().any(|it| it.broken == broken));
    }
}

#[test]
fn mutations_that_need_little_are_caught_at_once() {
    for (mutation, mode) in [
        (Mutation::TagWithoutWriter, "quorum:register"),
        (Mutation::WriteWithoutTagPhase, "quorum:register"),
        (Mutation::TruncatesAcknowledged, "quorum:raft"),
        (Mutation::DropsHints, "eventual:lww,interval=3600000"),
        (Mutation::ClockDoesNotMerge, "eventual:lww"),
        (Mutation::RejoinsUnderOldIdentity, "quorum:raft"),
    ] {
        let outcome = hunted(&Mutated(mutation), mode, 100, &[]);
        assert!(outcome.caught.is_some(), "{}", mutation.name());
    }
}

#[test]
#[ignore = "takes a minute in a release build; the example `mutations` prints the same in detail"]
fn all_twelve_mutations_are_caught_within_ten_thousand_seeds() {
    for mutation in Mutation::ALL {
        let mut modes = mutation.modes().iter();
        let is_caught = modes.any(|mode| {
            hunted(&Mutated(mutation), mode, 10_000, &[])
                .caught
                .is_some()
        });
        assert!(is_caught, "{}", mutation.name());
    }
}

#[test]
fn a_seed_is_always_the_same_case_and_the_same_run() {
    let mode: ModeSpec = "quorum:raft".parse().unwrap();
    let once = || {
        let (case, nature) = generate(&mode, Seed(7)).unwrap();
        let options = RunOptions {
            trace: true,
            converges: false,
        };
        let run = Shipped.run(&case, &nature, options).unwrap();
        (case, run.history, trace_text(&run.trace))
    };
    assert_eq!(once(), once());
}

#[test]
fn the_outcome_does_not_depend_on_the_number_of_threads() {
    let with = |threads: usize, mode: &str, seeds| {
        let options = HuntOptions {
            mode: mode.parse().unwrap(),
            first: Seed(1),
            seeds,
            demanded: vec![Guarantee::Linearizability],
            threads: threads.try_into().unwrap(),
        };
        hunt(&Shipped, &options, &|_| true).unwrap()
    };
    // The one is caught after some seeds, of which later ones may be done first; the other never.
    let weak = with(1, "eventual:lww", 60);
    assert!(weak.caught.is_some() && weak.seeds < 60);
    let sound = with(1, "quorum:register", 12);
    assert_eq!((sound.seeds, &sound.caught), (12, &None));
    for threads in [2, 3] {
        assert_eq!(with(threads, "eventual:lww", 60), weak);
        assert_eq!(with(threads, "quorum:register", 12), sound);
    }
}

#[test]
fn replicas_that_lag_are_sent_snapshots_within_a_case() {
    for (mode, name) in [
        ("quorum:raft", "Snapshot"),
        ("leader-follower:semi-sync=1", "Piece"),
    ] {
        let mode: ModeSpec = mode.parse().unwrap();
        let has_snapshot = |seed| {
            let (case, nature) = generate(&mode, Seed(seed)).unwrap();
            let options = RunOptions {
                trace: true,
                converges: false,
            };
            let run = Shipped.run(&case, &nature, options).unwrap();
            run.trace.iter().any(|event| {
                matches!(&event.kind, TraceKind::Delivered { name: told, .. } if told == name)
            })
        };
        assert!((1..=40).any(has_snapshot), "{mode}");
    }
}

#[test]
fn a_hunt_that_is_stopped_has_run_the_first_seeds() {
    let options = HuntOptions {
        mode: "quorum:register".parse().unwrap(),
        first: Seed(1),
        seeds: 100,
        demanded: Vec::new(),
        threads: 2.try_into().unwrap(),
    };
    let outcome = hunt(&Shipped, &options, &|number| number != 5).unwrap();
    assert_eq!(outcome.seeds, 5);
}

#[test]
fn a_counterexample_is_small_and_its_file_repeats_it_exactly() {
    let demanded = [Guarantee::Linearizability];
    let large = caught("eventual:lww", 100);
    let small = shrink(&Shipped, large.clone(), &demanded, 1_000);
    // A stale read takes a write and one read, or two writes that disagree.
    assert!(small.case.operations.len() <= 4, "{:?}", small.case);
    assert_eq!(small.case.replicas(), 3);
    assert_eq!(small.findings[0].broken, large.findings[0].broken);

    let written = Counterexample::of(&small, &demanded);
    let read = Counterexample::parse(&written.to_json()).unwrap();
    assert_eq!(read, written);
    let replays = [written, read].map(|it| it.replay(&Shipped).unwrap());
    assert_eq!(replays[0].judgement.findings, small.findings);
    assert_eq!(replays[0].history, replays[1].history);
    assert_eq!(replays[0].trace, replays[1].trace);
}

/// What the hunt found in shipped modes, shrunk; each was a violation before it was mended.
const ONCE_CAUGHT: [&str; 1] = [include_str!("caught/paxos-unfollowed-leader.json")];

#[test]
fn what_was_caught_once_is_not_caught_again() {
    for text in ONCE_CAUGHT {
        let once = Counterexample::parse(text).unwrap();
        let replay = once.replay(&Shipped).unwrap();
        let findings = &replay.judgement.findings;
        assert!(findings.is_empty(), "{}: {findings:?}", once.case.mode);
    }
}

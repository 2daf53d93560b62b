//! Measuring again what the machine could not carry.

use longhaul_analysis::warnings::machine_carried;
use longhaul_experiment::record::{BackendKind, ModeRecord};
use longhaul_experiment::{Backend, RunError, RunRecord, Scenario, Seed};

/// Runs a scenario, and measures each mode again, with the same seed, while the machine could not
/// carry its figures: at most `attempts` times in all.
///
/// Whether it could is judged by lateness and load alone ([`machine_carried`]), so that choosing
/// an attempt chooses no latency. The last attempt stands even if it was not carried either, and
/// the record says how many there were. In virtual time there is nothing to repeat. An
/// interrupt, or a failure, during a repetition ends the repeating and leaves what was measured
/// before.
///
/// # Errors
///
/// The first run of the scenario fails.
pub fn measure_until_carried(
    backend: &mut dyn Backend,
    scenario: &Scenario,
    seed: Seed,
    attempts: u32,
) -> Result<RunRecord, RunError> {
    let mut record = backend.run(scenario, seed)?;
    if record.backend == BackendKind::Sim || !record.complete {
        return Ok(record);
    }
    for attempt in 2..=attempts {
        for mode in &mut record.modes {
            if machine_carried(mode) {
                continue;
            }
            match measure_again(backend, mode, scenario, seed) {
                Some(again) => *mode = numbered(again, attempt),
                None => return Ok(record),
            }
        }
    }
    Ok(record)
}

fn measure_again(
    backend: &mut dyn Backend,
    mode: &ModeRecord,
    scenario: &Scenario,
    seed: Seed,
) -> Option<ModeRecord> {
    let alone = Scenario {
        modes: vec![mode.mode.clone()],
        ..scenario.clone()
    };
    let mut again = backend.run(&alone, seed).ok()?;
    if again.complete {
        again.modes.pop()
    } else {
        None
    }
}

fn numbered(mut mode: ModeRecord, attempt: u32) -> ModeRecord {
    if let Some(load) = &mut mode.load {
        load.attempts = attempt;
    }
    mode
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_experiment::profile::bundled::bundled;
    use longhaul_experiment::record::{CpuUse, Lateness, LoadCalibration};
    use longhaul_experiment::scenario::ScenarioFile;
    use longhaul_sim::SimBackend;

    /// Runs in virtual time and pretends to be a machine that is late in its first runs.
    struct LateAtFirst {
        late_runs: u32,
        runs: Vec<usize>,
    }

    impl Backend for LateAtFirst {
        fn run(&mut self, scenario: &Scenario, seed: Seed) -> Result<RunRecord, RunError> {
            let mut record = SimBackend::default().run(scenario, seed)?;
            let late = (self.runs.len() as u32) < self.late_runs;
            self.runs.push(scenario.modes.len());
            record.backend = BackendKind::Local;
            for (position, mode) in record.modes.iter_mut().enumerate() {
                let p99_us = if late && position == 0 { 900.0 } else { 100.0 };
                mode.load = Some(LoadCalibration {
                    attempts: 1,
                    release: Lateness::default(),
                    pacing: Lateness {
                        p99_us,
                        ..Lateness::default()
                    },
                    cpu: Some(CpuUse::default()),
                });
            }
            Ok(record)
        }
    }

    fn scenario() -> Scenario {
        let file = "modes = [\"leader-follower:async\", \"eventual:lww\"]\n\
                    [workload]\nrate = 20.0\n[durations]\nmeasured = \"1s\"\n";
        let file = ScenarioFile::parse(file, "two-modes.toml").unwrap();
        let profile = bundled(file.profile_name()).unwrap();
        file.resolve(profile).unwrap()
    }

    fn attempts_of(late_runs: u32, attempts: u32) -> (Vec<usize>, Vec<u32>) {
        let mut backend = LateAtFirst {
            late_runs,
            runs: Vec::new(),
        };
        let record = measure_until_carried(&mut backend, &scenario(), Seed(1), attempts).unwrap();
        let attempts = record
            .modes
            .iter()
            .map(|mode| mode.load.as_ref().unwrap().attempts);
        (backend.runs, attempts.collect())
    }

    #[test]
    fn a_mode_that_the_machine_carried_is_measured_once() {
        assert_eq!(attempts_of(0, 5), (vec![2], vec![1, 1]));
    }

    #[test]
    fn only_the_late_mode_is_measured_again_until_it_is_on_time() {
        // Late in the run of both and in the first repetition; on time in the second.
        assert_eq!(attempts_of(2, 5), (vec![2, 1, 1], vec![3, 1]));
    }

    #[test]
    fn the_last_attempt_stands_though_it_was_late_and_says_so() {
        assert_eq!(attempts_of(9, 3), (vec![2, 1, 1], vec![3, 1]));
    }
}

//! The model without replicas: a Monte Carlo of the four messages, after section 5.1 of the paper.

use longhaul_experiment::random::Generator;
use longhaul_experiment::{Seed, Stream};
use rand::Rng;

use super::Setting;
use super::outcome::{Sorted, Staleness};

/// What one write and one read of the model came to, in milliseconds.
struct Trial {
    /// The read is consistent if and only if it starts this long after the write's end, or later.
    visible_after: f64,
    write: f64,
    read: f64,
}

/// Draws the model directly, without replicas or messages: what [`super::simulate`] has to agree
/// with.
///
/// For each replica i draw W, A, R and S. The write ends at the w-th smallest W + A. A read that
/// begins t later is answered by the r replicas with the smallest R + S, and is stale when at each
/// of them the write arrives after the read: W > end + t + R. So a trial is consistent from
/// t = min (W - R) - end over those r.
pub fn predict(setting: &Setting, seed: Seed) -> Staleness {
    let mut generator = seed.stream(Stream::MonteCarlo, u64::MAX);
    let trials: Vec<Trial> = (0..setting.samples)
        .map(|_| draw(setting, &mut generator))
        .collect();
    let values = |of: fn(&Trial) -> f64| Sorted::new(trials.iter().map(of).collect());
    Staleness {
        visible_after: values(|trial| trial.visible_after),
        write_latency: values(|trial| trial.write),
        read_latency: values(|trial| trial.read),
    }
}

fn draw(setting: &Setting, generator: &mut Generator) -> Trial {
    let fit = &setting.fit;
    let writer = data_centre(setting, generator);
    let reader = data_centre(setting, generator);
    let remote = |replica: usize, coordinator: usize| match fit.remote_ms {
        Some(remote) if replica != coordinator => remote,
        _ => 0.0,
    };
    let mut write_ends = Vec::with_capacity(setting.replicas);
    let mut answers = Vec::with_capacity(setting.replicas);
    for replica in 0..setting.replicas {
        let to_write = fit.write.draw_ms(generator) + remote(replica, writer);
        let back = fit.acknowledgement.draw_ms(generator) + remote(replica, writer);
        let to_read = fit.read.draw_ms(generator) + remote(replica, reader);
        let response = fit.response.draw_ms(generator) + remote(replica, reader);
        write_ends.push(to_write + back);
        answers.push((to_read + response, to_write - to_read));
    }
    write_ends.sort_by(f64::total_cmp);
    answers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let write = write_ends[setting.write_quorum - 1];
    let first = &answers[..setting.read_quorum];
    let visible = first
        .iter()
        .map(|answer| answer.1)
        .fold(f64::INFINITY, f64::min);
    Trial {
        visible_after: visible - write,
        write,
        read: first[setting.read_quorum - 1].0,
    }
}

/// Draws the data centre of an operation's coordinator, by the number of the replica in it.
pub(super) fn data_centre(setting: &Setting, generator: &mut Generator) -> usize {
    match setting.fit.remote_ms {
        Some(_) => (generator.next_u64() % setting.replicas as u64) as usize,
        None => 0,
    }
}

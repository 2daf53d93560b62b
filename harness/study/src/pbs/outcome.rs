//! Results: sorted samples, and what is read off them.

/// Samples in ascending order, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sorted(Vec<f64>);

impl Sorted {
    /// Sorts samples.
    pub fn new(mut samples: Vec<f64>) -> Sorted {
        samples.sort_by(f64::total_cmp);
        Sorted(samples)
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the smallest sample that at least the share `p`, 0 to 1, does not exceed; `None`
    /// without samples.
    pub fn quantile(&self, p: f64) -> Option<f64> {
        let last = self.0.len().checked_sub(1)?;
        let rank = libm::ceil(p * self.0.len() as f64) as usize;
        Some(self.0[rank.saturating_sub(1).min(last)])
    }

    /// Returns the share of samples up to `at_ms`; 0 without samples.
    pub fn share_up_to(&self, at_ms: f64) -> f64 {
        let below = self.0.partition_point(|&sample| sample <= at_ms);
        below as f64 / self.0.len().max(1) as f64
    }
}

/// What the model without replicas predicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Staleness {
    /// How long after the write's end a read must begin to be consistent; below zero: any may.
    pub visible_after: Sorted,
    /// How long writes took.
    pub write_latency: Sorted,
    /// How long reads took.
    pub read_latency: Sorted,
}

impl Staleness {
    /// Returns the probability that a read beginning `t_ms` after the write's end is consistent.
    pub fn consistent(&self, t_ms: f64) -> f64 {
        self.visible_after.share_up_to(t_ms)
    }

    /// Returns the least t at which that probability reaches `p`: 0 when it does at once.
    pub fn t_for(&self, p: f64) -> f64 {
        self.visible_after.quantile(p).unwrap_or(0.0).max(0.0)
    }
}

/// How many reads at one distance from their write were consistent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// How long after the write's end the reads began, in milliseconds.
    pub t_ms: f64,
    /// How many reads there were.
    pub reads: u64,
    /// How many returned the write.
    pub consistent: u64,
}

impl Point {
    /// Returns the consistent share, 0 to 1; 1 without reads.
    pub fn share(&self) -> f64 {
        if self.reads == 0 {
            return 1.0;
        }
        self.consistent as f64 / self.reads as f64
    }
}

/// What the replicas in the simulator did.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// By distance from the write, ascending.
    pub points: Vec<Point>,
    /// How long writes took.
    pub write_latency: Sorted,
    /// How long reads took, at whatever distance.
    pub read_latency: Sorted,
    /// How many operations ended without a result; they are in no other figure.
    pub failed: u64,
}

impl Measured {
    /// Returns the least t from which on the consistent share reaches `p` at every point,
    /// interpolated linearly from the point before; `None`: not even at the last point.
    pub fn t_for(&self, p: f64) -> Option<f64> {
        let below = self.points.iter().rposition(|point| point.share() < p);
        let Some(below) = below else {
            return self.points.first().map(|point| point.t_ms);
        };
        let (before, after) = (self.points[below], self.points.get(below + 1)?);
        let rise = (p - before.share()) / (after.share() - before.share());
        Some(before.t_ms + rise * (after.t_ms - before.t_ms))
    }
}

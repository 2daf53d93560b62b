//! Axes: percentiles on the HdrHistogram scale, and amounts, linear or logarithmic.

use longhaul_analysis::Curve;

use super::style::Style;

/// The percentile axis: log 1/(1-p), so that each further nine takes as much room as the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PercentileAxis {
    /// The right end in nines: 2 is p99.
    end: f64,
}

impl PercentileAxis {
    /// Returns the axis of a chart in that style: where dashes tell modes apart, lines end with the
    /// supported percentiles.
    pub fn of<'a>(style: &Style, curves: impl Iterator<Item = &'a Curve>) -> PercentileAxis {
        if style.dashed {
            PercentileAxis::supported(curves)
        } else {
            PercentileAxis::fitting(curves)
        }
    }

    /// Returns its title, shorter where there is little room.
    pub const fn title(style: &Style) -> &'static str {
        match style.width {
            None => "percentile of all operations due, logarithmic in 1/(1 − p)",
            Some(_) => "percentile of operations due, log 1/(1 − p)",
        }
    }

    /// Percentiles that get a grid line, with their labels.
    const TICKS: [(f64, &str); 7] = [
        (0.5, "50"),
        (0.9, "90"),
        (0.99, "99"),
        (0.999, "99.9"),
        (0.9999, "99.99"),
        (0.99999, "99.999"),
        (0.999999, "99.9999"),
    ];

    /// Returns an axis that holds every point of the curves, and at least p99.
    pub fn fitting<'a>(curves: impl Iterator<Item = &'a Curve>) -> PercentileAxis {
        let last = |curve: &Curve| curve.points.last().map(|point| nines(point.quantile));
        let end = curves.filter_map(last).fold(2.05, f64::max);
        PercentileAxis {
            end: end.min(PercentileAxis::TICKS.len() as f64),
        }
    }

    /// Returns an axis that ends with the last percentile that has 10 operations beyond it in one of
    /// the curves, and holds at least p99.
    pub fn supported<'a>(curves: impl Iterator<Item = &'a Curve>) -> PercentileAxis {
        let end = curves.map(|curve| nines(curve.supported_to()));
        let end = end.fold(2.05, f64::max);
        PercentileAxis {
            end: end.min(PercentileAxis::TICKS.len() as f64),
        }
    }

    /// Says whether a quantile lies on it.
    pub fn holds(&self, quantile: f64) -> bool {
        nines(quantile) <= self.end + 1e-9
    }

    /// Returns where a quantile stands, 0 (left end) to 1.
    pub fn position(&self, quantile: f64) -> f64 {
        (nines(quantile) / self.end).clamp(0.0, 1.0)
    }

    /// Returns the quantiles that get grid lines.
    pub fn marked(&self) -> impl Iterator<Item = f64> {
        self.labelled().map(|(quantile, _)| quantile)
    }

    /// Returns the grid lines.
    pub fn ticks(&self) -> Vec<Tick> {
        let tick = |(quantile, label)| Tick {
            position: self.position(quantile),
            label: format!("p{label}"),
        };
        self.labelled().map(tick).collect()
    }

    fn labelled(&self) -> impl Iterator<Item = (f64, &'static str)> {
        let axis = *self;
        PercentileAxis::TICKS
            .into_iter()
            .filter(move |&(quantile, _)| axis.holds(quantile))
    }
}

/// Returns log10(1 / (1 - quantile)): 1 for p90, 2 for p99.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-12).log10()
}

/// A labelled grid line.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where it stands along its axis, 0 (lower end) to 1.
    pub position: f64,
    /// What it says.
    pub label: String,
}

/// The axis of latencies and of other amounts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AmountAxis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl AmountAxis {
    /// The ratio of largest to smallest amount from which the axis is logarithmic.
    const LOGARITHMIC_FROM: f64 = 12.0;

    /// Returns an axis that holds every point and floor of the curves: linear from zero, or
    /// logarithmic where linear would flatten the small ones.
    pub fn fitting<'a>(curves: impl Iterator<Item = &'a Curve>) -> AmountAxis {
        let amounts = |curve: &'a Curve| {
            let points = curve.points.iter().map(|point| point.latency_ms);
            let floors = curve.floors.iter().map(|floor| floor.floor_ms);
            points.chain(floors)
        };
        AmountAxis::spanning(curves.flat_map(amounts))
    }

    /// Returns an axis that holds every amount: linear from zero, or logarithmic where linear
    /// would flatten the small ones.
    pub fn spanning(amounts: impl Iterator<Item = f64>) -> AmountAxis {
        let (low, high) = AmountAxis::bounds(amounts).unwrap_or((1.0, 1.0));
        let logarithmic = high / low > AmountAxis::LOGARITHMIC_FROM;
        AmountAxis {
            low: if logarithmic { low / 1.25 } else { 0.0 },
            high: high * if logarithmic { 1.25 } else { 1.06 },
            logarithmic,
        }
    }

    /// Returns the least and the greatest amount above zero.
    fn bounds(amounts: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        let amounts = amounts.filter(|amount| *amount > 0.0 && amount.is_finite());
        amounts.fold(None, |bounds, amount| {
            let (low, high) = bounds.unwrap_or((amount, amount));
            Some((low.min(amount), high.max(amount)))
        })
    }

    /// Returns a logarithmic axis that holds every amount above zero, and at least a factor of 4.
    pub fn logarithmic(amounts: impl Iterator<Item = f64>) -> AmountAxis {
        let held = AmountAxis::bounds(amounts);
        let (low, high) = held.unwrap_or((1.0, 1.0));
        let widened = (4.0 * low / high).max(1.0).sqrt();
        AmountAxis {
            low: low / widened.max(1.25),
            high: high * widened.max(1.25),
            logarithmic: true,
        }
    }

    /// Returns a linear axis from zero that holds every amount.
    pub fn linear(amounts: impl Iterator<Item = f64>) -> AmountAxis {
        let high = amounts.filter(|one| one.is_finite()).fold(0.0, f64::max);
        AmountAxis {
            low: 0.0,
            high: if high > 0.0 { high * 1.06 } else { 1.0 },
            logarithmic: false,
        }
    }

    /// Returns the linear axis between two different amounts, of which the lower may be negative.
    pub fn between(low: f64, high: f64) -> AmountAxis {
        AmountAxis {
            low,
            high,
            logarithmic: false,
        }
    }

    /// Returns the linear axis from 0 to 100%.
    pub const fn percent() -> AmountAxis {
        AmountAxis {
            low: 0.0,
            high: 100.0,
            logarithmic: false,
        }
    }

    /// Returns the linear axis from zero to exactly that amount.
    pub fn exactly(high: f64) -> AmountAxis {
        AmountAxis {
            low: 0.0,
            high: if high > 0.0 { high } else { 1.0 },
            logarithmic: false,
        }
    }

    /// Returns what an axis title says of the scale.
    pub const fn scale_note(&self) -> &'static str {
        if self.logarithmic {
            ", logarithmic"
        } else {
            ""
        }
    }

    /// Returns the largest amount on it.
    pub const fn high(&self) -> f64 {
        self.high
    }

    /// Returns where a latency stands, 0 (lower end) to 1.
    pub fn position(&self, latency_ms: f64) -> f64 {
        let share = if self.logarithmic {
            (latency_ms.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (latency_ms - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    /// Returns the grid lines, about `wanted` of them, their labels with a unit.
    pub fn ticks(&self, wanted: usize, unit: &str) -> Vec<Tick> {
        let tick = |amount: f64| Tick {
            position: self.position(amount),
            label: format!("{}{unit}", tick_label(amount)),
        };
        self.marked(wanted).into_iter().map(tick).collect()
    }

    /// Returns the amounts that get grid lines, about `wanted` of them.
    fn marked(&self, wanted: usize) -> Vec<f64> {
        if self.logarithmic {
            self.logarithmic_ticks(wanted)
        } else {
            self.linear_ticks(wanted)
        }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<f64> {
        let step = step(self.high - self.low, wanted);
        let first = (self.low / step).ceil() as i64;
        (first..)
            .map(|index| index as f64 * step)
            .take_while(|tick| *tick <= self.high)
            .collect()
    }

    fn logarithmic_ticks(&self, wanted: usize) -> Vec<f64> {
        // The richest of the usual sets of mantissas that has not too many ticks.
        const SETS: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
        let ticks = |mantissas: &[f64]| -> Vec<f64> {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            decades
                .flat_map(|decade| mantissas.iter().map(move |m| m * 10f64.powi(decade)))
                .filter(|tick| (self.low..=self.high).contains(tick))
                .collect()
        };
        let sets = SETS.map(ticks);
        let fits = |ticks: &&Vec<f64>| ticks.len() <= wanted;
        let fitting = sets.iter().find(fits).unwrap_or(&sets[2]);
        // A decade or less may hold a single power of ten: the richest set then serves better.
        if fitting.len() < 2 {
            sets[0].clone()
        } else {
            fitting.clone()
        }
    }
}

/// Returns a round step that cuts a length into at most `wanted` parts.
fn step(length: f64, wanted: usize) -> f64 {
    let rough = length / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough)
}

/// Returns an amount as short as three digits allow, without unit.
pub fn short(amount: f64) -> String {
    let decimals = match amount.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{amount:.decimals$}")
}

/// Returns a tick's label: no more decimals than it needs.
fn tick_label(tick: f64) -> String {
    let rounded = (tick * 1e6).round() / 1e6;
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use longhaul_analysis::CurvePoint;

    use super::*;

    fn curve(latencies: &[f64]) -> Curve {
        let point = |&latency_ms| CurvePoint {
            quantile: 0.99,
            latency_ms,
        };
        Curve {
            points: latencies.iter().map(point).collect(),
            ..Curve::default()
        }
    }

    #[test]
    fn each_nine_takes_the_same_room() {
        let axis = PercentileAxis { end: 4.0 };
        for (quantile, position) in [(0.0, 0.0), (0.9, 0.25), (0.99, 0.5), (0.9999, 1.0)] {
            assert!((axis.position(quantile) - position).abs() < 1e-9);
        }
        let labels: Vec<_> = axis.ticks().into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["p50", "p90", "p99", "p99.9", "p99.99"]);
    }

    #[test]
    fn a_wide_range_is_logarithmic_and_a_narrow_one_starts_at_zero() {
        let narrow = AmountAxis::fitting([curve(&[20.0, 100.0])].iter());
        assert_eq!(narrow.scale_note(), "");
        assert_eq!(narrow.marked(6), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        let wide = AmountAxis::fitting([curve(&[0.5, 300.0])].iter());
        assert_eq!(wide.scale_note(), ", logarithmic");
        assert_eq!(
            wide.marked(9),
            [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
        );
        assert_eq!(wide.marked(4), [1.0, 10.0, 100.0]);
    }

    #[test]
    fn axes_without_curves_are_still_axes() {
        let axis = AmountAxis::fitting(std::iter::empty());
        assert!(axis.position(1.0).is_finite());
        assert!(!axis.ticks(5, "").is_empty());
        assert!(PercentileAxis::fitting(std::iter::empty()).ticks().len() >= 3);
    }

    #[test]
    fn an_axis_of_differences_has_a_line_at_zero() {
        let axis = AmountAxis::between(-45.0, 100.0);
        // 145 in at most 6 parts: steps of 25.
        let labels = axis.ticks(6, " µs").into_iter().map(|tick| tick.label);
        assert_eq!(
            labels.collect::<Vec<_>>(),
            ["-25 µs", "0 µs", "25 µs", "50 µs", "75 µs", "100 µs"]
        );
        assert!((axis.position(0.0) - 45.0 / 145.0).abs() < 1e-9);
    }

    #[test]
    fn short_figures_keep_three_digits() {
        let figures = [0.5, 9.994, 20.48, 99.96, 246.7].map(short);
        assert_eq!(figures, ["0.50", "9.99", "20.5", "100", "247"]);
    }
}

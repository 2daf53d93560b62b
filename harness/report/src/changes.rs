//! What changed between runs, as text.

use std::fmt::Write as _;

use longhaul_analysis::comparison::{
    CellChange, Change, Comparison, Gate, Level, Outcome, SideComparison,
};

/// Renders a comparison as text that ends with a line break: for every further side the figures
/// with their change and its 95% interval, what differs, and what came of each limit.
pub fn changes(comparison: &Comparison) -> String {
    let mut text = String::new();
    for other in &comparison.others {
        one_side(&mut text, &comparison.base, other, comparison.tested);
    }
    for warning in &comparison.warnings {
        line(&mut text, format_args!("warning: {warning}"));
    }
    text
}

fn one_side(text: &mut String, base: &str, other: &SideComparison, tested: usize) {
    line(text, format_args!("{} against {base}", other.name));
    line(
        text,
        format_args!(
            "{}; {tested} changes tested, a * is significant at 5% after Holm's correction\n",
            match other.level {
                Level::Runs => "repeated runs: intervals rest on the spread between runs",
                Level::SingleRuns =>
                    "single runs: intervals rest on what happened within each, and no limit is judged",
            }
        ),
    );
    let names = other.changes.iter().map(|change| {
        let cell = &change.cell;
        format!("{}, {} {}", cell.mode, cell.region, cell.kind)
    });
    let names: Vec<String> = names.collect();
    let widest = names.iter().map(|name| name.chars().count()).max();
    let widest = widest.unwrap_or(0);
    line(
        text,
        format_args!(
            "{:<widest$}  figure   {:>10} {:>10}  {:>9}  95% interval",
            "", "before", "after", "change"
        ),
    );
    let mut last = "";
    for (name, change) in names.iter().zip(&other.changes) {
        let shown = if name == last { "" } else { name.as_str() };
        last = name;
        line(
            text,
            format_args!(
                "{shown:<widest$}  {:<8} {}",
                change.cell.metric.label(),
                figures(change)
            ),
        );
    }
    for difference in &other.differences {
        line(text, format_args!("differs: {difference}"));
    }
    for gate in &other.gates {
        line(text, format_args!("{}", outcome(gate)));
    }
}

fn figures(one: &CellChange) -> String {
    let Some(change) = &one.change else {
        let why = one.not_compared.map(|why| why.to_string());
        return format!("{:>10} {:>10}  {}", "-", "-", why.unwrap_or_default());
    };
    let mark = if one.is_significant() { "*" } else { "" };
    format!(
        "{:>10.2} {:>10.2}  {:>9}  {}{mark}",
        change.base,
        change.other,
        estimate(change),
        interval(change)
    )
}

fn estimate(change: &Change) -> String {
    match &change.relative {
        Some(relative) => format!("{:+.1}%", 100.0 * relative.estimate),
        None => format!("{:+.2}", change.absolute.estimate),
    }
}

fn interval(change: &Change) -> String {
    let (interval, factor, unit) = match &change.relative {
        Some(relative) => (relative, 100.0, "%"),
        None => (&change.absolute, 1.0, ""),
    };
    match (interval.low, interval.high) {
        (None, None) => "none: too few operations".to_owned(),
        (low, high) => {
            let end = |bound: Option<f64>, open: &str| {
                bound.map_or(open.to_owned(), |bound| {
                    format!("{:+.1}{unit}", factor * bound)
                })
            };
            format!("{} to {}", end(low, "any"), end(high, "any"))
        }
    }
}

fn outcome(gate: &Gate) -> String {
    match gate.outcome {
        Outcome::Fires => {
            let cells: Vec<String> = gate
                .exceeded
                .iter()
                .map(|cell| format!("{} {} {}", cell.mode, cell.region, cell.kind))
                .collect();
            format!("limit {} exceeded: {}", gate.rule, cells.join("; "))
        }
        Outcome::Holds => format!("limit {} holds on {} figures", gate.rule, gate.judged),
        Outcome::CannotTell => match gate.not_judged.first() {
            None => format!("limit {} not judged: there are no such figures", gate.rule),
            Some((cell, why)) => format!(
                "limit {} not judged on {} of {} figures; {}, {} {}: {why}",
                gate.rule,
                gate.not_judged.len(),
                gate.not_judged.len() + gate.judged,
                cell.mode,
                cell.region,
                cell.kind
            ),
        },
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a string succeeds.
    let _ = writeln!(text, "{arguments}");
}

#[cfg(test)]
mod tests {
    use longhaul_analysis::comparison::{Options, Side, compare};

    use super::*;
    use crate::synthetic::{Shape, record};

    #[test]
    fn every_figure_stands_with_its_change_and_single_runs_are_called_so() {
        let run = longhaul_analysis::analyse(&record(Shape {
            modes: 2,
            regions: 2,
            due: 400,
            failures: 0,
            reads: 0.0,
        }));
        let side = |name: &str| Side {
            name: name.to_owned(),
            records: vec![&run],
        };
        let options = Options {
            rules: vec!["p99+10%".parse().unwrap()],
            ..Options::default()
        };
        let comparison = compare(&[side("a"), side("b")], &options).unwrap();
        let text = changes(&comparison);
        assert!(text.starts_with("b against a\nsingle runs"), "{text}");
        assert!(text.contains("limit p99+10% not judged"), "{text}");
        let changes = &comparison.others[0].changes;
        let lines = text.lines().filter(|line| line.contains("p50 "));
        let cells = changes
            .iter()
            .filter(|one| one.cell.metric.label() == "p50");
        assert_eq!(lines.count(), cells.count(), "{text}");
    }
}

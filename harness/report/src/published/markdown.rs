//! The index in Markdown.

use std::fmt::Write as _;

use super::{FIRST, Published};
use crate::export::escaped;

/// What is written by hand stands between these lines, and is kept.
const MARKS: [&str; 2] = ["<!-- written by hand -->", "<!-- end of that -->"];

/// Returns what is written by hand in an index, without the lines around it; empty where there is
/// none.
pub fn introduction(index: &str) -> &str {
    let between = || {
        let (_, rest) = index.split_once(MARKS[0])?;
        Some(rest.split_once(MARKS[1])?.0.trim())
    };
    between().unwrap_or_default()
}

/// Renders the index in Markdown, with an introduction that is Markdown too.
pub fn index_markdown(runs: &[Published], introduction: &str) -> String {
    let mut text = format!(
        "# Published runs\n\n{FIRST}\n\n`longhaul results index` makes this page from the \
         summaries; only what stands between the next two marks is kept.\n\n{}\n\n{}\n\n{}\n",
        MARKS[0],
        introduction.trim(),
        MARKS[1]
    );
    for run in runs {
        section(&mut text, run);
    }
    text
}

fn section(text: &mut String, run: &Published) {
    let name = &run.name;
    // Writing into a string succeeds.
    let _ = write!(
        text,
        "\n## {}\n\n{}\n\n",
        escaped(name),
        escaped(&run.sentence())
    );
    if let Some(chart) = run.main_chart("png") {
        let _ = write!(
            text,
            "[<img src=\"{name}/{chart}\" width=\"560\" alt=\"Latency by mode and client region\">]\
             ({name}/{chart})\n\n"
        );
    }
    text.push_str("| | |\n| --- | --- |\n");
    for (what, fact) in run.facts() {
        let _ = writeln!(text, "| {what} | {} |", escaped(&fact));
    }
    let _ = writeln!(text, "| Command | {} |", escaped(&run.command()));
    let files = ["report.html", "table.txt", "summary.json"].into_iter();
    let links: Vec<String> = files
        .filter(|file| run.has(file))
        .map(|file| format!("[{file}]({name}/{file})"))
        .collect();
    let _ = writeln!(text, "| Files | {} |", links.join(", "));
}

#[cfg(test)]
mod tests {
    use super::super::tests::published;
    use super::*;

    #[test]
    fn the_introduction_survives_and_every_run_has_a_section() {
        let runs = [published("a"), published("b_c")];
        let first = index_markdown(&runs, "By *hand*.\n\nTwice.");
        assert_eq!(introduction(&first), "By *hand*.\n\nTwice.");
        assert_eq!(index_markdown(&runs, introduction(&first)), first);
        assert!(first.contains("\n## b\\_c\n"));
        assert!(first.contains("<img src=\"a/write-latency-grid.png\""));
        assert!(first.contains("| Date | 1970-01-01 |"));
        assert!(first.contains("[report.html](a/report.html)"));
        assert!(!first.contains("table.txt"), "it is not among the files");
        assert_eq!(introduction("no marks"), "");
    }
}

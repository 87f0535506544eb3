//! The outcome table: what came of each step of the script, with vswitch and with Docker's own bridge driver.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::script::{Expected, Outcome, chapters, run};
use super::{Binaries, Driver};

/// Letters of a reason that the table keeps.
const REASON: usize = 160;

/// Where the table is kept.
#[must_use]
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("DOCKER.md")
}

/// The table as it was committed; empty if it was not.
#[must_use]
pub fn committed() -> String {
    std::fs::read_to_string(path()).unwrap_or_default()
}

/// Who drives which engine's networks: a column.
struct Column {
    driver: Driver,
    binaries: Binaries,
    /// As `20.10`.
    version: String,
}

/// Runs the script with both drivers, by the installed engine and by the one that is chosen besides, and puts the outcomes side
/// by side.
///
/// # Panics
/// When no engine can be started.
#[must_use]
pub fn make() -> String {
    let mut engines = vec![Binaries::installed(), Binaries::chosen()];
    engines.dedup();
    let versions: Vec<String> = engines.iter().map(Binaries::version).collect();
    let mut text = format!(
        "# Docker's networks by vswitch and by bridge, step by step\n\n\
         Made by `cargo run -p vswitch-tests --bin docker_outcomes`: the same script with both drivers, {}.\n\n\
         What vswitch does that bridge does not: the rows with a yes on the left alone. Rows with – are about \
         something that bridge does not have: a controller, an IPAM driver of its own.\n",
        versions.join(" and ")
    );
    let column = |(binaries, driver): (&Binaries, Driver)| Column {
        driver,
        binaries: binaries.clone(),
        version: short(&binaries.version()),
    };
    let pairs = engines.iter().flat_map(|one| [Driver::Vswitch, Driver::Bridge].map(|driver| (one, driver)));
    let columns: Vec<Column> = pairs.map(column).collect();
    let mut notes = Vec::new();
    for number in 0..chapters().len() {
        text += &chapter(number, &columns, &mut notes);
    }
    text += "\n## What was missed\n\n";
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", number + 1);
    }
    text
}

fn chapter(number: usize, columns: &[Column], notes: &mut Vec<String>) -> String {
    let (title, steps) = chapters().swap_remove(number);
    let of = |column: &Column| run(column.driver, &column.binaries, chapters().swap_remove(number).1);
    let outcomes: Vec<Vec<Outcome>> = columns.iter().map(of).collect();
    let heads = columns.iter().map(|column| format!(" {} {} |", column.driver.name(), column.version));
    let mut text = format!("\n## {title}\n\n| step |{}\n", heads.collect::<String>());
    let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
    for (row, step) in steps.iter().enumerate() {
        let cells = columns.iter().zip(&outcomes);
        let cells = cells.map(|(column, outcomes)| format!(" {} |", cell(column, &outcomes[row], notes)));
        let _ = writeln!(text, "| {} |{}", step.title, cells.collect::<String>());
    }
    text
}

/// `20.10` of `Docker version 20.10.24+dfsg1, build 5d6db84`.
fn short(version: &str) -> String {
    let numbers = version.split_whitespace().nth(2).unwrap_or(version);
    numbers.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

fn cell(column: &Column, outcome: &Outcome, notes: &mut Vec<String>) -> String {
    if column.driver == Driver::Bridge && outcome.expected == Expected::NoRival {
        return "–".to_owned();
    }
    let Some(missed) = &outcome.missed else { return "yes".to_owned() };
    let words: Vec<&str> = missed.split_whitespace().collect();
    let short: String = words.join(" ").chars().take(REASON).collect();
    notes.push(format!("{} {}: `{}`", column.driver.name(), column.version, short.replace('`', "'")));
    format!("no ({})", notes.len())
}

//! The outcome table: what came of each step of the script, with vswitch and with Docker's own bridge driver.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::script::{Expected, Outcome, chapters, run};
use super::{Driver, Engine};

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

/// Runs the script with both drivers and puts the outcomes side by side.
///
/// # Panics
/// When no engine can be started.
#[must_use]
pub fn make() -> String {
    let mut text = format!(
        "# Docker's networks by vswitch and by bridge, step by step\n\n\
         Made by `cargo run -p vswitch-tests --bin docker_outcomes`: the same script with both drivers, {}.\n\n\
         What vswitch does that bridge does not: the rows with a yes on the left alone. Rows with – are about \
         something that bridge does not have: a controller, an IPAM driver of its own.\n",
        Engine::version()
    );
    let mut notes = Vec::new();
    for (number, (chapter, steps)) in chapters().into_iter().enumerate() {
        let mine = run(Driver::Vswitch, steps);
        let theirs = run(Driver::Bridge, chapters().swap_remove(number).1);
        let _ = write!(text, "\n## {chapter}\n\n| step | vswitch | bridge |\n|---|---|---|\n");
        for (ours, other) in mine.iter().zip(&theirs) {
            let cells = [(Driver::Vswitch, ours), (Driver::Bridge, other)]
                .map(|(driver, outcome)| cell(driver, outcome, &mut notes));
            let _ = writeln!(text, "| {} | {} | {} |", ours.title, cells[0], cells[1]);
        }
    }
    text += "\n## What was missed\n\n";
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", number + 1);
    }
    text
}

fn cell(driver: Driver, outcome: &Outcome, notes: &mut Vec<String>) -> String {
    if driver == Driver::Bridge && outcome.expected == Expected::NoRival {
        return "–".to_owned();
    }
    let Some(missed) = &outcome.missed else { return "yes".to_owned() };
    let words: Vec<&str> = missed.split_whitespace().collect();
    let short: String = words.join(" ").chars().take(REASON).collect();
    notes.push(format!("{}: `{}`", driver.name(), short.replace('`', "'")));
    format!("no ({})", notes.len())
}

//! The table: columns measured, printed as Markdown for `tests/CONFORMANCE.md`.

use std::fmt::Write as _;
use std::process::Command;
use std::thread;

use super::{Answer, Candidate, Finding, SUBJECTS, measure};

/// What a cell says where the candidate does as the row says.
const YES: &str = "yes";

/// Measured columns, each with an answer for every row.
pub struct Table {
    columns: Vec<(Candidate, Vec<Answer>)>,
}

impl Table {
    /// Measures these candidates, side by side.
    ///
    /// # Panics
    /// When one cannot be started, or breaks down.
    #[must_use]
    pub fn measure(candidates: &[Candidate]) -> Self {
        let columns = thread::scope(|scope| {
            let column = |candidate: &Candidate| {
                let candidate = *candidate;
                (candidate, scope.spawn(move || measure(candidate)))
            };
            let running: Vec<_> = candidates.iter().map(column).collect();
            let join = |running: thread::ScopedJoinHandle<'_, Vec<Answer>>| {
                running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().map(|(candidate, running)| (candidate, join(running))).collect()
        });
        Self { columns }
    }

    /// Where vswitch does not as a row says: column, behaviour, and what it does.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let ours = self.columns.iter().filter(|(candidate, _)| candidate.is_vswitch());
        let of = |(candidate, answers): &(Candidate, Vec<Answer>)| {
            let found = behaviours().zip(answers.clone()).filter_map(|(behaviour, answer)| {
                let finding = answer.err()?;
                Some(format!("{}: {behaviour}: {finding:?}", candidate.title()))
            });
            found.collect::<Vec<_>>()
        };
        ours.flat_map(of).collect()
    }

    /// The whole file.
    #[must_use]
    pub fn markdown(&self, versions: &str) -> String {
        let mut notes = Vec::new();
        let mut text = format!("{HEAD}\nMeasured on {versions}.\n");
        let mut number = 0;
        for (subject, rows) in SUBJECTS {
            let titles: String =
                self.columns.iter().map(|(candidate, _)| format!(" {} |", candidate.title())).collect();
            let rule = "---|".repeat(self.columns.len());
            let _infallible =
                write!(text, "\n## {subject}\n| behaviour | source |{titles}\n|---|---|{rule}\n");
            for row in rows {
                let _infallible = write!(text, "| {} | {} |", row.behaviour, row.source);
                for (_, answers) in &self.columns {
                    let _infallible = write!(text, " {} |", cell(&answers[number], &mut notes));
                }
                text.push('\n');
                number += 1;
            }
        }
        if !notes.is_empty() {
            text.push_str("\n## Notes\n");
        }
        for (index, note) in notes.iter().enumerate() {
            let _infallible = writeln!(text, "{}. {note}", index + 1);
        }
        text
    }

    /// Whether a file's table has just these rows, with a plain yes in vswitch's columns.
    #[must_use]
    pub fn is_listed(file: &str, ours: usize) -> bool {
        let listed = file.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
        let listed: Vec<_> = listed.filter(|(behaviour, _)| *behaviour != "behaviour").collect();
        let is_plain = |rest: &str| rest.split('|').skip(1).take(ours).all(|cell| cell.trim() == YES);
        listed.iter().map(|(behaviour, _)| *behaviour).eq(behaviours())
            && listed.iter().all(|(_, rest)| is_plain(rest))
    }
}

/// What stands above the tables.
const HEAD: &str = "\
# What switches do, behaviour by behaviour

Written by `cargo xtask conformance --write`; do not edit. Each cell is the outcome of sending frames through that switch,
by the row's function in `src/conformance/`: \"yes\", or \"no\" with a note, or \"lacks\" where it has no such option. vswitch
has all its ports at the hook of its column; the bridge is the running kernel's; OVS is Open vSwitch with its userspace data
path (`datapath_type=netdev`). In the notes stations are a, b, c, d in the order of their ports.
";

fn behaviours() -> impl Iterator<Item = &'static str> {
    SUBJECTS.iter().flat_map(|(_, rows)| rows.iter()).map(|row| row.behaviour)
}

/// A cell, and its note if it is no plain yes; the same note is there once.
fn cell(answer: &Answer, notes: &mut Vec<String>) -> String {
    let (word, note) = match answer {
        Ok(()) => return YES.to_owned(),
        Err(Finding::Differs(note)) => ("no", note),
        Err(Finding::Lacks(note)) => ("lacks", note),
    };
    let index = notes.iter().position(|known| known == note).unwrap_or_else(|| {
        notes.push(note.clone());
        notes.len() - 1
    });
    format!("{word} ({})", index + 1)
}

/// Kernel and Open vSwitch, as they name themselves.
#[must_use]
pub fn versions() -> String {
    let line = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
    };
    let kernel = line("uname", &["-sr"]).unwrap_or_else(|| "an unknown kernel".to_owned());
    let ovs = line("ovs-vswitchd", &["--version"]).unwrap_or_else(|| "no Open vSwitch".to_owned());
    format!("{kernel}; {ovs}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_there_once() {
        let mut notes = Vec::new();
        let differs = || Err(Finding::Differs("reached nobody".to_owned()));
        assert_eq!(cell(&Ok(()), &mut notes), "yes");
        assert_eq!(cell(&differs(), &mut notes), "no (1)");
        assert_eq!(cell(&Err(Finding::Lacks("no option".to_owned())), &mut notes), "lacks (2)");
        assert_eq!(cell(&differs(), &mut notes), "no (1)");
        assert_eq!(notes.len(), 2);
    }

    #[test]
    fn behaviours_are_told_apart() {
        let mut all: Vec<_> = behaviours().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_file_lists_the_rows_and_has_nothing_but_yes_for_vswitch() {
        let answers = vec![Ok(()); behaviours().count()];
        let table = Table { columns: vec![(Candidate::Xdp, answers.clone()), (Candidate::Tc, answers)] };
        let text = table.markdown("a test");
        assert!(Table::is_listed(&text, 2));
        assert!(!Table::is_listed(&text.replacen(" yes |", " no (1) |", 1), 2));
        let (last, _) = text.trim_end().rsplit_once('\n').expect("it has lines");
        assert!(!Table::is_listed(last, 2));
    }
}

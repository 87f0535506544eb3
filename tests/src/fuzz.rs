//! Fuzzing with the pinned toolchain alone: inputs mutated from a corpus, run until a check panics.
//!
//! There is no coverage to steer by, so every target says of an input *what became of it*, as a number: an input with a
//! number that was not seen before joins the corpus (ADR 16). A finding is made as small as can be and written to
//! `tests/cases`, where `tests/fuzz.rs` runs it from then on.

mod api;
mod capture;
mod config;
mod dns;
mod frame;
mod groups;
mod mutate;
mod pipeline;
mod program;

use std::any::Any;
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mutate::Mutator;

/// Longest input, in octets.
const INPUT_MOST: usize = 4_096;
/// Most inputs that are kept to mutate.
const CORPUS_MOST: usize = 4_096;
/// Longest input that is kept for good.
const KEPT_BYTES: usize = 512;
/// Tries to make a finding smaller.
const SHRINKS: usize = 3_000;

/// What can be fuzzed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// What is read of a frame: headers, ARP, neighbour discovery, guard.
    Frame,
    /// The pure decisions: learning, VLANs, policy, storm control, verdicts.
    Pipeline,
    /// The programs in the kernel, and traces against them. Needs root.
    Program,
    /// Bodies and texts of the control API.
    Api,
    /// The configuration file.
    Config,
    /// Capture files.
    Capture,
    /// Queries to a network's names.
    Dns,
    /// Messages about multicast membership.
    Groups,
}

/// A check: panics when something is wrong, else says what became of the input.
type Check<'a> = &'a mut dyn FnMut(&[u8]) -> u64;

impl Target {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Frame,
        Self::Pipeline,
        Self::Program,
        Self::Api,
        Self::Config,
        Self::Capture,
        Self::Dns,
        Self::Groups,
    ];

    /// As on the command line, and in front of its files' names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Pipeline => "pipeline",
            Self::Program => "program",
            Self::Api => "api",
            Self::Config => "config",
            Self::Capture => "capture",
            Self::Dns => "dns",
            Self::Groups => "groups",
        }
    }

    /// From its name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// Words that an input is more likely to be understood with.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Frame | Self::Pipeline | Self::Program | Self::Capture | Self::Groups => &[],
            Self::Dns => dns::WORDS,
            Self::Api => api::WORDS,
            Self::Config => config::WORDS,
        }
    }

    /// Sets the target up, and lets `work` check inputs.
    fn prepare(self, work: impl FnOnce(Check<'_>) + Send) {
        match self {
            Self::Frame => work(&mut frame::check),
            Self::Pipeline => work(&mut pipeline::check),
            Self::Program => program::prepare(work),
            Self::Api => work(&mut api::check),
            Self::Config => config::prepare(work),
            Self::Capture => work(&mut capture::check),
            Self::Dns => work(&mut dns::check),
            Self::Groups => work(&mut groups::check),
        }
    }
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many inputs.
    Executions(u64),
    /// After so long.
    Elapsed(Duration),
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Report {
    /// Inputs that were checked.
    pub executions: u64,
    /// How long that took.
    pub elapsed: Duration,
    /// How many different things became of them.
    pub outcomes: usize,
    /// What went wrong, and the file with the smallest such input.
    pub finding: Option<(String, PathBuf)>,
    /// Inputs of new outcomes, for the corpus.
    pub kept: Vec<Vec<u8>>,
}

/// Fuzzes a target. The same seed and corpus give the same inputs.
#[must_use]
pub fn run(target: Target, seed: u64, until: Until) -> Report {
    let mut report = Report::default();
    let start = Instant::now();
    let corpus: Vec<_> =
        files(CORPUS, &prefix_of(target)).into_iter().filter_map(|file| fs::read(file).ok()).collect();
    let known = corpus.len();
    target.prepare(|check| {
        let mut mutator = Mutator::new(seed, target.words(), corpus);
        let mut seen = HashSet::new();
        loop {
            let input = mutator.next_input();
            match attempt(check, &input) {
                Ok(outcome) => {
                    if seen.insert(outcome) && mutator.corpus.len() < CORPUS_MOST {
                        mutator.corpus.push(input);
                    }
                }
                Err(message) => {
                    let smallest = shrink(check, input);
                    report.finding = Some((message, keep(target, &smallest)));
                    break;
                }
            }
            report.executions += 1;
            let is_done = match until {
                Until::Executions(most) => report.executions >= most,
                Until::Elapsed(most) => report.executions % 64 == 0 && start.elapsed() >= most,
            };
            if is_done {
                break;
            }
        }
        report.outcomes = seen.len();
        let new = mutator.corpus.drain(known.min(mutator.corpus.len())..);
        report.kept = new.filter(|input| input.len() <= KEPT_BYTES).collect();
    });
    report.elapsed = start.elapsed();
    report
}

/// Runs a target over its corpus, and over what once went wrong. How many inputs.
///
/// # Panics
/// When one goes wrong.
pub fn replay(target: Target) -> usize {
    let prefix = prefix_of(target);
    let mut inputs = files(CORPUS, &prefix);
    inputs.extend(files(CASES, &format!("fuzz-{prefix}")));
    target.prepare(|check| {
        for file in &inputs {
            let input = fs::read(file).expect("it was just listed");
            if let Err(message) = attempt(check, &input) {
                panic!("{}: {message}", file.display());
            }
        }
    });
    inputs.len()
}

/// Writes inputs into a target's corpus.
///
/// # Errors
/// When the folder cannot be written.
pub fn add_to_corpus(target: Target, inputs: &[Vec<u8>]) -> std::io::Result<()> {
    let file = |input: &Vec<u8>| folder(CORPUS).join(format!("{}{:016x}", prefix_of(target), hash(input)));
    inputs.iter().try_for_each(|input| fs::write(file(input), input))
}

fn attempt(check: Check<'_>, input: &[u8]) -> Result<u64, String> {
    catch_unwind(AssertUnwindSafe(|| check(input))).map_err(|panic| said(&*panic))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// Takes away what is not needed to go wrong, larger pieces first.
fn shrink(check: Check<'_>, mut input: Vec<u8>) -> Vec<u8> {
    let (mut piece, mut tries) = (input.len().div_ceil(2), 0);
    while piece > 0 && tries < SHRINKS {
        let mut at = 0;
        while at < input.len() && tries < SHRINKS {
            let end = (at + piece).min(input.len());
            let smaller = [&input[..at], &input[end..]].concat();
            tries += 1;
            if attempt(check, &smaller).is_err() {
                input = smaller;
            } else {
                at = end;
            }
        }
        piece /= 2;
    }
    input
}

fn keep(target: Target, input: &[u8]) -> PathBuf {
    let file = folder(CASES).join(format!("fuzz-{}{:016x}", prefix_of(target), hash(input)));
    fs::write(&file, input).expect("tests/cases is writable");
    file
}

fn hash(input: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    hasher.finish()
}

/// A number for what became of an input.
fn outcome(what: &impl std::fmt::Debug) -> u64 {
    hash(format!("{what:?}").as_bytes())
}

/// The beginning of a message without what it quotes of the input and without numbers: not every place of an error is
/// another outcome.
fn gist(message: &str) -> String {
    let unquoted: String = message.split(['`', '"', '\'']).step_by(2).collect();
    unquoted
        .split(|letter: char| !letter.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .take(6)
        .collect()
}

/// Inputs to begin with, and those that once went wrong.
const CORPUS: &str = "corpus";
const CASES: &str = "cases";

/// Of the names of a target's files.
fn prefix_of(target: Target) -> String {
    format!("{}-", target.name())
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Files of a folder whose names begin so, in order.
fn files(name: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(listed) = fs::read_dir(folder(name)) else { return Vec::new() };
    let begins = |path: &PathBuf| {
        path.file_name().and_then(|file| file.to_str()).is_some_and(|file| file.starts_with(prefix))
    };
    let mut files: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).filter(begins).collect();
    files.sort();
    files
}

//! `cargo xtask fuzz [TARGET] [--seconds N]`: each target in turn, and what it found.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use vswitch_tests::fuzz::{self, Target, Until};
use vswitch_tests::program::obstacle;

/// For each target, unless told otherwise.
const SECONDS: u64 = 60;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let (mut targets, mut seconds, mut seed, mut keep) = (Vec::new(), SECONDS, clock(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number =
            || arguments.next().and_then(|text| text.parse().ok()).context("a number is missing");
        match argument.as_str() {
            "--seconds" => seconds = number()?,
            "--seed" => seed = number()?,
            "--keep" => keep = true,
            name => targets.push(Target::of(name).with_context(|| format!("no target {name}: {}", names()))?),
        }
    }
    if targets.is_empty() {
        targets = Target::ALL.to_vec();
    }
    let mut is_good = true;
    for target in targets {
        if let (Target::Program, Some(obstacle)) = (target, obstacle()) {
            bail!("{}: {obstacle}", target.name());
        }
        let replayed = fuzz::replay(target);
        // A finding is a panic that is caught: what the hook would print of each is no news.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let report = fuzz::run(target, seed, Until::Elapsed(Duration::from_secs(seconds)));
        std::panic::set_hook(hook);
        println!(
            "{:<9} seed {seed}: {} of the corpus, {} inputs in {:.1?}, {} outcomes",
            target.name(),
            replayed,
            report.executions,
            report.elapsed,
            report.outcomes
        );
        if keep {
            fuzz::add_to_corpus(target, &report.kept)?;
        }
        if let Some((message, file)) = report.finding {
            println!(
                "{:<9} FOUND {message}; the smallest such input is in {}",
                target.name(),
                file.display()
            );
            is_good = false;
        }
    }
    Ok(is_good)
}

fn names() -> String {
    let names: Vec<&str> = Target::ALL.into_iter().map(Target::name).collect();
    format!("there are {}", names.join(", "))
}

fn clock() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64)
}

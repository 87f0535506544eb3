//! The programs against the model switch through random scenarios: ports at either hook, options, networks, VLANs, guards, used up
//! limits, frames, links that go down, flushes, time. Each scenario runs twice, the second time with every port at its other hook.
//! After each frame both have counted and told the same, and a trace had said it before; in the end both remember the same, and
//! every copy of a flood has arrived in its form.
//!
//! A scenario that they disagree about is made as small as can be and written to `tests/cases`, where it stays: once the
//! bug is fixed, with a description of what it was.

mod book;
mod scenario;
mod sight;
mod twin;
mod wire;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde::{Deserialize, Serialize};
use vswitch_tests::program::{Fixture, Listener};

use scenario::{PORTS, Scenario, scenarios};
use twin::Twin;

/// Scenarios of a run; `VSWITCH_SCENARIOS` asks for another number.
const SCENARIOS: u32 = 10_000;

/// A scenario that once went wrong, as a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What went wrong.
    description: String,
    scenario: Scenario,
}

fn agrees(fixture: &mut Fixture, listener: &Listener, scenario: &Scenario) -> Result<(), String> {
    [false, true].into_iter().try_for_each(|is_swapped| Twin::run(fixture, listener, scenario, is_swapped))
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// That of `VSWITCH_LAB_SEED`, else another each time.
fn seed() -> u64 {
    let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    number("VSWITCH_LAB_SEED").unwrap_or_else(clock)
}

fn runner(seed: u64, cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 3_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[test]
fn the_programs_agree_with_the_model_in_random_scenarios() {
    let cases =
        number("VSWITCH_SCENARIOS").map_or(SCENARIOS, |count| count.try_into().expect("a sane number"));
    Fixture::run_alone(PORTS.into(), |fixture| {
        let (seed, start) = (seed(), Instant::now());
        eprintln!("VSWITCH_LAB_SEED={seed}");
        let listener = Listener::start(fixture);
        let (fixture, steps) = (RefCell::new(fixture), Cell::new(0));
        let run = runner(seed, cases).run(&scenarios(), |scenario| {
            steps.set(steps.get() + scenario.steps.len());
            agrees(&mut fixture.borrow_mut(), &listener, &scenario).map_err(TestCaseError::fail)
        });
        match run {
            Ok(()) => eprintln!("{cases} scenarios, {} steps, {:.1?}", steps.get(), start.elapsed()),
            Err(TestError::Fail(reason, scenario)) => {
                let file = keep(seed, reason.message(), scenario);
                panic!("seed {seed}: {reason}; the smallest such scenario is in {}", file.display());
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    });
}

#[test]
fn the_programs_agree_with_the_model_in_every_case_of_the_past() {
    Fixture::run(PORTS.into(), |fixture| {
        let listener = Listener::start(fixture);
        for file in cases() {
            let text = fs::read_to_string(&file).expect("the file is there");
            let Case { description, scenario } =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            if let Err(difference) = agrees(fixture, &listener, &scenario) {
                panic!("{}: {difference}\n{description}", file.display());
            }
        }
    });
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

fn cases() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).expect("tests/cases is there").flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
            name.starts_with("agreement-") && Path::new(name).extension().is_some_and(|end| end == "json")
        })
    };
    let mut files: Vec<PathBuf> = files.filter(is_ours).collect();
    files.sort();
    files
}

/// Writes a case for whoever mends it.
fn keep(seed: u64, reason: &str, scenario: Scenario) -> PathBuf {
    let file = folder().join(format!("agreement-{seed}.json"));
    let description = format!("{reason}. Say here what was wrong, and give the file its name.");
    let text = serde_json::to_string_pretty(&Case { description, scenario }).expect("it is plain data");
    fs::write(&file, text + "\n").expect("tests/cases is writable");
    file
}

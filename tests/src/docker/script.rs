//! The script: what people do with Docker's networks, step by step, whoever drives them. A step says what it saw; a step
//! that fails says what it missed.
//!
//! Each step cleans up its containers; networks `net` and `two` are there from the first step on.

mod failures;
mod reach;
mod shape;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Binaries, Driver, World};

/// One step.
pub struct Step {
    /// What is tried, as the outcome table has it.
    pub title: &'static str,
    /// Panics where it misses something.
    run: fn(&mut World),
    /// Who is expected to be good at it.
    pub expected: Expected,
}

/// Who is expected to be good at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Both drivers.
    Both,
    /// vswitch alone.
    VswitchAlone,
    /// vswitch, and for the bridge driver there is no such thing to try.
    NoRival,
    /// Docker's bridge driver alone: libnetwork's protocol leaves it no other's.
    BridgeAlone,
}

impl Expected {
    /// Whether a driver is expected to be good.
    #[must_use]
    pub fn of(self, driver: Driver) -> bool {
        match self {
            Self::Both => true,
            Self::VswitchAlone | Self::NoRival => driver == Driver::Vswitch,
            Self::BridgeAlone => driver == Driver::Bridge,
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// See [`Step::title`].
    pub title: &'static str,
    /// See [`Step::expected`].
    pub expected: Expected,
    /// What was missed, if anything was.
    pub missed: Option<String>,
}

/// Every step, in order, by chapter; each chapter is run on a machine of its own.
#[must_use]
pub fn chapters() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("What containers and networks look like", shape::steps()),
        ("Who reaches whom", reach::steps()),
        ("What is killed, and what is left", failures::steps()),
    ]
}

const fn step(title: &'static str, run: fn(&mut World)) -> Step {
    Step { title, run, expected: Expected::Both }
}

const fn beyond(title: &'static str, run: fn(&mut World)) -> Step {
    Step { title, run, expected: Expected::VswitchAlone }
}

const fn of_its_own(title: &'static str, run: fn(&mut World)) -> Step {
    Step { title, run, expected: Expected::NoRival }
}

const fn short_of(title: &'static str, run: fn(&mut World)) -> Step {
    Step { title, run, expected: Expected::BridgeAlone }
}

/// Runs steps with a driver and an engine.
#[must_use]
pub fn run(driver: Driver, binaries: &Binaries, steps: Vec<Step>) -> Vec<Outcome> {
    let mut world = World::with(driver.name(), driver, binaries.clone(), &[]);
    world.numbered("net", 3, &[]);
    world.numbered("two", 4, &[]);
    let mut outcomes = Vec::new();
    for step in steps {
        if step.expected == Expected::NoRival && driver == Driver::Bridge {
            outcomes.push(Outcome { title: step.title, expected: step.expected, missed: None });
            continue;
        }
        let start = std::time::Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| (step.run)(&mut world)));
        let missed = result.err().map(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
        });
        let verdict = missed.as_deref().unwrap_or("good");
        eprintln!("{}: {}: {verdict} ({:.1?})", driver.name(), step.title, start.elapsed());
        outcomes.push(Outcome { title: step.title, expected: step.expected, missed });
        remove_all(&world);
    }
    outcomes
}

/// Removes every container, so that a step that missed something does not spoil the next.
fn remove_all(world: &World) {
    let all = world.engine.ok(&["ps", "--all", "--quiet"]);
    let all: Vec<&str> = all.split_whitespace().collect();
    if !all.is_empty() {
        world.engine.remove(&all);
    }
}

//! `cargo xtask VERB`: the project's own commands. One file per verb; `setup` comes before whatever builds.

mod bench;
mod build;
mod check;
mod conformance;
mod demo;
mod ebpf_cargo;
mod fuzz;
mod install;
mod lifecycle;
mod process;
mod run;
mod setup;
mod test;
mod uninstall;
mod verifier;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;

/// The project's own commands. Begin with `cargo xtask setup`
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    Setup(setup::Arguments),
    Build(build::Arguments),
    Run(run::Arguments),
    /// Before each commit: format, lints, documentation, unit tests, house rules
    Check,
    Test(test::Arguments),
    Verifier(verifier::Arguments),
    Fuzz(fuzz::Arguments),
    Conformance(conformance::Arguments),
    Bench(bench::Arguments),
    Lifecycle(lifecycle::Arguments),
    Install(install::Arguments),
    Uninstall(uninstall::Arguments),
}

impl Verb {
    /// Whether it is about a machine that need not have the sources.
    const fn is_of_a_machine(&self) -> bool {
        match self {
            Self::Install(arguments) => arguments.built.is_some(),
            Self::Uninstall(_) => true,
            _ => false,
        }
    }
}

fn main() -> ExitCode {
    let verb = Verb::parse();
    let done = enter_root(&verb).and_then(|()| match verb {
        Verb::Setup(arguments) => setup::run(&arguments),
        Verb::Build(arguments) => build::run(&arguments),
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Check => check::run(),
        Verb::Test(arguments) => test::run(&arguments),
        Verb::Verifier(arguments) => verifier::run(&arguments),
        Verb::Fuzz(arguments) => fuzz::run(&arguments),
        Verb::Conformance(arguments) => conformance::run(&arguments),
        Verb::Bench(arguments) => bench::run(&arguments),
        Verb::Lifecycle(arguments) => lifecycle::run(&arguments),
        Verb::Install(arguments) => install::run(&arguments),
        Verb::Uninstall(arguments) => uninstall::run(&arguments),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All verbs work in the project's folder, but for those that need nothing of it and may run where it is not.
fn enter_root(verb: &Verb) -> Result<()> {
    let root = process::root_dir();
    if verb.is_of_a_machine() && !root.exists() {
        return Ok(());
    }
    std::env::set_current_dir(&root).with_context(|| format!("cannot enter {}", root.display()))
}

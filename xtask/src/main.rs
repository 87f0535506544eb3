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

fn main() -> ExitCode {
    let done = enter_root().and_then(|()| match Verb::parse() {
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

fn enter_root() -> Result<()> {
    let root = process::root_dir();
    std::env::set_current_dir(&root).with_context(|| format!("cannot enter {}", root.display()))
}

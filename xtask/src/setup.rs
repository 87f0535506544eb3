//! `cargo xtask setup`: finds, and where it may installs, what the project needs beyond the pinned Rust toolchain.
//!
//! It looks first, decides in `plan` (pure, so that every machine can be tested on this one), and then acts. What it
//! builds lies in the project's `.tools/`; only packages and rustup components go to the machine, each announced with
//! its reason. Once all is there, a run is a look of a fraction of a second: every verb that builds begins with it.

mod linker;
mod lock;
mod machine;
mod packages;
mod plan;
mod probe;
mod toolchain;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use machine::Machine;
use plan::Action;

/// Finds or installs the eBPF toolchain, bpf-linker and the packages that tests and demo use
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print what is missing and what would be done about it; change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What every verb that builds calls first.
pub(crate) fn ensure() -> Result<()> {
    run(&Arguments { dry_run: false })
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    if plan::actions(&machine::look()?).is_empty() {
        println!("setup: everything is there ({:.1} s)", start.elapsed().as_secs_f32());
        return Ok(());
    }
    if arguments.dry_run {
        for action in plan::actions(&machine::look()?) {
            println!("setup would: {action}");
        }
        return Ok(());
    }
    let _lock = lock::take()?;
    // Another setup may have done the work while this one waited for the lock.
    let machine = machine::look()?;
    let mut refusals = Vec::new();
    for action in plan::actions(&machine) {
        println!("setup: {action}");
        match act(&action, &machine) {
            Ok(()) => {}
            Err(refusal) => refusals.push(format!("{refusal:#}")),
        }
    }
    if !refusals.is_empty() {
        bail!("setup is not complete:\n- {}", refusals.join("\n- "));
    }
    println!("setup: done ({:.1} s)", start.elapsed().as_secs_f32());
    Ok(())
}

fn act(action: &Action, machine: &Machine) -> Result<()> {
    match action {
        Action::Refuse { what, remedy } => bail!("{what}. Run: {remedy}"),
        Action::BuildLinker => linker::build(),
        Action::ChooseToolchain(ways) => toolchain::choose(ways, machine),
        Action::InstallPackages(packages) => packages::install(packages),
    }
}

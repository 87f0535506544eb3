//! `cargo xtask conformance`: which switch does what a switch should, measured, into `tests/CONFORMANCE.md`.

use anyhow::Result;
use clap::Args;

use crate::process::{cargo, need_root, run as run_command};
use crate::{build, setup};

/// Send the conformance table's frames through vswitch, the Linux bridge and Open vSwitch, and print the table (needs root)
#[derive(Args)]
pub(crate) struct Arguments {
    /// Write the table to tests/CONFORMANCE.md
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    need_root("conformance", "it makes network namespaces and loads programs into the kernel")?;
    setup::ensure()?;
    run_command(cargo("build").args(["--package", "vswitch", "--bins"]))?;
    let mut conformance = cargo("run");
    conformance.args(["--quiet", "--package", "vswitch-tests", "--bin", "conformance"]);
    if arguments.write {
        conformance.args(["--", "--write"]);
    }
    run_command(conformance.env("VSWITCH_BIN", build::target_dir().join("debug/vswitch")))
}

//! `cargo xtask test`: every test of the workspace, those that need a kernel and namespaces included.

use anyhow::Result;
use clap::Args;

use crate::process::{cargo, need_root, run as run_command};
use crate::{build, setup};

/// Run all tests of the workspace (needs root)
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Tests at a time: each of those in `tests/` runs several hosts and waits half of its time, and the smallest machine we
/// test on has two cores.
const THREADS: &str = "3";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    need_root("test", "its tests make network namespaces and load programs into the kernel")?;
    setup::ensure()?;
    // With the same packages as the tests, so that nothing is compiled twice.
    run_command(cargo("build").args(WORKSPACE).arg("--bins"))?;
    let mut test = cargo("test");
    test.args(WORKSPACE).arg("--no-fail-fast");
    test.args(&arguments.filter).args(["--", "--test-threads", THREADS]);
    run_command(test.env("VSWITCH_BIN", build::target_dir().join("debug/vswitch")))
}

/// All but the programs for the kernel, which have no test harness of their own: `tests/` runs them in the kernel.
const WORKSPACE: [&str; 3] = ["--workspace", "--exclude", "vswitch-ebpf"];

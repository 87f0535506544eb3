//! `cargo xtask verifier`: what the heaviest configuration costs, against the accepted `switch-ebpf/budget.toml`.

use anyhow::Result;

use crate::process::{cargo, need_root, run as run_command};
use crate::setup;

pub(crate) fn run() -> Result<()> {
    need_root("verifier", "the kernel counts instructions while it loads a program")?;
    setup::ensure()?;
    run_command(cargo("run").args(["--quiet", "--package", "vswitch-tests", "--bin", "verifier"]))
}

//! `cargo xtask verifier`: what the heaviest configuration costs, against the accepted `switch-ebpf/budget.toml`; and with
//! `--kernel` whether it loads and works on an older kernel.

mod kernel;

use anyhow::Result;
use clap::Args;

use crate::process::{cargo, need_root, run as run_command};
use crate::setup;

/// Compare what the kernel's verifier and the maps cost with switch-ebpf/budget.toml (needs root)
#[derive(Args)]
pub(crate) struct Arguments {
    /// Accept what is measured: write it into switch-ebpf/budget.toml
    #[arg(long)]
    write: bool,
    /// Boot Debian's newest kernel of a series, like 6.1, in qemu instead, and see whether the data path works there
    #[arg(long, value_name = "SERIES", conflicts_with = "write")]
    kernel: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(series) = &arguments.kernel {
        return kernel::run(series);
    }
    need_root("verifier", "the kernel counts instructions while it loads a program")?;
    setup::ensure()?;
    let mut verifier = cargo("run");
    verifier.args(["--quiet", "--package", "vswitch-tests", "--bin", "verifier"]);
    if arguments.write {
        verifier.args(["--", "--write"]);
    }
    run_command(&mut verifier)
}

//! `cargo xtask build`: setup, then the `vswitch` binary with the eBPF programs inside it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::process::{cargo, root_dir, run as run_command};
use crate::setup;

/// Build the vswitch binary
#[derive(Args)]
pub(crate) struct Arguments {
    /// Build it optimised, as `run` and `install` do
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binary = binary(arguments.release)?;
    println!("{}", binary.display());
    Ok(())
}

/// Sets up, builds, and says where the binary is.
pub(crate) fn binary(release: bool) -> Result<PathBuf> {
    setup::ensure()?;
    let mut build = cargo("build");
    build.args(["--package", "vswitch", "--bin", "vswitch"]);
    if release {
        build.arg("--release");
    }
    run_command(&mut build)?;
    Ok(target_dir().join(if release { "release/vswitch" } else { "debug/vswitch" }))
}

/// Where cargo puts what it builds here.
pub(crate) fn target_dir() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root_dir().join(Path::new(&chosen))
}

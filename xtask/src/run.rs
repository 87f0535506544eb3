//! `cargo xtask run`: a controller from this source in the foreground, or with `--demo` a whole small network to watch.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::process::need_root;
use crate::{build, demo};

/// Build and run the controller, or show the switch at work (both need root)
#[derive(Args)]
pub(crate) struct Arguments {
    /// Connect three hosts by a switch of their own, send traffic between them, and clean up at Ctrl-C
    #[arg(long)]
    demo: bool,
    /// Do not wait for Ctrl-C: leave as soon as the demo worked (status 0) or failed (status 1)
    #[arg(long, requires = "demo")]
    once: bool,
    /// What `vswitch run` is given
    #[arg(last = true, value_name = "ARGS", conflicts_with = "demo")]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    need_root("run", "it loads programs into the kernel")?;
    let binary = build::binary(true)?;
    if arguments.demo {
        return demo::run(&binary, arguments.once);
    }
    println!("The binary is {}. From another terminal:", binary.display());
    println!("  {} port add LINK", binary.display());
    println!(
        "or, after `cargo xtask install`, `vswitch port add LINK`. Ctrl-C ends the controller, not the forwarding."
    );
    let failure = Command::new(&binary).arg("run").args(&arguments.arguments).exec();
    Err(failure).with_context(|| format!("cannot start {}", binary.display()))
}

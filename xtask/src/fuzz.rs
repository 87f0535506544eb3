//! `cargo xtask fuzz`: inputs without end against what reads them.

use anyhow::Result;
use clap::Args;

use crate::process::{cargo, need_root, run as run_command};
use crate::setup;

/// Fuzz what reads frames, requests and files (needs root for the programs in the kernel)
#[derive(Args)]
pub(crate) struct Arguments {
    /// frame, pipeline, program, api, config, capture, dns or groups; all of them if none is named
    target: Option<String>,
    /// For each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// To get the same inputs again; else another each time
    #[arg(long)]
    seed: Option<u64>,
    /// Keep short inputs of which something new became in tests/corpus
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.target.as_deref().is_none_or(|target| target == "program") {
        need_root("fuzz", "the target `program` loads programs into the kernel")?;
    }
    setup::ensure()?;
    let mut fuzz = cargo("run");
    fuzz.args(["--quiet", "--package", "vswitch-tests", "--bin", "fuzz", "--"]);
    fuzz.args(&arguments.target).args(["--seconds", &arguments.seconds.to_string()]);
    if let Some(seed) = arguments.seed {
        fuzz.args(["--seed", &seed.to_string()]);
    }
    if arguments.keep {
        fuzz.arg("--keep");
    }
    run_command(&mut fuzz)
}

//! `cargo xtask test`: every test of the workspace, those that need a kernel and namespaces included.

mod binary;

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::{cargo, need_root, run as run_command};
use crate::{build, setup};
use binary::TestBinary;

/// Run all tests of the workspace (needs root)
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Test binaries at a time, and tests at a time in each: a test of those in `tests/` runs several hosts and waits half of
/// its time, and the smallest machine we test on has two cores.
const BINARIES: usize = 2;
const THREADS: usize = 2;

/// All but the programs for the kernel, which have no test harness of their own: `tests/` runs them in the kernel.
pub(crate) const WORKSPACE: [&str; 3] = ["--workspace", "--exclude", "vswitch-ebpf"];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    need_root("test", "its tests make network namespaces and load programs into the kernel")?;
    setup::ensure()?;
    let start = Instant::now();
    // With the same packages as the tests, so that nothing is compiled twice.
    run_command(cargo("build").args(WORKSPACE).arg("--bins"))?;
    // The next ABI version, which the tests of upgrades go to and back from.
    let next = ["--package", "vswitch", "--bin", "vswitch-next-abi", "--features", "next-abi"];
    run_command(cargo("build").args(next))?;
    let binaries = binary::build_all()?;
    let built_s = start.elapsed().as_secs();
    let mut failed = run_all(binaries, arguments.filter.as_deref());
    if run_command(cargo("test").args(WORKSPACE).args(["--quiet", "--doc"]).args(&arguments.filter)).is_err()
    {
        failed.push("documentation".to_owned());
    }
    let seconds = start.elapsed().as_secs() - built_s;
    if !failed.is_empty() {
        bail!("tests failed in: {}; their output is above", failed.join(", "));
    }
    println!("test: all good (built in {built_s} s, run in {seconds} s)");
    Ok(())
}

/// Runs binaries side by side and prints what each said when it ends; the names of those that failed.
fn run_all(binaries: Vec<TestBinary>, filter: Option<&str>) -> Vec<String> {
    let (waiting, failed) = (Mutex::new(binaries.into_iter()), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok()?.next();
    let environment = [
        ("VSWITCH_BIN", build::target_dir().join("debug/vswitch")),
        ("VSWITCH_NEXT_BIN", build::target_dir().join("debug/vswitch-next-abi")),
        ("VSWITCH_XTASK", build::target_dir().join("debug/xtask")),
    ];
    let work = || {
        while let Some(binary) = next() {
            let result = binary.run(filter, THREADS, &environment);
            let mut failed = failed.lock().expect("printing does not panic");
            match result {
                Ok(said) => print!("{said}"),
                Err(error) => {
                    println!("{error:#}");
                    failed.push(binary.name().to_owned());
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..BINARIES {
            scope.spawn(work);
        }
    });
    failed.into_inner().expect("printing does not panic")
}

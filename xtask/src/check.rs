//! `cargo xtask check`: what must hold before a commit. Every step runs, so that one look shows all there is to mend.

mod dependencies;
mod rules;
mod security;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{cargo, run as run_command};
use crate::setup;

/// A step: what it is, what to do when it fails, and the step itself.
type Step = (&'static str, &'static str, fn() -> Result<()>);

const STEPS: [Step; 8] = [
    ("format", "run `cargo fmt --all`", || run_command(cargo("fmt").args(["--all", "--", "--check"]))),
    ("house rules", "mend the files named above; the reasons are in xtask/README.md", rules::check),
    (
        "dependencies",
        "choose another crate, or say why in xtask/src/check/dependencies.rs",
        dependencies::check,
    ),
    ("lints", "mend what clippy names above; `cargo clippy --fix` does the simple ones", lint_host),
    ("lints, eBPF", "mend what clippy names above, in switch-ebpf/", lint_ebpf),
    ("documentation", "mend the comments that rustdoc names above", document),
    ("unit tests", "run the failed test alone: `cargo test --package PACKAGE NAME`", test_libraries),
    ("unit tests, xtask", "run the failed test alone: `cargo test --package xtask NAME`", || {
        run_command(cargo("test").args(["--quiet", "--package", "xtask"]))
    }),
];

pub(crate) fn run() -> Result<()> {
    setup::ensure()?;
    let start = Instant::now();
    let mut failed = Vec::new();
    for (name, remedy, step) in STEPS {
        println!("check: {name}");
        let start = Instant::now();
        let done = step();
        let seconds = start.elapsed().as_secs_f32();
        match done {
            Ok(()) => println!("check: {name}: good ({seconds:.1} s)"),
            Err(error) => {
                println!("check: {name}: FAILED ({seconds:.1} s): {error:#}");
                failed.push(format!("{name}: {remedy}"));
            }
        }
    }
    if !failed.is_empty() {
        bail!("check failed:\n- {}", failed.join("\n- "));
    }
    println!("check: all good ({:.1} s)", start.elapsed().as_secs_f32());
    Ok(())
}

fn lint_host() -> Result<()> {
    run_command(cargo("clippy").args([
        "--quiet",
        "--workspace",
        "--exclude",
        "vswitch-ebpf",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// The eBPF crate compiles for the host too, which spares the lints a second toolchain.
fn lint_ebpf() -> Result<()> {
    run_command(cargo("clippy").args(["--quiet", "--package", "vswitch-ebpf", "--", "--deny", "warnings"]))
}

fn document() -> Result<()> {
    run_command(
        cargo("doc")
            .args(["--quiet", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

fn test_libraries() -> Result<()> {
    run_command(cargo("test").args([
        "--quiet",
        "--package",
        "vswitch-common",
        "--package",
        "vswitch",
        "--lib",
        "--features",
        "vswitch-common/user",
    ]))
}

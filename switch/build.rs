//! Builds the data path for the kernel and leaves it in `$OUT_DIR/vswitch.bpf.o`, for the binary to include.
//!
//! The work is an inner `cargo build` of the package `vswitch-ebpf`, with the toolchain that `cargo xtask setup` chose:
//! `core` for BPF has to be built from source, which wants another toolchain than the pinned one. aya-build does the
//! same for rustup toolchains only; ours may be the distribution's.
//!
//! The inner build has a target folder of its own beside the outer build's profiles (two cargos must not wait for each
//! other's lock), so that `core` is built once however many variants of this package the outer build has. It takes the
//! versions of the same Cargo.lock, and speaks only when it fails.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[path = "../xtask/src/ebpf_cargo.rs"]
mod ebpf_cargo;

/// What decides the object, seen from the project's root.
const SOURCES: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "switch-ebpf/Cargo.toml",
    "switch-ebpf/src",
    "switch-ebpf/common/Cargo.toml",
    "switch-ebpf/common/src",
    ebpf_cargo::RECORD,
    ".tools/bin/bpf-linker",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let root = variable("CARGO_MANIFEST_DIR") + "/..";
    for source in SOURCES {
        println!("cargo::rerun-if-changed={root}/{source}");
    }
    let record = fs::read_to_string(Path::new(&root).join(ebpf_cargo::RECORD))
        .map_err(|_| "no toolchain for the eBPF programs yet: run `cargo xtask setup`".to_owned())?;

    let out_dir = PathBuf::from(variable("OUT_DIR"));
    let has_log = env::var_os("CARGO_FEATURE_EBPF_LOG").is_some();
    let target_dir = target_dir(&out_dir).join(if has_log { "ebpf-log" } else { "ebpf" });
    let mut cargo = ebpf_cargo::command(&record, &variable("CARGO_CFG_TARGET_ARCH"))?;
    cargo.args(["--locked", "--package", "vswitch-ebpf", "--bin", "vswitch-ebpf"]);
    if has_log {
        cargo.args(["--features", "log"]);
    }
    if env::var_os("CARGO_FEATURE_NEXT_ABI").is_some() {
        cargo.args(["--features", "next-abi"]);
    }
    cargo.arg("--target-dir").arg(&target_dir).current_dir(&root);

    let again = "if the toolchain is at fault, delete .tools/ebpf-toolchain and run `cargo xtask setup`";
    let output = cargo.output().map_err(|error| format!("cannot start {cargo:?}: {error}; {again}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{said}\nthe eBPF programs do not build, see above; {again}"));
    }
    let built = target_dir.join(ebpf_cargo::TARGET).join("release/vswitch-ebpf");
    fs::copy(&built, out_dir.join("vswitch.bpf.o"))
        .map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    Ok(())
}

/// The outer build's target folder: `OUT_DIR` is TARGET/PROFILE/build/PACKAGE/out, with the target's name before the profile
/// where one was asked for.
fn target_dir(out_dir: &Path) -> &Path {
    out_dir.ancestors().nth(4).unwrap_or(out_dir)
}

/// A variable that cargo sets for every build script.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for a build script"))
}

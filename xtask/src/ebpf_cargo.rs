//! The one cargo call that builds for the kernel's BPF machine.
//!
//! Two programs make it: `switch/build.rs`, which takes this file in with `#[path]`, and `cargo xtask setup`, which
//! tries a toolchain with it before it writes the record. So what setup found to work is what the build does. The
//! record (`.tools/ebpf-toolchain`) is lines of KEY=VALUE; which toolchain they name and why is setup's matter.

use std::process::Command;

/// The little-endian BPF target: x86_64 and aarch64 kernels run it.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// Where `cargo xtask setup` notes the toolchain, seen from the project's root.
pub(crate) const RECORD: &str = ".tools/ebpf-toolchain";

/// `cargo build --release` for [`TARGET`], with the toolchain that `record` names.
///
/// `host_arch` is what aya calls `bpf_target_arch`: the layout of the kernel's register structures. The caller adds
/// the package, the features and the folders. Fails with the name of a key that `record` lacks.
pub(crate) fn command(record: &str, host_arch: &str) -> Result<Command, String> {
    let mut command = Command::new(value(record, "CARGO")?);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(belongs_to_the_outer_build) {
            command.env_remove(name);
        }
    }
    for name in ["RUSTC", "RUSTC_BOOTSTRAP", "LD_LIBRARY_PATH"] {
        command.env(name, value(record, name)?);
    }
    // An empty wrapper overrules one from the user's cargo configuration.
    command.env("RUSTC_WRAPPER", "");
    let flags = [
        format!("--cfg=bpf_target_arch=\"{host_arch}\""),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clinker={}", value(record, "LINKER")?),
    ];
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    command.args(["build", "--release", "--target", TARGET, "-Z", "build-std=core"]);
    Ok(command)
}

/// The value of `key` in the record.
pub(crate) fn value<'a>(record: &'a str, key: &str) -> Result<&'a str, String> {
    record
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .ok_or_else(|| format!("{RECORD} has no {key}"))
}

/// What an enclosing cargo sets for its own compiler; how to reach a registry and the job server stay.
fn belongs_to_the_outer_build(name: &str) -> bool {
    const KEPT: [&str; 6] =
        ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let outer = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CLIPPY_"];
    outer.iter().any(|prefix| name.starts_with(prefix)) && !KEPT.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_without_a_key_is_refused_by_its_name() {
        let refusal = command("CARGO=/bin/cargo\n", "x86_64").expect_err("RUSTC is missing");
        assert!(refusal.contains("no RUSTC"), "{refusal}");
    }

    #[test]
    fn key_is_not_mistaken_for_a_longer_one() {
        assert_eq!(value("RUSTC_BOOTSTRAP=1\nRUSTC=/bin/rustc\n", "RUSTC"), Ok("/bin/rustc"));
    }

    #[test]
    fn outer_build_is_hidden_and_the_way_to_the_registry_is_not() {
        for hidden in ["RUSTC", "RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN", "CARGO"] {
            assert!(belongs_to_the_outer_build(hidden), "{hidden}");
        }
        for kept in ["CARGO_HOME", "CARGO_HTTP_PROXY", "RUSTUP_HOME", "PATH", "CARGO_MAKEFLAGS"] {
            assert!(!belongs_to_the_outer_build(kept), "{kept}");
        }
    }
}

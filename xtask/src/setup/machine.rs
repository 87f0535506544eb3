//! What is there: the state of the machine and of `.tools/` as far as setup cares. Looking changes nothing.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::linker;
use super::packages::{self, Package};
use super::toolchain::{self, Toolchain};
use crate::process::{cargo, read};

/// What the look found; `plan` decides on this alone.
pub(crate) struct Machine {
    pub root: bool,
    /// `apt-get` is there.
    pub apt: bool,
    /// Parts of the pinned toolchain that do not run: rustfmt, clippy.
    pub components_missing: Vec<&'static str>,
    /// bpf-linker of the right version is in `.tools/bin`.
    pub linker: bool,
    /// `.tools/ebpf-toolchain` names a toolchain that is still as it was when it was tried.
    pub record_holds: bool,
    /// Toolchains to choose from, best first; empty while the record holds, since nobody asks then.
    pub toolchains: Vec<Toolchain>,
    pub packages_missing: Vec<&'static Package>,
}

pub(crate) fn look() -> Result<Machine> {
    let record_holds = toolchain::record_holds();
    Ok(Machine {
        root: nix::unistd::geteuid().is_root(),
        apt: is_in_path("apt-get"),
        components_missing: components_missing(),
        linker: linker::is_built(),
        record_holds,
        toolchains: if record_holds { Vec::new() } else { toolchain::find() },
        packages_missing: packages::missing()?,
    })
}

fn components_missing() -> Vec<&'static str> {
    let absent = |verb| read(cargo(verb).arg("--version")).is_err();
    [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter_map(|(verb, component)| absent(verb).then_some(component))
        .collect()
}

/// Whether a program is in the path, or in the folders of administrators that the path of others lacks.
pub(crate) fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let admin = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).to_owned());
    std::env::split_paths(&path).chain(admin).any(|folder| folder.join(program).is_file())
}

/// The first line of what a program says of its version; none when it does not run.
pub(crate) fn version(program: &Path) -> Option<String> {
    let said = read(Command::new(program).arg("--version")).ok()?;
    said.lines().next().map(str::to_owned)
}

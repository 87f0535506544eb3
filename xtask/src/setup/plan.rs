//! What is to be done on a machine: a pure function of what the look found.

use std::fmt;

use super::linker;
use super::machine::Machine;
use super::packages::{self, Package};
use super::toolchain::{DEBIAN_PACKAGES, Toolchain};

/// A step of setup, in the order in which setup takes them.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Nothing setup may do itself.
    Refuse {
        what: String,
        remedy: String,
    },
    BuildLinker,
    /// The ways to a toolchain that builds eBPF programs, to be tried in turn.
    ChooseToolchain(Vec<Way>),
    InstallPackages(Vec<&'static Package>),
}

/// A way to a toolchain.
#[derive(Debug, PartialEq)]
pub(crate) enum Way {
    Use(Toolchain),
    /// `rustup component add rust-src`.
    AddCoreSource(Toolchain),
    /// The distribution's, by apt.
    InstallDebian,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse { what, remedy } => write!(f, "fail: {what}. The remedy: {remedy}"),
            Self::BuildLinker => write!(
                f,
                "build bpf-linker {} into .tools/ (about a minute): it links what rustc compiles for the kernel",
                linker::VERSION
            ),
            Self::ChooseToolchain(ways) => {
                write!(f, "choose a toolchain for the eBPF programs, which need `core` built from source; ")?;
                let ways: Vec<_> = ways.iter().map(Way::to_string).collect();
                write!(f, "in this order: {}", ways.join(", else "))
            }
            Self::InstallPackages(packages) => {
                let packages: Vec<_> = packages.iter().map(ToString::to_string).collect();
                write!(f, "install by apt what tests and demo use: {}", packages.join(", "))
            }
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |toolchain: &Toolchain| match &toolchain.rustup_name {
            Some(name) => name.clone(),
            None => format!("the distribution's {}", toolchain.version),
        };
        match self {
            Self::Use(toolchain) => write!(f, "{}", name(toolchain)),
            Self::AddCoreSource(toolchain) => write!(f, "{} with rust-src added by rustup", name(toolchain)),
            Self::InstallDebian => write!(f, "apt's {}", DEBIAN_PACKAGES.join(" ")),
        }
    }
}

/// All that is to be done; empty when nothing is missing.
pub(crate) fn actions(machine: &Machine) -> Vec<Action> {
    let mut actions = Vec::new();
    if !machine.components_missing.is_empty() {
        let components = machine.components_missing.join(" ");
        actions.push(Action::Refuse {
            what: format!("the pinned Rust toolchain lacks {components}, which `cargo xtask check` needs"),
            remedy: format!(
                "rustup component add --toolchain {}.0 {components}",
                env!("CARGO_PKG_RUST_VERSION")
            ),
        });
    }
    if !machine.linker {
        actions.push(Action::BuildLinker);
    }
    actions.extend(toolchain(machine));
    actions.extend(packages(machine));
    actions
}

fn toolchain(machine: &Machine) -> Option<Action> {
    if machine.record_holds {
        return None;
    }
    let ways = ways(machine);
    if !ways.is_empty() {
        return Some(Action::ChooseToolchain(ways));
    }
    let unfit: Vec<_> = machine
        .toolchains
        .iter()
        .filter_map(|toolchain| Some(format!("{} {}", toolchain.version, unfitness(toolchain)?)))
        .collect();
    let what = match unfit.is_empty() {
        true => "there is no toolchain for the eBPF programs".to_owned(),
        false => format!("no toolchain here builds the eBPF programs: {}", unfit.join("; ")),
    };
    let remedy = match machine.apt {
        true => packages::apt_line(&DEBIAN_PACKAGES),
        false => {
            format!("rustup toolchain install {}.0 --component rust-src", env!("CARGO_PKG_RUST_VERSION"))
        }
    };
    Some(Action::Refuse { what, remedy })
}

/// What is there goes before what must be fetched; within each, the order of the look.
fn ways(machine: &Machine) -> Vec<Way> {
    let fit = || machine.toolchains.iter().filter(|toolchain| speaks_to_linker(toolchain));
    let ready = fit().filter(|toolchain| toolchain.has_core_source).cloned().map(Way::Use);
    let extensible = |toolchain: &&Toolchain| !toolchain.has_core_source && toolchain.rustup_name.is_some();
    let extended = fit().filter(extensible).cloned().map(Way::AddCoreSource);
    let distribution_is_fit =
        fit().any(|toolchain| toolchain.rustup_name.is_none() && toolchain.has_core_source);
    let debian = (machine.apt && machine.root && !distribution_is_fit).then_some(Way::InstallDebian);
    ready.chain(extended).chain(debian).collect()
}

/// Why a toolchain will not do as it is; none when nothing speaks against it.
pub(crate) fn unfitness(toolchain: &Toolchain) -> Option<String> {
    if !speaks_to_linker(toolchain) {
        let major = toolchain.llvm_major.map_or("an unknown".to_owned(), |major| major.to_string());
        let (version, wanted) = (linker::VERSION, linker::LLVM_MAJOR);
        return Some(format!(
            "has LLVM {major}, and bpf-linker {version} needs {wanted} as a shared library"
        ));
    }
    (!toolchain.has_core_source).then(|| "lacks the source of core (rust-src)".to_owned())
}

fn speaks_to_linker(toolchain: &Toolchain) -> bool {
    toolchain.llvm_major == Some(linker::LLVM_MAJOR) && toolchain.llvm_library.is_some()
}

fn packages(machine: &Machine) -> Option<Action> {
    if machine.packages_missing.is_empty() {
        return None;
    }
    if machine.apt && machine.root {
        return Some(Action::InstallPackages(machine.packages_missing.clone()));
    }
    let names: Vec<_> = machine.packages_missing.iter().map(|package| package.name).collect();
    let remedy = match machine.apt {
        true => packages::apt_line(&names),
        false => format!("your package manager for what Debian calls {}", names.join(" ")),
    };
    let what = format!("tests and demo use {}", names.join(", "));
    Some(Action::Refuse { what: format!("{what}, which this machine lacks"), remedy })
}

#[cfg(test)]
mod tests;

//! The toolchain that builds the eBPF programs: a rustc and cargo with the source of `core`, and the LLVM that rustc
//! links with, for bpf-linker to borrow.
//!
//! The pinned toolchain builds everything else. A candidate is used only after a program was built with it (`probe`);
//! then `.tools/ebpf-toolchain` records it for `switch/build.rs`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::machine::{Machine, version};
use super::plan::Way;
use super::{linker, packages, probe};
use crate::ebpf_cargo::{RECORD, value};
use crate::process::{read, root_dir, run};

/// Debian's set; `-web` because it was made to build web browsers on old releases. Debian 12 has it in its security
/// archive.
pub(crate) const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// A toolchain that is installed, whether or not it will do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Toolchain {
    /// Its name in rustup; none for the distribution's.
    pub rustup_name: Option<String>,
    pub rustc: PathBuf,
    pub cargo: PathBuf,
    /// The first line of `rustc --version`.
    pub version: String,
    pub llvm_major: Option<u32>,
    /// The shared LLVM that belongs to this rustc, if it is of the right major.
    pub llvm_library: Option<PathBuf>,
    pub has_core_source: bool,
}

/// All that are installed, in the order in which to prefer them: nightlies, rustup's others of the pinned version,
/// the distribution's.
pub(crate) fn find() -> Vec<Toolchain> {
    let list = read(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let mut found: Vec<_> = rustup_names(&list).into_iter().filter_map(rustup_toolchain).collect();
    found.extend(describe(None, Path::new("/usr/bin/rustc")));
    found
}

/// Nightlies first, then the toolchain of this very process, from the output of `rustup toolchain list`.
fn rustup_names(list: &str) -> Vec<&str> {
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    let (nightlies, others): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with("nightly"));
    let pinned = others.into_iter().filter(|name| name.starts_with(env!("CARGO_PKG_RUST_VERSION")));
    nightlies.into_iter().chain(pinned).collect()
}

fn rustup_toolchain(name: &str) -> Option<Toolchain> {
    let rustc = read(Command::new("rustup").args(["which", "--toolchain", name, "rustc"])).ok()?;
    describe(Some(name), Path::new(rustc.trim()))
}

fn describe(rustup_name: Option<&str>, rustc: &Path) -> Option<Toolchain> {
    let said = read(Command::new(rustc).arg("-vV")).ok()?;
    let sysroot = read(Command::new(rustc).args(["--print", "sysroot"])).ok()?;
    let sysroot = Path::new(sysroot.trim());
    let cargo = rustc.with_file_name("cargo");
    let llvm_major = llvm_major(&said);
    Some(Toolchain {
        rustup_name: rustup_name.map(str::to_owned),
        rustc: rustc.to_owned(),
        version: said.lines().next()?.to_owned(),
        llvm_major,
        llvm_library: llvm_library(sysroot),
        has_core_source: sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file(),
        cargo: cargo.is_file().then_some(cargo)?,
    })
}

/// From `LLVM version: 22.1.2`.
fn llvm_major(said: &str) -> Option<u32> {
    let line = said.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

fn llvm_library(sysroot: &Path) -> Option<PathBuf> {
    let lib = sysroot.join("lib");
    let multiarch = lib.join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let prefix = format!("libLLVM.so.{}", linker::LLVM_MAJOR);
    [lib, multiarch].iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten().find_map(
        |file| {
            let name = file.file_name();
            name.to_str()?.starts_with(&prefix).then(|| file.path())
        },
    )
}

/// Whether the record's toolchain is still the one that was tried.
pub(crate) fn record_holds() -> bool {
    let Ok(record) = fs::read_to_string(RECORD) else {
        return false;
    };
    let get = |key| value(&record, key).map(Path::new).ok();
    let (Some(rustc), Some(cargo), Some(linker), Some(llvm)) =
        (get("RUSTC"), get("CARGO"), get("LINKER"), get("LD_LIBRARY_PATH"))
    else {
        return false;
    };
    linker == linker::path()
        && cargo.is_file()
        && llvm.join(LLVM_LINK).is_file()
        && version(rustc).is_some_and(|version| value(&record, "VERSION") == Ok(&*version))
        && describe(None, rustc).is_some_and(|toolchain| toolchain.has_core_source)
}

/// Goes the ways in turn until a toolchain builds a program, and records that one.
pub(crate) fn choose(ways: &[Way], machine: &Machine) -> Result<()> {
    let mut failures = Vec::new();
    for way in ways {
        println!("setup: trying {way}");
        match go(way, machine) {
            Ok(toolchain) => {
                println!("setup: {} builds eBPF programs; noted in {RECORD}", toolchain.version);
                return Ok(());
            }
            Err(failure) => {
                println!("setup: that did not work: {failure:#}");
                failures.push(format!("{way}: {failure:#}"));
            }
        }
    }
    bail!(
        "no way to an eBPF toolchain worked ({}). Run one of: `rustup component add rust-src --toolchain {}`, \
         `{}`; then `cargo xtask setup`",
        failures.join("; "),
        env!("CARGO_PKG_RUST_VERSION").to_owned() + ".0",
        packages::apt_line(&DEBIAN_PACKAGES)
    )
}

fn go(way: &Way, machine: &Machine) -> Result<Toolchain> {
    let toolchain = match way {
        Way::Use(toolchain) => toolchain.clone(),
        Way::AddCoreSource(toolchain) => {
            let name = toolchain.rustup_name.as_deref().context("only rustup adds components")?;
            let add = ["component", "add", "rust-src", "--toolchain", name];
            run(Command::new("rustup").args(add).env("RUST_BACKTRACE", "0"))?;
            rustup_toolchain(name).context("it is gone")?
        }
        Way::InstallDebian => {
            anyhow::ensure!(machine.root, "needs root: {}", packages::apt_line(&DEBIAN_PACKAGES));
            packages::apt_install(&DEBIAN_PACKAGES)?;
            describe(None, Path::new("/usr/bin/rustc")).context("/usr/bin/rustc or cargo is not there")?
        }
    };
    let record = record(&toolchain)?;
    probe::build(&record)?;
    let draft = format!("{RECORD}.new");
    fs::write(&draft, record).with_context(|| format!("cannot write {draft}"))?;
    fs::rename(&draft, RECORD).with_context(|| format!("cannot write {RECORD}"))?;
    Ok(toolchain)
}

const LLVM_LINK: &str = "libLLVM.so";

/// The text of the record. bpf-linker loads the first `libLLVM*` it meets in a folder, and a distribution's folder may
/// hold several: so it gets a folder of its own with one link in it.
fn record(toolchain: &Toolchain) -> Result<String> {
    if let Some(unfit) = super::plan::unfitness(toolchain) {
        bail!("{unfit}");
    }
    let folder = root_dir().join(".tools/llvm");
    let library = toolchain.llvm_library.as_ref().context("it has no shared LLVM")?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let link = folder.join(LLVM_LINK);
    match fs::remove_file(&link) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", link.display()));
        }
        _ => symlink(library, &link).with_context(|| format!("cannot make {}", link.display()))?,
    }
    Ok(format!(
        "# Written by `cargo xtask setup`, read by switch/build.rs. Delete it to have setup choose again.\n\
         VERSION={}\nCARGO={}\nRUSTC={}\nRUSTC_BOOTSTRAP=1\nLINKER={}\nLD_LIBRARY_PATH={}\n",
        toolchain.version,
        toolchain.cargo.display(),
        toolchain.rustc.display(),
        linker::path().display(),
        folder.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nightlies_come_before_the_pinned_toolchain_and_no_other_counts() {
        let list = "stable-x86_64-unknown-linux-gnu (default)\n1.95.0-x86_64-unknown-linux-gnu (active)\n\
                    1.80.1-x86_64-unknown-linux-gnu\nnightly-x86_64-unknown-linux-gnu\nnightly-2026-01-01-x86_64\n";
        let expected = [
            "nightly-x86_64-unknown-linux-gnu",
            "nightly-2026-01-01-x86_64",
            "1.95.0-x86_64-unknown-linux-gnu",
        ];
        assert_eq!(rustup_names(list), expected);
        assert!(rustup_names("no installed toolchains\n").is_empty());
    }

    #[test]
    fn major_of_llvm_is_read_from_what_rustc_says() {
        assert_eq!(llvm_major("rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.95.0\n"), None);
    }
}

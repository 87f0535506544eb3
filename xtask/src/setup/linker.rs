//! bpf-linker, built into the project's own `.tools/`: nobody's path changes, and every copy of the project has the
//! version it was tested with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::machine::version;
use crate::process::{cargo, root_dir, run};

/// The newest that borrows rustc's own LLVM; later ones want an LLVM development tree.
pub(crate) const VERSION: &str = "0.10.4";

/// The LLVM that this bpf-linker speaks to. Bitcode of another major is not readable for it.
pub(crate) const LLVM_MAJOR: u32 = 22;

/// Where it is or will be.
pub(crate) fn path() -> PathBuf {
    root_dir().join(".tools/bin/bpf-linker")
}

pub(crate) fn is_built() -> bool {
    is_right(version(&path()).as_deref())
}

fn is_right(version: Option<&str>) -> bool {
    version.and_then(|line| line.strip_prefix("bpf-linker ")) == Some(VERSION)
}

pub(crate) fn build() -> Result<()> {
    run(cargo("install")
        .args(["bpf-linker", "--version", VERSION, "--locked", "--quiet", "--force", "--root"])
        .arg(Path::new(&root_dir()).join(".tools"))
        // Warns that .tools/bin is not in the path, as it should be.
        .env("CARGO_TERM_QUIET", "true"))
    .context("cannot build bpf-linker: is crates.io reachable, is a C compiler (`gcc`) installed?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tested_version_counts_as_built() {
        assert!(is_right(Some("bpf-linker 0.10.4")));
        assert!(!is_right(Some("bpf-linker 0.10.40")));
        assert!(!is_right(Some("bpf-linker 0.9.0")));
        assert!(!is_right(None));
    }
}

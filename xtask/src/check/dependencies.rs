//! What the dependencies may be: from the registry alone and with a checksum, under licences that ours go with, and none of
//! those that we do without on purpose.
//!
//! That is what `cargo deny` says of licences, bans and sources, in a second and without building it. The fourth are advisories.
//! Their database is a git repository, which not every machine reaches: they are looked up where `cargo audit` is installed, in
//! a copy of the database if [`DATABASE`] names one.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, read, run};

/// The one source, as Cargo.lock has it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that may stand alone in an expression. All ask for their text to go along, none for our source.
const LICENCES: [&str; 9] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What the eBPF programs are under besides, and no dependency.
const OURS: &str = "vswitch-ebpf";

/// Crates that we do without: C libraries in a process that is nearly root.
const BANNED: [&str; 3] = ["openssl-sys", "native-tls", "libbpf-sys"];

/// Variable with the folder of a copy of the advisories.
const DATABASE: &str = "VSWITCH_ADVISORIES";

pub(crate) fn check() -> Result<()> {
    let lock = fs::read_to_string("Cargo.lock").context("Cargo.lock")?;
    let arguments = ["--workspace", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"];
    let tree = read(cargo("tree").args(arguments).args(["--edges", "normal,build,dev"]))?;
    let mut complaints = of_lock(&lock);
    complaints.extend(of_licences(&tree));
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => check_advisories(),
        count => bail!("{count} complaints"),
    }
}

/// Refuses versions that an advisory warns of.
fn check_advisories() -> Result<()> {
    if read(cargo("audit").arg("--version")).is_err() {
        println!("check: advisories: skipped, there is no cargo-audit: `cargo install --locked cargo-audit`");
        return Ok(());
    }
    let mut audit = cargo("audit");
    if let Some(folder) = std::env::var_os(DATABASE) {
        audit.args(["--no-fetch", "--db"]).arg(folder);
    }
    run(audit.args(["--quiet", "--deny", "warnings"]))
        .with_context(|| format!("where the advisories cannot be reached, name a copy of them in {DATABASE}"))
}

/// Sources, checksums and names.
fn of_lock(lock: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            line.map(|value| value.trim_end_matches('"'))
        };
        let name = value("name").unwrap_or_default();
        match value("source") {
            None => {}
            Some(REGISTRY) if value("checksum").is_some() => {}
            Some(REGISTRY) => complaints.push(format!("{name}: has no checksum in Cargo.lock")),
            Some(other) => complaints.push(format!("{name}: comes from {other}, not from the registry")),
        }
        if BANNED.contains(&name) {
            complaints.push(format!(
                "{name}: is one of those that we do without; see xtask/src/check/dependencies.rs"
            ));
        }
    }
    complaints
}

/// Lines of `NAME VERSION …|LICENCE`.
fn of_licences(tree: &str) -> Vec<String> {
    let lines: BTreeSet<&str> = tree.lines().filter(|line| !line.is_empty()).collect();
    let refused = lines.into_iter().filter_map(|line| {
        let (package, licence) = line.rsplit_once('|')?;
        let name = package.split(' ').next().unwrap_or_default();
        let is_ours = name == OURS;
        (!is_ours && !is_allowed(licence))
            .then(|| format!("{package}: licence {licence:?} is not among those allowed"))
    });
    refused.collect()
}

/// Whether one of the alternatives, `OR` or the old `/`, is made of allowed licences only.
fn is_allowed(licence: &str) -> bool {
    let licence = licence.trim();
    // Brackets stand around alternatives here, and `AND` between them: each part must be allowed by itself.
    let parts = licence.split(" AND ").map(|part| part.trim().trim_matches(['(', ')']));
    let mut parts = parts.map(|part| {
        let alternatives = part.split(" OR ").flat_map(|one| one.split('/'));
        alternatives.into_iter().any(|one| LICENCES.contains(&one.trim()))
    });
    !licence.is_empty() && parts.all(|is_good| is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_are_one_of_and_joined_licences_all_of() {
        for good in ["MIT", "MIT OR GPL-3.0", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR AGPL-3.0) AND MIT"] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn a_package_from_elsewhere_or_without_a_checksum_is_named() {
        let lock = "[[package]]\nname = \"ours\"\nversion = \"1\"\n\n[[package]]\nname = \"evil\"\nsource = \"git+https://x\"\n\n\
                    [[package]]\nname = \"bare\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        let complaints = of_lock(lock);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].starts_with("evil: comes from git"), "{complaints:?}");
        assert!(complaints[1].starts_with("bare: has no checksum"), "{complaints:?}");
    }
}

//! `cargo xtask conformance`: measures the conformance table, prints it, and writes it to `tests/CONFORMANCE.md` if asked to.
//! Fails where vswitch does not as a row says.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use vswitch_tests::conformance::{Candidate, Table, versions};
use vswitch_tests::switch::Ovs;

/// Where the table is kept.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/CONFORMANCE.md");

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_write = match arguments.as_slice() {
        [] => false,
        [only] if only == "--write" => true,
        _ => bail!("usage: conformance [--write]"),
    };
    Ovs::installed().map_err(anyhow::Error::msg)?;
    let table = Table::measure(&Candidate::ALL);
    let text = table.markdown(&versions());
    println!("{text}");
    if is_write {
        fs::write(FILE, text).context("cannot write tests/CONFORMANCE.md")?;
    }
    match table.faults().as_slice() {
        [] => Ok(()),
        faults => bail!("vswitch does otherwise:\n{}", faults.join("\n")),
    }
}

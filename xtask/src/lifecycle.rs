//! `cargo xtask lifecycle`: every fault of the lifecycle in its long form, and `tests/LIFECYCLE.md` from what came of it.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::process::{cargo, need_root, run as run_command};
use crate::{build, setup};

/// Kill, upgrade, wear out and flood the switch for long, and write tests/LIFECYCLE.md (needs root; twenty minutes and more)
#[derive(Args)]
pub(crate) struct Arguments {
    /// As often as `cargo xtask test` does: some minutes
    #[arg(long)]
    short: bool,
    /// Only tests whose name contains this; the other rows stay
    filter: Option<String>,
}

const TABLE: &str = "tests/LIFECYCLE.md";

/// How often each fault happens in the long form, unless the environment says otherwise.
const LONG: [(&str, &str); 5] = [
    ("VSWITCH_KILLS", "500"),
    ("VSWITCH_PROBES", "60000"),
    ("VSWITCH_CHURN", "1000"),
    ("VSWITCH_SOAK", "100000"),
    ("VSWITCH_REQUESTS", "10000"),
];

const HEAD: &str = "\
# What happened to the switch, and what was lost

Written by `cargo xtask lifecycle [--short] [FILTER]` from what the tests of [endurance](tests/endurance/README.md) found; a test that
fails writes no row. `–`: a Linux bridge and docker0 have no such thing, or nobody measured it. docker0 is Debian's dockerd in
namespaces of its own, as it comes. Optimised build, 2-core VM: counts are exact, times and rates are what such a machine gives.

| fault | what vswitch did | lost | Linux bridge, docker0 |
|---|---|---|---|
";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    need_root("lifecycle", "its tests make network namespaces and load programs into the kernel")?;
    setup::ensure()?;
    let binary = build::binary(true)?;
    let rows = build::target_dir().join("lifecycle-rows");
    let _none = fs::remove_file(&rows);
    let mut test = cargo("test");
    test.args(["--package", "vswitch-tests", "--test", "endurance"]).args(&arguments.filter);
    test.args(["--", "--test-threads", "1", "--nocapture"]).env("VSWITCH_LIFECYCLE_ROWS", &rows);
    test.env("VSWITCH_BIN", binary);
    if !arguments.short {
        test.envs(LONG.into_iter().filter(|(variable, _)| std::env::var_os(variable).is_none()));
    }
    let done = run_command(&mut test);
    let found = fs::read_to_string(&rows).unwrap_or_default();
    ensure!(!found.is_empty(), "no test found anything out: {:?}", done.err());
    let before = fs::read_to_string(TABLE).unwrap_or_default();
    fs::write(TABLE, HEAD.to_owned() + &merge(rows_of(&before), &found)).context(TABLE)?;
    println!("wrote {TABLE}");
    done
}

/// The rows of a table below its head.
fn rows_of(table: &str) -> &str {
    table.split_once("|---|---|---|---|\n").map_or("", |(_, rows)| rows)
}

/// Rows by fault: a new one takes the place of the old one, and those that were not found out this time stay.
fn merge(before: &str, found: &str) -> String {
    let fault = |row: &str| row.split('|').nth(1).unwrap_or_default().trim().to_owned();
    let mut rows: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    for row in before.lines().chain(found.lines()).filter(|row| row.starts_with("| ")) {
        rows.insert(fault(row), row.to_owned());
    }
    rows.into_values().map(|row| row + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_was_found_again_takes_its_old_place() {
        let table = HEAD.to_owned() + "| a | x | 1 | – |\n| b | y | 2 | – |\n";
        assert_eq!(merge(rows_of(&table), "| b | z | 0 | – |\n"), "| a | x | 1 | – |\n| b | z | 0 | – |\n");
    }
}

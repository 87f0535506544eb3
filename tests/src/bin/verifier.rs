//! `cargo xtask verifier`: loads the data path apart from everything else and holds its cost against
//! `switch-ebpf/budget.toml`. Fails when a figure is over budget, and when it is so far under that the budget is untrue.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use vswitch_tests::program::{Budget, Costs, Finding, Row, apart, cpus, obstacle};

/// The accepted figures.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../switch-ebpf/budget.toml");
/// For a new file: kernels differ by about this much.
const SLACK_PERCENT: u64 = 20;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("verifier: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_write = match arguments.as_slice() {
        [] => false,
        [only] if only == "--write" => true,
        _ => bail!("usage: verifier [--write]"),
    };
    if let Some(obstacle) = obstacle() {
        bail!("{obstacle}");
    }
    let file = Path::new(FILE);
    let accepted = if file.exists() { Some(read(file)?) } else { None };
    ensure!(accepted.is_some() || is_write, "there is no switch-ebpf/budget.toml: make it with --write");
    let measured = apart(Costs::measure)?;
    let budget = accepted.unwrap_or_else(|| Budget { slack_percent: SLACK_PERCENT, costs: measured.clone() });
    let rows = budget.compare(&measured, cpus()?);
    print(&rows, cpus()?);
    if is_write {
        let text = Budget { costs: measured, ..budget }.text();
        return fs::write(file, text).context("cannot write switch-ebpf/budget.toml");
    }
    judge(&rows)
}

fn read(file: &Path) -> Result<Budget> {
    let text = fs::read_to_string(file).context("cannot read switch-ebpf/budget.toml")?;
    toml::from_str(&text).context("switch-ebpf/budget.toml")
}

fn print(rows: &[Row], cpus: u64) {
    println!("{:<14} {:<21} {:>10} {:>10} {:>6}", "", "", "measured", "accepted", "");
    for row in rows {
        let share = match row.accepted {
            0 => String::new(),
            accepted => format!("{:.0} %", row.measured as f64 * 100.0 / accepted as f64),
        };
        let line = format!(
            "{:<14} {:<21} {:>10} {:>10} {share:>6}  {}",
            row.subject,
            row.figure,
            row.measured,
            row.accepted,
            row.finding.text()
        );
        println!("{}", line.trim_end());
    }
    let bytes: u64 = rows.iter().filter(|row| row.figure == "bytes").map(|row| row.measured).sum();
    println!("all maps: {:.1} MiB with {cpus} CPUs", bytes as f64 / f64::from(1 << 20));
}

fn judge(rows: &[Row]) -> Result<()> {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| row.finding != Finding::Within)
        .map(|row| format!("{} {}: {}", row.subject, row.figure, row.finding.text()))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "{}; make it smaller, or accept it with `cargo xtask verifier --write` and say in the commit what it buys",
        wrong.join(", ")
    )
}

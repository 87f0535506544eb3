//! `cargo xtask bench`: optimised builds of switch and bench, then the bench itself, which has the arguments.
//! `cargo xtask bench criterion` is another: the pure decision alone, without root and without a kernel's part in it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::build;
use crate::process::{cargo, need_root, run as run_command};

/// Measure vswitch beside docker0, the Linux bridge and others; writes bench/RESULTS.md (needs root, `-- --help` for more)
#[derive(Args)]
pub(crate) struct Arguments {
    /// The most telling figures only: five minutes
    #[arg(long)]
    quick: bool,
    /// Which kinds of work, by part of their names, and further options of the bench after `--`; `criterion` alone measures
    /// the pure decision by verdict, with criterion's own options behind it
    #[arg(value_name = "FILTER", allow_hyphen_values = true, trailing_var_arg = true)]
    rest: Vec<String>,
}

/// The kind of work that is no part of the bench.
const CRITERION: &str = "criterion";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some((CRITERION, options)) =
        arguments.rest.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        let package = ["--package", "vswitch-decision-bench", "--"];
        return run_command(cargo("bench").args(package).args(options));
    }
    need_root("bench", "it makes network namespaces and loads programs into the kernel")?;
    let switch = build::binary(true)?;
    run_command(cargo("build").args(["--release", "--package", "vswitch-bench"]))?;
    let mut bench = std::process::Command::new(bench_binary());
    if arguments.quick {
        bench.arg("--quick");
    }
    run_command(bench.args(for_the_bench(&arguments.rest)).env("VSWITCH_BIN", switch))
}

/// Filters and options as the bench takes them: with the `--` between them it would take its options for filters.
fn for_the_bench(rest: &[String]) -> impl Iterator<Item = &String> {
    let end = rest.iter().position(|word| word == "--");
    rest.iter().enumerate().filter(move |(place, _)| Some(*place) != end).map(|(_, word)| word)
}

fn bench_binary() -> PathBuf {
    build::target_dir().join("release/bench")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_options_reach_the_bench_without_what_stands_between_them() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let given = words("tcp born64 -- --rounds 2");
        assert!(for_the_bench(&given).eq(&words("tcp born64 --rounds 2")));
        assert!(for_the_bench(&words("tcp")).eq(&words("tcp")));
    }
}

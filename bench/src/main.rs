//! The bench: vswitch side by side with what people use today. `cargo xtask bench` builds and runs it.
//!
//! It needs root and a machine that does nothing else. Everything happens in namespaces of its own, which go away with
//! it, also on panic and on SIGINT; what keeps the CPUs awake are threads of this process.

mod cpu;
mod generator;
mod machine;
mod metric;
mod record;
mod report;
mod rivals;
mod rounds;
mod scale;
mod station;
mod statistics;
mod sys;
mod targets;
mod traffic;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;

use machine::Machine;
use record::Record;
use rivals::Kind;
use rounds::Plan;
use scale::{CURVES, Curve};
use traffic::{WORKS, Work};
use verdicts::{VERDICTS, Verdict};

/// Measure vswitch beside the Linux bridge, docker0, Open vSwitch and a bare veth pair
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// Only kinds of work whose name contains one of these (see --list)
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// The most telling kinds of work, a second each, three rounds, without Open vSwitch and long segments: five minutes
    #[arg(long)]
    quick: bool,
    /// Interleaved rounds; 3 with --quick, else 5
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Seconds of each run; 1 with --quick, else 2
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,
    /// Only these rivals
    #[arg(long, value_delimiter = ',')]
    rivals: Vec<Kind>,
    /// Another build of vswitch to measure beside this one, as rivals `other-xdp` and `other-tc`
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Folder for RESULTS.md, the record and the plots; the project's bench/ if not given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show the kinds of work and rivals, and measure nothing
    #[arg(long)]
    list: bool,
    /// Make RESULTS.md and the plots anew from the record, and measure nothing
    #[arg(long, conflicts_with = "list")]
    report: bool,
    /// Accept the cost by verdict that is in the record: write it into the baseline, and measure nothing
    #[arg(long, conflicts_with_all = ["list", "report"])]
    accept: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A run that fails is reported as such; where in the lab it panicked helps nobody.
fn panic_briefly() {
    std::panic::set_hook(Box::new(|_| {}));
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        list();
        return Ok(());
    }
    let bench = arguments.out.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned());
    let path = bench.join(report::FOLDER).join(report::RECORD);
    if arguments.report {
        return report::write(&Record::load(&path)?, &bench);
    }
    if arguments.accept {
        verdicts::accept(&Record::load(&path)?, &bench)?;
        return report::write(&Record::load(&path)?, &bench);
    }
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the bench makes namespaces and loads programs: run it as root"
    );
    let plan = plan(arguments)?;
    panic_briefly();
    let machine = Machine::look();
    if !machine.was_quiet() {
        println!(
            "note: the load average was {:.2}: others want the CPUs, the figures will be rough",
            machine.load_before
        );
    }
    let mut record = Record::new(typed(), machine, plan.rounds);
    let rivals = rounds::set_up(&plan, &mut record);
    rounds::play(&plan, &rivals, &mut record);
    drop(rivals);
    verdicts::play(&plan, &mut record);
    scale::play(&plan, &mut record);
    std::fs::create_dir_all(bench.join(report::FOLDER))?;
    record.save(&path)?;
    report::write(&record, &bench)?;
    if let Some(baseline) = verdicts::baseline(Path::new(env!("CARGO_MANIFEST_DIR")))? {
        verdicts::say_slower(&record, &baseline);
    }
    println!("{}", bench.join("RESULTS.md").display());
    let failures = record.gaps.iter().filter(|gap| gap.is_failure).count();
    ensure!(failures == 0, "{failures} kinds of work failed for a rival: the end of RESULTS.md says which");
    Ok(())
}

fn plan(arguments: &Arguments) -> Result<Plan> {
    let is_wanted = |key: &str, is_quick: bool| {
        let named = arguments.filters.iter().any(|filter| key.contains(filter.as_str()));
        if arguments.filters.is_empty() { is_quick || !arguments.quick } else { named }
    };
    let works: Vec<&'static Work> = WORKS.iter().filter(|work| is_wanted(work.key, work.quick)).collect();
    let curves: Vec<&'static Curve> =
        CURVES.iter().copied().filter(|curve| is_wanted(curve.metric.key, false)).collect();
    let verdicts: Vec<&'static Verdict> =
        VERDICTS.iter().filter(|verdict| is_wanted(verdict.metric.key, false)).collect();
    if works.is_empty() && curves.is_empty() && verdicts.is_empty() {
        bail!("no kind of work is called like {}: see --list", arguments.filters.join(", "));
    }
    let seconds = arguments.seconds.unwrap_or(if arguments.quick { 1 } else { 2 });
    let mut kinds = if arguments.rivals.is_empty() { Kind::ALL.to_vec() } else { arguments.rivals.clone() };
    kinds.retain(|kind| !kind.is_other());
    if arguments.quick && arguments.rivals.is_empty() {
        kinds.retain(|kind| !matches!(kind, Kind::Big | Kind::Ovs | Kind::OvsAfxdp));
    }
    if let Some(binary) = &arguments.against {
        let binary = binary.canonicalize().with_context(|| format!("--against {}", binary.display()))?;
        rivals::OTHER_BUILD.get_or_init(|| binary);
        kinds.extend([Kind::OtherXdp, Kind::OtherTc]);
    }
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 3 } else { 5 }) as usize;
    Ok(Plan { rounds, time: Duration::from_secs(seconds), works, curves, verdicts, kinds })
}

fn list() {
    for work in WORKS {
        println!("{:14} {}{}", work.key, work.title, if work.quick { " (quick)" } else { "" });
    }
    for curve in CURVES {
        println!("{:14} {}", curve.metric.key, curve.title);
    }
    for verdict in VERDICTS {
        println!("{:14} {}", verdict.metric.key, verdict.metric.title);
    }
    println!();
    for kind in Kind::ALL {
        println!("{:14} {}", kind.key(), kind.title());
    }
}

/// The command, as one would type it.
fn typed() -> String {
    let words = std::env::args().skip(1);
    words.fold("cargo xtask bench".to_owned(), |line, word| line + " " + &word)
}

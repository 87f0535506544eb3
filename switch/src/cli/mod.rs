//! The command line: one file per noun turns arguments into the API's types, `show` turns replies into text.
//!
//! `execute` takes its arguments and outputs as parameters, so that tests see what a user sees: exit status, both
//! streams, and the rule that every failure is one line on stderr and, with `--json`, an object on stdout.

mod fdb;
mod mdb;
mod generate;
mod monitor;
mod network;
mod port;
mod publish;
mod run;
mod stats;
mod status;
mod takeover;
mod teardown;
mod trace;
mod upgrade;

mod overview;

mod containers;
mod failure;
mod session;
mod show;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::api::client::{Client, DEFAULT_SOCKET};
use failure::Failure;
use session::Session;

/// A virtual switch for the containers of this host
#[derive(Debug, Parser)]
#[command(
    name = "vswitch",
    version,
    max_term_width = 110,
    after_help = "\
Examples:
  vswitch run
  vswitch port add veth-web --name web
  vswitch port show
  vswitch --json fdb show

Exit status: 0 done, 1 refused or failed, 2 wrong usage."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Where help lists them.
const EVERYWHERE: &str = "With every command";

/// Options that may stand before or after the verb.
#[derive(Debug, Args)]
struct Global {
    /// Control socket of the controller [default: /run/vswitch/vswitch.sock]
    #[arg(
        long,
        global = true, help_heading = EVERYWHERE, env = "VSWITCH_SOCKET",
        hide_env_values = true,
        value_name = "PATH"
    )]
    socket: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunOptions),
    Status(status::StatusOptions),
    Show(overview::ShowOptions),
    #[command(subcommand)]
    Port(port::PortCommand),
    #[command(subcommand)]
    Fdb(fdb::FdbCommand),
    #[command(subcommand)]
    Mdb(mdb::MdbCommand),
    #[command(subcommand)]
    Network(network::NetworkCommand),
    #[command(subcommand)]
    Publish(publish::PublishCommand),
    Takeover(takeover::TakeoverOptions),
    Release(takeover::ReleaseOptions),
    Trace(trace::TraceOptions),
    Stats(stats::StatsOptions),
    Monitor(monitor::MonitorOptions),
    Teardown(teardown::TeardownOptions),
    Upgrade(upgrade::UpgradeOptions),
    #[command(hide = true)]
    About(upgrade::AboutOptions),
    #[command(hide = true)]
    Generate(generate::GenerateOptions),
}

/// The whole of the binary.
#[must_use]
pub fn main() -> ExitCode {
    execute(std::env::args_os().collect(), &mut io::stdout(), &mut io::stderr())
}

/// Carries out one command line, of which the first argument is the program's name.
fn execute(arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    // What cannot be parsed has no parsed `--json` either.
    let json = arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    let done = match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(cli, out),
        Err(error) => Err(Failure::Clap(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json, out, err),
    }
}

fn dispatch(cli: Cli, out: &mut dyn Write) -> Result<(), Failure> {
    let Global { socket, json } = cli.global;
    let command = match cli.command {
        Command::Run(options) => return options.run(socket),
        command => command,
    };
    let client = Client::new(socket.clone().unwrap_or_else(|| DEFAULT_SOCKET.into()));
    let mut session = Session { client, json, out };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(&error))?;
    runtime.block_on(async {
        match command {
            Command::Run(_) => unreachable!("returned above"),
            Command::Status(options) => options.run(&mut session).await,
            Command::Show(options) => options.run(&mut session).await,
            Command::Port(command) => command.run(&mut session).await,
            Command::Fdb(command) => command.run(&mut session).await,
            Command::Mdb(command) => command.run(&mut session).await,
            Command::Network(command) => command.run(&mut session).await,
            Command::Publish(command) => command.run(&mut session).await,
            Command::Takeover(options) => options.run(&mut session).await,
            Command::Release(options) => options.run(&mut session).await,
            Command::Trace(options) => options.run(&mut session).await,
            Command::Stats(options) => options.run(&mut session).await,
            Command::Monitor(options) => options.run(&mut session).await,
            Command::Upgrade(options) => options.run(&mut session).await,
            Command::About(options) => options.run(&mut session),
            Command::Generate(options) => options.run(&mut session),
            Command::Teardown(options) => options.run(socket, &mut session).await,
        }
    })
}

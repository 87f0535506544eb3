//! `vswitch run`: the controller.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use tracing::level_filters::LevelFilter;

use super::failure::Failure;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::DockerUser;
use crate::config::{Config, ConfigError, LogLevel, Overrides, TcAttach};
use crate::daemon;

/// Capabilities that the controller needs, with their bit (linux/capability.h).
const NEEDED: [(u32, &str); 4] =
    [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (21, "CAP_SYS_ADMIN"), (39, "CAP_BPF")];

/// Run the controller in the foreground
#[derive(Debug, Args)]
#[command(after_help = "\
Prints `ready SOCKET` once it serves. On SIGTERM or Ctrl-C it leaves, and the ports go on forwarding.

Examples:
  vswitch run
  vswitch run --log debug --no-docker-plugin
  vswitch run --docker-user leave
  vswitch run --config /etc/vswitch/lab.toml
  vswitch run --socket /run/lab.sock --state-dir /var/lib/lab --bpffs /sys/fs/bpf/lab")]
pub(super) struct RunOptions {
    #[command(flatten)]
    paths: PathOptions,
    /// Where Docker finds the plugin [default: /run/docker/plugins/vswitch.sock]
    #[arg(long, value_name = "P", conflicts_with = "no_docker_plugin")]
    docker_plugin: Option<PathBuf>,
    /// Socket of the Docker engine, asked for the names of containers [default: /run/docker.sock]
    #[arg(long, value_name = "SOCKET", alias = "engine")]
    docker_engine: Option<PathBuf>,
    /// Docker's chain DOCKER-USER, where dockerd drops what its own networks do not expect: a jump out of it into a chain of
    /// vswitch's, or left alone, with a warning of what to type [default: jump]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "jump|leave")]
    docker_user: Option<DockerUser>,
    /// Be no Docker plugin
    #[arg(long)]
    no_docker_plugin: bool,
    /// Least important records to log: error, warn, info, debug, trace [default: info]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "LEVEL")]
    log: Option<LogLevel>,
    /// How tc programs are attached
    #[arg(long, value_enum, hide = true)]
    tc_attach: Option<TcAttach>,
}

/// Where the controller's files are, besides `--socket`.
#[derive(Debug, Args)]
pub(super) struct PathOptions {
    /// Folder of the durable state [default: /var/lib/vswitch]
    #[arg(long, value_name = "D")]
    state_dir: Option<PathBuf>,
    /// Folder of the pins [default: /sys/fs/bpf/vswitch]
    #[arg(long, value_name = "D")]
    bpffs: Option<PathBuf>,
    /// Configuration file [default: /etc/vswitch/vswitch.toml, if there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PathOptions {
    fn overrides(self, socket: Option<PathBuf>) -> Overrides {
        let Self { state_dir, bpffs, config } = self;
        Overrides { socket, state_dir, bpffs, file: config, ..Overrides::default() }
    }

    /// The configuration as far as paths decide it.
    pub(super) fn load(self, socket: Option<PathBuf>) -> Result<Config, ApiError> {
        Ok(Config::load(self.overrides(socket))?)
    }
}

impl RunOptions {
    pub(super) fn run(self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let config = self.config(socket).map_err(ApiError::from)?;
        check_capabilities(&fs::read_to_string("/proc/self/status").unwrap_or_default())?;
        tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level(config.log)).init();
        crate::privileges::lessen()?;
        Ok(daemon::run(config).map_err(|error| match error.downcast::<ApiError>() {
            Ok(refusal) => refusal,
            Err(error) => ApiError::internal(format!("controller: {error:#}: see its log with --log debug")),
        })?)
    }

    /// Options, file and defaults together.
    pub(super) fn config(self, socket: Option<PathBuf>) -> Result<Config, ConfigError> {
        let plugin = if self.no_docker_plugin { Some(None) } else { self.docker_plugin.map(Some) };
        let overrides = self.paths.overrides(socket);
        Config::load(Overrides {
            docker_plugin: plugin,
            docker_engine: self.docker_engine,
            docker_user: self.docker_user,
            log: self.log,
            tc_attach: self.tc_attach,
            ..overrides
        })
    }
}

fn level(log: LogLevel) -> LevelFilter {
    match log {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Reads `CapEff` of proc_pid_status(5): capabilities, not the user id, decide, inside containers too. Where it cannot
/// be read, the kernel has the last word anyway.
fn check_capabilities(status: &str) -> Result<(), ApiError> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(bits) = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return Ok(());
    };
    let missing: Vec<_> =
        NEEDED.iter().filter(|(bit, _)| bits & (1 << bit) == 0).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("run: needs root: this process lacks {}: start it with sudo", missing.join(", "));
    Err(ApiError::new(ErrorCode::NotRoot, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_may_run_and_a_plain_user_is_told_what_is_missing() {
        assert!(check_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n").is_ok());
        let error = check_capabilities("CapEff:\t0000000000000000\n").expect_err("no capabilities");
        assert_eq!(error.code, ErrorCode::NotRoot);
        assert!(error.message.contains("CAP_BPF") && error.message.contains("sudo"), "{error}");
    }

    #[test]
    fn a_container_with_docker_s_capabilities_lacks_three() {
        // What dockerd 20.10 leaves root in a container; CAP_NET_RAW is among it.
        let error = check_capabilities("CapEff:\t00000000a80425fb\n").expect_err("too few");
        assert!(error.message.contains("lacks CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF:"), "{error}");
    }
}

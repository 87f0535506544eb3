//! The controller's settings: defaults, overridden by the configuration file, overridden by the command line.
//!
//! The file is TOML and says the same as the options, with the same words. A key that is not known is refused: a typo in
//! a limit that went unnoticed would be found out under load.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;
use vswitch_common::limits;

use crate::api::client::DEFAULT_SOCKET;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::DockerUser;
use crate::engine;

/// Read when no other file is named, and only if it is there.
pub const DEFAULT_FILE: &str = "/etc/vswitch/vswitch.toml";

/// What `docker_plugin` says in the file to have none.
const NO_PLUGIN: &str = "none";

/// Everything that the controller is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where its files are.
    pub paths: Paths,
    /// What it logs.
    pub log: LogLevel,
    /// How tc programs are attached.
    pub tc_attach: TcAttach,
    /// Where Docker finds the plugin; none means no plugin.
    pub docker_plugin: Option<PathBuf>,
    /// Where the Docker engine answers, which is asked for the names of containers.
    pub docker_engine: PathBuf,
    /// What is done with Docker's chain for others.
    pub docker_user: DockerUser,
    /// Sizes of its tables.
    pub limits: Limits,
}

/// Where the controller's files are; absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Control socket.
    pub socket: PathBuf,
    /// Folder of the durable state.
    pub state_dir: PathBuf,
    /// Folder of the pins, on a bpffs.
    pub bpffs: PathBuf,
}

/// Least important records that are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What is odd but works.
    Warn,
    /// What an operator asked for, or lost.
    #[default]
    Info,
    /// Every change of state.
    Debug,
    /// Every frame that reaches the controller.
    Trace,
}

/// How tc programs are attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum TcAttach {
    /// tcx where the kernel has it, else clsact.
    #[default]
    Auto,
    /// tcx links (Linux 6.6).
    Tcx,
    /// Filters of a clsact qdisc.
    Clsact,
}

/// Sizes of the controller's tables, in entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Dynamic FDB entries.
    pub fdb_entries: u32,
    /// Ports.
    pub ports: u32,
    /// Networks, counting `default`.
    pub networks: u32,
    /// Moves of one station in ten seconds, beyond which it is pinned and a port quarantined; 0 is any number.
    pub station_moves: u32,
}

impl Limits {
    /// At about 100 bytes an entry, 1.6 GiB of kernel memory.
    const FDB_ENTRIES: RangeInclusive<u32> = 64..=16_777_216;
    /// Port slots travel in 16 bits, and slot 0 is nobody's.
    const PORTS: RangeInclusive<u32> = 1..=limits::PORTS - 1;
    /// Network ids travel in 16 bits, and id 0 is nobody's.
    const NETWORKS: RangeInclusive<u32> = 1..=limits::NETWORKS - 1;
    /// More than a loop makes.
    const STATION_MOVES: RangeInclusive<u32> = 0..=100_000_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fdb_entries: limits::FDB_DYNAMIC_DEFAULT,
            ports: limits::PORTS - 1,
            networks: limits::NETWORKS - 1,
            station_moves: limits::STATION_MOVES_DEFAULT,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            paths: Paths {
                socket: DEFAULT_SOCKET.into(),
                state_dir: "/var/lib/vswitch".into(),
                bpffs: "/sys/fs/bpf/vswitch".into(),
            },
            log: LogLevel::default(),
            tc_attach: TcAttach::default(),
            docker_plugin: Some("/run/docker/plugins/vswitch.sock".into()),
            docker_engine: engine::DEFAULT_SOCKET.into(),
            docker_user: DockerUser::default(),
            limits: Limits::default(),
        }
    }
}

/// What the command line says; what it leaves out is for the file, or the defaults.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// See [`Paths::socket`].
    pub socket: Option<PathBuf>,
    /// See [`Paths::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// See [`Paths::bpffs`].
    pub bpffs: Option<PathBuf>,
    /// The configuration file, which must be there when it is named.
    pub file: Option<PathBuf>,
    /// See [`Config::docker_plugin`]; the outer none is "not said".
    pub docker_plugin: Option<Option<PathBuf>>,
    /// See [`Config::docker_engine`].
    pub docker_engine: Option<PathBuf>,
    /// See [`Config::docker_user`].
    pub docker_user: Option<DockerUser>,
    /// See [`Config::log`].
    pub log: Option<LogLevel>,
    /// See [`Config::tc_attach`].
    pub tc_attach: Option<TcAttach>,
}

impl Config {
    /// Puts the three sources together.
    ///
    /// # Errors
    /// When a file that was named is missing, or the file cannot be read or understood.
    pub fn load(said: Overrides) -> Result<Self, ConfigError> {
        let file = match &said.file {
            Some(path) => ConfigFile::read(path)?,
            None => match ConfigFile::read(Path::new(DEFAULT_FILE)) {
                Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    ConfigFile::default()
                }
                read => read?,
            },
        };
        let default = Self::default();
        let plugin_in_file = file.docker_plugin.map(|path| (path != Path::new(NO_PLUGIN)).then_some(path));
        Ok(Self {
            paths: Paths {
                socket: absolute(said.socket.or(file.socket).unwrap_or(default.paths.socket)),
                state_dir: absolute(said.state_dir.or(file.state_dir).unwrap_or(default.paths.state_dir)),
                bpffs: absolute(said.bpffs.or(file.bpffs).unwrap_or(default.paths.bpffs)),
            },
            log: said.log.or(file.log).unwrap_or(default.log),
            tc_attach: said.tc_attach.or(file.tc_attach).unwrap_or(default.tc_attach),
            docker_plugin: said
                .docker_plugin
                .or(plugin_in_file)
                .unwrap_or(default.docker_plugin)
                .map(absolute),
            docker_engine: absolute(
                said.docker_engine.or(file.docker_engine).unwrap_or(default.docker_engine),
            ),
            docker_user: said.docker_user.or(file.docker_user).unwrap_or(default.docker_user),
            limits: Limits {
                fdb_entries: file.limits.fdb_entries.unwrap_or(default.limits.fdb_entries),
                ports: file.limits.ports.unwrap_or(default.limits.ports),
                networks: file.limits.networks.unwrap_or(default.limits.networks),
                station_moves: file.limits.station_moves.unwrap_or(default.limits.station_moves),
            },
        })
    }
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigFile {
    socket: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    bpffs: Option<PathBuf>,
    log: Option<LogLevel>,
    tc_attach: Option<TcAttach>,
    docker_plugin: Option<PathBuf>,
    docker_engine: Option<PathBuf>,
    docker_user: Option<DockerUser>,
    limits: LimitsInFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitsInFile {
    fdb_entries: Option<u32>,
    ports: Option<u32>,
    networks: Option<u32>,
    station_moves: Option<u32>,
}

impl ConfigFile {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        let file: Self = toml::from_str(&text).map_err(|source| {
            let before = source.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError::Parse { path: path.to_path_buf(), line, source: Box::new(source) }
        })?;
        let limits = [
            ("fdb_entries", file.limits.fdb_entries, Limits::FDB_ENTRIES),
            ("ports", file.limits.ports, Limits::PORTS),
            ("networks", file.limits.networks, Limits::NETWORKS),
            ("station_moves", file.limits.station_moves, Limits::STATION_MOVES),
        ];
        for (name, value, range) in limits {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                return Err(ConfigError::Limit { path: path.to_path_buf(), name, value, range });
            }
        }
        Ok(file)
    }
}

/// Without a working directory a relative path stays what it is.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or may not be read.
    #[error("configuration file {}: {source}: name another with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not TOML, or says what is not known.
    #[error("configuration file {} line {line}: {}: mend that line", path.display(), source.message())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// A limit is out of its range.
    #[error("configuration file {}: limits.{name} is {value}: give {} to {}", path.display(), range.start(), range.end())]
    Limit {
        /// The file.
        path: PathBuf,
        /// Key in `[limits]`.
        name: &'static str,
        /// What it says.
        value: u32,
        /// What it may say.
        range: RangeInclusive<u32>,
    },
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        Self::new(ErrorCode::InvalidConfig, error.to_string())
    }
}

#[cfg(test)]
mod tests;

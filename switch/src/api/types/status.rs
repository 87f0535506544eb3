//! The controller itself: what it is, how it fares, what its limits cost.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::port::HookMode;

/// What `vswitch status` prints.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The binary's version.
    pub version: String,
    /// The data path's ABI version.
    pub abi: u32,
    /// Seconds since the controller began to serve.
    pub uptime_seconds: u64,
    /// When it began to serve: nanoseconds of the monotonic clock.
    #[serde(default)]
    pub started_ns: u64,
    /// Whether the controller took over pins of an earlier run.
    pub adopted: bool,
    /// Kernel release and what was found in it.
    pub kernel: Kernel,
    /// Number of networks.
    pub networks: u64,
    /// Number of ports.
    pub ports: u64,
    /// FDB occupancy.
    pub fdb: FdbStatus,
    /// Hook of each port, by link name.
    pub hooks: BTreeMap<String, HookMode>,
    /// Limits in force, by name, with the memory each map takes in bytes.
    pub limits: Vec<Limit>,
    /// Events the kernel could not hand up because the controller was behind.
    pub events_lost: u64,
    /// The jump out of Docker's chain for others; absent from an older controller.
    #[serde(default)]
    pub docker_user: Option<DockerUserStatus>,
    /// What does not work as it should, and what to do about it: a line each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Where things are.
    pub paths: Paths,
}

/// Kernel features found at start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Features by name: `tcx`, `xdp_native`, `redirect_peer`, `bpf_loop`, …
    pub features: BTreeMap<String, bool>,
}

/// What is done with `DOCKER-USER`, the chain that Docker has for others, so that Docker's networks have a way out where
/// dockerd drops what it did not expect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum DockerUser {
    /// A jump into a chain of our own stands there while a network of Docker's needs it.
    #[default]
    Jump,
    /// Nothing is written: what drops is warned of, with the command that helps.
    Leave,
}

/// What is with `DOCKER-USER`: what was chosen, and what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerUserStatus {
    /// `vswitch run --docker-user`.
    pub choice: DockerUser,
    /// Whether a network of Docker's that is not internal needs a way past what dockerd drops.
    pub needed: bool,
    /// The IPv4 chain.
    pub iptables: DockerUserChain,
    /// The IPv6 chain.
    pub ip6tables: DockerUserChain,
}

/// What of the chain was there when it was looked at last, at most some seconds ago.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DockerUserChain {
    /// Nobody looked: no network of Docker's needs it, or it is left alone.
    #[default]
    Unknown,
    /// Docker has no such chain, and so drops nothing, or its iptables has gone.
    NoChain,
    /// It is there, without our jump.
    NoJump,
    /// Our jump is in it.
    Jump,
}

/// How full the FDB is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct FdbStatus {
    /// Entries present.
    pub entries: u64,
    /// Most dynamic entries.
    pub limit: u64,
}

/// A named limit and what it costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limit {
    /// Map name.
    pub name: String,
    /// Most entries.
    pub entries: u64,
    /// Kernel memory of the map in bytes.
    pub memory_bytes: u64,
}

/// The controller's files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Paths {
    /// Control socket.
    pub socket: String,
    /// Durable state.
    pub state_dir: String,
    /// Pins.
    pub bpffs: String,
}

//! The controller itself: what it is, how it fares, what its limits cost.

use std::collections::BTreeMap;

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

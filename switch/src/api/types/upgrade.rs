//! Replacing the controller by the binary that lies in its place: what that binary is, and what comes of it.

use serde::{Deserialize, Serialize};

/// What `vswitch upgrade` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpgradeSpec {
    /// Only say what would happen.
    pub check: bool,
}

/// One build of vswitch, as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Its version.
    pub version: String,
    /// ABI version of its maps.
    pub abi: u32,
    /// ABI versions whose maps it can turn into its own, and back.
    pub migrates: Vec<u32>,
    /// Version of the state file that it reads and writes; it reads earlier ones too.
    pub state: u32,
    /// Stands for its eBPF programs: two builds with the same have the same programs.
    pub programs: String,
}

/// What becomes of the maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maps {
    /// They stay as they are.
    Kept,
    /// The new binary turns them into its own, entry by entry.
    Migrated,
    /// The running controller turns them into those of the other binary, which is an earlier one.
    MigratedBack,
}

/// What an upgrade does, or with `check` would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// Whether nothing was done.
    pub check: bool,
    /// The binary that takes over.
    pub binary: String,
    /// What runs now.
    pub from: Build,
    /// What takes over.
    pub to: Build,
    /// What becomes of the maps.
    pub maps: Maps,
    /// Ports whose programs are replaced.
    pub ports: u64,
    /// When the running controller began to serve: nanoseconds of the monotonic clock. Its successor says another time.
    pub started_ns: u64,
}

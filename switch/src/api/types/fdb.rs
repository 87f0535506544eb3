//! FDB entries and the filters that pick them.

use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;
use vswitch_common::vlan::VlanId;

/// Which entries to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FdbFilter {
    /// Entries of one network.
    pub network: Option<String>,
    /// Entries of one port.
    pub port: Option<String>,
    /// Entries of one MAC.
    pub mac: Option<MacAddr>,
    /// Entries of one VLAN.
    pub vlan: Option<VlanId>,
}

/// A static or sticky entry to add; its network is its port's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FdbSpec {
    /// Individual address.
    pub mac: MacAddr,
    /// Link name of the port.
    pub port: String,
    /// VLAN, on VLAN-aware networks.
    #[serde(default)]
    pub vlan: Option<VlanId>,
    /// Never moves to another port.
    #[serde(default)]
    pub sticky: bool,
}

/// Names one entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FdbKeySpec {
    /// The entry's MAC.
    pub mac: MacAddr,
    /// Its network; `default` where not said.
    #[serde(default)]
    pub network: Option<String>,
    /// Its VLAN, on VLAN-aware networks.
    #[serde(default)]
    pub vlan: Option<VlanId>,
}

/// Which entries to flush; all conditions must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FdbFlush {
    /// Entries of one network.
    pub network: Option<String>,
    /// Entries of one port.
    pub port: Option<String>,
    /// Entries of one VLAN.
    pub vlan: Option<VlanId>,
    /// Static and sticky entries too.
    #[serde(rename = "static")]
    pub include_static: bool,
}

/// One FDB entry, as `fdb show --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The station's MAC.
    pub mac: MacAddr,
    /// Link name of its port.
    pub port: String,
    /// Its network.
    pub network: String,
    /// Its VLAN; null on VLAN-unaware networks.
    pub vlan: Option<VlanId>,
    /// How the entry came to be and what may change it.
    pub kind: FdbKind,
    /// Seconds since the station was last heard; 0 for entries that do not age.
    pub age_seconds: f64,
}

/// Kinds of FDB entries, as in `bridge fdb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FdbKind {
    /// Learned; ages.
    Dynamic,
    /// Configured; never ages, may move.
    Static,
    /// Configured; never ages, never moves.
    Sticky,
    /// The switch's own address.
    Local,
}

//! Multicast: how a network wants it, and who is a member of which group.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vswitch_common::vlan::VlanId;

/// Whether a network's multicast goes to those alone who want it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MulticastMode {
    /// While somebody asks hosts what they want: a router, another switch, or vswitch.
    #[default]
    Auto,
    /// Always: what nobody has said to want reaches routers only.
    On,
    /// Never: multicast floods.
    Off,
}

impl FromStr for MulticastMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("say auto, on or off".to_owned()),
        }
    }
}

impl fmt::Display for MulticastMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// What `network create` and `set` ask for; what is left out stays as it is, or at its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MulticastSpec {
    /// Default `auto`.
    pub snooping: Option<MulticastMode>,
    /// vswitch asks hosts what they want, where no router does. Default false.
    pub querier: Option<bool>,
    /// How often it asks, in seconds; 2 to 31,744, default 125 (RFC 3376 section 8.2).
    pub query_interval: Option<u32>,
    /// Longest time to the answers, in seconds; 1 to 25, less than the interval, default 10 (RFC 3376 section 8.3).
    pub response_time: Option<u32>,
}

impl MulticastSpec {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a network has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multicast {
    /// See [`MulticastSpec::snooping`].
    pub snooping: MulticastMode,
    /// See [`MulticastSpec::querier`].
    pub querier: bool,
    /// See [`MulticastSpec::query_interval`].
    pub query_interval: u32,
    /// See [`MulticastSpec::response_time`].
    pub response_time: u32,
    /// What is known, for each family and VLAN of which something is.
    pub scopes: Vec<MulticastScope>,
}

/// What is known of one family in one VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MulticastScope {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// The VLAN; null on a VLAN-unaware network.
    pub vlan: Option<VlanId>,
    /// What nobody wants is pruned now; otherwise all multicast floods.
    pub pruning: bool,
    /// Who asks; null is nobody.
    pub querier: Option<MulticastQuerier>,
    /// Ports that get all multicast, for routers or queriers are behind them.
    pub router_ports: Vec<String>,
    /// Groups with members.
    pub groups: u64,
}

/// Who asks hosts what they want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MulticastQuerier {
    /// Its address; unspecified for a switch without one.
    pub address: IpAddr,
    /// Its port; null is vswitch itself.
    pub port: Option<String>,
}

/// Which members to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MdbFilter {
    /// Of one network.
    pub network: Option<String>,
}

/// One member of a group, or one port with a router, as `mdb show --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MdbEntry {
    /// The group; null where the port gets all of them.
    pub group: Option<IpAddr>,
    /// Link name of the port.
    pub port: String,
    /// The network.
    pub network: String,
    /// The VLAN; null on VLAN-unaware networks.
    pub vlan: Option<VlanId>,
    /// What the port is.
    pub kind: MdbKind,
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// Seconds until it is forgotten if nothing more is heard; null is never.
    pub expires_seconds: Option<f64>,
}

/// What a port is to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MdbKind {
    /// A member.
    Member,
    /// A router, a querier or too many groups to list are behind it: it gets them all.
    Router,
}

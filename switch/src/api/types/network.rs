//! Networks: what is asked of them and what they report.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What `network create` asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// Name: 1 to 63 letters, digits, `_`, `.`, `-`, starting with a letter or digit.
    pub name: String,
    /// Subnets in CIDR form.
    pub subnets: Vec<String>,
    /// Gateway addresses.
    pub gateways: Vec<IpAddr>,
    /// No way out of the network.
    pub internal: bool,
    /// Largest frame, in bytes without the Ethernet header; 576 to 65,000.
    pub mtu: Option<u32>,
    /// Seconds after which a silent station is forgotten; 0 is never; default 300.
    pub ageing: Option<u32>,
    /// VLANs separate traffic inside the network.
    pub vlan_aware: bool,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
}

/// What `network set` asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkChange {
    /// The network's name.
    pub name: String,
    /// See [`NetworkSpec::ageing`].
    pub ageing: Option<u32>,
    /// See [`NetworkSpec::mtu`].
    pub mtu: Option<u32>,
}

/// One network; the capitalised fields are those of `docker network inspect`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Network {
    /// Name.
    #[serde(rename = "Name")]
    pub name: String,
    /// Identifier: decimal, stable for the network's life.
    #[serde(rename = "Id")]
    pub id: String,
    /// `vswitch`.
    #[serde(rename = "Driver")]
    pub driver: String,
    /// `local`.
    #[serde(rename = "Scope")]
    pub scope: String,
    /// No way out.
    #[serde(rename = "Internal")]
    pub internal: bool,
    /// Labels.
    #[serde(rename = "Labels")]
    pub labels: BTreeMap<String, String>,
    /// Ports' link names.
    pub ports: Vec<String>,
    /// Seconds; 0 is never.
    pub ageing: u32,
    /// Bytes; null is whatever the links have.
    pub mtu: Option<u32>,
    /// VLANs separate traffic inside.
    pub vlan_aware: bool,
    /// Dynamic and other FDB entries of the network.
    pub fdb_entries: u64,
}

//! What is durable of what Docker engines asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use crate::api::types::docker::Binding;
use crate::api::types::{HookChoice, Publish};
use crate::gateway::ipam::Pool;

/// Everything, by Docker's ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DockerState {
    /// Networks.
    #[serde(default)]
    pub networks: BTreeMap<String, DockerNetwork>,
    /// Endpoints.
    #[serde(default)]
    pub endpoints: BTreeMap<String, DockerEndpoint>,
    /// Subnets that our IPAM driver gave.
    #[serde(default)]
    pub pools: BTreeMap<String, DockerPool>,
    /// Whether there may be a chain of ours among Docker's rules.
    #[serde(default)]
    pub has_passage: bool,
}

/// A network that Docker made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerNetwork {
    /// The switch's network.
    pub name: String,
    /// Its ports are isolated.
    pub isolated: bool,
    /// Where ports are published when nobody says.
    pub host_ip: Option<IpAddr>,
    /// Hook of its ports.
    pub hook: Option<HookChoice>,
}

/// A container's place at a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerEndpoint {
    /// Docker's id of the network.
    pub network: String,
    /// The container's MAC.
    pub mac: MacAddr,
    /// Whether we chose it.
    pub is_own_mac: bool,
    /// The container's addresses.
    pub ips: Vec<IpAddr>,
    /// Our end of its link, while it has one.
    pub link: String,
    /// The end that becomes the container's.
    pub far_link: String,
    /// Whether there should be a link.
    pub is_joined: bool,
    /// Ports to publish.
    pub bindings: Vec<Binding>,
    /// Ports that are published.
    pub publishes: Vec<Publish>,
    /// Names of the container.
    pub names: Vec<String>,
    /// Hook of its port.
    pub hook: Option<HookChoice>,
}

/// A subnet that our IPAM driver gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerPool {
    /// The subnet and its gateway.
    pub pool: Pool,
    /// The part that addresses are given from.
    pub range: IpNet,
    /// Who has which address; without a MAC it is no container's.
    pub leases: BTreeMap<IpAddr, Option<MacAddr>>,
}

//! Networks: what is asked of them and what they report.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::multicast::{Multicast, MulticastSpec};

/// Whether hosts of a network send segments of more than 64 KiB (BIG TCP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum BigTcp {
    /// While only containers are on the network: nothing there would have to cut them.
    #[default]
    Auto,
    /// At every veth.
    On,
    /// Never.
    Off,
}

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
    /// How multicast is to be treated.
    #[serde(skip_serializing_if = "MulticastSpec::is_empty")]
    pub multicast: MulticastSpec,
    /// Whether segments of more than 64 KiB are sent; default auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub big_tcp: Option<BigTcp>,
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
    /// See [`NetworkSpec::multicast`].
    #[serde(skip_serializing_if = "MulticastSpec::is_empty")]
    pub multicast: MulticastSpec,
    /// See [`NetworkSpec::big_tcp`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub big_tcp: Option<BigTcp>,
}

impl NetworkChange {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_number = self.ageing.is_some() || self.mtu.is_some();
        !has_number && self.multicast.is_empty() && self.big_tcp.is_none()
    }
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
    /// Has a subnet of IPv6.
    #[serde(rename = "EnableIPv6", default)]
    pub has_ipv6: bool,
    /// Subnets and gateways.
    #[serde(rename = "IPAM", default)]
    pub ipam: Ipam,
    /// Hosts that something is known of, by the link of their port.
    #[serde(rename = "Containers", default)]
    pub containers: BTreeMap<String, Container>,
    /// Labels.
    #[serde(rename = "Labels")]
    pub labels: BTreeMap<String, String>,
    /// What joins the network to the host's stack; null without a subnet.
    #[serde(default)]
    pub gateway: Option<Gateway>,
    /// Ports' link names.
    pub ports: Vec<String>,
    /// Seconds; 0 is never.
    pub ageing: u32,
    /// Bytes; null is whatever the links have.
    pub mtu: Option<u32>,
    /// VLANs separate traffic inside.
    pub vlan_aware: bool,
    /// How multicast is treated, and what is known of it.
    #[serde(default)]
    pub multicast: Multicast,
    /// What was asked for about segments of more than 64 KiB.
    #[serde(default)]
    pub big_tcp: BigTcp,
    /// Dynamic and other FDB entries of the network.
    pub fdb_entries: u64,
}

/// Where a network's addresses come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipam {
    /// `default`: addresses are given by vswitch. `null`: the network has no subnet.
    #[serde(rename = "Driver")]
    pub driver: String,
    /// One for each subnet.
    #[serde(rename = "Config")]
    pub config: Vec<SubnetConfig>,
}

/// One subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetConfig {
    /// In CIDR form.
    #[serde(rename = "Subnet")]
    pub subnet: String,
    /// The gateway's address in it.
    #[serde(rename = "Gateway")]
    pub gateway: IpAddr,
}

/// A host of a network, as far as somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name; empty where nobody said one, as with the rest.
    #[serde(rename = "Name")]
    pub name: String,
    /// Its MAC.
    #[serde(rename = "MacAddress")]
    pub mac: String,
    /// Its first IPv4 address with the length of the subnet's prefix.
    #[serde(rename = "IPv4Address")]
    pub ipv4: String,
    /// And IPv6.
    #[serde(rename = "IPv6Address")]
    pub ipv6: String,
}

/// What joins a network to the host's stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The link that the host's stack has, with the gateway's addresses.
    pub link: String,
    /// The link that is a port of the network.
    pub port: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// What hosts of the network should have for an MTU to get everything out unfragmented, in bytes.
    pub mtu: u32,
    /// What on this host keeps the gateway from doing its work, and what to do about it: a line each.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What reserving an address asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressWish {
    /// The network's name.
    pub network: String,
    /// Just this one; else the next that is free.
    pub ip: Option<IpAddr>,
    /// Of this subnet of the network, in CIDR form; else of the first.
    pub subnet: Option<String>,
}

/// An address of a network and who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The network's name.
    pub network: String,
    /// The address.
    pub ip: IpAddr,
    /// Its subnet in CIDR form.
    pub subnet: String,
    /// The subnet's gateway.
    pub gateway: IpAddr,
    /// `gateway`, `reserved`, or the link of the port.
    pub holder: String,
}

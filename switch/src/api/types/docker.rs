//! What a Docker engine asks of the switch, after the plugin's server has read it: libnetwork's remote protocol in our words.
//!
//! Network and endpoint ids are Docker's own, and Docker asks again when it is not sure that it was heard: whatever is
//! asked twice must be answered alike.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::{BigTcp, HookChoice, Protocol};

/// One call of an engine.
#[derive(Debug, Clone)]
pub enum Call {
    /// Make a network.
    CreateNetwork(NetworkWish),
    /// Remove it; one that is not there is fine.
    DeleteNetwork {
        /// Docker's id.
        network: String,
    },
    /// Note an endpoint: a container's place at a network, before there is a container.
    CreateEndpoint(EndpointWish),
    /// Forget it; one that is not there is fine.
    DeleteEndpoint(EndpointId),
    /// What is known of an endpoint.
    EndpointInfo(EndpointId),
    /// Make the link that the engine moves into the container.
    Join(EndpointId, Vec<Binding>),
    /// Take it away again.
    Leave(EndpointId),
    /// Publish an endpoint's ports; none said are those it was created with.
    Publish(EndpointId, Vec<Binding>),
    /// Do so no longer.
    Unpublish(EndpointId),
    /// Take a subnet.
    RequestPool(PoolWish),
    /// Give it back.
    ReleasePool {
        /// As it was answered.
        pool: String,
    },
    /// Take an address of a subnet.
    RequestAddress(AddressRequest),
    /// Give it back.
    ReleaseAddress {
        /// The subnet, as it was answered.
        pool: String,
        /// The address.
        ip: IpAddr,
    },
    /// What the engine calls an endpoint's container; not libnetwork's, but ours.
    Name {
        /// Docker's id of the endpoint.
        endpoint: String,
        /// The container's name first, then its aliases at this network.
        names: Vec<String>,
        /// What Docker calls the network.
        network: String,
    },
}

/// An endpoint and its network, by Docker's ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointId {
    /// The network.
    pub network: String,
    /// The endpoint.
    pub endpoint: String,
}

/// A network to be made.
#[derive(Debug, Clone, Default)]
pub struct NetworkWish {
    /// Docker's id.
    pub id: String,
    /// Subnets, their gateways, and addresses that nobody shall get.
    pub pools: Vec<WishedPool>,
    /// No way out.
    pub internal: bool,
    /// What else was said.
    pub options: NetworkOptions,
}

/// A subnet of a network to be made.
#[derive(Debug, Clone)]
pub struct WishedPool {
    /// The subnet.
    pub subnet: IpNet,
    /// Its gateway.
    pub gateway: Option<IpAddr>,
    /// Addresses set aside.
    pub auxiliary: Vec<IpAddr>,
}

/// Options of a network (`docker network create --opt`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Name of the switch's network; `docker-` and twelve digits of the id where not said.
    pub name: Option<String>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Containers reach the gateway, but not each other.
    pub isolated: bool,
    /// Address of the host that ports are published at, where none is said.
    pub host_ip: Option<IpAddr>,
    /// Hook of its ports.
    pub hook: Option<HookChoice>,
    /// Whether segments of more than 64 KiB are sent.
    pub big_tcp: Option<BigTcp>,
}

/// An endpoint to be noted.
#[derive(Debug, Clone)]
pub struct EndpointWish {
    /// Docker's ids.
    pub id: EndpointId,
    /// Addresses that Docker chose.
    pub ips: Vec<IpAddr>,
    /// MAC that Docker chose.
    pub mac: Option<MacAddr>,
    /// Ports to publish.
    pub bindings: Vec<Binding>,
    /// Names that the user gave the endpoint (`vswitch.name`).
    pub names: Vec<String>,
    /// Hook of its port, where not the network's.
    pub hook: Option<HookChoice>,
}

/// A published port as Docker has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The container's port.
    pub port: u16,
    /// Address of the host; none is each of them.
    pub host_ip: Option<IpAddr>,
    /// First and last port of the host that will do; 0 is any.
    pub host_ports: (u16, u16),
}

/// A subnet to be taken.
#[derive(Debug, Clone, Default)]
pub struct PoolWish {
    /// Just this one; else one that is free.
    pub subnet: Option<IpNet>,
    /// The part of it that addresses are given from.
    pub range: Option<IpNet>,
    /// Of IPv6, where none is said.
    pub v6: bool,
}

/// An address to be taken.
#[derive(Debug, Clone)]
pub struct AddressRequest {
    /// The subnet, as it was answered.
    pub pool: String,
    /// Just this one; else the next that is free.
    pub ip: Option<IpAddr>,
    /// What for.
    pub purpose: Purpose,
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A network's gateway.
    Gateway,
    /// A container with this MAC.
    Endpoint(MacAddr),
    /// Something else, that asks for it itself.
    Other,
}

/// The answer to a [`Call`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// Done.
    Done,
    /// To [`Call::CreateEndpoint`]: the MAC, where Docker left it to us.
    Endpoint {
        /// The MAC.
        mac: Option<MacAddr>,
    },
    /// To [`Call::EndpointInfo`].
    Info(BTreeMap<String, serde_json::Value>),
    /// To [`Call::Join`].
    Joined(Joined),
    /// To [`Call::RequestPool`].
    Pool {
        /// What to call it from now on.
        id: String,
        /// The subnet.
        subnet: IpNet,
    },
    /// To [`Call::RequestAddress`]: the address with its subnet's prefix.
    Address(IpNet),
}

/// A link that waits for a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its name in our namespace.
    pub link: String,
    /// Gateways of IPv4 and IPv6; none on internal networks.
    pub gateways: Vec<IpAddr>,
}

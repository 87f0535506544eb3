//! Networks with a subnet: what is between such a network and the host's stack.
//!
//! A gateway is a veth pair of our own: one end is a port of the network, the other has the gateway's addresses and belongs
//! to the host's stack, which routes. This module knows how (links, addresses, sysctls, rules, names) and keeps no state;
//! what there should be is durable state (`GatewayState`), and `controller/gateways.rs` brings it about.
//!
//! What vswitch does not touch: other tables and chains. A host whose own forward chain drops (Docker's iptables rules do,
//! ufw's may) drops what the gateway forwards too, since a drop in any table is final. `nat::survey` finds such chains, and
//! `controller/firewall.rs` says what to do about them. Networks that Docker made get a rule of
//! their own that lets them through (`passage`).

pub mod dns;
pub mod ipam;
pub mod link;
pub mod listening;
pub mod nat;
pub mod passage;
pub mod sysctl;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use crate::api::error::{ApiError, ErrorCode};
use crate::netlink::NetlinkError;
use ipam::Pool;

/// The name of the host behind a gateway's port, as `port show` and names have it.
pub const ENDPOINT_NAME: &str = "gateway";

/// What is durable of a network's gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayState {
    /// Link of the host's stack.
    pub link: String,
    /// Link of the switch's port, as it was made; the port's state follows renames.
    pub port_link: String,
    /// Slot of that port.
    pub port: u16,
    /// Address of `link`.
    pub mac: MacAddr,
    /// Subnets and what of them is taken.
    pub pools: Vec<Pool>,
}

impl GatewayState {
    /// The gateway's own addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.pools.iter().map(|pool| pool.gateway).collect()
    }

    /// The pool that an address is in.
    #[must_use]
    pub fn pool_of(&self, ip: IpAddr) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.subnet.contains(&ip))
    }
}

/// Why a network with a subnet cannot be as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// No subnet.
    #[error("{text:?} is no subnet: write it as 10.1.0.0/24 or fd00:1::/64")]
    NotSubnet {
        /// What was said.
        text: String,
    },
    /// A host's address in place of a subnet's.
    #[error("{said} is a host in a subnet: the subnet itself is {meant}")]
    HostBits {
        /// What was said.
        said: IpNet,
        /// The subnet.
        meant: IpNet,
    },
    /// Too small or too large a subnet, or of a kind that no network of hosts has.
    #[error(
        "{subnet} cannot be a network's subnet: give one of unicast addresses, with a prefix of 8 to 30 bits for IPv4 and \
         of 16 to 126 for IPv6"
    )]
    Unsuitable {
        /// Which.
        subnet: IpNet,
    },
    /// The subnet has addresses that another one has.
    #[error("{subnet} overlaps with {other}: choose a subnet of its own")]
    Overlap {
        /// Which.
        subnet: IpNet,
        /// With what: a network or link and its subnet.
        other: String,
    },
    /// An address that no subnet of the network has for hosts.
    #[error("{ip} is no host's address in {subnets}: give one that is")]
    NotHost {
        /// Which.
        ip: IpAddr,
        /// The subnets.
        subnets: String,
    },
    /// Two gateways for one subnet.
    #[error("{subnet} would have two gateways, {first} and {second}: give one a subnet")]
    TwoGateways {
        /// Which.
        subnet: IpNet,
        /// One.
        first: IpAddr,
        /// The other.
        second: IpAddr,
    },
    /// The address is taken.
    #[error("{ip} is {holder}: choose another address")]
    Taken {
        /// Which.
        ip: IpAddr,
        /// By whom.
        holder: String,
    },
    /// The name is another host's.
    #[error("network {network} has a host {name} already, {holder}: choose another name")]
    NameTaken {
        /// Which name.
        name: String,
        /// In which network.
        network: String,
        /// Behind which port.
        holder: String,
    },
    /// No address left.
    #[error("{subnet} of network {network} has no free address: delete a port or release an address first")]
    Exhausted {
        /// Which subnet.
        subnet: IpNet,
        /// Of which network.
        network: String,
    },
    /// As many reservations as there may be.
    #[error("network {network} has {most} reserved addresses, which is the limit: release one first")]
    TooManyReserved {
        /// Which network.
        network: String,
        /// The limit.
        most: usize,
    },
    /// The address is not reserved.
    #[error("{ip} is not reserved in network {network}: `vswitch network inspect {network}` shows what is")]
    NotReserved {
        /// Which.
        ip: IpAddr,
        /// Of which network.
        network: String,
    },
    /// The network has no subnet.
    #[error("network {network} has no subnet: `vswitch network create` makes one with --subnet")]
    NoSubnet {
        /// Which.
        network: String,
    },
    /// The port belongs to vswitch.
    #[error("{link} is the gateway of network {network}: it goes with `vswitch network rm {network}`")]
    GatewayPort {
        /// The port's link.
        link: String,
        /// Its network.
        network: String,
    },
    /// The kernel refused something about a link.
    #[error(transparent)]
    Link(#[from] NetlinkError),
}

impl GatewayError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotSubnet { .. }
            | Self::HostBits { .. }
            | Self::Unsuitable { .. }
            | Self::NotHost { .. }
            | Self::TwoGateways { .. }
            | Self::NoSubnet { .. } => ErrorCode::InvalidArgument,
            Self::Overlap { .. } => ErrorCode::SubnetOverlaps,
            Self::Taken { .. } => ErrorCode::AddressInUse,
            Self::NameTaken { .. } => ErrorCode::NameInUse,
            Self::Exhausted { .. } | Self::TooManyReserved { .. } => ErrorCode::LimitReached,
            Self::NotReserved { .. } => ErrorCode::NoSuchAddress,
            Self::GatewayPort { .. } => ErrorCode::GatewayPort,
            Self::Link(_) => ErrorCode::Kernel,
        }
    }
}

impl From<GatewayError> for ApiError {
    fn from(error: GatewayError) -> Self {
        Self::new(error.code(), crate::error::chain(&error))
    }
}

//! All that the CLI and the controller share: requests, replies and events, as they stand in JSON.
//!
//! A request is what a user asked for, parsed but not yet checked against the switch's state. A reply's shape is the
//! command contract: fields are added, never renamed. One file per noun; everything is reached as `types::Name`.

pub mod docker;
mod event;
mod fdb;
mod multicast;
mod network;
mod port;
mod publish;
mod status;
mod trace;
mod upgrade;
mod vlan;

#[cfg(test)]
pub(crate) mod samples;

use serde::{Deserialize, Serialize};

pub use event::{Event, EventKind};
pub use fdb::{FdbEntry, FdbFilter, FdbFlush, FdbKeySpec, FdbKind, FdbSpec};
pub use multicast::{
    MdbEntry, MdbFilter, MdbKind, Multicast, MulticastMode, MulticastQuerier, MulticastScope, MulticastSpec,
};
pub use network::{
    Address, AddressWish, BigTcp, Container, Gateway, Ipam, Network, NetworkChange, NetworkSpec, SubnetConfig,
};
pub use port::{
    Counters, Endpoint, Hook, HookChoice, HookMode, Port, PortFilter, PortQuarantine, PortSpec, PortState,
    PortStats, StormKind,
};
pub use publish::{PortRange, PortRangeError, Protocol, Publish, PublishFilter, PublishTextError};
pub use status::{DockerUser, DockerUserChain, DockerUserStatus, FdbStatus, Kernel, Limit, Paths, Status};
pub use trace::{
    FrameTextError, HookTrace, Trace, TraceDelivery, TraceLearning, TraceSpec, TraceStage, TraceVerdict,
    TraceWithheld,
};
pub use upgrade::{Build, Maps, Upgrade, UpgradeSpec};
pub use vlan::{PortVlan, VlanListError, VlanMode, vlan_ranges};

/// Version of this API; part of every path (`/v1/…`).
pub const API_VERSION: u32 = 1;

/// The network that always exists and that a port joins when no other is named.
pub const DEFAULT_NETWORK: &str = "default";

/// One request to the controller. Each variant is one route of the HTTP API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// What the controller is and how it fares.
    Status,
    /// Remove every program, map, pin, rule and link that vswitch made, then stop.
    Teardown,
    /// Hand over to the binary that lies in the running one's place.
    Upgrade(UpgradeSpec),
    /// Make a link a port.
    PortAdd(PortSpec),
    /// Change a port's options; options left out stay as they are.
    PortSet(PortSpec),
    /// Give a link back.
    PortDel {
        /// The port's link name.
        link: String,
    },
    /// List ports.
    PortShow(PortFilter),
    /// List FDB entries.
    FdbShow(FdbFilter),
    /// Add a static or sticky entry.
    FdbAdd(FdbSpec),
    /// Remove one entry.
    FdbDel(FdbKeySpec),
    /// Remove the dynamic entries (and with `include_static` all but local ones) that match.
    FdbFlush(FdbFlush),
    /// List members of multicast groups.
    MdbShow(MdbFilter),
    /// Create a network.
    NetworkCreate(NetworkSpec),
    /// Change a network.
    NetworkSet(NetworkChange),
    /// Remove a network.
    NetworkRemove {
        /// The network's name.
        name: String,
        /// Remove its ports too.
        #[serde(default)]
        force: bool,
    },
    /// List networks.
    NetworkList,
    /// One network with all that is known of it.
    NetworkInspect {
        /// The network's name.
        name: String,
    },
    /// Addresses of a network that somebody has.
    AddressList {
        /// The network's name.
        network: String,
    },
    /// Take an address out of those that are free, until it is released.
    AddressReserve(AddressWish),
    /// Give a reserved address back.
    AddressRelease {
        /// The network's name.
        network: String,
        /// The address.
        ip: std::net::IpAddr,
    },
    /// Lead ports of the host to a host of a network.
    PublishAdd(Publish),
    /// Do so no longer.
    PublishDel(Publish),
    /// List published ports.
    PublishShow(PublishFilter),
    /// Counters of one port, or of all.
    Stats {
        /// The port's link name; none means all ports.
        #[serde(default)]
        link: Option<String>,
    },
    /// Say what would become of a frame. Changes nothing, but lets the kernel run a program.
    Trace(TraceSpec),
    /// Make the ports of a Linux bridge, present and future, ports of a network of its name.
    Takeover {
        /// The bridge's name.
        bridge: String,
    },
    /// Give them back to the bridge.
    Release {
        /// The bridge's name.
        bridge: String,
    },
    /// What a Docker engine asks for by the plugin's socket; the API has no route for it.
    #[serde(skip)]
    Docker(Box<docker::Call>),
}

impl Request {
    /// Whether the request is for everybody who may read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Status
            | Self::PortShow(_)
            | Self::FdbShow(_)
            | Self::MdbShow(_)
            | Self::NetworkList
            | Self::NetworkInspect { .. }
            | Self::AddressList { .. }
            | Self::PublishShow(_)
            | Self::Stats { .. } => true,
            // With `check` it reads too, but runs another program.
            Self::Teardown
            | Self::Upgrade(_)
            | Self::PortAdd(_)
            | Self::PortSet(_)
            | Self::PortDel { .. }
            | Self::FdbAdd(_)
            | Self::FdbDel(_)
            | Self::FdbFlush(_)
            | Self::NetworkCreate(_)
            | Self::NetworkSet(_)
            | Self::NetworkRemove { .. }
            | Self::AddressReserve(_)
            | Self::AddressRelease { .. }
            | Self::PublishAdd(_)
            | Self::PublishDel(_)
            | Self::Trace(_)
            | Self::Takeover { .. }
            | Self::Release { .. }
            | Self::Docker(_) => false,
        }
    }
}

/// The answer to a request, or nothing but its success.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Upgrade`].
    Upgrade(Box<Upgrade>),
    /// To [`Request::PortShow`]; `PortAdd` and `PortSet` answer with the one port, `Takeover` with the network's ports.
    Ports(Vec<Port>),
    /// To [`Request::FdbShow`].
    Fdb(Vec<FdbEntry>),
    /// To [`Request::MdbShow`].
    Mdb(Vec<MdbEntry>),
    /// To [`Request::NetworkList`]; `NetworkCreate`, `NetworkSet` and `NetworkInspect` answer with the one network.
    Networks(Vec<Network>),
    /// To [`Request::AddressList`]; `AddressReserve` answers with the one address.
    Addresses(Vec<Address>),
    /// To [`Request::PublishShow`]; `PublishAdd` answers with the one that was added.
    Publishes(Vec<Publish>),
    /// To [`Request::Stats`].
    Stats(Vec<PortStats>),
    /// To [`Request::Trace`]: the one trace.
    Traces(Vec<Trace>),
    /// To [`Request::FdbFlush`] and other commands that only count what they did.
    Done(Done),
    /// To [`Request::Docker`].
    #[serde(skip)]
    Docker(Box<docker::Answer>),
}

/// What a command without a subject to show did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Done {
    /// How many things the command changed; 0 where that was nothing.
    pub changed: u64,
}

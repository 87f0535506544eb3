//! What the controller wants to be so, and what it needs to undo it: everything that outlives a restart.
//!
//! Serialised as it stands by `store.rs`. Names are what users said; numbers (slots, places, network and domain ids) are
//! the data path's, and stay with their owner for its life, so that maps of an earlier run keep their meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vswitch_common::limits;
use vswitch_common::mac::MacAddr;
use vswitch_common::port::PortId;
use vswitch_common::vlan::{VIDS, VlanId};

use super::docker::state::DockerState;
use super::multicast::MulticastState;
use super::table::Table;
use super::takeover::TakeoverState;
use crate::api::types::{BigTcp, DEFAULT_NETWORK, HookChoice, PortVlan, Publish, StormKind};
use crate::datapath::{TcMode, XdpMode};
use crate::gateway::GatewayState;
use crate::gateway::sysctl::ChangedSwitches;
use crate::netlink::Link;
use crate::netlink::hostend::SilencedLink;
use crate::netlink::peer::PeerPreparation;
use crate::netlink::segments::EnlargedPair;

/// Version of the state file; a file of a later one is refused.
pub const STATE_VERSION: u32 = 3;

/// Seconds after which a silent station is forgotten, unless the network says otherwise (802.1Q table 8-6).
pub const DEFAULT_AGEING_S: u32 = 300;

/// Everything durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// [`STATE_VERSION`] of who wrote it.
    pub version: u32,
    /// Networks by name.
    pub networks: Table<String, NetworkState>,
    /// Ports by slot.
    pub ports: Table<u16, PortState>,
    /// Bridges that are taken over, by name.
    #[serde(default)]
    pub takeovers: BTreeMap<String, TakeoverState>,
    /// The bpffs that an earlier run mounted and a teardown unmounts.
    #[serde(default)]
    pub mounted: Option<std::path::PathBuf>,
    /// Published ports.
    #[serde(default)]
    pub publishes: Vec<Publish>,
    /// Whether there may be rules for gateways.
    #[serde(default)]
    pub has_rules: bool,
    /// Switches of the host that were changed for its gateways.
    #[serde(default)]
    pub switches: ChangedSwitches,
    /// What Docker engines asked for.
    #[serde(default)]
    pub docker: DockerState,
}

impl Default for State {
    fn default() -> Self {
        let default = NetworkState { id: 1, domain: 1, ..NetworkState::default() };
        Self {
            version: STATE_VERSION,
            networks: BTreeMap::from([(DEFAULT_NETWORK.to_owned(), default)]).into(),
            ports: Table::default(),
            takeovers: BTreeMap::new(),
            mounted: None,
            publishes: Vec::new(),
            has_rules: false,
            switches: ChangedSwitches::new(),
            docker: DockerState::default(),
        }
    }
}

/// One network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkState {
    /// Its number in the data path, 1 to [`limits::NETWORKS`] − 1.
    pub id: u16,
    /// Domain of its untagged frames.
    pub domain: u16,
    /// Seconds of silence after which a station is forgotten; 0 is never.
    pub ageing_s: u32,
    /// Largest frame in bytes, without the Ethernet header; none is whatever the links have.
    pub mtu: Option<u32>,
    /// No way out.
    pub internal: bool,
    /// VLANs separate traffic inside.
    pub vlan_aware: bool,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
    /// How multicast is treated.
    #[serde(default)]
    pub multicast: MulticastState,
    /// Whether segments of more than 64 KiB are sent.
    #[serde(default)]
    pub big_tcp: BigTcp,
    /// What joins it to the host's stack, if it has a subnet.
    #[serde(default)]
    pub gateway: Option<GatewayState>,
}

impl Default for NetworkState {
    fn default() -> Self {
        Self {
            id: 0,
            domain: 0,
            ageing_s: DEFAULT_AGEING_S,
            mtu: None,
            internal: false,
            vlan_aware: false,
            labels: BTreeMap::new(),
            multicast: MulticastState::default(),
            big_tcp: BigTcp::Auto,
            gateway: None,
        }
    }
}

/// One port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortState {
    /// Link name, which follows renames.
    pub link: String,
    /// Link index; 0 while the link is gone.
    pub ifindex: u32,
    /// Name of its network.
    pub network: String,
    /// Place in the network's flood list.
    pub place: u16,
    /// Options the user set.
    pub options: PortOptions,
    /// How the programs are attached.
    pub attached: Attached,
    /// Why this hook.
    pub hook_reason: String,
    /// What the link was before; none while it is gone.
    pub silenced: Option<SilencedLink>,
    /// What was changed in the peer, for XDP.
    pub preparation: Option<PeerPreparation>,
    /// What both ends' segment sizes were before they were enlarged.
    #[serde(default)]
    pub enlarged: Option<EnlargedPair>,
    /// Static and sticky entries.
    pub entries: Vec<EntryState>,
}

/// Options of a port, all with a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortOptions {
    /// Hook asked for.
    pub hook: HookChoice,
    /// See `api::types::PortSpec` for this and the rest.
    pub isolated: bool,
    /// A frame may leave by its ingress port.
    pub hairpin: bool,
    /// Sources are learned.
    pub learning: bool,
    /// Floods leave by it.
    pub flood: bool,
    /// Most dynamic entries; none is no limit.
    pub mac_limit: Option<u32>,
    /// DHCP servers and routers may be behind it.
    pub trusted: bool,
    /// What is behind it routes: it speaks for addresses beyond its own.
    #[serde(default)]
    pub router: bool,
    /// Host name behind the port.
    pub name: Option<String>,
    /// Further names of the host.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Host MAC.
    pub mac: Option<MacAddr>,
    /// Host addresses.
    pub ips: Vec<IpAddr>,
    /// VLAN options, as said.
    #[serde(default)]
    pub vlan: PortVlan,
    /// Storm limits in frames per second.
    #[serde(default)]
    pub storm: BTreeMap<StormKind, u32>,
    /// Bursts of these limits in frames, where they were said.
    #[serde(default)]
    pub storm_burst: BTreeMap<StormKind, u32>,
}

impl PortOptions {
    /// Whether the port takes only the addresses that it was given.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.mac.is_some() || !self.ips.is_empty()
    }
}

impl Default for PortOptions {
    fn default() -> Self {
        Self {
            hook: HookChoice::Auto,
            isolated: false,
            hairpin: false,
            learning: true,
            flood: true,
            mac_limit: None,
            trusted: false,
            router: false,
            name: None,
            aliases: Vec::new(),
            mac: None,
            ips: Vec::new(),
            vlan: PortVlan::default(),
            storm: BTreeMap::new(),
            storm_burst: BTreeMap::new(),
        }
    }
}

/// How the programs of a port are attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The tc program, which every port has while its link exists.
    pub tc: Option<TcMode>,
    /// The XDP program.
    pub xdp: Option<XdpMode>,
}

/// A permanent FDB entry of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryState {
    /// The station.
    pub mac: MacAddr,
    /// Its VLAN, on VLAN-aware networks.
    pub vlan: Option<VlanId>,
    /// Never moves.
    pub sticky: bool,
}

impl PortState {
    /// A port whose link is still to be found.
    #[must_use]
    pub fn new(link: String, network: String, place: u16, options: PortOptions) -> Self {
        Self {
            link,
            ifindex: 0,
            network,
            place,
            options,
            attached: Attached::default(),
            hook_reason: String::new(),
            silenced: None,
            preparation: None,
            enlarged: None,
            entries: Vec::new(),
        }
    }

    /// Whether the link, which has the port's index, is the one that was added and not a later one with its number: the
    /// name may change and the address may, but not both at once.
    #[must_use]
    pub fn is_link(&self, link: &Link) -> bool {
        link.name == self.link || self.silenced.as_ref().is_some_and(|was| was.mac == link.mac)
    }
}

impl State {
    /// The port of a link.
    #[must_use]
    pub fn port_by_link(&self, link: &str) -> Option<(PortId, &PortState)> {
        self.ports.iter().find(|(_, port)| port.link == link).map(|(slot, port)| (PortId(*slot), port))
    }

    /// The port of a link index.
    #[must_use]
    pub fn port_by_index(&self, ifindex: u32) -> Option<PortId> {
        self.ports.iter().find(|(_, port)| port.ifindex == ifindex).map(|(slot, _)| PortId(*slot))
    }

    /// The lowest free slot of the first `most`; none when all are taken.
    #[must_use]
    pub fn free_slot(&self, most: u32) -> Option<PortId> {
        (1..=most.min(limits::PORTS - 1))
            .map(|slot| PortId(slot as u16))
            .find(|port| !self.ports.contains_key(&port.0))
    }

    /// The lowest free place in a network's flood list; none when it is full.
    #[must_use]
    pub fn free_place(&self, network: &str) -> Option<u16> {
        let taken: BTreeSet<u16> =
            self.ports.values().filter(|port| port.network == network).map(|port| port.place).collect();
        (0..limits::FLOOD_MEMBERS).map(|place| place as u16).find(|place| !taken.contains(place))
    }

    /// Places of a network's flood list in use, empty ones among them included.
    #[must_use]
    pub fn places(&self, network: &str) -> u32 {
        let used = self.ports.values().filter(|port| port.network == network && port.ifindex != 0);
        used.map(|port| u32::from(port.place) + 1).max().unwrap_or(0)
    }

    /// The lowest free network id of the first `most`.
    #[must_use]
    pub fn free_network_id(&self, most: u32) -> Option<u16> {
        let taken: BTreeSet<u16> = self.networks.values().map(|network| network.id).collect();
        (1..=most.min(limits::NETWORKS - 1)).map(|id| id as u16).find(|id| !taken.contains(id))
    }

    /// The network whose gateway the port is.
    #[must_use]
    pub fn gateway_of_port(&self, port: PortId) -> Option<(&str, &GatewayState)> {
        let name = &self.ports.get(&port.0)?.network;
        let gateway = self.networks.get(name)?.gateway.as_ref()?;
        (gateway.port == port.0).then_some((name, gateway))
    }

    /// The first domain of the lowest free block for a VLAN-aware network.
    #[must_use]
    pub fn free_vlan_block(&self) -> Option<u16> {
        (1..=limits::VLAN_AWARE_NETWORKS)
            .map(|block| block * VIDS)
            .find(|domain| !self.networks.values().any(|network| network.domain == *domain))
    }

    /// The network of a domain, and the VLAN that the domain is in it.
    #[must_use]
    pub fn network_of_domain(&self, domain: u16) -> Option<(&str, Option<VlanId>)> {
        let (base, vlan) = super::vlans::base(domain);
        self.networks.iter().find(|(_, n)| n.domain == base).map(|(name, _)| (name.as_str(), vlan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(link: &str, place: u16) -> PortState {
        let network = DEFAULT_NETWORK.to_owned();
        PortState { ifindex: 7, ..PortState::new(link.to_owned(), network, place, PortOptions::default()) }
    }

    #[test]
    fn a_freed_slot_and_place_are_the_next_to_be_used() {
        let mut state = State::default();
        for (slot, place) in [(1, 0), (2, 1), (4, 3)] {
            state.ports.insert(slot, port(&format!("veth{slot}"), place));
        }
        assert_eq!(state.free_slot(limits::PORTS), Some(PortId(3)));
        assert_eq!(state.free_place(DEFAULT_NETWORK), Some(2));
        assert_eq!(state.places(DEFAULT_NETWORK), 4);
        assert_eq!(state.places("other"), 0);
    }

    #[test]
    fn state_reads_back_as_it_was_written() {
        let mut state = State::default();
        state.ports.insert(1, port("veth1", 0));
        let text = serde_json::to_string(&state).expect("plain data");
        assert_eq!(serde_json::from_str::<State>(&text).expect("what we wrote"), state);
    }
}

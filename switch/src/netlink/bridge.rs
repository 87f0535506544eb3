//! Linux bridges as vswitch meets them: what one is set to, how each of its ports is, and whom it has learned where.
//!
//! A link that leaves its bridge loses its port settings and the bridge's entries for it. So both are read before, and
//! written again when it comes back.

use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use rtnetlink::packet_route::link::{
    BridgePortState, BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoPortData, InfoPortKind,
    LinkAttribute, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};
use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::{LinkId, LinkIndex, Netlink, NetlinkError};

/// What a bridge is set to, as far as it matters to a switch that takes its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BridgeFacts {
    /// The spanning tree protocol runs, so that a new port forwards only after a while.
    pub has_stp: bool,
    /// How long a new port listens, and then learns, under STP; hundredths of a second.
    pub forward_delay_cs: u32,
    /// VLANs separate traffic inside (`vlan_filtering`).
    pub is_vlan_aware: bool,
}

/// Settings of a bridge port that an administrator or a container engine chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgePort {
    /// A frame may leave by the port it came in by.
    pub hairpin: bool,
    /// Reaches only ports that are not isolated.
    pub isolated: bool,
    /// Sources are learned.
    pub learning: bool,
    /// Unknown unicast leaves by it.
    pub unicast_flood: bool,
    /// Multicast leaves by it.
    pub multicast_flood: bool,
    /// Broadcast leaves by it.
    pub broadcast_flood: bool,
}

impl Default for BridgePort {
    /// As the kernel makes a new port.
    fn default() -> Self {
        Self {
            hairpin: false,
            isolated: false,
            learning: true,
            unicast_flood: true,
            multicast_flood: true,
            broadcast_flood: true,
        }
    }
}

/// A station that a bridge knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    /// Its address.
    pub mac: MacAddr,
    /// The bridge's port to it.
    pub port: LinkIndex,
}

/// What the bridge is set to.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
pub async fn facts(netlink: &Netlink, bridge: LinkIndex) -> Result<BridgeFacts, NetlinkError> {
    let mut facts = BridgeFacts::default();
    for info in link_info(netlink, bridge).await? {
        let LinkInfo::Data(InfoData::Bridge(settings)) = info else { continue };
        for setting in settings {
            match setting {
                InfoBridge::StpState(state) => facts.has_stp = state != BridgeStpState::Disabled,
                InfoBridge::ForwardDelay(delay) => facts.forward_delay_cs = delay,
                InfoBridge::VlanFiltering(on) => facts.is_vlan_aware = on,
                _ => {}
            }
        }
    }
    Ok(facts)
}

/// The settings of a bridge's port.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
pub async fn port(netlink: &Netlink, port: LinkIndex) -> Result<BridgePort, NetlinkError> {
    let mut settings = BridgePort::default();
    for attribute in port_attributes(netlink, port).await? {
        match attribute {
            InfoBridgePort::HairpinMode(on) => settings.hairpin = on,
            InfoBridgePort::Isolated(on) => settings.isolated = on,
            InfoBridgePort::Learning(on) => settings.learning = on,
            InfoBridgePort::UnicastFlood(on) => settings.unicast_flood = on,
            InfoBridgePort::MulticastFlood(on) => settings.multicast_flood = on,
            InfoBridgePort::BroadcastFlood(on) => settings.broadcast_flood = on,
            _ => {}
        }
    }
    Ok(settings)
}

/// Whether the bridge forwards by this port: it has a carrier, and STP has let it.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
pub async fn is_forwarding(netlink: &Netlink, port: LinkIndex) -> Result<bool, NetlinkError> {
    let attributes = port_attributes(netlink, port).await?;
    Ok(attributes.contains(&InfoBridgePort::State(BridgePortState::Forwarding)))
}

/// Sets a bridge's port as it was.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
pub async fn set_port(netlink: &Netlink, port: LinkIndex, to: &BridgePort) -> Result<(), NetlinkError> {
    let settings = vec![
        InfoBridgePort::HairpinMode(to.hairpin),
        InfoBridgePort::Isolated(to.isolated),
        InfoBridgePort::Learning(to.learning),
        InfoBridgePort::UnicastFlood(to.unicast_flood),
        InfoBridgePort::MulticastFlood(to.multicast_flood),
        InfoBridgePort::BroadcastFlood(to.broadcast_flood),
    ];
    let message = LinkUnspec::new_with_index(port.0)
        .append_extra_attribute(LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(settings)),
        ]))
        .build();
    // Only RTM_NEWLINK changes what a master keeps of its port.
    netlink
        .ask_ack_with(RouteNetlinkMessage::NewLink(message), 0)
        .await
        .map_err(|source| NetlinkError::of_link("set the bridge port settings of", port, source))
}

/// Whom the bridge has learned, or was told of, behind its ports; its own addresses are left out.
///
/// # Errors
/// [`NetlinkError::Link`].
pub async fn stations(netlink: &Netlink, bridge: LinkIndex) -> Result<Vec<Station>, NetlinkError> {
    let found = neighbours(netlink, AddressFamily::Bridge, bridge).await?;
    Ok(found.iter().filter_map(|message| station(message, bridge)).collect())
}

/// Tells the bridge that a station is behind one of its ports, as if it had just heard it there.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
pub async fn learn(netlink: &Netlink, station: &Station) -> Result<(), NetlinkError> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = station.port.0;
    message.header.state = NeighbourState::Reachable;
    message.header.flags = NeighbourFlags::Controller;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(station.mac.octets().to_vec())];
    netlink
        .ask_ack_with(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
        .await
        .map_err(|source| NetlinkError::of_link("tell the bridge of a station behind", station.port, source))
}

/// Who the host's own stack knows on a link: address and MAC.
///
/// # Errors
/// [`NetlinkError::Link`].
pub async fn hosts(netlink: &Netlink, link: LinkIndex) -> Result<Vec<(IpAddr, MacAddr)>, NetlinkError> {
    let mut hosts = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let found = neighbours(netlink, family, link).await?;
        hosts.extend(found.iter().filter(|message| message.header.ifindex == link.0).filter_map(host));
    }
    Ok(hosts)
}

async fn link_info(netlink: &Netlink, index: LinkIndex) -> Result<Vec<LinkInfo>, NetlinkError> {
    let message = LinkMessageBuilder::<LinkUnspec>::new().index(index.0).build();
    let answer = netlink
        .ask_one(RouteNetlinkMessage::GetLink(message))
        .await
        .map_err(|source| NetlinkError::of_link("look up", index, source))?;
    let Some(RouteNetlinkMessage::NewLink(LinkMessage { attributes, .. })) = answer else {
        return Err(NetlinkError::NoSuchLink { link: LinkId::Index(index) });
    };
    let infos = attributes.into_iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    Ok(infos.unwrap_or_default())
}

async fn port_attributes(netlink: &Netlink, port: LinkIndex) -> Result<Vec<InfoBridgePort>, NetlinkError> {
    let infos = link_info(netlink, port).await?;
    let found = infos.into_iter().find_map(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(attributes)) => Some(attributes),
        _ => None,
    });
    Ok(found.unwrap_or_default())
}

async fn neighbours(
    netlink: &Netlink,
    family: AddressFamily,
    link: LinkIndex,
) -> Result<Vec<NeighbourMessage>, NetlinkError> {
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    let answers = netlink
        .ask_dump(RouteNetlinkMessage::GetNeighbour(message))
        .await
        .map_err(|source| NetlinkError::of_link("list the neighbours of", link, source))?;
    let neighbour = |answer| match answer {
        RouteNetlinkMessage::NewNeighbour(message) => Some(message),
        _ => None,
    };
    Ok(answers.into_iter().filter_map(neighbour).collect())
}

fn station(message: &NeighbourMessage, bridge: LinkIndex) -> Option<Station> {
    // A permanent entry is the bridge's or a port's own address, or a multicast group it listens to.
    let is_own = message.header.state == NeighbourState::Permanent;
    let is_of_bridge = message.attributes.contains(&NeighbourAttribute::Controller(bridge.0));
    let mac = mac_of(message).filter(|_| is_of_bridge && !is_own)?;
    Some(Station { mac, port: LinkIndex(message.header.ifindex) })
}

fn host(message: &NeighbourMessage) -> Option<(IpAddr, MacAddr)> {
    let mac = mac_of(message)?;
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => Some((IpAddr::V4(*ip), mac)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => Some((IpAddr::V6(*ip), mac)),
        _ => None,
    })
}

fn mac_of(message: &NeighbourMessage) -> Option<MacAddr> {
    let octets = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(octets) => Some(octets.as_slice()),
        _ => None,
    })?;
    octets.try_into().ok().map(MacAddr::from_octets).filter(|mac| mac.is_valid_source())
}

#[cfg(test)]
mod tests {
    use super::super::scratch::{Scratch, index};
    use super::*;

    fn bridge() -> Option<Scratch> {
        let scratch = Scratch::new()?;
        for line in [
            "link add br0 type bridge stp_state 0",
            "link add a0 type veth peer name a1",
            "link set a0 master br0",
        ] {
            scratch.ip(line);
        }
        for link in ["br0", "a0", "a1"] {
            scratch.ip(&format!("link set {link} up"));
        }
        Some(scratch)
    }

    #[test]
    fn settings_of_a_port_come_back_as_they_were() {
        let Some(scratch) = bridge() else { return };
        scratch.ip("link set a0 type bridge_slave hairpin on isolated on flood off");
        scratch.block_on(async move |netlink| {
            let (a0, br0) = (index(&netlink, "a0").await, index(&netlink, "br0").await);
            let was = port(&netlink, a0).await.expect("settings");
            let expected =
                BridgePort { hairpin: true, isolated: true, unicast_flood: false, ..BridgePort::default() };
            assert_eq!(was, expected);
            netlink.set_master(a0, None).await.expect("leaves");
            netlink.set_master(a0, Some(br0)).await.expect("comes back");
            assert_eq!(port(&netlink, a0).await.expect("settings"), BridgePort::default());
            set_port(&netlink, a0, &was).await.expect("set");
            assert_eq!(port(&netlink, a0).await.expect("settings"), was);
        });
    }

    #[test]
    fn a_bridge_is_told_of_a_station_and_tells_of_it() {
        let Some(scratch) = bridge() else { return };
        scratch.block_on(async move |netlink| {
            let (a0, br0) = (index(&netlink, "a0").await, index(&netlink, "br0").await);
            assert!(!facts(&netlink, br0).await.expect("facts").has_stp);
            let station = Station { mac: MacAddr::from_octets([2, 0, 0, 0, 0, 7]), port: a0 };
            learn(&netlink, &station).await.expect("told");
            learn(&netlink, &station).await.expect("twice is fine");
            let known = stations(&netlink, br0).await.expect("listed");
            assert!(known.contains(&station), "{known:?}");
            let own = netlink.by_index(br0).await.expect("it exists").mac;
            assert!(known.iter().all(|known| known.mac != own), "{known:?}");
        });
    }
}

//! The gateway's veth pair: one end is a port of the network, the other is the host's.
//!
//! Made and mended by the same function, [`ensure`]: what is there stays, what is missing is made. So a start after a
//! crash, after a reboot and after somebody deleted the link are one case.

use vswitch_common::mac::MacAddr;

use super::{GatewayState, sysctl};
use crate::netlink::address::LinkAddress;
use crate::netlink::veth::{self, End};
use crate::netlink::{Link, LinkKind, Netlink, NetlinkError};

/// MTU of a way out that nobody knows of: Ethernet's.
pub const MTU_DEFAULT: u32 = 1_500;

/// Names tried for a pair before giving up.
const NAMES_TRIED: u32 = 64;

/// Names for the pair of the network with this id, host's end and port's end, that nobody has.
///
/// # Errors
/// [`NetlinkError`], also when all that were tried are taken.
pub async fn free_names(netlink: &Netlink, id: u16) -> Result<(String, String), NetlinkError> {
    let taken = netlink.list().await?;
    let is_free = |name: &String| !taken.iter().any(|link| link.name == *name);
    (0..NAMES_TRIED)
        .map(|turn| match turn {
            0 => (format!("vsw{id}"), format!("vswp{id}")),
            turn => (format!("vsw{id}-{turn}"), format!("vswp{id}-{turn}")),
        })
        .find(|(host, port)| is_free(host) && is_free(port))
        .ok_or_else(|| {
            let last = NAMES_TRIED - 1;
            NetlinkError::LinkExists { links: format!("vsw{id} or vswp{id}, and so on to vsw{id}-{last}") }
        })
}

/// The address of the host's end: locally administered, the same for the same switch and network at every start, and
/// another for another switch, whose ports may meet ours on one wire.
#[must_use]
pub fn mac(switch: u32, network: u16) -> MacAddr {
    let ([a, b, c, _], [d, e]) = (switch.to_be_bytes(), network.to_be_bytes());
    MacAddr::from_octets([0x02, a, b, c, d, e])
}

/// What the containers of the network should have for an MTU: what was asked for, else that of the way out.
///
/// # Errors
/// [`NetlinkError::List`].
pub async fn mtu(netlink: &Netlink, asked: Option<u32>) -> Result<u32, NetlinkError> {
    if let Some(mtu) = asked {
        return Ok(mtu);
    }
    for route in netlink.default_routes().await? {
        if let Ok(link) = netlink.by_index(route.link).await {
            return Ok(link.mtu);
        }
    }
    Ok(MTU_DEFAULT)
}

/// The MTU of the pair. Never below Ethernet's unless asked for: containers that nobody told of a smaller way out shall get
/// their frames to the host's stack, which says what fits, rather than have them dropped without a word.
#[must_use]
pub fn pair_mtu(asked: Option<u32>, way_out: u32) -> u32 {
    asked.unwrap_or(way_out.max(MTU_DEFAULT))
}

/// Makes the pair what it should be.
///
/// # Errors
/// [`NetlinkError`]; also when a link of that name is not ours.
pub async fn ensure(netlink: &Netlink, gateway: &GatewayState, mtu: u32) -> Result<(), NetlinkError> {
    let link = match netlink.by_name(&gateway.link).await {
        Ok(link) => link,
        Err(error) if error.is_no_such_link() => {
            let near = End { name: gateway.link.clone(), mac: Some(gateway.mac), mtu: Some(mtu) };
            let far = End { name: gateway.port_link.clone(), mac: None, mtu: Some(mtu) };
            let (near, _) = veth::create(netlink, &near, &far).await?;
            netlink.by_index(near).await?
        }
        Err(error) => return Err(error),
    };
    if !is_ours(&link, gateway) {
        return Err(NetlinkError::LinkExists { links: gateway.link.clone() });
    }
    let peer = link.peer.map(|peer| peer.index).unwrap_or(link.index);
    for index in [peer, link.index] {
        if netlink.by_index(index).await?.mtu != mtu {
            netlink.set_mtu(index, mtu).await?;
        }
    }
    // Before it comes up, when it would begin to talk.
    sysctl::set_all(netlink, switches(gateway)).await?;
    if !link.is_up {
        netlink.set_up(peer).await?;
        netlink.set_up(link.index).await?;
    }
    for pool in &gateway.pools {
        let address = LinkAddress { address: pool.gateway, prefix_len: pool.subnet.prefix_len() };
        netlink.add_address(link.index, address).await?;
    }
    if has_ipv6(gateway) {
        netlink.deliver_to_loopback6(link.index).await?;
    }
    Ok(())
}

/// Removes the pair, if it is there and ours.
///
/// # Errors
/// [`NetlinkError`].
pub async fn remove(netlink: &Netlink, gateway: &GatewayState) -> Result<(), NetlinkError> {
    match netlink.by_name(&gateway.link).await {
        Ok(link) if is_ours(&link, gateway) => veth::delete(netlink, link.index).await,
        Ok(_) => Ok(()),
        Err(error) if error.is_no_such_link() => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_ours(link: &Link, gateway: &GatewayState) -> bool {
    link.kind == LinkKind::Veth && link.mac == gateway.mac
}

fn has_ipv6(gateway: &GatewayState) -> bool {
    gateway.pools.iter().any(|pool| pool.gateway.is_ipv6())
}

/// Switches of the host's end. A gateway is a router, not a host that listens to one; and 127.0.0.1 may be a published
/// address (`nat` sees to it that nobody on the network can send to or from it). What `route_localnet` is for that address,
/// a route of our own is for ::1.
fn switches(gateway: &GatewayState) -> Vec<(String, &'static str)> {
    let has_ipv6 = has_ipv6(gateway);
    let of = |family: &str, key: &str| format!("{family}/conf/{}/{key}", gateway.link);
    let mut switches = vec![
        (of("ipv6", "disable_ipv6"), if has_ipv6 { "0" } else { "1" }),
        (of("ipv4", "route_localnet"), "1"),
    ];
    if has_ipv6 {
        switches.extend([(of("ipv6", "accept_ra"), "0"), (of("ipv6", "accept_dad"), "0")]);
    }
    switches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateways_address_is_a_stations_and_differs_by_switch_and_network() {
        let one = mac(0xdead_beef, 2);
        assert!(one.is_valid_source() && one.octets()[0] & 2 != 0);
        assert_eq!(one, mac(0xdead_beef, 2));
        assert!(one != mac(0xdead_beef, 3) && one != mac(0x0bad_beef, 2));
    }

    #[test]
    fn a_small_way_out_does_not_make_a_small_gateway() {
        assert_eq!(
            (pair_mtu(None, 1400), pair_mtu(None, 9000), pair_mtu(Some(1400), 1500)),
            (1500, 9000, 1400)
        );
    }
}

//! Anti-spoofing: a guarded port sends only from the addresses that it was given, and is no DHCP server or router unless it
//! is trusted. What a host needs before it has an address stays possible: DHCP discovery (RFC 2131 section 4.1), ARP probes
//! (RFC 5227), IPv6 link-local addresses and duplicate address detection (RFC 4862).

use crate::mac::MacAddr;
use crate::nd::{ICMPV6, IPV6_BYTES, Message, is_link_local, is_unspecified, kind};
use crate::port::{PortConfig, flag};
use crate::verdict::DropReason;

/// Key of the `GUARDS` map: an IP address that a port was given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct GuardKey {
    /// IPv6 in wire order; IPv4 in the first four octets with `family` 4.
    pub ip: [u8; 16],
    /// [`PortId`](crate::port::PortId).
    pub port: u16,
    /// 4 or 6.
    pub family: u16,
}

/// Next header and protocol value of UDP.
pub const UDP: u8 = 17;

/// Protocol value of IGMP.
const IGMP: u8 = 2;

/// UDP ports of DHCP (RFC 2131) and DHCPv6 (RFC 8415 section 7.2).
mod udp_port {
    pub(super) const DHCP_SERVER: u16 = 67;
    pub(super) const DHCPV6_SERVER: u16 = 547;
}

/// Bytes of an IPv4 header without options.
pub const IPV4_BYTES: usize = 20;

/// What is left to find out about a frame: whether the port was given this address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Nothing: the frame is fine.
    Nothing,
    /// Whether the port has this IPv4 address.
    V4([u8; 4]),
    /// Whether the port has this IPv6 address.
    V6([u8; 16]),
    /// Whether nobody else has this link-local address.
    LinkLocal([u8; 16]),
}

/// Checks a frame's source MAC.
///
/// # Errors
/// [`DropReason::SpoofedMac`].
#[inline(always)]
pub const fn check_mac(port: &PortConfig, source: MacAddr) -> Result<(), DropReason> {
    if port.guard_mac != 0 && source.bits() != port.guard_mac { Err(DropReason::SpoofedMac) } else { Ok(()) }
}

/// Checks the address that a neighbour discovery message says stations can be reached at.
///
/// # Errors
/// [`DropReason::SpoofedMac`].
#[inline(always)]
pub const fn check_nd(port: &PortConfig, message: &Message) -> Result<(), DropReason> {
    let is_other = message.is_some() && message.mac.bits() != port.guard_mac;
    if port.guard_mac != 0 && is_other { Err(DropReason::SpoofedMac) } else { Ok(()) }
}

/// What an IPv4 packet asks. `source_port` and `destination_port` are 0 unless it is UDP and not a later fragment.
///
/// # Errors
/// The drop reason.
#[inline(always)]
pub const fn check_v4(
    port: &PortConfig,
    header: &[u8; IPV4_BYTES],
    source_port: u16,
    destination_port: u16,
) -> Result<Ask, DropReason> {
    if source_port == udp_port::DHCP_SERVER && !port.has(flag::TRUSTED) {
        return Err(DropReason::RogueServer);
    }
    let source = [header[12], header[13], header[14], header[15]];
    if !port.has(flag::GUARDED_IP) {
        return Ok(Ask::Nothing);
    }
    if u32::from_be_bytes(source) == 0 {
        // A host without an address: DHCP and group membership (RFC 3376 section 4.2.13), and nothing else.
        let is_allowed = destination_port == udp_port::DHCP_SERVER || header[9] == IGMP;
        return if is_allowed { Ok(Ask::Nothing) } else { Err(DropReason::SpoofedIp) };
    }
    Ok(Ask::V4(source))
}

/// What an IPv6 packet asks. `icmp` is the type and `target` the target of an ICMPv6 message (0 if it is none),
/// `source_port` as in [`check_v4`].
///
/// # Errors
/// The drop reason.
#[inline(always)]
pub fn check_v6(
    port: &PortConfig,
    header: &[u8; IPV6_BYTES],
    icmp: u8,
    target: &[u8; 16],
    source_port: u16,
) -> Result<Ask, DropReason> {
    let is_server = icmp == kind::ROUTER_ADVERTISEMENT
        || icmp == kind::REDIRECT
        || source_port == udp_port::DHCPV6_SERVER;
    if is_server && !port.has(flag::TRUSTED) {
        return Err(DropReason::RogueServer);
    }
    if !port.has(flag::GUARDED_IP) {
        return Ok(Ask::Nothing);
    }
    // An advertisement claims its target, whatever its source.
    let mut source = [0u8; 16];
    source.copy_from_slice(if icmp == kind::ADVERTISEMENT { target } else { &header[8..24] });
    if is_unspecified(&source) {
        // Duplicate address detection, and group membership before there is an address (RFC 3590).
        let is_allowed = header[6] == ICMPV6 || header[6] == 0;
        return if is_allowed { Ok(Ask::Nothing) } else { Err(DropReason::SpoofedIp) };
    }
    if is_link_local(&source) { Ok(Ask::LinkLocal(source)) } else { Ok(Ask::V6(source)) }
}

#[cfg(test)]
#[path = "guard/tests.rs"]
mod tests;

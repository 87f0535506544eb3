//! Stage: is the port allowed to say this? Only for guarded ports.

use vswitch_common::frame::{Arp, ethertype};
use vswitch_common::guard::{self, Ask, GuardKey, IPV4_BYTES, UDP};
use vswitch_common::mac::MacAddr;
use vswitch_common::nd::kind::ADVERTISEMENT;
use vswitch_common::nd::{ICMPV6, IPV6_BYTES};
use vswitch_common::neighbour::NeighbourKey;
use vswitch_common::port::{PortId, flag};
use vswitch_common::verdict::DropReason;
use vswitch_common::vlan::Tag;

use crate::maps;
use crate::packet::Frame;
use crate::parse::Headers;
use crate::pipeline::{Decision, Ingress};

/// Extension headers that are gone through; no host sends that many.
const EXTENSION_HEADERS: usize = 4;

/// Next header values (RFC 8200 section 4) that have another header behind them.
mod extension {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const DESTINATION: u8 = 60;
}

/// Refuses a frame from an address that the port was not given.
#[inline(always)]
pub(crate) fn admit(
    frame: &impl Frame,
    ingress: &Ingress,
    headers: &Headers,
    decision: &Decision,
) -> Result<(), DropReason> {
    if !ingress.config.has(flag::GUARDED) {
        return Ok(());
    }
    guard::check_mac(ingress.config, headers.ethernet.source)?;
    let ask = match headers.ethernet.ethertype {
        ethertype::ARP => check_arp(ingress, &decision.arp)?,
        ethertype::IPV4 => check_v4(frame, ingress, headers.network_offset)?,
        ethertype::IPV6 => {
            guard::check_nd(ingress.config, &decision.nd)?;
            check_v6(frame, ingress, headers.network_offset, decision)?
        }
        // What is behind a second tag is nobody's to check, and no host's that was given its addresses.
        inner if Tag::is_tpid(inner) && ingress.config.has(flag::GUARDED_IP) => {
            return Err(DropReason::SpoofedIp);
        }
        _ => Ask::Nothing,
    };
    if has_address(ingress.id, decision, ask) { Ok(()) } else { Err(DropReason::SpoofedIp) }
}

#[inline(always)]
fn has_address(port: PortId, decision: &Decision, ask: Ask) -> bool {
    match ask {
        Ask::Nothing => true,
        Ask::V4([a, b, c, d]) => {
            let ip = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            maps::is_given(GuardKey { ip, port: port.0, family: 4 })
        }
        // Hosts choose these addresses themselves; whoever has one keeps it.
        Ask::LinkLocal(ip) => {
            let known = maps::neighbour(NeighbourKey::v6(decision.domain, ip));
            known.is_none_or(|known| known.0 == decision.ethernet.source.bits())
        }
        Ask::V6(ip) => maps::is_given(GuardKey { ip, port: port.0, family: 6 }),
    }
}

/// ARP speaks for its sender; a probe (RFC 5227) does not say an address yet.
#[inline(always)]
fn check_arp(ingress: &Ingress, arp: &Arp) -> Result<Ask, DropReason> {
    if !arp.is_some() {
        // Stacks understand more kinds of ARP than the switch does (hardware type 6, for one).
        return Err(DropReason::Malformed);
    }
    let given = MacAddr::from_bits(ingress.config.guard_mac);
    if given.bits() != 0 && arp.sender_mac.bits() != given.bits() {
        return Err(DropReason::SpoofedMac);
    }
    let is_asked = ingress.config.has(flag::GUARDED_IP) && !arp.is_probe();
    Ok(if is_asked { Ask::V4(arp.sender_ip) } else { Ask::Nothing })
}

#[inline(always)]
fn check_v4(frame: &impl Frame, ingress: &Ingress, at: usize) -> Result<Ask, DropReason> {
    let Some(header) = frame.copy::<IPV4_BYTES>(at) else { return Err(DropReason::Malformed) };
    let is_first = u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0;
    let mut ports = [0u8; 4];
    if header[9] == UDP && is_first {
        let length = usize::from(header[0] & 0x0f) * 4;
        match frame.copy::<4>(at + length) {
            Some(bytes) => ports = bytes,
            None => return Err(DropReason::Malformed),
        }
    }
    let [a, b, c, d] = ports;
    guard::check_v4(ingress.config, &header, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

#[inline(always)]
fn check_v6(
    frame: &impl Frame,
    ingress: &Ingress,
    at: usize,
    decision: &Decision,
) -> Result<Ask, DropReason> {
    let Some(header) = frame.copy::<IPV6_BYTES>(at) else { return Err(DropReason::Malformed) };
    let (mut next, mut payload) = (header[6], at + IPV6_BYTES);
    for _ in 0..EXTENSION_HEADERS {
        let is_fragment = next == extension::FRAGMENT;
        if !is_fragment
            && !matches!(next, extension::HOP_BY_HOP | extension::ROUTING | extension::DESTINATION)
        {
            break;
        }
        let Some([following, length, high, low]) = frame.copy::<4>(payload) else {
            return Err(DropReason::Malformed);
        };
        if is_fragment && u16::from_be_bytes([high, low]) & 0xfff8 != 0 {
            // A later fragment is nothing without the first.
            return guard::check_v6(ingress.config, &header, 0, &[0; 16], 0);
        }
        next = following;
        payload += if is_fragment { 8 } else { (usize::from(length) + 1) * 8 };
    }
    let (mut icmp, mut source_port, mut target) = (0, 0, [0u8; 16]);
    match next {
        ICMPV6 => {
            let Some([kind]) = frame.copy::<1>(payload) else { return Err(DropReason::Malformed) };
            icmp = kind;
            if let Some(bytes) = frame.copy::<16>(payload + 8) {
                target = bytes;
            }
        }
        UDP => {
            let Some(bytes) = frame.copy::<2>(payload) else { return Err(DropReason::Malformed) };
            source_port = u16::from_be_bytes(bytes);
        }
        // Whoever hides what it sends behind more headers than that is not let through.
        extension::HOP_BY_HOP | extension::ROUTING | extension::FRAGMENT | extension::DESTINATION => {
            return Err(DropReason::Malformed);
        }
        _ => {}
    }
    if icmp == ADVERTISEMENT {
        // It claims its target, and like any packet it comes from its source.
        let source = guard::check_v6(ingress.config, &header, 0, &[0; 16], 0)?;
        if !has_address(ingress.id, decision, source) {
            return Err(DropReason::SpoofedIp);
        }
    }
    guard::check_v6(ingress.config, &header, icmp, &target, source_port)
}

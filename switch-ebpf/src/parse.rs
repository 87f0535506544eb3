//! Stage: what the frame says of itself.

use vswitch_common::frame::{ARP_BYTES, Arp, ETHERNET_BYTES, Ethernet, ethertype};
use vswitch_common::nd::{self, Message};
use vswitch_common::verdict::DropReason;
use vswitch_common::vlan::Tag;

use crate::maps;
use crate::packet::Frame;

/// Layer 2, and where layer 3 begins.
#[derive(Clone, Copy)]
pub(crate) struct Headers {
    /// Addresses, and the EtherType behind the outer tag.
    pub(crate) ethernet: Ethernet,
    /// The outer tag.
    pub(crate) tag: Tag,
    /// Bytes in front of layer 3.
    pub(crate) network_offset: usize,
}

/// The headers.
#[inline(always)]
pub(crate) fn headers(frame: &impl Frame) -> Result<Headers, DropReason> {
    let Some(bytes) = frame.read::<ETHERNET_BYTES>(0) else { return Err(DropReason::Malformed) };
    let mut ethernet = Ethernet::parse(&bytes);
    let offset = frame.ethertype_offset();
    if offset != 12 {
        match frame.read::<2>(16) {
            Some(bytes) => ethernet.ethertype = u16::from_be_bytes(bytes),
            None => return Err(DropReason::Malformed),
        }
    }
    Ok(Headers { ethernet, tag: frame.tag(), network_offset: offset + 2 })
}

/// The ARP packet of a frame that says to be one. A truncated one is left to the hosts, as any payload is.
#[inline(always)]
pub(crate) fn arp(frame: &impl Frame, headers: &Headers) -> Arp {
    match frame.read::<ARP_BYTES>(headers.network_offset) {
        Some(bytes) => Arp::parse(&bytes),
        None => Arp::NONE,
    }
}

/// Whether the frame may be neighbour discovery, so that it is worth looking at as a whole.
#[inline(always)]
pub(crate) fn may_be_nd(frame: &impl Frame, headers: &Headers) -> bool {
    headers.ethernet.ethertype == ethertype::IPV6
        && frame.read::<1>(headers.network_offset + 6) == Some([nd::ICMPV6])
}

/// The neighbour solicitation or advertisement, if it is one.
#[inline(always)]
pub(crate) fn nd(frame: &impl Frame, headers: &Headers) -> Message {
    let Some(scratch) = maps::scratch() else { return Message::NONE };
    if frame.copy_to(headers.network_offset, scratch) { Message::parse(scratch) } else { Message::NONE }
}

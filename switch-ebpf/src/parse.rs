//! Stage: what the frame says of itself.

use vswitch_common::frame::{ARP_BYTES, Arp, ETHERNET_BYTES, Ethernet, ethertype};
use vswitch_common::verdict::DropReason;

use crate::packet::Frame;

/// The Ethernet header.
#[inline(always)]
pub(crate) fn ethernet(frame: &impl Frame) -> Result<Ethernet, DropReason> {
    match frame.read::<ETHERNET_BYTES>(0) {
        Some(bytes) => Ok(Ethernet::parse(&bytes)),
        None => Err(DropReason::Malformed),
    }
}

/// The ARP packet, if it is one. A truncated one is left to the hosts, as any payload is.
#[inline(always)]
pub(crate) fn arp(frame: &impl Frame, ethernet: &Ethernet) -> Arp {
    if ethernet.ethertype != ethertype::ARP {
        return Arp::NONE;
    }
    match frame.read::<ARP_BYTES>(ETHERNET_BYTES) {
        Some(bytes) => Arp::parse(&bytes),
        None => Arp::NONE,
    }
}

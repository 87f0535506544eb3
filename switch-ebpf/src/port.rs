//! Stage: which port is this, and does it take the frame?

use vswitch_common::frame::Ethernet;
use vswitch_common::port::flag;
use vswitch_common::verdict::DropReason;

use crate::maps;
use crate::packet::Frame;
use crate::pipeline::Ingress;

/// The port of the link that the frame came in by.
#[inline(always)]
pub(crate) fn ingress(frame: &impl Frame) -> Result<Ingress, DropReason> {
    let Some(id) = maps::port_of_link(frame.ifindex()) else {
        return Err(DropReason::NoPort);
    };
    let Some(config) = maps::port(id) else {
        return Err(DropReason::NoPort);
    };
    Ok(Ingress { id, config })
}

/// Refuses what no port takes: frames while it is down, from sources that cannot be, to addresses that are not relayed.
#[inline(always)]
pub(crate) fn admit(ingress: &Ingress, ethernet: &Ethernet) -> Result<(), DropReason> {
    if !ingress.config.has(flag::FORWARDING) {
        return Err(DropReason::PortDown);
    }
    if !ethernet.source.is_valid_source() {
        return Err(DropReason::InvalidSource);
    }
    if ethernet.destination.is_link_constrained() {
        return Err(DropReason::LinkConstrained);
    }
    Ok(())
}

//! Stage: which port is this, and does it take the frame?

use vswitch_common::frame::Ethernet;
use vswitch_common::port::{PortConfig, PortId, flag};
use vswitch_common::verdict::DropReason;

use crate::maps;
use crate::packet::Frame;
use crate::pipeline::Ingress;

/// Nobody's port.
static NOBODY: PortConfig = PortConfig::FREE;

/// The port of the link that the frame came in by; nobody's if it is no port's.
#[inline(always)]
pub(crate) fn ingress(frame: &impl Frame) -> Ingress {
    if let Some(id) = maps::port_of_link(frame.ifindex())
        && let Some(config) = maps::port(id)
    {
        return Ingress { id, config };
    }
    Ingress { id: PortId::NOBODY, config: &NOBODY }
}

/// The port that a decision names.
#[inline(always)]
pub(crate) fn of(id: PortId) -> Ingress {
    Ingress { id, config: maps::port(id).unwrap_or(&NOBODY) }
}

/// Whether the port neither takes nor gets frames because stations flapped there.
#[inline(always)]
pub(crate) fn is_quarantined(id: PortId, now_ns: u64) -> bool {
    maps::quarantine(id).is_some_and(|quarantine| quarantine.is_in_force(now_ns))
}

/// Refuses what no port takes: frames while it is down, from sources that cannot be, to addresses that are not relayed.
#[inline(always)]
pub(crate) fn admit(ingress: &Ingress, ethernet: &Ethernet, now_ns: u64) -> Result<(), DropReason> {
    if ingress.id.0 == PortId::NOBODY.0 {
        return Err(DropReason::NoPort);
    }
    if !ingress.config.has(flag::FORWARDING) {
        return Err(DropReason::PortDown);
    }
    if is_quarantined(ingress.id, now_ns) {
        return Err(DropReason::Quarantined);
    }
    if !ethernet.source.is_valid_source() {
        return Err(DropReason::InvalidSource);
    }
    if ethernet.destination.is_link_constrained() {
        return Err(DropReason::LinkConstrained);
    }
    Ok(())
}

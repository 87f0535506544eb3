//! Stage: which VLAN and so which domain does the frame belong to; and in which form it leaves by a port.

use vswitch_common::port::{PortConfig, PortId, flag};
use vswitch_common::verdict::DropReason;
use vswitch_common::vlan::{self, Form, Tag, VlanSet};

use crate::maps;
use crate::pipeline::Ingress;

/// What a port that is no trunk has.
static NO_VLANS: VlanSet = VlanSet::EMPTY;

/// The frame's VLAN; 0 on a VLAN-unaware network.
#[inline(always)]
pub(crate) fn classify(ingress: &Ingress, tag: Tag) -> Result<u16, DropReason> {
    vlan::classify(ingress.config, tag, allowed(ingress.id, ingress.config))
}

/// The form in which a frame of the VLAN leaves by the port.
#[inline(always)]
pub(crate) fn leave(port: PortId, config: &PortConfig, vid: u16) -> Result<Form, DropReason> {
    vlan::leave(config, vid, allowed(port, config))
}

#[inline(always)]
fn allowed(port: PortId, config: &PortConfig) -> &'static VlanSet {
    if config.has(flag::TRUNK) { maps::vlans(port).unwrap_or(&NO_VLANS) } else { &NO_VLANS }
}

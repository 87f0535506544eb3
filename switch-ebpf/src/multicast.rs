//! Stage: which multicast group is a flood for, if any, and who gets it? As the Linux bridge does: members and routers if the group
//! is known, routers alone if it is not, all while no querier makes hosts say what they want. And all while the controller is
//! away, for nobody would notice that another joins.

use vswitch_common::frame::ethertype;
use vswitch_common::guard::IPV4_BYTES;
use vswitch_common::multicast::{self, GroupKey, GroupList, HOP_BY_HOP_BYTES, IGMP, Kind};
use vswitch_common::nd::IPV6_BYTES;
use vswitch_common::verdict::Verdict;

use crate::flood::List;
use crate::maps;
use crate::packet::Frame;
use crate::pipeline::Decision;

/// Finds out what the frame is to multicast. What is behind a tag is payload on a VLAN-unaware network.
#[inline(always)]
pub(crate) fn look(frame: &impl Frame, decision: &mut Decision) {
    if decision.vid == 0 && decision.tag.is_some() {
        return;
    }
    // Headers go where a copy for the controller would: not onto the stack, of which little is left.
    let Some(room) = maps::snoop() else { return };
    let Some((header, rest)) = room.bytes.split_first_chunk_mut::<IPV6_BYTES>() else { return };
    let at = frame.ethertype_offset() + 2;
    let (family, (kind, ip)) = match decision.ethernet.ethertype {
        ethertype::IPV4 => {
            let Some(header) = header.first_chunk_mut::<IPV4_BYTES>() else { return };
            if !frame.copy_to(at, header) {
                return;
            }
            let (kind, ip) = multicast::of_v4(header);
            if kind == Kind::Control && header[9] == IGMP {
                let Some([what]) = frame.copy::<1>(at + usize::from(header[0] & 0x0f) * 4) else { return };
                (4, (Kind::of_igmp(what), ip))
            } else {
                (4, (kind, ip))
            }
        }
        ethertype::IPV6 => {
            let Some(next) = rest.first_chunk_mut::<HOP_BY_HOP_BYTES>() else { return };
            if !frame.copy_to(at, header) {
                return;
            }
            if !frame.copy_to(at + IPV6_BYTES, next) {
                *next = [0; HOP_BY_HOP_BYTES];
            }
            (6, multicast::of_v6(header, next))
        }
        _ => return,
    };
    decision.multicast = kind;
    decision.group = GroupKey::new(decision.domain, family, ip);
}

/// Narrows the flood down to a group's list, if there is one for it.
#[inline(always)]
pub(crate) fn narrow(decision: &mut Decision) {
    let is_stream = decision.multicast == Kind::Stream;
    if !(is_stream || decision.multicast == Kind::Report) || maps::is_controller_away(decision.now_ns) {
        return;
    }
    let mut list = GroupList::NONE;
    if is_stream {
        list = maps::group(&decision.group);
    }
    if !list.is_some() {
        list = maps::group(&GroupKey::routers(decision.domain, decision.group.family));
        if is_stream && !list.prunes() {
            return;
        }
    }
    if list.is_some() {
        decision.list = List::of_group(list.list, list.places);
        decision.verdict = Verdict::Group(list.list, list.places).pack();
    }
}

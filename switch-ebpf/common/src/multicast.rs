//! IP multicast, as far as the data path decides about it: which group a frame is for, whether it speaks of membership, and
//! which ports get it. Who is a member is found out by the controller (see [`membership`](crate::membership)).
//!
//! Ports that get a group's frames stand in a flood list of their own, beside those of the networks, with the ports that routers
//! are behind already among them. So a frame costs two look-ups at most, and then one for each port that gets it.

use crate::domain::DomainId;
use crate::guard::IPV4_BYTES;
use crate::nd::{ICMPV6, IPV6_BYTES};

/// IP protocol of IGMP (RFC 2236 section 2).
pub const IGMP: u8 = 2;
/// IP protocol of PIM (RFC 7761 section 4.9).
pub const PIM: u8 = 103;
/// 224.0.0.13 (RFC 7761 section 4.3): all PIM routers.
pub const ALL_PIM_ROUTERS_V4: [u8; 4] = [224, 0, 0, 13];
/// ff02::d: all PIM routers.
pub const ALL_PIM_ROUTERS_V6: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0d];
/// Bytes of a hop-by-hop header with a router alert, and the first of what follows: the type of an MLD message.
pub const HOP_BY_HOP_BYTES: usize = 9;

/// Types of IGMP messages (RFC 3376 section 4).
pub mod igmp {
    /// Query, of any version.
    pub const QUERY: u8 = 0x11;
    /// Report of version 1.
    pub const REPORT_V1: u8 = 0x12;
    /// Report of version 2.
    pub const REPORT_V2: u8 = 0x16;
    /// Leave group.
    pub const LEAVE: u8 = 0x17;
    /// Report of version 3.
    pub const REPORT_V3: u8 = 0x22;
}

/// Types of MLD messages (RFC 3810 section 5).
pub mod mld {
    /// Query, of either version.
    pub const QUERY: u8 = 130;
    /// Report of version 1.
    pub const REPORT_V1: u8 = 131;
    /// Done.
    pub const DONE: u8 = 132;
    /// Report of version 2.
    pub const REPORT_V2: u8 = 143;
}

/// What a frame is to multicast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Nothing: no IP multicast, or of a group that is never pruned.
    Other = 0,
    /// Of a group, for its members.
    Stream = 1,
    /// Says which groups somebody is a member of: for routers (RFC 4541 section 2.1.1).
    Report = 2,
    /// Asks for that, ends it, or says that a router is there: for all.
    Control = 3,
}

impl Kind {
    /// Whether the controller wants to see it.
    #[inline(always)]
    #[must_use]
    pub const fn is_telling(self) -> bool {
        matches!(self, Self::Report | Self::Control)
    }

    /// Of an IGMP message's type.
    #[inline(always)]
    #[must_use]
    pub const fn of_igmp(kind: u8) -> Self {
        match kind {
            igmp::REPORT_V1 | igmp::REPORT_V2 | igmp::REPORT_V3 => Self::Report,
            _ => Self::Control,
        }
    }
}

/// Key of the `GROUPS` map: a group in a domain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct GroupKey {
    /// IPv6 in wire order; IPv4 in the first four octets with `family` 4. All zeros: the ports that routers are behind.
    pub ip: [u8; 16],
    /// [`DomainId`].
    pub domain: u16,
    /// 4 or 6.
    pub family: u16,
}

impl GroupKey {
    /// The key of a group.
    #[inline(always)]
    #[must_use]
    pub const fn new(domain: DomainId, family: u16, ip: [u8; 16]) -> Self {
        Self { ip, domain: domain.0, family }
    }

    /// The key of the ports that routers are behind.
    #[inline(always)]
    #[must_use]
    pub const fn routers(domain: DomainId, family: u16) -> Self {
        Self::new(domain, family, [0; 16])
    }
}

/// Value of the `GROUPS` map: the flood list of a group. Written by the controller alone, whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct GroupList {
    /// Number of the list in the `MEMBERS` map, beyond those of the networks; 0 is no list.
    pub list: u16,
    /// Places of the list in use, empty ones among them included.
    pub places: u16,
    /// Bits of [`list_flag`].
    pub flags: u32,
}

/// Bits of [`GroupList::flags`].
pub mod list_flag {
    /// On the list of routers: groups without a list of their own go to these ports only. Without it they are flooded.
    pub const PRUNES: u32 = 1;
}

impl GroupList {
    /// No list.
    pub const NONE: Self = Self { list: 0, places: 0, flags: 0 };

    /// Whether there is one.
    #[inline(always)]
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.list != 0
    }

    /// Whether it stands for groups that have none.
    #[inline(always)]
    #[must_use]
    pub const fn prunes(&self) -> bool {
        self.is_some() && self.flags & list_flag::PRUNES != 0
    }
}

/// What an IPv4 packet is, by its header alone, and its group. A membership message's type is behind the header: it is
/// [`Kind::Control`] here.
#[inline(always)]
#[must_use]
pub const fn of_v4(h: &[u8; IPV4_BYTES]) -> (Kind, [u8; 16]) {
    let group = [h[16], h[17], h[18], h[19], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    if h[16] & 0xf0 != 0xe0 {
        return (Kind::Other, group);
    }
    let is_fragment = h[6] & 0x3f != 0 || h[7] != 0;
    let to = u32::from_be_bytes([h[16], h[17], h[18], h[19]]);
    let is_pim = h[9] == PIM && to == u32::from_be_bytes(ALL_PIM_ROUTERS_V4);
    if !is_fragment && (h[9] == IGMP || is_pim) {
        return (Kind::Control, group);
    }
    (if is_kept_v4(to) { Kind::Other } else { Kind::Stream }, group)
}

/// What an IPv6 packet is. `next` is what follows its header; zeros if that is not there.
#[inline(always)]
#[must_use]
pub fn of_v6(h: &[u8; IPV6_BYTES], next: &[u8; HOP_BY_HOP_BYTES]) -> (Kind, [u8; 16]) {
    let mut group = [0u8; 16];
    group.copy_from_slice(&h[24..40]);
    if group[0] != 0xff {
        return (Kind::Other, group);
    }
    if h[6] == 0 && next[0] == ICMPV6 && next[1] == 0 {
        match next[8] {
            mld::REPORT_V1 | mld::REPORT_V2 => return (Kind::Report, group),
            mld::QUERY | mld::DONE => return (Kind::Control, group),
            _ => {}
        }
    }
    if h[6] == PIM && group == ALL_PIM_ROUTERS_V6 {
        return (Kind::Control, group);
    }
    (if is_kept_v6(&group) { Kind::Other } else { Kind::Stream }, group)
}

/// Whether a group is never pruned: 224.0.0.0/24, which hosts may be members of without saying so (RFC 4541 section 2.1.2).
#[inline(always)]
#[must_use]
pub const fn is_kept_v4(group: u32) -> bool {
    group >> 8 == 0x00e0_0000
}

/// Whether a group is never pruned: of interface-local or link-local scope, solicited-node groups among them (RFC 4541 section 3).
/// Neighbour discovery must not depend on what the switch knows.
#[inline(always)]
#[must_use]
pub const fn is_kept_v6(group: &[u8; 16]) -> bool {
    group[1] & 0x0f <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(protocol: u8, to: [u8; 4]) -> [u8; IPV4_BYTES] {
        let mut h = [0u8; IPV4_BYTES];
        h[9] = protocol;
        h[16..20].copy_from_slice(&to);
        h
    }

    fn v6(next: u8, to: [u8; 2]) -> [u8; IPV6_BYTES] {
        let mut h = [0u8; IPV6_BYTES];
        h[6] = next;
        h[24..26].copy_from_slice(&to);
        h[39] = 1;
        h
    }

    #[test]
    fn a_stream_is_for_a_group_beyond_the_link() {
        assert_eq!(of_v4(&v4(17, [239, 1, 2, 3])).0, Kind::Stream);
        assert_eq!(of_v4(&v4(17, [224, 0, 1, 1])).0, Kind::Stream);
        for kept in [[224, 0, 0, 1], [224, 0, 0, 251], [10, 0, 0, 1], [255, 255, 255, 255]] {
            assert_eq!(of_v4(&v4(17, kept)).0, Kind::Other, "{kept:?}");
        }
        assert_eq!(of_v6(&v6(17, [0xff, 0x05]), &[0; 9]).0, Kind::Stream);
        assert_eq!(of_v6(&v6(17, [0xff, 0x3e]), &[0; 9]).0, Kind::Stream);
        for kept in [[0xff, 0x02], [0xff, 0x12], [0xff, 0x01], [0xfd, 0x05]] {
            assert_eq!(of_v6(&v6(17, kept), &[0; 9]).0, Kind::Other, "{kept:?}");
        }
    }

    #[test]
    fn membership_messages_are_told_from_streams() {
        assert_eq!(of_v4(&v4(IGMP, [239, 1, 2, 3])).0, Kind::Control);
        assert_eq!(of_v4(&v4(PIM, ALL_PIM_ROUTERS_V4)).0, Kind::Control);
        assert_eq!(of_v4(&v4(PIM, [239, 1, 2, 3])).0, Kind::Stream);
        let mut fragment = v4(IGMP, [239, 1, 2, 3]);
        fragment[7] = 5;
        assert_eq!(of_v4(&fragment).0, Kind::Stream);
        assert_eq!(Kind::of_igmp(igmp::LEAVE), Kind::Control);
        let mut next = [ICMPV6, 0, 5, 2, 0, 0, 1, 0, mld::REPORT_V2];
        assert_eq!(of_v6(&v6(0, [0xff, 0x02]), &next).0, Kind::Report);
        next[8] = mld::QUERY;
        assert_eq!(of_v6(&v6(0, [0xff, 0x02]), &next).0, Kind::Control);
        // An echo request behind a router alert is a stream like any other.
        next[8] = 128;
        assert_eq!(of_v6(&v6(0, [0xff, 0x05]), &next).0, Kind::Stream);
    }

    #[test]
    fn only_the_list_of_routers_stands_for_others() {
        let routers = GroupList { list: 5000, places: 0, flags: list_flag::PRUNES };
        assert!(routers.prunes() && !GroupList { flags: 0, ..routers }.prunes() && !GroupList::NONE.prunes());
        assert_ne!(GroupKey::routers(DomainId(1), 4), GroupKey::routers(DomainId(1), 6));
    }
}

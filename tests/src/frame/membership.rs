//! What hosts say about groups: IGMP of versions 2 and 3 (RFC 2236, RFC 3376), MLD of versions 1 and 2 (RFC 2710, RFC 3810).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vswitch_common::mac::MacAddr;

use super::ip::{group_mac, icmpv6, internet_checksum, short, with_header};
use super::{IPV4, ethernet};

const IGMP: u8 = 2;

/// Which version a host speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// IGMPv2 or MLDv1: a message to the group itself.
    Old,
    /// IGMPv3 or MLDv2: records to the routers.
    New,
}

/// A host joins a group, or leaves it: a message of the group's family.
///
/// # Panics
/// When the host's address is of the other family.
#[must_use]
pub fn report(version: Version, (mac, from): (MacAddr, IpAddr), group: IpAddr, joins: bool) -> Vec<u8> {
    match (from, group) {
        (IpAddr::V4(from), IpAddr::V4(group)) => igmp(version, (mac, from), group, joins),
        (IpAddr::V6(from), IpAddr::V6(group)) => mld(version, (mac, from), group, joins),
        _ => panic!("{from} and {group} are of two families"),
    }
}

fn igmp(version: Version, from: (MacAddr, Ipv4Addr), group: Ipv4Addr, joins: bool) -> Vec<u8> {
    let (to, kind) = match (version, joins) {
        (Version::Old, true) => (group, 0x16),
        (Version::Old, false) => (Ipv4Addr::new(224, 0, 0, 2), 0x17),
        (Version::New, _) => (Ipv4Addr::new(224, 0, 0, 22), 0x22),
    };
    let mut message = vec![kind, 0, 0, 0];
    if version == Version::New {
        message.extend([0, 0, 0, 1]);
        message.extend(record(joins));
    }
    message.extend(group.octets());
    let sum = internet_checksum(&[&message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut header = vec![0x46, 0xc0];
    header.extend(short(24 + message.len()).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 1, IGMP, 0, 0]);
    header.extend(from.1.octets());
    header.extend(to.octets());
    // Router alert (RFC 2113).
    header.extend([0x94, 4, 0, 0]);
    let sum = internet_checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let [_, b, c, d] = to.octets();
    let mac = MacAddr::from_octets([1, 0, 0x5e, b & 0x7f, c, d]);
    ethernet(mac, from.0, IPV4, &[header, message].concat())
}

fn mld(version: Version, from: (MacAddr, Ipv6Addr), group: Ipv6Addr, joins: bool) -> Vec<u8> {
    let of_link = |last| Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last);
    let (to, kind) = match (version, joins) {
        (Version::Old, true) => (group, 131),
        (Version::Old, false) => (of_link(2), 132),
        (Version::New, _) => (of_link(0x16), 143),
    };
    let mut body = vec![0, 0, 0, 0];
    if version == Version::New {
        body[3] = 1;
        body.extend(record(joins));
    }
    body.extend(group.octets());
    let mut frame = icmpv6(from, (group_mac(to), to), kind, &body);
    // Of this link (RFC 3810 section 5).
    frame[21] = 1;
    with_header(&frame, 0, &[5, 2, 0, 0, 1, 0])
}

/// The beginning of a group record without sources: everything from now on (TO_EX), or nothing (TO_IN).
const fn record(joins: bool) -> [u8; 4] {
    [if joins { 4 } else { 3 }, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use vswitch_common::membership::{Message, parse};

    use super::*;
    use crate::frame::{ethertype_of, payload_of};

    #[test]
    fn every_report_is_a_proper_one() {
        let mac = MacAddr::from_octets([2, 0, 0, 0, 0, 1]);
        let families = [("10.0.0.1", "239.1.2.3"), ("fe80::1", "ff15::1:2:3")];
        for (from, group) in families.map(|(a, b)| (a.parse().expect("one"), b.parse().expect("one"))) {
            for (version, joins) in
                [(Version::Old, true), (Version::Old, false), (Version::New, true), (Version::New, false)]
            {
                let frame = report(version, (mac, from), group, joins);
                let ethertype = ethertype_of(&frame).expect("it has one");
                let message = parse(ethertype, payload_of(&frame).expect("it carries a packet"));
                let Some(Message::Changes(changes)) = message else { panic!("{version:?} {group}") };
                assert_eq!(changes.map(|change| change.joins).collect::<Vec<_>>(), [joins]);
            }
        }
    }
}

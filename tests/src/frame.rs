//! Ethernet frames as octets, as a station would send them: from the destination address on, without the frame check
//! sequence, padded to 60 octets as IEEE 802.3 clause 4.2.3.3 asks.
//!
//! A test frame carries a mark, so that a test knows it again among everything else on a link.

mod arp;
pub mod ip;
pub mod membership;

pub use arp::{ArpPacket, arp_of, arp_probe, arp_reply, arp_request, gratuitous_arp};
pub use ip::{
    End, internet_checksum, ipv4_udp, ipv6_udp, neighbour_advertisement, neighbour_solicitation,
    router_solicitation,
};

use vswitch_common::mac::MacAddr;

/// Shortest frame on a wire, without frame check sequence.
pub const SHORTEST: usize = 60;
/// Octets of an untagged header.
pub const HEADER: usize = 14;
/// Local experimental ethertype 1 (IEEE 802 clause 9.2.4): what marked frames use.
pub const EXPERIMENTAL: u16 = 0x88b5;
/// IPv4.
pub const IPV4: u16 = 0x0800;
/// ARP.
pub const ARP: u16 = 0x0806;
/// IPv6.
pub const IPV6: u16 = 0x86dd;
/// 802.1Q customer tag.
pub const DOT1Q: u16 = 0x8100;
/// 802.1ad service tag.
pub const DOT1AD: u16 = 0x88a8;

/// What the payload of a marked frame begins with.
const MAGIC: &[u8; 8] = b"vstmark:";

/// A frame with any ethertype and payload, padded to the shortest length.
#[must_use]
pub fn ethernet(to: MacAddr, from: MacAddr, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = raw(to, from, ethertype, payload);
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// As [`ethernet`], without padding: for frames that should be refused.
#[must_use]
pub fn raw(to: MacAddr, from: MacAddr, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&to.octets()[..], &from.octets(), &ethertype.to_be_bytes(), payload].concat()
}

/// A shortest frame that carries `mark`.
#[must_use]
pub fn marked(to: MacAddr, from: MacAddr, mark: u64) -> Vec<u8> {
    marked_as(to, from, EXPERIMENTAL, mark, SHORTEST)
}

/// A frame of `length` octets in all with any ethertype that carries `mark`; the rest is a pattern that shows damage.
///
/// # Panics
/// When it is too short for the mark.
#[must_use]
pub fn marked_as(to: MacAddr, from: MacAddr, ethertype: u16, mark: u64, length: usize) -> Vec<u8> {
    let mut frame = raw(to, from, ethertype, &[&MAGIC[..], &mark.to_be_bytes()].concat());
    assert!(length >= frame.len(), "a marked frame has at least {} octets", frame.len());
    let pattern = (frame.len()..length).map(|at| (at % 251) as u8);
    frame.extend(pattern);
    frame
}

/// The mark of a marked frame, tagged or not.
#[must_use]
pub fn mark_of(frame: &[u8]) -> Option<u64> {
    let payload = payload_of(frame)?.strip_prefix(MAGIC)?;
    Some(u64::from_be_bytes(payload.get(..8)?.try_into().ok()?))
}

/// A filter for the frames that carry `mark`.
pub fn has_mark(mark: u64) -> impl Fn(&[u8]) -> bool {
    move |frame| mark_of(frame) == Some(mark)
}

/// The frame with an 802.1Q tag put in front of what it has.
#[must_use]
pub fn tagged(frame: &[u8], vid: u16, priority: u8) -> Vec<u8> {
    insert_tag(frame, DOT1Q, u16::from(priority) << 13 | vid)
}

/// The frame with any tag put in front of what it has.
#[must_use]
pub fn insert_tag(frame: &[u8], tpid: u16, tci: u16) -> Vec<u8> {
    let at = frame.len().min(12);
    [&frame[..at], &tpid.to_be_bytes(), &tci.to_be_bytes(), &frame[at..]].concat()
}

/// The VLAN ID of the outermost tag.
#[must_use]
pub fn vid_of(frame: &[u8]) -> Option<u16> {
    (number_at(frame, 12)? == DOT1Q).then_some(number_at(frame, 14)? & 0xfff)
}

/// Destination address.
#[must_use]
pub fn destination_of(frame: &[u8]) -> Option<MacAddr> {
    Some(MacAddr::from_octets(frame.get(..6)?.try_into().ok()?))
}

/// Source address.
#[must_use]
pub fn source_of(frame: &[u8]) -> Option<MacAddr> {
    Some(MacAddr::from_octets(frame.get(6..12)?.try_into().ok()?))
}

/// Ethertype behind all tags.
#[must_use]
pub fn ethertype_of(frame: &[u8]) -> Option<u16> {
    number_at(frame, payload_offset(frame)? - 2)
}

/// What follows the ethertype.
#[must_use]
pub fn payload_of(frame: &[u8]) -> Option<&[u8]> {
    frame.get(payload_offset(frame)?..)
}

fn payload_offset(frame: &[u8]) -> Option<usize> {
    let mut at = 12;
    while matches!(number_at(frame, at)?, DOT1Q | DOT1AD) {
        at += 4;
    }
    Some(at + 2)
}

fn number_at(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?))
}

/// One line that tells a reader which frame it is.
#[must_use]
pub fn describe(frame: &[u8]) -> String {
    let (Some(to), Some(from), Some(ethertype)) =
        (destination_of(frame), source_of(frame), ethertype_of(frame))
    else {
        return format!("runt of {} octets {frame:02x?}", frame.len());
    };
    let vlan = vid_of(frame).map(|vid| format!(" vlan {vid}")).unwrap_or_default();
    let what = match (arp_of(frame), mark_of(frame)) {
        (Some(arp), _) => format!(" {arp:?}"),
        (_, Some(mark)) => format!(" mark {mark}"),
        _ => format!(" {:02x?}", payload_of(frame).unwrap_or_default().iter().take(48).collect::<Vec<_>>()),
    };
    format!("{from} > {to}{vlan} {ethertype:#06x} {} octets{what}", frame.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 1]);
    const B: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_marked_frame_is_known_again_with_and_without_tags() {
        let frame = marked(B, A, 7);
        assert_eq!((frame.len(), mark_of(&frame)), (60, Some(7)));
        let twice = insert_tag(&tagged(&frame, 10, 3), DOT1AD, 20);
        assert_eq!((mark_of(&twice), ethertype_of(&twice)), (Some(7), Some(EXPERIMENTAL)));
        assert_eq!(vid_of(&tagged(&frame, 10, 3)), Some(10));
        assert_eq!((destination_of(&frame), source_of(&frame)), (Some(B), Some(A)));
    }

    #[test]
    fn runts_are_read_without_panic() {
        let frame = marked(B, A, 7);
        for length in 0..frame.len() {
            let _ = (describe(&frame[..length]), mark_of(&frame[..length]), arp_of(&frame[..length]));
        }
    }
}

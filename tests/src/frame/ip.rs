//! IPv4 and IPv6 packets with right checksums: UDP, and the neighbour discovery messages of RFC 4861.

use std::net::{Ipv4Addr, Ipv6Addr};

use vswitch_common::mac::MacAddr;

use super::{IPV4, IPV6, ethernet};

const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// One end of a datagram: MAC, IP, port.
pub type End<A> = (MacAddr, A, u16);

/// The checksum of RFC 1071 over the parts joined; every part but the last has an even length.
#[must_use]
pub fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A UDP datagram in IPv4.
#[must_use]
pub fn ipv4_udp(from: End<Ipv4Addr>, to: End<Ipv4Addr>, data: &[u8]) -> Vec<u8> {
    let segment = udp(from.2, to.2, data, &[&from.1.octets(), &to.1.octets()]);
    let mut header = vec![0x45, 0];
    header.extend(short(20 + segment.len()).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
    header.extend(from.1.octets());
    header.extend(to.1.octets());
    let sum = internet_checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(to.0, from.0, IPV4, &[header, segment].concat())
}

/// A UDP datagram in IPv6.
#[must_use]
pub fn ipv6_udp(from: End<Ipv6Addr>, to: End<Ipv6Addr>, data: &[u8]) -> Vec<u8> {
    let segment = udp(from.2, to.2, data, &[&from.1.octets(), &to.1.octets()]);
    ipv6((from.0, from.1), (to.0, to.1), UDP, &segment)
}

/// Who has `target`? To its solicited-node group. An unspecified source makes it duplicate address detection.
#[must_use]
pub fn neighbour_solicitation(from: (MacAddr, Ipv6Addr), target: Ipv6Addr) -> Vec<u8> {
    let tail = target.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(tail[13]),
        u16::from_be_bytes([tail[14], tail[15]]),
    );
    let mut body = [&[0; 4][..], &tail].concat();
    if !from.1.is_unspecified() {
        body.extend([&[1, 1][..], &from.0.octets()].concat());
    }
    icmpv6(from, (group_mac(group), group), 135, &body)
}

/// `from` has its address, solicited and overriding, said to `to` alone.
#[must_use]
pub fn neighbour_advertisement(from: (MacAddr, Ipv6Addr), to: (MacAddr, Ipv6Addr)) -> Vec<u8> {
    let body = [&[0x60, 0, 0, 0][..], &from.1.octets(), &[2, 1], &from.0.octets()].concat();
    icmpv6(from, to, 136, &body)
}

/// Is there a router? To all routers.
#[must_use]
pub fn router_solicitation(from: (MacAddr, Ipv6Addr)) -> Vec<u8> {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    icmpv6(from, (group_mac(group), group), 133, &[&[0, 0, 0, 0, 1, 1][..], &from.0.octets()].concat())
}

/// `target` is at `from`'s MAC, says `from`, which need not be the target itself.
#[must_use]
pub fn advertisement_of(target: Ipv6Addr, from: (MacAddr, Ipv6Addr), to: (MacAddr, Ipv6Addr)) -> Vec<u8> {
    let body = [&[0x60, 0, 0, 0][..], &target.octets(), &[2, 1], &from.0.octets()].concat();
    icmpv6(from, to, 136, &body)
}

/// I am a router (RFC 4861 section 4.2), to all nodes.
#[must_use]
pub fn router_advertisement(from: (MacAddr, Ipv6Addr)) -> Vec<u8> {
    let body = [&[64, 0, 7, 8][..], &[0; 8], &[1, 1], &from.0.octets()].concat();
    icmpv6(from, all_nodes(), 134, &body)
}

/// There is a better way (RFC 4861 section 4.5), to all nodes.
#[must_use]
pub fn redirect(from: (MacAddr, Ipv6Addr)) -> Vec<u8> {
    icmpv6(from, all_nodes(), 137, &[&[0; 4][..], &from.1.octets(), &from.1.octets()].concat())
}

/// The IPv6 packet with `count` headers of destination options in front of what it carries.
#[must_use]
pub fn behind_options(frame: &[u8], count: usize) -> Vec<u8> {
    (0..count).fold(frame.to_vec(), |frame, _| with_header(&frame, 60, &[1, 4, 0, 0, 0, 0]))
}

/// The IPv6 packet as a fragment that is all of it.
#[must_use]
pub fn in_fragment(frame: &[u8]) -> Vec<u8> {
    with_header(frame, 44, &[0, 0, 0, 0, 0, 1])
}

/// Puts an extension header of eight octets in front of what the packet carries; `rest` are those but the first two.
pub(super) fn with_header(frame: &[u8], kind: u8, rest: &[u8; 6]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let next = std::mem::replace(&mut frame[20], kind);
    let length = u16::from_be_bytes([frame[18], frame[19]]) + 8;
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame.splice(54..54, [&[next, 0][..], rest].concat());
    frame
}

fn all_nodes() -> (MacAddr, Ipv6Addr) {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    (group_mac(group), group)
}

/// The MAC of an IPv6 group (RFC 2464 section 7).
pub(super) fn group_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr::from_octets([0x33, 0x33, a, b, c, d])
}

fn udp(from: u16, to: u16, data: &[u8], addresses: &[&[u8]]) -> Vec<u8> {
    let length = short(8 + data.len()).to_be_bytes();
    let mut segment = [&from.to_be_bytes()[..], &to.to_be_bytes(), &length, &[0, 0], data].concat();
    let pseudo = [&[0, UDP][..], &length].concat();
    let sum = internet_checksum(&[addresses[0], addresses[1], &pseudo, &segment]);
    // A sum of zero is sent as all ones (RFC 768): zero means none was computed.
    segment[6..8].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
    segment
}

pub(super) fn icmpv6(from: (MacAddr, Ipv6Addr), to: (MacAddr, Ipv6Addr), kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0][..], body].concat();
    let pseudo = [&[0, 0][..], &short(message.len()).to_be_bytes(), &[0, 0, 0, ICMPV6]].concat();
    let sum = internet_checksum(&[&from.1.octets(), &to.1.octets(), &pseudo, &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv6(from, to, ICMPV6, &message)
}

fn ipv6(from: (MacAddr, Ipv6Addr), to: (MacAddr, Ipv6Addr), next: u8, payload: &[u8]) -> Vec<u8> {
    // Neighbour discovery insists on a hop limit of 255 (RFC 4861 section 7.1).
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(short(payload.len()).to_be_bytes());
    header.extend([next, 255]);
    header.extend(from.1.octets());
    header.extend(to.1.octets());
    ethernet(to.0, from.0, IPV6, &[&header[..], payload].concat())
}

pub(super) fn short(length: usize) -> u16 {
    u16::try_from(length).expect("a packet has at most 65535 octets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_checksum_sums_to_zero() {
        let mac = MacAddr::from_octets([2, 0, 0, 0, 0, 1]);
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let frame = ipv4_udp((mac, a, 5), (mac, b, 6), b"odd");
        assert_eq!(internet_checksum(&[&frame[14..34]]), 0);
        let pseudo = [0, UDP, 0, 11];
        assert_eq!(internet_checksum(&[&frame[26..34], &pseudo, &frame[34..45]]), 0);
    }

    #[test]
    fn a_solicitation_goes_to_the_solicited_node_group() {
        let from = (MacAddr::from_octets([2, 0, 0, 0, 0, 1]), "fd77::1".parse().expect("an address"));
        let frame = neighbour_solicitation(from, "fd77::12:3456".parse().expect("an address"));
        assert_eq!(&frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(frame.len(), 14 + 40 + 32);
    }
}

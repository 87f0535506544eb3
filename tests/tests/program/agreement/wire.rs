//! Frames of a scenario as octets, and the addresses of its stations.

use vswitch_tests::frame::{ARP, DOT1AD, DOT1Q, EXPERIMENTAL, IPV4, IPV6, insert_tag, raw};
use vswitch_tests::model::Mac;
use vswitch_tests::program::{MacAddr, station};

use super::scenario::{Address, Payload, Tag};

/// A station's MAC address.
pub(crate) fn mac(number: u8) -> Mac {
    station(number).octets()
}

/// A station's IP address.
pub(crate) fn ip(number: u8) -> [u8; 4] {
    [10, 0, 0, number + 1]
}

/// An address as it stands in a frame.
pub(crate) fn address(of: Address) -> MacAddr {
    match of {
        Address::Station(number) => station(number),
        Address::Broadcast => MacAddr::BROADCAST,
        Address::Group => MacAddr::from_octets([0x33, 0x33, 0, 0, 0, 1]),
        Address::Reserved => MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, 14]),
        Address::Zero => MacAddr::ZERO,
    }
}

/// A frame of so many octets, or more where its payload wants that, and those of its tag on top.
pub(crate) fn frame(to: Address, from: Address, length: usize, tag: Tag, payload: Payload) -> Vec<u8> {
    let (ethertype, mut content) = content(payload);
    let filling = if payload == Payload::Plain { 0x5a } else { 0 };
    content.resize(content.len().max(length - 14), filling);
    let frame = raw(address(to), address(from), ethertype, &content);
    match tag {
        Tag::None => frame,
        // With a priority, which every tag keeps.
        Tag::Customer(vid) => insert_tag(&frame, DOT1Q, 0xa000 | vid),
        Tag::Service(vid) => insert_tag(&frame, DOT1AD, vid),
    }
}

fn content(payload: Payload) -> (u16, Vec<u8>) {
    let ip_or_none = |number: Option<u8>| number.map_or([0; 4], ip);
    match payload {
        Payload::Plain => (EXPERIMENTAL, Vec::new()),
        Payload::Arp { sender, ip } => {
            let ip = ip_or_none(ip);
            let parts = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac(sender), &ip, &[0; 6], &ip];
            (ARP, parts.concat())
        }
        Payload::Udp { ip, to_server, from_server } => {
            let port = |is_server: bool| if is_server { 67 } else { 68 };
            let header = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
            let ports = [0, port(from_server), 0, port(to_server), 0, 8, 0, 0];
            (IPV4, [&header[..], &ip_or_none(ip), &[255; 4], &ports].concat())
        }
        Payload::Router => {
            let mut packet = vec![0; 56];
            packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 16, 58, 255]);
            packet[8..10].copy_from_slice(&[0xfe, 0x80]);
            packet[23] = 1;
            packet[24..26].copy_from_slice(&[0xff, 0x02]);
            packet[39] = 1;
            packet[40] = 134;
            (IPV6, packet)
        }
    }
}

//! What is read of a frame: headers, ARP, neighbour discovery, guard; and frames as text.

use vswitch::api::types::TraceSpec;
use vswitch_common::frame::{ARP_BYTES, Arp, ETHERNET_BYTES, Ethernet, operation};
use vswitch_common::guard::{self, Ask, IPV4_BYTES};
use vswitch_common::limits::TRACE_FRAME_BYTES;
use vswitch_common::mac::MacAddr;
use vswitch_common::nd::{IPV6_BYTES, Message, PACKET_BYTES, kind};
use vswitch_common::port::{PortConfig, flag};

use super::outcome;
use crate::frame::internet_checksum;

/// Whoever answers.
const OWNER: MacAddr = MacAddr::from_bits(0x0200_0000_0007);

pub(super) fn check(input: &[u8]) -> u64 {
    let mut said = Vec::new();
    if let Some(bytes) = input.first_chunk::<ETHERNET_BYTES>() {
        assert_eq!(Ethernet::parse(bytes).bytes(), *bytes, "a header reads back as it was");
    }
    let rest = input.get(ETHERNET_BYTES..).unwrap_or(input);
    said.push(rest.first_chunk::<ARP_BYTES>().map_or(0, arp));
    said.push(rest.first_chunk::<PACKET_BYTES>().map_or(0, nd));
    said.push(rest.first_chunk::<IPV4_BYTES>().map_or(0, |header| v4(header, input)));
    said.push(rest.first_chunk::<IPV6_BYTES>().map_or(0, |header| v6(header, input)));
    text(input);
    outcome(&said)
}

fn arp(bytes: &[u8; ARP_BYTES]) -> u64 {
    let asked = Arp::parse(bytes);
    if !asked.is_some() {
        return 1;
    }
    let reply = Arp::parse(&asked.reply_from(OWNER));
    assert_eq!((reply.operation, reply.sender_mac.bits()), (operation::REPLY, OWNER.bits()));
    assert_eq!((reply.sender_ip, reply.target_ip), (asked.target_ip, asked.sender_ip));
    assert!(!reply.is_question(), "a reply asks nothing");
    assert!(!asked.is_question() || !asked.is_probe(), "a probe is answered");
    2 + u64::from(asked.is_question()) + 2 * u64::from(asked.is_probe())
}

fn nd(bytes: &[u8; PACKET_BYTES]) -> u64 {
    let asked = Message::parse(bytes);
    if !asked.is_some() {
        return 1;
    }
    let mut answer = [0xa5; PACKET_BYTES];
    asked.write_answer(OWNER, &mut answer);
    let read = Message::parse(&answer);
    assert_eq!((read.kind, read.mac.bits()), (kind::ADVERTISEMENT, OWNER.bits()));
    assert_eq!((read.source, read.target), (asked.target, asked.target));
    // Pseudo header and message together add up to all ones (RFC 4443 section 2.3).
    let pseudo = [&answer[8..40], &[0, 0, 0, 32, 0, 0, 0, 58]].concat();
    assert_eq!(internet_checksum(&[&pseudo, &answer[40..]]), 0, "the checksum of an answer");
    2 + u64::from(asked.is_question())
}

/// A port whose guard the last octets of the input choose.
fn guarded(input: &[u8]) -> PortConfig {
    let chosen = input.last().copied().unwrap_or(0);
    let mut flags = flag::GUARDED;
    if chosen & 1 != 0 {
        flags |= flag::GUARDED_IP;
    }
    if chosen & 2 != 0 {
        flags |= flag::TRUSTED;
    }
    PortConfig { flags, ..PortConfig::FREE }
}

fn v4(header: &[u8; IPV4_BYTES], input: &[u8]) -> u64 {
    let port = guarded(input);
    let ports =
        input.rchunks(2).next().and_then(|two| two.first_chunk()).map_or(0, |two| u16::from_be_bytes(*two));
    for (from, to) in [(67, ports), (ports, 67), (ports, ports)] {
        let asked = guard::check_v4(&port, header, from, to);
        if let Ok(Ask::V4(ip)) = asked {
            assert_eq!(ip, header[12..16], "the address asked about is the sender's");
            assert_ne!(ip, [0; 4]);
        }
        assert!(from != 67 || port.has(flag::TRUSTED) || asked.is_err(), "a DHCP server got through");
        assert!(port.has(flag::GUARDED_IP) || asked != Ok(Ask::V4([0; 4])));
    }
    outcome(&guard::check_v4(&port, header, ports, ports).map(|ask| ask == Ask::Nothing))
}

fn v6(header: &[u8; IPV6_BYTES], input: &[u8]) -> u64 {
    let port = guarded(input);
    let (icmp, target) = (header[39], [header[38]; 16]);
    let asked = guard::check_v6(&port, header, icmp, &target, 0);
    let is_router = icmp == kind::ROUTER_ADVERTISEMENT || icmp == kind::REDIRECT;
    assert!(!is_router || port.has(flag::TRUSTED) || asked.is_err(), "a router got through");
    match asked {
        Ok(Ask::V6(ip) | Ask::LinkLocal(ip)) => {
            let said: &[u8] = if icmp == kind::ADVERTISEMENT { &target } else { &header[8..24] };
            assert_eq!(ip, said, "the address asked about is the one that is claimed");
        }
        Ok(Ask::V4(_)) => panic!("an IPv4 address of an IPv6 packet"),
        Ok(Ask::Nothing) | Err(_) => {}
    }
    outcome(&asked.map(|ask| ask == Ask::Nothing))
}

/// A frame is read as it was written, and any text is read or refused.
fn text(input: &[u8]) {
    let spec = TraceSpec { link: String::new(), frame: TraceSpec::text(input) };
    if let Ok(frame) = spec.octets() {
        assert_eq!(frame, input);
        assert!(frame.len() <= TRACE_FRAME_BYTES);
    }
    let spec = TraceSpec { link: String::new(), frame: String::from_utf8_lossy(input).into_owned() };
    if let Err(error) = spec.octets() {
        assert!(error.to_string().starts_with("frame: "), "{error}");
    }
}

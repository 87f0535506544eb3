//! IGMP, and PIM in IPv4.

use super::{Changes, Family, Group, Message, Query, decode8, sum};
use crate::guard::IPV4_BYTES;
use crate::multicast::{ALL_PIM_ROUTERS_V4, IGMP, PIM, igmp};

/// 224.0.0.1: every host is a member.
const ALL_HOSTS: [u8; 4] = [224, 0, 0, 1];
/// 224.0.0.2: every router is.
const ALL_ROUTERS: [u8; 4] = [224, 0, 0, 2];
/// Bytes of a message of versions 1 and 2, and of the fixed part of a query of version 3.
const SHORT: usize = 8;
const LONG: usize = 12;
/// The router alert option (RFC 2113).
const ROUTER_ALERT: [u8; 2] = [0x94, 4];

struct Packet<'a> {
    source: [u8; 4],
    to: [u8; 4],
    has_alert: bool,
    body: &'a [u8],
}

pub(super) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let fixed: &[u8; IPV4_BYTES] = bytes.first_chunk()?;
    let header = bytes.get(..usize::from(fixed[0] & 0x0f) * 4)?;
    let whole = bytes.get(..usize::from(u16::from_be_bytes([fixed[2], fixed[3]])))?;
    let is_fragment = fixed[6] & 0x3f != 0 || fixed[7] != 0;
    let is_plain = fixed[0] >> 4 == 4 && header.len() >= IPV4_BYTES && !is_fragment && fixed[8] == 1;
    if !is_plain || sum(0, header) != 0xffff {
        return None;
    }
    let packet = Packet {
        source: [fixed[12], fixed[13], fixed[14], fixed[15]],
        to: [fixed[16], fixed[17], fixed[18], fixed[19]],
        has_alert: has_alert(header.get(IPV4_BYTES..)?),
        body: whole.get(header.len()..)?,
    };
    if sum(0, packet.body) != 0xffff {
        return None;
    }
    match fixed[9] {
        IGMP => message(&packet),
        // A hello (RFC 7761 section 4.9) of version 2.
        PIM if packet.to == ALL_PIM_ROUTERS_V4 && packet.body.first() == Some(&0x20) => Some(Message::Router),
        _ => None,
    }
}

/// Whether the options have a router alert.
fn has_alert(mut options: &[u8]) -> bool {
    while let [kind, rest @ ..] = options {
        match (kind, rest) {
            (0, _) => return false,
            (1, _) => options = rest,
            (_, [length, ..]) if *length >= 2 => {
                if [*kind, *length] == ROUTER_ALERT {
                    return options.len() >= usize::from(*length);
                }
                options = options.get(usize::from(*length)..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

fn message<'a>(packet: &Packet<'a>) -> Option<Message<'a>> {
    let body = packet.body;
    let short: &[u8; SHORT] = body.first_chunk()?;
    let about = [short[4], short[5], short[6], short[7]];
    let group = Group::new(Family::V4, &about);
    match short[0] {
        igmp::QUERY => query(packet, short, about).map(Message::Query),
        igmp::REPORT_V1 if packet.to == about => Some(Message::Changes(Changes::single(group?, true))),
        igmp::REPORT_V2 if packet.to == about && packet.has_alert => {
            Some(Message::Changes(Changes::single(group?, true)))
        }
        igmp::LEAVE if packet.has_alert && (packet.to == ALL_ROUTERS || packet.to == about) => {
            Some(Message::Changes(Changes::single(group?, false)))
        }
        igmp::REPORT_V3 if packet.has_alert => {
            let count = u16::from_be_bytes([short[6], short[7]]);
            Changes::records(Family::V4, count, body.get(SHORT..)?).map(Message::Changes)
        }
        _ => None,
    }
}

/// RFC 3376 section 7.1 says which version it is of.
fn query(packet: &Packet<'_>, short: &[u8; SHORT], about: [u8; 4]) -> Option<Query> {
    let is_general = about == [0; 4];
    let group = if is_general { None } else { Some(Group::new(Family::V4, &about)?) };
    let is_to_whom = packet.to == ALL_HOSTS || (!is_general && packet.to == about);
    let (mut robustness, mut interval_s) = (0, 0);
    let tenths = match packet.body.len() {
        SHORT if short[1] == 0 => 100,
        SHORT if packet.has_alert => u32::from(short[1]),
        LONG.. if packet.has_alert => {
            let long: &[u8; LONG] = packet.body.first_chunk()?;
            let sources = usize::from(u16::from_be_bytes([long[10], long[11]]));
            packet.body.get(LONG..LONG + sources * 4)?;
            (robustness, interval_s) = (long[8] & 7, decode8(long[9]));
            decode8(long[1])
        }
        _ => return None,
    };
    let mut source = [0u8; 16];
    source.first_chunk_mut::<4>()?.copy_from_slice(&packet.source);
    is_to_whom.then_some(Query { source, group, max_response_ms: tenths * 100, robustness, interval_s })
}

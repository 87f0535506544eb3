//! MLD, and PIM in IPv6.

use super::{Changes, Family, Group, Message, Query, decode8, decode16, sum};
use crate::multicast::{ALL_PIM_ROUTERS_V6, PIM, mld};
use crate::nd::{ICMPV6, IPV6_BYTES, is_link_local, is_unspecified};

/// ff02::1: every host is a member.
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// Bytes of a hop-by-hop header with a router alert.
const HOP_BY_HOP: usize = 8;
/// The router alert option for MLD (RFC 2711).
const ROUTER_ALERT: [u8; 4] = [5, 2, 0, 0];
/// Bytes of a message of version 1, of the fixed part of a query of version 2, and of a report in front of its records.
const SHORT: usize = 24;
const LONG: usize = 28;
const REPORT: usize = 8;

pub(super) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let (header, rest) = bytes.split_first_chunk::<IPV6_BYTES>()?;
    let payload = rest.get(..usize::from(u16::from_be_bytes([header[4], header[5]])))?;
    let (source, to): ([u8; 16], [u8; 16]) =
        (*header.get(8..)?.first_chunk()?, *header.get(24..)?.first_chunk()?);
    if header[0] >> 4 != 6 || header[7] != 1 {
        return None;
    }
    match header[6] {
        0 => {
            let (options, body) = payload.split_first_chunk::<HOP_BY_HOP>()?;
            let is_alert = options[0] == ICMPV6 && options[1] == 0 && has_alert(options.get(2..)?);
            (is_alert && is_true(header, ICMPV6, body)).then_some(())?;
            message(source, to, body)
        }
        // A hello (RFC 7761 section 4.9) of version 2.
        PIM if to == ALL_PIM_ROUTERS_V6 && is_link_local(&source) => {
            (payload.first() == Some(&0x20) && is_true(header, PIM, payload)).then_some(Message::Router)
        }
        _ => None,
    }
}

/// Whether six bytes of options have a router alert: it first, or behind padding.
fn has_alert(options: &[u8]) -> bool {
    options.starts_with(&ROUTER_ALERT) || (options.starts_with(&[1, 0]) && options.ends_with(&ROUTER_ALERT))
}

/// Whether the checksum over pseudo header and body is right (RFC 8200 section 8.1).
fn is_true(header: &[u8; IPV6_BYTES], next: u8, body: &[u8]) -> bool {
    let addresses = header.get(8..).unwrap_or_default();
    sum(u32::from(next) + body.len() as u32 + u32::from(sum(0, addresses)), body) == 0xffff
}

fn message(source: [u8; 16], to: [u8; 16], body: &[u8]) -> Option<Message<'_>> {
    let is_host = is_link_local(&source) || is_unspecified(&source);
    match *body.first()? {
        mld::QUERY if is_link_local(&source) => query(source, to, body).map(Message::Query),
        kind @ (mld::REPORT_V1 | mld::DONE) if is_host => {
            let short: &[u8; SHORT] = body.first_chunk()?;
            let group = Group::new(Family::V6, short.get(8..)?)?;
            Some(Message::Changes(Changes::single(group, kind == mld::REPORT_V1)))
        }
        mld::REPORT_V2 if is_host => {
            let (fixed, records) = body.split_first_chunk::<REPORT>()?;
            let count = u16::from_be_bytes([fixed[6], fixed[7]]);
            Changes::records(Family::V6, count, records).map(Message::Changes)
        }
        _ => None,
    }
}

/// RFC 3810 section 8.1 says which version it is of.
fn query(source: [u8; 16], to: [u8; 16], body: &[u8]) -> Option<Query> {
    let short: &[u8; SHORT] = body.first_chunk()?;
    let about: [u8; 16] = *short.get(8..)?.first_chunk()?;
    let is_general = is_unspecified(&about);
    let group = if is_general { None } else { Some(Group::new(Family::V6, &about)?) };
    let code = u16::from_be_bytes([short[4], short[5]]);
    let (mut robustness, mut interval_s) = (0, 0);
    let max_response_ms = match body.len() {
        SHORT => u32::from(code),
        LONG.. => {
            let long: &[u8; LONG] = body.first_chunk()?;
            let sources = usize::from(u16::from_be_bytes([long[26], long[27]]));
            body.get(LONG..LONG + sources * 16)?;
            (robustness, interval_s) = (long[24] & 7, decode8(long[25]));
            decode16(code)
        }
        _ => return None,
    };
    let is_to_whom = to == ALL_NODES || (!is_general && to == about);
    is_to_whom.then_some(Query { source, group, max_response_ms, robustness, interval_s })
}

//! Messages about multicast membership in a row: what is read of them, and that what the switch keeps of them is bounded,
//! consistent and in the end forgotten.
//!
//! Each message of an input is a port, the seconds since the one before, a length and so many octets of a packet. Checksums
//! are put right first, or most changes would end there; not those of packets whose port is odd.

use vswitch::api::types::MulticastMode;
use vswitch::multicast::{Heard, Scope, Settings, Snooping};
use vswitch_common::domain::DomainId;
use vswitch_common::frame::ethertype;
use vswitch_common::limits::MULTICAST_GROUPS_PER_PORT;
use vswitch_common::membership::{Family, Message, parse};
use vswitch_common::port::PortId;

use super::outcome;
use crate::frame::internet_checksum;

/// In an input, in front of each packet.
const HEAD: usize = 3;
/// Longer than anything is kept, in nanoseconds: a querier may say seven times 31,744 s (RFC 3376 sections 4.1.6, 4.1.7).
const WEEK_NS: u64 = 7 * 86_400 * SECOND_NS;
const SECOND_NS: u64 = 1_000_000_000;

pub(super) fn check(mut input: &[u8]) -> u64 {
    let settings = Settings {
        mode: MulticastMode::Auto,
        is_querier: input.first().is_some_and(|first| first & 0x80 != 0),
        interval_s: 125,
        response_s: 10,
        link_local: [0xfe; 16],
    };
    let (mut snooping, mut now_ns, mut said) = (Snooping::default(), SECOND_NS, None);
    while let Some((&[port, seconds, length], rest)) = input.split_first_chunk::<HEAD>() {
        let (packet, rest) = rest.split_at(rest.len().min(length.into()));
        input = rest;
        now_ns += u64::from(seconds) * SECOND_NS;
        said = Some(hear(&mut snooping, PortId(u16::from(port & 7)), packet, &settings, now_ns));
        agree(&snooping);
    }
    for family in [Family::V4, Family::V6] {
        let scope = scope(family);
        snooping.tick(scope, &settings, now_ns);
        snooping.forget_port(PortId(1));
        agree(&snooping);
        snooping.tick(scope, &settings, now_ns + WEEK_NS);
    }
    for (scope, table) in snooping.tables() {
        assert_eq!(table.members(), 0, "{scope:?}: somebody silent is remembered for a week");
    }
    outcome(&said)
}

fn scope(family: Family) -> Scope {
    Scope { domain: DomainId(7), family }
}

/// What became of a packet, in a word.
fn hear(snooping: &mut Snooping, port: PortId, packet: &[u8], settings: &Settings, now_ns: u64) -> String {
    let mut packet = packet.to_vec();
    let (family, kind) = match packet.first() {
        Some(first) if first >> 4 == 6 => (Family::V6, ethertype::IPV6),
        _ => (Family::V4, ethertype::IPV4),
    };
    if port.0.is_multiple_of(2) {
        mend(&mut packet);
    }
    let Some(message) = parse(kind, &packet) else { return "none".to_owned() };
    let what = match &message {
        Message::Query(query) => format!("query {} {}", query.group.is_some(), query.interval_s > 0),
        Message::Changes(changes) => {
            let (joins, leaves): (Vec<_>, Vec<_>) = changes.clone().partition(|change| change.joins);
            format!("changes {} {}", joins.len().min(4), leaves.len().min(4))
        }
        Message::Router => "router".to_owned(),
    };
    let scope = scope(family);
    let (asks, limit) = snooping.hear(Heard { scope, port, message }, settings, now_ns);
    assert!(asks.len() <= packet.len(), "{} questions for one message", asks.len());
    format!("{family:?} {what} {} {limit:?}", asks.len().min(2))
}

/// Numbers and places say the same.
fn agree(snooping: &Snooping) {
    for (_, table) in snooping.tables() {
        let routers = table.routers();
        let mut of_port = [0; 8];
        for (group, members) in table.groups() {
            members.keys().for_each(|port| of_port[usize::from(port.0)] += 1);
            if let Some(ports) = table.ports_of(group) {
                let wanted = members.keys().chain(&routers);
                assert!(wanted.into_iter().all(|port| ports.contains(port)), "{group:?} is withheld");
            }
        }
        assert_eq!(of_port.iter().sum::<usize>(), table.members());
        assert!(of_port.iter().all(|groups| *groups <= MULTICAST_GROUPS_PER_PORT), "{of_port:?}");
    }
}

/// Puts checksums right, where there is room for them.
fn mend(packet: &mut [u8]) {
    if packet.first().is_some_and(|first| first >> 4 == 6) {
        let from = if packet.get(6) == Some(&0) { 48 } else { 40 };
        let next = if from == 48 { 58 } else { packet.get(6).copied().unwrap_or(0) };
        let end = packet.len().min(40 + packet.get(4..6).map_or(0, |two| short([two[0], two[1]])));
        let length = u32::try_from(end.saturating_sub(from)).unwrap_or(0);
        if end > from + 4 {
            packet[from + 2..from + 4].fill(0);
            let pseudo = [&packet[8..40], &length.to_be_bytes(), &[0, 0, 0, next]].concat();
            let sum = internet_checksum(&[&pseudo, &packet[from..end]]);
            packet[from + 2..from + 4].copy_from_slice(&sum.to_be_bytes());
        }
        return;
    }
    let header = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let end = packet.len().min(packet.get(2..4).map_or(0, |two| short([two[0], two[1]])));
    if header >= 20 && end > header + 4 {
        for (range, at) in [(0..header, 10), (header..end, header + 2)] {
            packet[at..at + 2].fill(0);
            let sum = internet_checksum(&[&packet[range]]);
            packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
    }
}

fn short(bytes: [u8; 2]) -> usize {
    usize::from(u16::from_be_bytes(bytes))
}

extern crate std;

use std::vec;
use std::vec::Vec;

use super::*;
use crate::frame::ethertype::{IPV4, IPV6};

const GROUP4: [u8; 4] = [239, 1, 2, 3];
const GROUP6: [u8; 16] = [0xff, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
const NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn put_sum(bytes: &mut [u8], at: usize, start: u32) {
    bytes[at..at + 2].fill(0);
    let checksum = !sum(start, bytes);
    bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// An IGMP message with TTL 1 and router alert.
fn igmp(to: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut header = vec![0x46, 0xc0, 0, 24 + body.len() as u8, 0, 0, 0x40, 0, 1, 2, 0, 0, 10, 0, 0, 7];
    header.extend(to);
    header.extend([0x94, 4, 0, 0]);
    put_sum(&mut header, 10, 0);
    let mut body = body.to_vec();
    put_sum(&mut body, 2, 0);
    [header, body].concat()
}

/// An MLD message from fe80::7 with hop limit 1 and router alert.
fn mld(to: [u8; 16], body: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0, 0, 8 + body.len() as u8, 0, 1];
    header.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    header.extend(to);
    let mut body = body.to_vec();
    let start = 58 + body.len() as u32 + u32::from(sum(0, &header[8..]));
    put_sum(&mut body, 2, start);
    [header, vec![58, 0, 5, 2, 0, 0, 1, 0], body].concat()
}

fn body4(kind: u8, code: u8, group: [u8; 4], more: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0][..], &group, more].concat()
}

fn body6(kind: u8, code: u16, group: [u8; 16], more: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0][..], &code.to_be_bytes(), &[0, 0], &group, more].concat()
}

fn record(kind: u8, group: &[u8], sources: u8) -> Vec<u8> {
    let mut record = vec![kind, 0, 0, sources];
    record.extend(group);
    record.extend(vec![10; usize::from(sources) * group.len()]);
    record
}

/// What a report says: (group's last octets, joins).
fn changes(ethertype: u16, packet: &[u8]) -> Option<Vec<(u8, bool)>> {
    let octet = |group: Group| group.ip()[if group.family() == Family::V4 { 3 } else { 15 }];
    match parse(ethertype, packet)? {
        Message::Changes(changes) => Some(changes.map(|c| (octet(c.group), c.joins)).collect()),
        _ => None,
    }
}

fn query(ethertype: u16, packet: &[u8]) -> Option<Query> {
    match parse(ethertype, packet)? {
        Message::Query(query) => Some(query),
        _ => None,
    }
}

fn valid() -> Vec<(u16, Vec<u8>)> {
    let report3 = [&[0x22, 0, 0, 0, 0, 0, 0, 2][..], &record(4, &GROUP4, 0), &record(6, &[239, 1, 2, 4], 2)];
    let report2 = [&[143, 0, 0, 0, 0, 0, 0, 2][..], &record(4, &GROUP6, 0), &record(3, &GROUP6, 0)];
    vec![
        (IPV4, igmp([224, 0, 0, 1], &body4(0x11, 100, [0; 4], &[]))),
        (IPV4, igmp([224, 0, 0, 1], &body4(0x11, 100, [0; 4], &[2, 125, 0, 0]))),
        (IPV4, igmp(GROUP4, &body4(0x16, 0, GROUP4, &[]))),
        (IPV4, igmp([224, 0, 0, 2], &body4(0x17, 0, GROUP4, &[]))),
        (IPV4, igmp([224, 0, 0, 22], &report3.concat())),
        (IPV6, mld(NODES, &body6(130, 10_000, [0; 16], &[]))),
        (IPV6, mld(NODES, &body6(130, 10_000, [0; 16], &[2, 125, 0, 0]))),
        (IPV6, mld(GROUP6, &body6(131, 0, GROUP6, &[]))),
        (IPV6, mld([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16], &report2.concat())),
    ]
}

#[test]
fn reports_of_each_version_are_read() {
    let valid = valid();
    assert_eq!(changes(IPV4, &valid[2].1), Some(vec![(3, true)]));
    assert_eq!(changes(IPV4, &valid[3].1), Some(vec![(3, false)]));
    assert_eq!(changes(IPV4, &valid[4].1), Some(vec![(3, true), (4, false)]));
    assert_eq!(changes(IPV6, &valid[7].1), Some(vec![(9, true)]));
    assert_eq!(changes(IPV6, &valid[8].1), Some(vec![(9, true), (9, false)]));
    let mut v1 = igmp(GROUP4, &body4(0x12, 0, GROUP4, &[]));
    assert_eq!(changes(IPV4, &v1), Some(vec![(3, true)]));
    // RFC 1112 knows no router alert: a no-operation in its place.
    v1[20..24].fill(1);
    put_sum(&mut v1[..24], 10, 0);
    assert_eq!(changes(IPV4, &v1), Some(vec![(3, true)]));
}

#[test]
fn records_join_when_they_want_anything() {
    let one = |kind, sources| {
        let body = [&[0x22, 0, 0, 0, 0, 0, 0, 1][..], &record(kind, &GROUP4, sources)].concat();
        changes(IPV4, &igmp([224, 0, 0, 22], &body)).expect("a report")
    };
    for (kind, sources) in [(1, 1), (2, 0), (2, 1), (3, 1), (4, 0), (4, 1), (5, 1)] {
        assert_eq!(one(kind, sources), [(3, true)], "record {kind} with {sources} sources");
    }
    for (kind, sources) in [(3, 0), (6, 1)] {
        assert_eq!(one(kind, sources), [(3, false)], "record {kind} with {sources} sources");
    }
    for (kind, sources) in [(1, 0), (5, 0), (0, 0), (7, 1)] {
        assert_eq!(one(kind, sources), [], "record {kind} with {sources} sources");
    }
}

#[test]
fn queries_say_how_long_answers_and_rounds_take() {
    let valid = valid();
    let v2 = query(IPV4, &valid[0].1).expect("a query");
    assert_eq!((v2.group, v2.max_response_ms, v2.robustness, v2.interval_s), (None, 10_000, 0, 0));
    assert_eq!(v2.source[..4], [10, 0, 0, 7]);
    let v3 = query(IPV4, &valid[1].1).expect("a query");
    assert_eq!((v3.max_response_ms, v3.robustness, v3.interval_s), (10_000, 2, 125));
    assert_eq!(query(IPV6, &valid[6].1).map(|q| (q.max_response_ms, q.interval_s)), Some((10_000, 125)));
    let about = igmp(GROUP4, &body4(0x11, 10, GROUP4, &[]));
    assert_eq!(query(IPV4, &about).and_then(|q| q.group), Group::new(Family::V4, &GROUP4));
    assert_eq!(
        query(IPV4, &igmp([224, 0, 0, 1], &body4(0x11, 0, [0; 4], &[]))).map(|q| q.max_response_ms),
        Some(10_000)
    );
    assert_eq!((decode8(0x8a), decode16(0x8001)), ((0x1a) << 3, 0x1001 << 3));
}

#[test]
fn a_pim_hello_is_a_router() {
    let mut hello = igmp([224, 0, 0, 13], &[0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105]);
    hello[9] = 103;
    put_sum(&mut hello[..24], 10, 0);
    assert_eq!(parse(IPV4, &hello), Some(Message::Router));
    hello[24] = 0x21;
    put_sum(&mut hello[24..], 2, 0);
    assert_eq!(parse(IPV4, &hello), None, "no hello");
}

#[test]
fn groups_that_are_never_pruned_are_not_listed() {
    let local = [224, 0, 0, 251];
    assert_eq!(changes(IPV4, &igmp(local, &body4(0x16, 0, local, &[]))), None);
    let body = [&[0x22, 0, 0, 0, 0, 0, 0, 2][..], &record(4, &local, 0), &record(4, &GROUP4, 0)].concat();
    assert_eq!(changes(IPV4, &igmp([224, 0, 0, 22], &body)), Some(vec![(3, true)]));
    assert_eq!(changes(IPV6, &mld(NODES, &body6(131, 0, NODES, &[]))), None);
}

#[test]
fn what_hosts_and_routers_ignore_is_no_message() {
    let fix4 = |mut packet: Vec<u8>, at: usize, value: u8| {
        packet[at] = value;
        put_sum(&mut packet[..24], 10, 0);
        packet
    };
    let report = igmp(GROUP4, &body4(0x16, 0, GROUP4, &[]));
    assert!(parse(IPV4, &fix4(report.clone(), 8, 2)).is_none(), "TTL");
    assert!(parse(IPV4, &fix4(report.clone(), 20, 1)).is_none(), "no router alert");
    assert!(parse(IPV4, &fix4(report.clone(), 7, 1)).is_none(), "a fragment");
    assert!(parse(IPV4, &fix4(report.clone(), 3, 40)).is_none(), "longer than it is");
    assert!(parse(IPV4, &fix4(report, 3, 31)).is_none(), "shorter than its message");
    assert!(parse(IPV4, &igmp([239, 1, 2, 4], &body4(0x16, 0, GROUP4, &[]))).is_none(), "to another group");
    assert!(
        parse(IPV4, &igmp(GROUP4, &body4(0x11, 10, [0; 4], &[]))).is_none(),
        "a general query to a group"
    );
    assert!(parse(IPV4, &igmp([224, 0, 0, 1], &body4(0x11, 10, [0; 4], &[2, 9]))).is_none(), "ten octets");
    let sources = body4(0x11, 10, [0; 4], &[2, 9, 0, 2, 10, 0, 0, 1]);
    assert!(parse(IPV4, &igmp([224, 0, 0, 1], &sources)).is_none(), "a source too few");
    let short = [&[0x22, 0, 0, 0, 0, 0, 0, 2][..], &record(4, &GROUP4, 0)].concat();
    assert!(parse(IPV4, &igmp([224, 0, 0, 22], &short)).is_none(), "a record too few: not the first either");
    let report = mld(GROUP6, &body6(131, 0, GROUP6, &[]));
    for (at, value, what) in
        [(7, 2, "hop limit"), (42, 1, "no router alert"), (44, 1, "another alert"), (0, 0x40, "version")]
    {
        let mut packet = report.clone();
        packet[at] = value;
        assert!(parse(IPV6, &packet).is_none(), "{what}");
    }
    let mut query = mld(NODES, &body6(130, 10_000, [0; 16], &[]));
    // From a global address, with the checksum mended: the sum is over both.
    (query[8], query[9]) = (0xfd, 0x80);
    query[50..52].fill(0);
    let start = 58 + 24 + u32::from(sum(0, &query[8..40]));
    let checksum = !sum(start, &query[48..]);
    query[50..52].copy_from_slice(&checksum.to_be_bytes());
    assert!(parse(IPV6, &query).is_none(), "a query from beyond the link");
}

#[test]
fn no_flipped_bit_changes_what_is_said() {
    for (ethertype, packet) in valid() {
        let right = parse(ethertype, &packet);
        assert!(right.is_some(), "{packet:02x?}");
        for bit in 0..packet.len() * 8 {
            let mut wrong = packet.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let read = parse(ethertype, &wrong);
            assert!(read.is_none() || read == right, "bit {bit} of {packet:02x?}");
        }
    }
}

#[test]
fn whatever_comes_is_read_within_its_bounds() {
    // A xorshift generator: the same bytes each time.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let valid = valid();
    for _ in 0..50_000 {
        let (ethertype, mut packet) = valid[random() % valid.len()].clone();
        for _ in 0..random() % 4 {
            let at = random() % packet.len();
            packet[at] = random() as u8;
        }
        packet.truncate(random() % (packet.len() + 8));
        // With right sums, so that what is behind them is reached.
        if ethertype == IPV4 && packet.len() > 28 {
            put_sum(&mut packet[..24], 10, 0);
            put_sum(&mut packet[24..], 2, 0);
        }
        if let Some(Message::Changes(changes)) = parse(ethertype, &packet) {
            assert!(changes.count() <= packet.len());
        }
    }
}

use vswitch_common::limits::MULTICAST_LISTS;
use vswitch_common::membership::{Group, Query};

use super::*;
use crate::datapath::faulty::Faulty;

const A: PortId = PortId(1);
const B: PortId = PortId(2);
const SCOPE: Scope = Scope { domain: DomainId(7), family: Family::V4 };
const SETTINGS: Settings = Settings {
    mode: MulticastMode::Auto,
    is_querier: true,
    interval_s: 125,
    response_s: 10,
    link_local: [0xfe; 16],
};

/// A report of version 3 from A's host about so many groups, as it comes from the wire.
fn report(kind: u8, groups: std::ops::Range<u16>) -> Vec<u8> {
    let mut igmp = vec![0x22, 0, 0, 0, 0, 0];
    igmp.extend((groups.len() as u16).to_be_bytes());
    for number in groups {
        igmp.extend([kind, 0, 0, 0, 239, 9]);
        igmp.extend(number.to_be_bytes());
    }
    let mut header =
        vec![0x46, 0xc0, 0, 0, 0, 0, 0x40, 0, 1, 2, 0, 0, 10, 0, 0, 7, 224, 0, 0, 22, 0x94, 4, 0, 0];
    let length = (header.len() + igmp.len()) as u16;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    for (bytes, at) in [(&mut header, 10), (&mut igmp, 2)] {
        let mut sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        bytes[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
    [header, igmp].concat()
}

fn hear(
    snooping: &mut Snooping,
    scope: Scope,
    port: PortId,
    packet: &[u8],
    now_s: u64,
) -> Option<(Limit, PortId)> {
    let message = vswitch_common::membership::parse(0x0800, packet).expect("a proper message");
    snooping.hear(Heard { scope, port, message }, &SETTINGS, now_s * SECOND_NS).1
}

/// What the data path holds of a group: the ports of its list.
fn listed(datapath: &Faulty, key: GroupKey) -> Option<Vec<u16>> {
    let (list, places, _) = datapath.held.groups.get(&key)?;
    let places = (0..*places).filter_map(|place| datapath.held.members.get(&(*list, place)).copied());
    Some(places.collect())
}

fn key(number: u16) -> GroupKey {
    let [a, b] = number.to_be_bytes();
    let group = Group::new(Family::V4, &[239, 9, a, b]).expect("a group");
    GroupKey::new(SCOPE.domain, 4, group.ip())
}

fn publish(snooping: &mut Snooping, datapath: &mut Faulty, now_s: u64) -> bool {
    snooping.tick(SCOPE, &SETTINGS, now_s * SECOND_NS);
    snooping.publish(datapath, SCOPE, &SETTINGS, now_s * SECOND_NS)
}

/// A is a member of groups 0 and 1 and B of 1, and that is in force.
fn in_force() -> (Snooping, Faulty) {
    let (mut snooping, mut datapath) = (Snooping::default(), Faulty::default());
    snooping.ensure(SCOPE);
    publish(&mut snooping, &mut datapath, 0);
    hear(&mut snooping, SCOPE, A, &report(4, 0..2), 1);
    hear(&mut snooping, SCOPE, B, &report(4, 1..2), 1);
    publish(&mut snooping, &mut datapath, 20);
    (snooping, datapath)
}

#[test]
fn lists_are_what_the_tables_say() {
    let (mut snooping, mut datapath) = in_force();
    assert_eq!(listed(&datapath, key(0)), Some(vec![1]));
    assert_eq!(listed(&datapath, key(1)), Some(vec![1, 2]));
    let routers = GroupKey::routers(SCOPE.domain, 4);
    assert_eq!(datapath.held.groups.get(&routers).map(|list| list.2), Some(list_flag::PRUNES));
    assert_eq!(listed(&datapath, routers), Some(vec![]));
    // A port leaves a hole, which the next fills; with a router, it is in every list.
    snooping.forget_port(A);
    snooping.publish(&mut datapath, SCOPE, &SETTINGS, 21 * SECOND_NS);
    assert_eq!((listed(&datapath, key(0)), listed(&datapath, key(1))), (None, Some(vec![2])));
    snooping.hear_unreadable(SCOPE, PortId(3), &SETTINGS, 21 * SECOND_NS);
    snooping.publish(&mut datapath, SCOPE, &SETTINGS, 21 * SECOND_NS);
    assert_eq!(listed(&datapath, key(1)), Some(vec![3, 2]));
    assert_eq!(listed(&datapath, routers), Some(vec![3]));
    assert_eq!(snooping.places(), 3);
    snooping.retain(&mut datapath, |_, _| false);
    assert!(datapath.held.groups.is_empty() && datapath.held.members.is_empty() && snooping.places() == 0);
}

#[test]
fn while_hosts_have_not_answered_reports_alone_are_kept_from_others() {
    let (mut snooping, mut datapath) = (Snooping::default(), Faulty::default());
    snooping.ensure(SCOPE);
    hear(&mut snooping, SCOPE, A, &report(4, 0..2), 0);
    publish(&mut snooping, &mut datapath, 0);
    let held: Vec<_> = datapath.held.groups.iter().map(|(key, list)| (*key, list.2)).collect();
    assert_eq!(held, [(GroupKey::routers(SCOPE.domain, 4), 0)]);
}

#[test]
fn a_data_path_that_refuses_floods() {
    for fail_at in 0..12 {
        let (mut snooping, mut datapath) = (Snooping::default(), Faulty::default());
        snooping.ensure(SCOPE);
        publish(&mut snooping, &mut datapath, 0);
        hear(&mut snooping, SCOPE, A, &report(4, 0..2), 1);
        datapath.fail_at = Some(datapath.calls + fail_at);
        let is_full = publish(&mut snooping, &mut datapath, 20);
        let prunes =
            datapath.held.groups.get(&GroupKey::routers(SCOPE.domain, 4)).is_some_and(|list| list.2 != 0);
        let is_whole =
            listed(&datapath, key(0)) == Some(vec![1]) && listed(&datapath, key(1)) == Some(vec![1]);
        assert_eq!(prunes, !is_full, "call {fail_at}");
        assert!(is_full || is_whole, "call {fail_at}");
        // Later it takes everything: nothing was lost.
        datapath.fail_at = None;
        hear(&mut snooping, SCOPE, A, &report(4, 0..2), 250);
        publish(&mut snooping, &mut datapath, 300);
        assert_eq!(listed(&datapath, key(1)), Some(vec![1]), "call {fail_at}");
    }
}

#[test]
fn every_table_is_bounded() {
    let (mut snooping, mut datapath) = (Snooping::default(), Faulty::default());
    let mut limits = std::collections::BTreeMap::<String, u32>::new();
    for port in 1..=60 {
        for start in [0, 256, 512] {
            let reached = hear(&mut snooping, SCOPE, PortId(port), &report(4, start..start + 256), 0);
            *limits.entry(format!("{:?}", reached.map(|reached| reached.0))).or_default() += 1;
        }
    }
    assert_eq!(limits["Some(GroupsOfPort)"], 48, "each port's third report, while there was room");
    assert!(limits["Some(Members)"] > 0);
    assert_eq!(
        snooping.tables().map(|(_, table)| table.members()).sum::<usize>(),
        MULTICAST_MEMBERS as usize
    );
    publish(&mut snooping, &mut datapath, 0);
    publish(&mut snooping, &mut datapath, 20);
    assert!(datapath.held.groups.len() <= MULTICAST_LISTS as usize, "and it floods");
    assert!(datapath.held.groups.values().all(|list| list.2 == 0));
}

#[test]
fn domains_beyond_the_limit_are_left_to_flood() {
    let mut snooping = Snooping::default();
    for domain in 0..=MULTICAST_SCOPES as u16 {
        let scope = Scope { domain: DomainId(domain), family: Family::V4 };
        let reached = hear(&mut snooping, scope, A, &report(4, 0..1), 0);
        assert_eq!(reached.is_some(), usize::from(domain) == MULTICAST_SCOPES, "{domain}");
    }
}

#[test]
fn a_network_that_floods_remembers_nothing() {
    let settings = Settings { mode: MulticastMode::Off, is_querier: false, ..SETTINGS };
    let mut snooping = Snooping::default();
    let query = Query { source: [0; 16], group: None, max_response_ms: 1_000, robustness: 2, interval_s: 1 };
    let heard = Heard { scope: SCOPE, port: A, message: Message::Query(query) };
    assert_eq!(snooping.hear(heard, &settings, 0), (Vec::new(), None));
    assert_eq!(snooping.tables().count(), 0);
}

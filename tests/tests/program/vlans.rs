//! VLAN-aware networks: who gets a frame, with which tag, and why not. A run of the tc program alone cannot have a tag in
//! metadata, where the kernel keeps it; what needs one is sent through attached programs.

use vswitch_common::domain::DomainId;
use vswitch_common::fdb::FdbKey;
use vswitch_tests::frame::{self, DOT1AD, tagged};
use vswitch_tests::program::*;
use vswitch_tests::wait::{SOON, until};

use crate::both::Case;

const ONE: MacAddr = station(1);
const TWO: MacAddr = station(2);

/// A and B untagged in VLAN 10, C untagged in 20, D tagged in 10, 20 and 30.
fn make_vlans(fixture: &mut Fixture) {
    fixture.make_vlan_aware(A, 10, &[]);
    fixture.make_vlan_aware(B, 10, &[]);
    fixture.make_vlan_aware(C, 20, &[]);
    fixture.make_vlan_aware(D, 0, &[10, 20, 30]);
}

fn key_in(vid: u16, mac: MacAddr) -> FdbKey {
    FdbKey::new(DomainId(AWARE_DOMAIN.0 + vid), mac)
}

/// An untagged frame for all at A.
fn case<'a>(name: &'a str, prepare: &'a dyn Fn(&mut Fixture)) -> Case<'a> {
    let frame = plain(MacAddr::BROADCAST, ONE);
    let counted = Tally::new().rx(A, 60);
    Case { name, prepare, ingress: A, frame, xdp: End::Passed, tc: End::Shot, counted }
}

/// Sends a frame into an attached port and checks what arrives at each far end.
#[track_caller]
fn arrives(fixture: &Fixture, ingress: PortId, frame: &[u8], expected: &[(PortId, Vec<u8>)]) {
    let listener = Listener::start(fixture);
    fixture.send(ingress, frame);
    let mut heard: Vec<(PortId, Vec<u8>)> = Vec::new();
    until("every copy", SOON, || {
        for port in fixture.ports().filter(|port| *port != ingress) {
            heard.extend(listener.heard(port).into_iter().map(|frame| (port, frame)));
        }
        (heard.len() >= expected.len()).then_some(())
    });
    heard.sort();
    assert_eq!(heard, expected, "from {}", frame::describe(frame));
}

#[test]
fn an_untagged_frame_is_in_its_ports_vlan() {
    Fixture::run(4, |fixture| {
        let counted = Tally::new().rx(A, 60).tx(B, 60).tx(D, 60);
        Case { counted, ..case("flood in VLAN 10", &make_vlans) }.check(fixture);
        assert!(fixture.bpf.fdb_get(key_in(10, ONE)).expect("the map is there").is_some());
    });
}

#[test]
fn one_address_in_two_vlans_is_two_stations() {
    Fixture::run(4, |fixture| {
        make_vlans(fixture);
        for port in [A, C] {
            fixture.tc(port, &plain(MacAddr::BROADCAST, ONE));
        }
        let places: Vec<_> = fixture.entries().into_iter().map(|(key, entry)| (key, entry.port)).collect();
        assert_eq!(places, [(key_in(10, ONE), A.0), (key_in(20, ONE), C.0)]);
    });
}

#[test]
fn xdp_forwards_what_keeps_its_tag_and_leaves_the_rest_to_tc() {
    Fixture::run(4, |fixture| {
        make_vlans(fixture);
        fixture.make_vlan_aware(C, 0, &[10, 20]);
        fixture.xdp(B, &plain(ONE, TWO));
        assert_eq!(fixture.xdp(B, &plain(ONE, TWO)).end, End::Passed, "nobody is known yet");
        fixture.tc(B, &plain(MacAddr::BROADCAST, TWO));
        fixture.bpf.fdb_set(key_in(20, ONE), &fixture.entry_at(D)).expect("there is room");
        assert_eq!(fixture.xdp(A, &plain(TWO, ONE)).end, End::Redirected, "untagged to untagged");
        let in_20 = tagged(&plain(ONE, TWO), 20, 3);
        fixture.tally();
        let run = fixture.xdp(C, &in_20);
        assert_eq!(run, Run { end: End::Redirected, frame: in_20 }, "tagged to tagged");
        assert_eq!(fixture.tally(), Tally::new().rx(C, 64).tx(D, 64).by_xdp());
        assert_eq!(fixture.xdp(C, &tagged(&plain(TWO, ONE), 10, 3)).end, End::Passed, "tagged to untagged");
    });
}

#[test]
fn tc_forwards_with_the_tag_that_the_egress_wants() {
    Fixture::run(4, |fixture| {
        make_vlans(fixture);
        [A, B, D].iter().for_each(|port| fixture.attach(*port));
        fixture.tc(B, &plain(MacAddr::BROADCAST, TWO));
        let to_trunk = plain(station(9), TWO);
        fixture.bpf.fdb_set(key_in(10, station(9)), &fixture.entry_at(D)).expect("there is room");
        arrives(fixture, B, &to_trunk, &[(D, tagged(&to_trunk, 10, 0))]);
        let to_access = plain(TWO, station(9));
        arrives(fixture, D, &tagged(&to_access, 10, 6), &[(B, to_access)]);
    });
}

#[test]
fn a_flood_reaches_each_member_in_its_form() {
    Fixture::run(4, |fixture| {
        make_vlans(fixture);
        [A, C, D].iter().for_each(|port| fixture.attach(*port));
        let all = plain(MacAddr::BROADCAST, ONE);
        arrives(fixture, A, &all, &[(B, all.clone()), (D, tagged(&all, 10, 0))]);
        arrives(fixture, D, &tagged(&all, 10, 5), &[(A, all.clone()), (B, all.clone())]);
        arrives(fixture, D, &tagged(&all, 20, 0), &[(C, all.clone())]);
        arrives(fixture, C, &tagged(&all, 0, 5), &[(D, tagged(&all, 20, 5))]);
        fixture.make_vlan_aware(C, 20, &[10]);
        arrives(
            fixture,
            D,
            &tagged(&all, 10, 5),
            &[(A, all.clone()), (B, all.clone()), (C, tagged(&all, 10, 5))],
        );
    });
}

#[test]
fn what_is_behind_the_outer_tag_is_payload() {
    Fixture::run(4, |fixture| {
        make_vlans(fixture);
        fixture.attach(D);
        let inner = tagged(&plain(MacAddr::BROADCAST, ONE), 20, 1);
        let double = frame::insert_tag(&inner, DOT1AD, 10);
        arrives(fixture, D, &double, &[(A, inner.clone()), (B, inner)]);
    });
}

#[test]
fn tags_pass_a_vlan_unaware_network_untouched() {
    Fixture::run(2, |fixture| {
        fixture.attach(A);
        let all = plain(MacAddr::BROADCAST, ONE);
        for frame in [tagged(&all, 10, 5), tagged(&all, 0, 5), frame::insert_tag(&all, DOT1AD, 10)] {
            arrives(fixture, A, &frame, &[(B, frame.clone())]);
        }
        assert_eq!(fixture.port_of(ONE), Some(A), "and the sender is known in the network's domain");
    });
}

#[test]
fn the_controllers_flood_stays_in_its_vlan() {
    Fixture::run(4, |fixture| {
        make_vlans(fixture);
        let all = plain(MacAddr::BROADCAST, ONE);
        for (vid, expected) in [(10, vec![A, B]), (20, vec![C]), (30, vec![])] {
            fixture.flood(D, vid, &all);
            assert_eq!(fixture.tally().senders(), expected, "VLAN {vid}");
        }
        fixture.flood(A, 10, &all);
        assert_eq!(fixture.tally().senders(), [B, D]);
    });
}

#[test]
fn a_frame_of_no_vlan_is_refused() {
    Fixture::run(4, |fixture| {
        let counted = Tally::new().rx(D, 60).dropped(D, DropReason::InvalidVlan);
        let untagged =
            Case { ingress: D, frame: plain(TWO, ONE), ..case("untagged at a trunk", &make_vlans) };
        Case { xdp: End::Shot, counted, ..untagged }.check(fixture);
        assert_eq!(fixture.entries(), []);
        fixture.tally();
        assert_eq!(fixture.xdp(D, &tagged(&plain(TWO, ONE), 4095, 0)).end, End::Shot, "VLAN 4095");
        assert_eq!(fixture.tally(), Tally::new().rx(D, 64).dropped(D, DropReason::InvalidVlan).by_xdp());
        fixture.attach(D);
        fixture.send(D, &tagged(&plain(TWO, ONE), 4095, 0));
        assert_eq!(fixture.tally().of(D).drops[DropReason::InvalidVlan as usize], 1);
    });
}

#[test]
fn a_port_takes_and_gets_only_what_is_of_its_vlans() {
    Fixture::run(4, |fixture| {
        make_vlans(fixture);
        for (port, vid) in [(A, 20), (D, 40)] {
            fixture.tally();
            fixture.attach(port);
            fixture.send(port, &tagged(&plain(TWO, ONE), vid, 0));
            fixture.xdp(port, &tagged(&plain(TWO, ONE), vid, 0));
            let dropped = fixture.tally().of(port).drops[DropReason::VlanNotAllowed as usize];
            assert_eq!(dropped, 2, "in by {port:?}");
        }
        assert_eq!(fixture.entries(), []);
        let left = |fixture: &mut Fixture| {
            make_vlans(fixture);
            fixture.tc(B, &plain(MacAddr::BROADCAST, TWO));
            fixture.make_vlan_aware(B, 20, &[]);
        };
        let counted = Tally::new().rx(A, 60).dropped(A, DropReason::VlanNotAllowed);
        let out = Case { frame: plain(TWO, ONE), ..case("out by a port that left the VLAN", &left) };
        Case { xdp: End::Shot, counted, ..out }.check(fixture);
    });
}

#[test]
fn a_vlan_without_other_members_has_nobody_to_flood_to() {
    Fixture::run(4, |fixture| {
        let alone = |fixture: &mut Fixture| {
            make_vlans(fixture);
            fixture.make_vlan_aware(A, 99, &[]);
        };
        let counted = Tally::new().rx(A, 60).dropped(A, DropReason::NobodyToFlood);
        Case { counted, ..case("alone", &alone) }.check(fixture);
    });
}

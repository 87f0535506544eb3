//! IPv6 neighbour discovery: which solicitations are answered in the kernel, and what keeps its meaning only when it is
//! flooded.

use std::net::Ipv6Addr;

use vswitch_common::event::NoticeKind;
use vswitch_tests::frame::{
    self, internet_checksum, neighbour_advertisement, neighbour_solicitation, router_solicitation,
};
use vswitch_tests::program::*;

use crate::both::Case;

/// Asks, at A.
const ASKER: (MacAddr, Ipv6Addr) = (station(1), Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1));
/// Is asked for, at B.
const OWNER: (MacAddr, Ipv6Addr) = (station(2), Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2));
/// Octets of a solicitation with its headers.
const WHOLE: usize = 14 + 40 + 32;

fn know(fixture: &mut Fixture) {
    fixture.tc(B, &plain(OWNER.0, OWNER.0));
    fixture.introduce(OWNER.1, OWNER.0);
}

/// A frame at A that XDP leaves to tc, and that is flooded.
fn flooded<'a>(name: &'a str, prepare: &'a dyn Fn(&mut Fixture), frame: Vec<u8>) -> Case<'a> {
    let counted = Tally::new().rx(A, frame.len()).tx(B, frame.len()).tx(C, frame.len());
    Case { name, prepare, ingress: A, frame, xdp: End::Passed, tc: End::Shot, counted }
}

#[test]
fn a_solicitation_for_a_known_station_is_answered_in_its_name() {
    Fixture::run(3, |fixture| {
        let asked = neighbour_solicitation(ASKER, OWNER.1);
        let counted = Tally::new().rx(A, WHOLE).answered(A).tx(A, WHOLE);
        Case { tc: End::Redirected, counted, ..flooded("known", &know, asked.clone()) }.check(fixture);
        let reply = fixture.tc(A, &asked).frame;
        let mut expected = neighbour_advertisement(OWNER, ASKER);
        // Solicited, but not overriding: the owner itself knows better.
        expected[14 + 40 + 4] = 0x40;
        assert_eq!(without_checksum(&reply), without_checksum(&expected));
        let (addresses, message) = (&reply[14 + 8..14 + 40], &reply[14 + 40..]);
        assert_eq!(internet_checksum(&[addresses, &[0, 0, 0, 32, 0, 0, 0, 58], message]), 0);
    });
}

fn without_checksum(frame: &[u8]) -> Vec<u8> {
    [&frame[..14 + 42], &frame[14 + 44..]].concat()
}

#[test]
fn what_cannot_be_answered_is_flooded_and_never_punted() {
    let not_located = |fixture: &mut Fixture| fixture.introduce(OWNER.1, OWNER.0);
    let isolated = |fixture: &mut Fixture| {
        know(fixture);
        [A, B].iter().for_each(|port| fixture.set_flags(*port, flag::ISOLATED));
    };
    Fixture::run(3, |fixture| {
        let asked = || neighbour_solicitation(ASKER, OWNER.1);
        flooded("unknown", &|_| {}, asked()).check(fixture);
        flooded("known, but not where it is", &not_located, asked()).check(fixture);
        let counted = Tally::new().rx(A, WHOLE).tx(C, WHOLE);
        Case { counted, ..flooded("known, but isolated", &isolated, asked()) }.check(fixture);
    });
}

#[test]
fn duplicate_address_detection_and_router_discovery_are_flooded_whoever_is_known() {
    Fixture::run(3, |fixture| {
        let detects = neighbour_solicitation((ASKER.0, Ipv6Addr::UNSPECIFIED), OWNER.1);
        flooded("duplicate address detection", &know, detects).check(fixture);
        flooded("own address", &know, neighbour_solicitation(ASKER, ASKER.1)).check(fixture);
        flooded("router solicitation", &know, router_solicitation(ASKER)).check(fixture);
    });
}

#[test]
fn a_solicitation_to_one_station_goes_there() {
    Fixture::run(3, |fixture| {
        let mut asked = neighbour_solicitation(ASKER, OWNER.1);
        asked[..6].copy_from_slice(&OWNER.0.octets());
        let counted = Tally::new().rx(A, WHOLE).tx(B, WHOLE);
        Case { tc: End::Redirected, counted, ..flooded("unicast", &know, asked) }.check(fixture);
    });
}

#[test]
fn a_truncated_or_strange_solicitation_is_payload() {
    Fixture::run(3, |fixture| {
        let asked = neighbour_solicitation(ASKER, OWNER.1);
        // The kernel runs no tc program alone over less than an IPv6 header.
        for length in 14 + 40..WHOLE {
            flooded(&format!("{length} octets"), &know, asked[..length].to_vec()).check(fixture);
        }
        for (name, at, value) in [
            ("hop limit", 14 + 7, 64),
            ("code", 14 + 41, 1),
            ("option", 14 + 64, 7),
            ("option length", 14 + 65, 2),
        ] {
            let mut strange = asked.clone();
            strange[at] = value;
            flooded(name, &know, strange).check(fixture);
        }
    });
}

#[test]
fn who_has_which_address_is_told_when_it_is_news() {
    fn told(fixture: &mut Fixture, frame: &[u8]) -> Vec<[u8; 16]> {
        fixture.notices();
        fixture.tc(A, frame);
        let mut told = fixture.notices();
        told.retain(|notice| notice.kind == NoticeKind::NeighbourV6 as u16);
        told.iter().map(|notice| notice.ip).collect()
    }
    Fixture::run(3, |fixture| {
        let news = [ASKER.1.octets()];
        let nothing: [[u8; 16]; 0] = [];
        for frame in [neighbour_solicitation(ASKER, OWNER.1), neighbour_advertisement(ASKER, OWNER)] {
            assert_eq!(told(fixture, &frame), news, "{}", frame::describe(&frame));
        }
        let detects = neighbour_solicitation((ASKER.0, Ipv6Addr::UNSPECIFIED), ASKER.1);
        assert_eq!(told(fixture, &detects), nothing, "not an address yet");
        let mut forged = neighbour_advertisement(ASKER, OWNER);
        forged[6..12].copy_from_slice(&station(7).octets());
        assert_eq!(told(fixture, &forged), nothing, "nobody speaks for another");
        fixture.introduce(ASKER.1, ASKER.0);
        assert_eq!(told(fixture, &neighbour_advertisement(ASKER, OWNER)), nothing, "it is known");
    });
}

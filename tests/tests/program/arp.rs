//! ARP: what is answered, what goes to the controller, what keeps its meaning only when it is flooded; and what is learned
//! of who has which address.

use std::net::Ipv4Addr;
use std::time::Duration;

use vswitch_common::event::NoticeKind;
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_tests::frame::{self, ArpPacket, arp_of, arp_probe, arp_reply, arp_request, gratuitous_arp};
use vswitch_tests::program::*;

use crate::both::Case;

/// Asks, at A.
const ASKER: (MacAddr, Ipv4Addr) = (station(1), Ipv4Addr::new(10, 0, 0, 1));
/// Is asked for; at B where it is known.
const OWNER: (MacAddr, Ipv4Addr) = (station(2), Ipv4Addr::new(10, 0, 0, 2));

/// The owner is in the FDB and its address is known.
fn know(fixture: &mut Fixture) {
    fixture.tc(B, &plain(OWNER.0, OWNER.0));
    fixture.introduce(OWNER.1, OWNER.0);
}

fn question() -> Vec<u8> {
    arp_request(ASKER, OWNER.1)
}

/// A frame at A that XDP leaves to tc.
fn case<'a>(name: &'a str, prepare: &'a dyn Fn(&mut Fixture), frame: Vec<u8>) -> Case<'a> {
    Case { name, prepare, ingress: A, frame, xdp: End::Passed, tc: End::Shot, counted: Tally::new() }
}

fn punted() -> Tally {
    Tally::new().rx(A, 60).punted(A)
}

fn flooded() -> Tally {
    Tally::new().rx(A, 60).tx(B, 60).tx(C, 60)
}

fn answered() -> Tally {
    Tally::new().rx(A, 60).answered(A).tx(A, 60)
}

#[test]
fn a_question_for_a_known_station_is_answered_in_its_name() {
    Fixture::run(3, |fixture| {
        Case { tc: End::Redirected, counted: answered(), ..case("known", &know, question()) }.check(fixture);
        fixture.reset();
        know(fixture);
        let mut asked = question();
        asked[42..].fill(0x77);
        let reply = fixture.tc(A, &asked).frame;
        assert_eq!(reply[..42], arp_reply(OWNER, ASKER)[..42]);
        assert_eq!(reply[42..], asked[42..], "the padding stays as it is");
        let bare = fixture.tc(A, &question()[..42]).frame;
        assert_eq!(bare, arp_reply(OWNER, ASKER)[..42], "and none is added");
    });
}

#[test]
fn the_answer_goes_to_the_station_that_sent_the_question() {
    Fixture::run(3, |fixture| {
        know(fixture);
        let mut asked = question();
        asked[6..12].copy_from_slice(&station(7).octets());
        let reply = fixture.tc(A, &asked).frame;
        assert_eq!(frame::destination_of(&reply), Some(station(7)));
        assert_eq!(arp_of(&reply).expect("a reply").target, ASKER);
    });
}

#[test]
fn a_question_that_cannot_be_answered_goes_to_the_controller() {
    let isolate = |fixture: &mut Fixture| {
        know(fixture);
        [A, B].iter().for_each(|port| fixture.set_flags(*port, flag::ISOLATED));
    };
    let silent = |fixture: &mut Fixture| {
        know(fixture);
        fixture.set(B, |config| config.ageing_ns = 1_000_000_000);
        fixture.silence(key(OWNER.0), Duration::from_secs(5));
    };
    let down = |fixture: &mut Fixture| {
        know(fixture);
        fixture.clear_flags(B, flag::FORWARDING);
    };
    let elsewhere = |fixture: &mut Fixture| {
        know(fixture);
        fixture.set(A, |config| (config.network, config.domain) = (2, domain_of(2).0));
    };
    let same_port = |fixture: &mut Fixture| {
        fixture.tc(A, &plain(OWNER.0, OWNER.0));
        fixture.introduce(OWNER.1, OWNER.0);
    };
    let not_located = |fixture: &mut Fixture| fixture.introduce(OWNER.1, OWNER.0);
    Fixture::run(3, |fixture| {
        let mut check = |name: &str, prepare: &dyn Fn(&mut Fixture)| {
            Case { counted: punted(), ..case(name, prepare, question()) }.check(fixture);
        };
        check("unknown", &|_| {});
        check("known, but not where it is", &not_located);
        check("known, but silent for too long", &silent);
        check("known, but its port is down", &down);
        check("known, but asker and owner are isolated", &isolate);
        check("known, but in another network", &elsewhere);
        check("known, but behind the asker's own port", &same_port);
    });
}

#[test]
fn hairpin_answers_for_stations_behind_the_askers_own_port() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| {
            fixture.set_flags(A, flag::HAIRPIN);
            fixture.tc(A, &plain(OWNER.0, OWNER.0));
            fixture.introduce(OWNER.1, OWNER.0);
        };
        Case { tc: End::Redirected, counted: answered(), ..case("hairpin", &prepare, question()) }
            .check(fixture);
    });
}

#[test]
fn the_controller_gets_the_frame_and_where_it_came_from() {
    Fixture::run(3, |fixture| {
        // Padded as it was, or not at all.
        for frame in [question(), question()[..42].to_vec()] {
            fixture.tc(C, &frame);
            let punts = fixture.punts();
            assert_eq!(punts.len(), 1);
            assert_eq!((punts[0].port, punts[0].domain, punts[0].why), (C.0, domain_of(NETWORK).0, 1));
            assert_eq!(punts[0].bytes(), frame);
        }
    });
}

#[test]
fn probes_announcements_and_gratuitous_arp_are_flooded_whoever_is_known() {
    let to_all =
        |operation, sender, target| ArpPacket { operation, sender, target }.frame(MacAddr::BROADCAST);
    Fixture::run(3, |fixture| {
        for (name, frame) in [
            ("probe", arp_probe(ASKER.0, OWNER.1)),
            ("announcement", gratuitous_arp(ASKER)),
            ("gratuitous reply", to_all(2, ASKER, (MacAddr::BROADCAST, ASKER.1))),
            ("reply to all", to_all(2, ASKER, OWNER)),
            ("reverse request", to_all(3, ASKER, OWNER)),
            ("announcement of the owner's address", gratuitous_arp((ASKER.0, OWNER.1))),
        ] {
            Case { counted: flooded(), ..case(name, &know, frame) }.check(fixture);
        }
    });
}

#[test]
fn unicast_requests_and_replies_go_to_whom_they_are_for() {
    Fixture::run(3, |fixture| {
        let request = ArpPacket { operation: 1, sender: ASKER, target: OWNER }.frame(OWNER.0);
        for (name, frame) in [("unicast request", request), ("reply", arp_reply(ASKER, OWNER))] {
            let counted = Tally::new().rx(A, 60).tx(B, 60);
            Case { tc: End::Redirected, counted, ..case(name, &know, frame) }.check(fixture);
        }
    });
}

#[test]
fn arp_for_other_hardware_or_protocols_and_tagged_arp_are_payload() {
    Fixture::run(3, |fixture| {
        for (name, at, value) in [
            ("hardware type", 15, 6),
            ("protocol type", 17, 1),
            ("hardware length", 18, 8),
            ("protocol length", 19, 16),
        ] {
            let mut frame = question();
            frame[at] = value;
            Case { counted: flooded(), ..case(name, &know, frame) }.check(fixture);
        }
        let counted = Tally::new().rx(A, 64).tx(B, 64).tx(C, 64);
        Case { counted, ..case("tagged", &know, frame::tagged(&question(), 10, 0)) }.check(fixture);
    });
}

#[test]
fn a_truncated_question_is_flooded_as_any_payload_is() {
    Fixture::run(3, |fixture| {
        for length in 14..60 {
            let (frame, name) = (question()[..length].to_vec(), format!("{length} octets"));
            let whole = length >= 42;
            let counted = if whole {
                Tally::new().rx(A, length).answered(A).tx(A, length)
            } else {
                Tally::new().rx(A, length).tx(B, length).tx(C, length)
            };
            let tc = if whole { End::Redirected } else { End::Shot };
            Case { tc, counted, ..case(&name, &know, frame) }.check(fixture);
        }
    });
}

#[test]
fn without_a_living_controller_unknown_targets_are_flooded() {
    let dies = |fixture: &mut Fixture| fixture.stop_heart(Duration::from_millis(3_200));
    let dies_knowing = |fixture: &mut Fixture| {
        know(fixture);
        dies(fixture);
    };
    let late = |fixture: &mut Fixture| fixture.stop_heart(Duration::from_millis(1_500));
    Fixture::run(3, |fixture| {
        Case { counted: flooded(), ..case("dead", &dies, question()) }.check(fixture);
        Case { counted: punted(), ..case("late", &late, question()) }.check(fixture);
        let known = case("dead, but the owner is known", &dies_knowing, question());
        Case { tc: End::Redirected, counted: answered(), ..known }.check(fixture);
    });
}

/// The addresses that the notices of a frame at A tell of.
fn told(fixture: &mut Fixture, frame: &[u8]) -> Vec<[u8; 16]> {
    fixture.notices();
    fixture.tc(A, frame);
    let mut told = fixture.notices();
    told.retain(|notice| notice.kind == NoticeKind::Neighbour as u16);
    told.iter().map(|notice| notice.ip).collect()
}

#[test]
fn who_has_which_address_is_told_when_it_is_news() {
    Fixture::run(3, |fixture| {
        let news = [[10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]];
        let nothing: [[u8; 16]; 0] = [];
        fixture.tc(A, &plain(MacAddr::BROADCAST, ASKER.0));
        for frame in [question(), arp_reply(ASKER, OWNER), gratuitous_arp(ASKER)] {
            assert_eq!(told(fixture, &frame), news, "{}", frame::describe(&frame));
        }
        assert_eq!(told(fixture, &arp_probe(ASKER.0, ASKER.1)), nothing, "a probe claims nothing");
        assert_eq!(told(fixture, &question()[..41]), nothing, "a truncated packet says nothing");
        let mut forged = question();
        forged[6..12].copy_from_slice(&station(7).octets());
        assert_eq!(told(fixture, &forged), nothing, "nobody speaks for another");
        fixture.introduce(ASKER.1, ASKER.0);
        assert_eq!(told(fixture, &question()), nothing, "it is known");
        fixture.introduce(ASKER.1, station(7));
        assert_eq!(told(fixture, &question()), news, "somebody else had it");
        let elsewhere = NeighbourKey::v4(domain_of(2), ASKER.1.octets());
        fixture.introduce(ASKER.1, ASKER.0);
        fixture.bpf.set_neighbour(&elsewhere, Some(Neighbour(7))).expect("the map has room");
        assert_eq!(told(fixture, &question()), nothing, "another network's addresses are others");
    });
}

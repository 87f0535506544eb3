//! Ports and their flood list: who gets a copy.

use std::collections::BTreeMap;

use vswitch_common::port::NetworkConfig;
use vswitch_tests::program::*;
use vswitch_tests::wait::{SOON, until};

/// The ports that a frame for all from `ingress` leaves by.
fn flooded(fixture: &mut Fixture, ingress: PortId) -> Vec<PortId> {
    fixture.tally();
    fixture.tc(ingress, &plain(MacAddr::BROADCAST, station(1)));
    fixture.tally().senders()
}

#[test]
fn each_member_but_the_ingress_gets_one_copy_unchanged() {
    Fixture::run(4, |fixture| {
        let listener = Listener::start(fixture);
        let frame = plain(MacAddr::BROADCAST, station(1));
        assert_eq!(fixture.tc(B, &frame).frame, frame);
        let expected: BTreeMap<_, _> = [A, C, D].map(|port| (port, 1)).into();
        let mut heard = BTreeMap::new();
        until("three copies", SOON, || {
            for (port, count) in listener.count(&frame) {
                *heard.entry(port).or_insert(0) += count;
            }
            (heard.len() == 3).then_some(())
        });
        assert_eq!(heard, expected);
    });
}

#[test]
fn a_frame_is_its_links_ports_whatever_the_hint_about_the_link_says() {
    Fixture::run(3, |fixture| {
        let right = fixture.set_hint(A, 0);
        assert_eq!(right, A.0, "the hint that the controller wrote");
        for (number, hint) in [0, A.0, B.0, C.0, 4_000, u16::MAX].into_iter().enumerate() {
            fixture.set_hint(A, hint);
            let source = station(number as u8);
            fixture.tally();
            fixture.tc(A, &plain(MacAddr::BROADCAST, source));
            assert_eq!(fixture.tally().senders(), [B, C], "hint {hint} at tc");
            assert_eq!(fixture.entry(source).map(|entry| entry.port), Some(A.0), "hint {hint}");
            assert_eq!(fixture.xdp(B, &plain(source, station(9))).end, End::Redirected, "hint {hint} at XDP");
            assert_eq!(fixture.tally().senders(), [A], "hint {hint} at XDP");
        }
        fixture.set_hint(A, right);
    });
}

#[test]
fn isolated_ports_reach_only_those_that_are_not() {
    Fixture::run(4, |fixture| {
        [A, B].iter().for_each(|port| fixture.set_flags(*port, flag::ISOLATED));
        assert_eq!(flooded(fixture, A), [C, D]);
        assert_eq!(flooded(fixture, C), [A, B, D]);
    });
}

#[test]
fn hairpin_sends_back_out_of_the_same_port() {
    Fixture::run(3, |fixture| {
        fixture.set_flags(A, flag::HAIRPIN);
        assert_eq!(flooded(fixture, A), [A, B, C]);
        assert_eq!(flooded(fixture, B), [A, C]);
        fixture.tc(A, &plain(MacAddr::BROADCAST, station(2)));
        fixture.tally();
        for hook in [Hook::Tc, Hook::Xdp] {
            assert_eq!(fixture.run_at(hook, A, &plain(station(2), station(1))).end, End::Redirected);
            assert_eq!(fixture.tally().senders(), [A]);
        }
    });
}

#[test]
fn an_isolated_hairpin_port_does_not_reach_itself() {
    Fixture::run(2, |fixture| {
        fixture.set_flags(A, flag::HAIRPIN | flag::ISOLATED);
        assert_eq!(flooded(fixture, A), [B]);
    });
}

#[test]
fn a_port_that_does_not_flood_still_gets_what_is_for_its_stations() {
    Fixture::run(3, |fixture| {
        fixture.clear_flags(B, flag::FLOOD);
        assert_eq!(flooded(fixture, A), [C]);
        assert_eq!(flooded(fixture, B), [A, C], "its own frames are flooded");
        fixture.tc(B, &plain(MacAddr::BROADCAST, station(2)));
        fixture.tally();
        fixture.tc(A, &plain(station(2), station(3)));
        assert_eq!(fixture.tally().senders(), [B]);
    });
}

#[test]
fn empty_places_and_places_beyond_the_list_get_nothing() {
    Fixture::run(4, |fixture| {
        fixture.bpf.set_member(NETWORK, 1, None).expect("it was a member");
        assert_eq!(flooded(fixture, A), [C, D]);
        fixture.bpf.set_network(NETWORK, &NetworkConfig { places: 3, pad: 0 }).expect("a network");
        assert_eq!(flooded(fixture, A), [C]);
        fixture.bpf.set_network(NETWORK, &NetworkConfig { places: 1 << 24, pad: 0 }).expect("a network");
        assert_eq!(flooded(fixture, A), [C, D], "a list longer than can be is cut");
    });
}

#[test]
fn a_member_in_a_foreign_list_gets_nothing() {
    Fixture::run(3, |fixture| {
        fixture.set(B, |config| config.network = 2);
        assert_eq!(flooded(fixture, A), [C]);
        assert_eq!(flooded(fixture, B), [], "network 2 has no members");
    });
}

#[test]
fn a_flood_reaches_five_hundred_ports() {
    const PORTS: u16 = 500;
    Fixture::run(2, |fixture| {
        // They share B's link: it is the list that is long.
        let like_b = fixture.default_config(B);
        for slot in 3..=PORTS {
            fixture.set(PortId(slot), |config| *config = like_b);
            fixture.bpf.set_member(NETWORK, slot - 1, Some(PortId(slot))).expect("the map has room");
        }
        let places = NetworkConfig { places: PORTS.into(), pad: 0 };
        fixture.bpf.set_network(NETWORK, &places).expect("a network");
        assert_eq!(flooded(fixture, A), (2..=PORTS).map(PortId).collect::<Vec<_>>());
    });
}

#[test]
fn the_controllers_flood_leaves_out_the_port_the_frame_came_by() {
    Fixture::run(4, |fixture| {
        let frame = plain(MacAddr::BROADCAST, station(1));
        assert_eq!(fixture.flood(B, 0, &frame).end, End::Shot);
        assert_eq!(fixture.tally(), Tally::new().tx(A, 60).tx(C, 60).tx(D, 60), "and counts no frame in");
        assert_eq!(fixture.entries(), [], "and teaches nothing");
        fixture.bpf.flood(C, 0, &frame).expect("the controller's own call");
        assert_eq!(fixture.tally().senders(), [A, B, D]);
        fixture.set_flags(A, flag::ISOLATED);
        fixture.set_flags(B, flag::ISOLATED);
        fixture.flood(A, 0, &frame);
        assert_eq!(fixture.tally().senders(), [C, D]);
    });
}

#[test]
fn the_controllers_flood_of_a_port_that_cannot_be_reaches_nobody() {
    Fixture::run(2, |fixture| {
        let frame = plain(MacAddr::BROADCAST, station(1));
        for port in [PortId::NOBODY, PortId(u16::MAX)] {
            assert_eq!(fixture.flood(port, 0, &frame).end, End::Shot);
            assert_eq!(fixture.tally().senders(), [], "{port:?}");
        }
    });
}

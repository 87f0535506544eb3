//! Guarded ports: what they may not say is refused for its reason and teaches nothing; what a host needs before it has an
//! address passes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vswitch_tests::frame::{self, ArpPacket, arp_probe, arp_request, ipv4_udp, ipv6_udp};
use vswitch_tests::program::*;

use crate::both::Case;

/// What A was given.
const OWN: MacAddr = station(1);
const OWN_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
/// Somebody else's.
const FOREIGN: MacAddr = station(2);
const FOREIGN_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const FOREIGN_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

fn guard(fixture: &mut Fixture) {
    fixture.guard(A, OWN, &[IpAddr::V4(OWN_V4), IpAddr::V6(OWN_V6)]);
}

fn guard_mac_alone(fixture: &mut Fixture) {
    fixture.guard(A, OWN, &[]);
}

fn trust(fixture: &mut Fixture) {
    guard(fixture);
    fixture.set_flags(A, flag::TRUSTED);
}

/// UDP to a station that nobody knows.
fn v4(from: (MacAddr, Ipv4Addr, u16), to_port: u16) -> Vec<u8> {
    ipv4_udp(from, (station(9), Ipv4Addr::new(10, 0, 0, 9), to_port), b"guard")
}

fn v6(from: (MacAddr, Ipv6Addr, u16)) -> Vec<u8> {
    ipv6_udp(from, (station(9), Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 9), 9), b"guard")
}

/// An ICMPv6 message of a kind, from an address.
fn icmp6(source: Ipv6Addr, kind: u8) -> Vec<u8> {
    let mut frame = frame::neighbour_advertisement((OWN, source), (station(9), OWN_V6));
    frame[14 + 40] = kind;
    frame
}

/// The frame is refused at both hooks, for the reason, and teaches nothing.
#[track_caller]
fn refused(fixture: &mut Fixture, prepare: &dyn Fn(&mut Fixture), frame: &[u8], reason: DropReason) {
    let name = frame::describe(frame);
    let counted = Tally::new().rx(A, frame.len()).dropped(A, reason);
    // XDP leaves ARP and neighbour discovery to tc, whatever they say.
    let xdp = xdp_end(fixture, prepare, frame);
    let case = Case { name: &name, prepare, ingress: A, frame: frame.to_vec(), xdp, tc: End::Shot, counted };
    case.check(fixture);
    assert_eq!((fixture.entries(), fixture.notices()), (vec![], vec![]), "{name} teaches something");
}

/// What XDP does, either of the two that are right: refuse, or leave it to tc.
fn xdp_end(fixture: &mut Fixture, prepare: &dyn Fn(&mut Fixture), frame: &[u8]) -> End {
    fixture.reset();
    prepare(fixture);
    let end = fixture.xdp(A, frame).end;
    assert_ne!(end, End::Redirected, "{}", frame::describe(frame));
    end
}

/// The frame passes at both hooks; all here are for nobody in particular, so they are flooded.
#[track_caller]
fn admitted(fixture: &mut Fixture, prepare: &dyn Fn(&mut Fixture), frame: &[u8]) {
    let name = frame::describe(frame);
    let counted = Tally::new().rx(A, frame.len()).tx(B, frame.len());
    let (frame, xdp) = (frame.to_vec(), End::Passed);
    Case { name: &name, prepare, ingress: A, frame, xdp, tc: End::Shot, counted }.check(fixture);
    assert_eq!(fixture.port_of(OWN), Some(A), "{name}");
}

#[test]
fn only_the_given_mac_address_is_taken() {
    Fixture::run(2, |fixture| {
        for prepare in [guard, guard_mac_alone] {
            refused(fixture, &prepare, &plain(station(9), FOREIGN), DropReason::SpoofedMac);
            refused(fixture, &prepare, &plain(MacAddr::BROADCAST, FOREIGN), DropReason::SpoofedMac);
            admitted(fixture, &prepare, &plain(station(9), OWN));
        }
    });
}

#[test]
fn a_port_without_a_given_mac_takes_any_and_checks_addresses() {
    Fixture::run(2, |fixture| {
        let ip_alone = |fixture: &mut Fixture| fixture.guard(A, MacAddr::ZERO, &[IpAddr::V4(OWN_V4)]);
        admitted(fixture, &ip_alone, &v4((OWN, OWN_V4, 5), 6));
        refused(fixture, &ip_alone, &v4((OWN, FOREIGN_V4, 5), 6), DropReason::SpoofedIp);
    });
}

#[test]
fn only_given_ip_addresses_are_taken() {
    Fixture::run(2, |fixture| {
        admitted(fixture, &guard, &v4((OWN, OWN_V4, 5), 6));
        refused(fixture, &guard, &v4((OWN, FOREIGN_V4, 5), 6), DropReason::SpoofedIp);
        admitted(fixture, &guard_mac_alone, &v4((OWN, FOREIGN_V4, 5), 6));
        admitted(fixture, &guard, &v6((OWN, OWN_V6, 5)));
        refused(fixture, &guard, &v6((OWN, FOREIGN_V6, 5)), DropReason::SpoofedIp);
        admitted(fixture, &guard, &v6((OWN, LINK_LOCAL, 5)));
    });
}

#[test]
fn addresses_given_to_another_port_are_foreign() {
    Fixture::run(2, |fixture| {
        let swapped = |fixture: &mut Fixture| {
            guard(fixture);
            fixture.guard(B, FOREIGN, &[IpAddr::V4(FOREIGN_V4)]);
        };
        refused(fixture, &swapped, &v4((OWN, FOREIGN_V4, 5), 6), DropReason::SpoofedIp);
    });
}

#[test]
fn a_host_without_an_address_may_ask_for_one() {
    Fixture::run(2, |fixture| {
        admitted(fixture, &guard, &v4((OWN, Ipv4Addr::UNSPECIFIED, 68), 67));
        refused(fixture, &guard, &v4((OWN, Ipv4Addr::UNSPECIFIED, 5), 6), DropReason::SpoofedIp);
        admitted(fixture, &guard, &frame::neighbour_solicitation((OWN, Ipv6Addr::UNSPECIFIED), OWN_V6));
        admitted(fixture, &guard, &arp_probe(OWN, FOREIGN_V4));
    });
}

#[test]
fn servers_and_routers_must_be_trusted() {
    const ADVERTISES_ROUTER: u8 = 134;
    const REDIRECTS: u8 = 137;
    Fixture::run(2, |fixture| {
        let offers = v4((OWN, OWN_V4, 67), 68);
        let six = v6((OWN, OWN_V6, 547));
        let router = icmp6(LINK_LOCAL, ADVERTISES_ROUTER);
        for frame in [offers, six, router, icmp6(LINK_LOCAL, REDIRECTS)] {
            for prepare in [guard, guard_mac_alone] {
                refused(fixture, &prepare, &frame, DropReason::RogueServer);
            }
            admitted(fixture, &trust, &frame);
        }
    });
}

#[test]
fn arp_says_only_given_addresses() {
    let says = |mac, ip| ArpPacket { operation: 2, sender: (mac, ip), target: (FOREIGN, FOREIGN_V4) };
    let from_own = |packet: ArpPacket| {
        let mut frame = packet.frame(MacAddr::BROADCAST);
        frame[6..12].copy_from_slice(&OWN.octets());
        frame
    };
    Fixture::run(2, |fixture| {
        admitted(fixture, &guard, &from_own(says(OWN, OWN_V4)));
        refused(fixture, &guard, &from_own(says(OWN, FOREIGN_V4)), DropReason::SpoofedIp);
        refused(fixture, &guard, &from_own(says(FOREIGN, OWN_V4)), DropReason::SpoofedMac);
        admitted(fixture, &guard_mac_alone, &from_own(says(OWN, FOREIGN_V4)));
        refused(fixture, &guard, &arp_request((OWN, FOREIGN_V4), OWN_V4), DropReason::SpoofedIp);
    });
}

#[test]
fn neighbour_advertisements_claim_only_given_addresses() {
    let claims = |mac, ip| frame::neighbour_advertisement((mac, ip), (station(9), FOREIGN_V6));
    Fixture::run(2, |fixture| {
        admitted(fixture, &guard, &claims(OWN, OWN_V6));
        refused(fixture, &guard, &claims(OWN, FOREIGN_V6), DropReason::SpoofedIp);
        let mut for_another = claims(FOREIGN, OWN_V6);
        for_another[6..12].copy_from_slice(&OWN.octets());
        refused(fixture, &guard, &for_another, DropReason::SpoofedMac);
    });
}

#[test]
fn a_guarded_port_takes_no_truncated_packets() {
    Fixture::run(2, |fixture| {
        // The kernel runs no tc program alone over less than an IP header: these come in by the link.
        guard(fixture);
        fixture.attach(A);
        for (whole, needed) in [(v4((OWN, OWN_V4, 5), 6), 20 + 4), (v6((OWN, OWN_V6, 5)), 40 + 2)] {
            for length in 15..14 + needed {
                let counted = Tally::new().rx(A, length).dropped(A, DropReason::Malformed);
                fixture.send(A, &whole[..length]);
                assert_eq!(fixture.tally(), counted, "{length} octets at tc");
                assert_eq!(fixture.xdp(A, &whole[..length]).end, End::Shot, "{length} octets at XDP");
                assert_eq!(fixture.tally(), counted.by_xdp(), "{length} octets at XDP");
            }
            fixture.send(A, &whole[..14 + needed]);
            assert_eq!(fixture.tally().senders(), [B], "{needed} octets of IP");
            fixture.forget(key(OWN));
        }
    });
}

#[test]
fn what_is_no_ip_is_judged_by_its_mac_alone() {
    Fixture::run(2, |fixture| {
        admitted(fixture, &guard, &plain(MacAddr::BROADCAST, OWN));
        admitted(fixture, &guard, &plain(station(9), OWN)[..14]);
    });
}

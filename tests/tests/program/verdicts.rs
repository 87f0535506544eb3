//! Every verdict and every drop reason, at both hooks; those of limits, VLANs, guards and storms are in files of their own.
//!
//! Missing, because nothing brings it about: `Local`, for no frame is the host's own yet.

use vswitch_common::verdict::DropReason;
use vswitch_tests::frame::{self, EXPERIMENTAL};
use vswitch_tests::program::*;

use crate::both::Case;

/// Behind B in these cases.
const KNOWN: MacAddr = station(2);
/// The sender, at A.
const SENDER: MacAddr = station(1);

fn know(fixture: &mut Fixture) {
    fixture.tc(B, &plain(KNOWN, KNOWN));
}

/// A frame from A to the station behind B, after `prepare`.
fn to_known<'a>(name: &'a str, prepare: &'a dyn Fn(&mut Fixture)) -> Case<'a> {
    Case {
        name,
        prepare,
        ingress: A,
        frame: plain(KNOWN, SENDER),
        xdp: End::Shot,
        tc: End::Shot,
        counted: Tally::new().rx(A, 60),
    }
}

#[test]
fn a_frame_to_a_known_station_leaves_by_its_port() {
    Fixture::run(3, |fixture| {
        let counted = Tally::new().rx(A, 60).tx(B, 60);
        let forwarded = Case { tc: End::Redirected, counted, ..to_known("forwarded", &know) };
        Case { xdp: End::Redirected, ..forwarded }.check(fixture);
    });
}

#[test]
fn xdp_leaves_to_tc_what_goes_to_a_link_that_takes_no_redirects() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| {
            know(fixture);
            fixture.clear_flags(B, flag::XDP_TARGET);
        };
        let counted = Tally::new().rx(A, 60).tx(B, 60);
        Case { xdp: End::Passed, tc: End::Redirected, counted, ..to_known("no target", &prepare) }
            .check(fixture);
    });
}

#[test]
fn a_frame_to_nobody_in_particular_is_flooded() {
    Fixture::run(4, |fixture| {
        let group = MacAddr::from_octets([0x33, 0x33, 0, 0, 0, 1]);
        let beyond_reserved = MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, 0x10]);
        for (name, to) in [
            ("unknown unicast", station(9)),
            ("broadcast", MacAddr::BROADCAST),
            ("multicast", group),
            ("the first group address that is relayed", beyond_reserved),
            ("zero, which is nobody", MacAddr::ZERO),
        ] {
            let counted = Tally::new().rx(A, 60).tx(B, 60).tx(C, 60).tx(D, 60);
            let frame = plain(to, SENDER);
            Case { xdp: End::Passed, frame, counted, ..to_known(name, &know) }.check(fixture);
        }
    });
}

#[test]
fn sources_that_no_station_has_are_refused() {
    Fixture::run(3, |fixture| {
        let group = MacAddr::from_octets([3, 0, 0, 0, 0, 1]);
        for (name, source) in [("zero", MacAddr::ZERO), ("broadcast", MacAddr::BROADCAST), ("group", group)] {
            let counted = Tally::new().rx(A, 60).dropped(A, DropReason::InvalidSource);
            Case { frame: plain(KNOWN, source), counted, ..to_known(name, &know) }.check(fixture);
        }
    });
}

#[test]
fn the_sixteen_addresses_that_no_bridge_relays_are_refused() {
    Fixture::run(3, |fixture| {
        for last in 0..16 {
            let to = MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, last]);
            let counted = Tally::new().rx(A, 60).dropped(A, DropReason::LinkConstrained);
            let frame = plain(to, SENDER);
            // XDP leaves all group addresses to tc.
            Case { xdp: End::Passed, frame, counted, ..to_known(&to.to_string(), &know) }.check(fixture);
        }
    });
}

#[test]
fn a_frame_to_a_station_behind_its_own_port_goes_nowhere() {
    Fixture::run(3, |fixture| {
        let frame = plain(KNOWN, SENDER);
        let counted = Tally::new().rx(B, 60).dropped(B, DropReason::SamePort);
        Case { ingress: B, frame, counted, ..to_known("same port", &know) }.check(fixture);
    });
}

#[test]
fn a_frame_larger_than_the_egress_takes_is_dropped() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| {
            know(fixture);
            fixture.set(B, |config| config.mtu = 68);
        };
        let frame = frame::marked_as(KNOWN, SENDER, EXPERIMENTAL, 1, 68 + 18 + 1);
        let counted = Tally::new().rx(A, 87).dropped(A, DropReason::TooBig);
        Case { frame, counted, ..to_known("too big", &prepare) }.check(fixture);
    });
}

#[test]
fn a_frame_by_a_link_that_is_no_port_is_counted_as_nobodys() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| {
            know(fixture);
            fixture.bpf.set_link(fixture.link(A).ifindex, None).expect("it was mapped");
        };
        let counted = Tally::new().rx(PortId::NOBODY, 60).dropped(PortId::NOBODY, DropReason::NoPort);
        Case { counted, ..to_known("no port", &prepare) }.check(fixture);
    });
}

#[test]
fn a_port_that_is_down_takes_nothing() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| {
            know(fixture);
            fixture.clear_flags(A, flag::FORWARDING);
        };
        let counted = Tally::new().rx(A, 60).dropped(A, DropReason::PortDown);
        Case { counted, ..to_known("ingress down", &prepare) }.check(fixture);
    });
}

#[test]
fn a_port_that_is_down_gets_nothing() {
    Fixture::run(3, |fixture| {
        let dynamic = |fixture: &mut Fixture| {
            know(fixture);
            fixture.clear_flags(B, flag::FORWARDING);
        };
        let counted = Tally::new().rx(A, 60).tx(C, 60);
        Case { xdp: End::Passed, counted, ..to_known("learned, then down", &dynamic) }.check(fixture);
    });
}

#[test]
fn a_frame_never_leaves_by_a_port_that_has_gone_to_another_network() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| {
            know(fixture);
            fixture.set(B, |config| (config.network, config.domain) = (2, domain_of(2).0));
        };
        let counted = Tally::new().rx(A, 60).dropped(A, DropReason::PortDown);
        Case { counted, ..to_known("known, but elsewhere", &prepare) }.check(fixture);
        let frame = plain(MacAddr::BROADCAST, SENDER);
        let counted = Tally::new().rx(A, 60).tx(C, 60);
        Case { xdp: End::Passed, frame, counted, ..to_known("flooded past it", &prepare) }.check(fixture);
    });
}

#[test]
fn a_flood_with_nobody_to_go_to_is_counted_as_that() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| {
            for port in [B, C] {
                fixture.clear_flags(port, flag::FLOOD);
            }
        };
        let counted = Tally::new().rx(A, 60).dropped(A, DropReason::NobodyToFlood);
        Case { xdp: End::Passed, counted, ..to_known("nobody to flood to", &prepare) }.check(fixture);
    });
}

#[test]
fn isolated_ports_do_not_reach_each_other() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| {
            know(fixture);
            for port in [A, B] {
                fixture.set_flags(port, flag::ISOLATED);
            }
        };
        let counted = Tally::new().rx(A, 60).dropped(A, DropReason::Isolated);
        Case { counted, ..to_known("isolated", &prepare) }.check(fixture);
        let frame = plain(MacAddr::BROADCAST, SENDER);
        let counted = Tally::new().rx(A, 60).tx(C, 60);
        Case { xdp: End::Passed, frame, counted, ..to_known("flood of an isolated port", &prepare) }
            .check(fixture);
    });
}

#[test]
fn a_copy_that_the_kernel_refuses_is_counted_at_the_port_it_was_for() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| fixture.set(B, |config| config.ifindex = 0x7fff_0000);
        let counted = Tally::new().rx(A, 60).dropped(B, DropReason::EgressFailed).tx(C, 60);
        Case { xdp: End::Passed, counted, ..to_known("a member's link has gone", &prepare) }.check(fixture);
    });
}

#[test]
fn xdp_counts_a_redirect_that_the_kernel_refuses() {
    Fixture::run(3, |fixture| {
        know(fixture);
        fixture.bpf.set_target(B, None).expect("it was a target");
        fixture.tally();
        assert_eq!(fixture.xdp(A, &plain(KNOWN, SENDER)).end, End::Shot);
        let counted = Tally::new().rx(A, 60).dropped(A, DropReason::EgressFailed);
        assert_eq!(fixture.tally(), counted.by_xdp());
    });
}

//! The controller killed under load: everything but names goes on, and the next one takes over without a frame lost.

use std::net::IpAddr;

use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{DhcpServer, LongTransfer, Probe, try_ping, udhcpc};

use crate::audit::{assert_as_desired, state};
use crate::docker0;
use crate::row::{Row, count};
use vswitch_tests::world::{HOST, Mirror, OUTSIDE, guest, network, seen_by_tcp, world};

/// Probes a second.
const RATE: u32 = 1_000;

/// What must work with and without a controller: NAT, published ports from outside, and between guests.
fn all_ways(a: &Host, b: &Host, outside: &Host, when: &str) {
    try_ping(a, b.ipv4().into(), 1400, 3).unwrap_or_else(|error| panic!("{when}: {error}"));
    let seen = seen_by_tcp(a.namespace(), OUTSIDE, 9000);
    assert_eq!(seen.ok(), Some(HOST), "{when}: NAT");
    let from: IpAddr = OUTSIDE;
    let seen = seen_by_tcp(outside.namespace(), HOST, 8080);
    assert_eq!(seen.ok(), Some(from), "{when}: the published port");
}

/// Somebody who comes while no controller is there: an address by DHCP, found by ARP, in both directions.
fn newcomer_gets_in(lab: &Lab, newcomer: &Host, old: &Host) {
    let address = udhcpc(lab, newcomer);
    until("the newcomer to reach an old host", Duration::from_secs(30), || {
        try_ping(newcomer, old.ipv4().into(), 56, 1).ok()
    });
    until("an old host to reach the newcomer", Duration::from_secs(30), || {
        try_ping(old, address.into(), 56, 1).ok()
    });
    // What is for all still reaches all.
    let at_old = old.sniff();
    newcomer.inject(&frame::marked(MacAddr::BROADCAST, newcomer.mac(), 7));
    at_old.expect_exactly(1, frame::has_mark(7), SOON);
}

#[test]
fn a_killed_controller_is_missed_by_nobody() {
    let probes = count("VSWITCH_PROBES", 6_000);
    let (mut lab, outside) = world("controller death");
    network(&lab, "red", 1, &[]);
    let (a, b) = (guest(&mut lab, "a", "red", 1), guest(&mut lab, "b", "red", 1));
    let server = lab.host_with("srv", HostOptions::ipv4_only());
    lab.connect(&server, PortOptions::network("default"));
    let leases = DhcpServer::start(&mut lab, &server);
    let newcomer = lab.host_with("new", HostOptions::unconfigured());
    lab.connect(&newcomer, PortOptions::network("default"));
    lab.switch().ok(&["publish", "add", "red", &format!("8080:{}:80", a.ipv4())]);
    let _mirrors = [Mirror::start(a.namespace(), 80), Mirror::start(outside.namespace(), 9000)];
    all_ways(&a, &b, &outside, "before");
    // Where a probe finds the host outside.
    outside.namespace().ip(&[format!("addr add {}/32 dev eth0", outside.ipv4())]);
    lab.switch_ns().ip(&[format!("route add {}/32 dev out0", outside.ipv4())]);
    let before = state(&lab);

    let stream = LongTransfer::start(&b, &a);
    let probe = Probe::start(&a, &b, RATE);
    let outer = Probe::start(&a, &outside, RATE / 4);
    probe.cover(probes / 4);
    lab.switch_mut().kill9();
    all_ways(&a, &b, &outside, "without a controller");
    newcomer_gets_in(&lab, &newcomer, &server);
    probe.cover(probes / 4);
    lab.switch_mut().start_again();
    assert!(lab.switch().status().adopted, "{}", lab.switch().log());
    all_ways(&a, &b, &outside, "with the next one");
    probe.cover(probes / 4);
    lab.switch_mut().kill9();
    lab.switch_mut().start_again();
    while probe.sent() < probes {
        probe.cover(probes / 20);
    }
    let (report, outer) = (probe.finish(), outer.finish());
    let octets = stream.finish();
    report.assert_no_loss();
    outer.assert_no_loss();
    assert_as_desired(&lab, &[], "after two deaths");
    assert_eq!(state(&lab), before, "ports, endpoints, addresses or published ports changed");
    assert!(leases.leases().contains(&newcomer.mac().to_string()), "{}", leases.leases());
    Row {
        fault: "SIGKILL of the controller under load, twice, each time started anew",
        did: "known traffic, a new host (DHCP, ARP, floods), NAT and published ports went on; ports, FDB, endpoints, addresses \
              and rules adopted",
        lost: format!(
            "{} of {} probes, {} of {} by NAT; one TCP stream unbroken ({} MB)",
            report.lost.len(),
            report.sent,
            outer.lost.len(),
            outer.sent,
            octets >> 20
        ),
        bridge: &docker0::death(),
    }
    .say();
}

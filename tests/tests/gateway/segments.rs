//! Segments of more than 64 KiB (BIG TCP): sent where only containers are, kept short where something leads out, and the
//! links put back as they were.

use std::net::IpAddr;

use vswitch_tests::footprint::Footprint;
use vswitch_tests::prelude::*;
use vswitch_tests::world::{guest, network, world};

/// Longest segment of old, in bytes, with room for headers.
const LEGACY: usize = 65_536 + 100;
/// Enough for TCP to come to its longest segments.
const OCTETS: usize = 12_000_000;

/// Length of the longest segment that arrives while this much is sent.
fn longest(from: &Host, to: &Host, address: IpAddr) -> usize {
    let at = to.sniff();
    traffic::tcp_send(from, to, address, OCTETS);
    at.received(|_| true).iter().map(|seen| seen.frame.len()).max().unwrap_or(0)
}

/// What the switch says of a port, once it says so.
fn until_port_is(lab: &Lab, port: &str, is_big: bool) -> String {
    until(&format!("{port} to have long segments: {is_big}"), SOON, || {
        let shown = lab.switch().port_show(port);
        (shown.big_tcp == is_big).then_some(shown.big_tcp_reason)
    })
}

#[test]
fn containers_alone_send_long_segments_which_arrive_unchanged() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("long segments") else { return };
    let hosts = ["a", "b"].map(|name| lab.host(name));
    let wires = hosts.each_ref().map(|host| lab.wire(host));
    let ns = lab.switch_ns().clone();
    lab.switch_ns().ip(&["link set dev a0 up"]);
    let before = Footprint::of(&ns, &hosts[0], &wires[0]);
    for wire in &wires {
        lab.add_port(&wire.port, PortOptions::default());
        assert!(until_port_is(&lab, &wire.port, true).contains("only containers"));
    }
    hosts.iter().for_each(Host::wait_for_ipv6);
    let [a, b] = &hosts;
    for address in [IpAddr::from(b.ipv4()), b.ipv6().into()] {
        let longest = longest(a, b, address);
        assert!(longest > LEGACY, "to {address}: none is longer than {longest} bytes");
    }
    // And where one of them is at XDP, which takes frames only.
    lab.switch().ok(&["port", "set", "b0", "--hook", "xdp"]);
    traffic::tcp_transfer(a, b, 5_000_000);
    traffic::tcp_send(a, b, b.ipv6().into(), 5_000_000);
    traffic::assert_no_checksum_errors(&[a, b]);
    lab.switch().ok(&["port", "del", "a0"]);
    until("the link to be as it was", SOON, || {
        (Footprint::of(&ns, &hosts[0], &wires[0]) == before).then_some(())
    });
}

#[test]
fn a_gateway_keeps_segments_short_until_they_are_asked_for() {
    let (mut lab, outside) = world("long segments");
    network(&lab, "web", 0, &[]);
    let (a, b) = (guest(&mut lab, "a", "web", 0), guest(&mut lab, "b", "web", 0));
    assert!(until_port_is(&lab, "a0", false).contains("gateway"));
    assert!(longest(&a, &b, b.ipv4().into()) <= LEGACY);
    lab.switch().ok(&["network", "set", "web", "--big-tcp", "on"]);
    for port in ["a0", "b0"] {
        assert!(until_port_is(&lab, port, true).contains("as asked"));
    }
    // Guarded by address, both of them.
    for address in [IpAddr::from(b.ipv4()), b.ipv6().into()] {
        assert!(longest(&a, &b, address) > LEGACY, "to {address}");
    }
    // The way out cuts them; what arrives is whole.
    traffic::tcp_send(&a, &outside, "192.0.2.2".parse().expect("an address"), OCTETS);
    lab.switch().ok(&["network", "set", "web", "--big-tcp", "off"]);
    assert!(until_port_is(&lab, "a0", false).contains("off as asked"));
    assert!(longest(&a, &b, b.ipv4().into()) <= LEGACY);
    traffic::assert_no_checksum_errors(&[&a, &b]);
}

#[test]
fn a_network_without_a_way_out_has_long_segments_to_its_gateway_too() {
    let (mut lab, _outside) = world("long segments");
    network(&lab, "inner", 0, &["--internal"]);
    let a = guest(&mut lab, "a", "inner", 0);
    until_port_is(&lab, "a0", true);
    let gateway =
        lab.switch().json::<serde_json::Value>(&["network", "inspect", "inner"])[0]["gateway"]["port"]
            .as_str()
            .expect("a name")
            .to_owned();
    until_port_is(&lab, &gateway, true);
    traffic::ping_address(&a, vswitch_tests::world::gateways(0)[0], 1000, 3);
}

#[test]
fn a_link_that_leads_elsewhere_makes_segments_short_again() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("long segments") else { return };
    let a = lab.host("a");
    lab.connect(&a, PortOptions::default());
    until_port_is(&lab, "a0", true);
    let tap = lab.tap("tap0", PortOptions::default());
    assert!(until_port_is(&lab, "a0", false).contains("tap0 leads"));
    drop(tap);
    lab.switch().ok(&["port", "del", "tap0"]);
    until_port_is(&lab, "a0", true);
}

#[test]
fn long_segments_outlive_the_controller_and_end_with_the_port() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("long segments") else { return };
    let a = lab.host("a");
    let wire = lab.wire(&a);
    let ns = lab.switch_ns().clone();
    ns.ip(&["link set dev a0 up"]);
    let before = Footprint::of(&ns, &a, &wire);
    lab.add_port(&wire.port, PortOptions::default());
    until_port_is(&lab, "a0", true);
    lab.switch_mut().restart();
    until_port_is(&lab, "a0", true);
    // Somebody else's change is mended.
    a.namespace().ip(&["link set dev eth0 gso_max_size 65536"]);
    let is_long = || a.namespace().ip_json(&["link", "show", "dev", "eth0"])[0]["gso_max_size"].as_u64();
    until("the other end to be enlarged again", SOON, || is_long().filter(|size| *size > 65_536));
    lab.switch().ok(&["port", "del", "a0"]);
    until("the link to be as it was", SOON, || (Footprint::of(&ns, &a, &wire) == before).then_some(()));
}

#[test]
fn what_is_no_choice_is_refused() {
    let Some(lab) = Hooks::Auto.vswitch_lab("long segments") else { return };
    let refused = lab.switch().cli(&["network", "create", "n", "--big-tcp", "huge"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("auto"), "{refused:?}");
}

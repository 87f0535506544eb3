//! The switch's host and the containers keep apart: nothing of the host's own leaves by a port, nothing gets in.

use std::net::Ipv4Addr;

use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{stack_counters, try_ping};

/// Long enough for a stack's first words: router solicitations go out up to a second after a link is up, MLD reports
/// and duplicate address detection sooner.
const FIRST_WORDS: Duration = Duration::from_secs(4);

/// An address of the switch's host.
const HOST_IPV4: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// Gives the switch's host addresses that it would answer for on any link, as Linux does.
fn address_the_host(lab: &Lab) {
    lab.switch_ns().ip(&["addr add 10.99.0.1/32 dev lo", "addr add fd99::99/128 dev lo nodad"]);
}

each_hook!(the_host_says_nothing_into_a_container, |lab| {
    address_the_host(&lab);
    let a = lab.host_with("a", HostOptions::bare());
    let wire = lab.wire(&a);
    let sniffer = a.sniff();
    lab.add_port(&wire.port, PortOptions::default());
    sniffer.expect_none(|_| true, FIRST_WORDS);
    let links = lab.switch_ns().ip_json(&["addr", "show", "dev", &wire.port]);
    assert_eq!(
        links[0]["addr_info"].as_array().map_or(0, Vec::len),
        0,
        "the port's link has addresses: {links}"
    );
});

each_hook!(vswitch the_host_answers_nothing_to_a_container, |lab| {
    address_the_host(&lab);
    let (a, b) = (lab.host("a"), lab.host_with("b", HostOptions::bare()));
    let wire = lab.connect(&a, PortOptions::default());
    lab.connect(&b, PortOptions::default());
    a.wait_for_ipv6();
    let near = lab.switch_ns().ip_json(&["link", "show", "dev", &wire.port]);
    let near: MacAddr = near[0]["address"].as_str().and_then(|mac| mac.parse().ok()).expect("a link has a MAC");
    let before = stack_counters(lab.switch_ns());
    let sniffer = a.sniff();
    a.inject(&frame::arp_request((a.mac(), a.ipv4()), HOST_IPV4));
    a.inject(&frame::arp_probe(a.mac(), HOST_IPV4));
    let host_ipv6 = "fd99::99".parse().expect("an address");
    a.inject(&frame::neighbour_solicitation((a.mac(), a.ipv6()), host_ipv6));
    // Straight at the port's own MAC, past any question of who has what.
    a.inject(&frame::ipv4_udp((a.mac(), a.ipv4(), 5000), (near, HOST_IPV4, 5000), b"anybody there?"));
    a.inject(&frame::ipv6_udp((a.mac(), a.ipv6(), 5000), (near, host_ipv6, 5000), b"anybody there?"));
    a.namespace().ip(&[
        "route add 10.99.0.1/32 dev eth0",
        &format!("neigh replace 10.99.0.1 dev eth0 lladdr {near} nud permanent"),
    ]);
    let answer = std::thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            let ping = a.command("ping").args(["-n", "-q", "-c", "3", "-i", "0.2", "-w", "3", "10.99.0.1"]).output();
            String::from_utf8_lossy(&ping.expect("iputils-ping is installed").stdout).into_owned()
        });
        pinging.join().expect("it does not panic")
    });
    assert!(answer.contains("100% packet loss"), "the host answered a ping: {answer}");
    let is_from_host = |frame: &[u8]| {
        frame::source_of(frame) == Some(near) || frame::arp_of(frame).is_some_and(|arp| arp.sender.1 == HOST_IPV4)
    };
    sniffer.expect_none(is_from_host, Duration::from_millis(500));
    let after = stack_counters(lab.switch_ns());
    for name in ["IpInReceives", "Ip6InReceives", "IcmpInMsgs", "UdpNoPorts", "IpForwDatagrams"] {
        assert_eq!(before[name], after[name], "the host's stack took something in: {name}");
    }
    assert_eq!(lab.switch_ns().output("ip", &["neigh", "show"]), "", "the host's stack learned a neighbour");
});

each_hook!(vswitch the_host_is_not_a_way_between_networks, |lab| {
    lab.subject().create_network("other");
    let a = lab.host_with("a", HostOptions::ipv4_only());
    let b = lab.host_with("b", HostOptions::ipv4_only().subnet(1));
    let wire = lab.connect(&a, PortOptions::default());
    lab.connect(&b, PortOptions::network("other"));
    // The host routes (the lab turned forwarding on) and knows the way to b; a sends to it as to its gateway.
    lab.switch_ns().ip(&["route add 10.77.1.0/24 dev b0", "route add 10.77.0.0/24 dev a0"]);
    let near = lab.switch_ns().ip_json(&["link", "show", "dev", &wire.port]);
    let near = near[0]["address"].as_str().expect("a link has a MAC").to_owned();
    a.namespace().ip(&[
        "route add default via 10.77.0.254 dev eth0 onlink".to_owned(),
        format!("neigh replace 10.77.0.254 dev eth0 lladdr {near} nud permanent"),
    ]);
    let at_b = b.sniff();
    a.inject(&frame::ipv4_udp(
        (a.mac(), a.ipv4(), 5000),
        (near.parse().expect("a MAC"), b.ipv4(), 5000),
        b"let me through",
    ));
    at_b.expect_none(|_| true, Duration::from_secs(1));
    proof::assert_host_carried_nothing(lab.switch_ns());
});

/// The stand-in is not isolated: the tests above see something when there is something to see.
#[test]
fn a_link_that_is_merely_up_talks_and_answers() {
    let mut lab = Lab::with("an unprotected link", Rival::LinuxBridge, Hooks::Auto);
    address_the_host(&lab);
    let a = lab.host("a");
    let wire = lab.wire(&a);
    let sniffer = a.sniff();
    lab.switch_ns().ip(&[format!("link set dev {} up", wire.port)]);
    sniffer.expect("router solicitation or MLD report", |frame| {
        frame::ethertype_of(frame) == Some(frame::IPV6) && frame::source_of(frame) != Some(a.mac())
    });
    a.inject(&frame::arp_request((a.mac(), a.ipv4()), HOST_IPV4));
    sniffer.expect("ARP reply of the host", |frame| {
        frame::arp_of(frame).is_some_and(|arp| arp.sender.1 == HOST_IPV4)
    });
    a.namespace().ip(&["route add 10.99.0.1/32 dev eth0"]);
    lab.switch_ns().ip(&["route add 10.77.0.0/24 dev a0"]);
    assert!(try_ping(&a, HOST_IPV4.into(), 56, 1).is_ok());
}

//! ARP: who asks for a known address is answered at once and alone; what must be heard by all is flooded to all.

use std::net::Ipv4Addr;

use vswitch_tests::prelude::*;

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(500);

/// An address in the hosts' subnet that nobody has.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 250);

/// Two hosts with addresses and a silent third.
fn three(lab: &mut Lab) -> (Host, Host, Host) {
    let a = lab.host_with("a", HostOptions::ipv4_only());
    let b = lab.host_with("b", HostOptions::ipv4_only());
    let c = lab.host_with("c", HostOptions::bare());
    for host in [&a, &b, &c] {
        lab.connect(host, PortOptions::default());
    }
    (a, b, c)
}

/// A filter for requests of `sender` for `target`.
fn asks(sender: MacAddr, target: Ipv4Addr) -> impl Fn(&[u8]) -> bool {
    move |frame| {
        frame::arp_of(frame)
            .is_some_and(|arp| arp.is_request() && arp.sender.0 == sender && arp.target.1 == target)
    }
}

/// A filter for replies that `owner` has `address`.
fn tells(owner: MacAddr, address: Ipv4Addr) -> impl Fn(&[u8]) -> bool {
    move |frame| frame::arp_of(frame).is_some_and(|arp| arp.is_reply() && arp.sender == (owner, address))
}

each_hook!(vswitch a_request_for_a_known_host_is_answered_unheard_by_others, |lab| {
    let (a, b, c) = three(&mut lab);
    ping(&a, &b, 56, 2);
    let asker = MacAddr::from_octets([2, 0, 0, 0, 0, 0x42]);
    let request = frame::arp_request((asker, Ipv4Addr::new(10, 77, 0, 66)), b.ipv4());
    let (at_a, at_b, at_c) = (a.sniff(), b.sniff(), c.sniff());
    // The controller learns of b from its ARP a moment after b spoke.
    until("a request for b to be answered by the switch", SOON, || {
        at_c.clear();
        at_a.clear();
        a.inject(&request);
        at_a.expect("ARP reply", tells(b.mac(), b.ipv4()));
        at_c.received(asks(asker, b.ipv4())).is_empty().then_some(())
    });
    for sniffer in [&at_a, &at_b, &at_c] {
        sniffer.clear();
    }
    a.inject(&request);
    let reply = at_a.expect_exactly(1, tells(b.mac(), b.ipv4()), SOON).remove(0);
    assert_eq!(frame::destination_of(&reply.frame), Some(asker));
    assert_eq!(frame::arp_of(&reply.frame).map(|arp| arp.target), Some((asker, Ipv4Addr::new(10, 77, 0, 66))));
    at_c.expect_none(|_| true, QUIET);
    at_b.expect_none(asks(asker, b.ipv4()), Duration::ZERO);
});

each_hook!(vswitch a_configured_host_is_known_before_it_speaks, |lab| {
    let a = lab.host_with("a", HostOptions::ipv4_only());
    let b = lab.host_with("b", HostOptions::bare());
    let c = lab.host_with("c", HostOptions::bare());
    lab.connect(&a, PortOptions::default());
    let address = Ipv4Addr::new(10, 77, 0, 77);
    let mac = b.mac().to_string();
    lab.connect(&b, PortOptions::default().with(&["--name", "web", "--ip", "10.77.0.77", "--mac", &mac]));
    lab.connect(&c, PortOptions::default());
    let endpoint = lab.switch().port_show("b0").endpoint.expect("the port was given one");
    assert_eq!((endpoint.name.as_deref(), endpoint.mac), (Some("web"), Some(b.mac())));
    let (at_a, at_b, at_c) = (a.sniff(), b.sniff(), c.sniff());
    a.inject(&frame::arp_request((a.mac(), a.ipv4()), address));
    at_a.expect_exactly(1, tells(b.mac(), address), SOON);
    // Its port is known, too: the first frame to it is not flooded.
    a.inject(&frame::marked(b.mac(), a.mac(), 1));
    at_b.expect_exactly(1, frame::has_mark(1), SOON);
    at_c.expect_none(|_| true, QUIET);
});

each_hook!(a_request_for_nobody_reaches_all_others_once, |lab| {
    let (a, b, c) = three(&mut lab);
    let (at_a, at_b, at_c) = (a.sniff(), b.sniff(), c.sniff());
    a.inject(&frame::arp_request((a.mac(), a.ipv4()), NOBODY));
    at_b.expect_exactly(1, asks(a.mac(), NOBODY), SOON);
    at_c.expect_exactly(1, asks(a.mac(), NOBODY), SOON);
    at_a.expect_none(|_| true, QUIET);
});

each_hook!(probes_and_announcements_reach_all_others_once, |lab| {
    let (a, b, c) = three(&mut lab);
    ping(&a, &b, 56, 2);
    let (at_a, at_b, at_c) = (a.sniff(), b.sniff(), c.sniff());
    // A probe for an address that is taken: only its owner may defend it.
    let newcomer = MacAddr::from_octets([2, 0, 0, 0, 0, 0x43]);
    a.inject(&frame::arp_probe(newcomer, b.ipv4()));
    at_b.expect_exactly(1, asks(newcomer, b.ipv4()), SOON);
    at_c.expect_exactly(1, asks(newcomer, b.ipv4()), SOON);
    at_a.expect_exactly(1, tells(b.mac(), b.ipv4()), SOON);
    // Said by a for itself, and as a reply to all, which some systems send.
    a.inject(&frame::gratuitous_arp((a.mac(), a.ipv4())));
    at_b.expect_exactly(1, asks(a.mac(), a.ipv4()), SOON);
    at_c.expect_exactly(1, asks(a.mac(), a.ipv4()), SOON);
    let announcement =
        frame::ArpPacket { operation: 2, sender: (a.mac(), a.ipv4()), target: (a.mac(), a.ipv4()) };
    a.inject(&announcement.frame(MacAddr::BROADCAST));
    at_c.expect_exactly(1, tells(a.mac(), a.ipv4()), SOON);
    at_a.expect_none(|frame| frame::source_of(frame) == Some(a.mac()), QUIET);
});

each_hook!(an_address_that_moves_to_another_host_is_found_there, |lab| {
    let (a, b, c) = three(&mut lab);
    ping(&a, &b, 56, 2);
    b.namespace().ip(&["addr flush dev eth0"]);
    c.namespace().ip(&[format!("addr add {}/24 dev eth0", b.ipv4())]);
    // As keepalived and every DHCP client do for an address they take.
    c.inject(&frame::gratuitous_arp((c.mac(), b.ipv4())));
    a.namespace().ip(&["neigh flush dev eth0"]);
    until("a to find the address at its new host", SOON, || {
        traffic::try_ping(&a, b.ipv4().into(), 56, 1).ok()
    });
    let known = a.namespace().output("ip", &["neigh", "show", &b.ipv4().to_string()]);
    assert!(known.contains(&c.mac().to_string()), "{known}");
});

each_hook!(many_requests_for_nobody_do_not_stop_the_others, |lab| {
    let (a, b, c) = three(&mut lab);
    let storm: Vec<_> = (0..2000)
        .map(|n: u32| {
            frame::arp_request((c.mac(), Ipv4Addr::new(10, 77, 0, 99)), Ipv4Addr::from(0x0a4d_0100 + n))
        })
        .collect();
    let probe = traffic::Probe::start(&a, &b, 100);
    c.inject_all(&storm);
    a.namespace().ip(&["neigh flush dev eth0"]);
    ping(&a, &b, 56, 5);
    probe.cover(50);
    probe.finish().assert_no_loss();
});

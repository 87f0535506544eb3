//! What happens to the links of ports is followed: they go down, come up, change name and MTU, vanish and return.

use vswitch_tests::prelude::*;
use vswitch_tests::traffic::Probe;

/// "At once" as a user sees it: within a second, and what a busy machine adds to a command.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Three hosts that know each other.
fn acquainted(lab: &mut Lab) -> (Vec<Host>, Vec<Wire>) {
    let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
    let wires = hosts.iter().map(|host| lab.connect(host, PortOptions::default())).collect();
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        ping(&hosts[from], &hosts[to], 56, 2);
    }
    (hosts, wires)
}

fn entries_of(lab: &mut Lab, port: &str) -> Vec<FdbEntry> {
    lab.subject().fdb().into_iter().filter(|entry| entry.port == port).collect()
}

#[track_caller]
fn wait_until_flushed(lab: &mut Lab, port: &str) {
    until(&format!("the entries of {port} to go"), AT_ONCE, || {
        entries_of(lab, port).is_empty().then_some(())
    });
}

each_hook!(a_port_that_goes_down_is_flushed_and_comes_back, |lab| {
    let (hosts, wires) = acquainted(&mut lab);
    let port = wires[0].port.clone();
    assert!(!entries_of(&mut lab, &port).is_empty());
    let probe = Probe::start(&hosts[1], &hosts[2], 100);
    lab.switch_ns().ip(&[format!("link set dev {port} down")]);
    wait_until_flushed(&mut lab, &port);
    lab.switch_ns().ip(&[format!("link set dev {port} up")]);
    until("the port to forward again", SOON, || {
        traffic::try_ping(&hosts[0], hosts[1].ipv4().into(), 56, 1).ok()
    });
    ping(&hosts[2], &hosts[0], 4000, 3);
    probe.cover(10);
    probe.finish().assert_no_loss();
});

each_hook!(vswitch a_host_that_drops_its_end_takes_the_port_down, |lab| {
    let (hosts, wires) = acquainted(&mut lab);
    hosts[0].namespace().ip(&["link set dev eth0 down"]);
    lab.switch().wait_for_state(&wires[0].port, PortState::Down);
    wait_until_flushed(&mut lab, &wires[0].port);
    hosts[0].namespace().ip(&["link set dev eth0 up"]);
    lab.switch().wait_for_state(&wires[0].port, PortState::Forwarding);
    ping(&hosts[0], &hosts[1], 56, 3);
});

each_hook!(vswitch a_link_that_vanishes_leaves_a_dead_port_and_no_entries, |lab| {
    let (hosts, wires) = acquainted(&mut lab);
    let probe = Probe::start(&hosts[1], &hosts[2], 100);
    lab.switch_ns().ip(&[format!("link del dev {}", wires[0].port)]);
    lab.switch().wait_for_state(&wires[0].port, PortState::Down);
    wait_until_flushed(&mut lab, &wires[0].port);
    assert_eq!(lab.switch().port_show(&wires[0].port).ifindex, 0);
    probe.cover(20);
    probe.finish().assert_no_loss();
    lab.switch().ok(&["port", "del", &wires[0].port]);
    assert_eq!(lab.switch().ports().len(), 2);
});

each_hook!(vswitch a_host_whose_namespace_dies_leaves_a_dead_port_and_no_entries, |lab| {
    let (hosts, wires) = acquainted(&mut lab);
    let probe = Probe::start(&hosts[1], &hosts[2], 100);
    let name = hosts[0].namespace().name();
    let deleted = std::process::Command::new("ip").args(["netns", "del", name]).status();
    assert!(deleted.is_ok_and(|status| status.success()));
    lab.switch().wait_for_state(&wires[0].port, PortState::Down);
    wait_until_flushed(&mut lab, &wires[0].port);
    assert_eq!(lab.switch().port_show(&wires[0].port).ifindex, 0);
    probe.cover(20);
    probe.finish().assert_no_loss();
});

each_hook!(vswitch another_link_with_the_index_of_a_port_that_vanished_is_no_port, |lab| {
    let (hosts, wires) = acquainted(&mut lab);
    let index = lab.switch().port_show(&wires[0].port).ifindex;
    lab.switch_ns().ip(&[format!("link del dev {}", wires[0].port)]);
    lab.switch().wait_for_state(&wires[0].port, PortState::Down);
    let there = hosts[0].namespace().name();
    lab.switch_ns().ip(&[
        format!("link add name other0 index {index} type veth peer name eth0 netns {there}"),
        "link set dev other0 up".to_owned(),
    ]);
    hosts[0].namespace().ip(&[format!("link set dev eth0 address {} up", hosts[0].mac())]);
    let at_first = hosts[0].sniff();
    hosts[0].inject(&frame::marked(MacAddr::BROADCAST, hosts[0].mac(), 1));
    hosts[1].inject(&frame::marked(MacAddr::BROADCAST, hosts[1].mac(), 2));
    at_first.expect_none(frame::has_mark(2), Duration::from_millis(300));
    assert!(entries_of(&mut lab, &wires[0].port).is_empty());
    assert_eq!(lab.switch().port_show(&wires[0].port).state, PortState::Down);
    // As a port it begins anew.
    lab.add_port("other0", PortOptions::default());
    assert_eq!(lab.switch().counters("other0").rx_packets, 0);
    hosts[1].inject(&frame::marked(MacAddr::BROADCAST, hosts[1].mac(), 3));
    at_first.expect_exactly(1, frame::has_mark(3), SOON);
});

each_hook!(vswitch a_link_that_returns_under_its_name_is_the_port_again, |lab| {
    let (hosts, wires) = acquainted(&mut lab);
    lab.switch_ns().ip(&[format!("link del dev {}", wires[0].port)]);
    lab.switch().wait_for_state(&wires[0].port, PortState::Down);
    lab.wire_as(&hosts[0], &wires[0]);
    lab.switch().wait_for_state(&wires[0].port, PortState::Forwarding);
    ping(&hosts[0], &hosts[1], 4000, 3);
    tcp_transfer(&hosts[0], &hosts[2], 1_000_000);
    traffic::assert_no_checksum_errors(&[&hosts[0], &hosts[2]]);
});

each_hook!(vswitch a_renamed_link_stays_the_port_it_was, |lab| {
    let (hosts, wires) = acquainted(&mut lab);
    let before = lab.switch().port_show(&wires[0].port);
    let probe = Probe::start(&hosts[0], &hosts[1], 100);
    lab.switch_ns().ip(&[format!("link set dev {} name renamed0", wires[0].port)]);
    until("the port to have its new name", SOON, || {
        lab.switch().ports().iter().any(|port| port.name == "renamed0").then_some(())
    });
    let after = lab.switch().port_show("renamed0");
    assert_eq!((after.ifindex, after.hook, after.state), (before.ifindex, before.hook, PortState::Forwarding));
    assert!(after.counters.rx_packets >= before.counters.rx_packets, "its counters were reset: {after:?}");
    assert!(lab.switch().ports().iter().all(|port| port.name != wires[0].port), "the old name is still there");
    until("its stations to be behind the new name", SOON, || {
        entries_of(&mut lab, "renamed0").iter().any(|entry| entry.mac == hosts[0].mac()).then_some(())
    });
    probe.cover(20);
    probe.finish().assert_no_loss();
});

each_hook!(vswitch a_changed_mtu_is_obeyed, |lab| {
    let (hosts, wires) = acquainted(&mut lab);
    let at_second = hosts[1].sniff();
    let full = |mark| frame::marked_as(hosts[1].mac(), hosts[0].mac(), frame::EXPERIMENTAL, mark, 1514);
    hosts[0].inject(&full(1));
    at_second.expect_exactly(1, frame::has_mark(1), SOON);
    lab.switch_ns().ip(&[format!("link set dev {} mtu 1400", wires[1].port)]);
    until("the port to show its MTU", SOON, || {
        (lab.switch().port_show(&wires[1].port).mtu == 1400).then_some(())
    });
    hosts[0].inject(&full(2));
    // One tag's length on top of the MTU is granted, as Linux does.
    hosts[0].inject(&frame::marked_as(hosts[1].mac(), hosts[0].mac(), frame::EXPERIMENTAL, 3, 1418));
    at_second.expect_exactly(1, frame::has_mark(3), SOON);
    at_second.expect_none(frame::has_mark(2), Duration::ZERO);
    until("the frame to be counted as too big", SOON, || {
        let drops: u64 = lab.switch().stats().iter().filter_map(|port| port.counters.drops.get("too-big")).sum();
        (drops == 1).then_some(())
    });
    lab.switch_ns().ip(&[format!("link set dev {} mtu 1500", wires[1].port)]);
    until("the port to show its MTU", SOON, || {
        (lab.switch().port_show(&wires[1].port).mtu == 1500).then_some(())
    });
    hosts[0].inject(&full(4));
    at_second.expect_exactly(1, frame::has_mark(4), SOON);
});

each_hook!(large_frames_pass_where_all_links_take_them, |lab| {
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    for host in &hosts {
        let wire = lab.wire(host);
        lab.switch_ns().ip(&[format!("link set dev {} mtu 3000", wire.port)]);
        host.namespace().ip(&["link set dev eth0 mtu 3000"]);
        lab.add_port(&wire.port, PortOptions::default());
    }
    let at_second = hosts[1].sniff();
    hosts[0].inject(&frame::marked_as(MacAddr::BROADCAST, hosts[0].mac(), frame::EXPERIMENTAL, 1, 3014));
    at_second.expect_exactly(1, frame::has_mark(1), SOON);
    ping(&hosts[0], &hosts[1], 2972, 3);
    tcp_transfer(&hosts[0], &hosts[1], 5_000_000);
    traffic::assert_no_checksum_errors(&[&hosts[0], &hosts[1]]);
});

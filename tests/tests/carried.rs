//! Who carried the frames: the hook that each port has, and nobody else on the host.

use vswitch_tests::prelude::*;

/// Connects three hosts and has real traffic go each way; says each port's hook.
fn traffic_flows(lab: &mut Lab) -> Vec<(String, Hook)> {
    let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.connect(host, PortOptions::default())).collect();
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        ping(&hosts[from], &hosts[to], 1000, 20);
    }
    tcp_transfer(&hosts[0], &hosts[1], 1_000_000);
    let hook = |wire: &Wire| (wire.port.clone(), lab.switch().port_show(&wire.port).hook);
    wires.iter().map(hook).collect()
}

each_hook!(vswitch every_port_has_the_hook_it_was_given_and_that_hook_carries, |lab| {
    let (hooks, ports) = (lab.hooks(), traffic_flows(&mut lab));
    for (number, (port, hook)) in ports.iter().enumerate() {
        assert_eq!(Some(*hook), hooks.of_port(number), "{port}");
        // A frame from an XDP port to a tc port is carried by the XDP port's own tc program: of mixed ports the first
        // and the third have only each other, and one ping of twenty.
        proof::assert_carried_by(lab.switch(), port, *hook, 20);
    }
    proof::assert_host_carried_nothing(lab.switch_ns());
});

each_hook!(vswitch frames_in_are_frames_out, |lab| {
    let hosts = lab.hosts("h", 2, &HostOptions::bare());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.connect(host, PortOptions::default())).collect();
    let [a, b] = &hosts[..] else { unreachable!("two hosts were asked for") };
    let (at_a, at_b) = (a.sniff(), b.sniff());
    b.inject(&frame::marked(MacAddr::BROADCAST, b.mac(), 0));
    at_a.expect_exactly(1, frame::has_mark(0), SOON);
    for mark in 1..=50 {
        a.inject(&frame::marked_as(b.mac(), a.mac(), frame::EXPERIMENTAL, mark, 100));
    }
    at_b.expect_exactly(50, |frame| frame::mark_of(frame) > Some(0), SOON);
    let counters = |wire: &Wire| lab.switch().counters(&wire.port);
    until("the counters of both ports", SOON, || {
        let (near_a, near_b) = (counters(&wires[0]), counters(&wires[1]));
        let packets = [near_a.rx_packets, near_a.tx_packets, near_b.rx_packets, near_b.tx_packets];
        let bytes = [near_a.rx_bytes, near_a.tx_bytes, near_b.rx_bytes, near_b.tx_bytes];
        (packets == [50, 1, 1, 50] && bytes == [5000, 60, 60, 5000]).then_some(())
    });
    assert!(counters(&wires[0]).drops.is_empty() && counters(&wires[1]).drops.is_empty());
});

#[test]
fn auto_chooses_a_hook_and_says_why() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("auto") else { return };
    for (port, hook) in traffic_flows(&mut lab) {
        let shown = lab.switch().port_show(&port);
        assert!(!shown.hook_reason.is_empty(), "{port} does not say why it has {hook:?}");
        proof::assert_carried_by(lab.switch(), &port, hook, 40);
    }
}

#[test]
fn a_hook_can_be_changed_and_then_carries() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("change of hook") else { return };
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.connect(host, PortOptions::default())).collect();
    let carried = |name: &str| {
        wires.iter().map(|wire| *lab.switch().counters(&wire.port).rx_by_hook.get(name).unwrap_or(&0)).min()
    };
    for (hook, name) in [(Hook::Xdp, "xdp"), (Hook::Tc, "tc")] {
        let before = carried(name);
        for wire in &wires {
            lab.switch().ok(&["port", "set", &wire.port, "--hook", name]);
            ping(&hosts[0], &hosts[1], 4000, 20);
        }
        tcp_transfer(&hosts[0], &hosts[1], 2_000_000);
        for wire in &wires {
            let shown = lab.switch().port_show(&wire.port);
            assert_eq!(shown.hook, hook, "{}", shown.hook_reason);
        }
        assert!(
            carried(name) >= before.map(|count| count + 20),
            "{name}: {before:?}, then {:?}",
            carried(name)
        );
    }
    traffic::assert_no_checksum_errors(&[&hosts[0], &hosts[1]]);
}

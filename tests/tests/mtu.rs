//! MTU: frames of every size that a link takes pass between links of every size, and what is too big is counted as that.

use vswitch_tests::prelude::*;

/// Stations whose links have these MTUs at both ends.
fn stations_of(lab: &mut Lab, mtus: &[u32]) -> Stations {
    let s = Stations::connect(lab, vec![PortOptions::default(); mtus.len()]);
    for (number, mtu) in mtus.iter().enumerate() {
        s.host(number).namespace().ip(&[format!("link set dev eth0 mtu {mtu}")]);
        lab.switch_ns().ip(&[format!("link set dev {} mtu {mtu}", s.port(number))]);
        until(&format!("port {number} to have an MTU of {mtu}"), SOON, || {
            (lab.switch().port_show(s.port(number)).mtu == *mtu).then_some(())
        });
    }
    s
}

fn frame_of(s: &Stations, from: usize, to: MacAddr, mtu: usize) -> Vec<u8> {
    let mark = frame::mark_of(&s.frame(from, to)).expect("it has one");
    frame::marked_as(to, s.mac(from), frame::EXPERIMENTAL, mark, frame::HEADER + mtu)
}

fn too_big(lab: &Lab, port: &str) -> u64 {
    lab.switch().counters(port).drops.get("too-big").copied().unwrap_or(0)
}

each_hook!(vswitch a_full_frame_passes_between_links_of_one_mtu, |lab| {
    for mtu in [576, 1500, 2000, 3000, 4000, 9000] {
        let s = {
            lab.switch().ok(&["network", "create", &format!("n{mtu}")]);
            let hosts = ["a", "b"].map(|name| lab.host_with(&format!("{name}{mtu}"), HostOptions::bare()));
            for host in &hosts {
                let wire = lab.wire(host);
                host.namespace().ip(&[format!("link set dev eth0 mtu {mtu}")]);
                lab.switch_ns().ip(&[format!("link set dev {} mtu {mtu}", wire.port)]);
                lab.add_port(&wire.port, PortOptions::network(&format!("n{mtu}")));
                let shown = lab.switch().port_show(&wire.port);
                assert_eq!(shown.mtu, mtu, "{}", shown.hook_reason);
                assert!(!shown.hook_reason.is_empty());
            }
            hosts
        };
        let [a, b] = &s;
        let (at_a, at_b) = (a.sniff(), b.sniff());
        let length = frame::HEADER + mtu as usize;
        for (mark, from, to, at) in [
            (1, a, MacAddr::BROADCAST, &at_b),
            (2, b, a.mac(), &at_a),
            (3, a, b.mac(), &at_b),
        ] {
            let frame = frame::marked_as(to, from.mac(), frame::EXPERIMENTAL, mark, length);
            from.inject(&frame);
            let seen = at.expect_exactly(1, frame::has_mark(mark), SOON);
            assert_eq!(seen[0].frame, frame, "MTU {mtu}");
        }
    }
});

each_hook!(vswitch the_largest_frames_pass_at_the_hook_asked_for_or_at_another_with_a_reason, |lab| {
    for mtu in [16_000_u32, 61_000, 65_535] {
        let network = format!("n{mtu}");
        lab.switch().ok(&["network", "create", &network]);
        let hosts = ["a", "b"].map(|name| lab.host_with(&format!("{name}{mtu}"), HostOptions::bare()));
        for host in &hosts {
            let wire = lab.wire(host);
            host.namespace().ip(&[format!("link set dev eth0 mtu {mtu}")]);
            lab.switch_ns().ip(&[format!("link set dev {} mtu {mtu}", wire.port)]);
            lab.add_port(&wire.port, PortOptions::network(&network));
            let shown = lab.switch().port_show(&wire.port);
            eprintln!("MTU {mtu}: {:?}: {}", shown.hook, shown.hook_reason);
            assert_eq!((shown.mtu, shown.hook_reason.is_empty()), (mtu, false), "{shown:?}");
        }
        let [a, b] = &hosts;
        let (at_a, at_b) = (a.sniff(), b.sniff());
        // The longest that a packet socket takes and a frame of common length, to all and to one.
        let longest = frame::HEADER + mtu.min(65_000) as usize;
        for (mark, from, to, at, length) in [
            (1, a, MacAddr::BROADCAST, &at_b, longest),
            (2, b, a.mac(), &at_a, longest),
            (3, a, b.mac(), &at_b, longest),
            (4, a, b.mac(), &at_b, 1000),
        ] {
            let frame = frame::marked_as(to, from.mac(), frame::EXPERIMENTAL, mark, length);
            from.inject(&frame);
            let seen = at.expect_exactly(1, frame::has_mark(mark), SOON);
            assert!(seen[0].frame == frame, "MTU {mtu}, frame {mark}: changed");
        }
    }
});

each_hook!(vswitch links_of_very_different_mtus_are_ports_of_one_network, |lab| {
    let mtus = [65_000, 9000, 1500, 576];
    let s = stations_of(&mut lab, &mtus);
    for from in 0..mtus.len() {
        let others: Vec<_> = (0..mtus.len()).filter(|to| *to != from).collect();
        s.expect_unchanged(from, &s.broadcast(from), &others);
    }
    for (from, to) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (3, 0), (2, 0), (1, 0)] {
        let both = mtus[from].min(mtus[to]) as usize;
        s.expect_unchanged(from, &frame_of(&s, from, s.mac(to), both), &[to]);
        if mtus[from] > mtus[to] {
            let before = too_big(&lab, s.port(from));
            s.expect_unchanged(from, &frame_of(&s, from, s.mac(to), both + 5), &[]);
            assert_eq!(too_big(&lab, s.port(from)), before + 1, "from {from} to {to}");
        }
    }
});

each_hook!(vswitch what_is_too_big_for_a_link_is_dropped_and_counted, |lab| {
    let s = stations_of(&mut lab, &[9000, 1500, 576]);
    for from in [1, 2, 0] {
        s.host(from).inject(&s.broadcast(from));
    }
    until("all to be known", SOON, || (lab.switch().fdb_show(&[]).len() == 3).then_some(()));
    for (to, mtu) in [(1, 1500), (2, 576)] {
        s.expect_unchanged(0, &frame_of(&s, 0, s.mac(to), mtu), &[to]);
        let before = too_big(&lab, s.port(0));
        s.expect_unchanged(0, &frame_of(&s, 0, s.mac(to), mtu + 5), &[]);
        s.expect_unchanged(0, &frame_of(&s, 0, s.mac(to), 9000), &[]);
        assert_eq!(too_big(&lab, s.port(0)), before + 2);
    }
    // A flood's copies are counted where they do not fit.
    let flood = frame_of(&s, 0, MacAddr::BROADCAST, 1500);
    s.expect_unchanged(0, &flood, &[1]);
    assert_eq!((too_big(&lab, s.port(1)), too_big(&lab, s.port(2))), (0, 1));
    s.expect_unchanged(1, &frame_of(&s, 1, s.mac(0), 1500), &[0]);
});

each_hook!(vswitch a_host_whose_own_end_is_smaller_is_not_sent_more_than_it_takes, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 3]);
    s.host(1).namespace().ip(&["link set dev eth0 mtu 1000"]);
    for from in [1, 2, 0] {
        s.expect_unchanged(from, &s.broadcast(from), &(0..3).filter(|to| *to != from).collect::<Vec<_>>());
    }
    s.expect_unchanged(0, &frame_of(&s, 0, s.mac(1), 1000), &[1]);
    // No event tells of a peer's MTU: until the switch has looked, a frame may still pass or be lost in the kernel.
    until("what is too big to be counted", SOON, || {
        s.host(0).inject(&frame_of(&s, 0, s.mac(1), 1500));
        (too_big(&lab, s.port(0)) > 0).then_some(())
    });
    let before = too_big(&lab, s.port(0));
    s.expect_unchanged(0, &frame_of(&s, 0, s.mac(1), 1500), &[]);
    assert!(too_big(&lab, s.port(0)) > before);
});

each_hook!(vswitch a_networks_mtu_bounds_its_ports, |lab| {
    lab.switch().ok(&["network", "create", "narrow", "--mtu", "1000"]);
    let s = Stations::connect(&mut lab, vec![PortOptions::network("narrow"); 2]);
    assert_eq!(lab.switch().port_show(s.port(0)).mtu, 1000);
    s.expect_unchanged(1, &s.broadcast(1), &[0]);
    s.expect_unchanged(0, &frame_of(&s, 0, s.mac(1), 1000), &[1]);
    s.expect_unchanged(0, &frame_of(&s, 0, s.mac(1), 1005), &[]);
    assert_eq!(too_big(&lab, s.port(0)), 1);
    lab.switch().ok(&["network", "set", "narrow", "--mtu", "1500"]);
    s.expect_unchanged(0, &frame_of(&s, 0, s.mac(1), 1500), &[1]);
});

each_hook!(vswitch stacks_with_large_frames_talk, |lab| {
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    for host in &hosts {
        let wire = lab.wire(host);
        host.namespace().ip(&["link set dev eth0 mtu 9000"]);
        lab.switch_ns().ip(&[format!("link set dev {} mtu 9000", wire.port)]);
        lab.add_port(&wire.port, PortOptions::default());
    }
    ping(&hosts[0], &hosts[1], 8972, 3);
    ping(&hosts[0], &hosts[1], 30_000, 3);
    tcp_transfer(&hosts[0], &hosts[1], 5_000_000);
    udp_exchange(&hosts[0], &hosts[1], &[100, 8972, 30_000]);
    traffic::assert_no_checksum_errors(&hosts.iter().collect::<Vec<_>>());
});

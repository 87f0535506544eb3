//! Learning and flooding: who gets a frame, and that nobody gets it twice, late, or back.

use vswitch_tests::prelude::*;

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(500);

/// An individual address that nobody has.
const NOBODY: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0xde, 0xad]);

/// A group that is neither IP's nor reserved.
const GROUP: MacAddr = MacAddr::from_octets([3, 0, 0, 0, 0, 7]);

/// Silent hosts, each with a sniffer from before the first frame.
fn silent(lab: &mut Lab, count: usize) -> Vec<(Host, Sniffer)> {
    let hosts = lab.hosts("h", count, &HostOptions::bare());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    hosts.into_iter().map(|host| (host.clone(), host.sniff())).collect()
}

/// Every kind of flooded frame from the first host reaches every other host once and never comes back.
fn flood_reaches_all_once(lab: &mut Lab, ports: usize) {
    let hosts = silent(lab, ports);
    let from = &hosts[0].0;
    let multicast = MacAddr::from_octets([1, 0, 0x5e, 1, 2, 3]);
    let kinds = [
        frame::marked(MacAddr::BROADCAST, from.mac(), 1),
        frame::marked(multicast, from.mac(), 2),
        frame::marked(GROUP, from.mac(), 3),
        frame::marked(NOBODY, from.mac(), 4),
        frame::marked_as(MacAddr::BROADCAST, from.mac(), 0x22f0, 5, 1514),
        frame::marked_as(NOBODY, from.mac(), 0x8847, 6, 700),
    ];
    from.inject_all(&kinds);
    for (_, sniffer) in &hosts[1..] {
        let seen = sniffer.expect_exactly(kinds.len(), |frame| frame::mark_of(frame).is_some(), SOON);
        let frames: Vec<_> = seen.into_iter().map(|captured| captured.frame).collect();
        for kind in &kinds {
            assert!(frames.contains(kind), "missing or changed: {}", frame::describe(kind));
        }
    }
    hosts[0].1.expect_none(|frame| frame::mark_of(frame).is_some(), QUIET);
}

each_hook!(a_flood_reaches_the_other_of_two_ports_once, |lab| {
    flood_reaches_all_once(&mut lab, 2);
});

each_hook!(a_flood_reaches_each_of_three_ports_once, |lab| {
    flood_reaches_all_once(&mut lab, 3);
});

each_hook!(a_flood_reaches_each_of_8_ports_once, |lab| {
    flood_reaches_all_once(&mut lab, 8);
});

each_hook!(a_flood_reaches_each_of_32_ports_once, |lab| {
    flood_reaches_all_once(&mut lab, 32);
});

each_hook!(known_traffic_does_not_reach_a_third_port, |lab| {
    let hosts = silent(&mut lab, 3);
    let [(a, at_a), (b, at_b), (_, at_c)] = &hosts[..] else { unreachable!("three hosts were asked for") };
    a.inject(&frame::marked(NOBODY, a.mac(), 1));
    at_b.expect_exactly(1, frame::has_mark(1), SOON);
    b.inject(&frame::marked(a.mac(), b.mac(), 2));
    at_a.expect_exactly(1, frame::has_mark(2), SOON);
    at_c.clear();
    for mark in 100..200 {
        a.inject(&frame::marked(b.mac(), a.mac(), mark));
        b.inject(&frame::marked(a.mac(), b.mac(), mark));
    }
    at_b.expect_exactly(100, |frame| frame::mark_of(frame) >= Some(100), SOON);
    at_a.expect_exactly(100, |frame| frame::mark_of(frame) >= Some(100), SOON);
    at_c.expect_none(|_| true, QUIET);
});

each_hook!(real_traffic_does_not_reach_a_third_port, |lab| {
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    let third = lab.host_with("third", HostOptions::bare());
    for host in hosts.iter().chain([&third]) {
        lab.connect(host, PortOptions::default());
    }
    ping(&hosts[0], &hosts[1], 56, 3);
    let at_third = third.sniff();
    tcp_transfer(&hosts[0], &hosts[1], 10_000_000);
    ping(&hosts[1], &hosts[0], 4000, 5);
    at_third.expect_none(|frame| frame::arp_of(frame).is_none(), QUIET);
});

each_hook!(a_moved_station_is_forwarded_to_its_new_port, |lab| {
    let hosts = silent(&mut lab, 3);
    let [(a, at_a), (b, at_b), (c, at_c)] = &hosts[..] else { unreachable!("three hosts were asked for") };
    let station = MacAddr::from_octets([2, 0, 0, 0, 0, 0x55]);
    for (old, new, at_old, at_new, mark) in [(a, b, at_a, at_b, 10), (b, a, at_b, at_a, 20)] {
        old.inject(&frame::marked(MacAddr::BROADCAST, station, mark));
        at_c.expect_exactly(1, frame::has_mark(mark), SOON);
        new.inject(&frame::marked(MacAddr::BROADCAST, station, mark + 1));
        at_c.expect_exactly(1, frame::has_mark(mark + 1), SOON);
        c.inject(&frame::marked(station, c.mac(), mark + 2));
        at_new.expect_exactly(1, frame::has_mark(mark + 2), SOON);
        at_old.expect_none(frame::has_mark(mark + 2), Duration::ZERO);
    }
    let entries = lab.subject().fdb();
    let found: Vec<_> = entries.iter().filter(|entry| entry.mac == station).collect();
    assert!(found.len() == 1 && found[0].port == "h10", "{entries:?}");
});

each_hook!(a_frame_to_its_own_sender_reaches_nobody, |lab| {
    let hosts = silent(&mut lab, 2);
    let (from, at_other) = (&hosts[0].0, &hosts[1].1);
    // Switches send such frames to find loops. The sender is learned first, so it is known to be where it speaks.
    from.inject(&frame::marked(from.mac(), from.mac(), 1));
    from.inject(&frame::marked(MacAddr::BROADCAST, from.mac(), 2));
    at_other.expect_exactly(1, frame::has_mark(2), SOON);
    at_other.expect_none(frame::has_mark(1), QUIET);
});

each_hook!(what_no_bridge_relays_is_not_relayed, |lab| {
    let hosts = silent(&mut lab, 2);
    let (from, at_other) = (&hosts[0].0, &hosts[1].1);
    // 01-80-C2-00-00-00 is left out: without STP a Linux bridge floods it, vswitch does not.
    for last in 1..16 {
        from.inject(&frame::marked(
            MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, last]),
            from.mac(),
            last.into(),
        ));
    }
    from.inject(&frame::marked(MacAddr::BROADCAST, MacAddr::ZERO, 50));
    from.inject(&frame::marked(MacAddr::BROADCAST, GROUP, 51));
    from.inject(&frame::marked(MacAddr::BROADCAST, from.mac(), 99));
    at_other.expect_exactly(1, frame::has_mark(99), SOON);
    at_other.expect_none(|frame| frame::mark_of(frame) < Some(99), QUIET);
});

each_hook!(vswitch refused_frames_are_counted_for_their_reason_and_teach_nothing, |lab| {
    let hosts = silent(&mut lab, 3);
    let (a, b) = (&hosts[0].0, &hosts[1].0);
    let stp = MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, 0]);
    a.inject(&frame::marked(stp, a.mac(), 1));
    a.inject(&frame::marked(MacAddr::BROADCAST, MacAddr::ZERO, 2));
    a.inject(&frame::marked(MacAddr::BROADCAST, GROUP, 3));
    b.inject(&frame::marked(MacAddr::BROADCAST, b.mac(), 4));
    hosts[2].1.expect_exactly(1, frame::has_mark(4), SOON);
    b.inject(&frame::marked(b.mac(), NOBODY, 5));
    let drops = |port: &str| lab.switch().counters(port).drops;
    let expected = |port: &str, reason: &str, count: u64| {
        until(&format!("{count} × {reason} at {port}"), SOON, || (drops(port).get(reason) == Some(&count)).then_some(()));
    };
    expected("h10", "link-constrained", 1);
    expected("h10", "invalid-source", 2);
    expected("h20", "same-port", 1);
    assert!(lab.switch().fdb_show(&[]).iter().all(|entry| entry.mac != GROUP && entry.mac != MacAddr::ZERO));
    for (_, sniffer) in &hosts {
        sniffer.expect_none(|frame| matches!(frame::mark_of(frame), Some(1 | 2 | 3 | 5)), Duration::ZERO);
    }
});

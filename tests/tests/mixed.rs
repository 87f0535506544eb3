//! Ports of different kinds talk to each other: hooks, taps, and an uplink to hosts outside.

use vswitch_tests::prelude::*;
use vswitch_tests::tap::Tap;

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(300);

/// A station behind a tap.
const GUEST: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 0x7a]);

/// Flood and unicast both ways between a host and a tap, with a third port that must hear the floods only.
fn host_and_tap_talk(lab: &mut Lab, host: &Host, tap: &Tap, third: &Sniffer) {
    let at_host = host.sniff();
    tap.send(&frame::marked(MacAddr::BROADCAST, GUEST, 1));
    at_host.expect_exactly(1, frame::has_mark(1), SOON);
    third.expect_exactly(1, frame::has_mark(1), SOON);
    host.inject(&frame::marked_as(GUEST, host.mac(), frame::EXPERIMENTAL, 2, 1514));
    tap.received().expect_exactly(1, frame::has_mark(2), SOON);
    tap.send(&frame::marked(host.mac(), GUEST, 3));
    at_host.expect_exactly(1, frame::has_mark(3), SOON);
    host.inject(&frame::marked(MacAddr::BROADCAST, host.mac(), 4));
    tap.received().expect_exactly(1, frame::has_mark(4), SOON);
    third.expect_none(|frame| matches!(frame::mark_of(frame), Some(2 | 3)), QUIET);
    tap.received().expect_none(|frame| matches!(frame::mark_of(frame), Some(1 | 3)), Duration::ZERO);
    let entries = lab.subject().fdb();
    assert!(entries.iter().any(|entry| entry.mac == GUEST && entry.port == tap.name()), "{entries:?}");
}

each_hook!(a_host_and_a_tap_talk, |lab| {
    let hosts = lab.hosts("h", 2, &HostOptions::bare());
    lab.connect(&hosts[0], PortOptions::default());
    // A tap has no native XDP redirect target behind it: with all ports at XDP it stays at tc.
    let tap = lab.tap("t0", PortOptions::default().hook(Hook::Tc));
    lab.connect(&hosts[1], PortOptions::default());
    let third = hosts[1].sniff();
    host_and_tap_talk(&mut lab, &hosts[0], &tap, &third);
});

#[test]
fn hosts_of_either_hook_talk_to_both() {
    let Some(mut lab) = Hooks::Tc.lab("hosts of either hook talk to both") else { return };
    let hosts = lab.hosts("h", 4, &HostOptions::ipv4_only());
    for (number, host) in hosts.iter().enumerate() {
        let hook = if number < 2 { Hook::Xdp } else { Hook::Tc };
        lab.connect(host, PortOptions::default().hook(hook));
    }
    for from in &hosts {
        for to in hosts.iter().filter(|to| to.name() != from.name()) {
            ping(from, to, 2000, 3);
        }
    }
    for (from, to) in [(0, 1), (0, 2), (2, 3), (3, 1)] {
        tcp_transfer(&hosts[from], &hosts[to], 5_000_000);
    }
    udp_exchange(&hosts[0], &hosts[3], &[100, 1472, 9000]);
    udp_exchange(&hosts[3], &hosts[0], &[100, 1472, 9000]);
    traffic::assert_no_checksum_errors(&hosts.iter().collect::<Vec<_>>());
}

#[test]
fn a_flood_crosses_the_hooks_once() {
    let Some(mut lab) = Hooks::Tc.lab("a flood crosses the hooks once") else { return };
    let hosts = lab.hosts("h", 4, &HostOptions::bare());
    for (number, host) in hosts.iter().enumerate() {
        let hook = if number < 2 { Hook::Xdp } else { Hook::Tc };
        lab.connect(host, PortOptions::default().hook(hook));
    }
    let sniffers: Vec<Sniffer> = hosts.iter().map(Host::sniff).collect();
    for (number, from) in hosts.iter().enumerate() {
        let mark = number as u64;
        from.inject(&frame::marked(MacAddr::BROADCAST, from.mac(), mark));
        for (_, sniffer) in sniffers.iter().enumerate().filter(|(other, _)| *other != number) {
            sniffer.expect_exactly(1, frame::has_mark(mark), SOON);
        }
        sniffers[number].expect_none(frame::has_mark(mark), Duration::ZERO);
    }
}

each_hook!(hosts_outside_are_reached_by_an_uplink, |lab| {
    let inside = lab.hosts("in", 2, &HostOptions::ipv4_only());
    let outside = lab.hosts("out", 2, &HostOptions::ipv4_only());
    lab.connect(&inside[0], PortOptions::default());
    let segment = lab.segment("uplink", &[&outside[0], &outside[1]], PortOptions::default());
    lab.connect(&inside[1], PortOptions::default());
    for host in &outside {
        ping(&inside[0], host, 56, 3);
        ping(host, &inside[1], 4000, 3);
    }
    tcp_transfer(&inside[0], &outside[0], 5_000_000);
    udp_exchange(&outside[1], &inside[1], &[100, 1472, 9000]);
    traffic::assert_no_checksum_errors(&[&inside[0], &inside[1], &outside[0], &outside[1]]);
    let entries = lab.subject().fdb();
    for host in &outside {
        assert!(
            entries.iter().any(|entry| entry.mac == host.mac() && entry.port == segment.port),
            "{entries:?}"
        );
    }
    // What the hosts outside say to each other stays outside: the switch learned that both are behind the uplink.
    let at_inside = inside[0].sniff();
    outside[0].inject(&frame::marked(outside[1].mac(), outside[0].mac(), 1));
    inside[1].inject(&frame::marked(MacAddr::BROADCAST, inside[1].mac(), 2));
    at_inside.expect_exactly(1, frame::has_mark(2), SOON);
    at_inside.expect_none(frame::has_mark(1), QUIET);
});

each_hook!(a_flood_reaches_outside_once_and_comes_in_once, |lab| {
    let inside = lab.hosts("in", 2, &HostOptions::bare());
    let outside = lab.hosts("out", 2, &HostOptions::bare());
    inside.iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
    lab.segment("uplink", &[&outside[0], &outside[1]], PortOptions::default());
    let sniffers: Vec<Sniffer> = inside.iter().chain(&outside).map(Host::sniff).collect();
    for (number, from) in [(0, &inside[0]), (2, &outside[0])] {
        from.inject(&frame::marked(MacAddr::BROADCAST, from.mac(), number));
        for (_, sniffer) in sniffers.iter().enumerate().filter(|(other, _)| *other as u64 != number) {
            sniffer.expect_exactly(1, frame::has_mark(number), SOON);
        }
        sniffers[number as usize].expect_none(frame::has_mark(number), Duration::ZERO);
    }
});

//! The anti-spoof guard: a port that was given addresses sends from no others, and is no server of addresses unless trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vswitch_tests::frame::ip;
use vswitch_tests::frame::membership::{Version, report};
use vswitch_tests::prelude::*;

const OWN_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FOREIGN_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 99);
const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const FOREIGN_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x99);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x77, 0xff, 0xfe00, 1);
const SOMEBODY: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 0x66]);
/// Of the first station of a lab.
const OWN_MAC: MacAddr = MacAddr::from_octets([2, 0x77, 0, 0, 0, 1]);

/// Station 0 at a port with its MAC and addresses, station 1 at a bare one.
struct Guarded {
    lab: Lab,
    stations: Stations,
}

impl Guarded {
    fn with(mut lab: Lab, extra: &[&str]) -> Self {
        let mac = OWN_MAC.to_string();
        let given = ["--mac", &mac, "--ip", "10.77.0.1", "--ip", "fd77::1"];
        let port = PortOptions::default().with(&given).with(extra);
        let stations = Stations::connect(&mut lab, vec![port, PortOptions::default()]);
        assert!(lab.switch().port_show(stations.port(0)).guarded);
        Self { lab, stations }
    }

    /// Frames from station 0 that all arrive at station 1, unchanged.
    #[track_caller]
    fn passes(&self, frames: &[(&str, Vec<u8>)]) {
        for (what, frame) in frames {
            self.stations.heard(1).clear();
            self.stations.host(0).inject(frame);
            let is_it = |seen: &[u8]| same_packet(seen, frame);
            let arrived = vswitch_tests::wait::poll(SOON, || self.stations.heard(1).received(is_it).pop());
            assert!(arrived.is_some(), "{what} did not pass; drops: {:?}", self.drops());
        }
    }

    /// Frames from station 0 that are all dropped for `reason` and teach nothing.
    #[track_caller]
    fn drops_all(&self, reason: &str, frames: &[(&str, Vec<u8>)]) {
        for (what, frame) in frames {
            self.stations.heard(1).clear();
            let before = self.drops();
            self.stations.host(0).inject(frame);
            let count =
                |drops: &std::collections::BTreeMap<String, u64>| drops.get(reason).copied().unwrap_or(0);
            let counted = vswitch_tests::wait::poll(Duration::from_secs(2), || {
                (count(&self.drops()) == count(&before) + 1).then_some(())
            });
            let heard = self.stations.heard(1).received(|_| true);
            assert!(counted.is_some(), "{what} was not dropped as {reason}: {:?}", self.drops());
            assert!(heard.is_empty(), "{what} passed");
        }
        let entries = self.lab.switch().fdb_show(&[]);
        assert!(entries.iter().all(|entry| entry.mac != SOMEBODY), "{entries:?}");
    }

    fn drops(&self) -> std::collections::BTreeMap<String, u64> {
        self.lab.switch().counters(self.stations.port(0)).drops
    }
}

/// What the controller floods may have lost its padding.
fn same_packet(seen: &[u8], sent: &[u8]) -> bool {
    seen == sent || (seen.len() >= 42 && sent.starts_with(seen))
}

fn v4(from: (MacAddr, Ipv4Addr, u16), to_port: u16) -> Vec<u8> {
    frame::ipv4_udp(from, (MacAddr::BROADCAST, Ipv4Addr::new(10, 77, 0, 255), to_port), b"data of a datagram")
}

fn v6(from: (MacAddr, Ipv6Addr, u16), to_port: u16) -> Vec<u8> {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    frame::ipv6_udp(from, (MacAddr::from_octets([0x33, 0x33, 0, 0, 0, 1]), group, to_port), b"data")
}

fn arp(operation: u16, sender: (MacAddr, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    frame::ArpPacket { operation, sender, target: (MacAddr::ZERO, target) }.frame(MacAddr::BROADCAST)
}

each_hook!(vswitch what_a_host_sends_from_its_own_addresses_passes, |lab| {
    let guarded = Guarded::with(lab, &[]);
    let other = (SOMEBODY, Ipv4Addr::new(10, 77, 0, 2));
    guarded.passes(&[
        ("IPv4", v4((OWN_MAC, OWN_V4, 5000), 6000)),
        ("IPv4 to a server's port", v4((OWN_MAC, OWN_V4, 68), 67)),
        ("IPv6", v6((OWN_MAC, OWN_V6, 5000), 6000)),
        ("IPv6 from a link-local address", v6((OWN_MAC, LINK_LOCAL, 546), 547)),
        ("an ARP question", arp(1, (OWN_MAC, OWN_V4), FOREIGN_V4)),
        ("an ARP answer", frame::arp_reply((OWN_MAC, OWN_V4), other)),
        ("a gratuitous ARP", frame::gratuitous_arp((OWN_MAC, OWN_V4))),
        ("a solicitation", frame::neighbour_solicitation((OWN_MAC, OWN_V6), FOREIGN_V6)),
        ("an advertisement", frame::neighbour_advertisement((OWN_MAC, OWN_V6), (SOMEBODY, FOREIGN_V6))),
        ("another protocol", frame::marked(SOMEBODY, OWN_MAC, 1)),
        ("a tagged packet", frame::tagged(&v4((OWN_MAC, OWN_V4, 5000), 6000), 7, 0)),
    ]);
    assert!(guarded.drops().is_empty(), "{:?}", guarded.drops());
});

each_hook!(vswitch what_a_host_needs_before_it_has_an_address_passes, |lab| {
    let guarded = Guarded::with(lab, &[]);
    let discovery = frame::ipv4_udp(
        (OWN_MAC, Ipv4Addr::UNSPECIFIED, 68),
        (MacAddr::BROADCAST, Ipv4Addr::BROADCAST, 67),
        &[1; 300],
    );
    let none = Ipv6Addr::UNSPECIFIED;
    let joins = |from: IpAddr, group: &str| {
        report(Version::New, (OWN_MAC, from), group.parse().expect("a group"), true)
    };
    guarded.passes(&[
        ("DHCP discovery", discovery),
        ("an ARP probe", frame::arp_probe(OWN_MAC, OWN_V4)),
        ("an ARP probe for whatever DHCP gave", frame::arp_probe(OWN_MAC, FOREIGN_V4)),
        ("duplicate address detection", frame::neighbour_solicitation((OWN_MAC, none), OWN_V6)),
        ("duplicate address detection of link-local", frame::neighbour_solicitation((OWN_MAC, none), LINK_LOCAL)),
        ("a router solicitation", frame::router_solicitation((OWN_MAC, LINK_LOCAL))),
        ("a group report", joins(none.into(), "ff15::1:2:3")),
        ("a group report over IPv4", joins(Ipv4Addr::UNSPECIFIED.into(), "239.1.2.3")),
        ("an advertisement of link-local", frame::neighbour_advertisement((OWN_MAC, LINK_LOCAL), (SOMEBODY, OWN_V6))),
    ]);
    assert!(guarded.drops().is_empty(), "{:?}", guarded.drops());
});

each_hook!(vswitch a_foreign_mac_is_dropped_and_not_learned, |lab| {
    let guarded = Guarded::with(lab, &[]);
    let known = guarded.stations.mac(1);
    guarded.stations.host(1).inject(&guarded.stations.broadcast(1));
    guarded.drops_all("spoofed-mac", &[
        ("a broadcast", frame::marked(MacAddr::BROADCAST, SOMEBODY, 1)),
        ("a unicast", frame::marked(known, SOMEBODY, 2)),
        ("an IPv4 packet", v4((SOMEBODY, OWN_V4, 5000), 6000)),
        ("an ARP question", arp(1, (SOMEBODY, OWN_V4), FOREIGN_V4)),
        ("ARP that speaks for another", [&arp(1, (SOMEBODY, OWN_V4), FOREIGN_V4)[..6], &OWN_MAC.octets(), &arp(1, (SOMEBODY, OWN_V4), FOREIGN_V4)[12..]].concat()),
        ("a tagged frame", frame::tagged(&frame::marked(MacAddr::BROADCAST, SOMEBODY, 3), 7, 0)),
    ]);
});

each_hook!(vswitch a_foreign_ip_is_dropped_and_nobody_is_told, |lab| {
    let guarded = Guarded::with(lab, &[]);
    let known = guarded.stations.mac(1);
    guarded.stations.host(1).inject(&guarded.stations.broadcast(1));
    let unicast = frame::ipv4_udp((OWN_MAC, FOREIGN_V4, 5000), (known, OWN_V4, 6000), b"data");
    let unicast_v6 = frame::ipv6_udp((OWN_MAC, FOREIGN_V6, 5000), (known, OWN_V6, 6000), b"data");
    guarded.drops_all("spoofed-ip", &[
        ("an IPv4 broadcast", v4((OWN_MAC, FOREIGN_V4, 5000), 6000)),
        ("an IPv4 unicast", unicast.clone()),
        ("a tagged IPv4 packet", frame::tagged(&unicast, 7, 0)),
        ("IPv4 from nowhere that is not DHCP", v4((OWN_MAC, Ipv4Addr::UNSPECIFIED, 68), 53)),
        ("an IPv6 multicast", v6((OWN_MAC, FOREIGN_V6, 5000), 6000)),
        ("an IPv6 unicast", unicast_v6),
        ("IPv6 from nowhere that is not ICMPv6", v6((OWN_MAC, Ipv6Addr::UNSPECIFIED, 5000), 6000)),
        ("an ARP question", arp(1, (OWN_MAC, FOREIGN_V4), OWN_V4)),
        ("an ARP answer", frame::arp_reply((OWN_MAC, FOREIGN_V4), (known, OWN_V4))),
        ("a gratuitous ARP", frame::gratuitous_arp((OWN_MAC, FOREIGN_V4))),
        ("a gratuitous ARP answer", arp(2, (OWN_MAC, FOREIGN_V4), FOREIGN_V4)),
        ("a solicitation", frame::neighbour_solicitation((OWN_MAC, FOREIGN_V6), OWN_V6)),
        ("an advertisement", frame::neighbour_advertisement((OWN_MAC, FOREIGN_V6), (known, OWN_V6))),
        ("an advertisement from an own address", ip::advertisement_of(FOREIGN_V6, (OWN_MAC, LINK_LOCAL), (known, OWN_V6))),
        ("an advertisement of an own address", ip::advertisement_of(OWN_V6, (OWN_MAC, FOREIGN_V6), (known, OWN_V6))),
        (
            "an advertisement behind destination options",
            ip::behind_options(&ip::advertisement_of(FOREIGN_V6, (OWN_MAC, LINK_LOCAL), (known, OWN_V6)), 2),
        ),
    ]);
    // ARP that only some stacks understand, and what is behind two tags.
    let mut odd = frame::gratuitous_arp((OWN_MAC, FOREIGN_V4));
    odd[15] = 6;
    guarded.drops_all("malformed", &[("ARP of hardware type 6", odd)]);
    let double = frame::tagged(&frame::tagged(&unicast, 7, 0), 8, 0);
    guarded.drops_all("spoofed-ip", &[("what is behind two tags", double)]);
    // Nobody was told of the addresses: a question for one is not answered.
    let asker = (known, Ipv4Addr::new(10, 77, 0, 2));
    guarded.stations.heard(0).clear();
    guarded.stations.host(1).inject(&frame::arp_request(asker, FOREIGN_V4));
    guarded.stations.heard(0).expect_exactly(1, |frame| frame::arp_of(frame).is_some(), SOON);
    assert_eq!(guarded.lab.switch().counters(guarded.stations.port(1)).answered, 0);
});

/// What only a server of addresses or a router says.
fn servers_frames() -> Vec<(&'static str, Vec<u8>)> {
    let offer =
        frame::ipv4_udp((OWN_MAC, OWN_V4, 67), (MacAddr::BROADCAST, Ipv4Addr::BROADCAST, 68), &[2; 300]);
    let advertisement = ip::router_advertisement((OWN_MAC, LINK_LOCAL));
    vec![
        ("a DHCP offer", offer),
        ("a router advertisement", advertisement.clone()),
        ("one behind destination options", ip::behind_options(&advertisement, 1)),
        ("one behind several of them", ip::behind_options(&advertisement, 3)),
        ("one in a fragment", ip::in_fragment(&advertisement)),
        ("a redirect", ip::redirect((OWN_MAC, LINK_LOCAL))),
        ("a DHCPv6 answer", v6((OWN_MAC, LINK_LOCAL, 547), 546)),
    ]
}

each_hook!(vswitch a_server_of_addresses_must_be_trusted, |lab| {
    let guarded = Guarded::with(lab, &[]);
    guarded.drops_all("rogue-server", &servers_frames());
    guarded.drops_all("malformed", &[(
        "one behind more extension headers than there are kinds",
        ip::behind_options(&ip::router_advertisement((OWN_MAC, LINK_LOCAL)), 5),
    )]);
    guarded.lab.switch().ok(&["port", "set", guarded.stations.port(0), "--trusted"]);
    guarded.passes(&servers_frames());
    guarded.lab.switch().ok(&["port", "set", guarded.stations.port(0), "--no-trusted"]);
    guarded.drops_all("rogue-server", &servers_frames());
});

each_hook!(vswitch a_bare_port_is_not_guarded, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 2]);
    assert!(!lab.switch().port_show(s.port(0)).guarded);
    let guarded = Guarded { stations: s, lab };
    guarded.passes(&servers_frames());
    guarded.passes(&[
        ("another MAC", frame::marked(MacAddr::BROADCAST, SOMEBODY, 1)),
        ("another address", v4((OWN_MAC, FOREIGN_V4, 5000), 6000)),
        ("another IPv6 address", v6((OWN_MAC, FOREIGN_V6, 5000), 6000)),
        ("a gratuitous ARP", frame::gratuitous_arp((OWN_MAC, FOREIGN_V4))),
    ]);
});

each_hook!(vswitch addresses_are_given_and_taken_live, |lab| {
    let guarded = Guarded::with(lab, &[]);
    let foreign = [("IPv4", v4((OWN_MAC, FOREIGN_V4, 5000), 6000))];
    let own = [("IPv4", v4((OWN_MAC, OWN_V4, 5000), 6000))];
    let port = guarded.stations.port(0);
    guarded.drops_all("spoofed-ip", &foreign);
    guarded.lab.switch().ok(&["port", "set", port, "--ip", "10.77.0.99"]);
    guarded.passes(&foreign);
    guarded.drops_all("spoofed-ip", &own);
    guarded.lab.switch().ok(&["port", "set", port, "--no-ip"]);
    guarded.passes(&own);
    guarded.passes(&foreign);
    guarded.drops_all("spoofed-mac", &[("another MAC", v4((SOMEBODY, OWN_V4, 5000), 6000))]);
    guarded.lab.switch().ok(&["port", "set", port, "--no-mac"]);
    guarded.passes(&[("another MAC", v4((SOMEBODY, OWN_V4, 5000), 6000))]);
});

each_hook!(vswitch stacks_talk_from_guarded_ports, |lab| {
    let hosts = lab.hosts("h", 2, &HostOptions::default());
    for host in &hosts {
        let (mac, v4, v6) = (host.mac().to_string(), host.ipv4().to_string(), host.ipv6().to_string());
        lab.connect(host, PortOptions::default().with(&["--mac", &mac, "--ip", &v4, "--ip", &v6]));
    }
    hosts.iter().for_each(Host::wait_for_ipv6);
    ping(&hosts[0], &hosts[1], 4000, 3);
    ping6(&hosts[0], &hosts[1], 4000, 3);
    tcp_transfer(&hosts[0], &hosts[1], 5_000_000);
    traffic::tcp_send(&hosts[1], &hosts[0], hosts[0].ipv6().into(), 5_000_000);
    udp_exchange(&hosts[0], &hosts[1], &[100, 1472, 9000]);
    traffic::assert_no_checksum_errors(&hosts.iter().collect::<Vec<_>>());
    for port in lab.switch().ports() {
        let spoofed: Vec<_> = port.counters.drops.keys().filter(|name| name.starts_with("spoofed")).collect();
        assert!(spoofed.is_empty(), "{}: {:?}", port.name, port.counters.drops);
    }
    // The same stack with an address that it was not given reaches nobody.
    hosts[0].namespace().ip(&["addr add 10.77.0.123/24 dev eth0"]);
    let ping = hosts[0].command("ping").args(["-c1", "-W1", "-I", "10.77.0.123", "10.77.0.2"]).output();
    assert!(!ping.expect("iputils-ping is installed").status.success());
});

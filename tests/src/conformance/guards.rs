//! Rows about ports whose host's addresses are known.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use vswitch_common::mac::MacAddr;

use super::groups::{GROUP_V4, GROUP_V6};
use super::trial::Case;
use super::{Answer, Row, Trial, ensure};
use crate::frame::membership::{Version, report};
use crate::frame::{self, ip};
use crate::lab::PortOptions;
use crate::switch::NetworkOptions;

pub(super) const ROWS: &[Row] = &[
    Row {
        behaviour: "A port that was given a MAC address takes frames from no other, and learns none",
        source: "RFC 7513 3 (SAVI)",
        run: mac,
    },
    Row {
        behaviour: "A port that was given addresses takes no other IPv4 source or ARP sender",
        source: "RFC 7513 3, RFC 826",
        run: ipv4,
    },
    Row {
        behaviour: "Nor another IPv6 source, nor another target of an advertisement",
        source: "RFC 6620 3, RFC 4861 11",
        run: ipv6,
    },
    Row {
        behaviour: "A host behind it may still look for addresses: DHCP, probes, DAD, link-local, group reports",
        source: "RFC 2131 4.1, RFC 5227 2.1, RFC 4862 5.4, RFC 3376 4.2.13",
        run: before_addresses,
    },
    Row {
        behaviour: "It is no DHCP server and no router unless it is trusted",
        source: "RFC 6105, RFC 7610",
        run: servers,
    },
];

const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FOREIGN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 99);
const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const FOREIGN_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x99);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x77, 0xff, 0xfe00, 1);
const SOMEBODY: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 0x66]);

/// Station 0 at a port that was given its MAC, and with `and` more; stations 1 and 2 at plain ones.
fn guarded(t: &mut Trial, and: &[&str]) -> Answer {
    let mac = t.mac(0).to_string();
    let port = PortOptions::default().with(&["--mac", &mac]).with(and);
    t.connect(&NetworkOptions::default(), vec![port, PortOptions::default(), PortOptions::default()])
}

const ADDRESSES: [&str; 4] = ["--ip", "10.77.0.1", "--ip", "fd77::1"];

fn mac(t: &mut Trial) -> Answer {
    guarded(t, &[])?;
    let (own, foreign) = (t.broadcast(0), t.frame_of(SOMEBODY, MacAddr::BROADCAST));
    t.check(&[
        Case::unchanged("from its own address", 0, &own, &[1, 2]),
        Case::unchanged("from another address", 0, &foreign, &[]),
    ])?;
    let entries = t.lab().subject().fdb();
    ensure(entries.iter().all(|entry| entry.mac != SOMEBODY), || "the address was learned".to_owned())
}

/// Sends packets from station 0, and checks that each reaches both others, or that none does.
fn pass(t: &mut Trial, packets: &[(&'static str, Vec<u8>)], should_pass: bool) -> Answer {
    for (what, packet) in packets {
        t.clear();
        t.host(0).inject(packet);
        // What a controller floods may have lost its padding.
        let is_it = |seen: &[u8]| seen == packet.as_slice() || (seen.len() >= 42 && packet.starts_with(seen));
        if should_pass {
            t.hear(what, is_it, &[0, 1, 1])?;
        } else {
            std::thread::sleep(Duration::from_millis(100));
            let reached = t.counts(is_it);
            ensure(reached == [0, 0, 0], || format!("{what} passes"))?;
        }
    }
    Ok(())
}

fn v4(from: (MacAddr, Ipv4Addr, u16), to_port: u16) -> Vec<u8> {
    frame::ipv4_udp(from, (MacAddr::BROADCAST, Ipv4Addr::BROADCAST, to_port), b"data of a datagram")
}

fn v6(from: (MacAddr, Ipv6Addr, u16), to_port: u16) -> Vec<u8> {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    frame::ipv6_udp(from, (MacAddr::from_octets([0x33, 0x33, 0, 0, 0, 1]), group, to_port), b"data")
}

fn ipv4(t: &mut Trial) -> Answer {
    guarded(t, &ADDRESSES)?;
    let own = t.mac(0);
    pass(t, &[("an own source", v4((own, OWN, 5000), 6000))], true)?;
    pass(
        t,
        &[
            ("a foreign source", v4((own, FOREIGN, 5000), 6000)),
            ("a foreign ARP sender", frame::arp_request((own, FOREIGN), OWN)),
            ("a gratuitous ARP", frame::gratuitous_arp((own, FOREIGN))),
        ],
        false,
    )
}

fn ipv6(t: &mut Trial) -> Answer {
    guarded(t, &ADDRESSES)?;
    let own = t.mac(0);
    let to = (MacAddr::BROADCAST, OWN_V6);
    pass(t, &[("an own source", v6((own, OWN_V6, 5000), 6000))], true)?;
    pass(
        t,
        &[
            ("a foreign source", v6((own, FOREIGN_V6, 5000), 6000)),
            ("a solicitation from it", frame::neighbour_solicitation((own, FOREIGN_V6), OWN_V6)),
            ("an advertisement of it", ip::advertisement_of(FOREIGN_V6, (own, OWN_V6), to)),
            ("one from a link-local address", ip::advertisement_of(FOREIGN_V6, (own, LINK_LOCAL), to)),
        ],
        false,
    )
}

fn before_addresses(t: &mut Trial) -> Answer {
    guarded(t, &ADDRESSES)?;
    let (own, none) = (t.mac(0), Ipv6Addr::UNSPECIFIED);
    let packets = [
        ("DHCP discovery", v4((own, Ipv4Addr::UNSPECIFIED, 68), 67)),
        ("an ARP probe", frame::arp_probe(own, FOREIGN)),
        ("duplicate address detection", frame::neighbour_solicitation((own, none), OWN_V6)),
        ("a router solicitation", frame::router_solicitation((own, LINK_LOCAL))),
        ("DHCPv6 from a link-local address", v6((own, LINK_LOCAL, 546), 547)),
        ("an MLD report", report(Version::New, (own, none.into()), GROUP_V6, true)),
        ("an IGMP report", report(Version::New, (own, Ipv4Addr::UNSPECIFIED.into()), GROUP_V4, true)),
    ];
    pass(t, &packets, true)
}

fn servers(t: &mut Trial) -> Answer {
    guarded(t, &ADDRESSES)?;
    let own = t.mac(0);
    let packets = [
        ("a DHCP offer", v4((own, OWN, 67), 68)),
        ("a router advertisement", ip::router_advertisement((own, LINK_LOCAL))),
        ("a redirect", ip::redirect((own, LINK_LOCAL))),
        ("a DHCPv6 answer", v6((own, LINK_LOCAL, 547), 546)),
    ];
    pass(t, &packets, false)?;
    let port = t.port(0);
    if t.candidate().is_vswitch() {
        t.lab().switch().ok(&["port", "set", &port, "--trusted"]);
    }
    pass(t, &packets, true)
}

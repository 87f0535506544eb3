//! Multicast groups: whose list a frame goes by, when it is flooded all the same, and what the controller is told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use vswitch::multicast::{Asker, Settings, frame as query_frame};
use vswitch_common::event::Snoop;
use vswitch_common::frame::ETHERNET_BYTES;
use vswitch_common::limits::SNOOPS_PER_PORT_S;
use vswitch_common::membership::Family;
use vswitch_common::multicast::list_flag::PRUNES;
use vswitch_tests::frame::membership::{Version, report as report_of};
use vswitch_tests::frame::{self, ip};
use vswitch_tests::program::*;
use vswitch_tests::traffic::multicast::mac_of;

const ONE: MacAddr = station(1);

const GROUPS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(239, 1, 2, 3)), IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 1, 2, 3))];

/// A datagram for a group.
fn stream(group: IpAddr) -> Vec<u8> {
    let to = mac_of(group);
    match group {
        IpAddr::V4(group) => {
            ip::ipv4_udp((ONE, Ipv4Addr::new(10, 0, 0, 1), 9), (to, group, 9), b"a stream's")
        }
        IpAddr::V6(group) => {
            ip::ipv6_udp((ONE, Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), 9), (to, group, 9), b"a stream's")
        }
    }
}

/// An IGMP report of version 2 about the first group.
fn report() -> Vec<u8> {
    let igmp = [0x16, 0, 0xf7, 0xfb, 239, 1, 2, 3];
    let header = [0x46, 0xc0, 0, 32, 0, 0, 0x40, 0, 1, 2, 0, 0, 10, 0, 0, 1, 239, 1, 2, 3, 0x94, 4, 0, 0];
    frame::ethernet(mac_of(GROUPS[0]), ONE, frame::IPV4, &[&header[..], &igmp].concat())
}

/// An MLD report, and a general query of either family.
fn mld_report() -> Vec<u8> {
    let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    report_of(Version::New, (ONE, from.into()), GROUPS[1], true)
}

fn query(family: Family) -> Vec<u8> {
    let asker = Asker::new(1, 1);
    let mode = vswitch::api::types::MulticastMode::Auto;
    let settings =
        Settings { mode, is_querier: true, interval_s: 125, response_s: 10, link_local: asker.link_local() };
    query_frame(asker, family, None, &settings)
}

/// Who gets a frame that comes in by A.
fn receivers(fixture: &mut Fixture, frame: &[u8]) -> Vec<PortId> {
    fixture.tally();
    assert_eq!(fixture.xdp(A, frame).end, End::Passed, "floods are tc's");
    assert_eq!(fixture.tc(A, frame).end, End::Shot);
    fixture.tally().senders()
}

#[test]
fn a_group_with_a_list_reaches_just_its_members() {
    Fixture::run(4, |fixture| {
        for group in GROUPS {
            fixture.list_group(group, &[A, C], 0);
            assert_eq!(receivers(fixture, &stream(group)), [C], "{group}");
            // Whatever is flooded there: it was asked for.
            fixture.clear_flags(C, flag::FLOOD);
            assert_eq!(receivers(fixture, &stream(group)), [C], "{group}");
            fixture.clear_flags(C, flag::FORWARDING);
            fixture.tally();
            fixture.tc(A, &stream(group));
            let bytes = stream(group).len();
            assert_eq!(
                fixture.tally(),
                Tally::new().rx(A, bytes).dropped(A, DropReason::NobodyJoined),
                "{group}"
            );
            fixture.reset();
        }
    });
}

#[test]
fn a_group_without_a_list_goes_to_routers_once_hosts_have_answered() {
    Fixture::run(4, |fixture| {
        for group in GROUPS {
            assert_eq!(receivers(fixture, &stream(group)), [B, C, D], "{group}, nobody asks");
            fixture.list_routers(group, &[D], 0);
            assert_eq!(receivers(fixture, &stream(group)), [B, C, D], "{group}, hosts are being asked");
            fixture.list_routers(group, &[D], PRUNES);
            assert_eq!(receivers(fixture, &stream(group)), [D], "{group}");
            fixture.reset();
        }
    });
}

#[test]
fn while_the_controller_is_away_all_is_flooded() {
    Fixture::run(4, |fixture| {
        fixture.list_group(GROUPS[0], &[C], 0);
        fixture.list_routers(GROUPS[0], &[], PRUNES);
        assert_eq!(receivers(fixture, &stream(GROUPS[0])), [C]);
        fixture.stop_heart(Duration::from_secs(4));
        assert_eq!(receivers(fixture, &stream(GROUPS[0])), [B, C, D]);
        assert_eq!(receivers(fixture, &report()), [B, C, D]);
    });
}

#[test]
fn groups_of_the_link_are_flooded_whatever_is_listed() {
    Fixture::run(4, |fixture| {
        let groups = ["224.0.0.1", "224.0.0.251", "ff02::1", "ff02::1:ff00:7", "ff02::fb", "ff01::1"];
        for group in groups.map(|group| group.parse::<IpAddr>().expect("an address")) {
            fixture.list_routers(group, &[], PRUNES);
            fixture.list_group(group, &[], 0);
            assert_eq!(receivers(fixture, &stream(group)), [B, C, D], "{group}");
        }
        // So is what is in no packet of a group at all.
        let other = [plain(mac_of(GROUPS[0]), ONE), plain(MacAddr::BROADCAST, ONE)];
        for frame in other {
            assert_eq!(receivers(fixture, &frame), [B, C, D], "{}", frame::describe(&frame));
        }
        let mut unicast = stream(GROUPS[0]);
        unicast[30] = 10;
        assert_eq!(receivers(fixture, &unicast), [B, C, D], "an individual's packet");
    });
}

#[test]
fn reports_are_for_routers_and_queries_for_all() {
    Fixture::run(4, |fixture| {
        for family in GROUPS {
            fixture.list_routers(family, &[D], 0);
        }
        for frame in [report(), mld_report()] {
            assert_eq!(receivers(fixture, &frame), [D]);
        }
        for family in [Family::V4, Family::V6] {
            assert_eq!(receivers(fixture, &query(family)), [B, C, D]);
        }
    });
}

#[test]
fn the_controller_is_told_what_is_said_of_membership_where_it_snoops() {
    Fixture::run(2, |fixture| {
        let frames = [report(), mld_report(), query(Family::V4), query(Family::V6)];
        for frame in &frames {
            fixture.tc(A, frame);
        }
        assert_eq!(fixture.snoops(), [], "told of a network that floods");
        fixture.set_flags(A, flag::SNOOPED);
        fixture.tc(A, &stream(GROUPS[0]));
        for frame in &frames {
            fixture.xdp(A, frame);
            fixture.tc(A, frame);
            let ethertype = u16::from_be_bytes([frame[12], frame[13]]);
            let packet = frame[ETHERNET_BYTES..].to_vec();
            let (domain, port) = (domain_of(NETWORK).0, A.0);
            assert_eq!(fixture.snoops(), [Snoop { domain, port, ethertype, is_cut: false, packet }]);
        }
        // Not of what is refused, nor of what is behind a tag that nobody looks at.
        fixture.clear_flags(A, flag::FORWARDING);
        fixture.tc(A, &report());
        fixture.set_flags(A, flag::FORWARDING);
        fixture.tc(A, &frame::tagged(&report(), 10, 0));
        assert_eq!(fixture.snoops(), []);
    });
}

#[test]
fn a_port_has_its_share_of_the_controllers_time() {
    Fixture::run(3, |fixture| {
        fixture.set_flags(A, flag::SNOOPED);
        fixture.set_flags(B, flag::SNOOPED);
        let share = u64::from(SNOOPS_PER_PORT_S);
        for _ in 0..share + 50 {
            fixture.tc(A, &report());
        }
        let told = fixture.snoops().len() as u64;
        // A slow machine may take a second over it, and so two shares.
        assert!(told >= share, "{told} of {}", share + 50);
        assert_eq!(fixture.lost(), share + 50 - told);
        assert_eq!(fixture.tally().of(C).tx_packets, share + 50, "what is not read passes all the same");
        fixture.tc(B, &report());
        assert_eq!(fixture.snoops().len(), 1);
    });
}

#[test]
fn in_a_vlan_aware_network_a_group_is_of_its_vlan() {
    Fixture::run(4, |fixture| {
        fixture.make_vlan_aware(A, 10, &[]);
        fixture.make_vlan_aware(B, 10, &[]);
        fixture.make_vlan_aware(C, 20, &[]);
        fixture.make_vlan_aware(D, 0, &[10, 20]);
        fixture.list_group_in(vswitch_common::domain::DomainId(AWARE_DOMAIN.0 + 10), GROUPS[0], &[B, C, D]);
        // C is listed, but no member of the VLAN.
        let bytes = stream(GROUPS[0]).len();
        fixture.tc(A, &stream(GROUPS[0]));
        assert_eq!(fixture.tally(), Tally::new().rx(A, bytes).tx(B, bytes).tx(D, bytes));
        fixture.tc(C, &stream(GROUPS[0]));
        assert_eq!(fixture.tally().senders(), [D], "VLAN 20 has no list");
    });
}

#[test]
fn a_frame_of_the_controllers_own_reaches_every_port_of_its_network() {
    Fixture::run(4, |fixture| {
        fixture.clear_flags(B, flag::FLOOD);
        fixture.set(C, |config| config.network = NETWORK + 1);
        fixture.join(C, Some(NETWORK + 1));
        fixture.bpf.send(NETWORK, 0, &query(Family::V4)).expect("the kernel runs the program");
        assert_eq!(fixture.tally().senders(), [A, B, D]);
    });
}

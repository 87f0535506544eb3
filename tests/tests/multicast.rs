//! Multicast goes to those who want it: as real stacks say so by IGMP and MLD, and as the Linux bridge does beside it. Where a
//! switch cannot know, multicast floods.

use std::net::IpAddr;

use vswitch::api::types::{MdbEntry, MdbKind, Multicast, MulticastMode, Network};
use vswitch::multicast::{Asker, Settings, frame as query_frame};
use vswitch_common::membership::Family;
use vswitch_tests::frame::ip;
use vswitch_tests::hooks::skip;
use vswitch_tests::prelude::*;
use vswitch_tests::switch::Subject;
use vswitch_tests::traffic::multicast::{Audience, join, mac_of, stream};

fn group(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn g4() -> IpAddr {
    group("239.1.2.3")
}

fn g6() -> IpAddr {
    group("ff15::1:2:3")
}

/// A sender and three more, each at a port; hosts of number 0 to 3.
fn four(lab: &mut Lab) -> Vec<Host> {
    let hosts = lab.hosts("h", 4, &HostOptions::default());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    hosts.iter().for_each(Host::wait_for_ipv6);
    hosts
}

/// Whether the switch is one that the lab can make snoop; else says so.
fn can_snoop(lab: &mut Lab) -> bool {
    let is_set_up = !matches!(lab.subject(), Subject::OpenVswitch(_));
    if !is_set_up {
        skip(
            "multicast",
            "Open vSwitch asks nobody: the conformance table has what it does with another querier",
        );
    }
    is_set_up
}

fn multicast_of(lab: &Lab, network: &str) -> Multicast {
    lab.switch().json::<Vec<Network>>(&["network", "inspect", network]).remove(0).multicast
}

fn is_pruning(lab: &Lab) -> bool {
    let scopes = multicast_of(lab, "default").scopes;
    !scopes.is_empty() && scopes.iter().all(|scope| scope.pruning)
}

/// Members of a group by port.
fn members(lab: &Lab, group: IpAddr) -> Vec<String> {
    let all: Vec<MdbEntry> = lab.switch().json(&["mdb", "show"]);
    all.into_iter().filter(|entry| entry.group == Some(group)).map(|entry| entry.port).collect()
}

fn routers(lab: &Lab) -> Vec<String> {
    let all: Vec<MdbEntry> = lab.switch().json(&["mdb", "show"]);
    all.into_iter().filter(|entry| entry.kind == MdbKind::Router).map(|entry| entry.port).collect()
}

/// A general query of somebody with an address, who asks every `interval_s` seconds.
fn query(family: Family, interval_s: u32) -> Vec<u8> {
    let asker = Asker::new(0xa5a5_a5a5, 1);
    let (mode, link_local) = (MulticastMode::Auto, asker.link_local());
    query_frame(
        asker,
        family,
        None,
        &Settings { mode, is_querier: true, interval_s, response_s: 1, link_local },
    )
}

each_hook!(members_get_a_group_once_and_others_nothing, |lab| {
    if !can_snoop(&mut lab) {
        return;
    }
    let hosts = four(&mut lab);
    let audience = Audience::of(&hosts);
    let first = [join(&hosts[1], g4()), join(&hosts[1], g6())];
    lab.subject().ask_members(8, 1);
    let second = [join(&hosts[2], g4()), join(&hosts[2], g6())];
    for group in [g4(), g6()] {
        audience.settle(0, group, &[1, 2]);
        audience.expect(1, group, &[2]);
        let by_stacks = || first.iter().chain(&second).map(|member| member.received()).sum::<usize>();
        by_stacks();
        audience.expect(0, group, &[1, 2]);
        assert_eq!(by_stacks(), 6, "three datagrams at two members");
    }
    // What nobody wants reaches nobody; what is of the link alone reaches all.
    for other in ["239.9.9.9", "ff15::9"] {
        audience.expect(0, group(other), &[]);
    }
    for kept in ["224.0.0.251", "ff02::1"] {
        audience.expect(0, group(kept), &[1, 2, 3]);
    }
    drop(second);
    for group in [g4(), g6()] {
        audience.settle(0, group, &[1]);
    }
    drop(first);
    audience.settle(0, g4(), &[]);
});

each_hook!(hosts_of_older_versions_are_understood, |lab| {
    if !can_snoop(&mut lab) {
        return;
    }
    let hosts = four(&mut lab);
    let force = |host: &Host| {
        host.namespace().sysctl("ipv4/conf/eth0/force_igmp_version", "2");
        host.namespace().sysctl("ipv6/conf/eth0/force_mld_version", "1");
    };
    hosts.iter().for_each(force);
    let audience = Audience::of(&hosts);
    lab.subject().ask_members(8, 1);
    // Both want the same: a report that the other heard would keep it silent.
    let one = [join(&hosts[1], g4()), join(&hosts[1], g6())];
    let two = [join(&hosts[2], g4()), join(&hosts[2], g6())];
    for group in [g4(), g6()] {
        audience.settle(0, group, &[1, 2]);
    }
    drop(one);
    for group in [g4(), g6()] {
        audience.settle(0, group, &[2]);
    }
    drop(two);
});

#[test]
fn groups_that_neighbour_discovery_needs_are_never_pruned() {
    let Some(mut lab) = Hooks::Mixed.vswitch_lab("groups_that_neighbour_discovery_needs_are_never_pruned")
    else {
        return;
    };
    let hosts = four(&mut lab);
    let audience = Audience::of(&hosts);
    lab.subject().ask_members(8, 1);
    until("the switch to prune", Duration::from_secs(20), || is_pruning(&lab).then_some(()));
    audience.settle(0, g4(), &[]);
    for kept in ["224.0.0.1", "224.0.0.251", "ff02::fb", "ff02::1:ff00:1234", "ff01::1"] {
        audience.expect(0, group(kept), &[1, 2, 3]);
    }
    ping6(&hosts[0], &hosts[3], 56, 2);
}

each_hook!(a_querier_that_is_heard_makes_the_switch_prune_until_it_falls_silent, |lab| {
    if !can_snoop(&mut lab) {
        return;
    }
    let hosts = four(&mut lab);
    let audience = Audience::of(&hosts);
    let _joined = join(&hosts[1], g4());
    lab.subject().snoop("default");
    audience.expect(0, g4(), &[1, 2, 3]);
    let asked = |group| {
        let (from, querier) = (&hosts[0], &hosts[3]);
        move |mark| {
            querier.inject(&query(Family::V4, 3));
            stream(from, group, mark)
        }
    };
    let unwanted = group("239.9.9.9");
    audience.settle_frame(0, asked(g4()), &[1, 3]);
    audience.settle_frame(0, asked(unwanted), &[3]);
    audience.settle(0, unwanted, &[1, 2, 3]);
});

#[test]
fn reports_are_for_routers_alone() {
    let Some(mut lab) = Hooks::Mixed.vswitch_lab("reports_are_for_routers_alone") else { return };
    let hosts = four(&mut lab);
    let audience = Audience::of(&hosts);
    hosts[3].inject(&query(Family::V4, 30));
    until("the querier to be known", SOON, || (routers(&lab) == ["h40"]).then_some(()));
    let scopes = multicast_of(&lab, "default").scopes;
    let of_v4 = scopes.iter().find(|scope| scope.family == "ipv4").expect("a querier was heard");
    let querier = of_v4.querier.as_ref().expect("it is known");
    assert_eq!((querier.address, querier.port.as_deref()), (group("0.0.0.0"), Some("h40")));
    for number in 0..4 {
        audience.heard(number).clear();
    }
    let _joined = join(&hosts[1], g4());
    let is_report = |frame: &[u8]| {
        frame::payload_of(frame)
            .is_some_and(|packet| packet[0] == 0x46 && packet[9] == 2 && packet[24] == 0x22)
    };
    audience.heard(3).expect("report", is_report);
    for other in [0, 2] {
        audience.heard(other).expect_none(is_report, Duration::from_millis(300));
    }
}

each_hook!(vswitch without_its_controller_the_switch_floods, |lab| {
    let hosts = four(&mut lab);
    let audience = Audience::of(&hosts);
    lab.subject().ask_members(4, 1);
    let _joined = join(&hosts[1], g4());
    audience.settle(0, g4(), &[1]);
    lab.switch_mut().kill9();
    audience.settle(0, g4(), &[1, 2, 3]);
    audience.expect(0, group("239.9.9.9"), &[1, 2, 3]);
    // It comes back and knows nothing until hosts have answered it: the member is never cut off.
    lab.switch_mut().start_again();
    audience.settle_keeping(0, g4(), 1, &[1]);
    audience.expect(0, g4(), &[1]);
});

each_hook!(vswitch membership_is_of_a_vlan, |lab| {
    lab.switch().ok(&["network", "create", "campus", "--vlan-aware"]);
    let hosts = lab.hosts("h", 4, &HostOptions::default());
    let campus = |options: PortOptions| PortOptions { network: Some("campus".to_owned()), ..options };
    let ports = [PortOptions::trunk("10,20"), PortOptions::access(10), PortOptions::access(10), PortOptions::access(20)];
    for (host, options) in hosts.iter().zip(ports) {
        lab.connect(host, campus(options));
    }
    let set = ["network", "set", "campus", "--multicast-querier", "--multicast-query-interval", "8"];
    lab.switch().ok(&[&set[..], &["--multicast-response-time", "1"]].concat());
    let audience = Audience::of(&hosts);
    let in_vlan = |vid: u16| {
        let from = hosts[0].clone();
        move |mark: u64| frame::tagged(&stream(&from, g4(), mark), vid, 0)
    };
    let _one = join(&hosts[1], g4());
    audience.settle_frame(0, in_vlan(10), &[1]);
    audience.settle_frame(0, in_vlan(20), &[]);
    let _three = join(&hosts[3], g4());
    audience.settle_frame(0, in_vlan(20), &[3]);
    audience.expect_frame(0, in_vlan(10), &[1]);
    // From an access port, with the tag that a trunk's member wants: nobody has joined behind it.
    audience.expect(2, g4(), &[1]);
    let vlans: Vec<_> = lab.switch().json::<Vec<MdbEntry>>(&["mdb", "show", "--network", "campus"]);
    let mut seen: Vec<_> = vlans.iter().filter(|entry| entry.group == Some(g4())).collect();
    seen.sort_by_key(|entry| entry.vlan);
    let seen: Vec<_> = seen.iter().map(|entry| (entry.vlan.map(|vlan| vlan.get()), entry.port.as_str())).collect();
    assert_eq!(seen, [(Some(10), "h20"), (Some(20), "h40")]);
});

#[test]
fn what_is_no_proper_report_changes_nothing() {
    let Some(mut lab) = Hooks::Mixed.vswitch_lab("what_is_no_proper_report_changes_nothing") else { return };
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 2]);
    let report = |alert: u8, ttl: u8, is_true: bool| {
        let mut igmp = vec![0x16, 0, 0, 0, 239, 1, 2, 3];
        let sum = ip::internet_checksum(&[&igmp]) ^ u16::from(!is_true);
        igmp[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut header =
            vec![0x46, 0xc0, 0, 32, 0, 0, 0x40, 0, ttl, 2, 0, 0, 10, 0, 0, 7, 239, 1, 2, 3, alert, 4, 0, 0];
        let sum = ip::internet_checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame::ethernet(mac_of(g4()), s.mac(0), frame::IPV4, &[header, igmp].concat())
    };
    for wrong in [report(1, 1, true), report(0x94, 2, true), report(0x94, 1, false)] {
        s.host(0).inject(&wrong);
        // It is no report, but a frame of the network all the same.
        s.heard(1).expect_exactly(1, |frame| frame.starts_with(&wrong), SOON);
    }
    s.host(0).inject(&report(0x94, 1, true)[..30]);
    assert!(members(&lab, g4()).is_empty());
    s.host(0).inject(&report(0x94, 1, true));
    until("the proper one to count", SOON, || (members(&lab, g4()) == [s.port(0)]).then_some(()));
    // A port that goes down takes its memberships along.
    s.host(0).namespace().ip(&["link set dev eth0 down"]);
    until("the member to be forgotten", SOON, || members(&lab, g4()).is_empty().then_some(()));
}

#[test]
fn a_network_can_be_told_to_flood_or_to_prune_always() {
    let Some(mut lab) = Hooks::Mixed.vswitch_lab("a_network_can_be_told_to_flood_or_to_prune_always") else {
        return;
    };
    let hosts = four(&mut lab);
    let audience = Audience::of(&hosts);
    let _joined = join(&hosts[1], g4());
    let set = |mode: &str| {
        lab.switch().ok(&[
            "network",
            "set",
            "default",
            "--multicast-snooping",
            mode,
            "--multicast-response-time",
            "1",
        ])
    };
    set("on");
    audience.settle(0, g4(), &[1]);
    assert!(routers(&lab).is_empty());
    set("off");
    audience.settle(0, g4(), &[1, 2, 3]);
    assert!(members(&lab, g4()).is_empty() && multicast_of(&lab, "default").scopes.is_empty());
    let refused = lab.switch().cli(&["network", "set", "default", "--multicast-querier"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--multicast-snooping auto"), "{refused:?}");
}

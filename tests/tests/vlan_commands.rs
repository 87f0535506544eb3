//! VLANs by command: what changes live, what is refused, and hosts' own stacks on both sides.

use std::net::Ipv4Addr;

use vswitch_tests::prelude::*;

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(500);

const STATION: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 0x55]);

fn make_campus(lab: &Lab) {
    lab.switch().ok(&["network", "create", "campus", "--vlan-aware"]);
}

fn on_campus(options: PortOptions) -> PortOptions {
    PortOptions { network: Some("campus".to_owned()), ..options }
}

fn campus(lab: &mut Lab, ports: Vec<PortOptions>) -> Stations {
    make_campus(lab);
    Stations::connect(lab, ports.into_iter().map(on_campus).collect())
}

each_hook!(vswitch a_port_that_changes_its_vlan_takes_nobody_along, |lab| {
    let s = campus(&mut lab, vec![PortOptions::access(10), PortOptions::access(10), PortOptions::access(20)]);
    s.expect_unchanged(0, &s.broadcast(0), &[1]);
    lab.switch().ok(&["port", "set", s.port(0), "--access", "20"]);
    assert!(lab.switch().fdb_show(&[]).iter().all(|entry| entry.mac != s.mac(0)));
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[]);
    s.expect_unchanged(2, &s.frame(2, s.mac(0)), &[0]);
    s.expect_unchanged(0, &s.broadcast(0), &[2]);
    lab.switch().ok(&["port", "set", s.port(0), "--trunk", "10,20"]);
    let flood = s.broadcast(1);
    s.expect(1, &flood, &[(0, frame::tagged(&flood, 10, 0))]);
    let flood = s.frame(0, s.mac(2));
    s.expect(0, &frame::tagged(&flood, 20, 0), &[(2, flood)]);
    // Another list of the same trunk counts at once.
    lab.switch().ok(&["port", "set", s.port(0), "--trunk", "20", "--native", "10"]);
    let flood = s.broadcast(0);
    s.expect_unchanged(0, &flood, &[1]);
    let shown = lab.switch().port_show(s.port(0)).vlan;
    assert_eq!((shown.pvid.map(|vid| vid.get()), shown.allowed.as_str()), (Some(10), "20"));
    // Nothing said is VLAN 1.
    lab.switch().ok(&["port", "set", s.port(0), "--no-vlan"]);
    s.expect_unchanged(0, &s.broadcast(0), &[]);
    lab.switch().ok(&["port", "set", s.port(1), "--access", "1"]);
    s.expect_unchanged(0, &s.broadcast(0), &[1]);
});

each_hook!(vswitch an_entry_belongs_to_a_vlan, |lab| {
    let s = campus(&mut lab, vec![
        PortOptions::access(10),
        PortOptions::access(20),
        PortOptions::trunk("10,20"),
        PortOptions::access(10),
    ]);
    let (mac, trunk) = (STATION.to_string(), s.port(2));
    lab.switch().ok(&["fdb", "add", &mac, trunk, "--vlan", "10"]);
    let known = s.frame(0, STATION);
    s.expect(0, &known, &[(2, frame::tagged(&known, 10, 0))]);
    let unknown = s.frame(2, STATION);
    s.expect(2, &frame::tagged(&unknown, 20, 0), &[(1, unknown)]);
    let entries = lab.switch().fdb_show(&["--mac", &mac]);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((entries[0].vlan.map(|vid| vid.get()), entries[0].kind), (Some(10), FdbKind::Static));
    // An access port's entry is of its own VLAN where none is named.
    lab.switch().ok(&["fdb", "add", &mac, s.port(1)]);
    assert_eq!(lab.switch().fdb_show(&["--mac", &mac, "--vlan", "20"]).len(), 1);
    let deleted = ["fdb", "del", &mac, "--network", "campus", "--vlan", "10"];
    lab.switch().ok(&deleted);
    let unknown = s.frame(0, STATION);
    s.expect(0, &unknown, &[(2, frame::tagged(&unknown, 10, 0)), (3, unknown.clone())]);
    assert_eq!(lab.switch().fdb_show(&["--mac", &mac]).len(), 1);
    lab.switch().ok(&["fdb", "flush", "--network", "campus", "--vlan", "10"]);
    let left = lab.switch().fdb_show(&["--network", "campus"]);
    assert!(left.iter().all(|entry| entry.vlan.map(|vid| vid.get()) == Some(20)) && !left.is_empty(), "{left:?}");
});

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("VLAN refusals") else { return };
    make_campus(&lab);
    let (a, b, free) = (
        lab.host_with("a", HostOptions::bare()),
        lab.host_with("b", HostOptions::bare()),
        lab.host_with("free", HostOptions::bare()),
    );
    lab.connect(&a, PortOptions::default());
    lab.connect(&b, on_campus(PortOptions::trunk("10,20")));
    lab.wire(&free);
    let state = || {
        let ports: serde_json::Value = lab.switch().json(&["port", "show"]);
        (ports, lab.switch().fdb_show(&[]).len())
    };
    let before = state();
    let mac = STATION.to_string();
    let refused: &[&[&str]] = &[
        &["port", "add", "free0", "--access", "10"],
        &["port", "add", "free0", "--trunk", "10"],
        &["port", "set", "a0", "--access", "10"],
        &["port", "set", "a0", "--trunk", "all", "--native", "5"],
        // A trunk may not come to a network that knows nothing of VLANs.
        &["port", "set", "b0", "--network", "default"],
        &["fdb", "add", &mac, "a0", "--vlan", "10"],
        &["fdb", "del", &mac, "--vlan", "10"],
        &["fdb", "add", &mac, "b0"],
        &["fdb", "add", &mac, "b0", "--vlan", "30"],
        &["fdb", "del", &mac, "--network", "campus"],
    ];
    for arguments in refused {
        let output = lab.switch().cli(&[arguments, &["--json"][..]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains("\"invalid-vlan\""), "{arguments:?}: {text}");
        assert_eq!(state(), before, "{arguments:?}: refused, yet something changed");
    }
    for wrong in ["0", "4095", "5000", "-1", "ten", ""] {
        for arguments in [
            vec!["port", "add", "free0", "--network", "campus", "--access", wrong],
            vec!["port", "add", "free0", "--network", "campus", "--trunk", wrong],
            vec!["port", "set", "b0", "--trunk", "10", "--native", wrong],
            vec!["fdb", "add", &mac, "b0", "--vlan", wrong],
        ] {
            let output = lab.switch().cli(&[&arguments[..], &["--json"]].concat());
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
            assert_eq!(state(), before, "{arguments:?}: refused, yet something changed");
        }
    }
    for wrong in ["10,,20", "20-10", "10-4095", "0-5", "all,5"] {
        let output = lab.switch().cli(&["port", "set", "b0", "--trunk", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert_eq!(state(), before, "{wrong}: refused, yet something changed");
    }
}

each_hook!(vswitch stacks_talk_within_a_vlan_and_not_across, |lab| {
    make_campus(&lab);
    let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
    let outside = lab.host_with("out", HostOptions::bare());
    for (host, vid) in hosts.iter().zip([10, 10, 20]) {
        lab.connect(host, on_campus(PortOptions::access(vid)));
    }
    lab.connect(&outside, on_campus(PortOptions::trunk("all")));
    ping(&hosts[0], &hosts[1], 56, 3);
    ping(&hosts[1], &hosts[0], 4000, 3);
    tcp_transfer(&hosts[0], &hosts[1], 5_000_000);
    udp_exchange(&hosts[0], &hosts[1], &[100, 1472, 9000]);
    assert!(traffic::try_ping(&hosts[0], hosts[2].ipv4().into(), 56, 1).is_err(), "VLANs 10 and 20 are joined");
    traffic::assert_no_checksum_errors(&hosts.iter().collect::<Vec<_>>());
});

each_hook!(vswitch arp_is_answered_in_the_vlan_it_is_asked_in, |lab| {
    let owner = MacAddr::from_octets([2, 0x77, 0, 0, 0, 1]);
    let known = Ipv4Addr::new(10, 77, 0, 77);
    let configured = PortOptions::access(10).with(&["--ip", "10.77.0.77", "--mac", &owner.to_string()]);
    let s = campus(&mut lab, vec![
        configured,
        PortOptions::trunk("10,20"),
        PortOptions::access(10),
        PortOptions::access(20),
    ]);
    let asker = (s.mac(1), Ipv4Addr::new(10, 77, 0, 9));
    let is_arp = |frame: &[u8]| frame::arp_of(frame).is_some();
    s.host(1).inject(&frame::tagged(&frame::arp_request(asker, known), 10, 0));
    let reply = s.heard(1).expect_exactly(1, is_arp, SOON).remove(0).frame;
    assert_eq!(frame::vid_of(&reply), Some(10));
    assert_eq!(frame::arp_of(&reply).map(|arp| (arp.is_reply(), arp.sender)), Some((true, (owner, known))));
    assert_eq!(frame::destination_of(&reply), Some(asker.0));
    for other in [0, 2, 3] {
        s.heard(other).expect_none(is_arp, Duration::ZERO);
    }
    // In VLAN 20 nobody is known to have it: the question reaches that VLAN, untagged, and no other.
    s.heard(1).clear();
    let request = frame::arp_request(asker, known);
    s.host(1).inject(&frame::tagged(&request, 20, 0));
    assert_eq!(s.heard(3).expect_exactly(1, is_arp, SOON)[0].frame, request);
    for other in [0, 1, 2] {
        s.heard(other).expect_none(is_arp, QUIET);
    }
    // And a question that the controller floods reaches a trunk tagged.
    s.heard(3).clear();
    let request = frame::arp_request((s.mac(2), Ipv4Addr::new(10, 77, 0, 8)), Ipv4Addr::new(10, 77, 0, 99));
    s.host(2).inject(&request);
    assert_eq!(s.heard(1).expect_exactly(1, is_arp, SOON)[0].frame, frame::tagged(&request, 10, 0));
    assert_eq!(s.heard(0).expect_exactly(1, is_arp, SOON)[0].frame, request);
    s.heard(3).expect_none(is_arp, Duration::ZERO);
});

#[test]
fn vlans_are_the_same_after_a_restart() {
    let Some(mut lab) = Hooks::Mixed.vswitch_lab("VLANs after a restart") else { return };
    let s =
        campus(&mut lab, vec![PortOptions::access(10), PortOptions::trunk("10,20"), PortOptions::access(20)]);
    lab.switch().ok(&["fdb", "add", &STATION.to_string(), s.port(1), "--vlan", "10"]);
    let shown = |lab: &Lab| {
        let ports = lab.switch().ports().into_iter().map(|port| (port.name, port.vlan)).collect::<Vec<_>>();
        (ports, lab.switch().fdb_show(&["--mac", &STATION.to_string()]))
    };
    let before = shown(&lab);
    lab.switch_mut().kill9();
    let known = s.frame(0, STATION);
    s.expect(0, &known, &[(1, frame::tagged(&known, 10, 0))]);
    lab.switch_mut().start_again();
    assert_eq!(shown(&lab), before);
    let flood = s.broadcast(2);
    s.expect(2, &flood, &[(1, frame::tagged(&flood, 20, 0))]);
}

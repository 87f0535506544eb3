//! A Linux bridge is replaced under running traffic, and put back.

use std::collections::BTreeSet;

use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{LongTransfer, Probe, try_ping};

use crate::{LOSS, RATE};

/// A bridge with an address, two containers at it, and a host outside behind NAT.
struct Place {
    lab: Lab,
    containers: Vec<Host>,
    wires: Vec<Wire>,
    outside: Host,
}

impl Place {
    fn new(title: &str) -> Option<Self> {
        Self::with(title, "stp_state 0")
    }

    fn with(title: &str, bridge: &str) -> Option<Self> {
        let mut lab = Hooks::Auto.vswitch_lab(title)?;
        let outside = lab.host_with("out", HostOptions::ipv4_only().subnet(1));
        let wire = lab.wire(&outside);
        let ns = lab.switch_ns();
        ns.ip(&[
            format!("link add name br0 type bridge {bridge}"),
            "addr add 10.77.0.254/24 dev br0".to_owned(),
            "link set dev br0 up".to_owned(),
            format!("addr add 10.77.1.254/24 dev {}", wire.port),
            format!("link set dev {} up", wire.port),
        ]);
        outside.namespace().ip(&["route add 10.77.0.0/24 via 10.77.1.254"]);
        ns.output(
            "nft",
            &["add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; \
                            add rule ip nat post ip saddr 10.77.0.0/24 ip daddr != 10.77.0.0/24 masquerade"],
        );
        let mut place = Self { lab, containers: Vec::new(), wires: Vec::new(), outside };
        for name in ["c1", "c2"] {
            place.start(name);
        }
        Some(place)
    }

    /// A container as an engine starts it: its link joins the bridge, then comes up.
    fn start(&mut self, name: &str) -> Host {
        let host = self.lab.host_with(name, HostOptions::ipv4_only());
        let wire = self.lab.wire(&host);
        self.lab.switch_ns().ip(&[
            format!("link set dev {} master br0", wire.port),
            format!("link set dev {} up", wire.port),
        ]);
        host.namespace().ip(&["route add default via 10.77.0.254"]);
        self.containers.push(host.clone());
        self.wires.push(wire);
        host
    }

    /// What a takeover could have changed at each container's link. A port's number, cost and timers are the bridge's own.
    fn footprints(&self) -> Vec<Footprint> {
        let each = self.containers.iter().zip(&self.wires);
        each.map(|(host, wire)| {
            Footprint::of(self.lab.switch_ns(), host, wire).without(&["near link linkinfo"])
        })
        .collect()
    }

    fn assert_restored(&self, before: &[Footprint]) {
        for (at, before) in before.iter().enumerate() {
            before.assert_restored(|| self.footprints().swap_remove(at));
        }
    }

    fn takeover(&self) -> Vec<Port> {
        self.lab.switch().json(&["takeover", "br0"])
    }

    fn release(&self) {
        self.lab.switch().ok(&["release", "br0"]);
    }

    /// Links whose master is the bridge.
    fn at_bridge(&self) -> BTreeSet<String> {
        let links = self.lab.switch_ns().ip_json(&["link", "show", "master", "br0"]);
        let names = links.as_array().expect("ip prints an array").iter();
        names.map(|link| link["ifname"].as_str().expect("a link has a name").to_owned()).collect()
    }

    fn wait_for_port(&self, name: &str) {
        until(&format!("{name} to become a port"), SOON, || {
            let ports = self.lab.switch().ports();
            ports.iter().any(|port| port.name == name && port.network == "br0").then_some(())
        });
        until(&format!("{name} to leave the bridge"), SOON, || {
            (!self.at_bridge().contains(name)).then_some(())
        });
    }

    /// Everybody to everybody, the bridge and the outside.
    fn all_reach_all(&self) {
        let gateway = std::net::IpAddr::from([10, 77, 0, 254]);
        for from in &self.containers {
            for to in &self.containers {
                try_ping(from, to.ipv4().into(), 56, 2).expect("container to container");
            }
            try_ping(from, gateway, 56, 2).expect("container to its gateway");
            try_ping(from, self.outside.ipv4().into(), 56, 2).expect("container to outside");
            let ping = self.lab.switch_ns().output("ping", &["-nqc1", "-W2", &from.ipv4().to_string()]);
            assert!(ping.contains(" 0% packet loss"), "{ping}");
        }
    }
}

/// Names in a set.
fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn nothing_is_lost_between_containers_and_outside_when_a_bridge_is_taken_over_and_released() {
    let Some(place) = Place::new("takeover under traffic") else { return };
    place.all_reach_all();
    let before = place.footprints();
    let [a, b] = &place.containers[..] else { panic!("two containers") };
    let probes = || [Probe::start(a, b, RATE), Probe::start(a, &place.outside, RATE)];
    let streams = [
        LongTransfer::start(a, b),
        LongTransfer::start(b, &place.outside),
        LongTransfer::start(&place.outside, a),
    ];

    let [inner, outer] = probes();
    inner.cover(200);
    let ports = place.takeover();
    inner.cover(500);
    let lost = [inner.finish(), outer.finish()];
    eprintln!("takeover: {lost:?}");
    assert!(lost.iter().all(|report| report.lost.len() <= LOSS), "takeover: {lost:?}");
    assert_eq!(
        ports.iter().map(|port| port.name.clone()).collect::<BTreeSet<_>>(),
        names(&["c10", "c20", "vswp1"])
    );
    assert_eq!(place.at_bridge(), names(&["vswb1"]));
    place.all_reach_all();
    let carried = |name| place.lab.switch().counters(name).rx_packets;
    assert!(
        ["c10", "c20", "vswp1"].into_iter().all(|port| carried(port) > 100),
        "the switch carried nothing"
    );

    let [inner, outer] = probes();
    inner.cover(200);
    place.release();
    inner.cover(500);
    let lost = [inner.finish(), outer.finish()];
    eprintln!("release: {lost:?}");
    assert!(lost.iter().all(|report| report.lost.len() <= LOSS), "release: {lost:?}");
    assert_eq!(place.at_bridge(), names(&["c10", "c20"]));
    place.all_reach_all();
    for stream in streams {
        assert!(stream.finish() > 1_000_000);
    }
    place.assert_restored(&before);
    assert!(place.lab.switch().ports().is_empty());
    assert!(!place.lab.switch_ns().has_link("vswb1") && !place.lab.switch_ns().has_link("vswp1"));
}

#[test]
fn containers_that_start_later_are_attached_and_those_that_go_are_forgotten() {
    let Some(mut place) = Place::new("takeover, later containers") else { return };
    place.takeover();
    for name in ["c3", "c4"] {
        place.start(name);
        place.wait_for_port(&format!("{name}0"));
    }
    place.all_reach_all();
    // A link that is at the bridge, but down, is somebody's work in progress.
    place
        .lab
        .switch_ns()
        .ip(&["link add name later type veth peer name later-peer", "link set dev later master br0"]);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(place.at_bridge().contains("later"));
    place.lab.switch_ns().ip(&["link set dev later-peer up", "link set dev later up"]);
    place.wait_for_port("later");
    place.lab.switch_ns().ip(&["link del dev later"]);
    // As an engine does when a container ends: its namespace goes, and the pair with it.
    place.lab.switch_ns().ip(&["link del dev c30"]);
    until("the ports of links that went to go", SOON, || {
        let ports: Vec<_> = place.lab.switch().ports().into_iter().map(|port| port.name).collect();
        (ports == ["c10", "c20", "c40", "vswp1"]).then_some(())
    });
    place.release();
    assert_eq!(place.at_bridge(), names(&["c10", "c20", "c40"]));
}

#[test]
fn a_controller_that_is_killed_finds_what_happened_at_the_bridge_meanwhile() {
    let Some(mut place) = Place::new("takeover, restart") else { return };
    place.takeover();
    let [a, b] = [place.containers[0].clone(), place.containers[1].clone()];
    let probe = Probe::start(&a, &b, RATE);
    place.lab.switch_mut().kill9();
    place.start("c3");
    place.lab.switch_ns().ip(&["link del dev c20"]);
    place.lab.switch_mut().start_again();
    place.wait_for_port("c30");
    drop(probe);
    place.containers.remove(1);
    place.wires.remove(1);
    place.all_reach_all();
    let ports: Vec<_> = place.lab.switch().ports().into_iter().map(|port| port.name).collect();
    assert_eq!(ports, ["c10", "c30", "vswp1"]);
    place.release();
    assert_eq!(place.at_bridge(), names(&["c10", "c30"]));
    place.all_reach_all();
}

#[test]
fn a_teardown_gives_the_bridge_its_links_back() {
    let Some(mut place) = Place::new("takeover, teardown") else { return };
    let before = place.footprints();
    place.takeover();
    let stream = LongTransfer::start(&place.containers[0], &place.containers[1]);
    place.lab.switch_mut().teardown();
    assert_eq!(place.at_bridge(), names(&["c10", "c20"]));
    place.all_reach_all();
    assert!(stream.finish() > 0);
    place.assert_restored(&before);
    assert!(!place.lab.switch_ns().has_link("vswb1"));
}

#[test]
fn a_bridge_that_is_gone_is_waited_for_and_can_be_released() {
    let Some(mut place) = Place::new("takeover, bridge gone") else { return };
    place.takeover();
    let mac = place.lab.switch_ns().ip_json(&["link", "show", "dev", "br0"])[0]["address"].clone();
    place.lab.switch_ns().ip(&[
        "link del dev br0",
        // Containers go on asking for the MAC of the old one for a while.
        &format!(
            "link add name br0 address {} type bridge stp_state 0",
            mac.as_str().expect("a bridge has a MAC")
        ),
        "addr add 10.77.0.254/24 dev br0",
        "link set dev br0 up",
    ]);
    until("the pair to be at the new bridge", SOON, || {
        (place.at_bridge() == names(&["vswb1"])).then_some(())
    });
    place.start("c3");
    place.wait_for_port("c30");
    until("containers to reach the new bridge", SOON, || {
        place.containers.iter().all(|c| try_ping(c, [10, 77, 0, 254].into(), 56, 1).is_ok()).then_some(())
    });
    place.all_reach_all();
    place.lab.switch_ns().ip(&["link del dev br0"]);
    place.release();
    assert!(place.lab.switch().ports().is_empty() && !place.lab.switch_ns().has_link("vswp1"));
}

#[test]
fn settings_of_a_bridge_port_hold_at_the_switch_and_come_back() {
    let Some(place) = Place::new("takeover, port settings") else { return };
    let ns = place.lab.switch_ns();
    ns.ip(&["link set dev c10 type bridge_slave isolated on hairpin on"]);
    let settings = || {
        let links = ns.ip_json(&["link", "show", "dev", "c10"]);
        let data = &links[0]["linkinfo"]["info_slave_data"];
        (data["isolated"].clone(), data["hairpin"].clone())
    };
    let before = settings();
    place.takeover();
    let port = place.lab.switch().port_show("c10");
    assert!(port.isolated && port.hairpin);
    place.release();
    assert_eq!(settings(), before);
}

#[test]
fn a_bridge_that_waits_for_stp_loses_nothing_either() {
    let Some(place) = Place::with("takeover, STP", "stp_state 1 forward_delay 200") else { return };
    until("the bridge to forward", Duration::from_secs(20), || {
        try_ping(&place.containers[0], place.containers[1].ipv4().into(), 56, 1).ok()
    });
    for arguments in [["takeover", "br0"], ["release", "br0"]] {
        let probe = Probe::start(&place.containers[0], &place.containers[1], RATE);
        probe.cover(200);
        place.lab.switch().ok(&arguments);
        probe.cover(300);
        let report = probe.finish();
        assert!(report.lost.len() <= LOSS, "{arguments:?}: {report:?}");
    }
    place.all_reach_all();
}

#[test]
fn what_cannot_be_taken_over_is_refused_with_its_reason() {
    let Some(place) = Place::new("takeover, refusals") else { return };
    let ns = place.lab.switch_ns();
    ns.ip(&[
        "link add name idle type bridge",
        "link add name odd type bridge forward_delay 1500 stp_state 1",
        "link set dev odd up",
    ]);
    let refuse = |arguments: &[&str], code: &str, word: &str| {
        let output = place.lab.switch().cli(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("\"{code}\"")) && said.contains(word), "{arguments:?}: {said}");
    };
    refuse(&["takeover", "nosuch"], "no-such-link", "nosuch");
    refuse(&["takeover", "c10"], "link-unsuitable", "not a bridge");
    refuse(&["takeover", "idle"], "link-unsuitable", "ip link set dev idle up");
    refuse(&["takeover", "odd"], "unsupported", "stp_state 0");
    refuse(&["release", "br0"], "bridge-not-taken", "vswitch takeover br0");
    ns.ip(&["addr add 10.9.9.9/24 dev c10"]);
    refuse(&["takeover", "br0"], "link-has-address", "10.9.9.9");
    ns.ip(&["addr del 10.9.9.9/24 dev c10"]);
    place.lab.switch().ok(&["network", "create", "br0"]);
    refuse(&["takeover", "br0"], "network-exists", "br0");
    place.lab.switch().ok(&["network", "rm", "br0"]);
    assert_eq!(place.at_bridge(), names(&["c10", "c20"]), "a refusal changed something");
    place.takeover();
    refuse(&["takeover", "br0"], "bridge-taken", "already");
    for arguments in
        [&["port", "del", "c10"][..], &["port", "del", "vswp1"], &["network", "rm", "br0", "--force"]]
    {
        refuse(arguments, "bridge-taken", "vswitch release br0");
    }
    ns.ip(&["link add name extra type veth peer name extra-peer"]);
    place.lab.switch().ok(&["port", "add", "extra", "--network", "br0"]);
    refuse(&["release", "br0"], "network-in-use", "vswitch port del extra");
    place.lab.switch().ok(&["port", "del", "extra"]);
    place.release();
    place.all_reach_all();
}

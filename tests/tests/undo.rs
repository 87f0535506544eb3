//! A port that is deleted and a switch that is torn down leave nothing behind and put everything back.

use std::fs;
use std::path::Path;

use vswitch_tests::prelude::*;
use vswitch_tests::proof::BpfObjects;

/// Every file under a folder of a bpffs.
fn pins(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(pins(&path)) } else { found.push(path.display().to_string()) }
    }
    found.sort();
    found
}

/// A host whose link is up, with the settings a container engine would leave it with.
fn prepared(lab: &mut Lab, name: &str) -> (Host, Wire) {
    let host = lab.host(name);
    let wire = lab.wire(&host);
    lab.switch_ns().ip(&[format!("link set dev {} up", wire.port)]);
    host.wait_for_ipv6();
    (host, wire)
}

each_hook!(vswitch a_deleted_port_leaves_its_link_as_it_was, |lab| {
    let (host, wire) = prepared(&mut lab, "a");
    let ns = lab.switch_ns().clone();
    let look = || Footprint::of(&ns, &host, &wire);
    let (before, objects) = (look(), BpfObjects::of(lab.switch()));
    let pinned = pins(&lab.switch().bpffs());
    for _ in 0..2 {
        lab.add_port(&wire.port, PortOptions::default());
        let added = BpfObjects::of(lab.switch()).since(&objects);
        lab.subject().delete_port(&wire.port);
        before.assert_restored(look);
        added.assert_gone();
        assert_eq!(pins(&lab.switch().bpffs()), pinned);
    }
});

each_hook!(vswitch a_deleted_port_whose_link_was_down_is_put_back_but_for_being_up, |lab| {
    let host = lab.host("a");
    let wire = lab.wire(&host);
    let ns = lab.switch_ns().clone();
    // Being up shows in flags, carrier and addresses at both ends; whether del takes the link down is not promised.
    let of_being_up = ["link flags", "link operstate", "address", "qdisc"];
    let look = || Footprint::of(&ns, &host, &wire).without(&of_being_up);
    let before = look();
    lab.add_port(&wire.port, PortOptions::default());
    lab.subject().delete_port(&wire.port);
    before.assert_restored(look);
});

each_hook!(vswitch an_odd_link_gets_its_odd_settings_back, |lab| {
    let (host, wire) = prepared(&mut lab, "a");
    let ns = lab.switch_ns().clone();
    ns.ip(&[format!("link set dev {} mtu 1400", wire.port), format!("link set dev {} promisc on", wire.port)]);
    ns.sysctl(&format!("ipv6/conf/{}/disable_ipv6", wire.port), "1");
    ns.output("ethtool", &["-K", &wire.port, "gro", "on"]);
    host.namespace().output("ethtool", &["-K", "eth0", "tx", "off", "gro", "on"]);
    let look = || Footprint::of(&ns, &host, &wire);
    let before = look();
    lab.add_port(&wire.port, PortOptions::default());
    lab.subject().delete_port(&wire.port);
    before.assert_restored(look);
});

each_hook!(vswitch a_port_whose_hook_was_changed_is_put_back_too, |lab| {
    let (host, wire) = prepared(&mut lab, "a");
    let ns = lab.switch_ns().clone();
    let look = || Footprint::of(&ns, &host, &wire);
    let before = look();
    lab.add_port(&wire.port, PortOptions::default());
    for hook in ["xdp", "tc", "auto"] {
        lab.switch().ok(&["port", "set", &wire.port, "--hook", hook]);
    }
    lab.subject().delete_port(&wire.port);
    before.assert_restored(look);
});

each_hook!(vswitch a_port_is_put_back_by_a_controller_that_adopted_it, |lab| {
    let (host, wire) = prepared(&mut lab, "a");
    let ns = lab.switch_ns().clone();
    let look = || Footprint::of(&ns, &host, &wire);
    let before = look();
    lab.add_port(&wire.port, PortOptions::default());
    lab.switch_mut().kill9();
    lab.switch_mut().start_again();
    lab.subject().delete_port(&wire.port);
    before.assert_restored(look);
});

/// Three ports in two networks with traffic, then a teardown.
fn tears_down(mut lab: Lab, controller_runs: bool) {
    let links: Vec<(Host, Wire)> = ["a", "b", "c"].iter().map(|name| prepared(&mut lab, name)).collect();
    let ns = lab.switch_ns().clone();
    let look = || links.iter().map(|(host, wire)| Footprint::of(&ns, host, wire)).collect::<Vec<_>>();
    // What belongs to others: a folder beside the pins, and a qdisc for filters on a link that becomes a port.
    let foreign = lab.scratch().bpffs().join("foreign");
    fs::create_dir(&foreign).expect("a bpffs takes folders");
    ns.output("tc", &["qdisc", "add", "dev", &links[0].1.port, "clsact"]);
    let (before, before_ns) = (look(), Footprint::of_namespace(&ns));
    lab.subject().create_network("other");
    for ((_, wire), network) in links.iter().zip(["default", "default", "other"]) {
        lab.add_port(&wire.port, PortOptions::network(network));
    }
    ping(&links[0].0, &links[1].0, 56, 2);
    let objects = BpfObjects::of(lab.switch());
    assert!(objects.count("prog") > 0 && objects.count("map") > 0, "{objects:?}");
    if !controller_runs {
        lab.switch_mut().kill9();
    }
    lab.switch_mut().teardown();
    for (number, before) in before.iter().enumerate() {
        before.assert_restored(|| look().swap_remove(number));
    }
    before_ns.assert_restored(|| Footprint::of_namespace(&ns));
    objects.assert_gone();
    assert_eq!(pins(&lab.switch().bpffs()), Vec::<String>::new());
    assert!(foreign.exists(), "a folder of others was removed");
    assert!(!lab.switch().socket().exists(), "the socket is left");
}

each_hook!(vswitch a_teardown_leaves_nothing_behind, |lab| {
    tears_down(lab, true);
});

each_hook!(vswitch a_teardown_without_a_controller_leaves_nothing_behind, |lab| {
    tears_down(lab, false);
});

#[test]
fn after_a_teardown_the_switch_starts_afresh() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("afresh") else { return };
    let (host, wire) = prepared(&mut lab, "a");
    lab.add_port(&wire.port, PortOptions::default());
    lab.switch_mut().teardown();
    lab.switch_mut().start_again();
    assert!(!lab.switch().status().adopted && lab.switch().ports().is_empty());
    lab.add_port(&wire.port, PortOptions::default());
    let other = lab.host("b");
    lab.connect(&other, PortOptions::default());
    ping(&host, &other, 56, 3);
}

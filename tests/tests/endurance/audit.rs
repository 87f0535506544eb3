//! Whether the kernel holds what the durable state says, and nothing else: links, programs, pins, map entries, rules.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use vswitch_tests::prelude::*;

/// What a switch should hold by its state file, or what it does hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// Ports: link name → index.
    pub(crate) ports: BTreeMap<String, u64>,
    /// Attached programs: (link, hook).
    pub(crate) programs: BTreeSet<(String, &'static str)>,
    /// Pinned attachments.
    pub(crate) pins: BTreeSet<String>,
    /// Indices in the map of links.
    pub(crate) mapped: BTreeSet<u64>,
    /// Places in flood lists.
    pub(crate) members: usize,
    /// Addresses that ports were given.
    pub(crate) guarded: usize,
    /// Links that the switch made for itself.
    pub(crate) own_links: BTreeSet<String>,
    /// Whether there is a table of rules.
    pub(crate) has_rules: bool,
    /// Published ports of the host in the rules.
    pub(crate) published: BTreeSet<u64>,
    /// Links at the bridge `br0`.
    pub(crate) at_bridge: BTreeSet<String>,
}

/// The durable state.
pub(crate) fn state(lab: &Lab) -> Value {
    lab.switch().durable_state()
}

/// What should be there; `bridged` are the links that are at `br0` while it is not taken over.
pub(crate) fn desired(lab: &Lab, bridged: &[&str]) -> Holdings {
    let state = state(lab);
    let mut wanted = Holdings::default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (slot, port) in state["ports"].as_object().into_iter().flatten() {
        let (link, index) = (text(&port["link"]), port["ifindex"].as_u64().unwrap_or(0));
        wanted.ports.insert(link.clone(), index);
        wanted.mapped.insert(index);
        wanted.members += 1;
        wanted.programs.insert((link.clone(), "tc"));
        wanted.pins.insert(format!("{slot}-tc"));
        if !port["attached"]["xdp"].is_null() {
            wanted.programs.insert((link, "xdp"));
            wanted.pins.insert(format!("{slot}-xdp"));
        }
        if port["options"]["router"] != true {
            wanted.guarded += port["options"]["ips"].as_array().map_or(0, Vec::len);
        }
    }
    for network in state["networks"].as_object().into_iter().flatten().map(|(_, network)| network) {
        if network["gateway"].is_object() {
            wanted.has_rules = true;
            wanted.own_links.insert(text(&network["gateway"]["link"]));
            wanted.own_links.insert(text(&network["gateway"]["port_link"]));
        }
    }
    for publish in state["publishes"].as_array().into_iter().flatten() {
        let ports = text(&publish["host_ports"]);
        wanted.published.extend(ports.split('-').next().and_then(|port| port.parse::<u64>().ok()));
    }
    match &state["takeovers"]["br0"]["number"] {
        Value::Number(number) => {
            let pair = [format!("vswb{number}"), format!("vswp{number}")];
            wanted.at_bridge.insert(pair[0].clone());
            wanted.own_links.extend(pair);
        }
        _ => wanted.at_bridge.extend(bridged.iter().map(|&link| link.to_owned())),
    }
    wanted
}

/// What is there.
pub(crate) fn observed(lab: &Lab) -> Holdings {
    let (switch, ns) = (lab.switch(), lab.switch_ns());
    let mut found = Holdings::default();
    for port in switch.ports() {
        found.ports.insert(port.name, port.ifindex.into());
    }
    for attached in proof::attachments(ns) {
        let hook = if attached.place.starts_with("xdp") { "xdp" } else { "tc" };
        assert!(
            found.programs.insert((attached.link.clone(), hook)),
            "{} has two {hook} programs",
            attached.link
        );
    }
    let pins = std::fs::read_dir(switch.bpffs().join("links")).into_iter().flatten().flatten();
    found.pins = pins.filter_map(|pin| pin.file_name().into_string().ok()).collect();
    found.mapped = entries(lab, "LINKS").iter().filter_map(|entry| number(&entry["key"])).collect();
    found.members = entries(lab, "MEMBERS").len();
    found.guarded = entries(lab, "GUARDS").len();
    for link in ns.ip_json(&["link", "show"]).as_array().into_iter().flatten() {
        let name = link["ifname"].as_str().unwrap_or_default();
        if name.starts_with("vsw") {
            found.own_links.insert(name.to_owned());
        }
        if link["master"] == "br0" {
            found.at_bridge.insert(name.to_owned());
        }
    }
    let rules = ns.output("nft", &["list", "ruleset"]);
    found.has_rules = rules.contains("table inet vswitch");
    let dnat = rules.lines().filter(|line| line.contains("dnat"));
    let port = |line: &str| line.split_once("dport ")?.1.split_whitespace().next()?.parse().ok();
    found.published = dnat.filter_map(port).collect();
    found
}

/// Waits until what is there is what should be.
#[track_caller]
pub(crate) fn assert_as_desired(lab: &Lab, bridged: &[&str], after: &str) {
    let same = vswitch_tests::wait::poll(SOON, || (observed(lab) == desired(lab, bridged)).then_some(()));
    assert!(
        same.is_some(),
        "{after}:\nthere is {:#?}\nthere should be {:#?}\n{}",
        observed(lab),
        desired(lab, bridged),
        lab.switch().log()
    );
}

/// The entries of a pinned hash map.
fn entries(lab: &Lab, map: &str) -> Vec<Value> {
    let pin = lab.switch().bpffs().join("maps").join(map);
    let dump = Command::new("bpftool").args(["-j", "map", "dump", "pinned"]).arg(&pin).output();
    let dump = dump.expect("bpftool is installed");
    assert!(dump.status.success(), "{}: {}", pin.display(), String::from_utf8_lossy(&dump.stderr));
    let json: Value = serde_json::from_slice(&dump.stdout).expect("bpftool -j prints JSON");
    json.as_array().cloned().unwrap_or_default()
}

/// A little-endian number, as bpftool prints the octets.
fn number(octets: &Value) -> Option<u64> {
    let octets = octets.as_array()?.iter().rev();
    octets
        .map(|octet| u64::from_str_radix(octet.as_str()?.strip_prefix("0x")?, 16).ok())
        .try_fold(0, |sum, octet| Some(sum << 8 | octet?))
}

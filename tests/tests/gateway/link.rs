//! The gateway is a port whose other side is the host's stack, and nobody takes its place.

use vswitch::api::types::{FdbKind, Network};
use vswitch_tests::prelude::*;

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(300);

use vswitch_tests::world::{Mirror, assert_seen, gateways, guest, network, world};

fn inspect(lab: &Lab, name: &str) -> Network {
    lab.switch().json::<Vec<Network>>(&["network", "inspect", name]).pop().expect("the one network")
}

#[test]
fn host_and_containers_reach_each_other() {
    let (mut lab, _outside) = world("gateway");
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    let ns = lab.switch_ns().clone();
    for gateway in gateways(0) {
        traffic::ping_address(&a, gateway, 56, 3);
    }
    let (_at_a, _at_host) = (Mirror::start(a.namespace(), 7000), Mirror::start(&ns, 7001));
    for (to, gateway) in [(a.ipv4().into(), gateways(0)[0]), (a.ipv6().into(), gateways(0)[1])] {
        assert_seen(&ns, to, 7000, gateway);
        assert_seen(a.namespace(), gateway, 7001, to);
    }
    traffic::assert_no_checksum_errors(&[&a]);
}

#[test]
fn the_network_and_its_port_are_shown_as_docker_would() {
    let (mut lab, _outside) = world("gateway");
    lab.switch_ns().ip(&["link set dev out0 mtu 1400"]);
    network(&lab, "web", 0, &["--label", "tier=front"]);
    let a = guest(&mut lab, "a", "web", 0);
    let shown = inspect(&lab, "web");
    let json = serde_json::to_value(&shown).expect("JSON");
    assert_eq!(json["IPAM"]["Config"][0]["Subnet"], "10.77.0.0/24");
    assert_eq!(json["IPAM"]["Config"][1]["Gateway"], "fd77::fe");
    assert_eq!(json["EnableIPv6"], true);
    assert_eq!(json["Containers"]["a0"]["Name"], "a");
    assert_eq!(json["Containers"]["a0"]["IPv4Address"], format!("{}/24", a.ipv4()));
    let gateway = shown.gateway.expect("a gateway");
    assert_eq!(gateway.mtu, 1400, "the uplink's");
    let port = lab.switch().port_show(&gateway.port);
    let endpoint = port.endpoint.expect("an endpoint");
    assert_eq!((endpoint.name.as_deref(), endpoint.mac), (Some("gateway"), Some(gateway.mac)));
    assert_eq!(endpoint.addresses, gateways(0));
    assert!(!port.vlan.allowed.contains('1') && port.network == "web");
    let entry = lab.switch().fdb_show(&["--mac", &gateway.mac.to_string()]);
    assert_eq!(entry.iter().map(|entry| entry.kind).collect::<Vec<_>>(), [FdbKind::Local]);
}

#[test]
fn the_gateway_stays_when_somebody_wants_it_gone() {
    let (mut lab, _outside) = world("gateway");
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    let gateway = inspect(&lab, "web").gateway.expect("a gateway");
    let mac = gateway.mac.to_string();
    for (refused, code) in [
        (vec!["port", "del", &gateway.port], "gateway-port"),
        (vec!["port", "set", &gateway.port, "--network", "default"], "gateway-port"),
        (vec!["port", "set", &gateway.port, "--no-ip"], "gateway-port"),
        (vec!["fdb", "del", &mac, "--network", "web"], "gateway-port"),
        (vec!["fdb", "add", &mac, "a0"], "gateway-port"),
        (vec!["network", "rm", "web"], "network-in-use"),
        (vec!["port", "add", &gateway.link], "link-has-address"),
    ] {
        let output = lab.switch().cli(&[refused.as_slice(), &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && said.contains(code), "{refused:?}: {said}");
    }
    lab.switch().ok(&["fdb", "flush", "--static"]);
    traffic::ping_address(&a, gateways(0)[0], 56, 3);
    // Somebody else deletes the link: it comes back.
    lab.switch_ns().ip(&[format!("link del dev {}", gateway.link)]);
    until("the gateway to come back", SOON, || {
        traffic::try_ping(&a, gateways(0)[0], 56, 1).is_ok().then_some(())
    });
    assert_eq!(inspect(&lab, "web").gateway.expect("a gateway").mac, gateway.mac);
}

#[test]
fn no_host_takes_the_gateways_place() {
    let (mut lab, _outside) = world("gateway");
    network(&lab, "web", 0, &[]);
    let (a, b) = (guest(&mut lab, "a", "web", 0), guest(&mut lab, "b", "web", 0));
    // Nothing was said of this one's addresses, so it may say what it likes.
    let free = lab.host_with("free", HostOptions::bare());
    lab.connect(&free, PortOptions::network("web"));
    let mac = inspect(&lab, "web").gateway.expect("a gateway").mac;
    let std::net::IpAddr::V4(ip) = gateways(0)[0] else { panic!("IPv4 comes first") };
    traffic::ping_address(&a, ip.into(), 56, 1);
    let at_a = a.sniff();
    for claim in [frame::gratuitous_arp((mac, ip)), frame::gratuitous_arp((b.mac(), ip))] {
        b.inject(&claim);
    }
    b.inject(&frame::marked(MacAddr::BROADCAST, mac, 1));
    at_a.expect_none(frame::has_mark(1), QUIET);
    for mark in 2..20 {
        free.inject(&frame::marked(MacAddr::BROADCAST, mac, mark));
    }
    let at_free = free.sniff();
    traffic::ping_address(&a, ip.into(), 56, 3);
    let entries = lab.switch().fdb_show(&["--mac", &mac.to_string()]);
    assert_eq!(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>(), [FdbKind::Local]);
    // Who asks anew is told the truth, whatever others claimed.
    free.inject(&frame::arp_reply((free.mac(), ip), (b.mac(), b.ipv4())));
    a.namespace().ip(&["neigh flush all"]);
    traffic::ping_address(&a, ip.into(), 56, 3);
    let neighbours = a.namespace().ip_json(&["neigh", "show", "to", &ip.to_string()]);
    assert_eq!(neighbours[0]["lladdr"], mac.to_string());
    at_free.expect_none(|frame| frame::destination_of(frame) == Some(mac), QUIET);
}

#[test]
fn a_restart_keeps_the_gateway_and_a_crash_loses_nothing() {
    let (mut lab, _outside) = world("gateway");
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    let before = inspect(&lab, "web").gateway;
    let links = lab.switch_ns().ip_json(&["link", "show"]);
    lab.switch_mut().kill9();
    traffic::ping_address(&a, gateways(0)[0], 56, 3);
    lab.switch_mut().start_again();
    traffic::ping_address(&a, gateways(0)[0], 56, 3);
    assert_eq!(inspect(&lab, "web").gateway, before);
    let count = |links: &serde_json::Value| links.as_array().map(Vec::len);
    assert_eq!(count(&links), count(&lab.switch_ns().ip_json(&["link", "show"])));
    // As after a reboot: the links are gone, the state is there.
    lab.switch_mut().stop();
    lab.switch_ns().ip(&[format!("link del dev {}", before.expect("a gateway").link)]);
    lab.switch_mut().start_again();
    traffic::ping_address(&a, gateways(0)[0], 56, 3);
}

#[test]
fn a_network_that_goes_takes_its_gateway_along() {
    let (lab, _outside) = world("gateway");
    let look = || Footprint::of_namespace(lab.switch_ns());
    let before = look();
    network(&lab, "web", 0, &[]);
    assert_ne!(look(), before);
    lab.switch().ok(&["network", "rm", "web"]);
    before.assert_restored(look);
    network(&lab, "web", 0, &[]);
    lab.switch().ok(&["network", "rm", "web", "--force"]);
    before.assert_restored(look);
}

//! Published ports: reached from everywhere they should be, by clients that keep their address.

use std::net::IpAddr;

use vswitch_tests::prelude::*;

use vswitch_tests::world::{
    HOST, HOST6, Mirror, OUTSIDE, OUTSIDE6, assert_seen, assert_unreachable, gateways, guest, network,
    refusal, world,
};

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const LOCALHOST6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

/// Publishes by TCP and UDP.
fn publish(lab: &Lab, network: &str, ports: &str) {
    for protocol in ["tcp", "udp"] {
        lab.switch().ok(&["publish", "add", network, &format!("{ports}/{protocol}")]);
    }
}

fn unpublish(lab: &Lab, network: &str, ports: &str) {
    for protocol in ["tcp", "udp"] {
        lab.switch().ok(&["publish", "del", network, &format!("{ports}/{protocol}")]);
    }
}

#[test]
fn a_published_port_is_reached_from_everywhere_and_sees_its_clients() {
    let (mut lab, outside) = world("publish");
    network(&lab, "web", 0, &[]);
    network(&lab, "back", 1, &[]);
    let (a, b) = (guest(&mut lab, "a", "web", 0), guest(&mut lab, "b", "web", 0));
    let other = guest(&mut lab, "c", "back", 1);
    let _at_a = Mirror::start(a.namespace(), 80);
    publish(&lab, "web", &format!("8080:{}:80", a.ipv4()));
    publish(&lab, "web", &format!("8080:[{}]:80", a.ipv6()));
    let ns = lab.switch_ns().clone();
    let [gateway, gateway6] = gateways(0);
    // From outside, with the real address.
    assert_seen(outside.namespace(), HOST, 8080, OUTSIDE);
    assert_seen(outside.namespace(), HOST6, 8080, OUTSIDE6);
    // From the host by its addresses; 127.0.0.1 and ::1 cannot be answered, so it is the gateway there.
    assert_seen(&ns, HOST, 8080, HOST);
    assert_seen(&ns, HOST6, 8080, HOST6);
    assert_seen(&ns, LOCALHOST, 8080, gateway);
    assert_seen(&ns, LOCALHOST6, 8080, gateway6);
    assert_seen(&ns, gateway, 8080, gateway);
    // From the same network, from the very host, and from another network.
    for client in [&a, &b] {
        assert_seen(client.namespace(), HOST, 8080, gateway);
        assert_seen(client.namespace(), HOST6, 8080, gateway6);
        assert_seen(client.namespace(), gateway, 8080, gateway);
    }
    assert_seen(other.namespace(), HOST, 8080, other.ipv4().into());
    assert_seen(other.namespace(), HOST6, 8080, other.ipv6().into());
    traffic::assert_no_checksum_errors(&[&a, &b, &other]);
    // And no more when it is published no more.
    unpublish(&lab, "web", &format!("8080:{}:80", a.ipv4()));
    for from in [outside.namespace(), &ns, b.namespace()] {
        assert_unreachable(from, HOST, 8080);
    }
    assert_seen(outside.namespace(), HOST6, 8080, OUTSIDE6);
}

#[test]
fn ranges_lead_port_by_port_and_host_addresses_are_told_apart() {
    let (mut lab, outside) = world("publish");
    lab.switch_ns().ip(&["addr add 192.0.2.7/24 dev out0"]);
    network(&lab, "web", 0, &[]);
    let (a, b) = (guest(&mut lab, "a", "web", 0), guest(&mut lab, "b", "web", 0));
    let _at_a: Vec<_> = [80, 82, 9001].map(|port| Mirror::start(a.namespace(), port)).into();
    let _at_b = Mirror::start(b.namespace(), 80);
    publish(&lab, "web", &format!("8000-8002:{}:80-82", a.ipv4()));
    publish(&lab, "web", &format!("9000-9002:{}:9000-9002", a.ipv4()));
    publish(&lab, "web", &format!("192.0.2.1:80:{}:80", a.ipv4()));
    publish(&lab, "web", &format!("192.0.2.7:80:{}:80", b.ipv4()));
    publish(&lab, "web", &format!("127.0.0.1:81:{}:80", b.ipv4()));
    for port in [8000, 8002, 9001, 80] {
        assert_seen(outside.namespace(), HOST, port, OUTSIDE);
    }
    assert_unreachable(outside.namespace(), HOST, 8001);
    assert_seen(outside.namespace(), [192, 0, 2, 7].into(), 80, OUTSIDE);
    assert_seen(lab.switch_ns(), LOCALHOST, 81, gateways(0)[0]);
    assert_unreachable(outside.namespace(), HOST, 81);
    publish(&lab, "web", &format!("[::1]:81:[{}]:80", b.ipv6()));
    assert_seen(lab.switch_ns(), LOCALHOST6, 81, gateways(0)[1]);
    assert_unreachable(outside.namespace(), HOST6, 81);
    // Somebody outside who sends to 127.0.0.1 by way of the host gets nowhere.
    outside.namespace().ip(&["route add 127.0.0.2 via 192.0.2.1 dev eth0"]);
    outside.namespace().sysctl("ipv4/conf/eth0/route_localnet", "1");
    publish(&lab, "web", &format!("127.0.0.2:82:{}:80", b.ipv4()));
    assert_unreachable(outside.namespace(), [127, 0, 0, 2].into(), 82);
    lab.switch_mut().restart();
    assert_seen(outside.namespace(), HOST, 8002, OUTSIDE);
    let shown: Vec<serde_json::Value> = lab.switch().json(&["publish", "ls", "--network", "web"]);
    assert_eq!(shown.len(), 14);
    assert_eq!(shown[0]["host_ports"], "8000-8002");
}

#[test]
fn nobody_on_a_network_reaches_the_hosts_loopback() {
    let (mut lab, _outside) = world("publish");
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    let shown = lab.switch().json::<Vec<vswitch::api::types::Network>>(&["network", "inspect", "web"]);
    let gateway = shown[0].gateway.as_ref().expect("a gateway").mac;
    let ours = lab.switch_ns().run(|| std::net::UdpSocket::bind("[::]:6000").expect("a free port"));
    ours.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket");
    let [_, IpAddr::V6(gateway6)] = gateways(0) else { panic!("IPv6 comes second") };
    let loopback = std::net::Ipv6Addr::LOCALHOST;
    for (from, to, is_heard) in
        [(a.ipv6(), gateway6, true), (a.ipv6(), loopback, false), (loopback, gateway6, false)]
    {
        a.inject(&frame::ipv6_udp((a.mac(), from, 4_000), (gateway, to, 6_000), b"?"));
        assert_eq!(ours.recv_from(&mut [0; 64]).is_ok(), is_heard, "from {from} to {to}");
    }
}

#[test]
fn what_cannot_be_published_is_refused_with_the_reason() {
    let (mut lab, _outside) = world("publish");
    network(&lab, "web", 0, &[]);
    network(&lab, "dark", 1, &["--internal"]);
    let a = guest(&mut lab, "a", "web", 0);
    let _listens = Mirror::start(lab.switch_ns(), 7070);
    let target = a.ipv4();
    lab.switch().ok(&["publish", "add", "web", &format!("8000-8010:{target}:8000-8010")]);
    let rules = lab.switch_ns().output("nft", &["list", "ruleset"]);
    for (network, ports, code, names) in [
        ("web", format!("8005:{target}:80"), "host-port-in-use", "8000-8010"),
        ("web", format!("7070:{target}:80"), "host-port-in-use", "7070"),
        ("web", format!("7070:{target}:80/udp"), "host-port-in-use", "7070"),
        ("web", "80:10.78.0.1:80".to_owned(), "invalid-argument", "10.77.0.0/24"),
        ("web", "80:10.77.0.254:80".to_owned(), "invalid-argument", "10.77.0.254"),
        ("web", format!("80-81:{target}:80"), "invalid-argument", "as many"),
        ("web", format!("203.0.113.9:80:{target}:80"), "invalid-argument", "203.0.113.9"),
        ("web", format!("192.0.2.1:80:[{}]:80", a.ipv6()), "invalid-argument", "version"),
        ("dark", "80:10.77.1.2:80".to_owned(), "invalid-argument", "internal"),
        ("default", "80:10.77.1.2:80".to_owned(), "invalid-argument", "no subnet"),
        ("nowhere", "80:10.77.1.2:80".to_owned(), "no-such-network", "nowhere"),
    ] {
        let (got, message) = refusal(&lab, &["publish", "add", network, &ports]);
        assert!(got == code && message.contains(names), "{ports}: {got}: {message}");
    }
    assert_eq!(refusal(&lab, &["publish", "del", "web", &format!("1:{target}:1")]).0, "no-such-publish");
    assert_eq!(lab.switch_ns().output("nft", &["list", "ruleset"]), rules, "nothing was changed");
}

#[test]
fn a_udp_client_follows_when_the_target_changes() {
    let (mut lab, outside) = world("publish");
    network(&lab, "web", 0, &[]);
    let (a, b) = (guest(&mut lab, "a", "web", 0), guest(&mut lab, "b", "web", 0));
    let (_at_a, _at_b) = (Mirror::start(a.namespace(), 53), Mirror::start(b.namespace(), 54));
    // One socket, so one connection to conntrack, which would outlive its target by minutes.
    outside.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:40000").expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket");
        let answers = || {
            socket.send_to(b"?", (HOST, 5353)).expect("sent");
            socket.recv_from(&mut [0; 64]).is_ok()
        };
        assert!(!answers(), "nothing is published yet");
        lab.switch().ok(&["publish", "add", "web", &format!("5353:{}:53/udp", a.ipv4())]);
        assert!(answers(), "published after the client began");
        lab.switch().ok(&["publish", "del", "web", &format!("5353:{}:53/udp", a.ipv4())]);
        assert!(!answers(), "published no more");
        lab.switch().ok(&["publish", "add", "web", &format!("5353:{}:54/udp", b.ipv4())]);
        assert!(answers(), "published elsewhere");
        lab.switch().ok(&["port", "del", "b0"]);
        let tracked = lab.switch_ns().read("/proc/thread-self/net/nf_conntrack");
        assert!(!tracked.contains(&b.ipv4().to_string()), "{tracked}");
    });
}

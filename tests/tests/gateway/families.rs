//! Networks of one IP version, and links that take packets of different sizes.

use std::net::IpAddr;

use vswitch_tests::prelude::*;

use crate::names::dig;
use vswitch_tests::world::{
    HOST, HOST6, Mirror, OUTSIDE, OUTSIDE6, assert_seen, gateways, guest, network, world,
};

const FORWARDING4: &str = "/proc/sys/net/ipv4/ip_forward";
const FORWARDING6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// A host of a network that has one subnet, known by its address there.
fn guest_with(lab: &mut Lab, name: &str, network: &str, is_ipv4: bool) -> (Host, IpAddr) {
    let host = lab.host(name);
    let ip: IpAddr = if is_ipv4 { host.ipv4().into() } else { host.ipv6().into() };
    let options = PortOptions::network(network).with(&["--name", name, "--ip", &ip.to_string()]);
    lab.connect(&host, options);
    host.wait_for_ipv6();
    let [gateway, gateway6] = gateways(0);
    let gateway = if is_ipv4 { gateway } else { gateway6 };
    host.namespace().ip(&[format!("route add default via {gateway}")]);
    (host, ip)
}

#[test]
fn a_network_of_one_ip_version_leaves_the_other_alone() {
    for is_ipv4 in [true, false] {
        let (mut lab, outside) = world(if is_ipv4 { "IPv4 alone" } else { "IPv6 alone" });
        let ns = lab.switch_ns().clone();
        ns.sysctl("ipv6/conf/all/forwarding", "0");
        let (subnet, gateway) =
            if is_ipv4 { ("10.77.0.0/24", gateways(0)[0]) } else { ("fd77::/64", gateways(0)[1]) };
        lab.switch().ok(&["network", "create", "one", "--subnet", subnet, "--gateway", &gateway.to_string()]);
        let switches = || [FORWARDING4, FORWARDING6].map(|path| ns.read(path).trim().to_owned());
        assert_eq!(switches(), if is_ipv4 { ["1", "0"] } else { ["0", "1"] });
        let (a, ip) = guest_with(&mut lab, "ann", "one", is_ipv4);
        let (_at_a, _at_outside) =
            (Mirror::start(a.namespace(), 80), Mirror::start(outside.namespace(), 7000));
        let (host, there) = if is_ipv4 { (HOST, OUTSIDE) } else { (HOST6, OUTSIDE6) };
        assert_seen(a.namespace(), there, 7000, host);
        let target = if is_ipv4 { ip.to_string() } else { format!("[{ip}]") };
        for protocol in ["tcp", "udp"] {
            lab.switch().ok(&["publish", "add", "one", &format!("8080:{target}:80/{protocol}")]);
        }
        assert_seen(outside.namespace(), host, 8080, there);
        assert_seen(a.namespace(), host, 8080, gateway);
        let record = if is_ipv4 { "A" } else { "AAAA" };
        assert_eq!(dig(&a, gateway, &["ann", record]), [ip.to_string()]);
        let network: Vec<serde_json::Value> = lab.switch().json(&["network", "inspect", "one"]);
        assert_eq!(network[0]["EnableIPv6"], !is_ipv4);
        let link = network[0]["gateway"]["link"].as_str().expect("a gateway").to_owned();
        let given = ns.ip_json(&["addr", "show", "dev", &link]);
        let families: Vec<_> =
            given[0]["addr_info"].as_array().expect("addresses").iter().map(|a| &a["family"]).collect();
        assert!(families.iter().all(|family| **family == if is_ipv4 { "inet" } else { "inet6" }), "{given}");
        lab.switch().ok(&["network", "rm", "one", "--force"]);
        assert_eq!(switches(), ["0", "0"]);
    }
}

/// Sends a datagram that may not be fragmented, again and again until an error says what fits.
fn path_mtu(from: &Host, to: IpAddr, size: usize) -> String {
    until("somebody to say what fits", SOON, || {
        let (size, to) = (size.to_string(), to.to_string());
        let output = from.command("ping").args(["-n", "-c1", "-W1", "-M", "do", "-s", &size, &to]).output();
        let output = output.expect("iputils-ping is installed");
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (said.contains("mtu")).then_some(said)
    })
}

#[test]
fn who_sends_too_much_is_told_by_the_gateway_what_fits() {
    let (mut lab, outside) = world("path MTU");
    lab.switch_ns().ip(&["link set dev out0 mtu 1340"]);
    outside.namespace().ip(&["link set dev eth0 mtu 1340"]);
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    for (to, gateway) in [(OUTSIDE, gateways(0)[0]), (OUTSIDE6, gateways(0)[1])] {
        let said = path_mtu(&a, to, 1400);
        assert!(said.contains("1340") && said.contains(&gateway.to_string()), "{said}");
    }
    let shown: Vec<serde_json::Value> = lab.switch().json(&["network", "inspect", "web"]);
    assert_eq!(shown[0]["gateway"]["mtu"], 1340);
}

#[test]
fn a_network_of_smaller_packets_than_the_outside_is_reached_both_ways() {
    let (mut lab, outside) = world("small network");
    network(&lab, "web", 0, &["--mtu", "1320"]);
    let a = guest(&mut lab, "a", "web", 0);
    // As an engine would, which asks for the network's MTU.
    a.namespace().ip(&["link set dev eth0 mtu 1320"]);
    for to in [OUTSIDE, OUTSIDE6] {
        traffic::tcp_send(&a, &outside, to, 2_000_000);
    }
    // From outside to the container: its way leads through what is published.
    let listener = a.run(|| std::net::TcpListener::bind((a.ipv4(), 80)).expect("a free port"));
    lab.switch().ok(&["publish", "add", "web", &format!("8080:{}:80", a.ipv4())]);
    let received = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        std::io::copy(&mut stream, &mut std::io::sink()).expect("the connection holds")
    });
    outside.run(|| {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect((HOST, 8080)).expect("published");
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("not zero");
        stream.write_all(&vec![7; 2_000_000]).expect("all of it is taken");
    });
    assert_eq!(received.join().expect("no panic"), 2_000_000);
    traffic::assert_no_checksum_errors(&[&a, &outside]);
}

//! What containers and networks look like.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Step, beyond, of_its_own, short_of, step};
use crate::docker::{Driver, Engine, World};
use crate::wait::{SOON, until};

pub(super) fn steps() -> Vec<Step> {
    vec![
        step("network create, ls, inspect", network_is_listed),
        step("--ip, --ip6, --mac-address", wishes_are_met),
        step("exactly lo and eth0 in the container, one route out", lo_and_eth0_alone),
        step("--opt com.docker.network.driver.mtu", mtu_is_met),
        step("--network none, host, container:X", other_networks_are_unaffected),
        step("network connect, disconnect: on two networks it sees both, the others see one", two_networks),
        step("network rm refused while in use", network_in_use),
        step("a subnet that another network has is refused", overlap_is_refused),
        step("address in use refused", address_in_use),
        step("30 containers started in parallel", thirty_at_once),
        short_of("docker port and docker ps list published ports", docker_lists_ports),
        beyond(
            "a subnet that one of the machine's links has is refused by its name",
            host_overlap_is_refused,
        ),
        of_its_own("addresses by --ipam-driver vswitch", own_addresses),
        beyond("a MAC that another container has is refused", mac_in_use),
    ]
}

fn network_is_listed(world: &mut World) {
    let engine = &world.engine;
    assert!(
        engine
            .ok(&["network", "ls", "--format", "{{.Name}} {{.Driver}}"])
            .lines()
            .any(|line| { line == format!("net {}", world.driver.name()) })
    );
    engine.run("c1", &["--network", "net"]);
    let net = engine.inspect("network", "net");
    assert_eq!(net["IPAM"]["Config"][0]["Subnet"], "10.77.3.0/24");
    let containers = net["Containers"].as_object().expect("containers");
    assert!(containers.values().any(|container| container["Name"] == "c1"), "{net}");
}

fn wishes_are_met(world: &mut World) {
    let options = [
        "--network",
        "net",
        "--ip",
        "10.77.3.77",
        "--ip6",
        "fd77:3::77",
        "--mac-address",
        "02:00:00:00:00:77",
    ];
    world.engine.run("c1", &options);
    let inside = world.engine.exec_ok("c1", &["ip", "address", "show", "dev", "eth0"]);
    for wish in ["10.77.3.77/24", "fd77:3::77/64", "02:00:00:00:00:77"] {
        assert!(inside.contains(wish), "no {wish}: {inside}");
    }
    let endpoint = world.engine.endpoint("c1", "net");
    assert_eq!(endpoint["MacAddress"], "02:00:00:00:00:77", "{endpoint}");
    if world.driver == Driver::Vswitch {
        let ports = world.lab.switch().ports();
        let port = ports.iter().find(|port| port.name.starts_with("vsd")).expect("a port");
        let host = port.endpoint.as_ref().expect("its host is known");
        assert_eq!(host.addresses.len(), 2, "{host:?}");
    }
}

fn lo_and_eth0_alone(world: &mut World) {
    world.engine.run("c1", &["--network", "net"]);
    let links = world.inside("c1").ip_json(&["link", "show"]);
    let names: BTreeSet<&str> =
        links.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(["eth0", "lo"]));
    let routes = world.engine.exec_ok("c1", &["ip", "route"]);
    assert_eq!(
        routes.lines().filter(|line| line.starts_with("default via 10.77.3.1 ")).count(),
        1,
        "{routes}"
    );
    let all = world.engine.ok(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(!all.contains("docker_gwbridge"), "{all}");
}

fn mtu_is_met(world: &mut World) {
    world.network("small", &["--subnet", "10.77.9.0/24", "--opt", "com.docker.network.driver.mtu=1400"]);
    world.engine.run("c1", &["--network", "small"]);
    let inside = world.engine.exec_ok("c1", &["ip", "link", "show", "dev", "eth0"]);
    world.engine.remove(&["c1"]);
    world.engine.ok(&["network", "rm", "small"]);
    assert!(inside.contains("mtu 1400"), "{inside}");
}

fn other_networks_are_unaffected(world: &mut World) {
    let engine = &world.engine;
    engine.run("c1", &["--network", "net", "--ip", "10.77.3.9"]);
    engine.run("beside", &["--network", "container:c1"]);
    assert!(engine.exec_ok("beside", &["ip", "address"]).contains("10.77.3.9"));
    engine.run("none", &["--network", "none"]);
    assert!(!engine.exec_ok("none", &["ip", "address"]).contains("eth0"));
    engine.run("host", &["--network", "host"]);
    assert!(engine.exec_ok("host", &["ip", "address"]).contains("192.0.2.1"));
}

fn two_networks(world: &mut World) {
    let engine = &world.engine;
    engine.run("one", &["--network", "net", "--ip", "10.77.3.11"]);
    engine.run("two", &["--network", "two", "--ip", "10.77.4.12"]);
    engine.run("both", &["--network", "net", "--ip", "10.77.3.13"]);
    engine.ok(&["network", "connect", "--ip", "10.77.4.13", "two", "both"]);
    for (from, to) in
        [("both", "10.77.3.11"), ("both", "10.77.4.12"), ("one", "10.77.3.13"), ("two", "10.77.4.13")]
    {
        assert!(reaches(engine, from, to), "{from} does not reach {to}");
    }
    for (from, to) in
        [("one", "10.77.4.12"), ("two", "10.77.3.11"), ("one", "10.77.4.13"), ("two", "10.77.3.13")]
    {
        assert!(is_silent(engine, from, to), "{from} reaches {to}");
    }
    engine.ok(&["network", "disconnect", "net", "both"]);
    let links = engine.exec_ok("both", &["ip", "address"]);
    assert!(!links.contains("10.77.3.13") && links.contains("10.77.4.13"), "{links}");
    assert!(reaches(engine, "both", "10.77.4.12") && is_silent(engine, "one", "10.77.3.13"));
}

/// Whether one ping is answered.
pub(super) fn reaches(engine: &Engine, from: &str, to: &str) -> bool {
    let tries = |count| engine.exec(from, &["ping", "-c", count, "-W", "1", to]).status.success();
    tries("1") || tries("2")
}

/// Whether one ping stays without an answer.
fn is_silent(engine: &Engine, from: &str, to: &str) -> bool {
    !engine.exec(from, &["ping", "-c", "1", "-W", "1", to]).status.success()
}

fn network_in_use(world: &mut World) {
    world.network("busy", &["--subnet", "10.77.9.0/24"]);
    world.engine.run("c1", &["--network", "busy"]);
    let refusal = world.engine.refused(&["network", "rm", "busy"]);
    assert!(refusal.contains("active endpoints"), "{refusal}");
    world.engine.remove(&["c1"]);
    world.engine.ok(&["network", "rm", "busy"]);
}

fn overlap_is_refused(world: &mut World) {
    let fixed = ["network", "create", "--driver", world.driver.name(), "--subnet", "10.77.3.128/25", "inner"];
    let refusal = world.engine.refused(&fixed);
    assert!(refusal.contains("verlap"), "{refusal}");
    let all = world.engine.ok(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(!all.contains("inner"), "{all}");
}

fn host_overlap_is_refused(world: &mut World) {
    let driver = world.driver.name();
    let fixed = ["network", "create", "--driver", driver, "--subnet", "192.0.2.0/25", "outer"];
    let output = world.engine.docker(&fixed);
    if output.status.success() {
        world.engine.ok(&["network", "rm", "outer"]);
        panic!("a network with the addresses of the machine's own uplink is made");
    }
    let refusal = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(refusal.contains("out0"), "{refusal}");
}

fn address_in_use(world: &mut World) {
    world.engine.run("c1", &["--network", "net", "--ip", "10.77.3.9"]);
    let again = Engine::run_arguments("c2", &["--network", "net", "--ip", "10.77.3.9"], &["true"]);
    let refusal = world.engine.refused(&again);
    assert!(refusal.contains("in use"), "{refusal}");
}

fn thirty_at_once(world: &mut World) {
    let before = world.left();
    let names: Vec<String> = (1..=30).map(|n| format!("many{n}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let arguments = Engine::run_arguments(name, &["--network", "net"], &["sleep", "86400"]);
            let mut command = world.engine.command(&arguments);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
            command.spawn().expect("docker is installed")
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("a child can be waited for");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let addresses: BTreeSet<_> = names.iter().map(|name| world.engine.ipv4(name, "net")).collect();
    assert_eq!(addresses.len(), 30, "{addresses:?}");
    let inside = world.inside("many1");
    for ip in &addresses {
        inside.output("ping", &["-nqc1", "-W5", &ip.to_string()]);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.engine.remove(&names);
    until("nothing of the thirty to be left", SOON, || (world.left() == before).then_some(()));
}

fn docker_lists_ports(world: &mut World) {
    world.engine.run("c1", &["--network", "net", "--publish", "8099:80"]);
    let ports = world.engine.ok(&["port", "c1"]);
    assert!(ports.contains("8099"), "`docker port` lists none");
}

fn own_addresses(world: &mut World) {
    world.network("own", &["--ipam-driver", "vswitch"]);
    world.engine.run("c1", &["--network", "own"]);
    let subnet: Value = world.engine.inspect("network", "own")["IPAM"]["Config"][0]["Subnet"].take();
    let ip = world.engine.ipv4("c1", "own");
    world.engine.remove(&["c1"]);
    world.engine.ok(&["network", "rm", "own"]);
    assert!(subnet.is_string() || !ip.is_unspecified());
    world.network(
        "own",
        &["--ipam-driver", "vswitch", "--subnet", "10.77.9.0/28", "--ip-range", "10.77.9.8/30"],
    );
    for name in ["c1", "c2"] {
        world.engine.run(name, &["--network", "own"]);
        let ip = world.engine.ipv4(name, "own");
        assert!((8..12).contains(&ip.octets()[3]), "{ip}");
    }
    world.engine.remove(&["c1", "c2"]);
    let fixed = [
        "network",
        "create",
        "--driver",
        "vswitch",
        "--ipam-driver",
        "vswitch",
        "--subnet",
        "10.77.9.0/29",
        "b",
    ];
    let refusal = world.engine.refused(&fixed);
    assert!(refusal.contains("overlaps with 10.77.9.0/28 of network"), "{refusal}");
    world.engine.ok(&["network", "rm", "own"]);
}

fn mac_in_use(world: &mut World) {
    let options = ["--network", "net", "--mac-address", "02:00:00:00:00:78"];
    world.engine.run("c1", &options);
    let refusal = world.engine.refused(&Engine::run_arguments("c2", &options, &["true"]));
    assert!(refusal.contains("02:00:00:00:00:78"), "{refusal}");
}

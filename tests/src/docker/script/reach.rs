//! Who reaches whom, and as whom.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::shape::reaches;
use super::{Step, beyond, step};
use crate::docker::{Driver, Engine, MACHINE, MACHINE6, OUTSIDE, OUTSIDE6, World};
use crate::namespace::Namespace;
use crate::traffic::mirror::{Mirror, assert_seen, assert_unreachable, seen_by_tcp, seen_by_udp};
use crate::wait::{SOON, until};

pub(super) fn steps() -> Vec<Step> {
    vec![
        step("containers of a network reach each other and their gateway, IPv4 and IPv6", neighbours),
        step("container to outside: masqueraded, though dockerd's forward policy drops", way_out),
        step("-p: from outside, with the client's address kept", published_outside),
        step(
            "-p: from the host by its address and 127.0.0.1, from containers of the same and another network",
            published_inside,
        ),
        step(
            "-p: ranges, a host address, UDP, a port of the engine's choice; a taken port is refused",
            published_kinds,
        ),
        beyond(
            "-p by IPv6: from outside with the client's address kept, from the host, from containers",
            published_ipv6,
        ),
        step("networks do not reach each other", networks_apart),
        step("--internal: no way out, neighbours reached", internal),
        step("names: containers, --network-alias, --link, by Docker's DNS", names),
        beyond("names by the gateway's own DNS, the reverse included", own_names),
        beyond("a source address that is not the container's is dropped and counted", spoofed),
    ]
}

const fn v4(third: u8, last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, third, last))
}

fn neighbours(world: &mut World) {
    let engine = &world.engine;
    engine.run("c1", &["--network", "net"]);
    engine.run("c2", &["--network", "net", "--ip", "10.77.3.22", "--ip6", "fd77:3::22"]);
    for to in ["10.77.3.22", "10.77.3.1", "fd77:3::22", "fd77:3::1"] {
        until(&format!("c1 to reach {to}"), SOON, || reaches(engine, "c1", to).then_some(()));
    }
}

/// The namespace outside with a server in it.
fn serve_outside(world: &World, port: u16) -> Mirror {
    Mirror::start(world.outside.namespace(), port)
}

fn way_out(world: &mut World) {
    world.engine.run("c1", &["--network", "net"]);
    let _server = serve_outside(world, 7001);
    assert_seen(&world.inside("c1"), OUTSIDE, 7001, MACHINE);
}

/// A container at `net` whose port 80 says who its clients are, by TCP and UDP, and that is published.
fn served(world: &World, options: &[&str]) -> (Arc<Namespace>, Mirror) {
    world.engine.run("web", &[&["--network", "net", "--ip", "10.77.3.33"], options].concat());
    let inside = world.inside("web");
    let server = Mirror::start(&inside, 80);
    (inside, server)
}

fn published_outside(world: &mut World) {
    let (_inside, _server) = served(world, &["-p", "8080:80", "-p", "8080:80/udp"]);
    assert_seen(world.outside.namespace(), MACHINE, 8080, OUTSIDE);
    world.engine.remove(&["web"]);
    assert_unreachable(world.outside.namespace(), MACHINE, 8080);
}

fn published_inside(world: &mut World) {
    let (inside, _server) = served(world, &["-p", "8080:80", "-p", "8080:80/udp"]);
    world.engine.run("same", &["--network", "net"]);
    world.engine.run("other", &["--network", "two"]);
    let host = world.lab.switch_ns().clone();
    for (from, to) in [(&host, MACHINE), (&host, IpAddr::from([127, 0, 0, 1])), (&inside, MACHINE)] {
        for answer in [seen_by_tcp(from, to, 8080), seen_by_udp(from, to, 8080)] {
            assert!(answer.is_ok(), "{to} port 8080 from {}: {answer:?}", from.name());
        }
    }
    for name in ["same", "other"] {
        let from = world.inside(name);
        for answer in [seen_by_tcp(&from, MACHINE, 8080), seen_by_udp(&from, MACHINE, 8080)] {
            assert!(answer.is_ok(), "{MACHINE} port 8080 from {name}: {answer:?}");
        }
    }
}

fn published_kinds(world: &mut World) {
    let options =
        ["-p", "8100-8109:80-89", "-p", "192.0.2.1:8200:80/udp", "-p", "127.0.0.1:8201:80", "-p", "80/tcp"];
    let (_inside, _server) = served(world, &options);
    let (out, host) = (world.outside.namespace(), world.lab.switch_ns());
    assert_eq!(seen_by_tcp(out, MACHINE, 8100).expect("the first of a range"), OUTSIDE);
    assert_eq!(seen_by_udp(out, MACHINE, 8200).expect("UDP at the address"), OUTSIDE);
    assert!(seen_by_tcp(host, IpAddr::from([127, 0, 0, 1]), 8201).is_ok(), "127.0.0.1 port 8201");
    assert!(seen_by_tcp(out, MACHINE, 8201).is_err(), "a port of 127.0.0.1 is open outside");
    if world.driver == Driver::Vswitch {
        let shown: Vec<serde_json::Value> = world.lab.switch().json(&["publish", "show"]);
        assert!(
            shown.iter().any(|one| one["host_ports"].as_str().is_some_and(|port| port.len() == 5)),
            "{shown:?}"
        );
    }
    let options = ["--network", "net", "-p", "8105:80"];
    let refusal = world.engine.refused(&Engine::run_arguments("late", &options, &["true"]));
    assert!(refusal.contains("8105") || refusal.contains("8100-8109"), "{refusal}");
    world.engine.remove(&["web", "late"]);
    let again = ["--network", "net", "-p", "8105:80"];
    world.engine.run("late", &again);
}

fn published_ipv6(world: &mut World) {
    let ports = ["8080:80", "8080:80/udp", "[::]:8090:80", "[::1]:8091:80"].map(|port| ["-p", port]);
    let options = [&["--ip6", "fd77:3::33"], ports.as_flattened()].concat();
    let (_inside, _server) = served(world, &options);
    let (out, host) = (world.outside.namespace().clone(), world.lab.switch_ns().clone());
    let itself = IpAddr::from(Ipv6Addr::LOCALHOST);
    for port in [8080, 8090, 8091] {
        assert!(seen_by_tcp(&host, itself, port).is_ok(), "::1 port {port}");
    }
    assert!(seen_by_tcp(&out, MACHINE6, 8091).is_err(), "a port of ::1 is open outside");
    assert_seen(&out, MACHINE6, 8080, OUTSIDE6);
    assert_eq!(seen_by_tcp(&out, MACHINE6, 8090).expect("at every IPv6 address"), OUTSIDE6);
    assert!(seen_by_tcp(&out, MACHINE, 8090).is_err(), "a port of [::] is open by IPv4");
    world.engine.run("same", &["--network", "net"]);
    world.engine.run("other", &["--network", "two"]);
    for from in [host, world.inside("same"), world.inside("other")] {
        for answer in [seen_by_tcp(&from, MACHINE6, 8080), seen_by_udp(&from, MACHINE6, 8080)] {
            assert!(answer.is_ok(), "{MACHINE6} port 8080 from {}: {answer:?}", from.name());
        }
    }
    world.engine.remove(&["web"]);
    assert_unreachable(&out, MACHINE6, 8080);
}

fn networks_apart(world: &mut World) {
    world.engine.run("c1", &["--network", "net"]);
    world.engine.run("c2", &["--network", "two", "--ip", "10.77.4.44"]);
    let (from, there) = (world.inside("c1"), world.inside("c2"));
    let _server = Mirror::start(&there, 80);
    assert!(seen_by_tcp(&there, v4(4, 44), 80).is_ok());
    assert_unreachable(&from, v4(4, 44), 80);
    // Neither does a container of docker0.
    world.engine.run("c3", &[]);
    assert_unreachable(&world.inside("c3"), v4(4, 44), 80);
}

fn internal(world: &mut World) {
    world.numbered("inner", 5, &["--internal"]);
    world.engine.run("c1", &["--network", "inner"]);
    world.engine.run("c2", &["--network", "inner", "--ip", "10.77.5.55"]);
    let _server = serve_outside(world, 7002);
    let inside = world.inside("c1");
    let sees_neighbour = reaches(&world.engine, "c1", "10.77.5.55");
    assert_unreachable(&inside, OUTSIDE, 7002);
    drop(inside);
    world.engine.remove(&["c1", "c2"]);
    world.engine.ok(&["network", "rm", "inner"]);
    assert!(sees_neighbour, "neighbours do not reach each other");
}

fn names(world: &mut World) {
    let engine = &world.engine;
    engine.run("web", &["--network", "net", "--network-alias", "www"]);
    engine.run("client", &["--network", "net", "--link", "web:db"]);
    for name in ["web", "www", "db"] {
        assert!(reaches(engine, "client", name), "no {name}");
    }
}

fn own_names(world: &mut World) {
    world.engine.run("web", &["--network", "net", "--ip", "10.77.3.66", "--network-alias", "www"]);
    world.engine.run("client", &["--network", "net"]);
    for (name, answer) in [("web", "10.77.3.66"), ("www", "10.77.3.66"), ("10.77.3.66", "web")] {
        until(&format!("the gateway to know {name}"), SOON * 2, || {
            let output = world.engine.exec("client", &["nslookup", name, "10.77.3.1"]);
            // The first address is the server's.
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.split("\n\n").skip(1).any(|part| part.contains(answer)).then_some(())
        });
    }
}

fn spoofed(world: &mut World) {
    world.engine.run("c1", &["--network", "net", "--ip", "10.77.3.67"]);
    world.engine.run("c2", &["--network", "net", "--ip", "10.77.3.68"]);
    let inside = world.inside("c1");
    assert!(reaches(&world.engine, "c1", "10.77.3.68"));
    inside.ip(&["addr add 10.77.3.69/32 dev eth0"]);
    let ping = inside.command("ping").args(["-nqc2", "-W1", "-I", "10.77.3.69", "10.77.3.68"]).output();
    assert!(!ping.expect("ping is installed").status.success(), "10.77.3.69 gets an answer");
    let ports = world.lab.switch().ports();
    let dropped: u64 = ports.iter().filter_map(|port| port.counters.drops.get("spoofed-ip")).sum();
    assert!(dropped > 0, "nothing was counted");
}

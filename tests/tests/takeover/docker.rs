//! docker0 and a bridge of `docker network create`, with a real engine: taken over under its feet, and given back.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use vswitch_tests::docker::Engine;
use vswitch_tests::namespace::Namespace;
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{LongTransfer, Probe, ProbeReport, try_ping};

use crate::{LOSS, RATE};

/// The engine's host as the outside sees it.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 254);

/// A web server in a container that knows no pages.
const HTTPD: &[&str] = &["httpd", "-f", "-p", "80", "-h", "/www"];

/// A machine with Docker's engine as it comes, and a host outside.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) outside: Host,
    pub(crate) lab: Lab,
}

impl Machine {
    pub(crate) fn new(title: &str) -> Self {
        let mut lab = Lab::with(title, Rival::Vswitch, Hooks::Auto);
        let outside = lab.host_with("out", HostOptions::ipv4_only().subnet(1));
        let wire = lab.wire(&outside);
        let ns = lab.switch_ns().clone();
        ns.ip(&[format!("addr add {HOST}/24 dev {}", wire.port), format!("link set dev {} up", wire.port)]);
        // As on most hosts before Docker comes, which then drops what is forwarded beside it.
        ns.sysctl("ipv4/ip_forward", "0");
        let engine = Engine::start(&ns, lab.scratch(), &["--bip", "10.77.0.254/24"]);
        Self { engine, outside, lab }
    }

    fn serve(&self, name: &str, options: &[&str]) {
        self.engine.ok(&Engine::run_arguments(name, options, HTTPD));
    }

    pub(crate) fn switch(&self) -> &Switch {
        self.lab.switch()
    }

    /// All that Docker says of a network, and all rules there are.
    fn docker_says(&self, network: &str) -> String {
        let ns = self.lab.switch_ns();
        let rules = ["iptables-save", "ip6tables-save"].map(|program| {
            let text = ns.output(program, &[]);
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            // Without the counters of policies.
            lines.map(|line| line.split(" [").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
        });
        format!("{:#}\n{}", self.engine.inspect("network", network), rules.join("\n"))
    }

    /// Links whose master is the bridge.
    fn at_bridge(&self, bridge: &str) -> usize {
        let links = self.lab.switch_ns().ip_json(&["link", "show", "master", bridge]);
        links.as_array().expect("ip prints an array").len()
    }

    /// Ports of a bridge's network, the pair among them.
    fn ports(&self, bridge: &str) -> Vec<Port> {
        self.switch().json(&["port", "show", "--network", bridge])
    }

    fn wait_for_ports(&self, bridge: &str, count: usize) {
        until(&format!("{bridge} to have {count} ports"), SOON, || {
            (self.ports(bridge).len() == count && self.at_bridge(bridge) == 1).then_some(())
        });
    }

    /// Runs `work` while probes go from one container to another and outside; what they lost.
    fn under_probes(&self, from: &Host, to: &Host, work: impl FnOnce()) -> [ProbeReport; 2] {
        let [inner, outer] = [to, &self.outside].map(|to| Probe::start(from, to, RATE));
        inner.cover(200);
        work();
        inner.cover(500);
        [inner.finish(), outer.finish()]
    }
}

/// Whether a web server answers.
fn answers(from: &Namespace, to: Ipv4Addr, port: u16) -> bool {
    from.run(|| {
        let there = SocketAddr::from((to, port));
        let Ok(mut stream) = TcpStream::connect_timeout(&there, Duration::from_secs(5)) else { return false };
        let limited = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let sent = limited.and_then(|()| stream.write_all(b"GET / HTTP/1.0\r\n\r\n"));
        let mut text = String::new();
        sent.and_then(|()| stream.read_to_string(&mut text)).is_ok() && text.starts_with("HTTP/")
    })
}

fn assert_few_lost(what: &str, reports: &[ProbeReport]) {
    eprintln!("{what}: {reports:?}");
    assert!(reports.iter().all(|report| report.lost.len() <= LOSS), "{what}: {reports:?}");
}

#[test]
fn docker0_is_taken_over_and_released_and_docker_does_not_notice() {
    let machine = Machine::new("docker0");
    let ns = machine.lab.switch_ns();
    machine.serve("web", &["-p", "8080:80"]);
    machine.engine.run("db", &[]);
    let [web, db] = ["web", "db"].map(|name| machine.engine.host(name, "bridge"));
    assert!(answers(machine.outside.namespace(), HOST, 8080));
    let before = machine.docker_says("bridge");
    let streams = [LongTransfer::start(&web, &db), LongTransfer::start(&db, &machine.outside)];

    let lost = machine.under_probes(&web, &db, || drop(machine.switch().ok(&["takeover", "docker0"])));
    assert_few_lost("takeover of docker0", &lost);
    assert_eq!(machine.at_bridge("docker0"), 1, "only the pair is left there");
    assert!(machine.ports("docker0").iter().all(|port| port.counters.rx_packets > 100), "the switch carries");
    assert_eq!(machine.docker_says("bridge"), before);
    // Published ports: from outside, from the host, and from a container.
    for (from, to) in
        [(machine.outside.namespace(), HOST), (ns, HOST), (ns, web.ipv4()), (db.namespace(), HOST)]
    {
        assert!(answers(from, to, 8080) || answers(from, to, 80), "{} to {to}", from.name());
    }

    // What Docker starts, restarts and removes meanwhile.
    machine.serve("late", &["-p", "8081:80"]);
    machine.wait_for_ports("docker0", 4);
    assert!(answers(machine.outside.namespace(), HOST, 8081));
    machine.engine.exec_ok("late", &["ping", "-c", "2", "-W", "5", &db.ipv4().to_string()]);
    machine.engine.ok(&["restart", "late"]);
    machine.wait_for_ports("docker0", 4);
    assert!(answers(machine.outside.namespace(), HOST, 8081), "after docker restart");
    let late = machine.engine.ipv4("late", "bridge").to_string();
    machine.engine.exec_ok("db", &["ping", "-c", "2", "-W", "5", &late]);
    machine.engine.remove(&["late"]);
    machine.wait_for_ports("docker0", 3);
    assert_eq!(machine.docker_says("bridge"), before, "all that was of the container is gone");

    let lost = machine.under_probes(&web, &db, || drop(machine.switch().ok(&["release", "docker0"])));
    assert_few_lost("release of docker0", &lost);
    for stream in streams {
        assert!(stream.finish() > 1_000_000);
    }
    assert_eq!(machine.at_bridge("docker0"), 2);
    assert!(answers(machine.outside.namespace(), HOST, 8080));
    assert_eq!(machine.docker_says("bridge"), before);
    assert!(machine.switch().ports().is_empty());
    traffic::assert_no_checksum_errors(&[&web, &db]);
}

#[test]
fn a_bridge_of_docker_network_create_keeps_names_and_isolation() {
    let machine = Machine::new("br-");
    let id = machine.engine.ok(&[
        "network",
        "create",
        "--subnet",
        "10.77.2.0/24",
        "--gateway",
        "10.77.2.254",
        "blue",
    ]);
    let bridge = format!("br-{}", &id[..12]);
    machine.serve("web", &["--network", "blue", "-p", "8080:80"]);
    machine.engine.run("db", &["--network", "blue"]);
    machine.engine.run("other", &[]);
    let [web, db] = ["web", "db"].map(|name| machine.engine.host(name, "blue"));
    let other = machine.engine.host("other", "bridge");
    let before = machine.docker_says("blue");
    let check = |when: &str| {
        machine.engine.exec_ok("db", &["ping", "-c", "1", "-W", "5", "web"]);
        assert!(answers(machine.outside.namespace(), HOST, 8080), "{when}");
        try_ping(&db, machine.outside.ipv4().into(), 56, 1).unwrap_or_else(|said| panic!("{when}: {said}"));
        let crossing = other.command("ping").args(["-nc1", "-W1", &web.ipv4().to_string()]).output();
        assert!(!crossing.expect("ping runs").status.success(), "{when}: docker0 reaches the other bridge");
    };
    check("before");
    let lost = machine.under_probes(&web, &db, || {
        for name in [&bridge, "docker0"] {
            machine.switch().ok(&["takeover", name]);
        }
    });
    assert_few_lost("takeover of two bridges", &lost);
    check("taken over");
    assert_eq!(machine.docker_says("blue"), before);
    let lost = machine.under_probes(&web, &db, || {
        for name in [&bridge, "docker0"] {
            machine.switch().ok(&["release", name]);
        }
    });
    assert_few_lost("release of two bridges", &lost);
    check("released");
    assert_eq!(machine.docker_says("blue"), before);
}

#[test]
fn vswitch_show_knows_the_containers_of_a_bridge_by_name() {
    let machine = Machine::new("names");
    machine.engine.run("web", &[]);
    machine.engine.run("db", &[]);
    eprintln!("{}", machine.switch().ok(&["takeover", "docker0"]));
    for _ in 0..5 {
        machine.engine.exec_ok("web", &["ping", "-c", "20", "-i", "0.01", "-q", "10.77.0.2"]);
    }
    let socket = machine.engine.socket().display().to_string();
    let text = machine.switch().ok(&["show", "--docker-engine", &socket]);
    eprintln!("{text}");
    for name in ["web", "db"] {
        let ip = machine.engine.ipv4(name, "bridge").to_string();
        let mac = machine.engine.endpoint(name, "bridge")["MacAddress"].as_str().expect("a MAC").to_owned();
        let line = text.lines().find(|line| line.split_whitespace().any(|word| word == name));
        let line = line.unwrap_or_else(|| panic!("{name} is not shown:\n{text}"));
        assert!(line.starts_with("docker0") && line.contains(&ip) && line.contains(&mac), "{line}");
    }
    // Without an engine there are no names, and nothing else is missing.
    let text = machine.switch().ok(&["show", "--docker-engine", "/nowhere"]);
    assert!(
        text.lines().filter(|line| line.starts_with("docker0")).count() == 3 && !text.contains(" web "),
        "{text}"
    );
}

#[test]
fn a_docker_engine_that_is_killed_meanwhile_finds_its_network() {
    let mut machine = Machine::new("dockerd");
    machine.engine.run("web", &["--restart", "always"]);
    machine.engine.run("db", &["--restart", "always"]);
    machine.switch().ok(&["takeover", "docker0"]);
    machine.engine.kill9();
    machine.engine.start_again();
    let ping = |to: &str| ["exec", "web", "ping", "-c", "1", "-W", "5", to].map(str::to_owned);
    let db = until("db to be back", SOON * 2, || {
        let ip = machine.engine.endpoint("db", "bridge")["IPAddress"].as_str()?.to_owned();
        (!ip.is_empty()).then_some(ip)
    });
    for to in [db, "10.77.0.254".to_owned(), machine.outside.ipv4().to_string()] {
        let arguments = ping(&to);
        machine.engine.until_ok(&arguments.each_ref().map(String::as_str), SOON * 2);
    }
    machine.wait_for_ports("docker0", 3);
    machine.switch().ok(&["release", "docker0"]);
    let arguments = ping("10.77.0.254");
    machine.engine.until_ok(&arguments.each_ref().map(String::as_str), SOON);
}

#[test]
fn containers_that_docker_keeps_apart_stay_apart() {
    let machine = Machine::new("icc");
    machine.engine.ok(&[
        "network",
        "create",
        "--subnet",
        "10.77.3.0/24",
        "--gateway",
        "10.77.3.254",
        "--opt",
        "com.docker.network.bridge.enable_icc=false",
        "--opt",
        "com.docker.network.bridge.name=apart0",
        "apart",
    ]);
    machine.serve("web", &["--network", "apart", "-p", "8080:80"]);
    machine.engine.run("db", &["--network", "apart"]);
    let [web, db] = ["web", "db"].map(|name| machine.engine.host(name, "apart"));
    let check = |when: &str| {
        let crossing = db.command("ping").args(["-nc1", "-W1", &web.ipv4().to_string()]).output();
        assert!(!crossing.expect("ping runs").status.success(), "{when}: one reaches the other");
        assert!(answers(machine.outside.namespace(), HOST, 8080), "{when}");
        assert!(try_ping(&db, machine.outside.ipv4().into(), 56, 1).is_ok(), "{when}");
    };
    check("before");
    machine.switch().ok(&["takeover", "apart0"]);
    check("taken over");
    assert!(machine.ports("apart0").iter().filter(|port| port.isolated).count() == 2);
    machine.switch().ok(&["release", "apart0"]);
    check("released");
}

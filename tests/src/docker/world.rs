//! What a Docker engine's networks are tried in: a machine with a way out, and a host out there that knows nothing of the
//! networks behind it. The same with vswitch as the driver, and with Docker's own bridge driver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{Binaries, Engine};
use crate::hooks::Hooks;
use crate::lab::{Host, HostOptions, Lab, Wire};
use crate::namespace::Namespace;
use crate::switch::Rival;
use crate::wait::{SOON, until};

/// The machine as the outside sees it, and the host outside.
pub const MACHINE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// See [`MACHINE`].
pub const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
/// The same two by IPv6.
pub const MACHINE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
/// See [`MACHINE6`].
pub const OUTSIDE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));

/// Who makes Docker's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// `--driver vswitch`.
    Vswitch,
    /// `--driver bridge`.
    Bridge,
}

impl Driver {
    /// As Docker calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vswitch => "vswitch",
            Self::Bridge => "bridge",
        }
    }
}

/// A machine with an engine, and the outside.
pub struct World {
    /// The engine; it leaves before the lab does.
    pub engine: Engine,
    /// The host outside.
    pub outside: Host,
    /// The machine.
    pub lab: Lab,
    /// Who makes networks.
    pub driver: Driver,
    wire: Wire,
}

impl World {
    /// Starts everything; `extra` are further arguments of dockerd.
    #[must_use]
    pub fn new(title: &str, driver: Driver, extra: &[&str]) -> Self {
        Self::with(title, driver, Binaries::chosen(), extra)
    }

    /// The same with an engine of one's own choice.
    #[must_use]
    pub fn with(title: &str, driver: Driver, binaries: Binaries, extra: &[&str]) -> Self {
        let rival = match driver {
            Driver::Vswitch => Rival::Vswitch,
            Driver::Bridge => Rival::LinuxBridge,
        };
        let mut lab = Lab::with(title, rival, Hooks::Auto);
        let outside = lab.host_with("out", HostOptions::unconfigured().number(99));
        let wire = lab.wire(&outside);
        connect_outside(&lab, &outside);
        let engine = Engine::start_as(binaries, lab.switch_ns(), lab.scratch(), extra);
        if driver == Driver::Vswitch {
            let switch = lab.switch_mut();
            switch.options_mut().docker_plugin = Some(engine.plugins().join("vswitch.sock"));
            let socket = engine.socket().display().to_string();
            switch.restart_with(&["--docker-engine", &socket]);
        }
        Self { engine, outside, lab, driver, wire }
    }

    /// `docker network create` with the driver.
    ///
    /// # Panics
    /// When Docker refuses.
    #[track_caller]
    pub fn network(&self, name: &str, options: &[&str]) -> String {
        let fixed = ["network", "create", "--driver", self.driver.name()];
        self.engine.ok(&[&fixed, options, &[name]].concat())
    }

    /// A network with 10.77.N.0/24 and fd77:N::/64.
    ///
    /// # Panics
    /// As [`World::network`].
    #[track_caller]
    pub fn numbered(&self, name: &str, number: u8, options: &[&str]) -> String {
        let (v4, v6) = (format!("10.77.{number}.0/24"), format!("fd77:{number}::/64"));
        self.network(name, &[&["--ipv6", "--subnet", &v4, "--subnet", &v6], options].concat())
    }

    /// A container's network namespace.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[track_caller]
    pub fn inside(&self, container: &str) -> Arc<Namespace> {
        Arc::new(self.engine.container_namespace(container))
    }

    /// The power fails and comes back: every process and namespace of the machine is gone, its files are there. The switch
    /// starts before the engine, as their units say.
    pub fn power_cycle(&mut self) {
        self.engine.power_off();
        if self.driver == Driver::Vswitch {
            self.lab.switch_mut().kill9();
        }
        self.lab.switch_ns().remake();
        self.lab.scratch().remount_bpffs();
        // The kernel takes the old link apart in its own time.
        until("the link to the outside to go", SOON * 3, || {
            (!self.outside.namespace().has_link("eth0")).then_some(())
        });
        self.lab.wire_as(&self.outside, &self.wire);
        connect_outside(&self.lab, &self.outside);
        if self.driver == Driver::Vswitch {
            self.lab.switch_mut().start_again();
        }
        self.engine.start_again();
    }

    /// What of the machine would still be there if something of a container were: links, rules, and what the switch holds.
    #[must_use]
    pub fn left(&self) -> Left {
        let ns = self.lab.switch_ns();
        let links = ns.ip_json(&["link", "show"]);
        let links = links.as_array().cloned().unwrap_or_default();
        let mut links: Vec<String> =
            links.iter().filter_map(|link| Some(link["ifname"].as_str()?.to_owned())).collect();
        links.sort();
        // Counters, and when the rules were saved, are no rules.
        let rules = ns.output("iptables-save", &[]);
        let is_rule = |line: &&str| line.starts_with('-');
        let mut rules: Vec<String> = rules.lines().filter(is_rule).map(str::to_owned).collect();
        // dockerd adds its own in another order when it starts again.
        rules.sort();
        rules.extend(ns.output("nft", &["list", "tables"]).lines().map(str::to_owned));
        let held = if self.driver == Driver::Vswitch { self.held() } else { Vec::new() };
        Left { links, rules, held }
    }

    /// What the switch holds of containers: ports, entries, published ports, endpoints and leases.
    fn held(&self) -> Vec<String> {
        let switch = self.lab.switch();
        let mut held: Vec<String> =
            switch.ports().into_iter().map(|port| format!("port {}", port.name)).collect();
        held.extend(
            switch.fdb_show(&[]).into_iter().map(|entry| format!("entry {} {}", entry.mac, entry.port)),
        );
        let shown: Vec<serde_json::Value> = switch.json(&["publish", "show"]);
        held.extend(shown.iter().map(|publish| format!("published {publish}")));
        let state = switch.durable_state();
        for kind in ["networks", "endpoints", "pools"] {
            let all = state["docker"][kind].as_object();
            held.extend(all.into_iter().flatten().map(|(id, one)| match kind {
                "pools" => format!("pool {id} {}", one["leases"]),
                kind => format!("{kind} {id}"),
            }));
        }
        held.sort();
        held
    }
}

/// See [`World::left`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Links of the machine.
    pub links: Vec<String>,
    /// Rules of iptables, and tables of nftables.
    pub rules: Vec<String>,
    /// What the switch holds of containers.
    pub held: Vec<String>,
}

/// As most hosts are before a container engine comes.
fn connect_outside(lab: &Lab, outside: &Host) {
    lab.switch_ns().sysctl("ipv4/ip_forward", "0");
    lab.switch_ns().ip(&[
        "addr add 192.0.2.1/24 dev out0",
        "addr add 2001:db8::1/64 dev out0 nodad",
        "link set dev out0 up",
        "route add default via 192.0.2.2",
    ]);
    let there = outside.namespace();
    let configured = there.ip_json(&["-4", "addr", "show", "dev", "eth0"]).to_string().contains("192.0.2.2");
    if !configured {
        there.ip(&["addr add 192.0.2.2/24 dev eth0", "addr add 2001:db8::2/64 dev eth0 nodad"]);
    }
}

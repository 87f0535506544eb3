//! The switch under test: vswitch itself, or a rival behind the same few calls.

mod bridge;
mod ovs;
mod vswitch;

pub use bridge::Bridge;
pub use ovs::Ovs;
pub use vswitch::{Switch, SwitchOptions, binary};

use std::sync::Arc;
use std::time::Duration;

use ::vswitch::api::types::{FdbEntry, PortState};

use vswitch_common::mac::MacAddr;

use crate::lab::PortOptions;
use crate::namespace::Namespace;
use crate::scratch::Scratch;

/// Kinds of switches the lab can be built around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival {
    /// The real binary, driven by its CLI.
    Vswitch,
    /// The Linux bridge, one per network: a stand-in, and the oracle of what a bridge does.
    LinuxBridge,
    /// Open vSwitch with its userspace data path, one bridge per network.
    OpenVswitch,
}

/// How a network is, beyond its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkOptions {
    /// Its ports are members of VLANs.
    pub vlan_aware: bool,
    /// Silence after which a station is forgotten, whole seconds, 0 for never; where none is given, 300 s.
    pub ageing: Option<Duration>,
}

impl Rival {
    /// What `VSWITCH_LAB_RIVAL` says: `vswitch` (default), `bridge` or `ovs`.
    ///
    /// # Panics
    /// When it says something else.
    #[must_use]
    pub fn from_environment() -> Self {
        match std::env::var("VSWITCH_LAB_RIVAL").as_deref() {
            Err(_) | Ok("vswitch") => Self::Vswitch,
            Ok("bridge") => Self::LinuxBridge,
            Ok("ovs") => Self::OpenVswitch,
            Ok(other) => panic!("VSWITCH_LAB_RIVAL={other}: say vswitch, bridge or ovs"),
        }
    }
}

/// A running switch.
pub enum Subject {
    /// See [`Rival::Vswitch`].
    Vswitch(Switch),
    /// See [`Rival::LinuxBridge`].
    LinuxBridge(Bridge),
    /// See [`Rival::OpenVswitch`].
    OpenVswitch(Ovs),
}

impl Subject {
    /// Starts a switch in a namespace.
    #[must_use]
    pub fn start(rival: Rival, namespace: &Arc<Namespace>, scratch: &Arc<Scratch>) -> Self {
        match rival {
            Rival::Vswitch => Self::Vswitch(Switch::start(namespace, scratch, &SwitchOptions::default())),
            Rival::LinuxBridge => Self::LinuxBridge(Bridge::create(namespace)),
            Rival::OpenVswitch => Self::OpenVswitch(Ovs::start(namespace, scratch)),
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Vswitch(_) => "vswitch",
            Self::LinuxBridge(_) => "a Linux bridge",
            Self::OpenVswitch(_) => "Open vSwitch",
        }
    }

    /// Makes a link a port and waits until it forwards.
    ///
    /// # Panics
    /// When the switch refuses.
    #[track_caller]
    pub fn add_port(&mut self, link: &str, options: &PortOptions) {
        self.try_add_port(link, options).unwrap_or_else(|said| panic!("port {link}: {said}"));
    }

    /// As [`Subject::add_port`].
    ///
    /// # Errors
    /// What the switch says that it cannot do.
    #[track_caller]
    pub fn try_add_port(&mut self, link: &str, options: &PortOptions) -> Result<(), String> {
        match self {
            Self::Vswitch(switch) => {
                let arguments = options.arguments();
                let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
                try_cli(switch, &[&["port", "add", link], &words[..]].concat())?;
                switch.wait_for_state(link, PortState::Forwarding);
                Ok(())
            }
            Self::LinuxBridge(bridge) => bridge.add_port(link, options),
            Self::OpenVswitch(ovs) => ovs.add_port(link, options),
        }
    }

    /// Gives a link back.
    ///
    /// # Panics
    /// When it is no port.
    #[track_caller]
    pub fn delete_port(&mut self, link: &str) {
        match self {
            Self::Vswitch(switch) => drop(switch.ok(&["port", "del", link])),
            Self::LinuxBridge(bridge) => bridge.delete_port(link),
            Self::OpenVswitch(ovs) => ovs.delete_port(link),
        }
    }

    /// Creates a network.
    ///
    /// # Panics
    /// When there is one of that name.
    #[track_caller]
    pub fn create_network(&mut self, name: &str) {
        let made = self.try_create_network(name, &NetworkOptions::default());
        made.unwrap_or_else(|said| panic!("network {name}: {said}"));
    }

    /// Creates a network that is as `options` say.
    ///
    /// # Errors
    /// What the switch says that it cannot do.
    #[track_caller]
    pub fn try_create_network(&mut self, name: &str, options: &NetworkOptions) -> Result<(), String> {
        match self {
            Self::Vswitch(switch) => {
                let age = options.ageing.map(|age| age.as_secs().to_string());
                let mut words = vec!["network", "create", name];
                words.extend(options.vlan_aware.then_some("--vlan-aware"));
                words.extend(age.iter().flat_map(|age| ["--ageing", age]));
                try_cli(switch, &words)
            }
            Self::LinuxBridge(bridge) => bridge.create_network(name, options),
            Self::OpenVswitch(ovs) => {
                ovs.create_network(name, options);
                Ok(())
            }
        }
    }

    /// Removes a network without ports.
    ///
    /// # Panics
    /// When there is none of that name.
    #[track_caller]
    pub fn delete_network(&mut self, name: &str) {
        match self {
            Self::Vswitch(switch) => drop(switch.ok(&["network", "rm", name])),
            Self::LinuxBridge(bridge) => bridge.delete_network(name),
            Self::OpenVswitch(ovs) => ovs.delete_network(name),
        }
    }

    /// Changes the ageing time of a network, whole seconds.
    ///
    /// # Panics
    /// When there is none of that name.
    #[track_caller]
    pub fn set_ageing(&mut self, network: &str, age: Duration) {
        match self {
            Self::Vswitch(switch) => {
                drop(switch.ok(&["network", "set", network, "--ageing", &age.as_secs().to_string()]));
            }
            Self::LinuxBridge(bridge) => bridge.set_ageing(network, age),
            Self::OpenVswitch(ovs) => ovs.set_ageing(network, age),
        }
    }

    /// Makes a network prune multicast while it hears a querier, as vswitch does anyway.
    ///
    /// # Panics
    /// When there is none of that name.
    #[track_caller]
    pub fn snoop(&mut self, network: &str) {
        match self {
            Self::Vswitch(_) => {}
            Self::LinuxBridge(bridge) => bridge.snoop(network),
            Self::OpenVswitch(ovs) => ovs.snoop(network),
        }
    }

    /// Makes the network `default` prune multicast, and ask hosts what they want: so often, with so much time to answer, both in
    /// seconds.
    ///
    /// # Panics
    /// When the switch refuses; with Open vSwitch, which never asks.
    #[track_caller]
    pub fn ask_members(&mut self, interval_s: u32, response_s: u32) {
        match self {
            Self::Vswitch(switch) => {
                let (interval, response) = (interval_s.to_string(), response_s.to_string());
                let set = ["network", "set", "default", "--multicast-querier", "--multicast-query-interval"];
                switch.ok(&[&set[..], &[&interval, "--multicast-response-time", &response]].concat());
            }
            Self::LinuxBridge(bridge) => bridge.ask_members(interval_s, response_s),
            Self::OpenVswitch(_) => panic!("Open vSwitch is no querier"),
        }
    }

    /// Adds a static entry, or a sticky one, to a port.
    ///
    /// # Panics
    /// When the switch refuses.
    #[track_caller]
    pub fn add_entry(&mut self, mac: MacAddr, port: &str, sticky: bool) {
        match self {
            Self::Vswitch(switch) => {
                let mac = mac.to_string();
                let flag: &[&str] = if sticky { &["--sticky"] } else { &[] };
                switch.ok(&[&["fdb", "add", &mac, port], flag].concat());
            }
            Self::LinuxBridge(bridge) => bridge.add_entry(mac, port, sticky),
            Self::OpenVswitch(ovs) => ovs.add_entry(mac, port),
        }
    }

    /// All FDB entries of stations.
    #[must_use]
    #[track_caller]
    pub fn fdb(&self) -> Vec<FdbEntry> {
        match self {
            Self::Vswitch(switch) => switch.fdb_show(&[]),
            Self::LinuxBridge(bridge) => bridge.fdb(),
            Self::OpenVswitch(ovs) => ovs.fdb(),
        }
    }

    /// Says what the switch logged, for a test that failed.
    pub fn explain(&self) {
        match self {
            Self::Vswitch(switch) => switch.explain(),
            Self::LinuxBridge(_) => {}
            Self::OpenVswitch(ovs) => ovs.explain(),
        }
    }
}

/// What a refused command says, in one line.
fn try_cli(switch: &Switch, words: &[&str]) -> Result<(), String> {
    let output = switch.cli(words);
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

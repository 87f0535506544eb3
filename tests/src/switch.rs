//! The switch under test: vswitch itself, or a rival behind the same few calls.

mod bridge;
mod vswitch;

pub use bridge::Bridge;
pub use vswitch::{Switch, SwitchOptions, binary};

use std::sync::Arc;

use ::vswitch::api::types::FdbEntry;

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
}

impl Rival {
    /// What `VSWITCH_LAB_RIVAL` says: `vswitch` (default) or `bridge`.
    ///
    /// # Panics
    /// When it says something else.
    #[must_use]
    pub fn from_environment() -> Self {
        match std::env::var("VSWITCH_LAB_RIVAL").as_deref() {
            Err(_) | Ok("vswitch") => Self::Vswitch,
            Ok("bridge") => Self::LinuxBridge,
            Ok(other) => panic!("VSWITCH_LAB_RIVAL={other}: say vswitch or bridge"),
        }
    }
}

/// A running switch.
pub enum Subject {
    /// See [`Rival::Vswitch`].
    Vswitch(Switch),
    /// See [`Rival::LinuxBridge`].
    LinuxBridge(Bridge),
}

impl Subject {
    /// Starts a switch in a namespace.
    #[must_use]
    pub fn start(rival: Rival, namespace: &Arc<Namespace>, scratch: &Arc<Scratch>) -> Self {
        match rival {
            Rival::Vswitch => Self::Vswitch(Switch::start(namespace, scratch, &SwitchOptions::default())),
            Rival::LinuxBridge => Self::LinuxBridge(Bridge::create(namespace)),
        }
    }

    /// Makes a link a port and waits until it forwards.
    ///
    /// # Panics
    /// When the switch refuses.
    #[track_caller]
    pub fn add_port(&mut self, link: &str, options: &PortOptions) {
        match self {
            Self::Vswitch(switch) => switch.port_add(link, options),
            Self::LinuxBridge(bridge) => bridge.add_port(link, options),
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
        }
    }

    /// Creates a network.
    ///
    /// # Panics
    /// When there is one of that name.
    #[track_caller]
    pub fn create_network(&mut self, name: &str) {
        match self {
            Self::Vswitch(switch) => drop(switch.ok(&["network", "create", name])),
            Self::LinuxBridge(bridge) => bridge.create_network(name),
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
        }
    }

    /// All FDB entries of stations.
    #[must_use]
    #[track_caller]
    pub fn fdb(&self) -> Vec<FdbEntry> {
        match self {
            Self::Vswitch(switch) => switch.fdb_show(&[]),
            Self::LinuxBridge(bridge) => bridge.fdb(),
        }
    }

    /// Says what the switch logged, for a test that failed.
    pub fn explain(&self) {
        match self {
            Self::Vswitch(switch) => switch.explain(),
            Self::LinuxBridge(_) => {}
        }
    }
}

//! The Linux bridge as a rival: STP, multicast snooping and VLAN filtering off, one bridge per network.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vswitch::api::types::{DEFAULT_NETWORK, FdbEntry, FdbKind};

use vswitch_common::mac::MacAddr;

use crate::lab::PortOptions;
use crate::namespace::Namespace;
use crate::wait::{SOON, until};

/// Bridges in one namespace.
pub struct Bridge {
    namespace: Arc<Namespace>,
    networks: BTreeSet<String>,
}

impl Bridge {
    /// With the network `default`, as vswitch has it.
    #[must_use]
    pub fn create(namespace: &Arc<Namespace>) -> Self {
        let mut bridge = Self { namespace: namespace.clone(), networks: BTreeSet::new() };
        bridge.create_network(DEFAULT_NETWORK);
        bridge
    }

    /// Adds a bridge.
    ///
    /// # Panics
    /// When there is one of that name.
    #[track_caller]
    pub fn create_network(&mut self, name: &str) {
        assert!(self.networks.insert(name.to_owned()), "there is a network {name} already");
        let link = link_of(name);
        self.namespace.ip(&[format!("link add name {link} type bridge stp_state 0 mcast_snooping 0")]);
        self.namespace.sysctl(&format!("ipv6/conf/{link}/disable_ipv6"), "1");
        self.namespace.ip(&[format!("link set dev {link} up")]);
    }

    /// Enslaves a link.
    ///
    /// # Panics
    /// When the network is unknown or an option is one that a bridge port does not have.
    #[track_caller]
    pub fn add_port(&mut self, link: &str, options: &PortOptions) {
        assert!(options.extra.is_empty(), "the bridge rival knows no {:?}", options.extra);
        let network = options.network.as_deref().unwrap_or(DEFAULT_NETWORK);
        assert!(self.networks.contains(network), "there is no network {network}");
        let on = |flag: bool| if flag { "on" } else { "off" };
        let flood = on(!options.no_flood);
        self.namespace.sysctl(&format!("ipv6/conf/{link}/disable_ipv6"), "1");
        self.namespace.ip(&[
            format!("link set dev {link} master {} up", link_of(network)),
            format!(
                "link set dev {link} type bridge_slave isolated {} hairpin {} learning {} flood {flood} mcast_flood {flood} bcast_flood {flood}",
                on(options.isolated),
                on(options.hairpin),
                on(!options.no_learning)
            ),
        ]);
        // The carrier comes a moment after "up", and the port forwards only then.
        until(&format!("port {link} of the bridge to forward"), SOON, || {
            let links = self.namespace.ip_json(&["link", "show", "dev", link]);
            (links[0]["linkinfo"]["info_slave_data"]["state"] == "forwarding").then_some(())
        });
    }

    /// Frees a link.
    #[track_caller]
    pub fn delete_port(&mut self, link: &str) {
        self.namespace.ip(&[format!("link set dev {link} nomaster")]);
    }

    /// Forgets what was learned after `age` of silence.
    #[track_caller]
    pub fn set_ageing(&mut self, network: &str, age: Duration) {
        self.namespace.ip(&[format!(
            "link set dev {} type bridge ageing_time {}",
            link_of(network),
            age.as_millis() / 10
        )]);
    }

    /// Adds a static entry, or a sticky one.
    #[track_caller]
    pub fn add_entry(&mut self, mac: MacAddr, port: &str, sticky: bool) {
        let (mac, kind) = (mac.to_string(), if sticky { "sticky" } else { "static" });
        self.namespace.output("bridge", &["fdb", "replace", &mac, "dev", port, "master", "static", kind]);
    }

    /// Learned and configured entries, without the bridges' own.
    #[must_use]
    #[track_caller]
    pub fn fdb(&self) -> Vec<FdbEntry> {
        let text = self.namespace.output("bridge", &["-s", "-j", "fdb", "show"]);
        let entries: Vec<serde_json::Value> = serde_json::from_str(&text).expect("bridge -j prints JSON");
        let of_station =
            |entry: &&serde_json::Value| entry["master"].is_string() && entry["state"] != "permanent";
        entries.iter().filter(of_station).map(read_entry).collect()
    }
}

/// Name of the bridge of a network.
fn link_of(network: &str) -> String {
    format!("br-{network}")
}

fn read_entry(entry: &serde_json::Value) -> FdbEntry {
    let text =
        |key: &str| entry[key].as_str().expect("bridge names mac, port and master of an entry").to_owned();
    let sticky = entry["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "sticky"));
    let kind = match (entry["state"].as_str(), sticky) {
        (_, true) => FdbKind::Sticky,
        (Some("static"), false) => FdbKind::Static,
        _ => FdbKind::Dynamic,
    };
    FdbEntry {
        mac: text("mac").parse().expect("bridge prints MAC addresses"),
        port: text("ifname"),
        network: text("master").trim_start_matches("br-").to_owned(),
        vlan: None,
        kind,
        age_seconds: entry["updated"].as_f64().unwrap_or(0.0),
    }
}

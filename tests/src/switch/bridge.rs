//! The Linux bridge as a rival: STP off, multicast snooping off until asked for, VLAN filtering only where a network should
//! know VLANs, one bridge per network.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vswitch::api::types::{DEFAULT_NETWORK, FdbEntry, FdbKind};

use vswitch_common::mac::MacAddr;

use super::NetworkOptions;
use crate::lab::{Membership, PortOptions};
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
        bridge
            .create_network(DEFAULT_NETWORK, &NetworkOptions::default())
            .expect("a plain bridge is in every kernel");
        bridge
    }

    /// Adds a bridge.
    ///
    /// # Errors
    /// What the kernel's bridge cannot do.
    ///
    /// # Panics
    /// When there is one of that name.
    #[track_caller]
    pub fn create_network(&mut self, name: &str, options: &NetworkOptions) -> Result<(), String> {
        assert!(!self.networks.contains(name), "there is a network {name} already");
        let link = link_of(name);
        self.namespace.ip(&[format!("link add name {link} type bridge stp_state 0 mcast_snooping 0")]);
        if options.vlan_aware
            && let Err(said) = self.try_ip(&format!("link set dev {link} type bridge vlan_filtering 1"))
        {
            self.namespace.ip(&[format!("link del dev {link}")]);
            return Err(format!("not in this kernel: vlan_filtering: {said}"));
        }
        self.networks.insert(name.to_owned());
        self.namespace.sysctl(&format!("ipv6/conf/{link}/disable_ipv6"), "1");
        self.namespace.ip(&[format!("link set dev {link} up")]);
        if let Some(age) = options.ageing {
            self.set_ageing(name, age);
        }
        Ok(())
    }

    /// Removes a bridge.
    #[track_caller]
    pub fn delete_network(&mut self, name: &str) {
        self.networks.remove(name);
        self.namespace.ip(&[format!("link del dev {}", link_of(name))]);
    }

    /// What `ip` says of a command that may fail.
    fn try_ip(&self, arguments: &str) -> Result<(), String> {
        let mut ip = self.namespace.command("ip");
        let output = ip.args(arguments.split(' ')).output().expect("iproute2 is installed");
        let said = String::from_utf8_lossy(&output.stderr).trim().replace("RTNETLINK answers: ", "");
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    /// Enslaves a link.
    ///
    /// # Errors
    /// The option that a bridge port does not have.
    ///
    /// # Panics
    /// When the network is unknown.
    #[track_caller]
    pub fn add_port(&mut self, link: &str, options: &PortOptions) -> Result<(), String> {
        let (vlans, left) = options.membership();
        let only_mac = match left[..] {
            [] => None,
            ["--mac", mac] => Some(mac.parse().expect("the test gives a MAC address")),
            ["--mac", _, option, ..] | [option, ..] => {
                return Err(format!("no such option of a port: {}", option.trim_start_matches('-')));
            }
        };
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
        self.set_vlans(link, &vlans);
        if let Some(mac) = only_mac {
            self.namespace.output("bridge", &["link", "set", "dev", link, "locked", "on", "learning", "off"]);
            self.add_entry(mac, link, false);
        }
        // The carrier comes a moment after "up", and the port forwards only then.
        until(&format!("port {link} of the bridge to forward"), SOON, || {
            let links = self.namespace.ip_json(&["link", "show", "dev", link]);
            (links[0]["linkinfo"]["info_slave_data"]["state"] == "forwarding").then_some(())
        });
        Ok(())
    }

    /// Makes a port a member of its VLANs alone; only a bridge with VLAN filtering has any.
    fn set_vlans(&self, link: &str, vlans: &Membership) {
        if *vlans == Membership::default() {
            return;
        }
        let vlan = |words: &str| {
            let words = format!("vlan {words}");
            self.namespace.output("bridge", &words.split(' ').collect::<Vec<_>>());
        };
        vlan(&format!("del dev {link} vid 1"));
        let list = vlans.trunk.as_deref().map(|list| if list == "all" { "1-4094" } else { list });
        for vids in list.iter().flat_map(|list| list.split(',')) {
            vlan(&format!("add dev {link} vid {vids}"));
        }
        for vid in vlans.access.iter().chain(&vlans.native) {
            vlan(&format!("add dev {link} vid {vid} pvid untagged"));
        }
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

    /// Turns snooping of a network on; a querier is taken to have gone after 6 seconds.
    #[track_caller]
    pub fn snoop(&mut self, network: &str) {
        let link = link_of(network);
        self.namespace
            .ip(&[format!("link set dev {link} type bridge mcast_querier_interval 600 mcast_snooping 1")]);
    }

    /// Turns snooping and querier of the network `default` on.
    #[track_caller]
    pub fn ask_members(&mut self, interval_s: u32, response_s: u32) {
        let (link, interval, response) = (link_of(DEFAULT_NETWORK), interval_s * 100, response_s * 100);
        let membership = 2 * interval + response;
        // Without an address of its own it asks nobody by MLD.
        self.namespace.sysctl(&format!("ipv6/conf/{link}/accept_dad"), "0");
        self.namespace.sysctl(&format!("ipv6/conf/{link}/disable_ipv6"), "0");
        self.namespace.ip(&[
            format!("link set dev {link} type bridge mcast_igmp_version 3 mcast_mld_version 2 mcast_last_member_interval 100"),
            format!("link set dev {link} type bridge mcast_query_interval {interval} mcast_query_response_interval {response}"),
            format!("link set dev {link} type bridge mcast_startup_query_interval 200 mcast_membership_interval {membership}"),
            format!("link set dev {link} type bridge mcast_snooping 1 mcast_querier 1"),
        ]);
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

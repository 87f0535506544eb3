//! What a switch could change at a link and its far end, written down before and after, so that "everything was put
//! back" is one comparison: link attributes, addresses, offloads, queue counts, sysctls, qdiscs, filters and programs.

use std::collections::BTreeMap;
use std::fs;

use crate::lab::{Host, Wire};
use crate::namespace::Namespace;
use crate::proof::attachments;
use crate::wait::{SOON, poll};

/// Settings by name, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint(BTreeMap<String, String>);

impl Footprint {
    /// Of the port's link in the switch's namespace and of its far end in the host.
    #[must_use]
    #[track_caller]
    pub fn of(switch_ns: &Namespace, host: &Host, wire: &Wire) -> Self {
        let mut footprint = Self::default();
        footprint.add_link("near", switch_ns, &wire.port);
        footprint.add_link("far", host.namespace(), &wire.link);
        footprint
    }

    /// Of a whole namespace's rules: links there are, nftables, routes, policy rules, neighbour and global sysctls.
    #[must_use]
    #[track_caller]
    pub fn of_namespace(namespace: &Namespace) -> Self {
        let mut footprint = Self::default();
        let links = namespace.ip_json(&["link", "show"]);
        let names: Vec<_> =
            links.as_array().into_iter().flatten().map(|link| link["ifname"].to_string()).collect();
        footprint.set("links", &names.join(" "));
        footprint.set("nftables", &namespace.output("nft", &["list", "ruleset"]));
        footprint.set("rules", &namespace.output("ip", &["rule", "show"]));
        for scope in ["all", "default"] {
            footprint.add_sysctls("namespace", namespace, scope);
        }
        footprint
    }

    fn add_link(&mut self, end: &str, namespace: &Namespace, link: &str) {
        let links = namespace.ip_json(&["link", "show", "dev", link]);
        for (key, value) in links[0].as_object().into_iter().flatten() {
            self.set(format!("{end} link {key}"), value);
        }
        let addresses = namespace.ip_json(&["addr", "show", "dev", link]);
        for address in addresses[0]["addr_info"].as_array().into_iter().flatten() {
            self.set(
                format!("{end} address {}/{}", address["local"], address["prefixlen"]),
                &address["scope"],
            );
        }
        for line in namespace.output("ethtool", &["-k", link]).lines() {
            if let Some((feature, state)) = line.split_once(':') {
                self.set(format!("{end} offload {}", feature.trim()), state.trim());
            }
        }
        let channels =
            namespace.command("ethtool").args(["-l", link]).output().expect("ethtool is installed");
        self.set(format!("{end} queues"), &String::from_utf8_lossy(&channels.stdout));
        self.set(format!("{end} qdiscs"), &namespace.output("tc", &["qdisc", "show", "dev", link]));
        for direction in ["ingress", "egress"] {
            let filters = namespace.command("tc").args(["filter", "show", "dev", link, direction]).output();
            let filters = filters.expect("iproute2 is installed");
            self.set(format!("{end} {direction} filters"), &String::from_utf8_lossy(&filters.stdout));
        }
        let programs: Vec<_> =
            attachments(namespace).into_iter().filter(|attached| attached.link == link).collect();
        self.set(format!("{end} programs"), &format!("{programs:?}"));
        self.add_sysctls(end, namespace, link);
    }

    fn add_sysctls(&mut self, title: &str, namespace: &Namespace, scope: &str) {
        for family in ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"] {
            let folder = format!("/proc/sys/net/{family}/{scope}");
            let read = || {
                let files = fs::read_dir(&folder).into_iter().flatten().flatten();
                files
                    .map(|file| (file.file_name(), fs::read_to_string(file.path()).unwrap_or_default()))
                    .collect::<Vec<_>>()
            };
            for (name, value) in namespace.run(read) {
                self.set(format!("{title} {family} {scope} {}", name.display()), value.trim());
            }
        }
    }

    /// Notes a setting that is not among those above.
    pub fn note(&mut self, key: &str, value: &str) {
        self.set(key, value);
    }

    fn set(&mut self, key: impl Into<String>, value: &(impl ToString + ?Sized)) {
        self.0.insert(key.into(), value.to_string());
    }

    /// The same without the settings whose name contains one of `parts`.
    #[must_use]
    pub fn without(mut self, parts: &[&str]) -> Self {
        self.0.retain(|key, _| !parts.iter().any(|part| key.contains(part)));
        self
    }

    /// One line for each setting that differs.
    #[must_use]
    pub fn differences(&self, after: &Self) -> Vec<String> {
        let keys: std::collections::BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        let differs = keys.into_iter().filter(|key| self.0.get(*key) != after.0.get(*key));
        differs.map(|key| format!("{key}: was {:?}, is {:?}", self.0.get(key), after.0.get(key))).collect()
    }

    /// Checks that `look` sees what `self` is: at once or soon, as addresses come back a moment later.
    ///
    /// # Panics
    /// With the differences.
    #[track_caller]
    pub fn assert_restored(&self, mut look: impl FnMut() -> Self) {
        let same = poll(SOON, || self.differences(&look()).is_empty().then_some(()));
        assert!(same.is_some(), "not put back:\n{}", self.differences(&look()).join("\n"));
    }
}

//! One host: a namespace with links to the switch, as a container sees itself.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use vswitch_common::mac::MacAddr;

use crate::namespace::Namespace;
use crate::sniff::{Sniffer, inject};
use crate::wait::until;

/// Longest wait for duplicate address detection: one second by the RFC, more on a busy machine.
const DAD_TIME: Duration = Duration::from_secs(20);

/// How a host's first link is set up.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// MAC; where none is given, 02:77:00:00:00:n.
    pub mac: Option<MacAddr>,
    /// Number n in the addresses; where none is given, the host's place in the lab, from 1.
    pub number: Option<u8>,
    /// Third octet of 10.77.x.n, and fd77:x::n.
    pub subnet: u8,
    /// Has IPv4 and IPv6 addresses.
    pub addresses: bool,
    /// Has IPv6 at all; without, nothing is sent that the test did not send.
    pub ipv6: bool,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self { mac: None, number: None, subnet: 0, addresses: true, ipv6: true }
    }
}

impl HostOptions {
    /// Silent: no addresses and no IPv6, for tests that send and count frames themselves.
    #[must_use]
    pub fn bare() -> Self {
        Self { addresses: false, ipv6: false, ..Self::default() }
    }

    /// Up, but without addresses: for DHCP and SLAAC.
    #[must_use]
    pub fn unconfigured() -> Self {
        Self { addresses: false, ..Self::default() }
    }

    /// IPv4 only: half as chatty, and ready at once.
    #[must_use]
    pub fn ipv4_only() -> Self {
        Self { ipv6: false, ..Self::default() }
    }

    /// The same with another MAC.
    #[must_use]
    pub fn mac(mut self, mac: &str) -> Self {
        self.mac = Some(mac.parse().expect("the test gives a MAC address"));
        self
    }

    /// The same with another number in its addresses and MAC.
    #[must_use]
    pub fn number(mut self, number: u8) -> Self {
        self.number = Some(number);
        self
    }

    /// The same in another subnet.
    #[must_use]
    pub fn subnet(mut self, subnet: u8) -> Self {
        self.subnet = subnet;
        self
    }
}

/// A host of the lab; cloning gives another handle to the same host.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    number: u8,
    options: HostOptions,
    namespace: Arc<Namespace>,
    links: Arc<AtomicU32>,
}

impl Host {
    pub(super) fn create(name: &str, namespace: &str, number: u8, options: HostOptions) -> Self {
        assert!(name.len() < 12, "{name} is too long: its links are called after it");
        let namespace = Arc::new(Namespace::create(namespace));
        if !options.ipv6 {
            namespace.sysctl("ipv6/conf/all/disable_ipv6", "1");
            namespace.sysctl("ipv6/conf/default/disable_ipv6", "1");
        }
        let number = options.number.unwrap_or(number);
        Self { name: name.to_owned(), number, options, namespace, links: Arc::default() }
    }

    /// A host that somebody else set up, with the addresses that `options` say; its namespace is deleted with it.
    #[must_use]
    pub fn adopt(name: &str, namespace: Namespace, options: HostOptions) -> Self {
        let number = options.number.expect("an adopted host has a number");
        let links = Arc::new(AtomicU32::new(1));
        Self { name: name.to_owned(), number, options, namespace: Arc::new(namespace), links }
    }

    /// The same host, known by an address of 10.77/16 that somebody gave it.
    ///
    /// # Panics
    /// When it is another.
    #[must_use]
    #[track_caller]
    pub fn known_as(&self, ip: Ipv4Addr) -> Self {
        let [10, 77, subnet, number] = ip.octets() else { panic!("{} has {ip}: not in 10.77/16", self.name) };
        Self { number, options: self.options.clone().subnet(subnet), ..self.clone() }
    }

    /// The name, after which its links in the switch's namespace are called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// IPv4 address of the first link.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.options.subnet, self.number)
    }

    /// IPv6 address of the first link.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, self.options.subnet.into(), 0, 0, 0, 0, 0, self.number.into())
    }

    /// MAC of the first link.
    #[must_use]
    pub fn mac(&self) -> MacAddr {
        self.options.mac.unwrap_or(MacAddr::from_octets([2, 0x77, 0, 0, 0, self.number]))
    }

    /// The host's namespace.
    #[must_use]
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// How many links it has.
    #[must_use]
    pub fn links(&self) -> u32 {
        self.links.load(Ordering::Relaxed)
    }

    pub(super) fn count_link(&self) -> u32 {
        self.links.fetch_add(1, Ordering::Relaxed)
    }

    /// Addresses and state of a link that was just made; only `eth0` gets addresses and the host's MAC.
    pub(super) fn set_up(&self, link: &str) {
        let mut lines = Vec::new();
        if link == "eth0" {
            lines.push(format!("link set dev eth0 address {}", self.mac()));
        }
        lines.push(format!("link set dev {link} up"));
        if link == "eth0" && self.options.addresses {
            lines.push(format!("addr add {}/24 brd + dev eth0", self.ipv4()));
            if self.options.ipv6 {
                lines.push(format!("addr add {}/64 dev eth0", self.ipv6()));
            }
        }
        self.namespace.ip(&lines);
    }

    /// A command that will run in the host.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// What a closure returns when run in the host.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.run(work)
    }

    /// Captures on its first link from now on.
    #[must_use]
    #[track_caller]
    pub fn sniff(&self) -> Sniffer {
        Sniffer::start(&self.namespace, "eth0")
    }

    /// Sends a frame by its first link.
    #[track_caller]
    pub fn inject(&self, frame: &[u8]) {
        inject(&self.namespace, "eth0", std::slice::from_ref(&frame));
    }

    /// Sends many frames by its first link, in order.
    #[track_caller]
    pub fn inject_all(&self, frames: &[impl AsRef<[u8]> + Sync]) {
        inject(&self.namespace, "eth0", frames);
    }

    /// Waits until duplicate address detection has passed every IPv6 address of the host.
    ///
    /// # Panics
    /// When an address stays tentative or is found to be taken.
    #[track_caller]
    pub fn wait_for_ipv6(&self) {
        until(&format!("the IPv6 addresses of {} to leave tentative", self.name), DAD_TIME, || {
            let addresses = self.addresses("inet6");
            assert!(
                !addresses.iter().any(|a| a["dadfailed"] == true),
                "duplicate address at {}: {addresses:?}",
                self.name
            );
            // A link without carrier has no link-local address yet.
            let link_local = addresses.iter().any(|a| a["scope"] == "link");
            (link_local && !addresses.iter().any(|a| a["tentative"] == true)).then_some(())
        });
    }

    /// What `ip -j addr` says of the first link's addresses of one family, `inet` or `inet6`.
    #[must_use]
    pub fn addresses(&self, family: &str) -> Vec<serde_json::Value> {
        let links = self.namespace.ip_json(&["addr", "show", "dev", "eth0"]);
        let found = links[0]["addr_info"].as_array().cloned().unwrap_or_default();
        found.into_iter().filter(|address| address["family"] == family).collect()
    }
}

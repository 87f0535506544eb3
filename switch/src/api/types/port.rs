//! Ports: what is asked of them and what they report.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::vlan::PortVlan;

/// Where a port's program should sit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum HookChoice {
    /// The controller chooses by what is behind the port, and says why.
    #[default]
    Auto,
    /// XDP, native where the driver can, else as `hook_reason` says.
    Xdp,
    /// tc ingress.
    Tc,
}

/// Where a port's program sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// XDP, with the tc program behind it.
    Xdp,
    /// tc ingress alone.
    Tc,
}

/// How the program is attached to the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookMode {
    /// XDP in the driver.
    Native,
    /// XDP on socket buffers.
    Generic,
    /// tc by a tcx link (Linux 6.6).
    Tcx,
    /// tc by a clsact filter.
    Clsact,
}

/// What `port add` and `port set` ask for. `None` means "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortSpec {
    /// Name of the Linux link in the controller's namespace.
    pub link: String,
    /// Network to join; `default` where not said.
    pub network: Option<String>,
    /// Hook to use; `auto` where not said.
    pub hook: Option<HookChoice>,
    /// VLAN mode; only on VLAN-aware networks.
    pub vlan: Option<PortVlan>,
    /// Isolated ports reach only ports that are not.
    pub isolated: Option<bool>,
    /// May a frame leave by the port it came in by?
    pub hairpin: Option<bool>,
    /// Are source addresses learned? Default yes.
    pub learning: Option<bool>,
    /// Do unknown unicast, broadcast and multicast leave by this port? Default yes.
    pub flood: Option<bool>,
    /// Most dynamic entries the port may hold; 0 lifts the limit.
    pub mac_limit: Option<u32>,
    /// Name of the host behind the port; an empty one forgets it.
    pub name: Option<String>,
    /// Addresses of the host behind the port; an empty list forgets them.
    pub ips: Option<Vec<IpAddr>>,
    /// MAC of the host behind the port; `00:00:00:00:00:00` forgets it.
    pub mac: Option<MacAddr>,
    /// DHCP servers and router advertisements are accepted from here.
    pub trusted: Option<bool>,
    /// Storm limits, frames per second by kind; 0 lifts one.
    pub storm: BTreeMap<StormKind, u32>,
    /// Frames of a kind that may come at once after a quiet time, with the limit of that kind in the same request; where
    /// none are said, what the rate allows in a tenth of a second, and 9 at least.
    pub storm_burst: BTreeMap<StormKind, u32>,
    /// Ends the port's quarantine, if there is one, and forgets earlier ones; only for `port set`.
    pub end_quarantine: bool,
}

/// Kinds of frames that storm control limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum StormKind {
    /// To ff:ff:ff:ff:ff:ff.
    Broadcast,
    /// To any other group address.
    Multicast,
    /// To an individual address that is not in the FDB.
    Unknown,
}

/// Which ports to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortFilter {
    /// One link only; an error if it is not a port.
    pub link: Option<String>,
    /// Ports of one network only.
    pub network: Option<String>,
}

/// One port, as `port show --json` prints it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Port {
    /// Link name.
    pub name: String,
    /// Link index in the controller's namespace; 0 while the link is gone.
    pub ifindex: u32,
    /// Network the port belongs to.
    pub network: String,
    /// Does it take part in forwarding?
    pub state: PortState,
    /// Why it is down although its link is up, where that is so.
    #[serde(default)]
    pub quarantine: Option<PortQuarantine>,
    /// Hook in use.
    pub hook: Hook,
    /// How the hook is attached.
    pub hook_mode: HookMode,
    /// Why this hook.
    pub hook_reason: String,
    /// What the user asked for.
    pub hook_choice: HookChoice,
    /// VLAN options.
    pub vlan: PortVlan,
    /// See [`PortSpec::isolated`].
    pub isolated: bool,
    /// See [`PortSpec::hairpin`].
    pub hairpin: bool,
    /// See [`PortSpec::learning`].
    pub learning: bool,
    /// See [`PortSpec::flood`].
    pub flood: bool,
    /// Whether only the endpoint's addresses are taken as sources.
    #[serde(default)]
    pub guarded: bool,
    /// See [`PortSpec::trusted`].
    #[serde(default)]
    pub trusted: bool,
    /// See [`PortSpec::storm`]; kinds without a limit are left out.
    #[serde(default)]
    pub storm: BTreeMap<StormKind, u32>,
    /// See [`PortSpec::storm_burst`].
    #[serde(default)]
    pub storm_burst: BTreeMap<StormKind, u32>,
    /// See [`PortSpec::mac_limit`]; null is no limit.
    pub mac_limit: Option<u32>,
    /// Link MTU in bytes, without the Ethernet header.
    pub mtu: u32,
    /// Whether the link's two ends pass segments of more than 64 KiB (BIG TCP).
    #[serde(default)]
    pub big_tcp: bool,
    /// Why, or why not.
    #[serde(default)]
    pub big_tcp_reason: String,
    /// Who is behind the port, where that is known.
    pub endpoint: Option<Endpoint>,
    /// Frames since the port was added.
    pub counters: Counters,
}

/// Whether a port forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortState {
    /// Link up with carrier: frames flow.
    Forwarding,
    /// Link down, without carrier, or gone; or quarantined.
    Down,
}

/// Why and for how long a port neither takes nor gets frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortQuarantine {
    /// What happened.
    pub reason: String,
    /// Seconds until it ends.
    pub until_seconds: f64,
    /// Quarantines of this port so far; each lasts twice as long as the one before.
    pub count: u64,
    /// The station that flapped.
    pub mac: MacAddr,
    /// The port that it was pinned to.
    pub older_port: String,
}

/// The host behind a port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Host name.
    pub name: Option<String>,
    /// Its MAC.
    pub mac: Option<MacAddr>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// Frame counters of a port. `rx` is into the switch, `tx` out of it. A GSO frame counts as its segments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames in.
    pub rx_packets: u64,
    /// Bytes in, Ethernet header included.
    pub rx_bytes: u64,
    /// Frames out.
    pub tx_packets: u64,
    /// Bytes out, Ethernet header included.
    pub tx_bytes: u64,
    /// Frames in, by the hook that decided and carried them.
    pub rx_by_hook: BTreeMap<String, u64>,
    /// ARP requests from here that the kernel answered: floods saved.
    pub answered: u64,
    /// Frames from here that went to the controller.
    pub punted: u64,
    /// Sources not learned here because a limit was reached.
    pub not_learned: u64,
    /// Frames dropped on the way in or out, by drop reason; reasons that never happened are left out.
    pub drops: BTreeMap<String, u64>,
}

/// Counters with the name of their port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PortStats {
    /// Link name.
    pub name: String,
    /// Its counters.
    #[serde(flatten)]
    pub counters: Counters,
}

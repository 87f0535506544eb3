//! All that the CLI and the controller share: requests, replies and events, as they stand in JSON.
//!
//! A request is what a user asked for, parsed but not yet checked against the switch's state. A reply's shape is the
//! command contract: fields are added, never renamed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;
use vswitch_common::vlan::VlanId;

/// Version of this API; part of every path (`/v1/…`).
pub const API_VERSION: u32 = 1;

/// The network that always exists and that a port joins when no other is named.
pub const DEFAULT_NETWORK: &str = "default";

/// One request to the controller. Each variant is one route of the HTTP API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// What the controller is and how it fares.
    Status,
    /// Remove every program, map, pin, rule and link that vswitch made, then stop.
    Teardown,
    /// Make a link a port.
    PortAdd(PortSpec),
    /// Change a port's options; options left out stay as they are.
    PortSet(PortSpec),
    /// Give a link back.
    PortDel {
        /// The port's link name.
        link: String,
    },
    /// List ports.
    PortShow(PortFilter),
    /// List FDB entries.
    FdbShow(FdbFilter),
    /// Add a static or sticky entry.
    FdbAdd(FdbSpec),
    /// Remove one entry.
    FdbDel(FdbKeySpec),
    /// Remove the dynamic entries (and with `include_static` all but local ones) that match.
    FdbFlush(FdbFlush),
    /// Create a network.
    NetworkCreate(NetworkSpec),
    /// Change a network.
    NetworkSet(NetworkChange),
    /// Remove a network.
    NetworkRemove {
        /// The network's name.
        name: String,
        /// Remove its ports too.
        #[serde(default)]
        force: bool,
    },
    /// List networks.
    NetworkList,
    /// One network with all that is known of it.
    NetworkInspect {
        /// The network's name.
        name: String,
    },
    /// Counters of one port, or of all.
    Stats {
        /// The port's link name; none means all ports.
        #[serde(default)]
        link: Option<String>,
    },
}

impl Request {
    /// Whether the request only reads.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Status
            | Self::PortShow(_)
            | Self::FdbShow(_)
            | Self::NetworkList
            | Self::NetworkInspect { .. }
            | Self::Stats { .. } => true,
            Self::Teardown
            | Self::PortAdd(_)
            | Self::PortSet(_)
            | Self::PortDel { .. }
            | Self::FdbAdd(_)
            | Self::FdbDel(_)
            | Self::FdbFlush(_)
            | Self::NetworkCreate(_)
            | Self::NetworkSet(_)
            | Self::NetworkRemove { .. } => false,
        }
    }
}

/// The answer to a request, or nothing but its success.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::PortShow`]; `PortAdd` and `PortSet` answer with the one port.
    Ports(Vec<Port>),
    /// To [`Request::FdbShow`].
    Fdb(Vec<FdbEntry>),
    /// To [`Request::NetworkList`]; `NetworkCreate`, `NetworkSet` and `NetworkInspect` answer with the one network.
    Networks(Vec<Network>),
    /// To [`Request::Stats`].
    Stats(Vec<PortStats>),
    /// To [`Request::FdbFlush`] and other commands that only count what they did.
    Done(Done),
}

/// What a command without a subject to show did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Done {
    /// How many things the command changed; 0 where that was nothing.
    pub changed: u64,
}

/// Where a port's program should sit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Name of the host behind the port.
    pub name: Option<String>,
    /// Addresses of the host behind the port.
    pub ips: Option<Vec<IpAddr>>,
    /// MAC of the host behind the port.
    pub mac: Option<MacAddr>,
    /// DHCP servers and router advertisements are accepted from here.
    pub trusted: Option<bool>,
    /// Storm limits, frames per second by kind; 0 lifts one.
    pub storm: BTreeMap<StormKind, u32>,
}

/// VLAN options of a port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortVlan {
    /// Access: untagged member of one VLAN. Trunk: tagged member of several.
    pub mode: VlanMode,
    /// VLAN of untagged frames; for an access port its VLAN.
    pub pvid: Option<VlanId>,
    /// Tagged VLANs of a trunk: `10,20,100-200` or `all`.
    #[serde(default)]
    pub allowed: String,
}

/// How a port treats VLAN tags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VlanMode {
    /// VLAN-unaware: tags pass untouched.
    #[default]
    None,
    /// Untagged member of one VLAN.
    Access,
    /// Tagged member of several.
    Trunk,
}

/// Kinds of frames that storm control limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// See [`PortSpec::mac_limit`]; null is no limit.
    pub mac_limit: Option<u32>,
    /// Link MTU in bytes, without the Ethernet header.
    pub mtu: u32,
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
    /// Link down, without carrier, or gone.
    Down,
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

/// Which entries to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FdbFilter {
    /// Entries of one network.
    pub network: Option<String>,
    /// Entries of one port.
    pub port: Option<String>,
    /// Entries of one MAC.
    pub mac: Option<MacAddr>,
    /// Entries of one VLAN.
    pub vlan: Option<VlanId>,
}

/// A static or sticky entry to add; its network is its port's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FdbSpec {
    /// Individual address.
    pub mac: MacAddr,
    /// Link name of the port.
    pub port: String,
    /// VLAN, on VLAN-aware networks.
    #[serde(default)]
    pub vlan: Option<VlanId>,
    /// Never moves to another port.
    #[serde(default)]
    pub sticky: bool,
}

/// Names one entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FdbKeySpec {
    /// The entry's MAC.
    pub mac: MacAddr,
    /// Its network; `default` where not said.
    #[serde(default)]
    pub network: Option<String>,
    /// Its VLAN, on VLAN-aware networks.
    #[serde(default)]
    pub vlan: Option<VlanId>,
}

/// Which entries to flush; all conditions must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FdbFlush {
    /// Entries of one network.
    pub network: Option<String>,
    /// Entries of one port.
    pub port: Option<String>,
    /// Entries of one VLAN.
    pub vlan: Option<VlanId>,
    /// Static and sticky entries too.
    #[serde(rename = "static")]
    pub include_static: bool,
}

/// One FDB entry, as `fdb show --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The station's MAC.
    pub mac: MacAddr,
    /// Link name of its port.
    pub port: String,
    /// Its network.
    pub network: String,
    /// Its VLAN; null on VLAN-unaware networks.
    pub vlan: Option<VlanId>,
    /// How the entry came to be and what may change it.
    pub kind: FdbKind,
    /// Seconds since the station was last heard; 0 for entries that do not age.
    pub age_seconds: f64,
}

/// Kinds of FDB entries, as in `bridge fdb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FdbKind {
    /// Learned; ages.
    Dynamic,
    /// Configured; never ages, may move.
    Static,
    /// Configured; never ages, never moves.
    Sticky,
    /// The switch's own address.
    Local,
}

/// What `network create` asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// Name: 1 to 63 letters, digits, `_`, `.`, `-`, starting with a letter or digit.
    pub name: String,
    /// Subnets in CIDR form.
    pub subnets: Vec<String>,
    /// Gateway addresses.
    pub gateways: Vec<IpAddr>,
    /// No way out of the network.
    pub internal: bool,
    /// Largest frame, in bytes without the Ethernet header; 576 to 65,000.
    pub mtu: Option<u32>,
    /// Seconds after which a silent station is forgotten; 0 is never; default 300.
    pub ageing: Option<u32>,
    /// VLANs separate traffic inside the network.
    pub vlan_aware: bool,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
}

/// What `network set` asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkChange {
    /// The network's name.
    pub name: String,
    /// See [`NetworkSpec::ageing`].
    pub ageing: Option<u32>,
    /// See [`NetworkSpec::mtu`].
    pub mtu: Option<u32>,
}

/// One network; the capitalised fields are those of `docker network inspect`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Network {
    /// Name.
    #[serde(rename = "Name")]
    pub name: String,
    /// Identifier: decimal, stable for the network's life.
    #[serde(rename = "Id")]
    pub id: String,
    /// `vswitch`.
    #[serde(rename = "Driver")]
    pub driver: String,
    /// `local`.
    #[serde(rename = "Scope")]
    pub scope: String,
    /// No way out.
    #[serde(rename = "Internal")]
    pub internal: bool,
    /// Labels.
    #[serde(rename = "Labels")]
    pub labels: BTreeMap<String, String>,
    /// Ports' link names.
    pub ports: Vec<String>,
    /// Seconds; 0 is never.
    pub ageing: u32,
    /// Bytes; null is whatever the links have.
    pub mtu: Option<u32>,
    /// VLANs separate traffic inside.
    pub vlan_aware: bool,
    /// Dynamic and other FDB entries of the network.
    pub fdb_entries: u64,
}

/// What `vswitch status` prints.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The binary's version.
    pub version: String,
    /// The data path's ABI version.
    pub abi: u32,
    /// Seconds since the controller began to serve.
    pub uptime_seconds: u64,
    /// Whether the controller took over pins of an earlier run.
    pub adopted: bool,
    /// Kernel release and what was found in it.
    pub kernel: Kernel,
    /// Number of networks.
    pub networks: u64,
    /// Number of ports.
    pub ports: u64,
    /// FDB occupancy.
    pub fdb: FdbStatus,
    /// Hook of each port, by link name.
    pub hooks: BTreeMap<String, HookMode>,
    /// Limits in force, by name, with the memory each map takes in bytes.
    pub limits: Vec<Limit>,
    /// Events the kernel could not hand up because the controller was behind.
    pub events_lost: u64,
    /// Where things are.
    pub paths: Paths,
}

/// Kernel features found at start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Features by name: `tcx`, `xdp_native`, `redirect_peer`, `bpf_loop`, …
    pub features: BTreeMap<String, bool>,
}

/// How full the FDB is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct FdbStatus {
    /// Entries present.
    pub entries: u64,
    /// Most dynamic entries.
    pub limit: u64,
}

/// A named limit and what it costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limit {
    /// Map name.
    pub name: String,
    /// Most entries.
    pub entries: u64,
    /// Kernel memory of the map in bytes.
    pub memory_bytes: u64,
}

/// The controller's files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Paths {
    /// Control socket.
    pub socket: String,
    /// Durable state.
    pub state_dir: String,
    /// Pins.
    pub bpffs: String,
}

/// One line of `vswitch monitor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A station was learned.
    Learned {
        /// Its MAC.
        mac: MacAddr,
        /// Its network.
        network: String,
        /// Its port.
        port: String,
    },
    /// A station moved between ports.
    Moved {
        /// Its MAC.
        mac: MacAddr,
        /// Its network.
        network: String,
        /// The port it came from.
        from: String,
        /// The port it is at now.
        port: String,
    },
    /// A silent station was forgotten.
    Aged {
        /// Its MAC.
        mac: MacAddr,
        /// Its network.
        network: String,
        /// The port it was at.
        port: String,
    },
    /// A port was added.
    PortAdded {
        /// Link name.
        port: String,
    },
    /// A port was removed.
    PortRemoved {
        /// Link name.
        port: String,
    },
    /// A port's link came up.
    PortUp {
        /// Link name.
        port: String,
    },
    /// A port's link went down or away.
    PortDown {
        /// Link name.
        port: String,
    },
    /// A port's hook changed.
    HookChanged {
        /// Link name.
        port: String,
        /// The hook now.
        hook: Hook,
        /// Why.
        reason: String,
    },
    /// A limit was reached.
    LimitReached {
        /// The limit's name, as in `status`.
        limit: String,
        /// The port at which, where there is one.
        port: Option<String>,
    },
    /// Events were lost because the reader or the controller was behind.
    Lost {
        /// How many.
        count: u64,
    },
}

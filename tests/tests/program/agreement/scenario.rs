//! What happens to a switch in one scenario, as a value that is generated, shrunk, written to a file and read again.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Most ports of a scenario.
pub(crate) const PORTS: u8 = 6;
/// Networks, numbered from 1.
pub(crate) const NETWORKS: u8 = 4;
/// The one of them that is VLAN-aware.
pub(crate) const AWARE: u8 = 4;
/// VLANs that ports of it are in.
pub(crate) const VLANS: [u16; 3] = [10, 20, 4094];
/// Stations of the pool: few, so that they meet.
pub(crate) const STATIONS: u8 = 6;
/// After this long a silent station is forgotten, in seconds. With [`PASS_S`], ages are 20, 40, … and never near it.
pub(crate) const AGEING_S: u64 = 30;
/// A step of time, in seconds.
pub(crate) const PASS_S: u64 = 20;

/// A switch, and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scenario {
    /// Most dynamic entries.
    pub(crate) room: u32,
    /// Networks that remember for ever at first; the others forget after [`AGEING_S`].
    pub(crate) ageless: Vec<u8>,
    /// Its ports, from 0.
    pub(crate) ports: Vec<Port>,
    /// What happens.
    pub(crate) steps: Vec<Step>,
}

/// Settings of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Port {
    /// 1 to [`NETWORKS`].
    pub(crate) network: u8,
    pub(crate) options: Options,
    /// Whether XDP may redirect to it.
    pub(crate) xdp_target: bool,
    /// Whether frames come to its XDP program first.
    #[serde(default)]
    pub(crate) xdp: bool,
    /// On network [`AWARE`].
    #[serde(default)]
    pub(crate) vlans: Membership,
    #[serde(default)]
    pub(crate) guard: Option<Guarded>,
    /// Kinds of floods of which it has used up its limit.
    #[serde(default)]
    pub(crate) exhausted: [bool; 3],
}

/// VLANs of a port, by their places in [`VLANS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Membership {
    /// Of its untagged frames.
    pub(crate) untagged: Option<u8>,
    /// And which others.
    pub(crate) tagged: [bool; 3],
}

/// What a guarded port was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guarded {
    /// A station's MAC address, or any.
    pub(crate) mac: Option<u8>,
    /// A station's IP address, or any.
    pub(crate) ip: Option<u8>,
    pub(crate) trusted: bool,
}

/// What can be changed while a port is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    pub(crate) isolated: bool,
    pub(crate) hairpin: bool,
    pub(crate) learning: bool,
    pub(crate) flood: bool,
    /// 0 is no limit.
    pub(crate) mac_limit: u32,
    pub(crate) mtu: u32,
}

/// An address of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Address {
    /// One of the pool.
    Station(u8),
    Broadcast,
    /// A group address that is relayed.
    Group,
    /// One that no bridge relays.
    Reserved,
    Zero,
}

/// The tag of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Tag {
    #[default]
    None,
    /// 802.1Q, of any VLAN ID.
    Customer(u16),
    /// 802.1ad.
    Service(u16),
}

/// What a frame carries. Addresses are those of stations of the pool; `None` is no address yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Payload {
    /// What no stage looks into.
    #[default]
    Plain,
    /// An announcement by a station of its own or another's address: no question that a switch could answer.
    Arp { sender: u8, ip: Option<u8> },
    /// A UDP datagram, to port 67 or from it or neither.
    Udp { ip: Option<u8>, to_server: bool, from_server: bool },
    /// A router advertisement.
    Router,
}

/// One thing that happens. Ports are taken modulo their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// A frame comes in.
    Frame {
        port: u8,
        to: Address,
        from: Address,
        length: usize,
        #[serde(default)]
        tag: Tag,
        #[serde(default)]
        payload: Payload,
    },
    /// The link goes down, or comes up.
    Link { port: u8, up: bool },
    /// The port's options change.
    Set { port: u8, options: Options },
    /// What was learned at the port is void; the entries are still there.
    Flush { port: u8 },
    /// The port leaves its network and joins one, the same or another. It is nobody's, guarded and limited no more.
    Reconnect { port: u8, network: u8 },
    /// A station is configured.
    Configure { port: u8, station: u8, sticky: bool },
    /// The controller removes entries that are void.
    Sweep,
    /// Time passes: [`PASS_S`].
    Pass,
    /// A network that has remembered for ever forgets after [`AGEING_S`] from now on.
    Age { network: u8 },
}

/// Scenarios of all kinds.
pub(crate) fn scenarios() -> impl Strategy<Value = Scenario> {
    let room = prop_oneof![3 => Just(1000u32), 1 => 1..10u32];
    let ageless = vec(1..=NETWORKS, 0..2);
    // Mostly together: alone there is nobody to talk to.
    let home = prop_oneof![2 => Just(1), 2 => Just(AWARE), 1 => 1..=NETWORKS];
    let ports = home.prop_flat_map(|home| vec(port(home), 2..=usize::from(PORTS)));
    (room, ageless, ports, vec(step(), 1..30)).prop_map(|(room, ageless, ports, steps)| Scenario {
        room,
        ageless,
        ports,
        steps,
    })
}

fn port(home: u8) -> impl Strategy<Value = Port> {
    let network = prop_oneof![5 => Just(home), 1 => 1..=NETWORKS];
    let flags = (prop::bool::weighted(0.7), any::<bool>());
    let exhausted = prop::bool::weighted(0.1);
    let exhausted = [exhausted, exhausted, exhausted];
    let guard = prop::option::weighted(0.25, guard());
    (network, options(), flags, membership(), guard, exhausted).prop_map(
        |(network, options, (xdp_target, xdp), vlans, guard, exhausted)| Port {
            network,
            options,
            xdp_target,
            xdp,
            vlans,
            guard,
            exhausted,
        },
    )
}

fn membership() -> impl Strategy<Value = Membership> {
    let untagged = prop::option::weighted(0.8, prop_oneof![3 => Just(0u8), 1 => 0..3u8]);
    let tagged = prop_oneof![1 => Just([false; 3]), 1 => any::<[bool; 3]>()];
    (untagged, tagged).prop_map(|(untagged, tagged)| Membership { untagged, tagged })
}

fn guard() -> impl Strategy<Value = Guarded> {
    let (mac, ip) = (prop::option::weighted(0.8, 0..2u8), prop::option::weighted(0.6, 0..2u8));
    (mac, ip, prop::bool::weighted(0.3)).prop_map(|(mac, ip, trusted)| Guarded { mac, ip, trusted })
}

fn options() -> impl Strategy<Value = Options> {
    let rarely = || prop::bool::weighted(0.2);
    let mac_limit = prop_oneof![4 => Just(0u32), 1 => 1..4u32];
    let mtu = prop_oneof![4 => Just(1500u32), 1 => Just(500u32), 1 => Just(68u32)];
    (rarely(), rarely(), rarely(), rarely(), mac_limit, mtu).prop_map(
        |(isolated, hairpin, silent, quiet, mac_limit, mtu)| Options {
            isolated,
            hairpin,
            learning: !silent,
            flood: !quiet,
            mac_limit,
            mtu,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let port = || 0..PORTS;
    prop_oneof![
        20 => frame(),
        1 => (port(), any::<bool>()).prop_map(|(port, up)| Step::Link { port, up }),
        1 => (port(), options()).prop_map(|(port, options)| Step::Set { port, options }),
        1 => port().prop_map(|port| Step::Flush { port }),
        1 => (port(), 1..=NETWORKS).prop_map(|(port, network)| Step::Reconnect { port, network }),
        1 => (port(), 0..STATIONS, any::<bool>())
            .prop_map(|(port, station, sticky)| Step::Configure { port, station, sticky }),
        1 => Just(Step::Sweep),
        2 => Just(Step::Pass),
        1 => (1..=NETWORKS).prop_map(|network| Step::Age { network }),
    ]
}

fn frame() -> impl Strategy<Value = Step> {
    let length = prop_oneof![
        6 => Just(60usize),
        1 => 14..60usize,
        1 => prop::sample::select(vec![86, 87, 518, 519, 1518, 1519]),
    ];
    (0..PORTS, destination(), source(), length, tag(), payload()).prop_map(
        |(port, to, from, length, tag, payload)| Step::Frame { port, to, from, length, tag, payload },
    )
}

fn tag() -> impl Strategy<Value = Tag> {
    let vid = || {
        prop_oneof![
            6 => prop::sample::select(VLANS.to_vec()),
            1 => prop::sample::select(vec![0u16, 1, 4095]),
        ]
    };
    prop_oneof![
        3 => Just(Tag::None),
        2 => vid().prop_map(Tag::Customer),
        1 => vid().prop_map(Tag::Service),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    let ip = || prop::option::weighted(0.8, 0..2u8);
    prop_oneof![
        6 => Just(Payload::Plain),
        1 => (0..2u8, ip()).prop_map(|(sender, ip)| Payload::Arp { sender, ip }),
        1 => (ip(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(ip, to_server, from_server)| Payload::Udp { ip, to_server, from_server }),
        1 => Just(Payload::Router),
    ]
}

fn destination() -> impl Strategy<Value = Address> {
    prop_oneof![
        12 => (0..STATIONS).prop_map(Address::Station),
        2 => Just(Address::Broadcast),
        1 => Just(Address::Group),
        1 => Just(Address::Reserved),
        1 => Just(Address::Zero),
    ]
}

fn source() -> impl Strategy<Value = Address> {
    prop_oneof![
        20 => prop_oneof![1 => 0..2u8, 2 => 0..STATIONS].prop_map(Address::Station),
        1 => prop::sample::select(vec![Address::Broadcast, Address::Group, Address::Reserved, Address::Zero]),
    ]
}

//! What happens to a switch in one scenario, as a value that is generated, shrunk, written to a file and read again.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Most ports of a scenario.
pub(crate) const PORTS: u8 = 6;
/// Networks, numbered from 1.
pub(crate) const NETWORKS: u8 = 3;
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

/// One thing that happens. Ports are taken modulo their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// A frame comes in.
    Frame { port: u8, to: Address, from: Address, length: usize },
    /// The link goes down, or comes up.
    Link { port: u8, up: bool },
    /// The port's options change.
    Set { port: u8, options: Options },
    /// What was learned at the port is void; the entries are still there.
    Flush { port: u8 },
    /// The port leaves its network and joins one, the same or another.
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
    let ports = vec(port(), 2..=usize::from(PORTS));
    (room, ageless, ports, vec(step(), 1..30)).prop_map(|(room, ageless, ports, steps)| Scenario {
        room,
        ageless,
        ports,
        steps,
    })
}

fn port() -> impl Strategy<Value = Port> {
    // Mostly together: alone there is nobody to talk to.
    let network = prop_oneof![4 => Just(1), 1 => 1..=NETWORKS];
    let xdp_target = prop::bool::weighted(0.7);
    (network, options(), xdp_target).prop_map(|(network, options, xdp_target)| Port {
        network,
        options,
        xdp_target,
    })
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
    let length = prop_oneof![
        6 => Just(60usize),
        1 => 14..60usize,
        1 => prop::sample::select(vec![86, 87, 518, 519, 1518, 1519]),
    ];
    prop_oneof![
        20 => (port(), destination(), source(), length)
            .prop_map(|(port, to, from, length)| Step::Frame { port, to, from, length }),
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
        20 => (0..STATIONS).prop_map(Address::Station),
        1 => prop::sample::select(vec![Address::Broadcast, Address::Group, Address::Reserved, Address::Zero]),
    ]
}

//! The switches that are compared, each around stations of its own.
//!
//! | station | what it is |
//! |---|---|
//! | `a`, `b` | client and server: unprepared containers |
//! | `x` | sends frames born as XDP |
//! | `s` | an XDP program that counts and drops what it gets |
//! | `o` | outside: behind a router, where the switch has a gateway |
//!
//! All are there at once, so that their runs can be interleaved; who is not at work costs nothing, or is stopped.

mod docker;
mod ovs;
mod outside;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Error, Result};
use vswitch_common::mac::MacAddr;
use vswitch_tests::bpf::{Shortcut, Sink};
use vswitch_tests::frame;
use vswitch_tests::lab::PortOptions;
use vswitch_tests::namespace::Namespace;
use vswitch_tests::prelude::Hook;
use vswitch_tests::scratch::{Scratch, unique_name};
use vswitch_tests::sniff::inject;
use vswitch_tests::switch::{Bridge, Switch, SwitchOptions};

use crate::station::{LINK, Station};
use outside::Outside;
use ovs::Ovs;

/// What all have in common where they have it: the subnet, its gateway, and the port of `b` that is published.
const SUBNET: &str = "10.77.0.0/24";
const GATEWAY: &str = "10.77.0.254";
pub(crate) const PUBLISHED: u16 = 5201;

/// The binary of `--against`.
pub(crate) static OTHER_BUILD: OnceLock<PathBuf> = OnceLock::new();

/// vswitch's network.
const NETWORK: &str = "lan";

/// Kinds of switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// No switch: a veth pair from station to station, the limit of what can be had.
    Veth,
    /// No switch either: an XDP program between two pairs that sends whatever comes on, and looks nothing up.
    Redirect,
    /// The plain Linux bridge.
    Bridge,
    /// docker0 as dockerd leaves it.
    #[value(name = "docker0")]
    Docker,
    /// vswitch as it comes.
    Auto,
    /// vswitch as it comes, but its network asked for segments of more than 64 KiB.
    #[value(name = "auto-big")]
    Big,
    /// vswitch, all ports with `--hook xdp`.
    Xdp,
    /// vswitch, all ports with `--hook tc`.
    Tc,
    /// Another build of vswitch, `--hook xdp`; see `--against`.
    #[value(skip)]
    OtherXdp,
    /// The same, `--hook tc`.
    #[value(skip)]
    OtherTc,
    /// Open vSwitch in user space, packet sockets.
    Ovs,
    /// Open vSwitch in user space, AF_XDP sockets.
    OvsAfxdp,
}

impl Kind {
    /// All, in the order of the tables.
    pub(crate) const ALL: [Self; 12] = [
        Self::Veth,
        Self::Redirect,
        Self::Bridge,
        Self::Docker,
        Self::Auto,
        Self::Big,
        Self::Xdp,
        Self::Tc,
        Self::OtherXdp,
        Self::OtherTc,
        Self::Ovs,
        Self::OvsAfxdp,
    ];

    /// The name in results.
    #[must_use]
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Redirect => "redirect",
            Self::Bridge => "bridge",
            Self::Docker => "docker0",
            Self::Auto => "auto",
            Self::Big => "auto-big",
            Self::Xdp => "xdp",
            Self::Tc => "tc",
            Self::OtherXdp => "other-xdp",
            Self::OtherTc => "other-tc",
            Self::Ovs => "ovs",
            Self::OvsAfxdp => "ovs-afxdp",
        }
    }

    /// What readers are told.
    #[must_use]
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Veth => "a bare veth pair, no switch",
            Self::Redirect => {
                "two veth pairs and between them an XDP program that only redirects: a switch cannot do less"
            }
            Self::Bridge => "the plain Linux bridge, STP and multicast snooping off",
            Self::Docker => "docker0 as dockerd leaves it: its rules, bridge netfilter on, real containers",
            Self::Auto => "vswitch as it comes (`--hook auto`)",
            Self::Big => "the same with `--big-tcp on`",
            Self::Xdp => "vswitch, `--hook xdp`",
            Self::Tc => "vswitch, `--hook tc`",
            Self::OtherXdp => "another build of vswitch, `--hook xdp`",
            Self::OtherTc => "another build of vswitch, `--hook tc`",
            Self::Ovs => {
                "Open vSwitch, userspace datapath, packet sockets; stations without checksum offload and TSO, which it needs"
            }
            Self::OvsAfxdp => "Open vSwitch, userspace datapath, AF_XDP sockets; stations as for `ovs`",
        }
    }

    /// The hook of its ports, if it is a vswitch.
    #[must_use]
    pub(crate) const fn hook(self) -> Option<Option<Hook>> {
        match self {
            Self::Auto | Self::Big => Some(None),
            Self::Xdp | Self::OtherXdp => Some(Some(Hook::Xdp)),
            Self::Tc | Self::OtherTc => Some(Some(Hook::Tc)),
            Self::Veth | Self::Redirect | Self::Bridge | Self::Docker | Self::Ovs | Self::OvsAfxdp => None,
        }
    }

    /// Whether it is a build to compare with, only there when asked for.
    #[must_use]
    pub(crate) const fn is_other(self) -> bool {
        matches!(self, Self::OtherXdp | Self::OtherTc)
    }

    /// How the controller is started.
    pub(crate) fn options(self) -> SwitchOptions {
        let other = OTHER_BUILD.get().filter(|_| self.is_other());
        // In place of the binary under test, which comes first of what the shell gets.
        let launcher = other.map(|binary| {
            let exec = format!("shift; exec {} \"$@\"", binary.display());
            ["sh", "-c", &exec, "other"].map(str::to_owned).to_vec()
        });
        SwitchOptions { launcher: launcher.unwrap_or_default(), ..SwitchOptions::default() }
    }

    /// Whether frames born as XDP into an XDP drop are all that it is there for.
    #[must_use]
    pub(crate) const fn is_for_drops_alone(self) -> bool {
        matches!(self, Self::Redirect)
    }

    /// Whether it reaches out and publishes ports by itself.
    #[must_use]
    const fn has_gateway(self) -> bool {
        matches!(self, Self::Docker) || self.hook().is_some()
    }
}

/// What runs in the switch's namespace.
enum Engine {
    Nothing,
    Redirect { _shortcut: Shortcut },
    Bridge { _bridge: Bridge },
    Docker { _engine: docker::Docker },
    Vswitch { switch: Switch },
    Ovs(Ovs),
}

/// A switch and its stations; all of it goes away on drop.
pub(crate) struct Rival {
    /// Which it is.
    pub(crate) kind: Kind,
    /// The client.
    pub(crate) a: Station,
    /// The server.
    pub(crate) b: Station,
    /// Sends frames born as XDP.
    pub(crate) x: Station,
    /// Counts and drops them.
    pub(crate) s: Station,
    /// The counting program of `s`.
    pub(crate) sink: Sink,
    /// Beyond the gateway, if it has one.
    pub(crate) outside: Option<Outside>,
    // The switch leaves before its namespace and its folder do.
    engine: Engine,
    _switch_ns: Arc<Namespace>,
    /// Folder for logs.
    pub(crate) scratch: Arc<Scratch>,
}

impl Rival {
    /// Builds one, and waits until its stations reach each other.
    ///
    /// # Errors
    /// When a program that it needs is not there.
    pub(crate) fn set_up(kind: Kind) -> Result<Self> {
        let lab = unique_name();
        let scratch = Arc::new(Scratch::create(&lab));
        let switch_ns = Arc::new(Namespace::create(&format!("{lab}-switch")));
        let outside = kind.has_gateway().then(|| Outside::create(&lab, &switch_ns));
        let (stations, sink, engine) = match kind {
            Kind::Veth => pairs(&lab)?,
            Kind::Redirect => redirect(&lab, &switch_ns)?,
            Kind::Docker => docker::start(&switch_ns, &scratch)?,
            _ => around(kind, &lab, &switch_ns, &scratch)?,
        };
        let [a, b, x, s] = stations;
        if !matches!(kind, Kind::Veth) && kind.hook().is_none() {
            // Frames born as XDP get through a veth only to an end that polls, and Linux notes that it does only if
            // it begins while the link is up. vswitch sees to it itself.
            for state in ["off", "on"] {
                switch_ns.output("ethtool", &["-K", &x.port, "gro", state]);
            }
        }
        let rival = Self { kind, a, b, x, s, sink, outside, engine, _switch_ns: switch_ns, scratch };
        rival.a.wait_for(rival.b.ip);
        if let Some(outside) = &rival.outside {
            rival.a.wait_for(outside.ip);
        }
        rival.introduce();
        Ok(rival)
    }

    /// Has `s` speak, so that the switch knows where it is: what it hears it drops, so it does not answer.
    pub(crate) fn introduce(&self) {
        let hello = frame::raw(MacAddr::BROADCAST, self.s.mac, frame::EXPERIMENTAL, &[0; 46]);
        inject(&self.s.namespace, LINK, &[hello]);
    }

    /// Its turn comes.
    pub(crate) fn wake(&self) {
        if let Engine::Ovs(ovs) = &self.engine {
            ovs.go_on();
        }
    }

    /// Whether it chooses hooks by what its ports carry. If so they have carried nothing yet.
    pub(crate) fn begins_anew(&self) -> bool {
        let Engine::Vswitch { switch } = &self.engine else { return false };
        if !matches!(self.kind, Kind::Auto | Kind::Big) {
            return false;
        }
        for (station, hook) in [&self.x, &self.s, &self.b].iter().flat_map(|at| [(at, "tc"), (at, "auto")]) {
            switch.ok(&["port", "set", &station.port, "--hook", hook]);
        }
        true
    }

    /// Its turn is over: from now on it takes no CPU time.
    pub(crate) fn rest(&self) {
        if let Engine::Ovs(ovs) = &self.engine {
            ovs.pause();
        }
    }
}

/// Stations, the program of `s`, and the switch.
type Built = ([Station; 4], Sink, Engine);

fn stations(lab: &str) -> [Station; 4] {
    [("a", 1), ("b", 2), ("x", 3), ("s", 4)].map(|(name, number)| Station::create(lab, name, number))
}

/// No switch.
fn pairs(lab: &str) -> Result<Built> {
    let [a, b, x, s] = stations(lab);
    for (one, other) in [(&a, &b), (&x, &s)] {
        one.connect(&other.namespace, LINK);
        other.set_up();
    }
    let sink = Sink::open(&s.namespace, LINK)?;
    Ok(([a, b, x, s], sink, Engine::Nothing))
}

/// No switch between `a` and `b`, a redirection from `x` to `s`.
fn redirect(lab: &str, switch_ns: &Arc<Namespace>) -> Result<Built> {
    let [a, b, x, s] = stations(lab);
    a.connect(&b.namespace, LINK);
    b.set_up();
    for station in [&x, &s] {
        station.connect(switch_ns, &station.port);
        switch_ns.ip(&[format!("link set dev {} up", station.port)]);
    }
    let sink = Sink::open(&s.namespace, LINK)?;
    let shortcut = Shortcut::open(switch_ns, &x.port, &s.port)?;
    Ok(([a, b, x, s], sink, Engine::Redirect { _shortcut: shortcut }))
}

fn around(kind: Kind, lab: &str, switch_ns: &Arc<Namespace>, scratch: &Arc<Scratch>) -> Result<Built> {
    let stations = stations(lab);
    for station in &stations {
        station.connect(switch_ns, &station.port);
    }
    let sink = Sink::open(&stations[3].namespace, LINK)?;
    let engine = if let Some(hook) = kind.hook() {
        Engine::Vswitch { switch: vswitch(kind, hook, switch_ns, scratch, &stations) }
    } else if kind == Kind::Bridge {
        let mut bridge = Bridge::create(switch_ns);
        for station in &stations {
            bridge.add_port(&station.port, &PortOptions::default()).map_err(Error::msg)?;
        }
        Engine::Bridge { _bridge: bridge }
    } else {
        for station in &stations {
            station.namespace.output("ethtool", &["-K", LINK, "tx", "off", "tso", "off", "gso", "off"]);
            switch_ns.ip(&[format!("link set dev {} up", station.port)]);
        }
        let ports: Vec<&str> = stations.iter().map(|station| station.port.as_str()).collect();
        let ovs = Ovs::start(switch_ns, scratch, &ports, kind == Kind::OvsAfxdp);
        Engine::Ovs(ovs.context("Open vSwitch does not start")?)
    };
    Ok((stations, sink, engine))
}

/// A vswitch with a network that has a gateway, as docker0 has one.
fn vswitch(
    kind: Kind,
    hook: Option<Hook>,
    switch_ns: &Arc<Namespace>,
    scratch: &Arc<Scratch>,
    stations: &[Station],
) -> Switch {
    let switch = Switch::start(switch_ns, scratch, &kind.options());
    let big_tcp = if kind == Kind::Big { "on" } else { "auto" };
    let network = ["--subnet", SUBNET, "--gateway", GATEWAY, "--big-tcp", big_tcp];
    switch.ok(&[&["network", "create", NETWORK], &network[..]].concat());
    for station in stations {
        let options = PortOptions { hook, network: Some(NETWORK.to_owned()), ..PortOptions::default() };
        switch.port_add(&station.port, &options);
        station.namespace.ip(&[format!("route add default via {GATEWAY}")]);
    }
    let server = &stations[1].ip;
    switch.ok(&["publish", "add", NETWORK, &format!("{PUBLISHED}:{server}:{PUBLISHED}")]);
    switch
}

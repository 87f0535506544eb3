//! A switch with many ports: `x`, which sends, `s`, which counts and drops, and a crowd whose far ends share a namespace.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use vswitch_common::mac::MacAddr;
use vswitch_tests::bpf::{Emitter, Sink, Vary};
use vswitch_tests::frame;
use vswitch_tests::lab::PortOptions;
use vswitch_tests::namespace::Namespace;
use vswitch_tests::scratch::{Scratch, unique_name};
use vswitch_tests::sniff::inject;
use vswitch_tests::switch::{Bridge, Switch, SwitchOptions};

use crate::generator;
use crate::rivals::Kind;
use crate::station::{LINK, Station};

/// The switch in the middle.
pub(super) enum Engine {
    Bridge { _bridge: Bridge },
    Vswitch(Box<Switch>),
}

/// A switch, two stations and a crowd; all of it goes away on drop.
pub(super) struct Crowd {
    /// Which switch.
    pub(super) kind: Kind,
    /// How many ports, those of the two stations included.
    pub(super) size: u64,
    /// Sends frames born as XDP.
    pub(super) x: Station,
    /// Counts and drops them.
    pub(super) s: Station,
    /// Seconds that adding each further port took, by its place from 3 on.
    pub(super) added_in: Vec<f64>,
    sink: Sink,
    // Leaves before its namespaces do.
    engine: Engine,
    far: Namespace,
    switch_ns: Arc<Namespace>,
    _scratch: Arc<Scratch>,
}

impl Crowd {
    /// Builds one; a vswitch with further arguments of `vswitch run`.
    pub(super) fn set_up(kind: Kind, size: u64, extra: &[&str]) -> Result<Self> {
        let lab = unique_name();
        let scratch = Arc::new(Scratch::create(&lab));
        let switch_ns = Arc::new(Namespace::create(&format!("{lab}-switch")));
        let far = Namespace::create(&format!("{lab}-crowd"));
        for namespace in [&*switch_ns, &far] {
            for scope in ["all", "default"] {
                namespace.sysctl(&format!("ipv6/conf/{scope}/disable_ipv6"), "1");
            }
        }
        let [x, s] = [("x", 1), ("s", 2)].map(|(name, number)| Station::create(&lab, name, number));
        for station in [&x, &s] {
            station.connect(&switch_ns, &station.port);
        }
        let sink = Sink::open(&s.namespace, LINK)?;
        let mut engine = start(kind, &switch_ns, &scratch, extra)?;
        for station in [&x, &s] {
            engine.add_port(kind, &switch_ns, &station.port)?;
        }
        if matches!(engine, Engine::Bridge { .. }) {
            for station in [&x, &s] {
                for state in ["off", "on"] {
                    switch_ns.output("ethtool", &["-K", &station.port, "gro", state]);
                }
            }
        }
        let names: Vec<String> = (3..=size).map(|number| format!("p{number}")).collect();
        wire(&names, &switch_ns, &far);
        let mut added_in = Vec::new();
        for name in &names {
            let start = Instant::now();
            engine.add_port(kind, &switch_ns, name)?;
            added_in.push(start.elapsed().as_secs_f64());
        }
        let crowd = Self { kind, size, x, s, added_in, sink, engine, far, switch_ns, _scratch: scratch };
        crowd.introduce();
        Ok(crowd)
    }

    /// The vswitch, if it is one.
    pub(super) fn vswitch(&mut self) -> Option<&mut Switch> {
        match &mut self.engine {
            Engine::Vswitch(switch) => Some(switch),
            Engine::Bridge { .. } => None,
        }
    }

    /// The same to look at.
    pub(super) fn switch(&self) -> Option<&Switch> {
        match &self.engine {
            Engine::Vswitch(switch) => Some(switch),
            Engine::Bridge { .. } => None,
        }
    }

    /// Empties the FDB.
    pub(super) fn forget(&self) -> Result<()> {
        if let Some(switch) = self.switch() {
            switch.ok(&["fdb", "flush"]);
            return Ok(());
        }
        self.switch_ns.ip(&["link set dev br-default type bridge fdb_flush"]);
        Ok(())
    }

    /// Entries of the FDB.
    pub(super) fn known(&self) -> Result<u64> {
        if let Some(switch) = self.switch() {
            return Ok(switch.status().fdb.entries);
        }
        Ok(self.switch_ns.output("bridge", &["fdb", "show", "dynamic"]).lines().count() as u64)
    }

    /// Has `s` and `x` speak.
    pub(super) fn introduce(&self) {
        for station in [&self.s, &self.x] {
            let hello = frame::raw(MacAddr::BROADCAST, station.mac, frame::EXPERIMENTAL, &[0; 46]);
            inject(&station.namespace, LINK, &[hello]);
        }
    }

    /// Frames a second from `x` that arrive at `s`, in thousands.
    pub(super) fn rate(&self, frame: &[u8], vary: Vary, time: Duration) -> Result<f64> {
        let emitter = Emitter::new(&self.x.namespace, LINK, vary)?;
        Ok(generator::rate(&self.x, &emitter, frame, time, || Ok(self.sink.count()?))? / 1e3)
    }

    /// Frames that the crowd received so far.
    pub(super) fn received(&self) -> Result<u64> {
        let text = self.far.read("/proc/thread-self/net/dev");
        let of_line = |line: &str| -> Option<u64> {
            let (name, counters) = line.split_once(':')?;
            let packets = counters.split_whitespace().nth(1)?.parse().ok()?;
            name.trim().starts_with('f').then_some(packets)
        };
        Ok(text.lines().filter_map(of_line).sum())
    }
}

fn start(kind: Kind, switch_ns: &Arc<Namespace>, scratch: &Arc<Scratch>, extra: &[&str]) -> Result<Engine> {
    if kind == Kind::Bridge {
        return Ok(Engine::Bridge { _bridge: Bridge::create(switch_ns) });
    }
    let extra = extra.iter().map(ToString::to_string).collect();
    let options = SwitchOptions { extra, ..kind.options() };
    kind.hook().context("only a bridge and vswitch have crowds")?;
    Ok(Engine::Vswitch(Box::new(Switch::start(switch_ns, scratch, &options))))
}

impl Engine {
    /// One command, as a user would type it.
    fn add_port(&mut self, kind: Kind, switch_ns: &Namespace, link: &str) -> Result<()> {
        let output = match self {
            Self::Bridge { .. } => Command::new("ip")
                .args(["-n", switch_ns.name(), "link", "set", "dev", link, "master", "br-default", "up"])
                .output()?,
            Self::Vswitch(switch) => {
                let options = PortOptions { hook: kind.hook().flatten(), ..PortOptions::default() };
                let options = options.arguments();
                let options = options.iter().map(String::as_str);
                switch.cli(&["port", "add", link].into_iter().chain(options).collect::<Vec<_>>())
            }
        };
        if !output.status.success() {
            bail!("port {link} is refused: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// A veth pair each, the far end up.
fn wire(names: &[String], switch_ns: &Namespace, far: &Namespace) {
    let there = far.name();
    let pairs =
        names.iter().map(|name| format!("link add name {name} type veth peer name f{name} netns {there}"));
    switch_ns.ip(&pairs.collect::<Vec<_>>());
    far.ip(&names.iter().map(|name| format!("link set dev f{name} up")).collect::<Vec<_>>());
}

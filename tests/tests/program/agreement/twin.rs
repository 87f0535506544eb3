//! The real programs and the book, side by side through one scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use vswitch_common::domain::DomainId;
use vswitch_common::fdb::{FdbEntry, FdbKey, entry_flag, is_current};
use vswitch_tests::frame::{EXPERIMENTAL, raw};
use vswitch_tests::model::{Kind, Mac};
use vswitch_tests::program::*;

use super::book::{Book, Place, Told};
use super::scenario::{AGEING_S, Address, NETWORKS, Options, PASS_S, Port, STATIONS, Scenario, Step};

/// Two of one kind, and the first thing about which they disagree.
pub(crate) struct Twin<'a> {
    fixture: &'a mut Fixture,
    book: Book,
    hook: Hook,
    ports: u16,
    /// In nanoseconds, by network.
    ageing: BTreeMap<u8, u64>,
    xdp_target: BTreeMap<u16, bool>,
}

impl<'a> Twin<'a> {
    /// Goes through a scenario, with all ports at one hook.
    ///
    /// # Errors
    /// Step and difference.
    pub(crate) fn run(fixture: &'a mut Fixture, scenario: &Scenario, hook: Hook) -> Result<(), String> {
        let ports = scenario.ports.len() as u16;
        fixture.reset_to(ports);
        fixture.set_room(scenario.room);
        let (ageing, xdp_target) = (BTreeMap::new(), BTreeMap::new());
        let mut twin = Self { fixture, book: Book::new(scenario.room), hook, ports, ageing, xdp_target };
        for network in 1..=NETWORKS {
            twin.age(network, if scenario.ageless.contains(&network) { 0 } else { AGEING_S });
        }
        for (number, port) in (1..).zip(&scenario.ports) {
            twin.xdp_target.insert(number, port.xdp_target);
            twin.connect(PortId(number), *port);
        }
        for (number, step) in scenario.steps.iter().enumerate() {
            let context = |what| format!("at {hook:?}, step {number} {step:?}: {what}");
            twin.take(*step).map_err(context)?;
            twin.compare_places().map_err(context)?;
        }
        twin.compare_all_entries()
    }

    fn port(&self, number: u8) -> PortId {
        PortId(u16::from(number) % self.ports + 1)
    }

    fn take(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Frame { port, to, from, length } => return self.deliver(self.port(port), to, from, length),
            Step::Link { port, up } => self.set_link(self.port(port), up),
            Step::Set { port, options } => self.set(self.port(port), options),
            Step::Flush { port } => {
                self.book.flush(self.port(port));
                self.fixture.set(self.port(port), |config| config.epoch += 1);
            }
            Step::Reconnect { port, network } => self.reconnect(self.port(port), network),
            Step::Configure { port, station, sticky } => self.configure(self.port(port), station, sticky),
            Step::Sweep => self.sweep(),
            Step::Pass => self.pass(),
            Step::Age { network } => self.age(network, AGEING_S),
        }
        Ok(())
    }

    fn deliver(&mut self, ingress: PortId, to: Address, from: Address, length: usize) -> Result<(), String> {
        let payload = vec![0x5a; length - 14];
        let frame = raw(address(to), address(from), EXPERIMENTAL, &payload);
        let expected = self.book.deliver(ingress, &frame);
        let mut carried = self.hook;
        if self.hook == Hook::Xdp && self.fixture.xdp(ingress, &frame).end == End::Passed {
            let nothing = self.fixture.tally();
            same("counted at XDP for a frame that it passes", &nothing, &Tally::new())?;
            carried = Hook::Tc;
        }
        if carried == Hook::Tc {
            self.fixture.tc(ingress, &frame);
        }
        let counted = if carried == Hook::Xdp { expected.counted.by_xdp() } else { expected.counted };
        same("counted", &self.fixture.tally(), &counted)?;
        let told: Vec<Told> =
            self.fixture.notices().iter().map(|n| (n.kind, mac(n.mac), n.port, n.from)).collect();
        same("told", &told, &expected.told.into_iter().collect())
    }

    fn connect(&mut self, port: PortId, of: Port) {
        self.book.connect(port, of);
        let network = u16::from(of.network);
        let target = if of.xdp_target { flag::XDP_TARGET } else { 0 };
        let ageing_ns = self.ageing[&of.network];
        self.fixture.join(port, Some(network));
        self.fixture.set(port, |config| {
            config.flags = flag::FORWARDING | target;
            (config.network, config.domain) = (network, domain_of(network).0);
            config.ageing_ns = ageing_ns;
        });
        self.write(port, of.options);
    }

    fn reconnect(&mut self, port: PortId, network: u8) {
        for (key, entry) in self.fixture.entries() {
            if entry.port == port.0 && entry.is_permanent() {
                self.fixture.forget(key);
            }
        }
        // A slot's next owner has another epoch.
        self.fixture.set(port, |config| config.epoch += 1);
        let options =
            Options { isolated: false, hairpin: false, learning: true, flood: true, mac_limit: 0, mtu: 1500 };
        self.connect(port, Port { network, options, xdp_target: self.xdp_target[&port.0] });
    }

    fn set(&mut self, port: PortId, options: Options) {
        self.book.set(port, options);
        self.write(port, options);
    }

    fn write(&mut self, port: PortId, options: Options) {
        let bits = [
            (flag::ISOLATED, options.isolated),
            (flag::HAIRPIN, options.hairpin),
            (flag::LEARNING, options.learning),
            (flag::FLOOD, options.flood),
        ];
        self.fixture.set(port, |config| {
            for (bit, on) in bits {
                config.flags = if on { config.flags | bit } else { config.flags & !bit };
            }
            (config.mac_limit, config.mtu) = (options.mac_limit, options.mtu);
        });
    }

    /// As the controller does: a port that goes down is flushed.
    fn set_link(&mut self, port: PortId, up: bool) {
        self.book.set_link(port, up);
        if up {
            self.fixture.set_flags(port, flag::FORWARDING);
        } else {
            self.fixture.clear_flags(port, flag::FORWARDING);
            self.fixture.set(port, |config| config.epoch += 1);
        }
    }

    fn configure(&mut self, port: PortId, station: u8, sticky: bool) {
        let address = address(Address::Station(station));
        self.book.configure(port, address.octets(), sticky);
        let domain = self.fixture.bpf.port(port).expect("the slot is there").domain;
        let flags = if sticky { entry_flag::STATIC | entry_flag::STICKY } else { entry_flag::STATIC };
        self.fixture.configure(FdbKey::new(DomainId(domain), address), port, flags);
    }

    fn sweep(&mut self) {
        self.book.sweep();
        let now_ns = self.fixture.bpf.now_ns();
        for (key, entry) in self.fixture.entries() {
            let config = self.fixture.bpf.port(PortId(entry.port)).expect("the slot is there");
            if !entry.is_permanent() && !is_current(&entry, &config, now_ns) {
                self.fixture.forget(key);
            }
        }
    }

    fn pass(&mut self) {
        let time = Duration::from_secs(PASS_S);
        self.book.pass(time);
        for (key, _) in self.fixture.entries() {
            self.fixture.silence(key, time);
        }
    }

    /// 0 is never.
    fn age(&mut self, network: u8, seconds: u64) {
        self.book.set_ageing(network.into(), Duration::from_secs(seconds));
        self.ageing.insert(network, seconds * 1_000_000_000);
        for port in (1..=self.ports).map(PortId) {
            self.fixture.set(port, |config| {
                if config.network == u16::from(network) {
                    config.ageing_ns = seconds * 1_000_000_000;
                }
            });
        }
    }

    /// The same entries for every address there is, and as many as are counted.
    fn compare_places(&self) -> Result<(), String> {
        let stations = (0..STATIONS).map(Address::Station);
        let others = [Address::Broadcast, Address::Group, Address::Reserved, Address::Zero];
        for address in stations.chain(others).map(address) {
            for network in (1..=NETWORKS).map(u16::from) {
                let key = FdbKey::new(domain_of(network), address);
                let real =
                    self.fixture.bpf.fdb_get(key).expect("the map is there").map(|entry| place(&entry));
                let model = self.book.places().get(&(network, address.octets())).copied();
                same(&format!("{address} in network {network}"), &real, &model)?;
            }
        }
        for port in (0..=self.ports).map(PortId) {
            let counted = self.fixture.bpf.dynamic_entries(port).expect("the slot is there");
            same(&format!("dynamic entries of {port:?}"), &counted, &self.book.dynamic(port))?;
        }
        Ok(())
    }

    /// And none for any other.
    fn compare_all_entries(&self) -> Result<(), String> {
        let entries = self.fixture.entries().into_iter();
        let network = |key: FdbKey| key.domain().0 - domain_of(0).0;
        let real: BTreeMap<_, _> =
            entries.map(|(key, entry)| ((network(key), key.mac().octets()), place(&entry))).collect();
        same("the whole FDB", &real, self.book.places())
    }
}

fn place(entry: &FdbEntry) -> Place {
    let kind = match entry.flags {
        0 => Kind::Dynamic,
        entry_flag::STATIC => Kind::Static,
        _ => Kind::Sticky,
    };
    Place { port: entry.port, kind }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, real: &T, model: &T) -> Result<(), String> {
    if real == model {
        Ok(())
    } else {
        Err(format!("{what}: the programs say {real:?}, the model {model:?}"))
    }
}

fn address(of: Address) -> MacAddr {
    match of {
        Address::Station(number) => station(number),
        Address::Broadcast => MacAddr::BROADCAST,
        Address::Group => MacAddr::from_octets([0x33, 0x33, 0, 0, 0, 1]),
        Address::Reserved => MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, 14]),
        Address::Zero => MacAddr::ZERO,
    }
}

fn mac(bits: u64) -> Mac {
    MacAddr::from_bits(bits).octets()
}

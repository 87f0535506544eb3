//! The real programs and the book, side by side through one scenario.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use vswitch_common::domain::DomainId;
use vswitch_common::fdb::{FdbEntry, FdbKey, entry_flag, is_current};
use vswitch_tests::frame::{describe, insert_tag};
use vswitch_tests::model::{Domain, Form, Kind};
use vswitch_tests::program::*;
use vswitch_tests::wait::{SOON, poll};

use super::book::{Book, Place, Told};
use super::scenario::{AGEING_S, AWARE, Membership, NETWORKS, Options, PASS_S, Port, Scenario, Step, VLANS};
use super::sight;
use super::wire;

/// Two of one kind, and the first thing about which they disagree.
pub(crate) struct Twin<'a> {
    fixture: &'a mut Fixture,
    book: Book,
    ports: u16,
    /// In nanoseconds, by network.
    ageing: BTreeMap<u8, u64>,
    /// As the scenario has them, but perhaps at the other hook.
    settings: BTreeMap<u16, Port>,
    /// Copies of floods that are under way, in order.
    flooded: Vec<(PortId, Vec<u8>)>,
}

impl<'a> Twin<'a> {
    /// Goes through a scenario, with each port at its hook or, swapped, at the other one.
    ///
    /// # Errors
    /// Step and difference.
    pub(crate) fn run(
        fixture: &'a mut Fixture,
        listener: &Listener,
        scenario: &Scenario,
        is_swapped: bool,
    ) -> Result<(), String> {
        let ports = scenario.ports.len() as u16;
        fixture.reset_to(ports);
        // What a scenario that failed had under way.
        let all: Vec<PortId> = listener.ports().collect();
        all.iter().for_each(|port| drop(listener.heard(*port)));
        fixture.set_room(scenario.room);
        let (ageing, settings, flooded) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut twin = Self { fixture, book: Book::new(scenario.room), ports, ageing, settings, flooded };
        for network in 1..=NETWORKS {
            twin.age(network, if scenario.ageless.contains(&network) { 0 } else { AGEING_S });
        }
        for (number, port) in (1..).zip(&scenario.ports) {
            twin.connect(PortId(number), Port { xdp: port.xdp != is_swapped, ..*port });
        }
        for (number, step) in scenario.steps.iter().enumerate() {
            twin.take(*step)
                .map_err(|what| format!("swapped {is_swapped}, step {number} {step:?}: {what}"))?;
        }
        twin.compare_in_the_end(listener).map_err(|what| format!("swapped {is_swapped}, in the end: {what}"))
    }

    fn port(&self, number: u8) -> PortId {
        PortId(u16::from(number) % self.ports + 1)
    }

    fn take(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Frame { port, to, from, length, tag, payload } => {
                return self.deliver(self.port(port), &wire::frame(to, from, length, tag, payload));
            }
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

    fn deliver(&mut self, ingress: PortId, frame: &[u8]) -> Result<(), String> {
        let expected = self.book.deliver(ingress, frame);
        let mut carried = if self.settings[&ingress.0].xdp { Hook::Xdp } else { Hook::Tc };
        let foreseen = sight::foresee(self.fixture, ingress, carried, frame);
        if carried == Hook::Xdp && self.fixture.xdp(ingress, frame).end == End::Passed {
            same("counted at XDP for a frame that it passes", &self.fixture.tally(), &Tally::new())?;
            carried = Hook::Tc;
        }
        if carried == Hook::Tc {
            self.fixture.tc_as_received(ingress, frame);
        }
        let counted = match (carried, is_tagged(frame)) {
            (Hook::Tc, _) => expected.counted.clone(),
            // There the tag is in the frame.
            (Hook::Xdp, true) => expected.counted.clone().by_xdp().longer(4),
            (Hook::Xdp, false) => expected.counted.clone().by_xdp(),
        };
        same("counted", &self.fixture.tally(), &counted)?;
        let told = self.fixture.notices().into_iter().map(|notice| {
            let [a, b, c, d, ..] = notice.ip;
            let mac = MacAddr::from_bits(notice.mac).octets();
            (notice.kind, mac, notice.port, notice.from, [a, b, c, d])
        });
        same("told", &told.collect::<Vec<Told>>(), &expected.told)?;
        sight::compare(&foreseen?, carried, &expected)?;
        if expected.is_flood {
            let copies = expected.sent.iter().map(|(port, form)| (*port, in_form(frame, *form)));
            self.flooded.extend(copies);
        }
        Ok(())
    }

    fn connect(&mut self, port: PortId, of: Port) {
        self.book.connect(port, of);
        self.settings.insert(port.0, of);
        let network = u16::from(of.network);
        let target = if of.xdp_target { flag::XDP_TARGET } else { 0 };
        let ageing_ns = self.ageing[&of.network];
        self.fixture.join(port, Some(network));
        self.fixture.set(port, |config| {
            config.flags = flag::FORWARDING | target;
            (config.network, config.domain, config.pvid) = (network, domain_of(network).0, 0);
            config.ageing_ns = ageing_ns;
            config.storm_interval_ns = [0; 3];
        });
        if of.network == AWARE {
            let tagged: Vec<u16> = VLANS
                .into_iter()
                .zip(of.vlans.tagged)
                .filter(|(_, is_in)| *is_in)
                .map(|(vid, _)| vid)
                .collect();
            let untagged = of.vlans.untagged.map_or(0, |place| VLANS[usize::from(place)]);
            self.fixture.make_vlan_aware(port, untagged, &tagged);
        }
        if let Some(guard) = of.guard {
            let mac = guard.mac.map_or(MacAddr::ZERO, station);
            let ips: Vec<IpAddr> = guard.ip.map(|number| wire::ip(number).into()).into_iter().collect();
            self.fixture.guard(port, mac, &ips);
            if guard.trusted {
                self.fixture.set_flags(port, flag::TRUSTED);
            }
        }
        for (kind, _) in (0..).zip(of.exhausted).filter(|(_, is_exhausted)| *is_exhausted) {
            self.fixture.exhaust(port, kind);
        }
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
        let vlans = Membership { untagged: Some(0), tagged: [false; 3] };
        let was = self.settings[&port.0];
        self.connect(port, Port { network, options, vlans, guard: None, exhausted: [false; 3], ..was });
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

    /// In the VLAN of the port's untagged frames, where it has one.
    fn configure(&mut self, port: PortId, number: u8, sticky: bool) {
        let Some(vid) = self.book.own_vlan(port) else { return };
        self.book.configure(port, wire::mac(number), sticky);
        let domain = self.fixture.bpf.port(port).expect("the slot is there").domain + vid;
        let flags = if sticky { entry_flag::STATIC | entry_flag::STICKY } else { entry_flag::STATIC };
        self.fixture.configure(FdbKey::new(DomainId(domain), station(number)), port, flags);
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

    /// The same entries, as many as are counted, and the same copies arrived.
    fn compare_in_the_end(self, listener: &Listener) -> Result<(), String> {
        let entries = self.fixture.entries().into_iter();
        let real: BTreeMap<_, _> =
            entries.map(|(key, entry)| ((domain(key), key.mac().octets()), place(&entry))).collect();
        same("the FDB", &real, self.book.places())?;
        for port in (0..=self.ports).map(PortId) {
            let counted = self.fixture.bpf.dynamic_entries(port).expect("the slot is there");
            same(&format!("dynamic entries of {port:?}"), &counted, &self.book.dynamic(port))?;
        }
        let mut arrived = Vec::new();
        let ports: Vec<PortId> = self.fixture.ports().collect();
        let _all_came = poll(SOON, || {
            for port in &ports {
                arrived.extend(listener.heard(*port).into_iter().map(|frame| (*port, frame)));
            }
            (arrived.len() >= self.flooded.len()).then_some(())
        });
        let (mut missing, mut unexpected) = (self.flooded, Vec::new());
        for copy in arrived {
            match missing.iter().position(|expected| *expected == copy) {
                Some(place) => drop(missing.swap_remove(place)),
                None => unexpected.push(copy),
            }
        }
        let said = |copies: Vec<(PortId, Vec<u8>)>| -> Vec<String> {
            copies.iter().map(|(port, frame)| format!("{} behind port {}", describe(frame), port.0)).collect()
        };
        same("copies of floods that only one of both sent", &said(unexpected), &said(missing))
    }
}

/// The frame as it leaves in a form. A tag that is pushed is a customer's, with the priority that the frame had.
fn in_form(frame: &[u8], form: Form) -> Vec<u8> {
    let tci = is_tagged(frame).then(|| u16::from_be_bytes([frame[14], frame[15]]));
    let bare = || [&frame[..12], &frame[if is_tagged(frame) { 16 } else { 12 }..]].concat();
    match form {
        Form::AsItCame => frame.to_vec(),
        Form::Untagged => bare(),
        Form::Tagged(vid) if tci.is_some_and(|tci| tci & 0x0fff == vid) => frame.to_vec(),
        Form::Tagged(vid) => insert_tag(&bare(), 0x8100, (tci.unwrap_or(0) & 0xf000) | vid),
    }
}

fn is_tagged(frame: &[u8]) -> bool {
    matches!(frame.get(12..14), Some([0x81, 0x00] | [0x88, 0xa8]))
}

/// Network and VLAN of an entry.
fn domain(key: FdbKey) -> Domain {
    match key.domain().0.checked_sub(AWARE_DOMAIN.0) {
        Some(vid) => (AWARE.into(), vid),
        None => (key.domain().0 - domain_of(0).0, 0),
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

pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, real: &T, model: &T) -> Result<(), String> {
    if real == model {
        Ok(())
    } else {
        Err(format!("{what}: the programs say {real:?}, the model {model:?}"))
    }
}

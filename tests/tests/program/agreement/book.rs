//! The model switch as the data path's twin: the model says where frames go, this book what is counted and told.
//!
//! Beside the model's FDB, which forgets at once, the book keeps the places that entries take in the real table until they
//! are swept: limits are of places.

use std::collections::BTreeMap;
use std::time::Duration;

use vswitch_common::event::NoticeKind;
use vswitch_common::verdict::DropReason;
use vswitch_tests::model::{Domain, Form, Guard, Kind, Mac, Outcome, PortSettings, Reason, Switch, Vlans};
use vswitch_tests::program::{PortId, Tally};

use super::scenario::{AWARE, Options, Port, VLANS};
use super::wire::{ip, mac};

/// A place in the table: where the entry points, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) kind: Kind,
}

/// What the controller should be told: kind, station, port, earlier port, IPv4 address.
pub(crate) type Told = (u16, Mac, u16, u16, [u8; 4]);

/// What should come of a frame.
pub(crate) struct Expected {
    pub(crate) counted: Tally,
    pub(crate) told: Vec<Told>,
    /// The ports it leaves by, and in which form.
    pub(crate) sent: Vec<(PortId, Form)>,
    /// Ports that would have got a copy, but for their MTU.
    pub(crate) cut: Vec<PortId>,
    /// Whether it is flooded, to however many.
    pub(crate) is_flood: bool,
    /// Why it goes nowhere at all.
    pub(crate) dropped: Option<DropReason>,
    /// Whether its source is not learned for want of room.
    pub(crate) is_refused_room: bool,
}

/// What a source teaches.
enum Teaching {
    /// It changes no place.
    Nothing,
    /// It takes a place, or another.
    Takes(Told),
    /// A limit forbids that.
    Refused,
}

/// The model and its places.
pub(crate) struct Book {
    model: Switch,
    settings: BTreeMap<u16, PortSettings>,
    limits: BTreeMap<u16, u32>,
    places: BTreeMap<(Domain, Mac), Place>,
    room: u32,
    now: Duration,
}

impl Book {
    pub(crate) fn new(room: u32) -> Self {
        let (settings, limits, places) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { model: Switch::default(), settings, limits, places, room, now: Duration::ZERO }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn set_ageing(&mut self, network: u16, ageing: Duration) {
        self.model.set_ageing(network, ageing);
    }

    /// Connects a port anew: whoever was behind it is forgotten, configured stations too.
    pub(crate) fn connect(&mut self, port: PortId, of: Port) {
        self.model.remove_port(port.0.into());
        self.places.retain(|_, place| place.port != port.0 || place.kind == Kind::Dynamic);
        let vlan = |place: u8| VLANS[usize::from(place)];
        let tagged = |place: usize| if of.vlans.tagged[place] { VLANS[place] } else { 0 };
        let vlans =
            Vlans { untagged: of.vlans.untagged.map_or(0, vlan), tagged: [tagged(0), tagged(1), tagged(2)] };
        let guard = of.guard.map(|guard| Guard {
            mac: guard.mac.map(mac),
            ip: guard.ip.map(ip),
            trusted: guard.trusted,
        });
        let settings = PortSettings {
            network: of.network.into(),
            vlans: (of.network == AWARE).then_some(vlans),
            guard,
            exhausted: of.exhausted,
            ..PortSettings::default()
        };
        self.settings.insert(port.0, settings);
        self.set(port, of.options);
    }

    pub(crate) fn set(&mut self, port: PortId, options: Options) {
        let Options { isolated, hairpin, learning, flood, mac_limit, mtu } = options;
        let was = self.settings[&port.0];
        self.limits.insert(port.0, mac_limit);
        self.change(port, PortSettings { isolated, hairpin, learning, flood, mtu: mtu as usize, ..was });
    }

    pub(crate) fn set_link(&mut self, port: PortId, up: bool) {
        self.change(port, PortSettings { up, ..self.settings[&port.0] });
    }

    pub(crate) fn flush(&mut self, port: PortId) {
        // Going down is how a port of the model forgets.
        let was = self.settings[&port.0];
        self.change(port, PortSettings { up: false, ..was });
        self.change(port, was);
    }

    fn change(&mut self, port: PortId, settings: PortSettings) {
        self.settings.insert(port.0, settings);
        self.model.set_port(port.0.into(), settings);
    }

    pub(crate) fn configure(&mut self, port: PortId, mac: Mac, sticky: bool) {
        let kind = if sticky { Kind::Sticky } else { Kind::Static };
        self.model.add_entry(mac, port.0.into(), kind, self.now);
        self.places.insert((self.model.own_domain(port.0.into()), mac), Place { port: port.0, kind });
    }

    /// The VLAN of the port's untagged frames, 0 on a VLAN-unaware network; none where there is none.
    pub(crate) fn own_vlan(&self, port: PortId) -> Option<u16> {
        match self.settings[&port.0].vlans {
            None => Some(0),
            Some(vlans) => Some(vlans.untagged).filter(|vid| *vid != 0),
        }
    }

    /// Gives up the places of those whom the model has forgotten.
    pub(crate) fn sweep(&mut self) {
        let known = self.model.fdb(self.now);
        self.places.retain(|key, place| place.kind != Kind::Dynamic || known.contains_key(key));
    }

    /// Who takes which place.
    pub(crate) fn places(&self) -> &BTreeMap<(Domain, Mac), Place> {
        &self.places
    }

    /// How many dynamic entries a port has, void ones among them.
    pub(crate) fn dynamic(&self, port: PortId) -> u64 {
        let is_counted =
            |place: &&Place| place.kind == Kind::Dynamic && (port == PortId::NOBODY || place.port == port.0);
        self.places.values().filter(is_counted).count() as u64
    }

    /// A frame comes in.
    pub(crate) fn deliver(&mut self, ingress: PortId, frame: &[u8]) -> Expected {
        let (to, from): (Mac, Mac) = (octets(frame, 0), octets(frame, 6));
        let domain = match self.model.admit(ingress.0.into(), frame) {
            Ok(domain) => domain,
            Err(reason) => return refused(ingress, frame, reason),
        };
        let teaching = self.teach(ingress, (domain, from));
        let before = self.model.clone();
        let mut outcome = self.model.deliver(ingress.0.into(), frame, self.now);
        let mut told = Vec::new();
        let is_refused_room = matches!(teaching, Teaching::Refused);
        if let Teaching::Takes(news) = teaching {
            told.push(news);
        }
        if is_refused_room {
            self.model = before.clone();
            let unlearned = self.without_learning(ingress, frame);
            // A frame to its own sender is for the port where that speaks, learned or not.
            if to != from {
                outcome = unlearned;
            }
        }
        told.extend(heard(ingress, domain, frame));
        let mut expected = self.count(ingress, domain, frame, &before, &outcome);
        if is_refused_room {
            expected.counted = expected.counted.not_learned(ingress);
        }
        if is_refused_room && to == from {
            expected.is_flood = false;
            if expected.cut.pop().is_some() {
                expected.dropped = Some(DropReason::TooBig);
            }
        }
        Expected { told, is_refused_room, ..expected }
    }

    /// Takes the source's place, if it may.
    fn teach(&mut self, ingress: PortId, key: (Domain, Mac)) -> Teaching {
        if !self.settings[&ingress.0].learning {
            return Teaching::Nothing;
        }
        let limit = self.limits[&ingress.0];
        let is_port_full = limit != 0 && self.dynamic(ingress) >= limit.into();
        let is_table_full = self.dynamic(PortId::NOBODY) >= self.room.into();
        match self.places.get_mut(&key) {
            None if is_port_full || is_table_full => Teaching::Refused,
            None => {
                self.places.insert(key, Place { port: ingress.0, kind: Kind::Dynamic });
                Teaching::Takes((NoticeKind::Learned as u16, key.1, ingress.0, 0, [0; 4]))
            }
            Some(place) if place.port == ingress.0 || place.kind == Kind::Sticky => Teaching::Nothing,
            Some(place) if is_port_full && place.kind == Kind::Dynamic => Teaching::Refused,
            Some(place) => {
                let from = std::mem::replace(&mut place.port, ingress.0);
                Teaching::Takes((NoticeKind::Moved as u16, key.1, ingress.0, from, [0; 4]))
            }
        }
    }

    fn without_learning(&mut self, ingress: PortId, frame: &[u8]) -> Outcome {
        let settings = self.settings[&ingress.0];
        self.model.set_port(ingress.0.into(), PortSettings { learning: false, ..settings });
        let outcome = self.model.deliver(ingress.0.into(), frame, self.now);
        self.model.set_port(ingress.0.into(), settings);
        outcome
    }

    /// What the outcome counts at tc. `before` is the model as the frame found it.
    fn count(
        &self,
        ingress: PortId,
        domain: Domain,
        frame: &[u8],
        before: &Switch,
        outcome: &Outcome,
    ) -> Expected {
        let length = untagged_length(frame);
        let mut counted = Tally::new().rx(ingress, length);
        let mut sent = Vec::new();
        for egress in &outcome.deliveries {
            let port = PortId(u16::try_from(*egress).expect("ports are few"));
            counted = counted.tx(port, length);
            sent.push((port, self.model.form(*egress, domain.1)));
        }
        let to: Mac = octets(frame, 0);
        let is_flood = to[0] & 1 == 1 || !self.model.fdb(self.now).contains_key(&(domain, to));
        let cut: Vec<PortId> =
            if is_flood { self.too_small(before, ingress, frame, outcome) } else { Vec::new() };
        for egress in &cut {
            counted = counted.dropped(*egress, DropReason::TooBig);
        }
        let dropped = outcome.drop.filter(|_| cut.is_empty()).map(reason_of);
        if let Some(reason) = dropped {
            counted = counted.dropped(ingress, reason);
        }
        Expected { counted, told: Vec::new(), sent, cut, is_flood, dropped, is_refused_room: false }
    }

    /// The ports that would have got a copy, were their MTU larger: each counts its own.
    fn too_small(&self, before: &Switch, ingress: PortId, frame: &[u8], outcome: &Outcome) -> Vec<PortId> {
        let mut roomy = before.clone();
        for (port, settings) in &self.settings {
            roomy.set_port((*port).into(), PortSettings { mtu: usize::MAX / 2, ..*settings });
        }
        let all = roomy.deliver(ingress.0.into(), frame, self.now).deliveries.into_iter();
        let lost = all.filter(|egress| !outcome.deliveries.contains(egress));
        lost.map(|egress| PortId(u16::try_from(egress).expect("ports are few"))).collect()
    }
}

/// Nothing is learned from a frame that admission refuses.
fn refused(ingress: PortId, frame: &[u8], reason: Reason) -> Expected {
    let dropped = reason_of(reason);
    let counted = Tally::new().rx(ingress, untagged_length(frame)).dropped(ingress, dropped);
    let (told, sent, cut) = (Vec::new(), Vec::new(), Vec::new());
    Expected { counted, told, sent, cut, is_flood: false, dropped: Some(dropped), is_refused_room: false }
}

/// Who has which address, as an admitted frame says: an ARP packet that speaks for its own sender, and is no probe. On a
/// VLAN-unaware network what is behind a tag is none of the switch's business.
fn heard(ingress: PortId, domain: Domain, frame: &[u8]) -> Option<Told> {
    let rest = if is_tagged(frame) { &frame[16..] } else { &frame[12..] };
    let is_hidden = domain.1 == 0 && is_tagged(frame);
    if is_hidden || rest.len() < 30 || rest[..2] != [0x08, 0x06] {
        return None;
    }
    let (sender, ip) = (octets(rest, 10), rest[16..20].try_into().expect("four octets"));
    let news = (NoticeKind::Neighbour as u16, sender, ingress.0, 0, ip);
    (sender == octets(frame, 6) && ip != [0; 4]).then_some(news)
}

fn is_tagged(frame: &[u8]) -> bool {
    matches!(frame.get(12..14), Some([0x81, 0x00] | [0x88, 0xa8]))
}

/// As tc counts it, which has the tag in metadata.
fn untagged_length(frame: &[u8]) -> usize {
    frame.len() - if is_tagged(frame) { 4 } else { 0 }
}

fn octets(frame: &[u8], at: usize) -> Mac {
    frame[at..at + 6].try_into().expect("six octets")
}

fn reason_of(reason: Reason) -> DropReason {
    let same_name = |candidate: &DropReason| candidate.name() == reason.as_str();
    DropReason::ALL.into_iter().find(same_name).expect("model and API name reasons alike")
}

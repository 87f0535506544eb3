//! The model switch as the data path's twin: the model says where frames go, this book what is counted and told.
//!
//! Beside the model's FDB, which forgets at once, the book keeps the places that entries take in the real table until they
//! are swept: limits are of places.

use std::collections::BTreeMap;
use std::time::Duration;

use vswitch_common::event::NoticeKind;
use vswitch_common::verdict::DropReason;
use vswitch_tests::model::{Kind, Mac, Outcome, PortSettings, Reason, Switch};
use vswitch_tests::program::{PortId, Tally};

use super::scenario::{Options, Port};

/// A place in the table: where the entry points, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) kind: Kind,
}

/// What the controller should be told: kind, station, port, earlier port.
pub(crate) type Told = (u16, Mac, u16, u16);

/// What should come of a frame.
pub(crate) struct Expected {
    pub(crate) counted: Tally,
    pub(crate) told: Option<Told>,
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
    places: BTreeMap<(u16, Mac), Place>,
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
        let network = of.network.into();
        self.settings.insert(port.0, PortSettings { network, ..PortSettings::default() });
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
        self.places.insert((self.settings[&port.0].network, mac), Place { port: port.0, kind });
    }

    /// Gives up the places of those whom the model has forgotten.
    pub(crate) fn sweep(&mut self) {
        let known = self.model.fdb(self.now);
        self.places.retain(|key, place| place.kind != Kind::Dynamic || known.contains_key(key));
    }

    /// Who takes which place.
    pub(crate) fn places(&self) -> &BTreeMap<(u16, Mac), Place> {
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
        let would = self.model.clone().deliver(ingress.0.into(), frame, self.now);
        let network = self.settings[&ingress.0].network;
        let teaching = if self.is_admitted(ingress, &would) {
            self.teach(ingress, (network, from))
        } else {
            Teaching::Nothing
        };
        let mut counted = Tally::new().rx(ingress, frame.len());
        let mut told = None;
        let before = self.model.clone();
        let outcome = self.model.deliver(ingress.0.into(), frame, self.now);
        match teaching {
            Teaching::Nothing => {}
            Teaching::Takes(news) => told = Some(news),
            Teaching::Refused => {
                counted = counted.not_learned(ingress);
                self.model = before.clone();
                let outcome = self.without_learning(ingress, frame);
                // A frame to its own sender is for the port where that speaks, learned or not.
                if to != from {
                    return Expected {
                        counted: self.count(counted, ingress, frame, &before, &outcome),
                        told,
                    };
                }
            }
        }
        Expected { counted: self.count(counted, ingress, frame, &before, &outcome), told }
    }

    /// Nothing is learned from a frame that admission refuses.
    fn is_admitted(&self, ingress: PortId, would: &Outcome) -> bool {
        match would.drop {
            Some(Reason::Malformed | Reason::InvalidSource | Reason::LinkConstrained | Reason::NoPort) => {
                false
            }
            _ => self.settings[&ingress.0].up,
        }
    }

    /// Takes the source's place, if it may.
    fn teach(&mut self, ingress: PortId, key: (u16, Mac)) -> Teaching {
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
                Teaching::Takes((NoticeKind::Learned as u16, key.1, ingress.0, 0))
            }
            Some(place) if place.port == ingress.0 || place.kind == Kind::Sticky => Teaching::Nothing,
            Some(place) if is_port_full && place.kind == Kind::Dynamic => Teaching::Refused,
            Some(place) => {
                let from = std::mem::replace(&mut place.port, ingress.0);
                Teaching::Takes((NoticeKind::Moved as u16, key.1, ingress.0, from))
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

    /// Adds what the outcome counts. `before` is the model as the frame found it.
    fn count(
        &self,
        counted: Tally,
        ingress: PortId,
        frame: &[u8],
        before: &Switch,
        outcome: &Outcome,
    ) -> Tally {
        let port = |id: &u32| PortId(u16::try_from(*id).expect("ports are few"));
        let sent = outcome.deliveries.iter().map(port);
        let mut counted = sent.fold(counted, |counted, egress| counted.tx(egress, frame.len()));
        let to: Mac = octets(frame, 0);
        let is_known = self.model.fdb(self.now).contains_key(&(self.settings[&ingress.0].network, to));
        let is_flood = to[0] & 1 == 1 || !is_known;
        let cut: Vec<PortId> =
            if is_flood { self.too_small(before, ingress, frame, outcome) } else { Vec::new() };
        for egress in &cut {
            counted = counted.dropped(*egress, DropReason::TooBig);
        }
        match outcome.drop {
            Some(reason) if cut.is_empty() => counted.dropped(ingress, reason_of(reason)),
            _ => counted,
        }
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

fn octets(frame: &[u8], at: usize) -> Mac {
    frame[at..at + 6].try_into().expect("six octets")
}

fn reason_of(reason: Reason) -> DropReason {
    let same_name = |candidate: &DropReason| candidate.name() == reason.as_str();
    DropReason::ALL.into_iter().find(same_name).expect("model and API name reasons alike")
}

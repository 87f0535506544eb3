//! The model switch: what a learning switch does, written to be believed by reading, not to be fast.
//!
//! Standard library only, no I/O, no clock: the caller passes the time. It shares no code with the data path, so where
//! the two disagree, one of them is wrong. It knows ports with their flags, networks, VLANs, guards, ageing, moves, static and
//! sticky entries. It does not know who answers ARP, nor rates, only that one is used up; a data path that writes "last seen" at most once a second may
//! forget a station up to that much earlier than the model does.

mod admission;
mod fdb;
mod port;

pub use fdb::{Entry, Fdb, Kind};
pub use port::{Guard, PortId, PortSettings, Vlans};

use std::collections::BTreeMap;
use std::time::Duration;

use admission::{HEADER, TAG, tag_of};

/// A MAC address as it stands in a frame.
pub type Mac = [u8; 6];

/// A network's number.
pub type Network = u16;

/// Where frames flood and stations are known: a network, and a VLAN of it or 0.
pub type Domain = (Network, u16);

/// Why a frame was not forwarded, as the API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Shorter than an Ethernet header.
    Malformed,
    /// The source is a group or zero.
    InvalidSource,
    /// The destination is one that no bridge relays (802.1Q table 8-1).
    LinkConstrained,
    /// The destination is behind the port the frame came from.
    SamePort,
    /// Longer than the egress link takes.
    TooBig,
    /// The link it came by is no port.
    NoPort,
    /// The ingress or the egress port is down.
    PortDown,
    /// Nobody else is there to flood to.
    NobodyToFlood,
    /// The destination is behind an isolated port, as the source is.
    Isolated,
    /// VLAN ID 4095, or no VLAN for frames without a tag.
    InvalidVlan,
    /// The port is not in the VLAN.
    VlanNotAllowed,
    /// From a MAC address that the port was not given.
    SpoofedMac,
    /// From an IP address that the port was not given.
    SpoofedIp,
    /// A DHCP server or router where none may be.
    RogueServer,
    /// More broadcasts than the port may send.
    StormBroadcast,
    /// More multicasts.
    StormMulticast,
    /// More unknown unicast.
    StormUnknown,
}

/// With which tag a frame leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// With that which it came with, or none.
    AsItCame,
    /// Without.
    Untagged,
    /// With that of a VLAN.
    Tagged(u16),
}

impl Reason {
    /// The drop reason in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::InvalidSource => "invalid-source",
            Self::LinkConstrained => "link-constrained",
            Self::SamePort => "same-port",
            Self::TooBig => "too-big",
            Self::NoPort => "no-port",
            Self::PortDown => "port-down",
            Self::NobodyToFlood => "nobody-to-flood",
            Self::Isolated => "isolated",
            Self::InvalidVlan => "invalid-vlan",
            Self::VlanNotAllowed => "vlan-not-allowed",
            Self::SpoofedMac => "spoofed-mac",
            Self::SpoofedIp => "spoofed-ip",
            Self::RogueServer => "rogue-server",
            Self::StormBroadcast => "storm-broadcast",
            Self::StormMulticast => "storm-multicast",
            Self::StormUnknown => "storm-unknown",
        }
    }
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The ports it left by, ascending, each once.
    pub deliveries: Vec<PortId>,
    /// Why it left by none.
    pub drop: Option<Reason>,
}

impl Outcome {
    fn dropped(reason: Reason) -> Self {
        Self { deliveries: Vec::new(), drop: Some(reason) }
    }
}

/// A switch.
#[derive(Debug, Clone, Default)]
pub struct Switch {
    ports: BTreeMap<PortId, PortSettings>,
    fdb: Fdb,
}

impl Switch {
    /// Adds a port, or changes one: a port that goes down or to another network forgets who was behind it.
    pub fn set_port(&mut self, id: PortId, settings: PortSettings) {
        let before = self.ports.insert(id, settings);
        if before.is_some_and(|before| before.network != settings.network || !settings.up) {
            self.fdb.flush_port(id);
        }
    }

    /// Removes a port and every entry of it, static ones too.
    pub fn remove_port(&mut self, id: PortId) {
        self.ports.remove(&id);
        self.fdb.remove_port(id);
    }

    /// Sets how long a network remembers a silent station; zero is for ever.
    pub fn set_ageing(&mut self, network: Network, ageing: Duration) {
        self.fdb.set_ageing(network, ageing);
    }

    /// Adds a static or sticky entry in the port's network, where that is VLAN-aware in the VLAN of its untagged frames.
    ///
    /// # Panics
    /// When there is no such port.
    pub fn add_entry(&mut self, mac: Mac, port: PortId, kind: Kind, now: Duration) {
        let domain = self.own_domain(port);
        self.fdb.insert(domain, mac, Entry { port, kind, seen: now });
    }

    /// The domain of a port's untagged frames.
    ///
    /// # Panics
    /// When there is no such port.
    #[must_use]
    pub fn own_domain(&self, port: PortId) -> Domain {
        let settings = &self.ports[&port];
        (settings.network, settings.vlans.map_or(0, |vlans| vlans.untagged))
    }

    /// Who is known at this time.
    #[must_use]
    pub fn fdb(&self, now: Duration) -> BTreeMap<(Domain, Mac), Entry> {
        self.fdb.present(now)
    }

    /// Forwards one frame that came by `ingress` at time `now`.
    pub fn deliver(&mut self, ingress: PortId, frame: &[u8], now: Duration) -> Outcome {
        let domain = match self.admit(ingress, frame) {
            Ok(domain) => domain,
            Err(reason) => return Outcome::dropped(reason),
        };
        let destination: Mac = frame[0..6].try_into().expect("six octets");
        let source: Mac = frame[6..12].try_into().expect("six octets");
        if self.ports[&ingress].learning {
            self.fdb.learn(domain, source, ingress, now);
        }
        if !is_group(destination)
            && let Some(entry) = self.fdb.find(domain, destination, now)
        {
            return self.forward(ingress, entry.port, domain.1, frame);
        }
        let (kind, reason) = match destination {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => (0, Reason::StormBroadcast),
            _ if is_group(destination) => (1, Reason::StormMulticast),
            _ => (2, Reason::StormUnknown),
        };
        if self.ports[&ingress].exhausted[kind] {
            return Outcome::dropped(reason);
        }
        self.flood(ingress, domain.1, frame)
    }

    /// The domain of a frame that comes in by `ingress`, or why it is refused; a refused frame teaches nothing.
    ///
    /// # Errors
    /// The reason.
    pub fn admit(&self, ingress: PortId, frame: &[u8]) -> Result<Domain, Reason> {
        let from = self.ports.get(&ingress).ok_or(Reason::NoPort)?;
        Ok((from.network, admission::admit(from, frame)?))
    }

    /// With which tag frames of a VLAN leave by a port.
    ///
    /// # Panics
    /// When there is no such port.
    #[must_use]
    pub fn form(&self, egress: PortId, vid: u16) -> Form {
        match self.ports[&egress].vlans {
            None => Form::AsItCame,
            Some(vlans) if vlans.untagged == vid => Form::Untagged,
            Some(_) => Form::Tagged(vid),
        }
    }

    /// To one port, if it may have the frame.
    fn forward(&self, ingress: PortId, egress: PortId, vid: u16, frame: &[u8]) -> Outcome {
        match self.refusal(ingress, egress, vid, frame) {
            None => Outcome { deliveries: vec![egress], drop: None },
            Some(reason) => Outcome::dropped(reason),
        }
    }

    /// To every port of the network that floods and may have the frame.
    fn flood(&self, ingress: PortId, vid: u16, frame: &[u8]) -> Outcome {
        let network = self.ports[&ingress].network;
        let members =
            self.ports.iter().filter(|(_, port)| port.network == network && port.flood).map(|(&id, _)| id);
        let judged: Vec<_> =
            members.map(|egress| (egress, self.refusal(ingress, egress, vid, frame))).collect();
        let deliveries: Vec<PortId> =
            judged.iter().filter(|(_, no)| no.is_none()).map(|(id, _)| *id).collect();
        if !deliveries.is_empty() {
            return Outcome { deliveries, drop: None };
        }
        let too_big = judged.iter().any(|(_, refusal)| *refusal == Some(Reason::TooBig));
        Outcome::dropped(if too_big { Reason::TooBig } else { Reason::NobodyToFlood })
    }

    /// Why `egress` may not have a frame from `ingress`.
    fn refusal(&self, ingress: PortId, egress: PortId, vid: u16, frame: &[u8]) -> Option<Reason> {
        let (from, to) = (&self.ports[&ingress], &self.ports[&egress]);
        if !to.up {
            return Some(Reason::PortDown);
        }
        if ingress == egress && !from.hairpin {
            return Some(Reason::SamePort);
        }
        if from.isolated && to.isolated {
            return Some(Reason::Isolated);
        }
        if to.vlans.is_some_and(|vlans| !vlans.has(vid)) {
            return Some(Reason::VlanNotAllowed);
        }
        // Linux grants every frame a tag on top of the MTU (is_skb_forwardable), and its own outer tag does not count.
        let length = frame.len() - tag_of(frame).map_or(0, |_| TAG);
        (length > to.mtu + HEADER + TAG).then_some(Reason::TooBig)
    }
}

/// The I/G bit of the first octet (802 clause 8.2.1).
fn is_group(mac: Mac) -> bool {
    mac[0] & 1 == 1
}

/// 01-80-C2-00-00-00 to -0F.
fn is_link_constrained(mac: Mac) -> bool {
    mac[..5] == [0x01, 0x80, 0xc2, 0, 0] && mac[5] < 16
}

#[cfg(test)]
mod tests;

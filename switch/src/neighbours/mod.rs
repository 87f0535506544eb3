//! Who has which IP address, by watching ARP and neighbour discovery: what the data path needs to answer requests itself, and what to do with
//! those that it cannot.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use vswitch_common::domain::DomainId;
use vswitch_common::event::{Notice, NoticeKind, PuntRecord};
use vswitch_common::fdb::FdbKey;
use vswitch_common::frame::{ARP_BYTES, Arp, ETHERNET_BYTES};
use vswitch_common::mac::MacAddr;
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_common::port::PortId;
use vswitch_common::vlan::VlanId;

use crate::controller::{Controller, vlans};
use crate::error::chain;

/// Addresses remembered for one port: as many as a routed host with a large subnet behind proxy ARP may have. A port that
/// claims more is not believed, so that it cannot fill the table.
const PER_PORT: usize = 1_024;

/// A question that was flooded is not flooded again within this time: a host asks once a second (RFC 1122 section 2.3.2.1),
/// so what comes sooner is a duplicate. Nanoseconds.
const DUPLICATE_WITHIN_NS: u64 = 250_000_000;

/// Questions remembered for that; at the limit all are forgotten, and some are flooded again too soon.
const QUESTIONS: usize = 16_384;

/// A question: who asks in which domain for which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    domain: u16,
    asker: MacAddr,
    target: [u8; 4],
}

/// The table.
#[derive(Debug, Default)]
pub struct Neighbours {
    known: BTreeMap<(u16, IpAddr), Known>,
    /// How many of them each port has.
    by_port: BTreeMap<PortId, usize>,
    flooded: HashMap<Question, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    mac: MacAddr,
    port: PortId,
    /// Said by the user: nobody on the wire can say otherwise.
    is_configured: bool,
}

impl Neighbours {
    /// Forgets questions that may be flooded again.
    pub fn forget_floods(&mut self, now_ns: u64) {
        self.flooded.retain(|_, at| now_ns.saturating_sub(*at) < DUPLICATE_WITHIN_NS);
    }

    /// Whether to flood a question now; if so, it counts as flooded.
    fn may_flood(&mut self, question: Question, now_ns: u64) -> bool {
        if let Some(at) = self.flooded.get(&question)
            && now_ns.saturating_sub(*at) < DUPLICATE_WITHIN_NS
        {
            return false;
        }
        if self.flooded.len() >= QUESTIONS {
            self.flooded.clear();
        }
        self.flooded.insert(question, now_ns);
        true
    }

    /// Learns who has an address; false if the port claims too many.
    fn learn(&mut self, domain: u16, ip: IpAddr, known: Known) -> bool {
        let key = (domain, ip);
        if self.known.get(&key).is_some_and(|old| old.is_configured && !known.is_configured) {
            return false;
        }
        let is_new_here = self.known.get(&key).is_none_or(|old| old.port != known.port);
        if is_new_here && self.by_port.get(&known.port).is_some_and(|count| *count >= PER_PORT) {
            return false;
        }
        if let Some(old) = self.known.insert(key, known) {
            self.count_down(old.port);
        }
        *self.by_port.entry(known.port).or_default() += 1;
        true
    }

    /// The stations known at a port and their addresses, by address.
    pub(crate) fn at(&self, port: PortId) -> impl Iterator<Item = (MacAddr, IpAddr)> {
        let here = self.known.iter().filter(move |(_, known)| known.port == port);
        here.map(|((_, ip), known)| (known.mac, *ip))
    }

    fn count_down(&mut self, port: PortId) {
        if let Some(count) = self.by_port.get_mut(&port) {
            *count = count.saturating_sub(1);
        }
    }

    /// Forgets those that `is_gone` names, and says which.
    fn forget(&mut self, is_gone: impl Fn(u16, &Known) -> bool) -> Vec<NeighbourKey> {
        let gone = self.known.iter().filter(|((domain, _), known)| is_gone(*domain, known));
        let gone: Vec<(u16, IpAddr)> = gone.map(|(key, _)| *key).collect();
        for key in &gone {
            if let Some(known) = self.known.remove(key) {
                self.count_down(known.port);
            }
        }
        gone.into_iter().map(|(domain, ip)| key(DomainId(domain), ip)).collect()
    }
}

impl Controller {
    /// The data path saw an ARP packet say who has an address.
    pub(crate) fn note_neighbour(&mut self, notice: &Notice) {
        let ip = match NoticeKind::from_number(notice.kind) {
            Some(NoticeKind::Neighbour) => {
                let [a, b, c, d, ..] = notice.ip;
                IpAddr::from([a, b, c, d])
            }
            Some(NoticeKind::NeighbourV6) => IpAddr::from(notice.ip),
            _ => return,
        };
        let is_broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        if ip.is_unspecified() || is_broadcast || ip.is_multicast() || ip.is_loopback() {
            return;
        }
        self.note_host(notice.domain, ip, MacAddr::from_bits(notice.mac), PortId(notice.port));
    }

    /// Somebody who listens says who has an address.
    pub(crate) fn note_host(&mut self, domain: u16, ip: IpAddr, mac: MacAddr, port: PortId) {
        if !self.neighbours.learn(domain, ip, Known { mac, port, is_configured: false }) {
            return tracing::debug!(%ip, %mac, port = port.0, "the port claims too many addresses");
        }
        self.publish_neighbour(DomainId(domain), ip, mac);
    }

    /// A frame that the data path could not decide about: an ARP request for an address nobody is known to have.
    pub(crate) fn take_punt(&mut self, punt: &PuntRecord) {
        let frame = punt.bytes();
        let arp = frame.get(ETHERNET_BYTES..).and_then(<[u8]>::first_chunk::<ARP_BYTES>);
        let Some(arp) = arp.map(Arp::parse).filter(Arp::is_some) else { return };
        let question = Question { domain: punt.domain, asker: arp.sender_mac, target: arp.target_ip };
        let now_ns = self.datapath().now_ns();
        if !self.neighbours.may_flood(question, now_ns) {
            return;
        }
        let vid = vlans::base(punt.domain).1.map_or(0, VlanId::get);
        if let Err(error) = self.datapath().flood(PortId(punt.port), vid, frame) {
            tracing::debug!(port = punt.port, error = chain(&error), "cannot flood a punted frame");
        }
    }

    /// A port was flushed: what was behind it is no longer answered for.
    pub(crate) fn forget_neighbours_of(&mut self, port: PortId) {
        let gone = self.neighbours.forget(|_, known| known.port == port && !known.is_configured);
        self.withdraw_neighbours(&gone);
    }

    /// A station was forgotten.
    pub(crate) fn forget_neighbours_at(&mut self, key: FdbKey) {
        let gone = self.neighbours.forget(|domain, known| {
            domain == key.domain().0 && known.mac == key.mac() && !known.is_configured
        });
        self.withdraw_neighbours(&gone);
    }

    /// The user says which addresses the host behind a port has.
    pub(crate) fn configure_neighbours(
        &mut self,
        domain: DomainId,
        mac: MacAddr,
        port: PortId,
        ips: &[IpAddr],
    ) {
        for ip in ips {
            if self.neighbours.learn(domain.0, *ip, Known { mac, port, is_configured: true }) {
                self.publish_neighbour(domain, *ip, mac);
            }
        }
    }

    /// No longer.
    pub(crate) fn unconfigure_neighbours(&mut self, port: PortId) {
        let gone = self.neighbours.forget(|_, known| known.port == port && known.is_configured);
        self.withdraw_neighbours(&gone);
    }

    fn publish_neighbour(&mut self, domain: DomainId, ip: IpAddr, mac: MacAddr) {
        if let Err(error) = self.datapath().set_neighbour(&key(domain, ip), Some(Neighbour(mac.bits()))) {
            tracing::debug!(%ip, %mac, error = chain(&error), "cannot remember a neighbour");
        }
    }

    fn withdraw_neighbours(&mut self, gone: &[NeighbourKey]) {
        for key in gone {
            if let Err(error) = self.datapath().set_neighbour(key, None) {
                tracing::warn!(error = chain(&error), "cannot forget a neighbour");
            }
        }
    }
}

fn key(domain: DomainId, ip: IpAddr) -> NeighbourKey {
    match ip {
        IpAddr::V4(ip) => NeighbourKey::v4(domain, ip.octets()),
        IpAddr::V6(ip) => NeighbourKey::v6(domain, ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(bits: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(bits))
    }

    const ONE: Known = Known { mac: MacAddr::from_bits(1), port: PortId(1), is_configured: false };

    #[test]
    fn a_question_is_flooded_once_and_again_when_the_host_asks_again() {
        let mut neighbours = Neighbours::default();
        let question = Question { domain: 1, asker: MacAddr::from_bits(1), target: [10, 0, 0, 2] };
        assert!(neighbours.may_flood(question, 0));
        assert!(!neighbours.may_flood(question, DUPLICATE_WITHIN_NS - 1));
        assert!(neighbours.may_flood(question, DUPLICATE_WITHIN_NS));
        assert!(neighbours.may_flood(Question { domain: 2, ..question }, 0));
    }

    #[test]
    fn questions_remembered_are_bounded() {
        let mut neighbours = Neighbours::default();
        for n in 0..=QUESTIONS as u32 {
            let question = Question { domain: 1, asker: MacAddr::from_bits(1), target: n.to_be_bytes() };
            assert!(neighbours.may_flood(question, 0));
        }
        assert!(neighbours.flooded.len() <= QUESTIONS);
    }

    #[test]
    fn a_port_cannot_claim_every_address() {
        let mut neighbours = Neighbours::default();
        for n in 0..PER_PORT as u32 {
            assert!(neighbours.learn(1, v4(n), ONE));
        }
        assert!(!neighbours.learn(1, v4(u32::MAX), ONE));
        assert!(neighbours.learn(1, v4(0), Known { mac: MacAddr::from_bits(2), ..ONE }));
        assert!(neighbours.learn(1, v4(u32::MAX), Known { port: PortId(2), ..ONE }));
    }

    #[test]
    fn what_the_user_says_stands_against_the_wire() {
        let mut neighbours = Neighbours::default();
        neighbours.learn(1, v4(1), Known { is_configured: true, ..ONE });
        assert!(!neighbours.learn(1, v4(1), Known { mac: MacAddr::from_bits(2), ..ONE }));
    }

    #[test]
    fn a_flushed_port_takes_its_neighbours_along() {
        let mut neighbours = Neighbours::default();
        neighbours.learn(1, v4(1), ONE);
        neighbours.learn(1, v4(2), Known { port: PortId(2), ..ONE });
        assert_eq!(neighbours.forget(|_, known| known.port == PortId(1)).len(), 1);
        assert_eq!(neighbours.known.len(), 1);
    }
}

//! ARP packets (RFC 826, RFC 5227).

use std::net::Ipv4Addr;

use vswitch_common::mac::MacAddr;

use super::{ARP, ethernet, payload_of};

/// An ARP packet for Ethernet and IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpPacket {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Whose packet it is.
    pub sender: (MacAddr, Ipv4Addr),
    /// Whom it asks or tells.
    pub target: (MacAddr, Ipv4Addr),
}

impl ArpPacket {
    /// Whether it asks for an address.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.operation == 1
    }

    /// Whether it answers.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.operation == 2
    }

    /// As a frame to `to` from the sender.
    #[must_use]
    pub fn frame(&self, to: MacAddr) -> Vec<u8> {
        let mut payload = vec![0, 1, 8, 0, 6, 4];
        payload.extend(self.operation.to_be_bytes());
        for (mac, ip) in [self.sender, self.target] {
            payload.extend(mac.octets());
            payload.extend(ip.octets());
        }
        ethernet(to, self.sender.0, ARP, &payload)
    }
}

/// Who has `target`? Broadcast.
#[must_use]
pub fn arp_request(sender: (MacAddr, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    ArpPacket { operation: 1, sender, target: (MacAddr::ZERO, target) }.frame(MacAddr::BROADCAST)
}

/// `sender` has its address, said to `target` alone.
#[must_use]
pub fn arp_reply(sender: (MacAddr, Ipv4Addr), target: (MacAddr, Ipv4Addr)) -> Vec<u8> {
    ArpPacket { operation: 2, sender, target }.frame(target.0)
}

/// Does anybody have `target`, which I would like? Sender address 0.0.0.0 (RFC 5227 section 1.1).
#[must_use]
pub fn arp_probe(sender: MacAddr, target: Ipv4Addr) -> Vec<u8> {
    arp_request((sender, Ipv4Addr::UNSPECIFIED), target)
}

/// I have my address: a request for the sender's own (RFC 5227 section 1.1, "announcement").
#[must_use]
pub fn gratuitous_arp(sender: (MacAddr, Ipv4Addr)) -> Vec<u8> {
    arp_request(sender, sender.1)
}

/// The ARP packet in a frame.
#[must_use]
pub fn arp_of(frame: &[u8]) -> Option<ArpPacket> {
    let payload = payload_of(frame).filter(|_| super::ethertype_of(frame) == Some(ARP))?;
    let payload: &[u8; 28] = payload.get(..28)?.try_into().ok()?;
    let mac = |at: usize| MacAddr::from_octets(payload[at..at + 6].try_into().expect("six octets of 28"));
    let ip = |at: usize| Ipv4Addr::new(payload[at], payload[at + 1], payload[at + 2], payload[at + 3]);
    payload.starts_with(&[0, 1, 8, 0, 6, 4]).then(|| ArpPacket {
        operation: u16::from_be_bytes([payload[6], payload[7]]),
        sender: (mac(8), ip(14)),
        target: (mac(18), ip(24)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back() {
        let a = (MacAddr::from_octets([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 1));
        let frame = arp_request(a, Ipv4Addr::new(10, 0, 0, 2));
        let arp = arp_of(&frame).expect("an ARP packet");
        assert!(arp.is_request() && frame.len() == 60);
        assert_eq!((arp.sender, arp.target), (a, (MacAddr::ZERO, Ipv4Addr::new(10, 0, 0, 2))));
        assert_eq!(arp_of(&arp_probe(a.0, a.1)).expect("an ARP packet").sender.1, Ipv4Addr::UNSPECIFIED);
    }
}

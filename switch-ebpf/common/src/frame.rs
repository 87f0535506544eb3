//! What the switch reads of a frame: the Ethernet header and, for ARP, the packet behind it.
//!
//! Parsing takes arrays of exactly the bytes it needs. Whoever holds the frame (XDP, tc, a test) fetches them with its
//! own bounds check, so nothing here can read past an end.

use crate::mac::MacAddr;

/// Bytes of an untagged Ethernet header.
pub const ETHERNET_BYTES: usize = 14;
/// Bytes of an ARP packet for Ethernet and IPv4 (RFC 826).
pub const ARP_BYTES: usize = 28;

/// EtherTypes the switch looks at, in host order (IEEE 802 numbers).
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP, RFC 826.
    pub const ARP: u16 = 0x0806;
    /// Customer VLAN tag, 802.1Q.
    pub const VLAN: u16 = 0x8100;
    /// Service VLAN tag, 802.1ad.
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
}

/// An Ethernet header without its tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination.
    pub destination: MacAddr,
    /// Source.
    pub source: MacAddr,
    /// EtherType or length, host order.
    pub ethertype: u16,
}

impl Ethernet {
    /// Reads the first 14 bytes of a frame.
    #[inline(always)]
    #[must_use]
    pub const fn parse(b: &[u8; ETHERNET_BYTES]) -> Self {
        Self {
            destination: MacAddr::from_octets([b[0], b[1], b[2], b[3], b[4], b[5]]),
            source: MacAddr::from_octets([b[6], b[7], b[8], b[9], b[10], b[11]]),
            ethertype: u16::from_be_bytes([b[12], b[13]]),
        }
    }

    /// The header as bytes.
    #[inline(always)]
    #[must_use]
    pub const fn bytes(self) -> [u8; ETHERNET_BYTES] {
        let d = self.destination.octets();
        let s = self.source.octets();
        let t = self.ethertype.to_be_bytes();
        [d[0], d[1], d[2], d[3], d[4], d[5], s[0], s[1], s[2], s[3], s[4], s[5], t[0], t[1]]
    }
}

/// What an ARP request or reply asks or says. RFC 826; the distinctions are those of RFC 5227.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Request (1) or reply (2).
    pub operation: u16,
    /// Sender's MAC.
    pub sender_mac: MacAddr,
    /// Sender's IPv4 address.
    pub sender_ip: [u8; 4],
    /// Target's IPv4 address.
    pub target_ip: [u8; 4],
}

/// ARP operation codes.
pub mod operation {
    /// Who has the target address?
    pub const REQUEST: u16 = 1;
    /// I have the sender address.
    pub const REPLY: u16 = 2;
}

impl Arp {
    /// No ARP packet. A value of its own rather than an `Option`, whose empty payload would be uninitialised memory to the
    /// verifier.
    pub const NONE: Self =
        Self { operation: 0, sender_mac: MacAddr::ZERO, sender_ip: [0; 4], target_ip: [0; 4] };

    /// Makes it none, in the cheapest way: what else is in it then means nothing.
    #[inline(always)]
    pub const fn clear(&mut self) {
        self.operation = Self::NONE.operation;
    }

    /// Whether this is an ARP packet.
    #[inline(always)]
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.operation != 0
    }

    /// Reads an ARP packet; [`Arp::NONE`] unless it is one for Ethernet and IPv4.
    #[inline(always)]
    #[must_use]
    pub const fn parse(b: &[u8; ARP_BYTES]) -> Self {
        // Hardware type 1, protocol type IPv4, lengths 6 and 4.
        if b[0] != 0 || b[1] != 1 || b[2] != 8 || b[3] != 0 || b[4] != 6 || b[5] != 4 {
            return Self::NONE;
        }
        Self {
            operation: u16::from_be_bytes([b[6], b[7]]),
            sender_mac: MacAddr::from_octets([b[8], b[9], b[10], b[11], b[12], b[13]]),
            sender_ip: [b[14], b[15], b[16], b[17]],
            target_ip: [b[24], b[25], b[26], b[27]],
        }
    }

    /// Whether this asks for somebody else's address and says its own: not a probe (sender 0.0.0.0), not an
    /// announcement or gratuitous request (sender = target), which keep their meaning only when they are flooded.
    #[inline(always)]
    #[must_use]
    pub const fn is_question(&self) -> bool {
        self.operation == operation::REQUEST
            && !self.is_probe()
            && u32::from_be_bytes(self.sender_ip) != u32::from_be_bytes(self.target_ip)
    }

    /// Whether this is a probe (RFC 5227 section 1.1): it must teach nobody anything.
    #[inline(always)]
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        u32::from_be_bytes(self.sender_ip) == 0
    }

    /// The reply that `owner`, who has the target address, would send.
    #[inline(always)]
    #[must_use]
    pub const fn reply_from(&self, owner: MacAddr) -> [u8; ARP_BYTES] {
        let (o, a) = (owner.octets(), self.sender_mac.octets());
        let (t, s) = (self.target_ip, self.sender_ip);
        [
            0, 1, 8, 0, 6, 4, 0, 2, o[0], o[1], o[2], o[3], o[4], o[5], t[0], t[1], t[2], t[3], a[0], a[1],
            a[2], a[3], a[4], a[5], s[0], s[1], s[2], s[3],
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; ARP_BYTES] =
        [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];

    #[test]
    fn an_ethernet_header_is_written_as_it_was_read() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 6];
        let header = Ethernet::parse(&bytes);
        assert_eq!(header.ethertype, ethertype::ARP);
        assert_eq!(header.bytes(), bytes);
    }

    #[test]
    fn a_request_for_another_is_a_question_and_probes_and_announcements_are_not() {
        assert!(Arp::parse(&REQUEST).is_question());
        let mut probe = REQUEST;
        probe[14..18].fill(0);
        let probe = Arp::parse(&probe);
        assert!(probe.is_probe() && !probe.is_question());
        let mut announcement = REQUEST;
        announcement[24..28].copy_from_slice(&REQUEST[14..18]);
        assert!(!Arp::parse(&announcement).is_question());
    }

    #[test]
    fn a_reply_says_who_has_the_target_to_the_sender() {
        let owner = MacAddr::from_octets([2, 0, 0, 0, 0, 9]);
        let asked = Arp::parse(&REQUEST);
        let reply = Arp::parse(&asked.reply_from(owner));
        assert_eq!(reply.operation, operation::REPLY);
        assert_eq!((reply.sender_mac.bits(), reply.sender_ip), (owner.bits(), asked.target_ip));
        assert_eq!(reply.target_ip, asked.sender_ip);
    }

    #[test]
    fn arp_for_other_hardware_or_protocols_is_none_of_ours() {
        for (index, value) in [(1, 6), (3, 6), (4, 8), (5, 16)] {
            let mut bytes = REQUEST;
            bytes[index] = value;
            assert!(!Arp::parse(&bytes).is_some());
        }
    }
}

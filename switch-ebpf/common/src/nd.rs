//! IPv6 neighbour discovery (RFC 4861), as far as the switch answers and watches it.
//!
//! Only messages in the form that every stack sends count: a plain IPv6 header, hop limit 255, one link-layer address
//! option. Whatever else there is goes its normal way.

use crate::mac::MacAddr;

/// Bytes of an IPv6 header.
pub const IPV6_BYTES: usize = 40;
/// Bytes of a solicitation or advertisement with one link-layer address option (RFC 4861 sections 4.3, 4.4, 4.6.1).
pub const MESSAGE_BYTES: usize = 32;
/// Bytes of the two together.
pub const PACKET_BYTES: usize = IPV6_BYTES + MESSAGE_BYTES;

/// Next header value of ICMPv6.
pub const ICMPV6: u8 = 58;

/// ICMPv6 types (RFC 4861 section 4).
pub mod kind {
    /// Router advertisement.
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Neighbour solicitation.
    pub const SOLICITATION: u8 = 135;
    /// Neighbour advertisement.
    pub const ADVERTISEMENT: u8 = 136;
    /// Redirect.
    pub const REDIRECT: u8 = 137;
}

/// A neighbour solicitation or advertisement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// [`kind::SOLICITATION`] or [`kind::ADVERTISEMENT`]; 0 is no message.
    pub kind: u8,
    /// The packet's source; unspecified for duplicate address detection.
    pub source: [u8; 16],
    /// The address that is asked for or advertised.
    pub target: [u8; 16],
    /// Of the option: the sender's address in a solicitation, the target's in an advertisement.
    pub mac: MacAddr,
}

impl Message {
    /// No message; see [`Arp::NONE`](crate::frame::Arp::NONE) for why not an `Option`.
    pub const NONE: Self = Self { kind: 0, source: [0; 16], target: [0; 16], mac: MacAddr::ZERO };

    /// Makes it none, in the cheapest way: what else is in it then means nothing.
    #[inline(always)]
    pub const fn clear(&mut self) {
        self.kind = Self::NONE.kind;
    }

    /// Whether this is a message.
    #[inline(always)]
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.kind != 0
    }

    /// Reads a packet from its IPv6 header on; [`Message::NONE`] unless it is a solicitation or advertisement.
    #[inline(always)]
    #[must_use]
    pub fn parse(b: &[u8; PACKET_BYTES]) -> Self {
        let option = match b[40] {
            kind::SOLICITATION => 1,
            kind::ADVERTISEMENT => 2,
            _ => return Self::NONE,
        };
        let is_plain =
            b[0] >> 4 == 6 && b[4] == 0 && b[5] as usize == MESSAGE_BYTES && b[6] == ICMPV6 && b[7] == 255;
        if !is_plain || b[41] != 0 || b[64] != option || b[65] != 1 {
            return Self::NONE;
        }
        let mut message = Self {
            kind: b[40],
            source: [0; 16],
            target: [0; 16],
            mac: MacAddr::from_octets([b[66], b[67], b[68], b[69], b[70], b[71]]),
        };
        message.source.copy_from_slice(&b[8..24]);
        message.target.copy_from_slice(&b[48..64]);
        message
    }

    /// Whether this asks for somebody else's address and says its own: not duplicate address detection (RFC 4862 section
    /// 5.4), which keeps its meaning only when it is flooded.
    #[inline(always)]
    #[must_use]
    pub fn is_question(&self) -> bool {
        self.kind == kind::SOLICITATION && !is_unspecified(&self.source) && self.source != self.target
    }

    /// The address that the message says `mac` has; unspecified if none.
    #[inline(always)]
    #[must_use]
    pub const fn claimed(&self) -> [u8; 16] {
        if self.kind == kind::ADVERTISEMENT { self.target } else { self.source }
    }

    /// Writes the solicited advertisement (RFC 4861 section 7.2.4) that `owner`, who has the target address, would send:
    /// IPv6 header and message. Like a proxy's it does not override (section 7.2.8): the owner itself may know better.
    #[inline(always)]
    pub fn write_answer(&self, owner: MacAddr, b: &mut [u8; PACKET_BYTES]) {
        b[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, MESSAGE_BYTES as u8, ICMPV6, 255]);
        b[8..24].copy_from_slice(&self.target);
        b[24..40].copy_from_slice(&self.source);
        b[40..48].copy_from_slice(&[kind::ADVERTISEMENT, 0, 0, 0, 0x40, 0, 0, 0]);
        b[48..64].copy_from_slice(&self.target);
        b[64] = 2;
        b[65] = 1;
        b[66..72].copy_from_slice(&owner.octets());
        let [high, low] = checksum(b).to_be_bytes();
        b[42] = high;
        b[43] = low;
    }
}

/// Whether this is `::`.
#[inline(always)]
#[must_use]
pub fn is_unspecified(ip: &[u8; 16]) -> bool {
    *ip == [0; 16]
}

/// Whether this is in fe80::/10 (RFC 4291 section 2.5.6).
#[inline(always)]
#[must_use]
pub const fn is_link_local(ip: &[u8; 16]) -> bool {
    ip[0] == 0xfe && ip[1] & 0xc0 == 0x80
}

/// The ICMPv6 checksum (RFC 4443 section 2.3) of a packet whose checksum field is zero: pseudo header and message.
#[inline(always)]
fn checksum(b: &[u8; PACKET_BYTES]) -> u16 {
    // Length and next header of the pseudo header; its addresses and the message follow each other from byte 8 on.
    let mut sum = MESSAGE_BYTES as u32 + ICMPV6 as u32;
    let mut at = 8;
    while at < PACKET_BYTES {
        sum += (b[at] as u32) << 8 | b[at + 1] as u32;
        at += 2;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solicitation() -> [u8; PACKET_BYTES] {
        let mut b = [0u8; PACKET_BYTES];
        b[0] = 0x60;
        b[5] = 32;
        b[6] = ICMPV6;
        b[7] = 255;
        b[8] = 0xfd;
        b[23] = 1;
        b[24] = 0xff;
        b[40] = kind::SOLICITATION;
        b[48] = 0xfd;
        b[63] = 2;
        b[64] = 1;
        b[65] = 1;
        b[71] = 9;
        b
    }

    #[test]
    fn a_solicitation_is_read() {
        let message = Message::parse(&solicitation());
        assert!(message.is_some() && message.is_question());
        assert_eq!((message.source[15], message.target[15], message.mac.bits()), (1, 2, 9));
        assert_eq!(message.claimed(), message.source);
    }

    #[test]
    fn duplicate_address_detection_is_no_question() {
        let mut b = solicitation();
        b[8..24].fill(0);
        let message = Message::parse(&b);
        assert!(message.is_some() && !message.is_question());
    }

    #[test]
    fn other_forms_are_left_alone() {
        for (at, value) in [(0, 0x40), (5, 24), (6, 17), (7, 64), (40, 133), (41, 1), (64, 2), (65, 2)] {
            let mut b = solicitation();
            b[at] = value;
            assert!(!Message::parse(&b).is_some(), "byte {at}");
        }
    }

    #[test]
    fn an_answer_reads_back_and_its_checksum_adds_up() {
        let owner = MacAddr::from_bits(0x0200_0000_0007);
        let mut answer = [0xff; PACKET_BYTES];
        Message::parse(&solicitation()).write_answer(owner, &mut answer);
        let read = Message::parse(&answer);
        assert_eq!((read.kind, read.mac.bits()), (kind::ADVERTISEMENT, owner.bits()));
        assert_eq!((read.source[15], read.target[15], answer[39]), (2, 2, 1));
        // A receiver's sum over everything, checksum included, is all ones: its complement is zero.
        assert_eq!(checksum(&answer), 0);
    }

    #[test]
    fn link_local_is_a_tenth_of_the_bits() {
        let mut ip = [0u8; 16];
        (ip[0], ip[1]) = (0xfe, 0xbf);
        assert!(is_link_local(&ip));
        ip[1] = 0xc0;
        assert!(!is_link_local(&ip));
    }
}

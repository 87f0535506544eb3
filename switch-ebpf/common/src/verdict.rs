//! What becomes of a frame, and if nothing, why.

use crate::domain::DomainId;
use crate::mac::MacAddr;
use crate::port::PortId;
use crate::vlan::Form;

/// The pipeline's answer for one frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Out of one port, in a form.
    Forward(PortId, Form),
    /// A copy to each member of the domain but the ingress.
    Flood(DomainId),
    /// A copy to each member of a multicast group but the ingress: number of its flood list, and places of it in use.
    Group(u16, u16),
    /// Back to the asker as the ARP reply or neighbour advertisement of the station with this address.
    Answer(MacAddr),
    /// To the controller.
    Punt(Punt),
    /// To the host's own stack.
    Local,
    /// Nowhere.
    Drop(DropReason),
}

/// A [`Verdict`] as one word, all of whose bits are always set: an enum's unused bytes are uninitialised memory to the
/// verifier. The kind is in the lowest byte, what it carries above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Packed(u64);

impl Packed {
    /// No verdict yet.
    pub const UNDECIDED: Self = Self(0);

    /// As it was written down by a program, see [`TraceRecord`](crate::trace::TraceRecord).
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Whether there is a verdict.
    #[inline(always)]
    #[must_use]
    pub const fn is_decided(self) -> bool {
        self.0 != 0
    }

    /// The verdict; a word that no verdict packs into is a malformed frame's.
    #[inline(always)]
    #[must_use]
    pub const fn unpack(self) -> Verdict {
        let low = (self.0 >> 8) as u16;
        match self.0 as u8 {
            1 => Verdict::Forward(PortId(low), Form((self.0 >> 24) as u16)),
            2 => Verdict::Flood(DomainId(low)),
            3 => Verdict::Answer(MacAddr::from_bits(self.0 >> 8)),
            4 => Verdict::Punt(Punt::UnknownTarget),
            5 => Verdict::Local,
            7 => Verdict::Group(low, (self.0 >> 24) as u16),
            _ => Verdict::Drop(DropReason::from_number(low)),
        }
    }
}

impl Verdict {
    /// The verdict as one word.
    #[inline(always)]
    #[must_use]
    pub const fn pack(self) -> Packed {
        Packed(match self {
            Self::Forward(port, form) => 1 | (port.0 as u64) << 8 | (form.0 as u64) << 24,
            Self::Flood(domain) => 2 | (domain.0 as u64) << 8,
            Self::Answer(mac) => 3 | mac.bits() << 8,
            Self::Punt(Punt::UnknownTarget) => 4,
            Self::Local => 5,
            Self::Group(list, places) => 7 | (list as u64) << 8 | (places as u64) << 24,
            Self::Drop(reason) => 6 | (reason as u64) << 8,
        })
    }
}

/// Why a frame goes to the controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Punt {
    /// An ARP request whose target nobody is known to have.
    UnknownTarget = 1,
}

/// Why a frame went nowhere. The number is an index of [`PortCounters::drops`](crate::stats::PortCounters::drops).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DropReason {
    /// Shorter than its headers.
    Malformed = 0,
    /// Group or zero source address (802.1Q 6.5.4; as the Linux bridge does).
    InvalidSource = 1,
    /// To 01-80-C2-00-00-00..0F, which bridges do not relay (802.1Q 8.6.3).
    LinkConstrained = 2,
    /// The station is behind the port the frame came from.
    SamePort = 3,
    /// Larger than the egress port's MTU.
    TooBig = 4,
    /// Came in by a link that is no port.
    NoPort = 5,
    /// The port does not forward.
    PortDown = 6,
    /// A flood in a domain without other members.
    NobodyToFlood = 7,
    /// The kernel refused the copy or redirect at the egress link.
    EgressFailed = 8,
    /// For the controller, which was too far behind to take it.
    PuntLost = 9,
    /// For the controller, beyond the port's share of its time.
    PuntLimited = 10,
    /// Both ports are isolated.
    Isolated = 11,
    /// VLAN ID 4095, or no VLAN for untagged frames.
    InvalidVlan = 12,
    /// The port is no member of the VLAN.
    VlanNotAllowed = 13,
    /// From a MAC address that the port was not given.
    SpoofedMac = 14,
    /// From an IP address that the port was not given.
    SpoofedIp = 15,
    /// A DHCP server's message or a router advertisement from a port that is not trusted.
    RogueServer = 16,
    /// Broadcasts beyond the port's limit.
    StormBroadcast = 17,
    /// Multicasts beyond the port's limit.
    StormMulticast = 18,
    /// Unknown unicast beyond the port's limit.
    StormUnknown = 19,
    /// The port is quarantined: stations flapped between it and others.
    Quarantined = 20,
    /// From a station that is pinned to another port because it flapped.
    Flapping = 21,
    /// Of a multicast group that no other port is a member of, or a report without a router to hear it.
    NobodyJoined = 22,
}

impl DropReason {
    /// All of them, in numeric order.
    pub const ALL: [Self; 23] = [
        Self::Malformed,
        Self::InvalidSource,
        Self::LinkConstrained,
        Self::SamePort,
        Self::TooBig,
        Self::NoPort,
        Self::PortDown,
        Self::NobodyToFlood,
        Self::EgressFailed,
        Self::PuntLost,
        Self::PuntLimited,
        Self::Isolated,
        Self::InvalidVlan,
        Self::VlanNotAllowed,
        Self::SpoofedMac,
        Self::SpoofedIp,
        Self::RogueServer,
        Self::StormBroadcast,
        Self::StormMulticast,
        Self::StormUnknown,
        Self::Quarantined,
        Self::Flapping,
        Self::NobodyJoined,
    ];

    /// From its number; malformed for a number that is none.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        if (number as usize) < Self::ALL.len() { Self::ALL[number as usize] } else { Self::Malformed }
    }

    /// The name people and JSON see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::InvalidSource => "invalid-source",
            Self::LinkConstrained => "link-constrained",
            Self::SamePort => "same-port",
            Self::TooBig => "too-big",
            Self::NoPort => "no-port",
            Self::PortDown => "port-down",
            Self::NobodyToFlood => "nobody-to-flood",
            Self::EgressFailed => "egress-failed",
            Self::PuntLost => "punt-lost",
            Self::PuntLimited => "arp-rate-limited",
            Self::Isolated => "isolated",
            Self::InvalidVlan => "invalid-vlan",
            Self::VlanNotAllowed => "vlan-not-allowed",
            Self::SpoofedMac => "spoofed-mac",
            Self::SpoofedIp => "spoofed-ip",
            Self::RogueServer => "rogue-server",
            Self::StormBroadcast => "storm-broadcast",
            Self::StormMulticast => "storm-multicast",
            Self::StormUnknown => "storm-unknown",
            Self::Quarantined => "quarantined",
            Self::Flapping => "flapping",
            Self::NobodyJoined => "nobody-joined",
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    #[test]
    fn a_verdict_reads_back_as_it_was_packed() {
        let mut verdicts = vec![
            Verdict::Forward(PortId(0xffff), Form(0x2000)),
            Verdict::Flood(DomainId(0xfffe)),
            Verdict::Group(0xffff, 0x1234),
            Verdict::Answer(MacAddr::BROADCAST),
            Verdict::Punt(Punt::UnknownTarget),
            Verdict::Local,
        ];
        verdicts.extend(DropReason::ALL.map(Verdict::Drop));
        for verdict in verdicts {
            assert!(verdict.pack().is_decided() && verdict.pack().unpack() == verdict);
        }
    }

    #[test]
    fn drop_reasons_are_numbered_in_order_and_fit_the_counters() {
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        assert!(DropReason::ALL.len() <= crate::stats::DROP_COUNTERS);
    }
}

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
    /// Back to the asker as the ARP reply or neighbour advertisement of the station with this address.
    Answer(MacAddr),
    /// To the controller.
    Punt(Punt),
    /// To the host's own stack.
    Local,
    /// Nowhere.
    Drop(DropReason),
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
}

impl DropReason {
    /// All of them, in numeric order.
    pub const ALL: [Self; 20] = [
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
    ];

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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_reasons_are_numbered_in_order_and_fit_the_counters() {
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        assert!(DropReason::ALL.len() <= crate::stats::DROP_COUNTERS);
    }
}

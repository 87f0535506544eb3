//! May a frame that came in by one port leave by another? One answer for unicast and flood, on both hooks.

use crate::port::{PortConfig, PortId, flag};
use crate::verdict::DropReason;

/// Bytes in front of the payload that an MTU does not count: the Ethernet header.
const HEADER_BYTES: u32 = 14;
/// An 802.1Q tag, which Linux lets pass on top of the MTU.
const TAG_BYTES: u32 = 4;

/// Whether the frame may leave, or why not.
///
/// # Errors
/// The drop reason: the same port without hairpin, another network, both isolated, not forwarding.
#[inline(always)]
pub const fn may_leave(
    ingress: (PortId, &PortConfig),
    egress: (PortId, &PortConfig),
) -> Result<(), DropReason> {
    if egress.1.network != ingress.1.network || !egress.1.has(flag::FORWARDING) {
        return Err(DropReason::PortDown);
    }
    if egress.0.0 == ingress.0.0 && !egress.1.has(flag::HAIRPIN) {
        return Err(DropReason::SamePort);
    }
    if ingress.1.has(flag::ISOLATED) && egress.1.has(flag::ISOLATED) {
        return Err(DropReason::Isolated);
    }
    Ok(())
}

/// Whether a frame of `bytes` (Ethernet header included, one tag allowed on top) fits through the port.
#[inline(always)]
#[must_use]
pub const fn fits(egress: &PortConfig, bytes: u32) -> bool {
    bytes <= egress.mtu + HEADER_BYTES + TAG_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PortConfig =
        PortConfig { network: 1, flags: flag::FORWARDING, mtu: 1500, ..PortConfig::FREE };
    const A: PortId = PortId(1);
    const B: PortId = PortId(2);

    #[test]
    fn a_frame_never_returns_unless_hairpin_is_on() {
        assert_eq!(may_leave((A, &PORT), (A, &PORT)), Err(DropReason::SamePort));
        let hairpin = PortConfig { flags: PORT.flags | flag::HAIRPIN, ..PORT };
        assert_eq!(may_leave((A, &hairpin), (A, &hairpin)), Ok(()));
    }

    #[test]
    fn a_frame_never_leaves_its_network() {
        let other = PortConfig { network: 2, ..PORT };
        assert!(may_leave((A, &PORT), (B, &other)).is_err());
        assert_eq!(may_leave((A, &PORT), (B, &PORT)), Ok(()));
    }

    #[test]
    fn isolated_ports_reach_only_ports_that_are_not() {
        let isolated = PortConfig { flags: PORT.flags | flag::ISOLATED, ..PORT };
        assert_eq!(may_leave((A, &isolated), (B, &isolated)), Err(DropReason::Isolated));
        assert_eq!(may_leave((A, &isolated), (B, &PORT)), Ok(()));
        assert_eq!(may_leave((A, &PORT), (B, &isolated)), Ok(()));
    }

    #[test]
    fn the_mtu_counts_neither_header_nor_tag() {
        assert!(fits(&PORT, 1518));
        assert!(!fits(&PORT, 1519));
    }
}

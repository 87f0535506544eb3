//! Out of a port at the tc hook.

use vswitch_common::mac::MacAddr;
use vswitch_common::policy;
use vswitch_common::port::{PortConfig, PortId};
use vswitch_common::verdict::DropReason;

use crate::maps;
use crate::packet::{Frame as _, TcFrame};

/// Most bytes of headers between the Ethernet header and a segment's payload: IPv6 with extensions, or IPv4 and TCP
/// with all options.
const MOST_HEADERS: u32 = 120;

/// Fewest of them: IPv4 and UDP.
const LEAST_HEADERS: u32 = 28;

/// The port that a frame is to leave by, if it can take the frame.
#[inline(always)]
pub(crate) fn to(frame: &TcFrame, port: PortId) -> Result<&'static PortConfig, DropReason> {
    let Some(config) = maps::port(port) else { return Err(DropReason::PortDown) };
    if fits(frame, config) { Ok(config) } else { Err(DropReason::TooBig) }
}

/// Whether the frame, or each segment of it, is within the port's MTU.
#[inline(always)]
pub(crate) fn fits(frame: &TcFrame, egress: &PortConfig) -> bool {
    match frame.segment_size() {
        0 => policy::fits(egress, frame.length()),
        // The helper knows the link's MTU, not the network's: segments that would fit only the former are too big as well.
        segment => {
            segment + MOST_HEADERS <= egress.mtu
                || (segment + LEAST_HEADERS <= egress.mtu && segments_fit(frame, egress, segment))
        }
    }
}

/// The kernel counts the jumbo option of a segment of more than 64 KiB in, which none of the frames made of it will have.
#[inline(always)]
fn segments_fit(frame: &TcFrame, egress: &PortConfig, segment: u32) -> bool {
    match frame.jumbogram_headers() {
        Some(headers) => segment + headers <= egress.mtu,
        None => frame.segments_fit(egress.ifindex),
    }
}

/// Sends the frame out of the port, or straight into the peer behind it where the frame is addressed to just that.
/// The program's return value.
#[inline(always)]
pub(crate) fn send(frame: &TcFrame, egress: &PortConfig, destination: MacAddr) -> i32 {
    if egress.has_peer(destination) {
        frame.redirect_peer(egress.ifindex)
    } else {
        frame.redirect(egress.ifindex)
    }
}

/// Sends a copy of the frame out of the port; false if the kernel refuses.
#[inline(always)]
pub(crate) fn send_copy(frame: &TcFrame, egress: &PortConfig) -> bool {
    frame.0.skb.clone_redirect(egress.ifindex, 0).is_ok()
}

//! Out of a port at the tc hook.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{bpf_check_mtu, bpf_redirect, bpf_redirect_peer, bpf_skb_change_type};
use vswitch_common::mac::MacAddr;
use vswitch_common::policy;
use vswitch_common::port::PortConfig;

use crate::packet::{Frame, TcFrame};

/// `PACKET_HOST` of `linux/if_packet.h`: the frame is for the receiving host.
const PACKET_HOST: u32 = 0;
/// `BPF_MTU_CHK_SEGS`: check each segment of a GSO frame.
const CHECK_SEGMENTS: u64 = 1;
/// Most bytes of headers between the Ethernet header and a segment's payload: IPv6 with extensions, or IPv4 and TCP
/// with all options.
const MOST_HEADERS: u32 = 120;

/// Whether the frame, or each segment of it, is within the port's MTU.
#[inline(always)]
pub(crate) fn fits(frame: &TcFrame, egress: &PortConfig) -> bool {
    let segment = frame.segment_size();
    if segment == 0 {
        return policy::fits(egress, frame.length());
    }
    if segment + MOST_HEADERS <= egress.mtu {
        return true;
    }
    let mut mtu_len = 0u32;
    // SAFETY: the kernel's context and a word of ours; the helper reads the frame's headers and the link's MTU.
    unsafe { bpf_check_mtu(frame.0.as_ptr(), egress.ifindex, &raw mut mtu_len, 0, CHECK_SEGMENTS) == 0 }
}

/// Sends the frame out of the port, or straight into the peer behind it where the frame is addressed to just that.
/// The program's return value.
#[inline(always)]
pub(crate) fn send(frame: &TcFrame, egress: &PortConfig, destination: MacAddr) -> i32 {
    // SAFETY: helpers that take numbers, and the kernel's own context.
    unsafe {
        if egress.has_peer(destination) {
            // eth_type_trans() compared the destination with the ingress link's own address; the peer's is the one that
            // counts, or its stack would drop the frame as somebody else's.
            bpf_skb_change_type(frame.0.skb.skb, PACKET_HOST);
            return bpf_redirect_peer(egress.ifindex, 0) as i32;
        }
        bpf_redirect(egress.ifindex, 0) as i32
    }
}

/// Sends a copy of the frame out of the port; false if the kernel refuses.
#[inline(always)]
pub(crate) fn send_copy(frame: &TcFrame, egress: &PortConfig) -> bool {
    frame.0.skb.clone_redirect(egress.ifindex, 0).is_ok()
}

//! Frames at the two hooks: bytes, length, origin. One of the files that may be unsafe.
//!
//! [`Frame`] is all that the stages know of a frame; it has exactly two implementations, for the two hooks.

use core::ffi::c_void;
use core::ptr;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{
    bpf_check_mtu, bpf_loop, bpf_redirect, bpf_redirect_peer, bpf_skb_change_tail, bpf_skb_change_type,
    bpf_skb_load_bytes, bpf_skb_store_bytes, bpf_skb_vlan_pop, bpf_skb_vlan_push, bpf_xdp_get_buff_len,
    bpf_xdp_load_bytes,
};
use aya_ebpf::programs::{TcContext, XdpContext};
use vswitch_common::frame::ethertype;
use vswitch_common::nd;
use vswitch_common::trace::control;
use vswitch_common::vlan::{Form, Tag};

use crate::maps;
use crate::parse::Headers;

/// `PACKET_HOST` of `linux/if_packet.h`: the frame is for the receiving host.
const PACKET_HOST: u32 = 0;
/// `BPF_MTU_CHK_SEGS`: check each segment of a GSO frame.
const CHECK_SEGMENTS: u64 = 1;
/// Protocol number of TCP.
const TCP: u8 = 6;
/// Protocol number of the hop-by-hop options.
const HOP_BY_HOP: u8 = 0;
/// Where an IPv6 packet says what follows its header.
const NEXT_HEADER: usize = 20;
/// And where TCP says its header's length, behind a hop-by-hop header of 8 bytes.
const DATA_OFFSET: usize = 14 + 40 + 8 + 12;
/// Longest frame whose IPv6 header can say its length.
const MOST_PLAIN: u32 = 14 + 40 + 65_535;
/// `BPF_F_RECOMPUTE_CSUM`: keep a checksum that the NIC computed over the whole frame true.
const RECOMPUTE_CHECKSUM: u64 = 1;

/// A frame on its way through the pipeline.
pub(crate) trait Frame {
    /// Index of the link it came in by.
    fn ifindex(&self) -> u32;
    /// Its length in bytes, Ethernet header included; for a GSO frame that of the whole.
    fn length(&self) -> u32;
    /// Frames it stands for: 1, or the segments of a GSO frame.
    fn segments(&self) -> u32;
    /// Its outer tag, wherever that is.
    fn tag(&self) -> Tag;
    /// Bytes in front of the EtherType of what the frame carries: 12, or more where the outer tag is in the frame.
    fn ethertype_offset(&self) -> usize;
    /// Whether the program at the other hook decides about the frame, which this one cannot deliver anyway.
    fn is_left_to_tc(&self, headers: &Headers) -> bool;
    /// Whether the frame seems to be no kernel socket's: born as XDP, it gains by the XDP hook. What a stack sends by a
    /// veth comes past NAPI as long as its link segments for itself (`drivers/net/veth.c`, `veth_skb_is_eligible_for_gro`);
    /// behind native XDP all comes through it, and there TCP is taken for a stack's.
    fn is_born_as_xdp(&self, ethertype: u16) -> bool;
    /// Whether it is TCP, extension headers left aside.
    #[inline(always)]
    fn is_tcp(&self, ethertype: u16) -> bool {
        let at = self.ethertype_offset() + 2;
        match ethertype {
            ethertype::IPV4 => self.read::<1>(at + 9) == Some([TCP]),
            ethertype::IPV6 => self.read::<1>(at + 6) == Some([TCP]),
            _ => false,
        }
    }
    /// `N` bytes from a constant `offset`; none if the frame is shorter.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
    /// `N` bytes from an `offset` that the frame itself gave; none if the frame is shorter.
    #[inline(always)]
    fn copy<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = [0u8; N];
        if self.copy_to(offset, &mut bytes) { Some(bytes) } else { None }
    }
    /// Copies bytes from such an offset; false if the frame is shorter.
    fn copy_to<const N: usize>(&self, offset: usize, bytes: &mut [u8; N]) -> bool;
}

/// A frame at the XDP hook.
pub(crate) struct XdpFrame(pub(crate) XdpContext);

impl XdpFrame {
    #[inline(always)]
    pub(crate) fn new(context: XdpContext) -> Self {
        Self(context)
    }
}

impl Frame for XdpFrame {
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.0.ingress_ifindex() as u32
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        // SAFETY: the context is the one the kernel gave this program; the helper only reads it.
        unsafe { bpf_xdp_get_buff_len(self.0.ctx) as u32 }
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        1
    }

    #[inline(always)]
    fn tag(&self) -> Tag {
        match self.read::<4>(12) {
            Some([a, b, c, d]) if Tag::is_tpid(u16::from_be_bytes([a, b])) => {
                Tag { tpid: u16::from_be_bytes([a, b]), tci: u16::from_be_bytes([c, d]) }
            }
            _ => Tag::NONE,
        }
    }

    #[inline(always)]
    fn ethertype_offset(&self) -> usize {
        if self.tag().is_some() { 16 } else { 12 }
    }

    #[inline(always)]
    fn is_left_to_tc(&self, headers: &Headers) -> bool {
        if headers.ethernet.destination.is_group() || headers.ethernet.ethertype == ethertype::ARP {
            return true;
        }
        headers.ethernet.ethertype == ethertype::IPV6
            && self.read::<1>(headers.network_offset + 6) == Some([nd::ICMPV6])
            && matches!(
                self.read::<1>(headers.network_offset + nd::IPV6_BYTES),
                Some([nd::kind::SOLICITATION | nd::kind::ADVERTISEMENT])
            )
    }

    #[inline(always)]
    fn is_born_as_xdp(&self, ethertype: u16) -> bool {
        !self.is_tcp(ethertype)
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.0.data() + offset;
        if start + N > self.0.data_end() {
            return None;
        }
        // SAFETY: `start..start + N` was just compared with the frame's end, which is what the verifier asks for too.
        Some(unsafe { *(start as *const [u8; N]) })
    }

    #[inline(always)]
    fn copy_to<const N: usize>(&self, offset: usize, bytes: &mut [u8; N]) -> bool {
        // SAFETY: the buffer is N bytes long; the helper checks the offset against the whole frame.
        unsafe { bpf_xdp_load_bytes(self.0.ctx, offset as u32, bytes.as_mut_ptr().cast(), N as u32) == 0 }
    }
}

/// A frame at the tc hook.
pub(crate) struct TcFrame(pub(crate) TcContext);

impl TcFrame {
    #[inline(always)]
    pub(crate) fn new(context: TcContext) -> Self {
        Self(context)
    }

    /// Payload bytes of each segment; 0 unless this is a GSO frame.
    #[inline(always)]
    pub(crate) fn segment_size(&self) -> u32 {
        // SAFETY: the kernel's own context, alive for the whole program.
        unsafe { (*self.0.skb.skb).gso_size }
    }

    /// Overwrites bytes at `offset`; false if the frame is shorter or cannot be written.
    #[inline(always)]
    pub(crate) fn write<const N: usize>(&self, offset: usize, bytes: &[u8; N]) -> bool {
        // SAFETY: the buffer is N bytes long; the helper checks the offset and makes the frame private first.
        let result = unsafe {
            bpf_skb_store_bytes(
                self.0.skb.skb,
                offset as u32,
                bytes.as_ptr().cast(),
                N as u32,
                RECOMPUTE_CHECKSUM,
            )
        };
        result == 0
    }

    /// Whether each segment of this GSO frame is within the link's MTU.
    #[inline(always)]
    pub(crate) fn segments_fit(&self, ifindex: u32) -> bool {
        let mut mtu_len = 0u32;
        // SAFETY: the kernel's context and a word of ours; the helper reads the frame's headers and the link's MTU.
        unsafe { bpf_check_mtu(self.0.as_ptr(), ifindex, &raw mut mtu_len, 0, CHECK_SEGMENTS) == 0 }
    }

    /// Bytes of IPv6 and TCP headers of each segment, where this is a segment of more than 64 KiB of IPv6, which has a
    /// hop-by-hop header of 8 bytes in front of TCP (RFC 2675; kernel `net/ipv6/ip6_output.c`, `ip6_xmit`).
    #[inline(always)]
    pub(crate) fn jumbogram_headers(&self) -> Option<u32> {
        // SAFETY: the kernel's own context, alive for the whole program.
        let is_ipv6 = unsafe { (*self.0.skb.skb).protocol } == u32::from(ethertype::IPV6.to_be());
        let start = self.0.data();
        if !is_ipv6 || self.length() <= MOST_PLAIN || start + DATA_OFFSET >= self.0.data_end() {
            return None;
        }
        // SAFETY: both bytes are in the linear part, whose end was just compared with the farther one; a stack's headers are there.
        let (next, words) =
            unsafe { (*((start + NEXT_HEADER) as *const u8), *((start + DATA_OFFSET) as *const u8)) };
        if next == HOP_BY_HOP { Some(40 + u32::from(words >> 4) * 4) } else { None }
    }

    /// Sends the frame out of a link. The program's return value.
    #[inline(always)]
    pub(crate) fn redirect(&self, ifindex: u32) -> i32 {
        // SAFETY: takes numbers only.
        unsafe { bpf_redirect(ifindex, 0) as i32 }
    }

    /// Puts the frame, which is addressed to the peer, into the peer of a link. The program's return value.
    #[inline(always)]
    pub(crate) fn redirect_peer(&self, ifindex: u32) -> i32 {
        // SAFETY: the kernel's own context, and numbers.
        unsafe {
            // eth_type_trans() compared the destination with the ingress link's own address; the peer's is the one that
            // counts, or its stack would drop the frame as somebody else's.
            bpf_skb_change_type(self.0.skb.skb, PACKET_HOST);
            bpf_redirect_peer(ifindex, 0) as i32
        }
    }

    /// Brings the frame, which has `tag`, into another form. False if the kernel refuses.
    #[inline(always)]
    pub(crate) fn retag(&self, tag: Tag, is: Form, to: Form) -> bool {
        let skb = self.0.skb.skb;
        // SAFETY: the kernel's own context, and numbers.
        unsafe {
            if is.0 != Form::UNTAGGED.0 && bpf_skb_vlan_pop(skb) != 0 {
                return false;
            }
            // The priority stays the frame's, whichever VLAN ID it gets.
            let tci = (tag.tci & 0xf000) | to.vid();
            to.0 == Form::UNTAGGED.0 || bpf_skb_vlan_push(skb, ethertype::VLAN.to_be(), tci) == 0
        }
    }

    /// Makes of a test run's frame what the stack would have made of it: its tag in metadata, and all of its length.
    #[inline(always)]
    pub(crate) fn shape(&self) {
        let (skb, length, tag) = (self.0.skb.skb, self.control(control::LENGTH), self.control(control::TAG));
        // SAFETY: the kernel's own context, and numbers. Where the kernel refuses, the trace is of a shorter frame.
        unsafe {
            if length != self.length() {
                bpf_skb_change_tail(skb, length, 0);
            }
            if tag != 0 {
                bpf_skb_vlan_push(skb, ((tag >> 16) as u16).to_be(), tag as u16);
            }
        }
    }

    /// The first `length` bytes from `offset` on, of a buffer that has room for them; false if the frame is shorter.
    #[inline(always)]
    pub(crate) fn copy_part<const N: usize>(&self, offset: usize, length: u32, bytes: &mut [u8; N]) -> bool {
        // Compared as it is passed, or the verifier would know the bounds of another register; and as one less, for before
        // Linux 6.8 it learns nothing from a comparison with zero.
        let but_one = maps::opaque(u64::from(length).wrapping_sub(1));
        if but_one >= N as u64 {
            return false;
        }
        let length = but_one as u32 + 1;
        // SAFETY: the buffer is N bytes long, and so much or less is written; the helper checks against the frame's length.
        unsafe { bpf_skb_load_bytes(self.0.as_ptr(), offset as u32, bytes.as_mut_ptr().cast(), length) == 0 }
    }

    /// What the controller put into `cb`.
    #[inline(always)]
    pub(crate) fn control(&self, index: usize) -> u32 {
        // SAFETY: as above; the index is a constant below 5.
        unsafe { (*self.0.skb.skb).cb[index] }
    }
}

impl Frame for TcFrame {
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0.skb.skb).ifindex }
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.0.len()
    }

    #[inline(always)]
    fn segments(&self) -> u32 {
        // SAFETY: as above.
        let segments = unsafe { (*self.0.skb.skb).gso_segs };
        if segments == 0 { 1 } else { segments }
    }

    #[inline(always)]
    fn tag(&self) -> Tag {
        // The stack has moved an outer tag from the frame into the metadata before it calls us (net/core/dev.c,
        // __netif_receive_skb_core).
        // SAFETY: as above.
        let skb = unsafe { &*self.0.skb.skb };
        if skb.vlan_present == 0 {
            return Tag::NONE;
        }
        Tag { tpid: u16::from_be(skb.vlan_proto as u16), tci: skb.vlan_tci as u16 }
    }

    #[inline(always)]
    fn ethertype_offset(&self) -> usize {
        12
    }

    #[inline(always)]
    fn is_left_to_tc(&self, _headers: &Headers) -> bool {
        false
    }

    #[inline(always)]
    fn is_born_as_xdp(&self, ethertype: u16) -> bool {
        // SAFETY: as above.
        let napi = unsafe { (*self.0.skb.skb).napi_id };
        napi != 0 && !self.is_tcp(ethertype)
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.0.data() + offset;
        if start + N <= self.0.data_end() {
            // SAFETY: `start..start + N` was just compared with the linear part's end.
            return Some(unsafe { *(start as *const [u8; N]) });
        }
        self.copy(offset)
    }

    #[inline(always)]
    fn copy_to<const N: usize>(&self, offset: usize, bytes: &mut [u8; N]) -> bool {
        // SAFETY: the buffer is N bytes long; the helper checks the offset against the whole frame.
        unsafe {
            bpf_skb_load_bytes(self.0.as_ptr(), offset as u32, bytes.as_mut_ptr().cast(), N as u32) == 0
        }
    }
}

/// One round of a [`repeat`]: a type, so that the callback that the kernel runs is known at compile time.
pub(crate) trait Round {
    /// Runs the round with this index.
    fn run(&mut self, index: u32);
}

/// Runs `state.run(index)` for each index below `rounds`, by `bpf_loop`: verified once, whatever their number.
#[inline(always)]
pub(crate) fn repeat<S: Round>(rounds: u32, state: &mut S) {
    let callback = trampoline::<S> as extern "C" fn(u32, *mut c_void) -> i64;
    // SAFETY: the kernel calls the callback with the state's address while this call, and so the borrow, lasts.
    unsafe { bpf_loop(rounds, callback as *mut c_void, ptr::from_mut(state).cast(), 0) };
}

/// What `bpf_loop` calls; 0 goes on.
extern "C" fn trampoline<S: Round>(index: u32, state: *mut c_void) -> i64 {
    // SAFETY: `repeat` passes the address of an `S` that it holds exclusively.
    unsafe { &mut *state.cast::<S>() }.run(index);
    0
}

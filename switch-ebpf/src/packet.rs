//! Frames at the two hooks: bytes, length, origin. One of the files that may be unsafe.
//!
//! [`Frame`] is all that the stages know of a frame; it has exactly two implementations, for the two hooks.

use core::ffi::c_void;
use core::ptr;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{
    bpf_check_mtu, bpf_loop, bpf_redirect, bpf_redirect_peer, bpf_skb_change_type, bpf_skb_load_bytes,
    bpf_skb_store_bytes, bpf_xdp_get_buff_len,
};
use aya_ebpf::programs::{TcContext, XdpContext};

/// `PACKET_HOST` of `linux/if_packet.h`: the frame is for the receiving host.
const PACKET_HOST: u32 = 0;
/// `BPF_MTU_CHK_SEGS`: check each segment of a GSO frame.
const CHECK_SEGMENTS: u64 = 1;
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
    /// `N` bytes from `offset`; none if the frame is shorter.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
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
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.0.data() + offset;
        if start + N > self.0.data_end() {
            return None;
        }
        // SAFETY: `start..start + N` was just compared with the frame's end, which is what the verifier asks for too.
        Some(unsafe { *(start as *const [u8; N]) })
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

    /// What the controller put into `cb[0]`.
    #[inline(always)]
    pub(crate) fn control(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0.skb.skb).cb[0] }
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
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.0.data() + offset;
        if start + N <= self.0.data_end() {
            // SAFETY: `start..start + N` was just compared with the linear part's end.
            return Some(unsafe { *(start as *const [u8; N]) });
        }
        let mut bytes = [0u8; N];
        // SAFETY: the buffer is ours and N bytes long; the helper checks the offset against the whole frame.
        let result = unsafe {
            bpf_skb_load_bytes(self.0.as_ptr(), offset as u32, bytes.as_mut_ptr().cast(), N as u32)
        };
        if result == 0 { Some(bytes) } else { None }
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

//! What runs in the kernel. Two hooks, one pipeline: each entry point is `act(frame, decide(frame))`.
//!
//! Read `pipeline.rs` first. The decisions themselves are pure code in `vswitch-common`; the files here fetch frame bytes
//! and map values for them and carry the verdict out.
//!
//! The crate also compiles for the host, so that clippy and rust-analyzer see it; there it does nothing.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![allow(missing_docs, unreachable_pub, reason = "aya's macros make public items of their own")]

mod pipeline;

mod parse;
mod port;
mod vlan;
mod guard;
mod learn;
mod flap;
mod respond;
mod multicast;
mod lookup;

mod tc;
mod xdp;
mod trace;

mod egress;
mod flood;
mod count;
mod event;
mod log;

mod clock;
mod maps;
mod packet;

use aya_ebpf::bindings::TC_ACT_SHOT;
use aya_ebpf::bindings::xdp_action::XDP_ABORTED;
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

use crate::packet::{TcFrame, XdpFrame};

/// Ingress at the XDP hook. Takes frames in several buffers, so that a port's MTU is not bound to a page.
#[xdp(frags)]
pub fn vswitch_xdp(context: XdpContext) -> u32 {
    let frame = XdpFrame::new(context);
    let Some(decision) = maps::decision() else { return XDP_ABORTED };
    pipeline::decide(&frame, decision);
    let decision = maps::reread(decision);
    log::decision(&frame.0, "xdp", decision);
    xdp::act(&frame, decision)
}

/// Ingress at the tc hook: alone on a tc port, behind the XDP program on an XDP port.
#[classifier]
pub fn vswitch_tc(context: TcContext) -> i32 {
    let frame = TcFrame::new(context);
    let Some(decision) = maps::decision() else { return TC_ACT_SHOT };
    pipeline::decide(&frame, decision);
    let decision = maps::reread(decision);
    pipeline::narrow(&frame, decision);
    let decision = maps::reread(decision);
    log::decision(&frame.0, "tc", decision);
    tc::act(&frame, decision)
}

/// Floods a frame that the controller had been given, or one of its own. Run by `BPF_PROG_TEST_RUN` with the port it came
/// from, or nobody's, in `cb[0]`; attached nowhere.
#[classifier]
pub fn vswitch_flood(context: TcContext) -> i32 {
    tc::flood_for_controller(&TcFrame::new(context))
}

/// What the tc hook would do with a frame. Run by `BPF_PROG_TEST_RUN` with what `trace::control` lists in `cb`; attached
/// nowhere.
#[classifier]
pub fn vswitch_trace(context: TcContext) -> i32 {
    let frame = TcFrame::new(context);
    let Some(decision) = maps::traced_decision() else { return 0 };
    frame.shape();
    pipeline::decide(&frame, decision);
    let decision = maps::reread(decision);
    pipeline::narrow(&frame, decision);
    trace::at_tc(&frame, maps::reread(decision)) as i32
}

/// What the XDP hook would do with a frame. Run and attached likewise.
#[xdp(frags)]
pub fn vswitch_trace_xdp(context: XdpContext) -> u32 {
    let frame = XdpFrame::new(context);
    let Some(decision) = maps::traced_decision() else { return 0 };
    pipeline::decide(&frame, decision);
    trace::at_xdp(&frame, maps::reread(decision))
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics: the verifier would refuse the loop that this is.
    loop {}
}

/// The kernel offers `bpf_skb_change_type` and others to GPL-compatible programs only.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(target_arch = "bpf"))]
fn main() {}

//! Small BPF programs of the tests' own, a handful of instructions each: what a container may have and a test needs,
//! where no tool of the distribution offers it.

mod live;
mod sys;

pub use live::{Emitter, Sink, Vary};

use std::os::fd::OwnedFd;

use crate::lab::Host;
use crate::namespace::Namespace;

/// `BPF_PROG_TYPE_SCHED_CLS` of `linux/bpf.h`.
const CLASSIFIER: u32 = 3;
/// `BPF_PROG_TYPE_XDP`.
const XDP: u32 = 6;
/// `XDP_TX`: out of the link the frame came in by.
const XDP_TX: i32 = 3;
/// `XDP_PASS`: up to the stack.
const XDP_PASS: i32 = 2;
/// `TCX_NEXT`: go on.
const TCX_NEXT: i32 = -1;
/// Helper `bpf_skb_vlan_push`.
const VLAN_PUSH: i32 = 18;

/// Frames that come out of a host's first link as an XDP program of the host sends them: never socket buffers.
///
/// # Panics
/// When the kernel refuses.
#[track_caller]
pub fn emit_as_xdp(host: &Host, frame: &[u8], count: u32) {
    let sent = host.run(|| {
        let program = sys::load(XDP, &[set(0, XDP_TX), exit()])?;
        let index = nix::net::if_::if_nametoindex("eth0")?;
        sys::run_live(&program, index, frame, count)
    });
    sent.unwrap_or_else(|error| panic!("frames born as XDP at {}: {error}", host.name()));
}

/// From now on whatever a host sends by its first link gets a tag in the socket buffer's metadata, as a VLAN device puts it
/// there. Until the answer is dropped.
///
/// # Panics
/// When the kernel refuses.
#[must_use]
#[track_caller]
pub fn tag_in_metadata(host: &Host, tpid: u16, tci: u16) -> OwnedFd {
    let push =
        [set(2, i32::from(tpid.to_be())), set(3, i32::from(tci)), call(VLAN_PUSH), set(0, TCX_NEXT), exit()];
    let attached = host.run(|| {
        let program = sys::load(CLASSIFIER, &push)?;
        sys::attach_egress(&program, nix::net::if_::if_nametoindex("eth0")?)
    });
    attached.unwrap_or_else(|error| panic!("a program at {}'s egress: {error}", host.name()))
}

/// An XDP program on a link that lets everything pass: somebody else's, for the switch. Until the answer is dropped.
///
/// # Panics
/// When the kernel refuses.
#[must_use]
#[track_caller]
pub fn attach_pass(namespace: &Namespace, link: &str) -> OwnedFd {
    let attached = namespace.run(|| {
        let program = sys::load(XDP, &[set(0, XDP_PASS), exit()])?;
        sys::attach_xdp(&program, nix::net::if_::if_nametoindex(link)?)
    });
    attached.unwrap_or_else(|error| panic!("an XDP program on {link}: {error}"))
}

/// An instruction as the kernel has it: code, registers, offset, immediate value.
type Instruction = [u8; 8];

/// `register = value`.
fn set(register: u8, value: i32) -> Instruction {
    let [a, b, c, d] = value.to_le_bytes();
    [0xb7, register, 0, 0, a, b, c, d]
}

/// Calls a helper.
fn call(helper: i32) -> Instruction {
    let [a, b, c, d] = helper.to_le_bytes();
    [0x85, 0, 0, 0, a, b, c, d]
}

/// Ends the program with what register 0 holds.
fn exit() -> Instruction {
    [0x95, 0, 0, 0, 0, 0, 0, 0]
}

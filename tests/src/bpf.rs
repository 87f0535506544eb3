//! Small BPF programs of the tests' own, a handful of instructions each: what a container may have and a test needs,
//! where no tool of the distribution offers it.

mod live;
mod sys;

pub use live::{Emitter, Shortcut, Sink, Vary};

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

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
/// Helper `bpf_tail_call`.
const TAIL_CALL: i32 = 12;
/// Offset of `cb[0]` in `struct __sk_buff`.
const CONTROL: u8 = 48;
/// What the program below returns if there is nothing to go on with.
const LOST: i32 = 99;
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

/// A program that puts a tag into metadata, as the stack does before it calls tc, and goes on with another one: for test
/// runs, which cannot say such a thing themselves. TPID in wire order in `cb[0]`, TCI in `cb[1]`.
pub struct AsTheStack {
    program: OwnedFd,
    /// Where the other one is found; empties when it is closed.
    _next: OwnedFd,
}

impl AsTheStack {
    /// In front of a loaded tc program.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn in_front_of(program: BorrowedFd<'_>) -> io::Result<Self> {
        let next = sys::program_array(program)?;
        let [load, rest] = map(2, next.as_raw_fd());
        let instructions = [
            copy(6, 1),
            field(2, 1, CONTROL),
            field(3, 1, CONTROL + 4),
            call(VLAN_PUSH),
            copy(1, 6),
            load,
            rest,
            set(3, 0),
            call(TAIL_CALL),
            set(0, LOST),
            exit(),
        ];
        Ok(Self { program: sys::load(CLASSIFIER, &instructions)?, _next: next })
    }

    /// What the other one returns for a frame, with `struct __sk_buff` as the context.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn run(&self, frame: &[u8], context: &[u8]) -> io::Result<u32> {
        sys::run_once(&self.program, frame, context)
    }
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

/// `register = other`.
fn copy(register: u8, other: u8) -> Instruction {
    [0xbf, other << 4 | register, 0, 0, 0, 0, 0, 0]
}

/// `register = *(u32 *)(other + offset)`.
fn field(register: u8, other: u8, offset: u8) -> Instruction {
    [0x61, other << 4 | register, offset, 0, 0, 0, 0, 0]
}

/// `register = map`, two instructions long.
fn map(register: u8, descriptor: i32) -> [Instruction; 2] {
    let [a, b, c, d] = descriptor.to_le_bytes();
    [[0x18, 1 << 4 | register, 0, 0, a, b, c, d], [0; 8]]
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

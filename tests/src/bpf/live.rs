//! Frames born as XDP in bulk, and a place where they end: what a packet generator and a sink of the distribution would be,
//! if there were some that work.
//!
//! A sender's program returns `XDP_TX` for each live frame of `BPF_PROG_TEST_RUN`, so the frame leaves by the link it
//! "came in by", all on the CPU of the caller and without ever having been a socket buffer.

use std::io;
use std::os::fd::OwnedFd;

use crate::namespace::Namespace;

use super::sys;
use super::{Instruction, XDP, XDP_TX, call, exit, set};

/// `XDP_DROP`: the end of the frame.
const XDP_DROP: i32 = 1;
/// Helper `bpf_redirect`.
const REDIRECT: i32 = 23;

/// Which address of each frame is another one: the low four octets run through `0..=mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vary {
    /// None: all frames are the same.
    Nothing,
    /// The destination's.
    Destination {
        /// A power of two less one.
        mask: i32,
    },
    /// The source's.
    Source {
        /// A power of two less one.
        mask: i32,
    },
}

/// Sends frames by one link of a namespace.
pub struct Emitter {
    program: OwnedFd,
    link_index: u32,
    // The program's count of frames lives as long as the program; this is its only handle here.
    _count: Option<OwnedFd>,
}

impl Emitter {
    /// For a link of a namespace.
    ///
    /// # Errors
    /// What the kernel says, and that there is no such link.
    pub fn new(namespace: &Namespace, link: &str, vary: Vary) -> io::Result<Self> {
        let link_index = index_of(namespace, link)?;
        let (offset, mask) = match vary {
            Vary::Nothing => {
                let program = sys::load(XDP, &[set(0, XDP_TX), exit()])?;
                return Ok(Self { program, link_index, _count: None });
            }
            Vary::Destination { mask } => (2, mask),
            Vary::Source { mask } => (8, mask),
        };
        let count = sys::one_word_map()?;
        let [low, high] = address_of_value(1, &count);
        let code = [
            load(6, 1, 0, WORD),
            load(7, 1, 4, WORD),
            set(0, XDP_DROP),
            copy(8, 6),
            add(8, 14),
            skip_if_greater(8, 7, 10),
            low,
            high,
            load(2, 1, 0, DOUBLE),
            copy(3, 2),
            add(3, 1),
            store(1, 3, 0, DOUBLE),
            and(2, mask),
            big_endian_32(2),
            store(6, 2, offset, WORD),
            set(0, XDP_TX),
            exit(),
        ];
        // The jump, of a frame that is too short, leads to the last instruction.
        let program = sys::load(XDP, &code)?;
        Ok(Self { program, link_index, _count: Some(count) })
    }

    /// Sends so many copies from the calling thread, which must be in the namespace. Returns when all are gone.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn emit(&self, frame: &[u8], count: u32) -> io::Result<()> {
        sys::run_live(&self.program, self.link_index, frame, count)
    }
}

/// An XDP program at a link that counts what comes and drops it, until it is dropped itself.
pub struct Sink {
    count: OwnedFd,
    _link: OwnedFd,
}

impl Sink {
    /// At a link of a namespace.
    ///
    /// # Errors
    /// What the kernel says, and that there is no such link.
    pub fn open(namespace: &Namespace, link: &str) -> io::Result<Self> {
        let link_index = index_of(namespace, link)?;
        let count = sys::one_word_map()?;
        let [low, high] = address_of_value(1, &count);
        let program = sys::load(XDP, &[low, high, set(2, 1), atomic_add(1, 2, 0), set(0, XDP_DROP), exit()])?;
        let link = namespace.run(|| sys::attach_xdp(&program, link_index))?;
        Ok(Self { count, _link: link })
    }

    /// Frames so far.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn count(&self) -> io::Result<u64> {
        sys::read_word(&self.count)
    }
}

/// An XDP program at a link that puts whatever comes out by another one, until it is dropped itself: what is left of a switch that
/// looks nothing up.
pub struct Shortcut {
    _link: OwnedFd,
}

impl Shortcut {
    /// From one link of a namespace to another.
    ///
    /// # Errors
    /// What the kernel says, and that there is no such link.
    pub fn open(namespace: &Namespace, from: &str, to: &str) -> io::Result<Self> {
        let [from, to] = [index_of(namespace, from)?, index_of(namespace, to)?];
        let code = [set(1, to.cast_signed()), set(2, 0), call(REDIRECT), exit()];
        let program = sys::load(XDP, &code)?;
        let link = namespace.run(|| sys::attach_xdp(&program, from))?;
        Ok(Self { _link: link })
    }
}

fn index_of(namespace: &Namespace, link: &str) -> io::Result<u32> {
    namespace
        .link_index(link)
        .ok_or_else(|| io::Error::other(format!("namespace {} has no link {link}", namespace.name())))
}

/// Sizes of a load or store, in the instruction's code (RFC 9669 section 5).
const WORD: u8 = 0x00;
const DOUBLE: u8 = 0x18;

/// `to = *(from + offset)`.
fn load(to: u8, from: u8, offset: i16, size: u8) -> Instruction {
    instruction(0x61 | size, to, from, offset, 0)
}

/// `*(to + offset) = from`.
fn store(to: u8, from: u8, offset: i16, size: u8) -> Instruction {
    instruction(0x63 | size, to, from, offset, 0)
}

/// `lock *(u64 *)(to + offset) += from`.
fn atomic_add(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0xdb, to, from, offset, 0)
}

/// `to = from`.
fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xbf, to, from, 0, 0)
}

/// `register += value`.
fn add(register: u8, value: i32) -> Instruction {
    instruction(0x07, register, 0, 0, value)
}

/// `register &= value`.
fn and(register: u8, value: i32) -> Instruction {
    instruction(0x57, register, 0, 0, value)
}

/// The low 32 bits in network byte order.
fn big_endian_32(register: u8) -> Instruction {
    instruction(0xdc, register, 0, 0, 32)
}

/// Skips instructions if one register is greater than another.
fn skip_if_greater(left: u8, right: u8, count: i16) -> Instruction {
    instruction(0x2d, left, right, count, 0)
}

/// `register = address of the only value of an array map`: a load of 64 bits, in two parts.
fn address_of_value(register: u8, map: &OwnedFd) -> [Instruction; 2] {
    use std::os::fd::AsRawFd as _;
    /// `BPF_PSEUDO_MAP_VALUE` of `linux/bpf.h`.
    const MAP_VALUE: u8 = 2;
    [instruction(0x18, register, MAP_VALUE, 0, map.as_raw_fd()), instruction(0, 0, 0, 0, 0)]
}

fn instruction(code: u8, to: u8, from: u8, offset: i16, value: i32) -> Instruction {
    let ([c, d], [e, f, g, h]) = (offset.to_le_bytes(), value.to_le_bytes());
    [code, from << 4 | to, c, d, e, f, g, h]
}

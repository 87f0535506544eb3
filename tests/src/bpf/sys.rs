//! bpf(2) as far as the tests' own programs need it.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// Commands of bpf(2).
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP_ELEM: libc::c_long = 1;
const MAP_UPDATE: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const LINK_CREATE: libc::c_long = 28;

/// `BPF_MAP_TYPE_PROG_ARRAY`.
const PROGRAM_ARRAY: u32 = 3;
/// `BPF_TCX_EGRESS`.
const TCX_EGRESS: u32 = 47;
/// `BPF_XDP`.
const XDP_PLACE: u32 = 37;
/// `XDP_FLAGS_DRV_MODE`: natively or not at all.
const NATIVE: u32 = 4;
/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;
/// `BPF_F_TEST_XDP_LIVE_FRAMES`: the frames are real and go where the program says.
const LIVE_FRAMES: u32 = 2;

/// The first members of `union bpf_attr` for loading a program.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// Those for attaching one.
#[repr(C)]
struct Attach {
    program: u32,
    link_index: u32,
    place: u32,
    flags: u32,
}

/// Those for making a map.
#[repr(C)]
struct Create {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
}

/// Those for reading a value of one.
#[repr(C)]
struct Element {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Those for running one.
#[repr(C)]
#[derive(Default)]
struct Run {
    program: u32,
    result: u32,
    in_bytes: u32,
    out_bytes: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_in_bytes: u32,
    context_out_bytes: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    pad: u32,
}

/// Those for writing an entry.
#[repr(C)]
struct Update {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `struct xdp_md`.
#[repr(C)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_link: u32,
    rx_queue: u32,
    egress_link: u32,
}

/// Loads a program.
///
/// # Errors
/// What the kernel says.
pub(super) fn load(kind: u32, instructions: &[[u8; 8]]) -> io::Result<OwnedFd> {
    let license = c"GPL";
    let attr = Load {
        kind,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_bytes: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    descriptor(bpf(PROG_LOAD, &attr)?)
}

/// Makes a program array whose one place holds a program.
///
/// # Errors
/// What the kernel says.
pub(super) fn program_array(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let map = descriptor(bpf(
        MAP_CREATE,
        &Create { kind: PROGRAM_ARRAY, key_bytes: 4, value_bytes: 4, entries: 1, flags: 0 },
    )?)?;
    let (key, value) = (0u32, program.as_raw_fd().cast_unsigned());
    let update = Update {
        map: map.as_raw_fd().cast_unsigned(),
        pad: 0,
        key: (&raw const key) as u64,
        value: (&raw const value) as u64,
        flags: 0,
    };
    bpf(MAP_UPDATE, &update)?;
    Ok(map)
}

/// Runs a program once over a frame and says what it returned.
///
/// # Errors
/// What the kernel says.
pub(super) fn run_once(program: &OwnedFd, frame: &[u8], context: &[u8]) -> io::Result<u32> {
    let attr = Run {
        program: program.as_raw_fd().cast_unsigned(),
        in_bytes: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat: 1,
        context_in_bytes: context.len() as u32,
        context_in: context.as_ptr() as u64,
        ..Run::default()
    };
    bpf(PROG_TEST_RUN, &attr)?;
    // SAFETY: `attr` lives in this frame; the kernel wrote the result through the pointer, behind the compiler's back.
    Ok(unsafe { (&raw const attr.result).read_volatile() })
}

/// Attaches a program to a link's egress, until the descriptor is closed.
///
/// # Errors
/// What the kernel says; EINVAL before Linux 6.6.
pub(super) fn attach_egress(program: &OwnedFd, link_index: u32) -> io::Result<OwnedFd> {
    let attr =
        Attach { program: program.as_raw_fd().cast_unsigned(), link_index, place: TCX_EGRESS, flags: 0 };
    descriptor(bpf(LINK_CREATE, &attr)?)
}

/// Attaches an XDP program to a link, natively, until the descriptor is closed.
///
/// # Errors
/// What the kernel says; EINVAL before Linux 5.9.
pub(super) fn attach_xdp(program: &OwnedFd, link_index: u32) -> io::Result<OwnedFd> {
    let program = program.as_raw_fd().cast_unsigned();
    let attr = Attach { program, link_index, place: XDP_PLACE, flags: NATIVE };
    descriptor(bpf(LINK_CREATE, &attr)?)
}

/// An array map of one word.
///
/// # Errors
/// What the kernel says.
pub(super) fn one_word_map() -> io::Result<OwnedFd> {
    let attr = Create { kind: ARRAY, key_bytes: 4, value_bytes: 8, entries: 1, flags: 0 };
    descriptor(bpf(MAP_CREATE, &attr)?)
}

/// What is in it.
///
/// # Errors
/// What the kernel says.
pub(super) fn read_word(map: &OwnedFd) -> io::Result<u64> {
    let (key, mut value) = (0u32, 0u64);
    let attr = Element {
        map: map.as_raw_fd().cast_unsigned(),
        pad: 0,
        key: (&raw const key) as u64,
        value: (&raw mut value) as u64,
        flags: 0,
    };
    bpf(MAP_LOOKUP_ELEM, &attr)?;
    Ok(value)
}

/// Runs an XDP program on `count` copies of a frame, as if they came in by a link of the calling thread's namespace.
///
/// # Errors
/// What the kernel says.
pub(super) fn run_live(program: &OwnedFd, link_index: u32, frame: &[u8], count: u32) -> io::Result<()> {
    let length = frame.len() as u32;
    let context = Context {
        data: 0,
        data_end: length,
        data_meta: 0,
        ingress_link: link_index,
        rx_queue: 0,
        egress_link: 0,
    };
    let attr = Run {
        program: program.as_raw_fd().cast_unsigned(),
        in_bytes: length,
        data_in: frame.as_ptr() as u64,
        repeat: count,
        context_in_bytes: size_of::<Context>() as u32,
        context_in: (&raw const context) as u64,
        flags: LIVE_FRAMES,
        ..Run::default()
    };
    bpf(PROG_TEST_RUN, &attr).map(drop)
}

fn bpf<T>(command: libc::c_long, attr: &T) -> io::Result<libc::c_long> {
    // SAFETY: `attr` is a prefix of union bpf_attr of the size given; what it points to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn descriptor(number: libc::c_long) -> io::Result<OwnedFd> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the kernel just made the descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

//! The BPF commands that aya does not wrap: detaching a pinned link at once, reading a hash map in batches, taking an entry
//! out. One of the files that may be unsafe.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aya::Pod;
use aya::maps::{MapData, RingBuf};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `BPF_OBJ_GET` of `linux/bpf.h`.
const BPF_OBJ_GET: libc::c_long = 7;
/// `BPF_MAP_LOOKUP_AND_DELETE_ELEM` of `linux/bpf.h` (hash maps: Linux 5.14).
const BPF_MAP_LOOKUP_AND_DELETE_ELEM: libc::c_long = 21;
/// `BPF_MAP_LOOKUP_BATCH` of `linux/bpf.h` (Linux 5.6).
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
/// `BPF_LINK_DETACH` of `linux/bpf.h` (Linux 5.9).
const BPF_LINK_DETACH: libc::c_long = 34;

/// Lets tokio wait for records in a ring.
///
/// # Errors
/// When epoll refuses.
pub(super) fn await_ring(ring: RingBuf<MapData>) -> io::Result<AsyncFd<RingBuf<MapData>>> {
    // SAFETY: the ring owns its map's descriptor, names just that one, and keeps it open until it is dropped.
    let waiting = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
    Ok(waiting?)
}

/// The part of `union bpf_attr` that `BPF_OBJ_GET` reads.
#[repr(C)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// The part of `union bpf_attr` that `BPF_LINK_DETACH` reads.
#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

/// Detaches the BPF link that is pinned at `pin`; the pin stays.
///
/// # Errors
/// `NotFound` when nothing is pinned there; ENOLINK when the link's device has gone; what else the kernel says.
pub(super) fn detach_pinned(pin: &Path) -> io::Result<()> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let get = ObjGet { pathname: path.as_ptr() as u64, bpf_fd: 0, file_flags: 0 };
    let fd = bpf(BPF_OBJ_GET, &get)?;
    // SAFETY: BPF_OBJ_GET returned a new descriptor, which nobody else owns.
    let link = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(io::Error::other)?) };
    let detach = LinkDetach { link_fd: u32::try_from(link.as_raw_fd()).map_err(io::Error::other)? };
    bpf(BPF_LINK_DETACH, &detach).map(drop)
}

/// The part of `union bpf_attr` that the element commands read.
#[repr(C)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Takes an entry out of a hash map; none if it is not there.
///
/// # Errors
/// What the kernel says.
pub(super) fn take_element<K: Pod, V: Pod>(map: impl AsFd, key: &K, zero: V) -> io::Result<Option<V>> {
    let mut value = zero;
    let element = Element {
        map_fd: fd_number(&map)?,
        pad: 0,
        key: std::ptr::from_ref(key) as u64,
        value: &raw mut value as u64,
        flags: 0,
    };
    match bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &element) {
        Ok(_) => Ok(Some(value)),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The part of `union bpf_attr` that the batch commands read; `count` is written too.
#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Reads up to `keys.len()` entries of a hash map, from bucket `cursor` on. Returns how many, and where to go on; no
/// cursor is the end. Entries that others add or delete meanwhile may or may not be among them; none comes twice.
///
/// # Errors
/// ENOSPC when one bucket has more entries than there is room for; what else the kernel says.
pub(super) fn lookup_batch<K: Pod, V: Pod>(
    map: impl AsFd,
    cursor: Option<u32>,
    keys: &mut [K],
    values: &mut [V],
) -> io::Result<(usize, Option<u32>)> {
    let room = u32::try_from(keys.len().min(values.len())).map_err(io::Error::other)?;
    let (from, mut next) = (cursor.unwrap_or(0), 0u32);
    let batch = Batch {
        in_batch: cursor.map_or(0, |_| &raw const from as u64),
        out_batch: &raw mut next as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: room,
        map_fd: fd_number(&map)?,
        elem_flags: 0,
        flags: 0,
    };
    let result = bpf(BPF_MAP_LOOKUP_BATCH, &batch);
    // SAFETY: `batch` lives in this frame; the kernel wrote `count` through the pointer, behind the compiler's back.
    let count = unsafe { (&raw const batch.count).read_volatile() } as usize;
    match result {
        Ok(_) => Ok((count, Some(next))),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok((count, None)),
        Err(e) => Err(e),
    }
}

fn fd_number(fd: &impl AsFd) -> io::Result<u32> {
    u32::try_from(fd.as_fd().as_raw_fd()).map_err(io::Error::other)
}

fn bpf<A>(command: libc::c_long, attributes: &A) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are a prefix of `union bpf_attr` of the size that is passed along, alive during the call;
    // the kernel takes what is behind it for zero.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<A>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

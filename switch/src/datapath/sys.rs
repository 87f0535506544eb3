//! The BPF commands that aya does not wrap: detaching a pinned link at once, reading a hash map in batches, taking an entry
//! out, copying a map whose values have a layout of another version. One of the files that may be unsafe.

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

/// Commands of `linux/bpf.h` on maps and pins.
const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_MAP_GET_NEXT_KEY: libc::c_long = 4;
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
/// Add, never replace.
const BPF_NOEXIST: u64 = 1;
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

/// The part of `union bpf_attr` that `BPF_OBJ_GET` and `BPF_OBJ_PIN` read.
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
    let link = open_pinned(pin)?;
    detach(&link)
}

/// Detaches a BPF link.
///
/// # Errors
/// ENOLINK when its device has gone; what else the kernel says.
pub(super) fn detach(link: &OwnedFd) -> io::Result<()> {
    bpf(BPF_LINK_DETACH, &LinkDetach { link_fd: fd_number(link)? }).map(drop)
}

/// The start of `struct bpf_link_info`, for the kinds of links whose own part begins with the link index.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    ifindex: u32,
    attach_type: u32,
}

/// Index of the network link that a tcx or XDP attachment is on; 0 when it was detached.
///
/// # Errors
/// What the kernel says.
pub(super) fn attached_to(link: &OwnedFd) -> io::Result<u32> {
    let mut info = LinkInfo::default();
    let get = GetInfo {
        bpf_fd: fd_number(link)?,
        info_bytes: u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?,
        info: &raw mut info as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &get)?;
    // SAFETY: `info` lives in this frame; the kernel wrote it through the pointer, behind the compiler's back.
    Ok(unsafe { (&raw const info).read_volatile() }.ifindex)
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

/// What a map is, but for its name and type information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MapShape {
    kind: u32,
    key_bytes: u32,
    /// Bytes of a value.
    pub(super) value_bytes: u32,
    entries: u32,
    flags: u32,
    name: [u8; 16],
}

impl MapShape {
    /// The same with values of another length.
    pub(super) fn with_values_of(self, value_bytes: u32) -> Self {
        Self { value_bytes, ..self }
    }
}

/// The start of `struct bpf_map_info`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct MapInfo {
    kind: u32,
    id: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
    name: [u8; 16],
}

/// The part of `union bpf_attr` that `BPF_OBJ_GET_INFO_BY_FD` reads.
#[repr(C)]
struct GetInfo {
    bpf_fd: u32,
    info_bytes: u32,
    info: u64,
}

/// The part of `union bpf_attr` that `BPF_MAP_CREATE` reads.
#[repr(C)]
struct MapCreate {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    name: [u8; 16],
}

/// Opens what is pinned.
///
/// # Errors
/// `NotFound` when nothing is; what else the kernel says.
pub(super) fn open_pinned(pin: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let get = ObjGet { pathname: path.as_ptr() as u64, bpf_fd: 0, file_flags: 0 };
    let fd = bpf(BPF_OBJ_GET, &get)?;
    // SAFETY: BPF_OBJ_GET returned a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(io::Error::other)?) })
}

/// Pins an object.
///
/// # Errors
/// What the kernel says: that there is something of the name already, for one.
pub(super) fn pin(object: impl AsFd, pin: &Path) -> io::Result<()> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let object = ObjGet { pathname: path.as_ptr() as u64, bpf_fd: fd_number(&object)?, file_flags: 0 };
    bpf(BPF_OBJ_PIN, &object).map(drop)
}

/// What a map is.
///
/// # Errors
/// What the kernel says.
pub(super) fn map_shape(map: impl AsFd) -> io::Result<MapShape> {
    let mut info = MapInfo::default();
    let get = GetInfo {
        bpf_fd: fd_number(&map)?,
        info_bytes: u32::try_from(size_of::<MapInfo>()).map_err(io::Error::other)?,
        info: &raw mut info as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &get)?;
    // SAFETY: `info` lives in this frame; the kernel wrote it through the pointer, behind the compiler's back.
    let MapInfo { kind, key_bytes, value_bytes, entries, flags, name, .. } =
        unsafe { (&raw const info).read_volatile() };
    Ok(MapShape { kind, key_bytes, value_bytes, entries, flags, name })
}

/// Makes a map, empty.
///
/// # Errors
/// What the kernel says.
pub(super) fn create_map(shape: &MapShape) -> io::Result<OwnedFd> {
    let MapShape { kind, key_bytes, value_bytes, entries, flags, name } = *shape;
    let create =
        MapCreate { kind, key_bytes, value_bytes, entries, flags, inner_map_fd: 0, numa_node: 0, name };
    let fd = bpf(BPF_MAP_CREATE, &create)?;
    // SAFETY: BPF_MAP_CREATE returned a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(io::Error::other)?) })
}

/// What to do about an entry that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// Write over it.
    Replace,
    /// Leave it.
    Keep,
}

/// Copies every entry of a map that is not per CPU into one with the same keys, each value converted. Entries that others
/// add or delete meanwhile may or may not be among them.
///
/// # Errors
/// What the kernel says; `InvalidData` when a converted value is not as long as those of `to`.
pub(super) fn copy_entries(
    from: impl AsFd,
    to: impl AsFd,
    convert: fn(&[u8]) -> Vec<u8>,
    existing: Existing,
) -> io::Result<()> {
    let (shape, wanted) = (map_shape(&from)?, map_shape(&to)?.value_bytes as usize);
    let (mut key, mut next) = (vec![0; shape.key_bytes as usize], vec![0; shape.key_bytes as usize]);
    let mut value = vec![0; shape.value_bytes as usize];
    let (from, to) = (fd_number(&from)?, fd_number(&to)?);
    let element = |map_fd, key: &mut [u8], value: &mut [u8], flags| Element {
        map_fd,
        pad: 0,
        key: key.as_mut_ptr() as u64,
        value: value.as_mut_ptr() as u64,
        flags,
    };
    let mut is_first = true;
    // Somebody who deletes the key at hand has the walk begin anew; that must end, too.
    for _ in 0..u64::from(shape.entries) * 4 {
        let mut step = element(from, &mut key, &mut next, 0);
        if is_first {
            step.key = 0;
        }
        match bpf(BPF_MAP_GET_NEXT_KEY, &step) {
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
            Err(e) => return Err(e),
        }
        is_first = false;
        key.copy_from_slice(&next);
        match bpf(BPF_MAP_LOOKUP_ELEM, &element(from, &mut key, &mut value, 0)) {
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(e) => return Err(e),
        }
        let mut converted = convert(&value);
        if converted.len() != wanted {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let flags = if existing == Existing::Keep { BPF_NOEXIST } else { 0 };
        match bpf(BPF_MAP_UPDATE_ELEM, &element(to, &mut key, &mut converted, flags)) {
            Err(e) if e.raw_os_error() != Some(libc::EEXIST) => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

//! The maps and who may write them. One of the files that may be unsafe.
//!
//! | map | programs | controller | who wins |
//! |---|---|---|---|
//! | `CONFIG` `HEARTBEAT` `LINKS` `PORTS` `NETWORKS` `MEMBERS` `NEIGHBOURS` `TARGETS` `DELETED` `VLANS` `GUARDS` | read | writes | – |
//! | `COUNTERS` `LEARNED` `PUNT_BUCKETS` `STORMS` `LOST` | write | reads | – |
//! | `TRACE` `TRACE_COPIES` | the trace programs write | reads, and runs one at a time | – |
//! | `FDB` | insert dynamic entries, refresh, move | inserts permanent entries, deletes any | the last write; a station deleted while it speaks is learned again with its next frame |
//! | `EVENTS` `PUNTS` | produce | consumes | – |

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMap, HashMap, PerCpuArray, RingBuf};
use vswitch_common::abi::{Bucket, SwitchConfig, ring};
use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::guard::GuardKey;
use vswitch_common::limits;
use vswitch_common::nd::PACKET_BYTES;
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_common::port::{MemberKey, NetworkConfig, PortConfig, PortId};
use vswitch_common::stats::PortCounters;
use vswitch_common::storm::{self, StormKind, StormLimit};
use vswitch_common::trace::{Copied, TraceRecord};
use vswitch_common::vlan::VlanSet;

use crate::pipeline::Decision;

/// `BPF_F_NO_PREALLOC`: memory only for entries that exist.
const NO_PREALLOC: u32 = 1;
/// `BPF_NOEXIST`: insert, never replace.
const NO_EXIST: u64 = 1;

#[map]
static CONFIG: Array<SwitchConfig> = Array::with_max_entries(1, 0);
#[map]
static HEARTBEAT: Array<u64> = Array::with_max_entries(1, 0);
#[map]
static LINKS: HashMap<u32, u32> = HashMap::with_max_entries(limits::PORTS, 0);
#[map]
static PORTS: Array<PortConfig> = Array::with_max_entries(limits::PORTS, 0);
#[map]
static NETWORKS: Array<NetworkConfig> = Array::with_max_entries(limits::NETWORKS, 0);
#[map]
static MEMBERS: HashMap<MemberKey, u32> = HashMap::with_max_entries(limits::PORTS, 0);
#[map]
static FDB: HashMap<FdbKey, FdbEntry> =
    HashMap::with_max_entries(limits::FDB_DYNAMIC_DEFAULT + limits::FDB_STATIC_RESERVE, 0);
#[map]
static LEARNED: Array<u64> = Array::with_max_entries(limits::PORTS, 0);
#[map]
static DELETED: Array<u64> = Array::with_max_entries(limits::PORTS, 0);
#[map]
static NEIGHBOURS: HashMap<NeighbourKey, Neighbour> =
    HashMap::with_max_entries(limits::NEIGHBOURS, NO_PREALLOC);
#[map]
static COUNTERS: PerCpuArray<PortCounters> = PerCpuArray::with_max_entries(limits::PORTS, 0);
#[map]
static PUNT_BUCKETS: Array<Bucket> = Array::with_max_entries(limits::PORTS, 0);
#[map]
pub(crate) static TARGETS: DevMap = DevMap::with_max_entries(limits::PORTS, 0);
#[map]
static VLANS: Array<VlanSet> = Array::with_max_entries(limits::PORTS, 0);
#[map]
static GUARDS: HashMap<GuardKey, u32> = HashMap::with_max_entries(limits::GUARDED_ADDRESSES, NO_PREALLOC);
#[map]
static STORMS: Array<u64> = Array::with_max_entries(limits::PORTS * 4, 0);
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(limits::EVENT_RING_BYTES, 0);
#[map]
pub(crate) static PUNTS: RingBuf = RingBuf::with_byte_size(limits::PUNT_RING_BYTES, 0);
#[map]
static DECISION: PerCpuArray<Decision> = PerCpuArray::with_max_entries(2, 0);
#[map]
static SCRATCH: PerCpuArray<[u8; PACKET_BYTES]> = PerCpuArray::with_max_entries(1, 0);
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(ring::COUNT, 0);
#[map]
static TRACE: Array<TraceRecord> = Array::with_max_entries(1, 0);
#[map]
static TRACE_COPIES: Array<Copied> = Array::with_max_entries(limits::PORTS, 0);

/// Limits of the whole switch.
#[inline(always)]
pub(crate) fn config() -> Option<&'static SwitchConfig> {
    CONFIG.get(0)
}

/// When the controller last said that it lives.
#[inline(always)]
pub(crate) fn heartbeat_ns() -> u64 {
    HEARTBEAT.get(0).map_or(0, |beat| *beat)
}

/// The port of a link.
#[inline(always)]
pub(crate) fn port_of_link(ifindex: u32) -> Option<PortId> {
    // SAFETY: values are aligned words that the controller replaces whole.
    unsafe { LINKS.get(ifindex) }.map(|slot| PortId(*slot as u16))
}

/// A port's configuration.
#[inline(always)]
pub(crate) fn port(port: PortId) -> Option<&'static PortConfig> {
    PORTS.get(port.index())
}

/// A network's configuration.
#[inline(always)]
pub(crate) fn network(network: u16) -> Option<&'static NetworkConfig> {
    NETWORKS.get(u32::from(network))
}

/// The port at a place of a network's flood list.
#[inline(always)]
pub(crate) fn member(network: u16, index: u16) -> Option<PortId> {
    // SAFETY: as for `LINKS`.
    unsafe { MEMBERS.get(MemberKey { network, index }) }.map(|slot| PortId(*slot as u16))
}

/// The VLANs of a trunk.
#[inline(always)]
pub(crate) fn vlans(port: PortId) -> Option<&'static VlanSet> {
    VLANS.get(port.index())
}

/// Whether a port was given an address.
#[inline(always)]
pub(crate) fn is_given(key: GuardKey) -> bool {
    GUARDS.get_ptr(key).is_some()
}

/// Whether a port may flood one more frame of a kind. If so it is counted, unless somebody only asks. CPUs that race grant
/// a frame too many.
#[inline(always)]
pub(crate) fn storm_token(port: PortId, kind: StormKind, now_ns: u64, limit: StormLimit, how: Spend) -> bool {
    let Some(due) = STORMS.get_ptr_mut(port.index() * 4 + kind as u32) else { return false };
    // SAFETY: an aligned word of a live map value, read and stored whole.
    match storm::take(unsafe { due.read_volatile() }, now_ns, limit) {
        Some(next) => {
            if how == Spend::Take {
                // SAFETY: as above.
                unsafe { due.write_volatile(next) };
            }
            true
        }
        None => false,
    }
}

/// Whether what is limited is spent, or only asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spend {
    /// By a frame that is carried out.
    Take,
    /// By a trace.
    Ask,
}

/// The station that has an address.
#[inline(always)]
pub(crate) fn neighbour(key: NeighbourKey) -> Option<Neighbour> {
    // SAFETY: values are aligned words that the controller replaces whole.
    unsafe { NEIGHBOURS.get(key) }.copied()
}

/// What the FDB holds, or [`FdbEntry::NONE`]. The copy's two words may be from before and after a concurrent move, which is harmless: either
/// place was right a moment ago.
#[inline(always)]
pub(crate) fn fdb(key: FdbKey) -> FdbEntry {
    // SAFETY: map values stay readable for the whole program; words are read whole.
    unsafe { FDB.get(key) }.copied().unwrap_or(FdbEntry::NONE)
}

/// Adds an entry unless there is one. False if there is, or no room.
#[inline(always)]
pub(crate) fn fdb_insert(key: FdbKey, entry: &FdbEntry) -> bool {
    FDB.insert(key, entry, NO_EXIST).is_ok()
}

/// Writes an entry's last-seen.
#[inline(always)]
pub(crate) fn fdb_refresh(key: FdbKey, now_ns: u64) {
    if let Some(entry) = FDB.get_ptr_mut(key) {
        // SAFETY: map values are 8-byte aligned and stay writable for the whole program; the word is stored whole.
        unsafe { (&raw mut (*entry).seen_ns).write_volatile(now_ns) };
    }
}

/// Writes an entry's place and last-seen. Two CPUs that move the same station at once leave it at one of both ports; the
/// counts of dynamic entries may then be off by one, which the controller's sweep mends.
#[inline(always)]
pub(crate) fn fdb_move(key: FdbKey, to: &FdbEntry) -> bool {
    let Some(entry) = FDB.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: `port`, `flags` and `epoch` are the first, 8-byte aligned word of a live map value; both words are stored
    // whole, so that a reader sees either place but no mixture.
    unsafe {
        entry.cast::<u64>().write_volatile(to.place());
        (&raw mut (*entry).seen_ns).write_volatile(to.seen_ns);
    }
    true
}

/// Dynamic entries of a port, or with [`PortId::NOBODY`] of all.
#[inline(always)]
pub(crate) fn dynamic_entries(port: PortId) -> u64 {
    let learned = LEARNED.get(port.index()).map_or(0, |n| *n);
    let deleted = DELETED.get(port.index()).map_or(0, |n| *n);
    learned.wrapping_sub(deleted)
}

/// Counts dynamic entries learned (or with −1 lost to another port).
#[inline(always)]
pub(crate) fn add_learned(port: PortId, change: i64) {
    if let Some(learned) = LEARNED.get_ptr_mut(port.index()) {
        // SAFETY: an aligned word of a live map value; programs only ever add to it atomically.
        unsafe { atomic_add(learned, change as u64) };
    }
}

/// Room for one packet that would not fit on the stack, this CPU's. Whoever asks for it uses it up before it asks again.
#[inline(always)]
pub(crate) fn scratch() -> Option<&'static mut [u8; PACKET_BYTES]> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: per-CPU value, and programs do not migrate; callers hold one at a time.
    Some(unsafe { &mut *scratch })
}

/// Where this CPU's program puts its decision. A program that a copy of the frame meets before this one ends puts its own
/// there: what is needed after sending is read before.
#[inline(always)]
pub(crate) fn decision() -> Option<&'static mut Decision> {
    let decision = DECISION.get_ptr_mut(0)?;
    // SAFETY: per-CPU value, and programs do not migrate. It begins as zeros, which is a value of every field (of an enum
    // its first), and is only ever written whole fields at a time.
    Some(unsafe { &mut *decision })
}

/// Where a trace puts its decision, emptied. Not where frames put theirs, one of which may come between.
#[inline(always)]
pub(crate) fn traced_decision() -> Option<&'static mut Decision> {
    let decision = DECISION.get_ptr_mut(1)?;
    // SAFETY: as above.
    let decision = unsafe { &mut *decision };
    *decision = Decision::EMPTY;
    Some(decision)
}

/// Writes down what a trace found out; false if it cannot.
#[inline(always)]
pub(crate) fn write_trace(record: &TraceRecord) -> bool {
    let Some(place) = TRACE.get_ptr_mut(0) else { return false };
    // SAFETY: a live map value; the controller runs one trace at a time and reads after it.
    unsafe { place.write(*record) };
    true
}

/// Writes down what a traced flood does at a port.
#[inline(always)]
pub(crate) fn write_copied(port: PortId, copied: Copied) {
    if let Some(place) = TRACE_COPIES.get_ptr_mut(port.index()) {
        // SAFETY: an aligned word of a live map value; as above.
        unsafe { place.write(copied) };
    }
}

/// The decision, of which the compiler shall forget what it has put there: or it would carry the values on in registers, and
/// the verifier would follow each way that they came.
#[inline(always)]
pub(crate) fn reread(decision: &'static mut Decision) -> &'static Decision {
    let address = opaque(core::ptr::from_mut(decision) as u64);
    // SAFETY: still the exclusive reference that came in.
    unsafe { &*(address as *const Decision) }
}

/// The same value, of which the compiler knows nothing any more.
#[inline(always)]
pub(crate) fn opaque(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut value = value;
        // An instruction, if an idle one: without one, the object's line table would name the next one twice.
        // SAFETY: copies a register to itself.
        unsafe { core::arch::asm!("{value} = {value}", value = inout(reg) value) };
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    core::hint::black_box(value)
}

/// This CPU's counters of a port.
#[inline(always)]
pub(crate) fn with_counters(port: PortId, count: impl FnOnce(&mut PortCounters)) {
    if let Some(counters) = COUNTERS.get_ptr_mut(port.index()) {
        // SAFETY: per-CPU value, and programs do not migrate: nobody else writes it meanwhile.
        count(unsafe { &mut *counters });
    }
}

/// Whether there is a punt left of the port's share; if it is to be taken, it is spent.
#[inline(always)]
pub(crate) fn punt_token(port: PortId, now_ns: u64, how: Spend) -> bool {
    let Some(bucket) = PUNT_BUCKETS.get_ptr_mut(port.index()) else {
        return false;
    };
    // SAFETY: a live map value of two aligned words; a race between CPUs grants a token too many, no more.
    let after = unsafe { *bucket }.take(now_ns, limits::PUNTS_PER_PORT_S);
    match after {
        Some(_) if how == Spend::Ask => true,
        Some(after) => {
            // SAFETY: as above.
            unsafe { *bucket = after };
            true
        }
        None => false,
    }
}

/// Counts a record that found its ring full.
#[inline(always)]
pub(crate) fn count_lost(which: u32) {
    if let Some(lost) = LOST.get_ptr_mut(which) {
        // SAFETY: per-CPU value, as in `with_counters`.
        unsafe { *lost += 1 };
    }
}

/// Adds to a word that other CPUs add to. `core` has no atomic addition for BPF yet, the instruction set does.
///
/// # Safety
/// `word` is 8-byte aligned and valid for writes.
#[inline(always)]
unsafe fn atomic_add(word: *mut u64, addend: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's promise; the instruction touches this word alone.
    unsafe {
        core::arch::asm!("lock *(u64 *)({word} + 0) += {addend}", word = in(reg) word, addend = in(reg) addend);
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller's promise.
    unsafe {
        core::sync::atomic::AtomicU64::from_ptr(word)
            .fetch_add(addend, core::sync::atomic::Ordering::Relaxed);
    }
}

//! The maps and who may write them. One of the files that may be unsafe.
//!
//! | map | programs | controller | who wins |
//! |---|---|---|---|
//! | `CONFIG` `HEARTBEAT` `LINKS` `PORTS` `NETWORKS` `MEMBERS` `GROUPS` `NEIGHBOURS` `TARGETS` `DELETED` `VLANS` `GUARDS` | read | writes | – |
//! | `MOVES` | write | – | – |
//! | `QUARANTINES` | begin | clears | the last write; a quarantine that begins meanwhile begins again with the next frame in the loop |
//! | `COUNTERS` `LEARNED` `PUNT_BUCKETS` `SNOOP_BUCKETS` `STORMS` `LOST` | write | reads | – |
//! | `RECENT` | write | – | any writer: what holds is right, whoever wrote it |
//! | `SHIFTS` | add to the first | writes the second | – |
//! | `TRACE` `TRACE_COPIES` | the trace programs write | reads, and runs one at a time | – |
//! | `FDB` | insert dynamic entries, refresh, move | inserts permanent entries, deletes any | the last write; a station deleted while it speaks is learned again with its next frame |
//! | `EVENTS` `PUNTS` `SNOOPS` | produce | consumes | – |

mod recent;
mod stations;

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMap, HashMap, LruHashMap, PerCpuArray, RingBuf};
use vswitch_common::abi::{Bucket, SwitchConfig, ring};
use vswitch_common::event::{SNOOP_HEAD, SnoopRecord};
use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::flap::{Moves, Quarantine};
use vswitch_common::guard::GuardKey;
use vswitch_common::limits::{self, SNOOP_BYTES};
use vswitch_common::multicast::{GroupKey, GroupList};
use vswitch_common::nd::PACKET_BYTES;
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_common::port::{self, MemberKey, NetworkConfig, PortConfig, PortId};
use vswitch_common::stats::PortCounters;
use vswitch_common::storm::{self, StormKind, StormLimit};
use vswitch_common::trace::{Copied, TraceRecord};
use vswitch_common::vlan::VlanSet;

use crate::pipeline::Decision;
pub(crate) use recent::Place;
pub(crate) use stations::{
    add_learned, begin_quarantine, dynamic_entries, fdb, fdb_insert, fdb_move, fdb_refresh, is_pinned_to,
    note_move, quarantine,
};

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
static MEMBERS: HashMap<MemberKey, u32> =
    HashMap::with_max_entries(limits::PORTS + limits::MULTICAST_MEMBERS, NO_PREALLOC);
#[map]
static GROUPS: HashMap<GroupKey, GroupList> = HashMap::with_max_entries(limits::MULTICAST_LISTS, NO_PREALLOC);
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
static SNOOP_BUCKETS: Array<Bucket> = Array::with_max_entries(limits::PORTS, 0);
#[map]
pub(crate) static TARGETS: DevMap = DevMap::with_max_entries(limits::PORTS, 0);
#[map]
static VLANS: Array<VlanSet> = Array::with_max_entries(limits::PORTS, 0);
#[map]
static GUARDS: HashMap<GuardKey, u32> = HashMap::with_max_entries(limits::GUARDED_ADDRESSES, NO_PREALLOC);
#[map]
static STORMS: Array<u64> = Array::with_max_entries(limits::PORTS * 4, 0);
#[map]
static MOVES: LruHashMap<FdbKey, Moves> = LruHashMap::with_max_entries(limits::MOVING_STATIONS, 0);
#[map]
static QUARANTINES: Array<Quarantine> = Array::with_max_entries(limits::PORTS, 0);
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(limits::EVENT_RING_BYTES, 0);
#[map]
pub(crate) static PUNTS: RingBuf = RingBuf::with_byte_size(limits::PUNT_RING_BYTES, 0);
#[map]
static SNOOPS: RingBuf = RingBuf::with_byte_size(limits::SNOOP_RING_BYTES, 0);
#[map]
static SNOOP: PerCpuArray<SnoopRecord> = PerCpuArray::with_max_entries(1, 0);
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

/// Whether the controller has not lived for a while: what it knew may be stale.
#[inline(always)]
pub(crate) fn is_controller_away(now_ns: u64) -> bool {
    now_ns.saturating_sub(heartbeat_ns()) > limits::HEARTBEAT_STALE_NS
}

/// The port of a link: where the hint of its index leads, which costs two array look-ups; else by a hash look-up.
#[inline(always)]
pub(crate) fn port_of_link(ifindex: u32) -> Option<PortId> {
    let hint = PORTS.get(port::near(ifindex).index()).map_or(0, |config| config.near);
    if PORTS.get(u32::from(hint)).is_some_and(|config| config.ifindex == ifindex) {
        return Some(PortId(hint));
    }
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

/// The flood list of a group, or [`GroupList::NONE`].
#[inline(always)]
pub(crate) fn group(key: &GroupKey) -> GroupList {
    // SAFETY: the controller replaces values whole, and they stay readable for the whole program.
    unsafe { GROUPS.get(key) }.copied().unwrap_or(GroupList::NONE)
}

/// The port at a place of a flood list.
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

/// Room for one packet that would not fit on the stack, this CPU's. Whoever asks for it uses it up before it asks again.
#[inline(always)]
pub(crate) fn scratch() -> Option<&'static mut [u8; PACKET_BYTES]> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: per-CPU value, and programs do not migrate; callers hold one at a time.
    Some(unsafe { &mut *scratch })
}

/// Room to put a message about membership together in, this CPU's.
#[inline(always)]
pub(crate) fn snoop() -> Option<&'static mut SnoopRecord> {
    let record = SNOOP.get_ptr_mut(0)?;
    // SAFETY: as for the scratch room.
    Some(unsafe { &mut *record })
}

/// Puts a message about membership, of which `carried` bytes are there, into its ring; false if that is full.
#[inline(always)]
pub(crate) fn publish_snoop(record: &SnoopRecord, carried: u32) -> bool {
    let carried = opaque(u64::from(carried)) as usize;
    if carried > SNOOP_BYTES {
        return false;
    }
    let start = core::ptr::from_ref(record).cast::<u8>();
    // SAFETY: the head and `carried` bytes behind it are within the record, all of whose bytes are initialised.
    let bytes = unsafe { core::slice::from_raw_parts(start, SNOOP_HEAD + carried) };
    SNOOPS.output::<[u8]>(bytes, 0).is_ok()
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

/// The decision, of which the compiler shall forget what it put there: the verifier would follow each way that it came.
#[inline(always)]
pub(crate) fn reread(decision: &'static mut Decision) -> &'static mut Decision {
    let address = opaque(core::ptr::from_mut(decision) as u64);
    // SAFETY: still the exclusive reference that came in.
    unsafe { &mut *(address as *mut Decision) }
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
    token(PUNT_BUCKETS.get_ptr_mut(port.index()), now_ns, limits::PUNTS_PER_PORT_S, how)
}

/// Spends one message about membership of the port's share; false if there is none left.
#[inline(always)]
pub(crate) fn take_snoop_token(port: PortId, now_ns: u64) -> bool {
    token(SNOOP_BUCKETS.get_ptr_mut(port.index()), now_ns, limits::SNOOPS_PER_PORT_S, Spend::Take)
}

#[inline(always)]
fn token(bucket: Option<*mut Bucket>, now_ns: u64, per_second: u32, how: Spend) -> bool {
    let Some(bucket) = bucket else {
        return false;
    };
    // SAFETY: a live map value of two aligned words; a race between CPUs grants a token too many, no more.
    let after = unsafe { *bucket }.take(now_ns, per_second);
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

//! What the maps hold of stations: FDB entries, moves, quarantines, and how many stations are learned.

use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::flap::{Moves, Quarantine};
use vswitch_common::mac::MacAddr;
use vswitch_common::port::PortId;

use super::{DELETED, FDB, LEARNED, MOVES, NO_EXIST, QUARANTINES, atomic_add};

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
    super::recent::shift();
    true
}

/// Counts one more move of a station, away from `from`; returns its record, or none if it is the first. CPUs that race lose
/// a count, no more.
#[inline(always)]
pub(crate) fn note_move(key: FdbKey, from: PortId, now_ns: u64) -> Option<&'static mut Moves> {
    let Some(moves) = MOVES.get_ptr_mut(key) else {
        // Without memory for it, the next move counts as the first.
        let _forgotten = MOVES.insert(key, Moves::first(from, now_ns), 0);
        return None;
    };
    // SAFETY: a live map value of aligned words, in which every mixture of two writers' words is a record.
    let moves = unsafe { &mut *moves };
    moves.note(from, now_ns);
    Some(moves)
}

/// Whether a station is pinned to a port because it flapped.
#[inline(always)]
pub(crate) fn is_pinned_to(key: FdbKey, port: PortId, now_ns: u64) -> bool {
    // SAFETY: as in `note_move`.
    unsafe { MOVES.get(key) }.is_some_and(|moves| moves.is_pinned_to(port, now_ns))
}

/// A port's quarantine, now or lately.
#[inline(always)]
pub(crate) fn quarantine(port: PortId) -> Option<&'static Quarantine> {
    QUARANTINES.get(port.index())
}

/// Quarantines a port, counts it where the controller looks, and says until when.
#[inline(always)]
pub(crate) fn begin_quarantine(port: PortId, mac: MacAddr, older: PortId, other: PortId, now_ns: u64) -> u64 {
    if let Some(sum) = QUARANTINES.get_ptr_mut(PortId::NOBODY.index()) {
        // SAFETY: an aligned word of a live map value; programs only ever add to it atomically.
        unsafe { atomic_add(&raw mut (*sum).count, 1) };
    }
    let Some(quarantine) = QUARANTINES.get_ptr_mut(port.index()) else { return now_ns };
    // SAFETY: a live map value of aligned words; two CPUs that quarantine a port at once mean the same.
    let quarantine = unsafe { &mut *quarantine };
    quarantine.begin(mac, older, other, now_ns);
    quarantine.until_ns
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

//! Where stations were found lately: a cache in front of the FDB.
//!
//! A look-up in the FDB reads three or four lines of memory, which with tens of thousands of stations are in no processor's cache.
//! Here four stations share one line, and nearly every frame's source and destination is found with it alone.
//!
//! What is found here is what the FDB said a moment ago: an entry holds until any station moves, the controller changes a
//! port or an entry ([`recent::SHIFTS`]), or [`recent::HOLDS_NS`] have passed. So everything that depends on time, ageing and
//! the refreshing of last-seen, is done by the FDB's own look-up, which each station still gets twice a second.
//!
//! Nothing is locked: an entry's key is kept as its exclusive or with its place, so that a line which two CPUs write at once
//! holds entries that are right and some that match no key.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use vswitch_common::fdb::{self, FdbEntry, FdbKey};
use vswitch_common::port::PortId;
use vswitch_common::recent::{self, Line, WAYS};

use super::atomic_add;

/// `BPF_F_MMAPABLE`: of such a map values begin at a page, so that none lies across two lines of the processor's cache.
const MMAPABLE: u32 = 1 << 10;

#[map]
static RECENT: Array<Line> = Array::with_max_entries(recent::LINES, MMAPABLE);
#[map]
static SHIFTS: Array<u64> = Array::with_max_entries(recent::SHIFTS, 0);

/// The line where a station's entry is, if there is one.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    key: FdbKey,
    now: u64,
}

impl Place {
    /// That of a key, for a frame of this time. Taken before the FDB is asked: what changes after it makes [`Place::note`]
    /// worth nothing.
    #[inline(always)]
    pub(crate) fn of(key: FdbKey, now_ns: u64) -> Self {
        let shifts = shifts(recent::BY_PROGRAMS).wrapping_add(shifts(recent::BY_CONTROLLER));
        Self { key, now: recent::now(now_ns, shifts) }
    }

    /// Where the station was found: its place, zero if that is not known.
    #[inline(always)]
    fn found(self) -> u64 {
        let Some(line) = line(self.key) else { return 0 };
        for way in 0..WAYS {
            let (mark, at) = read(line, way);
            if recent::is_of(mark, at, self.key, self.now) {
                return at;
            }
        }
        0
    }

    /// The port where the station was found; nobody's if that is not known.
    #[inline(always)]
    pub(crate) fn port(self) -> PortId {
        recent::port(self.found())
    }

    /// The same for one that was heard so lately that its next frame teaches nothing.
    #[inline(always)]
    pub(crate) fn heard_at(self) -> PortId {
        let at = self.found();
        if recent::is_heard(at) { recent::port(at) } else { PortId::NOBODY }
    }

    /// Notes what the FDB said, in the place of what was known of the station, of an entry that holds no more, or else of one
    /// that does.
    #[inline(always)]
    pub(crate) fn note(self, entry: &FdbEntry, now_ns: u64) {
        let Some(line) = line(self.key) else { return };
        let (mut free, mut own) = (recent::victim(self.key), WAYS);
        for way in 0..WAYS {
            let (mark, at) = read(line, way);
            if !recent::holds(at, self.now) {
                free = way;
            } else if recent::is_of(mark, at, self.key, self.now) {
                own = way;
            }
        }
        let way = if own < WAYS { own } else { free };
        let at = recent::at(PortId(entry.port), !fdb::is_due(entry, now_ns), self.now);
        let line = line.wrapping_add((way & (WAYS - 1)) * 2);
        // SAFETY: within the line, whose words are aligned and written whole; any mixture of words is harmless.
        unsafe {
            line.write_volatile(recent::mark(self.key, at));
            line.add(1).write_volatile(at);
        }
    }
}

#[inline(always)]
fn read(line: *mut u64, way: usize) -> (u64, u64) {
    // SAFETY: callers name a way of the line; as above.
    unsafe { (line.add(way * 2).read_volatile(), line.add(way * 2 + 1).read_volatile()) }
}

/// A station has moved: what is noted holds no more.
#[inline(always)]
pub(super) fn shift() {
    if let Some(shifts) = SHIFTS.get_ptr_mut(recent::BY_PROGRAMS) {
        // SAFETY: an aligned word of a live map value; programs only ever add to it atomically.
        unsafe { atomic_add(shifts, 1) };
    }
}

#[inline(always)]
fn shifts(whose: u32) -> u64 {
    // SAFETY: an aligned word of a live map value, read whole.
    SHIFTS.get_ptr(whose).map_or(0, |shifts| unsafe { shifts.read_volatile() })
}

#[inline(always)]
fn line(key: FdbKey) -> Option<*mut u64> {
    RECENT.get_ptr_mut(recent::line(key)).map(<*mut Line>::cast)
}

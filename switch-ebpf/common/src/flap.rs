//! Stations that flap between ports, and the ports that are quarantined for it: loop protection without spanning tree.
//!
//! A frame that runs around in a loop makes its source move with each turn, thousands of times a second. So moves are
//! counted for each station; a station beyond the limit is pinned to the port where it last stayed for a while, and the port
//! that took it away neither takes nor gets frames for a time that doubles with each relapse. The programs do all of this:
//! a loop outlives the controller, and so must the protection from it.

use crate::limits::{MOVES_WINDOW_NS, QUARANTINE_FIRST_NS, QUARANTINE_MEMORY_NS, QUARANTINE_MOST_NS};
use crate::mac::MacAddr;
use crate::port::PortId;

/// How a station has moved lately: value of the `MOVES` map. Written by programs alone; CPUs that race lose a count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Moves {
    /// The port where it stayed for [`MOVES_WINDOW_NS`] before it began to move.
    pub home: u16,
    /// Padding, zero.
    pub pad: u16,
    /// Moves since `since_ns`.
    pub count: u32,
    /// When the count began, in nanoseconds.
    pub since_ns: u64,
    /// The latest move.
    pub last_ns: u64,
    /// Until when it is pinned to `home`; 0 is not.
    pub pinned_until_ns: u64,
}

impl Moves {
    /// The first move, away from `from`.
    #[inline(always)]
    #[must_use]
    pub const fn first(from: PortId, now_ns: u64) -> Self {
        Self { home: from.0, pad: 0, count: 1, since_ns: now_ns, last_ns: now_ns, pinned_until_ns: 0 }
    }

    /// Counts one more move, away from `from`.
    #[inline(always)]
    pub const fn note(&mut self, from: PortId, now_ns: u64) {
        if now_ns.saturating_sub(self.last_ns) > MOVES_WINDOW_NS {
            // It had come to rest at `from`.
            self.home = from.0;
            self.pinned_until_ns = 0;
        }
        if now_ns.saturating_sub(self.since_ns) > MOVES_WINDOW_NS {
            self.since_ns = now_ns;
            self.count = 0;
        }
        self.count = self.count.wrapping_add(1);
        self.last_ns = now_ns;
    }

    /// Pins it to its home; the count begins anew.
    #[inline(always)]
    pub const fn pin(&mut self, home: PortId, until_ns: u64, now_ns: u64) {
        self.home = home.0;
        self.count = 0;
        self.since_ns = now_ns;
        self.pinned_until_ns = until_ns;
    }

    /// Whether it is pinned to `port`.
    #[inline(always)]
    #[must_use]
    pub const fn is_pinned_to(&self, port: PortId, now_ns: u64) -> bool {
        self.pinned_until_ns > now_ns && self.home == port.0
    }
}

/// A port's quarantine: value of the `QUARANTINES` map. Begun by programs; the controller writes nothing but
/// [`Quarantine::NONE`]. Slot 0 only counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Quarantine {
    /// Until when the port neither takes nor gets frames, in nanoseconds; 0 is never quarantined.
    pub until_ns: u64,
    /// The station that flapped, [`MacAddr::bits`].
    pub mac: u64,
    /// How long this one lasts, in nanoseconds.
    pub length_ns: u64,
    /// Quarantines of the port so far; in slot 0 those of all ports.
    pub count: u64,
    /// The port that the station was pinned to.
    pub older: u16,
    /// The other port that it was seen at last, besides this one.
    pub other: u16,
    /// Padding, zero.
    pub pad: u32,
}

impl Quarantine {
    /// Never quarantined.
    pub const NONE: Self = Self { until_ns: 0, mac: 0, length_ns: 0, count: 0, older: 0, other: 0, pad: 0 };

    /// Whether the port is quarantined.
    #[inline(always)]
    #[must_use]
    pub const fn is_in_force(&self, now_ns: u64) -> bool {
        self.until_ns > now_ns
    }

    /// Whether a quarantine that begins now would be a relapse.
    #[inline(always)]
    #[must_use]
    pub const fn is_remembered(&self, now_ns: u64) -> bool {
        self.until_ns != 0 && now_ns.saturating_sub(self.until_ns) <= QUARANTINE_MEMORY_NS
    }

    /// Begins the next one, which lasts twice as long as the one before unless that is long ago.
    #[inline(always)]
    pub const fn begin(&mut self, mac: MacAddr, older: PortId, other: PortId, now_ns: u64) {
        let doubled = self.length_ns * 2;
        self.length_ns = if !self.is_remembered(now_ns) {
            QUARANTINE_FIRST_NS
        } else if doubled < QUARANTINE_MOST_NS {
            doubled
        } else {
            QUARANTINE_MOST_NS
        };
        self.until_ns = now_ns + self.length_ns;
        self.mac = mac.bits();
        self.count += 1;
        self.older = older.0;
        self.other = other.0;
    }
}

const _: () = assert!(size_of::<Moves>() == 32 && size_of::<Quarantine>() == 40);

#[cfg(test)]
#[path = "flap/tests.rs"]
mod tests;

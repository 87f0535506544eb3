//! Entries of the cache in front of the FDB, two words each: the place of a station, and its key mixed with that.
//!
//! A place is the port and, above it, when that was found out: which fraction of a second it was, and how many changes there had
//! been. Where these are not those of now, the entry holds no more.

use crate::fdb::FdbKey;
use crate::port::PortId;

/// Entries of a line, which is one line of a processor's cache.
pub const WAYS: usize = 4;

/// Lines: room for twice as many stations as the FDB comes with, in 2 MiB.
pub const LINES: u32 = 1 << 15;

/// A line: for each entry its mark and its place.
pub type Line = [u64; WAYS * 2];

/// Counts of changes: [`BY_PROGRAMS`] and [`BY_CONTROLLER`]. Only their sum matters.
pub const SHIFTS: u32 = 2;

/// Where programs count the moves of stations.
pub const BY_PROGRAMS: u32 = 0;

/// Where the controller counts its changes of ports and FDB entries.
pub const BY_CONTROLLER: u32 = 1;

/// Longest time that an entry holds, in nanoseconds: some half a second.
pub const HOLDS_NS: u64 = 1 << 29;

/// The bits of a place that are the port.
const PORT: u64 = 0x7fff;

/// Set in a place whose station was heard so lately that its last-seen is not due: its next frame teaches nothing.
const HEARD: u64 = 0x8000;

/// The bits of a place that are [`now`]'s.
const NOW: u64 = !(PORT | HEARD);

const _: () = assert!(crate::limits::PORTS as u64 <= PORT + 1);

/// Time and changes as an entry's place has them: 16 bits of the time in units of [`HOLDS_NS`], 32 of the changes.
#[inline(always)]
#[must_use]
pub const fn now(now_ns: u64, shifts: u64) -> u64 {
    ((now_ns / HOLDS_NS) & 0xffff) << 16 | shifts << 32
}

/// The place of a station at a port, as of [`now`]; and whether it was heard there lately.
#[inline(always)]
#[must_use]
pub const fn at(port: PortId, is_heard: bool, now: u64) -> u64 {
    let heard = if is_heard { HEARD } else { 0 };
    now | heard | port.0 as u64
}

/// Whether the station was heard at the place lately.
#[inline(always)]
#[must_use]
pub const fn is_heard(at: u64) -> bool {
    at & HEARD != 0
}

/// The port of a place.
#[inline(always)]
#[must_use]
pub const fn port(at: u64) -> PortId {
    PortId((at & PORT) as u16)
}

/// Whether a place holds.
#[inline(always)]
#[must_use]
pub const fn holds(at: u64, now: u64) -> bool {
    at & NOW == now
}

/// What is kept beside a place for its key: words of two entries that came together match no key. The place goes in spread over
/// all bits, for keys of neighbours and places of neighbours differ in the same few.
#[inline(always)]
#[must_use]
pub const fn mark(key: FdbKey, at: u64) -> u64 {
    key.0 ^ spread(at)
}

/// Whether the two words are an entry of this key that holds.
#[inline(always)]
#[must_use]
pub const fn is_of(mark: u64, at: u64, key: FdbKey, now: u64) -> bool {
    holds(at, now) && mark ^ spread(at) == key.0
}

/// The line of a key: the upper bits of a product (Knuth, The Art of Computer Programming 6.4), for addresses often differ in
/// their lowest bits alone.
#[inline(always)]
#[must_use]
pub const fn line(key: FdbKey) -> u32 {
    (spread(key.0) >> (u64::BITS - LINES.trailing_zeros())) as u32
}

/// Which entry of its line gives way to a key when all hold.
#[inline(always)]
#[must_use]
pub const fn victim(key: FdbKey) -> usize {
    (spread(key.0) >> 32) as usize & (WAYS - 1)
}

#[inline(always)]
const fn spread(word: u64) -> u64 {
    word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

const _: () = assert!(LINES.is_power_of_two() && WAYS.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DomainId;
    use crate::mac::MacAddr;

    fn key(low: u8) -> FdbKey {
        FdbKey::new(DomainId(3), MacAddr::from_octets([2, 0, 0, 0, 0, low]))
    }

    #[test]
    fn an_entry_is_its_keys_alone_until_time_or_a_change_ends_it() {
        let then = now(7 * HOLDS_NS, 41);
        let place = at(PortId(4711), true, then);
        let word = mark(key(1), place);
        assert!(is_of(word, place, key(1), then) && port(place).0 == 4711 && is_heard(place));
        assert!(!is_heard(at(PortId(4711), false, then)));
        assert!(!is_of(word, place, key(2), then));
        let elsewhere = FdbKey::new(DomainId(4), key(1).mac());
        assert!(!is_of(word, place, elsewhere, then) && mark(elsewhere, place) != word, "in another domain");
        assert!(!is_of(word, place, key(1), now(8 * HOLDS_NS, 41)), "half a second later");
        assert!(!is_of(word, place, key(1), now(7 * HOLDS_NS, 42)), "after a change");
        assert!(is_of(word, place, key(1), now(8 * HOLDS_NS - 1, 41)));
    }

    #[test]
    fn words_of_two_entries_match_nobody() {
        let now = now(HOLDS_NS, 0);
        for port in 2..=300 {
            let (one, other) = (at(PortId(1), false, now), at(PortId(port), false, now));
            let torn = mark(key(1), one);
            assert!((0..=255).all(|low| !is_of(torn, other, key(low), now)), "port {port}");
        }
    }

    #[test]
    fn emptiness_is_nobodys_entry() {
        // A line begins as zeros, which at the very first moment would hold, of the key zero and at nobody's port.
        assert!(!is_of(0, 0, key(1), now(0, 0)));
        assert_eq!(port(0), PortId::NOBODY);
    }

    #[test]
    fn addresses_that_follow_each_other_are_spread() {
        let mut filled = [0u8; LINES as usize];
        for low in 0..=u16::MAX {
            let [high, low] = low.to_be_bytes();
            let key = FdbKey::new(DomainId(1), MacAddr::from_octets([2, 0x99, 0, 0, high, low]));
            assert!(line(key) < LINES);
            filled[line(key) as usize] += 1;
        }
        let crowded = filled.iter().filter(|keys| usize::from(**keys) > WAYS).count();
        assert!(crowded < LINES as usize / 10, "{crowded} lines are too small");
    }
}

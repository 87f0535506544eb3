//! Storm control: how many flooded frames of a kind a port may send. A token bucket in its time form (the generic cell rate
//! algorithm, ITU-T I.371): one word of state, the earliest time at which the next frame is due.

use crate::mac::MacAddr;
use crate::verdict::DropReason;

/// Where no burst is said, it is this many frames more than one at least.
const LEAST_BURST: u64 = 8;
/// And what the rate allows in this time, in nanoseconds: a tenth of a second.
const BURST_NS: u64 = 100_000_000;

/// A limit of one kind of a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StormLimit {
    /// Time between two frames, in nanoseconds; 0 is no limit.
    pub interval_ns: u32,
    /// Frames that may come at once after a quiet time; 0 leaves it to the rate.
    pub burst: u32,
}

impl StormLimit {
    /// How much earlier than due a frame may come, in nanoseconds.
    #[inline(always)]
    const fn tolerance_ns(self) -> u64 {
        let interval_ns = self.interval_ns as u64;
        if self.burst != 0 {
            return interval_ns * (self.burst as u64 - 1);
        }
        let least_ns = interval_ns * LEAST_BURST;
        if least_ns > BURST_NS { least_ns } else { BURST_NS }
    }
}

/// Kinds of flooded frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StormKind {
    /// To ff:ff:ff:ff:ff:ff.
    Broadcast = 0,
    /// To any other group address.
    Multicast = 1,
    /// To an individual address that is not in the FDB.
    Unknown = 2,
}

impl StormKind {
    /// The kind of a frame that is to be flooded.
    #[inline(always)]
    #[must_use]
    pub const fn of(destination: MacAddr) -> Self {
        if destination.is_broadcast() {
            Self::Broadcast
        } else if destination.is_group() {
            Self::Multicast
        } else {
            Self::Unknown
        }
    }

    /// Why a frame of the kind is dropped when there are too many.
    #[inline(always)]
    #[must_use]
    pub const fn reason(self) -> DropReason {
        match self {
            Self::Broadcast => DropReason::StormBroadcast,
            Self::Multicast => DropReason::StormMulticast,
            Self::Unknown => DropReason::StormUnknown,
        }
    }
}

/// When the next frame is due after one at `now_ns`; none if that one is too early. `due_ns` is the state before it.
#[inline(always)]
#[must_use]
pub const fn take(due_ns: u64, now_ns: u64, limit: StormLimit) -> Option<u64> {
    if due_ns > now_ns + limit.tolerance_ns() {
        return None;
    }
    let from_ns = if due_ns > now_ns { due_ns } else { now_ns };
    Some(from_ns + limit.interval_ns as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames that pass in `seconds` when many more are offered each millisecond.
    fn passed(rate: u32, seconds: u64) -> u64 {
        let (mut due, mut count) = (0, 0);
        for ms in 0..seconds * 1000 {
            for _ in 0..10 {
                let limit = StormLimit { interval_ns: 1_000_000_000 / rate, burst: 0 };
                if let Some(next) = take(due, 1_000_000_000 + ms * 1_000_000, limit) {
                    due = next;
                    count += 1;
                }
            }
        }
        count
    }

    #[test]
    fn the_rate_passes_and_a_burst_on_top() {
        for rate in [10, 100, 1000] {
            let (count, burst) = (passed(rate, 10), u64::from(rate / 10).max(8) + 1);
            let fair = u64::from(rate) * 10;
            assert!(count >= fair && count <= fair + burst, "{count} at {rate}/s");
        }
    }

    #[test]
    fn a_quiet_port_may_burst_but_not_save_up() {
        let now = 3_600_000_000_000;
        let at_once = |limit| {
            let mut due = 0;
            (0..10_000).map_while(|_| take(due, now, limit).inspect(|next| due = *next)).count()
        };
        let limit = StormLimit { interval_ns: 1_000_000, burst: 0 };
        let burst = at_once(limit);
        assert!((100..=102).contains(&burst), "{burst}");
        for burst in [1, 2, 9, 5000] {
            assert_eq!(at_once(StormLimit { burst, ..limit }), burst as usize);
        }
    }

    #[test]
    fn kinds_are_told_apart_by_the_destination() {
        assert_eq!(StormKind::of(MacAddr::BROADCAST), StormKind::Broadcast);
        assert_eq!(StormKind::of(MacAddr::from_bits(0x0100_5e00_0001)), StormKind::Multicast);
        assert_eq!(StormKind::of(MacAddr::from_bits(2)), StormKind::Unknown);
    }
}

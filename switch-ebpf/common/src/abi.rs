//! The contract's version and the names under which maps and programs are found and pinned.

/// Goes up whenever a map's key, value or meaning changes: pins of another version are not adopted as they are, but migrated
/// or refused (`datapath/migrate.rs`). The feature `next-abi` makes it that of a made-up next version, for tests of upgrades.
pub const ABI_VERSION: u32 = 4 + cfg!(feature = "next-abi") as u32;

/// Map names, as pinned.
pub mod map {
    /// [`SwitchConfig`](super::SwitchConfig) at index 0.
    pub const CONFIG: &str = "CONFIG";
    /// Heartbeat of the controller: monotonic nanoseconds at index 0.
    pub const HEARTBEAT: &str = "HEARTBEAT";
    /// Link index → port slot.
    pub const LINKS: &str = "LINKS";
    /// Port slot → [`PortConfig`](crate::port::PortConfig).
    pub const PORTS: &str = "PORTS";
    /// Network id → [`NetworkConfig`](crate::port::NetworkConfig).
    pub const NETWORKS: &str = "NETWORKS";
    /// [`MemberKey`](crate::port::MemberKey) → port slot: the flood lists of networks and of groups.
    pub const MEMBERS: &str = "MEMBERS";
    /// [`FdbKey`](crate::fdb::FdbKey) → [`FdbEntry`](crate::fdb::FdbEntry).
    pub const FDB: &str = "FDB";
    /// Port slot → dynamic entries learned; slot 0 has the sum.
    pub const LEARNED: &str = "LEARNED";
    /// Port slot → dynamic entries the controller deleted; slot 0 has the sum.
    pub const DELETED: &str = "DELETED";
    /// [`NeighbourKey`](crate::neighbour::NeighbourKey) → [`Neighbour`](crate::neighbour::Neighbour).
    pub const NEIGHBOURS: &str = "NEIGHBOURS";
    /// Port slot → [`PortCounters`](crate::stats::PortCounters), per CPU.
    pub const COUNTERS: &str = "COUNTERS";
    /// Port slot → token bucket of punts.
    pub const PUNT_BUCKETS: &str = "PUNT_BUCKETS";
    /// Port slot → redirect target of XDP.
    pub const TARGETS: &str = "TARGETS";
    /// Port slot → [`VlanSet`](crate::vlan::VlanSet).
    pub const VLANS: &str = "VLANS";
    /// [`GuardKey`](crate::guard::GuardKey) → 1: IP addresses that ports were given.
    pub const GUARDS: &str = "GUARDS";
    /// Port slot × 4 + [`StormKind`](crate::storm::StormKind) → earliest time of the next frame, in nanoseconds.
    pub const STORMS: &str = "STORMS";
    /// [`FdbKey`](crate::fdb::FdbKey) → [`Moves`](crate::flap::Moves).
    pub const MOVES: &str = "MOVES";
    /// Port slot → [`Quarantine`](crate::flap::Quarantine); slot 0 counts them.
    pub const QUARANTINES: &str = "QUARANTINES";
    /// [`GroupKey`](crate::multicast::GroupKey) → [`GroupList`](crate::multicast::GroupList).
    pub const GROUPS: &str = "GROUPS";
    /// Port slot → token bucket of messages about membership.
    pub const SNOOP_BUCKETS: &str = "SNOOP_BUCKETS";
    /// Ring of [`Notice`](crate::event::Notice).
    pub const EVENTS: &str = "EVENTS";
    /// Ring of [`PuntRecord`](crate::event::PuntRecord).
    pub const PUNTS: &str = "PUNTS";
    /// Ring of [`SnoopRecord`](crate::event::SnoopRecord).
    pub const SNOOPS: &str = "SNOOPS";
    /// Records that found their ring full, by [`ring`](super::ring), per CPU.
    pub const LOST: &str = "LOST";
    /// [`TraceRecord`](crate::trace::TraceRecord) at index 0. Not pinned.
    pub const TRACE: &str = "TRACE";
    /// Port slot → [`Copied`](crate::trace::Copied). Not pinned.
    pub const TRACE_COPIES: &str = "TRACE_COPIES";
    /// Counts of changes that end what is noted of stations, see [`recent`](crate::recent). Not pinned.
    pub const SHIFTS: &str = "SHIFTS";
}

/// Indices of the `LOST` map.
pub mod ring {
    /// Notices lost.
    pub const EVENTS: u32 = 0;
    /// Punts lost.
    pub const PUNTS: u32 = 1;
    /// Messages about membership lost, those beyond a port's share among them.
    pub const SNOOPS: u32 = 2;
    /// Number of rings.
    pub const COUNT: u32 = 3;
}

/// Program names, as pinned.
pub mod program {
    /// Ingress at the XDP hook.
    pub const XDP: &str = "vswitch_xdp";
    /// Ingress at the tc hook.
    pub const TC: &str = "vswitch_tc";
    /// Floods a frame on the controller's behalf; run by `BPF_PROG_TEST_RUN`, never attached.
    pub const FLOOD: &str = "vswitch_flood";
    /// What the tc hook would do with a frame; run by `BPF_PROG_TEST_RUN`, never attached.
    pub const TRACE: &str = "vswitch_trace";
    /// What the XDP hook would do with it; the same.
    pub const TRACE_XDP: &str = "vswitch_trace_xdp";
}

/// What holds for the whole switch. Written by the controller alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SwitchConfig {
    /// [`ABI_VERSION`] of who wrote it.
    pub abi: u32,
    /// Most dynamic FDB entries.
    pub fdb_dynamic: u32,
    /// Moves of one station within [`MOVES_WINDOW_NS`](crate::limits::MOVES_WINDOW_NS) that are put up with; 0 is any number.
    pub station_moves: u32,
    /// Padding, zero.
    pub pad: u32,
}

/// A token bucket: value of `PUNT_BUCKETS` and `SNOOP_BUCKETS`. Written by programs alone; two CPUs that race grant one token too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket {
    /// The second (coarse monotonic clock) that `spent` counts.
    pub second: u64,
    /// Tokens spent in that second.
    pub spent: u64,
}

impl Bucket {
    /// The bucket after one more token of `per_second` was asked for, or none if they are spent.
    #[inline(always)]
    #[must_use]
    pub const fn take(self, now_ns: u64, per_second: u32) -> Option<Self> {
        let second = now_ns / 1_000_000_000;
        if self.second != second {
            return Some(Self { second, spent: 1 });
        }
        if self.spent < per_second as u64 { Some(Self { second, spent: self.spent + 1 }) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_grants_its_rate_each_second_and_no_more() {
        let mut bucket = Bucket { second: 0, spent: 0 };
        let granted = (0..10).filter(|_| bucket.take(5, 3).map(|b| bucket = b).is_some()).count();
        assert_eq!(granted, 3);
        assert!(bucket.take(1_000_000_000, 3).is_some());
    }
}

//! Marks the map values as plain old data for aya. The one unsafe file of this crate.

#![allow(unsafe_code)]

use aya::Pod;

use crate::abi::{Bucket, SwitchConfig};
use crate::fdb::{FdbEntry, FdbKey};
use crate::flap::{Moves, Quarantine};
use crate::guard::GuardKey;
use crate::multicast::{GroupKey, GroupList};
use crate::neighbour::{Neighbour, NeighbourKey};
use crate::port::{MemberKey, NetworkConfig, PortConfig};
use crate::stats::PortCounters;
use crate::trace::{Copied, TraceRecord};
use crate::vlan::VlanSet;

macro_rules! pod {
    ($($type:ty),+) => {
        $(
            // SAFETY: `repr(C)` or `repr(transparent)` over integers and integer arrays, without padding (asserted
            // below or by explicit fields), so every bit pattern is a value and every byte is initialised.
            unsafe impl Pod for $type {}
        )+
    };
}

pod!(
    GroupKey,
    GroupList,
    GuardKey,
    Moves,
    Quarantine,
    VlanSet,
    Bucket,
    SwitchConfig,
    FdbEntry,
    FdbKey,
    Neighbour,
    NeighbourKey,
    MemberKey,
    NetworkConfig,
    PortConfig,
    PortCounters,
    TraceRecord,
    Copied
);

const _: () = {
    assert!(size_of::<PortConfig>() == 8 * 3 + 4 * 11 + 2 * 6);
    assert!(size_of::<NeighbourKey>() == 20);
    assert!(size_of::<MemberKey>() == 4);
    assert!(size_of::<GuardKey>() == 20 && size_of::<GroupKey>() == 20 && size_of::<GroupList>() == 8);
    assert!(size_of::<PortCounters>() == 8 * (9 + crate::stats::DROP_COUNTERS));
};

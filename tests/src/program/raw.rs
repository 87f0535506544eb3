//! The maps that the controller has no call for, by their pins: tests turn back a clock or refill a bucket there.

use std::path::Path;

use aya::maps::{Array, Map, MapData};
use vswitch_common::abi::{self, Bucket};
use vswitch_common::port::PortId;

/// Handles to them.
pub(super) struct RawMaps {
    heartbeat: Array<MapData, u64>,
    punt_buckets: Array<MapData, Bucket>,
}

impl RawMaps {
    /// Opens the pins in a folder.
    pub(super) fn open(folder: &Path) -> Self {
        let heartbeat = open(folder, abi::map::HEARTBEAT).try_into().expect("the heartbeat is an array");
        let punt_buckets = open(folder, abi::map::PUNT_BUCKETS).try_into().expect("the buckets are an array");
        Self { heartbeat, punt_buckets }
    }

    pub(super) fn set_heartbeat(&mut self, at_ns: u64) {
        self.heartbeat.set(0, at_ns, 0).expect("an array has all its places");
    }

    /// Gives a port back all its punts of this second.
    pub(super) fn refill(&mut self, port: PortId) {
        let full = Bucket { second: 0, spent: 0 };
        self.punt_buckets.set(port.index(), full, 0).expect("an array has all its places");
    }
}

fn open(folder: &Path, name: &str) -> Map {
    let data = MapData::from_pin(folder.join(name)).expect("the data path pins its maps");
    Map::from_map_data(data).expect("aya knows the map's type")
}

//! The maps that the controller has no call for, by their pins: tests turn back a clock or refill a bucket there.

use std::path::Path;

use aya::maps::{Array, HashMap, Map, MapData, MapError};
use vswitch_common::abi::{self, Bucket, SwitchConfig};
use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::port::{PortConfig, PortId};

/// Handles to them.
pub(super) struct RawMaps {
    heartbeat: Array<MapData, u64>,
    punt_buckets: Array<MapData, Bucket>,
    snoop_buckets: Array<MapData, Bucket>,
    storms: Array<MapData, u64>,
    config: Array<MapData, SwitchConfig>,
    ports: Array<MapData, PortConfig>,
    fdb: HashMap<MapData, FdbKey, FdbEntry>,
}

impl RawMaps {
    /// Opens the pins in a folder.
    pub(super) fn open(folder: &Path) -> Self {
        Self {
            heartbeat: open(folder, abi::map::HEARTBEAT),
            punt_buckets: open(folder, abi::map::PUNT_BUCKETS),
            snoop_buckets: open(folder, abi::map::SNOOP_BUCKETS),
            storms: open(folder, abi::map::STORMS),
            config: open(folder, abi::map::CONFIG),
            ports: open(folder, abi::map::PORTS),
            fdb: open(folder, abi::map::FDB),
        }
    }

    /// Removes an entry and tells nobody.
    pub(super) fn remove_entry(&mut self, key: FdbKey) {
        self.fdb.remove(&key).expect("the caller knows the entry");
    }

    pub(super) fn config(&self) -> SwitchConfig {
        self.config.get(&0, 0).expect("an array has all its places")
    }

    pub(super) fn set_config(&mut self, config: &SwitchConfig) {
        self.config.set(0, config, 0).expect("an array has all its places");
    }

    /// Has the hint in a slot name another one. What it named.
    pub(super) fn set_hint(&mut self, at: PortId, near: u16) -> u16 {
        let config = self.ports.get(&at.index(), 0).expect("the caller knows the slot");
        self.ports.set(at.index(), PortConfig { near, ..config }, 0).expect("as above");
        config.near
    }

    pub(super) fn set_heartbeat(&mut self, at_ns: u64) {
        self.heartbeat.set(0, at_ns, 0).expect("an array has all its places");
    }

    /// Gives a port back all its punts of this second and its bursts.
    pub(super) fn refill(&mut self, port: PortId) {
        let full = Bucket { second: 0, spent: 0 };
        self.punt_buckets.set(port.index(), full, 0).expect("an array has all its places");
        self.snoop_buckets.set(port.index(), full, 0).expect("an array has all its places");
        for kind in 0..4 {
            self.storms.set(port.index() * 4 + kind, 0, 0).expect("an array has all its places");
        }
    }

    /// Lets a port have used up its limit of a kind of floods, for ever.
    pub(super) fn exhaust(&mut self, port: PortId, kind: u32) {
        self.storms.set(port.index() * 4 + kind, u64::MAX / 2, 0).expect("an array has all its places");
    }
}

fn open<T: TryFrom<Map, Error = MapError>>(folder: &Path, name: &str) -> T {
    let data = MapData::from_pin(folder.join(name)).expect("the data path pins its maps");
    let map = Map::from_map_data(data).expect("aya knows the map's type");
    map.try_into().unwrap_or_else(|error| panic!("{name}: {error}"))
}

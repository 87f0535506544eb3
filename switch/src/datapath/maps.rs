//! Typed handles to the maps.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use aya::Ebpf;
use aya::maps::xdp::XdpMapError;
use aya::maps::{
    Array, DevMap, HashMap, IterableMap as _, Map, MapData, MapError, MapInfo, PerCpuArray, PerCpuValues,
    RingBuf,
};
use aya::sys::SyscallError;
use vswitch_common::abi::{self, SwitchConfig};
use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::flap::Quarantine;
use vswitch_common::guard::GuardKey;
use vswitch_common::limits;
use vswitch_common::multicast::{GroupKey, GroupList};
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_common::port::{MemberKey, NetworkConfig, PortConfig};
use vswitch_common::recent;
use vswitch_common::stats::PortCounters;
use vswitch_common::trace::{Copied, TraceRecord};
use vswitch_common::vlan::VlanSet;

use super::near::Hints;
use super::{DatapathError, FdbPage, MapUse, sys};

/// Entries read in one system call; more than any hash bucket has.
const FDB_PAGE: usize = 4096;

/// All maps that the controller reads or writes; who may write which is said in `switch-ebpf/src/maps.rs`.
pub(super) struct Tables {
    pub(super) config: Array<MapData, SwitchConfig>,
    pub(super) heartbeat: Array<MapData, u64>,
    pub(super) links: HashMap<MapData, u32, u32>,
    pub(super) ports: Array<MapData, PortConfig>,
    pub(super) networks: Array<MapData, NetworkConfig>,
    pub(super) members: HashMap<MapData, MemberKey, u32>,
    pub(super) fdb: HashMap<MapData, FdbKey, FdbEntry>,
    pub(super) learned: Array<MapData, u64>,
    pub(super) deleted: Array<MapData, u64>,
    pub(super) neighbours: HashMap<MapData, NeighbourKey, Neighbour>,
    pub(super) counters: PerCpuArray<MapData, PortCounters>,
    pub(super) targets: DevMap<MapData>,
    pub(super) vlans: Array<MapData, VlanSet>,
    pub(super) guards: HashMap<MapData, GuardKey, u32>,
    pub(super) quarantines: Array<MapData, Quarantine>,
    pub(super) groups: HashMap<MapData, GroupKey, GroupList>,
    pub(super) lost: PerCpuArray<MapData, u64>,
    pub(super) trace: Array<MapData, TraceRecord>,
    pub(super) trace_copies: Array<MapData, Copied>,
    pub(super) hints: Hints,
    shifts: Array<MapData, u64>,
    /// How often this run has changed a port or an entry.
    shifted: u64,
}

impl Tables {
    /// Takes the maps out of the loaded object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, DatapathError> {
        Ok(Self {
            config: take(ebpf, abi::map::CONFIG)?,
            heartbeat: take(ebpf, abi::map::HEARTBEAT)?,
            links: take(ebpf, abi::map::LINKS)?,
            ports: take(ebpf, abi::map::PORTS)?,
            networks: take(ebpf, abi::map::NETWORKS)?,
            members: take(ebpf, abi::map::MEMBERS)?,
            fdb: take(ebpf, abi::map::FDB)?,
            learned: take(ebpf, abi::map::LEARNED)?,
            deleted: take(ebpf, abi::map::DELETED)?,
            neighbours: take(ebpf, abi::map::NEIGHBOURS)?,
            counters: take(ebpf, abi::map::COUNTERS)?,
            targets: take(ebpf, abi::map::TARGETS)?,
            vlans: take(ebpf, abi::map::VLANS)?,
            guards: take(ebpf, abi::map::GUARDS)?,
            quarantines: take(ebpf, abi::map::QUARANTINES)?,
            groups: take(ebpf, abi::map::GROUPS)?,
            lost: take(ebpf, abi::map::LOST)?,
            trace: take(ebpf, abi::map::TRACE)?,
            trace_copies: take(ebpf, abi::map::TRACE_COPIES)?,
            hints: Hints::default(),
            shifts: take(ebpf, abi::map::SHIFTS)?,
            shifted: 0,
        })
    }
}

impl Tables {
    /// Whatever the programs noted of where stations are holds no more. Said after each change of a port or an FDB entry.
    pub(super) fn shift(&mut self) -> Result<(), DatapathError> {
        self.shifted += 1;
        self.shifts.set(recent::BY_CONTROLLER, self.shifted, 0).of(abi::map::SHIFTS)
    }

    /// Puts an entry into the FDB.
    pub(super) fn fdb_set(&mut self, key: FdbKey, entry: &FdbEntry) -> Result<(), DatapathError> {
        self.fdb.insert(key, entry, 0).of(abi::map::FDB)?;
        self.shift()
    }

    /// Reads a page of the FDB from `cursor` on.
    pub(super) fn fdb_page(&self, cursor: Option<u32>) -> Result<FdbPage, DatapathError> {
        let mut keys = vec![FdbKey(0); FDB_PAGE];
        let mut values = vec![FdbEntry::NONE; FDB_PAGE];
        let map = self.fdb.map().fd();
        let (count, next) = sys::lookup_batch(map, cursor, &mut keys, &mut values)
            .map_err(|e| call_failed("bpf_map_lookup_batch", e))
            .of(abi::map::FDB)?;
        Ok(FdbPage { entries: keys.into_iter().zip(values).take(count).collect(), next })
    }

    /// Takes an entry out of the FDB.
    pub(super) fn fdb_take(&mut self, key: FdbKey) -> Result<Option<FdbEntry>, DatapathError> {
        let taken = sys::take_element(self.fdb.map().fd(), &key, FdbEntry::NONE)
            .map_err(|e| call_failed("bpf_map_lookup_and_delete_elem", e))
            .of(abi::map::FDB)?;
        self.shift()?;
        Ok(taken)
    }

    /// Forgets every multicast group, and so floods them.
    pub(super) fn clear_groups(&mut self) -> Result<(), DatapathError> {
        let groups: Vec<GroupKey> = self.groups.keys().collect::<Result<_, _>>().of(abi::map::GROUPS)?;
        for key in groups {
            optional(self.groups.remove(&key)).of(abi::map::GROUPS)?;
        }
        let members: Vec<MemberKey> = self.members.keys().collect::<Result<_, _>>().of(abi::map::MEMBERS)?;
        for key in members.into_iter().filter(|key| u32::from(key.network) >= limits::NETWORKS) {
            optional(self.members.remove(&key)).of(abi::map::MEMBERS)?;
        }
        Ok(())
    }

    /// Sets a port's counters to zero on every CPU.
    pub(super) fn clear_counters(&mut self, port: u32) -> Result<(), DatapathError> {
        let zero = aya::util::nr_cpus()
            .map_err(|(_, e)| e)
            .and_then(|cpus| PerCpuValues::try_from(vec![PortCounters::ZERO; cpus]))
            .map_err(|e| call_failed("nr_cpus", e))
            .of(abi::map::COUNTERS)?;
        self.counters.set(port, zero, 0).of(abi::map::COUNTERS)
    }
}

/// The values of an array's first `slots` port slots: reading one costs as much when it is empty.
pub(super) fn first_of(array: &Array<MapData, u64>, slots: usize) -> Result<Vec<u64>, MapError> {
    let (mut keys, mut values) = (vec![0u32; slots], vec![0u64; slots]);
    let mut cursor = None;
    let mut filled = 0;
    while filled < slots {
        let (count, next) =
            sys::lookup_batch(array.map().fd(), cursor, &mut keys[filled..], &mut values[filled..])
                .map_err(|e| call_failed("bpf_map_lookup_batch", e))?;
        filled += count;
        cursor = next;
        if count == 0 || cursor.is_none() {
            break;
        }
    }
    Ok(values)
}

/// Kernel memory of a pinned map, as the kernel accounts for it.
pub(super) fn map_use(name: &'static str, pin: &Path) -> Result<MapUse, DatapathError> {
    let info = MapInfo::from_pin(pin).of(name)?;
    let fd = info.fd().of(name)?;
    let fdinfo =
        std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).unwrap_or_default();
    let memory_bytes =
        fdinfo.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok()).unwrap_or(0);
    Ok(MapUse { name: name.to_owned(), entries: u64::from(info.max_entries()), memory_bytes })
}

fn call_failed(call: &'static str, io_error: io::Error) -> MapError {
    MapError::SyscallError(SyscallError { call, io_error })
}

/// Takes one of the rings out of the loaded object.
pub(super) fn take_ring(ebpf: &mut Ebpf, name: &'static str) -> Result<RingBuf<MapData>, DatapathError> {
    take(ebpf, name)
}

fn take<T: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, DatapathError> {
    let map = ebpf.take_map(name).ok_or(DatapathError::Missing(name))?;
    T::try_from(map).map_err(|source| DatapathError::Map { map: name, source })
}

/// Says which map a call was about.
pub(super) trait OfMap<T> {
    /// Names the map in the error.
    fn of(self, map: &'static str) -> Result<T, DatapathError>;
}

impl<T> OfMap<T> for Result<T, MapError> {
    fn of(self, map: &'static str) -> Result<T, DatapathError> {
        self.map_err(|source| DatapathError::Map { map, source })
    }
}

impl<T> OfMap<T> for Result<T, XdpMapError> {
    fn of(self, map: &'static str) -> Result<T, DatapathError> {
        self.map_err(|error| match error {
            XdpMapError::MapError(source) => DatapathError::Map { map, source },
            XdpMapError::ChainedProgramNotSupported => DatapathError::Missing("chained XDP program"),
        })
    }
}

/// A missing key is an answer, not an error.
pub(super) fn optional<T>(result: Result<T, MapError>) -> Result<Option<T>, MapError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound | MapError::ElementNotFound) => Ok(None),
        Err(MapError::SyscallError(e)) if e.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

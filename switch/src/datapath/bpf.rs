//! The real data path: programs and maps in the kernel, pinned.

use std::path::PathBuf;

use aya::Ebpf;
use aya::maps::{MapData, RingBuf};
use aya::programs::{Program, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use nix::time::{ClockId, clock_gettime};
use vswitch_common::abi::{self, SwitchConfig};
use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::flap::Quarantine;
use vswitch_common::guard::GuardKey;
use vswitch_common::multicast::{GroupKey, GroupList};
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_common::port::{MemberKey, NetworkConfig, PortConfig, PortId, flag};
use vswitch_common::stats::PortCounters;
use vswitch_common::verdict::DropReason;
use vswitch_common::vlan::{Form, VlanSet};

use super::held::Held;
use super::load::{load_programs, program};
use super::maps::{OfMap as _, Tables, optional, take_ring};
use super::migrate::{Replaced, Way};
use super::object::{self, Adopted, MAPS, Pins};
use super::{
    Datapath, DatapathError, FdbPage, Health, Known, MapUse, Target, TcMode, Traced, XdpMode, links, maps,
    migrate, trace,
};
use crate::api::types::Hook;

/// Offset of `cb[0]` in `struct __sk_buff` (`linux/bpf.h`), and how much of the struct a run is given.
const CONTROL_OFFSET: usize = 48;
const CONTEXT_BYTES: usize = CONTROL_OFFSET + 5 * 4;

/// How the data path is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of pins, on a bpffs.
    pub pins: PathBuf,
    /// Most dynamic FDB entries; takes effect when the map is made.
    pub fdb_dynamic: u32,
    /// Moves of a station that are put up with; 0 is any number. See [`SwitchConfig::station_moves`].
    pub station_moves: u32,
    /// How to attach the tc program; none is by what the kernel has.
    pub tc_mode: Option<TcMode>,
}

/// The data path in the kernel.
pub struct Bpf {
    ebpf: Ebpf,
    tables: Tables,
    pins: Pins,
    /// How the tc program is attached: as told, or as the first attachment found out.
    tc_mode: Option<TcMode>,
    /// Traces so far.
    traces: u32,
    held: Held,
    /// Maps of the ABI version before, until their programs are replaced.
    replaced: Vec<Replaced>,
}

/// The rings, which the event readers own.
pub struct Rings {
    /// Notices.
    pub events: RingBuf<MapData>,
    /// Punted frames.
    pub punts: RingBuf<MapData>,
    /// Messages about multicast membership.
    pub snoops: RingBuf<MapData>,
}

impl Bpf {
    /// Loads the object over the pins under `settings.pins`, or makes them.
    ///
    /// # Errors
    /// When the object does not load, the pins are of another ABI version, or the folder is not on a bpffs.
    pub fn open(settings: &Settings) -> Result<(Self, Rings, Adopted), DatapathError> {
        let pins = Pins::create(&settings.pins)?;
        let (mut ebpf, adopted, replaced) = object::load(&pins, settings.fdb_dynamic)?;
        let mut tables = Tables::take(&mut ebpf)?;
        let rings = Rings {
            events: take_ring(&mut ebpf, abi::map::EVENTS)?,
            punts: take_ring(&mut ebpf, abi::map::PUNTS)?,
            snoops: take_ring(&mut ebpf, abi::map::SNOOPS)?,
        };
        #[cfg(feature = "ebpf-log")]
        super::log::forward(&mut ebpf);
        load_programs(&mut ebpf)?;
        let Settings { fdb_dynamic, station_moves, .. } = *settings;
        let config = SwitchConfig { abi: abi::ABI_VERSION, fdb_dynamic, station_moves, pad: 0 };
        tables.config.set(0, config, 0).of(abi::map::CONFIG)?;
        // Before the first beat: who was a member in an earlier run need not be one now.
        tables.clear_groups()?;
        tables.hint_again()?;
        let held = Held::open(&pins);
        let mut bpf = Self { ebpf, tables, pins, held, tc_mode: settings.tc_mode, replaced, traces: 0 };
        bpf.beat()?;
        Ok((bpf, rings, adopted))
    }

    /// The loaded programs, for the verifier's figures and for test runs.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &Program)> {
        self.ebpf.programs()
    }

    fn xdp(&mut self) -> Result<&mut Xdp, DatapathError> {
        program(&mut self.ebpf, abi::program::XDP)
    }

    fn tc(&mut self) -> Result<&mut SchedClassifier, DatapathError> {
        program(&mut self.ebpf, abi::program::TC)
    }
}

impl Datapath for Bpf {
    fn set_port(&mut self, port: PortId, config: &PortConfig) -> Result<(), DatapathError> {
        self.tables.set_port(port, config)
    }

    fn port(&self, port: PortId) -> Result<PortConfig, DatapathError> {
        self.tables.port(port)
    }

    fn set_link(&mut self, ifindex: u32, port: Option<PortId>) -> Result<(), DatapathError> {
        self.tables.set_link(ifindex, port)
    }

    fn set_target(&mut self, port: PortId, ifindex: Option<u32>) -> Result<(), DatapathError> {
        // Index 0 empties the place (kernel/bpf/devmap.c, __dev_map_alloc_node).
        self.tables.targets.set(port.index(), ifindex.unwrap_or(0), None, 0).of(abi::map::TARGETS)
    }

    fn set_member(&mut self, network: u16, place: u16, port: Option<PortId>) -> Result<(), DatapathError> {
        let key = MemberKey { network, index: place };
        match port {
            Some(port) => self.tables.members.insert(key, port.index(), 0).of(abi::map::MEMBERS),
            None => optional(self.tables.members.remove(&key)).of(abi::map::MEMBERS).map(drop),
        }
    }

    fn set_network(&mut self, network: u16, config: &NetworkConfig) -> Result<(), DatapathError> {
        self.tables.networks.set(u32::from(network), config, 0).of(abi::map::NETWORKS)
    }

    fn attach_tc(&mut self, port: PortId, target: &Target) -> Result<TcMode, DatapathError> {
        let (wanted, pin) = (self.tc_mode, self.pins.link(port, "tc"));
        let program = self.tc()?;
        let mode = match wanted {
            Some(TcMode::Clsact) => links::attach_clsact(program, target).map(|()| TcMode::Clsact)?,
            Some(TcMode::Tcx) => links::attach_tcx(program, target, &pin).map(|()| TcMode::Tcx)?,
            None => match links::attach_tcx(program, target, &pin) {
                Ok(()) => TcMode::Tcx,
                Err(error) if links::lacks_tcx(&error) => {
                    links::attach_clsact(program, target).map(|()| TcMode::Clsact)?
                }
                Err(error) => return Err(error),
            },
        };
        self.tc_mode = Some(mode);
        if mode == TcMode::Tcx {
            self.held.hold(port, "tc", &pin);
        }
        Ok(mode)
    }

    fn detach_tc(&mut self, port: PortId, target: &Target, mode: TcMode) -> Result<(), DatapathError> {
        match mode {
            TcMode::Tcx => {
                self.held.detach(port, "tc");
                links::detach(&self.pins.link(port, "tc"))
            }
            TcMode::Clsact => {
                links::detach_clsact(target);
                Ok(())
            }
        }
    }

    fn attach_xdp(&mut self, port: PortId, target: &Target, mode: XdpMode) -> Result<(), DatapathError> {
        let pin = self.pins.link(port, "xdp");
        links::attach_xdp(self.xdp()?, target, mode, &pin)?;
        self.held.hold(port, "xdp", &pin);
        Ok(())
    }

    fn detach_xdp(&mut self, port: PortId) -> Result<(), DatapathError> {
        self.held.detach(port, "xdp");
        links::detach(&self.pins.link(port, "xdp"))
    }

    fn fdb_set(&mut self, key: FdbKey, entry: &FdbEntry) -> Result<(), DatapathError> {
        self.tables.fdb_set(key, entry)
    }

    fn fdb_remove(&mut self, key: FdbKey) -> Result<Option<FdbEntry>, DatapathError> {
        self.tables.fdb_take(key)
    }

    fn fdb_get(&self, key: FdbKey) -> Result<Option<FdbEntry>, DatapathError> {
        optional(self.tables.fdb.get(&key, 0)).of(abi::map::FDB)
    }

    fn fdb_page(&self, cursor: Option<u32>) -> Result<FdbPage, DatapathError> {
        self.tables.fdb_page(cursor)
    }

    fn dynamic_entries(&self, port: PortId) -> Result<u64, DatapathError> {
        let learned = self.tables.learned.get(&port.index(), 0).of(abi::map::LEARNED)?;
        let deleted = self.tables.deleted.get(&port.index(), 0).of(abi::map::DELETED)?;
        Ok(learned.wrapping_sub(deleted))
    }

    fn dynamic_entries_to(&self, last: PortId) -> Result<Vec<u64>, DatapathError> {
        let slots = usize::from(last.0) + 1;
        let learned = maps::first_of(&self.tables.learned, slots).of(abi::map::LEARNED)?;
        let deleted = maps::first_of(&self.tables.deleted, slots).of(abi::map::DELETED)?;
        Ok(learned.iter().zip(&deleted).map(|(learned, deleted)| learned.wrapping_sub(*deleted)).collect())
    }

    fn mend_dynamic(&mut self, port: PortId, change: i64) -> Result<(), DatapathError> {
        let deleted = self.tables.deleted.get(&port.index(), 0).of(abi::map::DELETED)?;
        let mended = deleted.wrapping_sub(change.cast_unsigned());
        self.tables.deleted.set(port.index(), mended, 0).of(abi::map::DELETED)
    }

    fn set_neighbour(
        &mut self,
        key: &NeighbourKey,
        neighbour: Option<Neighbour>,
    ) -> Result<(), DatapathError> {
        match neighbour {
            Some(neighbour) => self.tables.neighbours.insert(key, neighbour, 0).of(abi::map::NEIGHBOURS),
            None => optional(self.tables.neighbours.remove(key)).of(abi::map::NEIGHBOURS).map(drop),
        }
    }

    fn counters(&self, port: PortId) -> Result<PortCounters, DatapathError> {
        let per_cpu = self.tables.counters.get(&port.index(), 0).of(abi::map::COUNTERS)?;
        let mut sum = PortCounters::ZERO;
        for one in per_cpu.iter() {
            sum.add(one);
        }
        Ok(sum)
    }

    fn clear_counters(&mut self, port: PortId) -> Result<(), DatapathError> {
        self.tables.clear_counters(port.index())
    }

    fn quarantine(&self, port: PortId) -> Result<Quarantine, DatapathError> {
        self.tables.quarantines.get(&port.index(), 0).of(abi::map::QUARANTINES)
    }

    fn clear_quarantine(&mut self, port: PortId) -> Result<(), DatapathError> {
        self.tables.quarantines.set(port.index(), Quarantine::NONE, 0).of(abi::map::QUARANTINES)
    }

    fn lost(&self) -> Result<u64, DatapathError> {
        let mut lost = 0;
        for ring in 0..abi::ring::COUNT {
            lost += self.tables.lost.get(&ring, 0).of(abi::map::LOST)?.iter().sum::<u64>();
        }
        Ok(lost)
    }

    fn beat(&mut self) -> Result<(), DatapathError> {
        let now = self.now_ns();
        self.tables.heartbeat.set(0, now, 0).of(abi::map::HEARTBEAT)
    }

    fn retire(&mut self) -> Result<(), DatapathError> {
        self.tables.heartbeat.set(0, 0, 0).of(abi::map::HEARTBEAT)
    }

    fn set_vlans(&mut self, port: PortId, vlans: &VlanSet) -> Result<(), DatapathError> {
        self.tables.vlans.set(port.index(), vlans, 0).of(abi::map::VLANS)
    }

    fn set_guard(&mut self, key: &GuardKey, is_given: bool) -> Result<(), DatapathError> {
        if is_given {
            self.tables.guards.insert(key, 1, 0).of(abi::map::GUARDS)
        } else {
            optional(self.tables.guards.remove(key)).of(abi::map::GUARDS).map(drop)
        }
    }

    fn set_group(&mut self, key: &GroupKey, list: Option<GroupList>) -> Result<(), DatapathError> {
        match list {
            Some(list) => self.tables.groups.insert(key, list, 0).of(abi::map::GROUPS),
            None => optional(self.tables.groups.remove(key)).of(abi::map::GROUPS).map(drop),
        }
    }

    fn send(&mut self, network: u16, vid: u16, frame: &[u8]) -> Result<(), DatapathError> {
        // No frame comes in by nobody's port: its slot says where the controller's own go.
        let nobody = PortConfig { network, flags: flag::FORWARDING, ..PortConfig::FREE };
        self.set_port(PortId::NOBODY, &nobody)?;
        let done = self.flood(PortId::NOBODY, vid, frame);
        self.set_port(PortId::NOBODY, &PortConfig::FREE)?;
        done
    }

    fn flood(&mut self, ingress: PortId, vid: u16, frame: &[u8]) -> Result<(), DatapathError> {
        let mut context = [0u8; CONTEXT_BYTES];
        context[CONTROL_OFFSET..CONTROL_OFFSET + 4].copy_from_slice(&ingress.index().to_ne_bytes());
        context[CONTROL_OFFSET + 4..CONTROL_OFFSET + 8].copy_from_slice(&u32::from(vid).to_ne_bytes());
        let options =
            TestRunOptions { data_in: Some(frame), ctx_in: Some(&context), ..TestRunOptions::default() };
        let run = program::<SchedClassifier>(&mut self.ebpf, abi::program::FLOOD)?.test_run(options);
        run.map(drop).map_err(|source| DatapathError::Program {
            program: abi::program::FLOOD,
            link: format!("port {}", ingress.0),
            source,
        })
    }

    fn trace(&mut self, hook: Hook, ifindex: u32, frame: &[u8]) -> Result<Traced, DatapathError> {
        self.traces = self.traces.wrapping_add(1).max(1);
        let number = self.traces;
        match hook {
            Hook::Tc => {
                trace::at_tc(program(&mut self.ebpf, abi::program::TRACE)?, ifindex, number, frame)?;
            }
            Hook::Xdp => trace::at_xdp(program(&mut self.ebpf, abi::program::TRACE_XDP)?, ifindex, frame)?,
        }
        let record = self.tables.trace.get(&0, 0).of(abi::map::TRACE)?;
        Ok(Traced { record, number })
    }

    fn copied(
        &self,
        traced: &Traced,
        port: PortId,
    ) -> Result<Option<Result<Form, DropReason>>, DatapathError> {
        let copied = self.tables.trace_copies.get(&port.index(), 0).of(abi::map::TRACE_COPIES)?;
        Ok(copied.of(traced.number))
    }

    fn map_use(&self) -> Result<Vec<MapUse>, DatapathError> {
        MAPS.iter().map(|name| maps::map_use(name, &self.pins.map(name))).collect()
    }

    fn prune(&mut self, known: &Known) -> Result<usize, DatapathError> {
        let links: Vec<u32> = self.tables.links.keys().collect::<Result<_, _>>().of(abi::map::LINKS)?;
        let members: Vec<MemberKey> =
            self.tables.members.keys().collect::<Result<_, _>>().of(abi::map::MEMBERS)?;
        // Neighbours are known again when they speak; nobody would notice that one has gone meanwhile.
        let neighbours: Vec<_> =
            self.tables.neighbours.keys().collect::<Result<_, _>>().of(abi::map::NEIGHBOURS)?;
        for key in neighbours {
            self.set_neighbour(&key, None)?;
        }
        let guards: Vec<_> = self.tables.guards.keys().collect::<Result<_, _>>().of(abi::map::GUARDS)?;
        for key in guards.into_iter().filter(|key| !known.guards.contains(key)) {
            self.set_guard(&key, false)?;
        }
        let mut pruned = self.pins.prune(&known.ports)?;
        for ifindex in links.into_iter().filter(|ifindex| !known.links.contains(ifindex)) {
            self.set_link(ifindex, None)?;
            pruned += 1;
        }
        for key in members.into_iter().filter(|key| !known.members.contains(&(key.network, key.index))) {
            self.set_member(key.network, key.index, None)?;
            pruned += 1;
        }
        Ok(pruned)
    }

    fn remove(&mut self) -> Result<(), DatapathError> {
        self.pins.remove()
    }

    fn health(&self, port: PortId) -> Health {
        self.held.health(port)
    }

    fn mend_pins(&mut self) -> Result<usize, DatapathError> {
        self.held.mend(&self.pins)
    }

    fn settle(&mut self) {
        migrate::settle(std::mem::take(&mut self.replaced));
    }

    fn migrate_back(&mut self) -> Result<(), DatapathError> {
        migrate::migrate(&self.pins, Way::Back)?;
        let config = self.tables.config.get(&0, 0).of(abi::map::CONFIG)?;
        let config = SwitchConfig { abi: abi::ABI_VERSION - 1, ..config };
        self.tables.config.set(0, config, 0).of(abi::map::CONFIG)
    }

    fn now_ns(&self) -> u64 {
        let now =
            clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).expect("Linux has had this clock since 2.6.32");
        now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned()
    }
}

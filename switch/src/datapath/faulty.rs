//! A data path in memory that fails on a chosen call: for tests that prove rollback, and for the controller's unit tests.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::flap::Quarantine;
use vswitch_common::guard::GuardKey;
use vswitch_common::multicast::{GroupKey, GroupList};
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_common::port::{NetworkConfig, PortConfig, PortId};
use vswitch_common::stats::PortCounters;
use vswitch_common::trace::TraceRecord;
use vswitch_common::verdict::DropReason;
use vswitch_common::vlan::{Form, VlanSet};

use super::{Datapath, DatapathError, FdbPage, Known, MapUse, Target, TcMode, Traced, XdpMode};
use crate::api::types::Hook;

/// Everything the data path holds; compare two of them to see what a failure left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Port slots that are not free.
    pub ports: BTreeMap<u16, PortConfig>,
    /// Link index → port.
    pub links: BTreeMap<u32, u16>,
    /// Redirect targets.
    pub targets: BTreeMap<u16, u32>,
    /// (network, place) → port.
    pub members: BTreeMap<(u16, u16), u16>,
    /// Places in use by network.
    pub networks: BTreeMap<u16, u32>,
    /// Attached tc programs: port → link index.
    pub tc: BTreeMap<u16, u32>,
    /// Attached XDP programs: port → (link index, native).
    pub xdp: BTreeMap<u16, (u32, bool)>,
    /// Addresses that ports were given.
    pub guards: BTreeSet<(u16, [u8; 16])>,
    /// Multicast groups: list and places in use.
    pub groups: BTreeMap<GroupKey, (u16, u16, u32)>,
    /// Frames of the controller's own: network, VLAN, frame.
    pub sent: Vec<(u16, u16, Vec<u8>)>,
    /// The FDB.
    pub fdb: BTreeMap<u64, (u16, u16)>,
}

/// The data path that fails.
#[derive(Debug, Clone, Default)]
pub struct Faulty {
    /// What it holds.
    pub held: Held,
    /// Calls so far that change something.
    pub calls: usize,
    /// The call to fail, counted from 0.
    pub fail_at: Option<usize>,
    entries: HashMap<u64, FdbEntry>,
    now_ns: u64,
}

impl Faulty {
    /// One that fails on call `n`, counted from 0.
    #[must_use]
    pub fn failing_at(n: usize) -> Self {
        Self { fail_at: Some(n), ..Self::default() }
    }

    fn call(&mut self) -> Result<&mut Held, DatapathError> {
        let call = self.calls;
        self.calls += 1;
        if self.fail_at == Some(call) { Err(DatapathError::OnPurpose(call)) } else { Ok(&mut self.held) }
    }
}

/// Puts a value at a key, or removes it.
fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

impl Datapath for Faulty {
    fn set_port(&mut self, port: PortId, config: &PortConfig) -> Result<(), DatapathError> {
        let config = (config.ifindex != 0).then_some(*config);
        put(&mut self.call()?.ports, port.0, config);
        Ok(())
    }

    fn port(&self, port: PortId) -> Result<PortConfig, DatapathError> {
        Ok(self.held.ports.get(&port.0).copied().unwrap_or(PortConfig::FREE))
    }

    fn set_link(&mut self, ifindex: u32, port: Option<PortId>) -> Result<(), DatapathError> {
        put(&mut self.call()?.links, ifindex, port.map(|p| p.0));
        Ok(())
    }

    fn set_target(&mut self, port: PortId, ifindex: Option<u32>) -> Result<(), DatapathError> {
        put(&mut self.call()?.targets, port.0, ifindex);
        Ok(())
    }

    fn set_member(&mut self, network: u16, place: u16, port: Option<PortId>) -> Result<(), DatapathError> {
        put(&mut self.call()?.members, (network, place), port.map(|p| p.0));
        Ok(())
    }

    fn set_network(&mut self, network: u16, config: &NetworkConfig) -> Result<(), DatapathError> {
        let places = (config.places != 0).then_some(config.places);
        put(&mut self.call()?.networks, network, places);
        Ok(())
    }

    fn attach_tc(&mut self, port: PortId, target: &Target) -> Result<TcMode, DatapathError> {
        self.call()?.tc.insert(port.0, target.ifindex);
        Ok(TcMode::Tcx)
    }

    fn detach_tc(&mut self, port: PortId, _target: &Target, _mode: TcMode) -> Result<(), DatapathError> {
        self.call()?.tc.remove(&port.0);
        Ok(())
    }

    fn attach_xdp(&mut self, port: PortId, target: &Target, mode: XdpMode) -> Result<(), DatapathError> {
        self.call()?.xdp.insert(port.0, (target.ifindex, mode == XdpMode::Native));
        Ok(())
    }

    fn detach_xdp(&mut self, port: PortId) -> Result<(), DatapathError> {
        self.call()?.xdp.remove(&port.0);
        Ok(())
    }

    fn fdb_set(&mut self, key: FdbKey, entry: &FdbEntry) -> Result<(), DatapathError> {
        self.call()?.fdb.insert(key.0, (entry.port, entry.flags));
        self.entries.insert(key.0, *entry);
        Ok(())
    }

    fn fdb_remove(&mut self, key: FdbKey) -> Result<Option<FdbEntry>, DatapathError> {
        self.call()?.fdb.remove(&key.0);
        Ok(self.entries.remove(&key.0))
    }

    fn fdb_get(&self, key: FdbKey) -> Result<Option<FdbEntry>, DatapathError> {
        Ok(self.entries.get(&key.0).copied())
    }

    fn fdb_page(&self, _cursor: Option<u32>) -> Result<FdbPage, DatapathError> {
        Ok(FdbPage { entries: self.entries.iter().map(|(k, e)| (FdbKey(*k), *e)).collect(), next: None })
    }

    fn dynamic_entries(&self, port: PortId) -> Result<u64, DatapathError> {
        let of_port = |e: &&FdbEntry| !e.is_permanent() && (port == PortId::NOBODY || e.port == port.0);
        Ok(self.entries.values().filter(of_port).count() as u64)
    }

    fn dynamic_entries_to(&self, last: PortId) -> Result<Vec<u64>, DatapathError> {
        (0..=last.0).map(|slot| self.dynamic_entries(PortId(slot))).collect()
    }

    fn mend_dynamic(&mut self, _port: PortId, _change: i64) -> Result<(), DatapathError> {
        self.call().map(drop)
    }

    fn set_neighbour(
        &mut self,
        _key: &NeighbourKey,
        _neighbour: Option<Neighbour>,
    ) -> Result<(), DatapathError> {
        self.call().map(drop)
    }

    fn counters(&self, _port: PortId) -> Result<PortCounters, DatapathError> {
        Ok(PortCounters::ZERO)
    }

    fn clear_counters(&mut self, _port: PortId) -> Result<(), DatapathError> {
        self.call().map(drop)
    }

    fn quarantine(&self, _port: PortId) -> Result<Quarantine, DatapathError> {
        Ok(Quarantine::NONE)
    }

    fn clear_quarantine(&mut self, _port: PortId) -> Result<(), DatapathError> {
        self.call().map(drop)
    }

    fn lost(&self) -> Result<u64, DatapathError> {
        Ok(0)
    }

    fn beat(&mut self) -> Result<(), DatapathError> {
        self.now_ns += 1_000_000_000;
        Ok(())
    }

    fn retire(&mut self) -> Result<(), DatapathError> {
        Ok(())
    }

    fn set_vlans(&mut self, _port: PortId, _vlans: &VlanSet) -> Result<(), DatapathError> {
        self.call().map(drop)
    }

    fn set_guard(&mut self, key: &GuardKey, is_given: bool) -> Result<(), DatapathError> {
        let (guards, entry) = (&mut self.call()?.guards, (key.port, key.ip));
        guards.retain(|other| *other != entry);
        guards.extend(is_given.then_some(entry));
        Ok(())
    }

    fn flood(&mut self, _ingress: PortId, _vid: u16, _frame: &[u8]) -> Result<(), DatapathError> {
        self.call().map(drop)
    }

    fn trace(&mut self, _hook: Hook, _ifindex: u32, _frame: &[u8]) -> Result<Traced, DatapathError> {
        self.call().map(|_| Traced { record: TraceRecord::EMPTY, number: 0 })
    }

    fn copied(
        &self,
        _traced: &Traced,
        _port: PortId,
    ) -> Result<Option<Result<Form, DropReason>>, DatapathError> {
        Ok(None)
    }

    fn set_group(&mut self, key: &GroupKey, list: Option<GroupList>) -> Result<(), DatapathError> {
        put(&mut self.call()?.groups, *key, list.map(|list| (list.list, list.places, list.flags)));
        Ok(())
    }

    fn send(&mut self, network: u16, vid: u16, frame: &[u8]) -> Result<(), DatapathError> {
        self.call()?.sent.push((network, vid, frame.to_vec()));
        Ok(())
    }

    fn map_use(&self) -> Result<Vec<MapUse>, DatapathError> {
        Ok(Vec::new())
    }

    fn prune(&mut self, known: &Known) -> Result<usize, DatapathError> {
        let held = self.call()?;
        held.links.retain(|ifindex, _| known.links.contains(ifindex));
        held.members.retain(|place, _| known.members.contains(place));
        held.tc.retain(|slot, _| known.ports.contains(slot));
        held.xdp.retain(|slot, _| known.ports.contains(slot));
        Ok(0)
    }

    fn remove(&mut self) -> Result<(), DatapathError> {
        *self.call()? = Held::default();
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        self.now_ns
    }
}

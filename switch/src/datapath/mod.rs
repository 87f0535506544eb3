//! The data path as the controller sees it: a few verbs over ports, members, entries and counters.
//!
//! [`Datapath`] has two implementations: [`Bpf`], which loads and pins the real programs and maps, and
//! [`Faulty`](faulty::Faulty), which keeps everything in memory and fails on a chosen call, to prove that every failure
//! rolls back.

mod bpf;
mod error;
pub mod events;
pub mod faulty;
mod held;
mod links;
mod load;
#[cfg(feature = "ebpf-log")]
mod log;
mod maps;
mod migrate;
mod near;
mod object;
mod pinwatch;
mod sys;
mod trace;

use std::any::Any;
use std::collections::{BTreeSet, HashSet};

use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::flap::Quarantine;
use vswitch_common::guard::GuardKey;
use vswitch_common::multicast::{GroupKey, GroupList};
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_common::port::{NetworkConfig, PortConfig, PortId};
use vswitch_common::stats::PortCounters;
use vswitch_common::verdict::DropReason;
use vswitch_common::vlan::{Form, VlanSet};

use crate::api::types::Hook;

pub use bpf::{Bpf, Rings, Settings};
pub use error::DatapathError;
pub use held::Health;
pub use links::CLSACT_HANDLE;
pub use load::try_programs;
pub use migrate::MIGRATES;
pub use object::{Adopted, OBJECT, programs};
pub use trace::Traced;

/// How an XDP program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// On socket buffers.
    Generic,
}

/// How a tc program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TcMode {
    /// By a pinned tcx link (Linux 6.6).
    Tcx,
    /// By a filter of a clsact qdisc.
    Clsact,
}

/// A Linux link that programs are attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name, for messages and for the netlink calls that want one.
    pub name: String,
    /// Index in the controller's network namespace.
    pub ifindex: u32,
}

/// The kernel's memory for one map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapUse {
    /// Map name.
    pub name: String,
    /// Most entries.
    pub entries: u64,
    /// Bytes of kernel memory, as the kernel accounts for it.
    pub memory_bytes: u64,
}

/// What the controller asks of the data path. All calls are synchronous and short: a system call or a few. `Any`, so that a
/// test finds its own one behind the trait.
pub trait Datapath: Any + Send + Sync {
    /// Writes a port's slot.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn set_port(&mut self, port: PortId, config: &PortConfig) -> Result<(), DatapathError>;

    /// A port's slot as it is; a free one keeps the epoch of its last owner.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn port(&self, port: PortId) -> Result<PortConfig, DatapathError>;

    /// Makes frames of a link those of a port, or of nobody.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn set_link(&mut self, ifindex: u32, port: Option<PortId>) -> Result<(), DatapathError>;

    /// Lets XDP redirect to a port's link, or no more.
    ///
    /// # Errors
    /// When the link has gone.
    fn set_target(&mut self, port: PortId, ifindex: Option<u32>) -> Result<(), DatapathError>;

    /// Puts a port at a place of the flood list of a network or a group, or empties the place.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn set_member(&mut self, network: u16, place: u16, port: Option<PortId>) -> Result<(), DatapathError>;

    /// Writes a network.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn set_network(&mut self, network: u16, config: &NetworkConfig) -> Result<(), DatapathError>;

    /// Attaches the tc program, in the way that the kernel has.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn attach_tc(&mut self, port: PortId, target: &Target) -> Result<TcMode, DatapathError>;

    /// Detaches the tc program; a link or program that has gone is fine.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn detach_tc(&mut self, port: PortId, target: &Target, mode: TcMode) -> Result<(), DatapathError>;

    /// Attaches the XDP program in just this mode.
    ///
    /// # Errors
    /// When the kernel refuses: no native XDP in the driver, another program in place, an MTU or queues that do not fit.
    fn attach_xdp(&mut self, port: PortId, target: &Target, mode: XdpMode) -> Result<(), DatapathError>;

    /// Detaches the XDP program; a link or program that has gone is fine.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn detach_xdp(&mut self, port: PortId) -> Result<(), DatapathError>;

    /// Adds or replaces a permanent FDB entry.
    ///
    /// # Errors
    /// When the table is full.
    fn fdb_set(&mut self, key: FdbKey, entry: &FdbEntry) -> Result<(), DatapathError>;

    /// Removes an entry and says what it was.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn fdb_remove(&mut self, key: FdbKey) -> Result<Option<FdbEntry>, DatapathError>;

    /// One entry.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn fdb_get(&self, key: FdbKey) -> Result<Option<FdbEntry>, DatapathError>;

    /// A page of entries: from the start, or from where the page before it ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn fdb_page(&self, cursor: Option<u32>) -> Result<FdbPage, DatapathError>;

    /// Dynamic entries as the data path counts them, of one port or with [`PortId::NOBODY`] of all.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn dynamic_entries(&self, port: PortId) -> Result<u64, DatapathError>;

    /// The same of every slot to this one, by slot: a few system calls for all of them.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn dynamic_entries_to(&self, last: PortId) -> Result<Vec<u64>, DatapathError>;

    /// Mends the count of a port's dynamic entries by `change`.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn mend_dynamic(&mut self, port: PortId, change: i64) -> Result<(), DatapathError>;

    /// Says who has an address, or that nobody has.
    ///
    /// # Errors
    /// When the table is full.
    fn set_neighbour(
        &mut self,
        key: &NeighbourKey,
        neighbour: Option<Neighbour>,
    ) -> Result<(), DatapathError>;

    /// A port's counters, over all CPUs.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn counters(&self, port: PortId) -> Result<PortCounters, DatapathError>;

    /// Sets a port's counters to zero.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn clear_counters(&mut self, port: PortId) -> Result<(), DatapathError>;

    /// A port's quarantine, now or lately; of [`PortId::NOBODY`], the count of all of them.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn quarantine(&self, port: PortId) -> Result<Quarantine, DatapathError>;

    /// Ends a port's quarantine and forgets that there were any.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn clear_quarantine(&mut self, port: PortId) -> Result<(), DatapathError>;

    /// Records that found their ring full since the data path was made.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn lost(&self) -> Result<u64, DatapathError>;

    /// Says that the controller lives.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn beat(&mut self) -> Result<(), DatapathError>;

    /// Writes the VLANs of a trunk.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn set_vlans(&mut self, port: PortId, vlans: &VlanSet) -> Result<(), DatapathError>;

    /// Lets a guarded port have an IP address, or no more.
    ///
    /// # Errors
    /// When the table is full.
    fn set_guard(&mut self, key: &GuardKey, is_given: bool) -> Result<(), DatapathError>;

    /// Says that the controller leaves: nobody takes punts any more.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn retire(&mut self) -> Result<(), DatapathError>;

    /// Floods a punted frame within VLAN `vid` (0 on a VLAN-unaware network) of the network of the port it came in by, that
    /// port excluded.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn flood(&mut self, ingress: PortId, vid: u16, frame: &[u8]) -> Result<(), DatapathError>;

    /// Decides about a frame that comes in by a link as the program at this hook does, and carries nothing out.
    ///
    /// # Errors
    /// When the link has gone, or the kernel does not run a program over such a frame.
    fn trace(&mut self, hook: Hook, ifindex: u32, frame: &[u8]) -> Result<Traced, DatapathError>;

    /// What the flood that was traced does at a port: the form of its copy, or why it gets none. None if it was not asked.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn copied(
        &self,
        traced: &Traced,
        port: PortId,
    ) -> Result<Option<Result<Form, DropReason>>, DatapathError>;

    /// Gives a multicast group a flood list, or no more.
    ///
    /// # Errors
    /// When the table is full.
    fn set_group(&mut self, key: &GroupKey, list: Option<GroupList>) -> Result<(), DatapathError>;

    /// Sends a frame of the controller's own to each port of a network's VLAN `vid` (0 on a VLAN-unaware network).
    ///
    /// # Errors
    /// When the kernel refuses.
    fn send(&mut self, network: u16, vid: u16, frame: &[u8]) -> Result<(), DatapathError>;

    /// Limits and memory of each map.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn map_use(&self) -> Result<Vec<MapUse>, DatapathError>;

    /// Removes what is not known of: links, members and attachments that an interrupted command left. How many.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn prune(&mut self, known: &Known) -> Result<usize, DatapathError>;

    /// Removes every pin, and so programs and maps. Ports must have been taken apart before.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    fn remove(&mut self) -> Result<(), DatapathError>;

    /// Whether the port's attachments are still what they were made.
    fn health(&self, _port: PortId) -> Health {
        Health::default()
    }

    /// Makes pins again that somebody removed, on a new bpffs where theirs was unmounted. How many; an error where they cannot be made
    /// again, and the ports stop when the controller does.
    fn mend_pins(&mut self) -> Result<usize, DatapathError> {
        Ok(0)
    }

    /// Every port has been brought about: what programs of the run before wrote elsewhere meanwhile is taken over.
    fn settle(&mut self) {}

    /// Makes the maps those of the ABI version before this build's, for an earlier vswitch that takes over.
    fn migrate_back(&mut self) -> Result<(), DatapathError> {
        Ok(())
    }

    /// Monotonic time as the data path's clock gives it, in nanoseconds.
    fn now_ns(&self) -> u64;
}

/// What the durable state knows of.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Port slots.
    pub ports: BTreeSet<u16>,
    /// Link indices.
    pub links: BTreeSet<u32>,
    /// (network, place) in flood lists.
    pub members: BTreeSet<(u16, u16)>,
    /// Addresses that ports were given.
    pub guards: HashSet<GuardKey>,
}

/// A page of the FDB.
#[derive(Debug, Clone, Default)]
pub struct FdbPage {
    /// Entries, in no particular order.
    pub entries: Vec<(FdbKey, FdbEntry)>,
    /// Where the next page begins; none if this was the last.
    pub next: Option<u32>,
}

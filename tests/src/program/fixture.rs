//! The loaded data path with a few ports: set up as the controller would, by the same calls, and reset between cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use aya::programs::{Program, ProgramError};
use vswitch::api::types::Hook;
use vswitch::datapath::{Bpf, Datapath as _, Rings, Settings};
use vswitch_common::abi::{self, SwitchConfig};
use vswitch_common::domain::DomainId;
use vswitch_common::event::{Notice, PuntRecord};
use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::mac::MacAddr;
use vswitch_common::neighbour::{Neighbour, NeighbourKey};
use vswitch_common::port::{NetworkConfig, PortConfig, PortId, flag};

use super::apart::{apart, here, obstacle, within};
use super::links::{Link, make_links};
use super::raw::RawMaps;
use super::run::{self, Gso, Run};
use super::tally::Tally;
use crate::hooks::skip;

/// The network that all ports are in at first.
pub const NETWORK: u16 = 1;

/// The domain of a network's frames; another number than the network's, so that one taken for the other shows.
#[must_use]
pub const fn domain_of(network: u16) -> DomainId {
    DomainId(network + 100)
}

/// The key of a station of [`NETWORK`].
#[must_use]
pub const fn key(mac: MacAddr) -> FdbKey {
    FdbKey::new(domain_of(NETWORK), mac)
}

/// Most ports of a test.
pub const MOST_PORTS: u16 = 16;

/// Most dynamic entries of a test's FDB: more than the ring of notices holds.
pub const MOST_STATIONS: u32 = 14_000;

/// The loaded data path; ports are 1, 2, 3 and so on.
pub struct Fixture {
    /// The data path, for the calls that the controller makes.
    pub bpf: Bpf,
    rings: Rings,
    raw: RawMaps,
    links: Vec<Link>,
    /// Ports in use.
    size: u16,
    /// The highest slot that a test has written.
    slots: u16,
    counted: Tally,
    lost: u64,
    neighbours: BTreeSet<(DomainId, [u8; 4])>,
    /// The network whose flood list each port is in.
    joined: BTreeMap<u16, u16>,
}

/// What the process has loaded, for one test after the other: loading takes seconds. And the namespace of its links.
static LOADED: Mutex<Option<(Fixture, File)>> = Mutex::new(None);

impl Fixture {
    /// Runs `test` with so many ports, at most [`MOST_PORTS`], in a reset data path; without root, skips aloud.
    ///
    /// # Panics
    /// When `test` does, or when the data path does not load.
    pub fn run(ports: u16, test: impl FnOnce(&mut Self) + Send) {
        if let Some(obstacle) = obstacle() {
            // libtest names the thread for the test.
            return skip(thread::current().name().unwrap_or("a program test"), obstacle);
        }
        // A test that failed leaves nothing that a reset does not mend.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let (fixture, namespace) =
            loaded.get_or_insert_with(|| apart(|bpffs| (Self::load(bpffs, MOST_PORTS), here())));
        within(namespace, || {
            fixture.reset_to(ports);
            test(fixture);
        });
    }

    /// Runs `test` in a data path of its own, beside other tests; otherwise as [`Self::run`].
    pub fn run_alone(ports: u16, test: impl FnOnce(&mut Self) + Send) {
        if let Some(obstacle) = obstacle() {
            return skip(thread::current().name().unwrap_or("a program test"), obstacle);
        }
        apart(|bpffs| {
            let mut fixture = Self::load(bpffs, ports);
            fixture.reset_to(ports);
            test(&mut fixture);
        });
    }

    fn load(bpffs: &Path, ports: u16) -> Self {
        let pins: PathBuf = bpffs.join("vswitch");
        let settings = Settings { pins: pins.clone(), fdb_dynamic: MOST_STATIONS, tc_mode: None };
        let (bpf, rings, _new) = Bpf::open(&settings).expect("the data path loads");
        Self {
            bpf,
            rings,
            raw: RawMaps::open(&pins.join("maps")),
            links: make_links(ports),
            size: 0,
            slots: ports,
            counted: Tally::new(),
            lost: 0,
            neighbours: BTreeSet::new(),
            joined: BTreeMap::new(),
        }
    }

    /// The ports.
    pub fn ports(&self) -> impl Iterator<Item = PortId> + use<> {
        (1..=self.size).map(PortId)
    }

    /// As [`Self::reset`], with another number of ports.
    pub fn reset_to(&mut self, ports: u16) {
        self.size = ports;
        self.reset();
    }

    /// As it was at first: every port in [`NETWORK`] with its default settings, nothing learned, nothing counted.
    pub fn reset(&mut self) {
        for (key, _) in self.entries() {
            self.forget(key);
        }
        for (domain, ip) in std::mem::take(&mut self.neighbours) {
            self.bpf.set_neighbour(&NeighbourKey::v4(domain, ip), None).expect("the map is there");
        }
        for slot in (1..=self.slots).map(PortId) {
            let link = self.links.get(usize::from(slot.0) - 1).map(|link| link.ifindex);
            let used = link.filter(|_| slot.0 <= self.size);
            let config = used.map_or(PortConfig::FREE, |_| self.default_config(slot));
            self.bpf.set_port(slot, &config).expect("the slot is there");
            self.bpf.set_target(slot, used).expect("the link is there");
            self.join(slot, used.map(|_| NETWORK));
            if let Some(link) = link {
                self.bpf.set_link(link, used.map(|_| slot)).expect("the map has room");
            }
        }
        self.set_room(MOST_STATIONS);
        for slot in 0..=self.slots {
            let left = self.bpf.dynamic_entries(PortId(slot)).expect("the slot is there");
            self.bpf.mend_dynamic(PortId(slot), -left.cast_signed()).expect("the slot is there");
            self.raw.refill(PortId(slot));
        }
        self.bpf.beat().expect("the map is there");
        drop((self.tally(), self.notices(), self.punts(), self.lost()));
    }

    /// Puts a port into the flood list of a network, or in none, and takes it out of the one it was in. Its settings stay.
    pub fn join(&mut self, port: PortId, network: Option<u16>) {
        let place = port.0 - 1;
        if let Some(left) = self.joined.remove(&port.0) {
            self.bpf.set_member(left, place, None).expect("the map is there");
        }
        if let Some(network) = network {
            let places = NetworkConfig { places: self.slots.into(), pad: 0 };
            self.bpf.set_network(network, &places).expect("the map is there");
            self.bpf.set_member(network, place, Some(port)).expect("the map has room");
            self.joined.insert(port.0, network);
        }
    }

    /// Sets how many dynamic entries the FDB takes, at most [`MOST_STATIONS`].
    pub fn set_room(&mut self, fdb_dynamic: u32) {
        self.raw.set_config(&SwitchConfig { abi: abi::ABI_VERSION, fdb_dynamic });
    }

    /// A port's settings at first: everything on that does no harm.
    #[must_use]
    pub fn default_config(&self, port: PortId) -> PortConfig {
        PortConfig {
            ageing_ns: 300_000_000_000,
            ifindex: self.link(port).ifindex,
            flags: flag::FORWARDING | flag::LEARNING | flag::FLOOD | flag::XDP_TARGET,
            epoch: 1,
            mtu: 1500,
            network: NETWORK,
            domain: domain_of(NETWORK).0,
            ..PortConfig::FREE
        }
    }

    /// The link of a port.
    ///
    /// # Panics
    /// When the fixture was made with fewer ports.
    #[must_use]
    pub fn link(&self, port: PortId) -> Link {
        self.links[usize::from(port.0) - 1]
    }

    /// Changes a port's settings.
    pub fn set(&mut self, port: PortId, change: impl FnOnce(&mut PortConfig)) {
        let mut config = self.bpf.port(port).expect("the slot is there");
        change(&mut config);
        self.bpf.set_port(port, &config).expect("the slot is there");
        self.slots = self.slots.max(port.0);
    }

    /// Sets bits of [`flag`] of a port.
    pub fn set_flags(&mut self, port: PortId, bits: u32) {
        self.set(port, |config| config.flags |= bits);
    }

    /// Clears bits of [`flag`] of a port.
    pub fn clear_flags(&mut self, port: PortId, bits: u32) {
        self.set(port, |config| config.flags &= !bits);
    }

    /// Runs the program of a hook over a frame that comes in by a port.
    ///
    /// # Panics
    /// When the kernel does not run it.
    #[track_caller]
    pub fn run_at(&self, hook: Hook, ingress: PortId, frame: &[u8]) -> Run {
        self.try_run_at(hook, self.link(ingress).ifindex, frame).expect("the kernel runs the program")
    }

    /// Runs the tc program over a frame that comes in by a port.
    #[track_caller]
    pub fn tc(&self, ingress: PortId, frame: &[u8]) -> Run {
        self.run_at(Hook::Tc, ingress, frame)
    }

    /// Runs the XDP program over a frame that comes in by a port.
    #[track_caller]
    pub fn xdp(&self, ingress: PortId, frame: &[u8]) -> Run {
        self.run_at(Hook::Xdp, ingress, frame)
    }

    /// Runs the program of a hook over a frame that comes in by any link.
    ///
    /// # Errors
    /// When the kernel does not run it.
    pub fn try_run_at(&self, hook: Hook, ifindex: u32, frame: &[u8]) -> Result<Run, ProgramError> {
        match hook {
            Hook::Xdp => run::xdp(self.program(abi::program::XDP), frame, ifindex),
            Hook::Tc => run::tc(self.program(abi::program::TC), frame, ifindex, [0; 2], Gso::default()),
        }
    }

    /// Runs the tc program over a frame that stands for several.
    ///
    /// # Panics
    /// When the kernel does not run it.
    #[track_caller]
    pub fn tc_gso(&self, ingress: PortId, frame: &[u8], gso: Gso) -> Run {
        run::tc(self.program(abi::program::TC), frame, self.link(ingress).ifindex, [0; 2], gso)
            .expect("the kernel runs the program")
    }

    /// Runs the program that floods for the controller, in a VLAN of a VLAN-aware network or else in 0.
    ///
    /// # Panics
    /// When the kernel does not run it.
    #[track_caller]
    pub fn flood(&self, ingress: PortId, vid: u16, frame: &[u8]) -> Run {
        let control = [ingress.index(), vid.into()];
        run::tc(self.program(abi::program::FLOOD), frame, 0, control, Gso::default())
            .expect("the kernel runs the program")
    }

    fn program(&self, name: &str) -> &Program {
        let mut programs = self.bpf.programs();
        programs.find(|(found, _)| *found == name).expect("the object has all three").1
    }

    /// What was counted since the last call.
    pub fn tally(&mut self) -> Tally {
        let mut tally = Tally::new();
        for slot in 0..=self.slots {
            let counters = self.bpf.counters(PortId(slot)).expect("the slot is there");
            tally.enter(PortId(slot), counters);
        }
        let since = tally.since(&self.counted);
        self.counted = tally;
        since
    }

    /// Records that found their ring full since the last call.
    pub fn lost(&mut self) -> u64 {
        let lost = self.bpf.lost().expect("the map is there");
        lost - std::mem::replace(&mut self.lost, lost)
    }

    /// Notices since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        let ring = &mut self.rings.events;
        std::iter::from_fn(|| ring.next().map(|record| Notice::parse(&record).expect("a whole notice")))
            .collect()
    }

    /// Frames handed to the controller since the last call.
    pub fn punts(&mut self) -> Vec<PuntRecord> {
        let ring = &mut self.rings.punts;
        std::iter::from_fn(|| ring.next().map(|record| PuntRecord::parse(&record).expect("a whole punt")))
            .collect()
    }

    /// What the FDB holds for a station of [`NETWORK`].
    #[must_use]
    pub fn entry(&self, mac: MacAddr) -> Option<FdbEntry> {
        self.bpf.fdb_get(key(mac)).expect("the map is there")
    }

    /// The port of a station of [`NETWORK`], void entries included.
    #[must_use]
    pub fn port_of(&self, mac: MacAddr) -> Option<PortId> {
        self.entry(mac).map(|entry| PortId(entry.port))
    }

    /// All of the FDB, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<(FdbKey, FdbEntry)> {
        let mut page = self.bpf.fdb_page(None).expect("the map is there");
        let mut entries = page.entries;
        while let Some(cursor) = page.next {
            page = self.bpf.fdb_page(Some(cursor)).expect("the map is there");
            entries.append(&mut page.entries);
        }
        entries.sort_by_key(|(key, _)| *key);
        entries
    }

    /// Puts a configured entry into the FDB, as the controller does.
    pub fn configure(&mut self, key: FdbKey, port: PortId, flags: u16) {
        self.forget(key);
        let entry = FdbEntry { port: port.0, flags, epoch: 0, seen_ns: self.bpf.now_ns() };
        self.bpf.fdb_set(key, &entry).expect("the FDB has room for configured entries");
    }

    /// Removes an entry and keeps the counts true, as the controller does.
    pub fn forget(&mut self, key: FdbKey) {
        let removed = self.bpf.fdb_remove(key).expect("the map is there");
        for entry in removed.into_iter().filter(|entry| !entry.is_permanent()) {
            for slot in [PortId(entry.port), PortId::NOBODY] {
                self.bpf.mend_dynamic(slot, -1).expect("the slot is there");
            }
        }
    }

    /// Lets an entry have been silent for so much longer.
    ///
    /// # Panics
    /// When there is none.
    pub fn silence(&mut self, key: FdbKey, longer: Duration) {
        let mut entry = self.bpf.fdb_get(key).expect("the map is there").expect("there is such an entry");
        entry.seen_ns = entry.seen_ns.saturating_sub(longer.as_nanos() as u64);
        self.bpf.fdb_set(key, &entry).expect("it replaces itself");
    }

    /// Says who has an address in [`NETWORK`].
    pub fn introduce(&mut self, ip: [u8; 4], mac: MacAddr) {
        let domain = domain_of(NETWORK);
        let neighbour = Some(Neighbour(mac.bits()));
        self.bpf.set_neighbour(&NeighbourKey::v4(domain, ip), neighbour).expect("the map has room");
        self.neighbours.insert((domain, ip));
    }

    /// Gives a port back what it has spent of its punts.
    pub fn refill(&mut self, port: PortId) {
        self.raw.refill(port);
    }

    /// Lets the controller have been silent for so long.
    pub fn stop_heart(&mut self, ago: Duration) {
        let then = self.bpf.now_ns().saturating_sub(ago.as_nanos() as u64);
        self.raw.set_heartbeat(then);
    }
}

//! The loaded data path with a few ports: set up as the controller would, by the same calls, and reset between cases.

mod arrange;
mod observe;

use std::collections::{BTreeMap, HashSet};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use vswitch::datapath::{Bpf, Datapath as _, Rings, Settings, TcMode};
use vswitch_common::abi;
use vswitch_common::domain::DomainId;
use vswitch_common::fdb::FdbKey;
use vswitch_common::guard::GuardKey;
use vswitch_common::mac::MacAddr;
use vswitch_common::multicast::GroupKey;
use vswitch_common::neighbour::NeighbourKey;
use vswitch_common::port::{PortConfig, PortId, flag};

use super::apart::{Place, apart, here, obstacle, within};
use super::links::{Link, make_links};
use super::raw::RawMaps;
use super::tally::Tally;
use crate::bpf::AsTheStack;
use crate::hooks::skip;

pub use arrange::AWARE_DOMAIN;

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
    stack: AsTheStack,
    links: Vec<Link>,
    /// Ports in use.
    size: u16,
    /// The highest slot that a test has written.
    slots: u16,
    counted: Tally,
    lost: u64,
    neighbours: HashSet<NeighbourKey>,
    given: HashSet<GuardKey>,
    /// Flood lists of groups, and the ports at their places.
    groups: Vec<(GroupKey, u16, u16)>,
    /// How the tc program is attached, by port.
    attached: BTreeMap<u16, TcMode>,
    /// The network whose flood list each port is in.
    joined: BTreeMap<u16, u16>,
}

/// What the process has loaded, for one test after the other: loading takes seconds. And where that is.
static LOADED: Mutex<Option<(Fixture, Place)>> = Mutex::new(None);

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
        let (fixture, place) =
            loaded.get_or_insert_with(|| apart(|bpffs| (Self::load(bpffs, MOST_PORTS), here())));
        within(place, || {
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
        let settings =
            Settings { pins: pins.clone(), fdb_dynamic: MOST_STATIONS, station_moves: 0, tc_mode: None };
        let (bpf, rings, _new) = Bpf::open(&settings).expect("the data path loads");
        let (_, tc) = bpf.programs().find(|(name, _)| *name == abi::program::TC).expect("the object has it");
        let tc = tc.fd().expect("it is loaded");
        let stack = AsTheStack::in_front_of(tc.as_fd()).expect("the kernel has tail calls");
        Self {
            bpf,
            rings,
            raw: RawMaps::open(&pins.join("maps")),
            stack,
            links: make_links(ports),
            size: 0,
            slots: ports,
            counted: Tally::new(),
            lost: 0,
            neighbours: HashSet::new(),
            given: HashSet::new(),
            groups: Vec::new(),
            attached: BTreeMap::new(),
            joined: BTreeMap::new(),
        }
    }

    /// The ports.
    pub fn ports(&self) -> impl Iterator<Item = PortId> + use<> {
        (1..=self.size).map(PortId)
    }

    /// The link of a port.
    ///
    /// # Panics
    /// When the fixture was made with fewer ports.
    #[must_use]
    pub fn link(&self, port: PortId) -> Link {
        self.links[usize::from(port.0) - 1]
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
        for (slot, mode) in std::mem::take(&mut self.attached) {
            self.bpf.detach_tc(PortId(slot), &self.target(PortId(slot)), mode).expect("it was attached");
        }
        for key in std::mem::take(&mut self.neighbours) {
            self.bpf.set_neighbour(&key, None).expect("the map is there");
        }
        for key in std::mem::take(&mut self.given) {
            self.bpf.set_guard(&key, false).expect("the map is there");
        }
        self.unlist_groups();
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
        self.set_station_moves(0);
        for slot in 0..=self.slots {
            let left = self.bpf.dynamic_entries(PortId(slot)).expect("the slot is there");
            self.bpf.mend_dynamic(PortId(slot), -left.cast_signed()).expect("the slot is there");
            self.raw.refill(PortId(slot));
            self.bpf.clear_quarantine(PortId(slot)).expect("the slot is there");
        }
        self.bpf.beat().expect("the map is there");
        drop((self.tally(), self.notices(), self.punts(), self.snoops(), self.lost()));
    }
}

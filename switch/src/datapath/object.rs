//! The eBPF object: embedded in the binary, loaded over the pins of an earlier run where there are any.
//!
//! Maps are what lasts: they are pinned by name and opened again. Programs are always loaded anew and put in place of
//! the old ones link by link (`bpf_link_update`), so that a new binary is in force without a frame lost.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{Array, MapData};
use aya::{Ebpf, EbpfLoader};
use vswitch_common::abi::{self, SwitchConfig};
use vswitch_common::limits;

use super::DatapathError;
use super::migrate::{self, Replaced, Way};

/// The object that `build.rs` made.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/vswitch.bpf.o"));

/// Every map, in the order in which `status` lists them.
pub(super) const MAPS: [&str; 24] = [
    abi::map::CONFIG,
    abi::map::HEARTBEAT,
    abi::map::LINKS,
    abi::map::PORTS,
    abi::map::NETWORKS,
    abi::map::MEMBERS,
    abi::map::FDB,
    abi::map::LEARNED,
    abi::map::DELETED,
    abi::map::NEIGHBOURS,
    abi::map::COUNTERS,
    abi::map::PUNT_BUCKETS,
    abi::map::TARGETS,
    abi::map::VLANS,
    abi::map::GUARDS,
    abi::map::STORMS,
    abi::map::MOVES,
    abi::map::QUARANTINES,
    abi::map::GROUPS,
    abi::map::SNOOP_BUCKETS,
    abi::map::EVENTS,
    abi::map::PUNTS,
    abi::map::SNOOPS,
    abi::map::LOST,
];

/// Whether the data path was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// Pins of an earlier run were taken over.
    Yes,
    /// Everything was made new.
    No,
}

/// The folders of pins.
#[derive(Debug, Clone)]
pub(super) struct Pins {
    root: PathBuf,
}

impl Pins {
    /// Makes the folders under `root`, which is on a bpffs.
    pub(super) fn create(root: &Path) -> Result<Self, DatapathError> {
        let pins = Self { root: root.to_owned() };
        pins.make_folders()?;
        Ok(pins)
    }

    /// Makes the folders, where they are missing.
    pub(super) fn make_folders(&self) -> Result<(), DatapathError> {
        for folder in [self.root.clone(), self.maps(), self.links()] {
            fs::create_dir_all(&folder).map_err(|source| DatapathError::Pin { path: folder, source })?;
        }
        Ok(())
    }

    /// The folder of both.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folders that pins are in.
    pub(super) fn folders(&self) -> [PathBuf; 2] {
        [self.maps(), self.links()]
    }

    fn maps(&self) -> PathBuf {
        self.root.join("maps")
    }

    /// Where a map is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name)
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    /// Where a port's attachment is pinned; `hook` is `xdp` or `tc`.
    pub(super) fn link(&self, port: vswitch_common::port::PortId, hook: &str) -> PathBuf {
        self.links().join(format!("{}-{hook}", port.0))
    }

    /// Detaches what is pinned for ports that are not known. How many.
    pub(super) fn prune(&self, ports: &BTreeSet<u16>) -> Result<usize, DatapathError> {
        let folder = self.links();
        let failed = |source| DatapathError::Pin { path: folder.clone(), source };
        let mut pruned = 0;
        for pin in fs::read_dir(&folder).map_err(failed)? {
            let pin = pin.map_err(failed)?;
            let name = pin.file_name();
            let slot = name.to_str().and_then(|name| name.split_once('-')?.0.parse().ok());
            if slot.is_none_or(|slot| !ports.contains(&slot)) {
                super::links::detach(&pin.path())?;
                pruned += 1;
            }
        }
        Ok(pruned)
    }

    /// Removes every pin and the folders; programs and maps die with their last user.
    pub(super) fn remove(&self) -> Result<(), DatapathError> {
        for folder in [self.links(), self.maps()] {
            match fs::remove_dir_all(&folder) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(DatapathError::Pin { path: folder, source });
                }
                _ => {}
            }
        }
        // A bpffs may be mounted just here, and then the folder is no pin.
        let _mounted = fs::remove_dir(&self.root);
        Ok(())
    }
}

/// Loads the object's maps over the pins.
pub(super) fn load(pins: &Pins, fdb_dynamic: u32) -> Result<(Ebpf, Adopted, Vec<Replaced>), DatapathError> {
    let found = check_abi(pins)?;
    let replaced = match found {
        Found::Migratable => migrate::migrate(pins, Way::Up)?,
        Found::Nothing | Found::Same => Vec::new(),
    };
    let paths = MAPS.map(|name| pins.map(name));
    let mut loader = EbpfLoader::new();
    loader.map_max_entries(abi::map::FDB, fdb_dynamic.saturating_add(limits::FDB_STATIC_RESERVE));
    for (name, path) in MAPS.iter().zip(&paths) {
        loader.map_pin_path(name, path.as_path());
    }
    let ebpf = loader.load(OBJECT).map_err(DatapathError::Load)?;
    let adopted = if found == Found::Nothing { Adopted::No } else { Adopted::Yes };
    Ok((ebpf, adopted, replaced))
}

/// Loads the object's maps, small and unpinned.
pub(super) fn load_apart() -> Result<Ebpf, DatapathError> {
    let mut loader = EbpfLoader::new();
    loader.map_max_entries(abi::map::FDB, limits::FDB_STATIC_RESERVE);
    loader.load(OBJECT).map_err(DatapathError::Load)
}

/// Stands for the programs: the same for the same object in every build (FNV-1a).
#[must_use]
pub fn programs() -> String {
    let hash = OBJECT.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What pins there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Same,
    /// Of a version that this build can turn into its own.
    Migratable,
}

/// Whether there are pins, and of our version.
fn check_abi(pins: &Pins) -> Result<Found, DatapathError> {
    let path = pins.map(abi::map::CONFIG);
    if !path.exists() {
        return Ok(Found::Nothing);
    }
    let found = pinned_abi(&path).map_err(|source| DatapathError::Map { map: abi::map::CONFIG, source })?;
    match found {
        // A run that was killed between making the map and writing it.
        0 => Ok(Found::Nothing),
        abi::ABI_VERSION => Ok(Found::Same),
        _ if migrate::MIGRATES.contains(&found) => Ok(Found::Migratable),
        _ => Err(DatapathError::ForeignAbi { path: pins.root.clone(), found, wanted: abi::ABI_VERSION }),
    }
}

fn pinned_abi(path: &Path) -> Result<u32, aya::maps::MapError> {
    let map = aya::maps::Map::from_map_data(MapData::from_pin(path)?)?;
    let config: Array<_, SwitchConfig> = map.try_into()?;
    Ok(config.get(&0, 0)?.abi)
}

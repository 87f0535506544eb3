//! What the controller holds open of what is pinned: so that a bpffs that somebody unmounts, or a pin that somebody removes,
//! takes nothing along, and can be made again.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use vswitch_common::port::PortId;

use super::object::{MAPS, Pins};
use super::pinwatch::PinWatch;
use super::{DatapathError, sys};

/// Hooks as in the names of pins.
const HOOKS: [&str; 2] = ["tc", "xdp"];

/// What of a port's attachments somebody else detached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// The tcx attachment.
    pub tc_is_gone: bool,
    /// The XDP attachment.
    pub xdp_is_gone: bool,
}

/// Open maps and links, each with the place of its pin.
pub(super) struct Held {
    /// Where the bpffs is mounted.
    mount_point: Option<PathBuf>,
    maps: BTreeMap<PathBuf, OwnedFd>,
    links: BTreeMap<(u16, &'static str), OwnedFd>,
    watch: PinWatch,
}

impl Held {
    /// Opens every pinned map. One that cannot be opened is not held, and no harm is done.
    pub(super) fn open(pins: &Pins) -> Self {
        let maps = MAPS.iter().map(|name| pins.map(name));
        let maps = maps.filter_map(|pin| sys::open_pinned(&pin).ok().map(|map| (pin, map))).collect();
        Self {
            mount_point: mount_point(pins.root()),
            maps,
            links: BTreeMap::new(),
            watch: PinWatch::default(),
        }
    }

    /// Holds a port's attachment, which has just been pinned. Without a descriptor left it is not held.
    pub(super) fn hold(&mut self, port: PortId, hook: &'static str, pin: &Path) {
        match sys::open_pinned(pin) {
            Ok(link) => drop(self.links.insert((port.0, hook), link)),
            Err(error) => {
                tracing::debug!(pin = %pin.display(), %error, "an attachment is pinned, but not held");
            }
        }
    }

    /// Lets go of it and detaches it.
    pub(super) fn detach(&mut self, port: PortId, hook: &'static str) {
        if let Some(link) = self.links.remove(&(port.0, hook)) {
            // Its device may have gone, and it may have been detached before.
            let _gone = sys::detach(&link);
        }
    }

    /// What of a port's attachments somebody detached.
    pub(super) fn health(&self, port: PortId) -> Health {
        let [tc_is_gone, xdp_is_gone] = HOOKS.map(|hook| {
            let link = self.links.get(&(port.0, hook));
            link.is_some_and(|link| sys::attached_to(link).is_ok_and(|ifindex| ifindex == 0))
        });
        Health { tc_is_gone, xdp_is_gone }
    }

    /// Makes pins again that have gone. How many.
    pub(super) fn mend(&mut self, pins: &Pins) -> Result<usize, DatapathError> {
        if !self.watch.is_news(&pins.folders()) {
            return Ok(0);
        }
        let links = self.links.iter().map(|((port, hook), link)| (pins.link(PortId(*port), hook), link));
        let all = self.maps.iter().map(|(pin, map)| (pin.clone(), map)).chain(links);
        let missing: Vec<_> = all.filter(|(pin, _)| fs::symlink_metadata(pin).is_err()).collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let made = self.pin_again(pins, &missing).map(|()| missing.len());
        if made.is_err() {
            // Tried again with the next look.
            self.watch = PinWatch::default();
        }
        made
    }

    fn pin_again(&self, pins: &Pins, missing: &[(PathBuf, &OwnedFd)]) -> Result<(), DatapathError> {
        self.mount_again(pins.root())?;
        pins.make_folders()?;
        for (path, object) in missing {
            sys::pin(object, path).map_err(|source| DatapathError::Pin { path: path.clone(), source })?;
        }
        Ok(())
    }

    /// Where there is no bpffs any more, mounts one: whose it was, and which one, nobody can tell.
    fn mount_again(&self, root: &Path) -> Result<(), DatapathError> {
        let Some(place) = self.mount_point.as_ref().filter(|_| !is_on_bpffs(root)) else { return Ok(()) };
        let failed = |source| DatapathError::Pin { path: place.clone(), source };
        fs::create_dir_all(place).map_err(failed)?;
        mount(Some("bpf"), place, Some("bpf"), MsFlags::empty(), None::<&str>)
            .map_err(|errno| failed(errno.into()))
    }
}

fn is_on_bpffs(path: &Path) -> bool {
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    statfs(existing).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC)
}

/// The uppermost folder that is on the same bpffs.
fn mount_point(root: &Path) -> Option<PathBuf> {
    root.ancestors().take_while(|path| is_on_bpffs(path)).last().map(Path::to_owned)
}

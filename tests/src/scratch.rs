//! Names, temporary folders and private bpffs mounts, and the sweep that finds them again.
//!
//! Everything the lab makes is called `vst<pid>-<number>…`, so that whoever comes later can tell whose it was: what
//! belongs to a process that is gone is swept at the next start, and a SIGINT sweeps what belongs to this one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How everything the lab makes begins.
pub const PREFIX: &str = "vst";

/// Where iproute2 keeps named namespaces.
pub const NAMESPACES: &str = "/run/netns";

/// A name that no other lab of this or another live process has.
#[must_use]
pub fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static FIRST: Once = Once::new();
    FIRST.call_once(|| {
        sweep(|owner| !Path::new("/proc").join(owner.to_string()).exists());
        crate::sys::on_interrupt(|| sweep(|owner| owner == std::process::id()))
            .expect("a process can have a pipe");
    });
    format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The process that made a thing of this name, if the lab did.
#[must_use]
pub fn owner(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

/// Removes every namespace and folder of the lab whose owner `is_gone`, with the processes in it.
fn sweep(is_gone: impl Fn(u32) -> bool) {
    let ours = |path: &Path| {
        let names: Vec<String> = fs::read_dir(path)
            .map(|entries| {
                entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
            })
            .unwrap_or_default();
        names.into_iter().filter(|name| owner(name).is_some_and(&is_gone)).collect::<Vec<_>>()
    };
    for name in ours(Path::new(NAMESPACES)) {
        end_processes(&name);
        let _ = Command::new("ip").args(["netns", "del", &name]).output();
    }
    for name in ours(&std::env::temp_dir()) {
        remove(&std::env::temp_dir().join(name));
    }
}

/// Ends what runs in a namespace of the lab, except for this process, whose threads may be there.
pub(crate) fn end_processes(namespace: &str) {
    let Ok(found) = Command::new("ip").args(["netns", "pids", namespace]).output() else {
        return;
    };
    let pids = String::from_utf8_lossy(&found.stdout);
    for pid in pids.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
        if pid.cast_unsigned() != std::process::id() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Removes the control group `name` and those in it, of every hierarchy.
fn remove_cgroups(name: &str) {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    for group in hierarchies.chain([root.to_owned()]).map(|folder| folder.join(name)) {
        remove_tree(&group);
    }
}

/// Removes folders, the innermost first. Files in a control group are not removed, but go with it.
fn remove_tree(folder: &Path) {
    let inner = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&entry.path());
    }
    let _ = fs::remove_dir(folder);
}

fn remove(folder: &Path) {
    if let Some(name) = folder.file_name().and_then(|name| name.to_str()) {
        remove_cgroups(name);
    }
    let _ = umount2(&folder.join("bpf"), MntFlags::MNT_DETACH);
    let _ = fs::remove_dir_all(folder);
}

/// A temporary folder with a private bpffs in it; both go away on drop.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// The folder `/tmp/NAME` and a bpffs at its `bpf`: /sys/fs/bpf stays as it was found.
    ///
    /// # Panics
    /// Without root, or without room for a folder.
    #[must_use]
    pub fn create(name: &str) -> Self {
        let folder = std::env::temp_dir().join(name);
        let scratch = Self { folder };
        fs::create_dir_all(scratch.bpffs()).expect("the temporary folder is writable");
        mount(Some("bpf"), &scratch.bpffs(), Some("bpf"), MsFlags::empty(), None::<&str>).unwrap_or_else(
            |error| panic!("cannot mount a bpffs at {}: {error}: run as root", scratch.bpffs().display()),
        );
        scratch
    }

    /// The path of `name` in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Mount point of the private bpffs.
    #[must_use]
    pub fn bpffs(&self) -> PathBuf {
        self.folder.join("bpf")
    }

    /// Empties the bpffs, as a restart of the machine does.
    ///
    /// # Panics
    /// When it cannot be mounted anew.
    pub fn remount_bpffs(&self) {
        let _was_mounted = umount2(&self.bpffs(), MntFlags::MNT_DETACH);
        mount(Some("bpf"), &self.bpffs(), Some("bpf"), MsFlags::empty(), None::<&str>)
            .expect("a bpffs was mounted here before");
    }

    /// A control group for the containers of an engine, as dockerd takes it: removed with the folder.
    #[must_use]
    pub fn cgroup(&self) -> String {
        let name = self.folder.file_name().expect("the folder has a name");
        format!("/{}", name.to_string_lossy())
    }

    /// Removes that control group, once no process is in it.
    pub fn remove_cgroup(&self) {
        remove_cgroups(&self.cgroup()[1..]);
    }

    /// Writes an executable script.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        fs::write(&path, text).expect("the lab's folder is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the script was just made");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner() {
        assert_eq!(owner(&unique_name()), Some(std::process::id()));
        assert_eq!(owner("vst12-3-a"), Some(12));
        for foreign in ["docker", "vst", "vst12", "vstx-1", "a-vst12-3", "vsl-1-2"] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }
}

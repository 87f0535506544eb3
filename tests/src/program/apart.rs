//! A place apart: a thread with network and mount namespaces of its own and a bpffs that only it sees.
//!
//! The namespaces have no names and die with their last user, so even a killed run leaves neither link, mount nor pin.

use std::fs::File;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::Uid;

/// Where bpffs is mounted, there and usually; every kernel with BPF has the folder.
const BPFFS: &str = "/sys/fs/bpf";

/// Why this process cannot go apart; none if it can.
#[must_use]
pub fn obstacle() -> Option<&'static str> {
    (!Uid::effective().is_root()).then_some("it loads programs into the kernel, which needs root")
}

/// What `work` returns when run apart. It is given an empty bpffs; commands that it starts are apart too. Its panic
/// goes on in the caller.
///
/// # Panics
/// Without root, or on a kernel without namespaces or BPF.
pub fn apart<T: Send>(work: impl FnOnce(&Path) -> T + Send) -> T {
    on_a_thread(|| {
        seclude();
        work(Path::new(BPFFS))
    })
}

/// What `work` returns when run in the place that [`here`] had named.
pub(super) fn within<T: Send>(place: &Place, work: impl FnOnce() -> T + Send) -> T {
    on_a_thread(|| {
        // A thread that shares its root folder with others cannot go elsewhere with it.
        unshare(CloneFlags::CLONE_FS).expect("any thread may have a root folder of its own");
        setns(&place.network, CloneFlags::CLONE_NEWNET).expect("root may enter a network namespace");
        setns(&place.mounts, CloneFlags::CLONE_NEWNS).expect("root may enter a mount namespace");
        work()
    })
}

/// A thread's namespaces, which stay as long as this is there.
pub(super) struct Place {
    network: File,
    mounts: File,
}

/// The calling thread's.
pub(super) fn here() -> Place {
    let open = |name| {
        let file = format!("/proc/thread-self/ns/{name}");
        File::open(file).expect("Linux has had these files since 3.17")
    };
    Place { network: open("net"), mounts: open("mnt") }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // Of the same name, so that a panic names the test.
    let named = thread::current().name().unwrap_or("apart").to_owned();
    let joined = thread::scope(|scope| {
        let thread = thread::Builder::new().name(named).spawn_scoped(scope, work);
        thread.expect("a process may have another thread").join()
    });
    joined.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Moves the calling thread into namespaces of its own, for good.
fn seclude() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root may make namespaces");
    // Else the new mount would show up outside too.
    let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, private, none).expect("a mount namespace of one's own can be made private");
    mount(Some("bpf"), BPFFS, Some("bpf"), MsFlags::empty(), none).expect("the kernel has bpffs");
}

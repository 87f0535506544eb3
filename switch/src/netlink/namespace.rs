//! Network namespaces as open files, and running something inside one.
//!
//! A namespace belongs to a thread, so work in another one gets a thread of its own that ends with it: nothing that
//! runs later on a pooled thread can find itself in the wrong place. Work where the caller is has pooled threads, which
//! spares a thread's making, several times for each port. The open file keeps the namespace alive, which
//! is why nobody here holds one longer than a call, our own excepted.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::task::spawn_blocking;

use super::NetlinkError;

/// The namespace of the thread that opens it.
const OWN: &str = "/proc/thread-self/ns/net";

/// Threads inside namespaces at a time; more wait. Each mostly waits for the kernel's one rtnl lock anyway.
const THREAD_LIMIT: usize = 8;

static THREADS: Semaphore = Semaphore::const_new(THREAD_LIMIT);

/// An open network namespace.
#[derive(Debug)]
pub struct Namespace {
    file: OwnedFd,
    inode: u64,
}

impl Namespace {
    /// That of the calling thread.
    ///
    /// # Errors
    /// [`NetlinkError::OpenNamespace`] when `/proc` is not mounted.
    pub fn current() -> Result<Self, NetlinkError> {
        Self::open(Path::new(OWN))
    }

    /// That behind a file such as `/run/netns/NAME` or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// [`NetlinkError::OpenNamespace`].
    pub fn open(path: &Path) -> Result<Self, NetlinkError> {
        let failed = |source| NetlinkError::OpenNamespace { path: PathBuf::from(path), source };
        let file = File::open(path).map_err(failed)?;
        let inode = file.metadata().map_err(failed)?.ino();
        Ok(Self { file: file.into(), inode })
    }

    /// The number that is its alone while it lives.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Its open file, valid as long as this is.
    #[must_use]
    pub fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Runs the closure on another thread, inside the namespace; it may block. Dropping the future does not stop it.
    ///
    /// # Errors
    /// [`NetlinkError::EnterNamespace`]; [`NetlinkError::NamespaceWork`] when the closure panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NetlinkError> {
        let inode = self.inode;
        let not_entered = |source| NetlinkError::EnterNamespace { inode, source };
        let permit = THREADS.acquire().await.expect("nobody closes this semaphore");
        if Self::current()?.inode == inode {
            return work_here(inode, permit, work).await;
        }
        let file = self.file.try_clone().map_err(not_entered)?;
        let (tx, rx) = oneshot::channel();
        let thread = move || {
            let _permit = permit;
            let result = enter(&file, inode).map(|()| work());
            // Whoever asked may have stopped waiting.
            let _ = tx.send(result);
        };
        std::thread::Builder::new().name("namespace".to_owned()).spawn(thread).map_err(not_entered)?;
        rx.await.map_err(|_| NetlinkError::NamespaceWork { inode })?
    }
}

/// Runs the closure on a pooled thread, which is where the runtime's threads are; nobody ever moves one.
async fn work_here<T: Send + 'static>(
    inode: u64,
    permit: SemaphorePermit<'static>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NetlinkError> {
    let pooled = move || {
        let _permit = permit;
        let is = Namespace::current()?.inode;
        let elsewhere = || io::Error::other(format!("a pooled thread is in network namespace {is}"));
        if is == inode {
            Ok(work())
        } else {
            Err(NetlinkError::EnterNamespace { inode, source: elsewhere() })
        }
    };
    spawn_blocking(pooled).await.map_err(|_| NetlinkError::NamespaceWork { inode })?
}

/// Moves the calling thread.
fn enter(file: &OwnedFd, inode: u64) -> Result<(), NetlinkError> {
    setns(file, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| NetlinkError::EnterNamespace { inode, source: errno.into() })
}

#[cfg(test)]
mod tests;

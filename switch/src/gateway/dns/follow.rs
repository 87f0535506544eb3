//! Following a file by inotify(7), on whatever way one comes to it.
//!
//! resolv.conf is written in place, replaced by a rename, or a link into a folder that its owner makes when it starts and
//! removes when it ends. So each folder on the way, that of every link included, is watched for the one name that is looked
//! up there, and the file itself for its content. With each change the way is walked again: what has gone is watched for
//! in the last folder that is there.
//!
//! What inotify does not tell, as a file system mounted over a folder, a look each minute finds. Where there is no inotify
//! (every user may have but so many), the file is looked at with each question, as `resolv` does on its own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, timeout};

use super::resolv::Resolv;
use crate::sys;

/// How long nothing may happen to a file until it is believed to be whole.
const QUIET: Duration = Duration::from_millis(20);

/// How long it may be changed without a pause until it is read all the same.
const CHANGING_MOST: Duration = Duration::from_millis(500);

/// How often to look without being told to, and to try again where watching failed.
const LOOK_PERIOD: Duration = Duration::from_secs(60);

/// Links on the way that are followed (`MAXSYMLINKS` of the kernel).
const LINKS_MOST: usize = 40;

/// How often the way is walked again because it changed meanwhile; what changes after that is heard of.
const WALKS: usize = 8;

/// What may happen to a name in a folder, and to the folder.
const OF_FOLDERS: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR)
    .union(AddWatchFlags::IN_DONT_FOLLOW);

/// What may happen to the file.
const OF_FILES: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DONT_FOLLOW);

/// Looks at the file whenever it changes, for ever.
pub(super) async fn follow(resolv: Arc<Resolv>) {
    loop {
        let failed = match Watch::open(resolv.path()) {
            Ok(mut watch) => watch.tell(&resolv).await,
            Err(error) => Err(error),
        };
        resolv.set_followed(false);
        if let Err(error) = failed {
            tracing::warn!(file = %resolv.path().display(), %error, "cannot be followed, so it is looked at with each question");
        }
        sleep(LOOK_PERIOD).await;
    }
}

/// An inotify and what it watches.
struct Watch {
    path: PathBuf,
    inotify: Inotify,
    /// The same, for the runtime to wait for.
    events: AsyncFd<OwnedFd>,
    /// Names that matter, by folder; the file itself has none.
    watched: HashMap<WatchDescriptor, HashSet<OsString>>,
}

impl Watch {
    fn open(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let events = sys::watch(inotify.as_fd().try_clone_to_owned()?)?;
        Ok(Self { path: path.to_owned(), inotify, events, watched: HashMap::new() })
    }

    /// Has the file looked at upon each change; ends when that fails.
    async fn tell(&mut self, resolv: &Resolv) -> io::Result<()> {
        loop {
            self.watch()?;
            resolv.look();
            resolv.set_followed(true);
            if let Ok(changed) = timeout(LOOK_PERIOD, self.change()).await {
                changed?;
                self.settle().await?;
            }
        }
    }

    /// Watches the way as it is now, and nothing else.
    fn watch(&mut self) -> io::Result<()> {
        for _ in 0..WALKS {
            let way = Way::walk(&self.path);
            let mut watched: HashMap<WatchDescriptor, HashSet<OsString>> = HashMap::new();
            for (folder, name) in &way.steps {
                if let Some(id) = self.add(folder, OF_FOLDERS)? {
                    watched.entry(id).or_default().insert(name.clone());
                }
            }
            if let Some(file) = &way.end
                && let Some(id) = self.add(file, OF_FILES)?
            {
                watched.entry(id).or_default();
            }
            for id in self.watched.keys().filter(|id| !watched.contains_key(id)) {
                // One whose file has gone is gone as well.
                let _gone = self.inotify.rm_watch(*id);
            }
            self.watched = watched;
            if Way::walk(&self.path) == way {
                break;
            }
        }
        Ok(())
    }

    /// None for what has gone since it was seen.
    fn add(&self, path: &Path, events: AddWatchFlags) -> io::Result<Option<WatchDescriptor>> {
        match self.inotify.add_watch(path, events) {
            Ok(id) => Ok(Some(id)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for something that matters.
    async fn change(&self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            let read = ready.try_io(|_| self.inotify.read_events().map_err(io::Error::from));
            // Else there was nothing to read after all.
            if let Ok(events) = read
                && events?.iter().any(|event| self.matters(event))
            {
                return Ok(());
            }
        }
    }

    fn matters(&self, event: &InotifyEvent) -> bool {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return true;
        }
        let Some(names) = self.watched.get(&event.wd) else { return false };
        event.name.as_ref().is_none_or(|name| names.contains(name))
    }

    /// Waits until nothing more happens, or long enough.
    async fn settle(&self) -> io::Result<()> {
        let began = Instant::now();
        while began.elapsed() < CHANGING_MOST {
            match timeout(QUIET, self.change()).await {
                Ok(changed) => changed?,
                Err(_quiet) => break,
            }
        }
        Ok(())
    }
}

/// How one comes to a file: each folder, without links, with the name that is looked up in it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Way {
    steps: Vec<(PathBuf, OsString)>,
    /// Where it ends; none if a step is missing.
    end: Option<PathBuf>,
}

impl Way {
    /// Walks it as the kernel would, from the root.
    fn walk(path: &Path) -> Self {
        let mut way = Self::default();
        let mut here = PathBuf::from("/");
        let mut ahead = names(path);
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == OsStr::new("..") {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            way.steps.push((here.clone(), name));
            if let Ok(target) = fs::read_link(&next) {
                links += 1;
                if links > LINKS_MOST {
                    return way;
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                let mut through = names(&target);
                through.append(&mut ahead);
                ahead = through;
            } else if next.exists() {
                here = next;
            } else {
                return way;
            }
        }
        way.end = Some(here);
        way
    }
}

/// The steps of a path.
fn names(path: &Path) -> VecDeque<OsString> {
    let is_step = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(is_step).map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
#[path = "follow/tests.rs"]
mod tests;

//! Whether pins may have gone since the last look: a few system calls, however many pins there are.
//!
//! inotify tells of what is removed from or renamed in their folders, on a bpffs as anywhere (`fs/namei.c`, `vfs_unlink`). What it
//! does not tell is that the folders' paths lead elsewhere now, as after a lazy unmount of a bpffs that is in use, or with
//! another one mounted over it: so the folders are compared with those that are watched. Where nothing can be watched, pins
//! may always have gone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Looks after which pins may have gone even if nothing speaks for it.
const QUIET_LOOKS: u32 = 60;

/// The watch over some folders.
#[derive(Debug, Default)]
pub(super) struct PinWatch {
    watched: Option<Watched>,
    quiet: u32,
}

#[derive(Debug)]
struct Watched {
    inotify: Inotify,
    /// Each folder with the device and inode that it was.
    folders: Vec<(PathBuf, (u64, u64))>,
}

impl PinWatch {
    /// Whether pins in these folders may have gone since this was last asked. What goes from now on is news again.
    pub(super) fn is_news(&mut self, folders: &[PathBuf]) -> bool {
        self.quiet += 1;
        if self.quiet < QUIET_LOOKS && self.watched.as_ref().is_some_and(|watched| watched.is_quiet(folders))
        {
            return false;
        }
        // Before anybody looks, so that nothing goes unseen in between.
        self.watched = watch(folders).ok();
        self.quiet = 0;
        true
    }
}

impl Watched {
    fn is_quiet(&self, folders: &[PathBuf]) -> bool {
        let are_same = folders.iter().eq(self.folders.iter().map(|(folder, _)| folder))
            && self.folders.iter().all(|(folder, was)| identity(folder).is_some_and(|is| is == *was));
        are_same && self.inotify.read_events().err() == Some(Errno::EAGAIN)
    }
}

fn watch(folders: &[PathBuf]) -> nix::Result<Watched> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let gone = AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    let mut seen = Vec::new();
    for folder in folders {
        let is = identity(folder).ok_or(Errno::ENOENT)?;
        inotify.add_watch(folder, gone)?;
        seen.push((folder.clone(), is));
    }
    Ok(Watched { inotify, folders: seen })
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Vec<PathBuf>) {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = scratch.path().join("pins");
        fs::create_dir(&folder).expect("a folder in it");
        fs::write(folder.join("a"), "").expect("a file");
        (scratch, vec![folder])
    }

    #[test]
    fn what_is_removed_or_renamed_is_news_once_and_what_is_added_is_none() {
        let (_scratch, folders) = folder();
        let mut watch = PinWatch::default();
        assert!(watch.is_news(&folders), "nobody has looked yet");
        assert!(!watch.is_news(&folders));
        fs::write(folders[0].join("b"), "").expect("a file");
        assert!(!watch.is_news(&folders));
        fs::remove_file(folders[0].join("a")).expect("a file");
        assert_eq!([watch.is_news(&folders), watch.is_news(&folders)], [true, false]);
        fs::rename(folders[0].join("b"), folders[0].join("c")).expect("a file");
        assert_eq!([watch.is_news(&folders), watch.is_news(&folders)], [true, false]);
    }

    #[test]
    fn another_folder_in_place_of_the_watched_one_is_news() {
        let (scratch, folders) = folder();
        let mut watch = PinWatch::default();
        assert_eq!([watch.is_news(&folders), watch.is_news(&folders)], [true, false]);
        fs::rename(&folders[0], scratch.path().join("elsewhere")).expect("a folder");
        assert_eq!(
            [watch.is_news(&folders), watch.is_news(&folders)],
            [true, true],
            "there is none to watch"
        );
        fs::create_dir(&folders[0]).expect("a folder");
        assert_eq!([watch.is_news(&folders), watch.is_news(&folders)], [true, false]);
    }

    #[test]
    fn a_look_comes_now_and_then_without_news() {
        let (_scratch, folders) = folder();
        let mut watch = PinWatch::default();
        assert_eq!((0..=QUIET_LOOKS).filter(|_| watch.is_news(&folders)).count(), 2);
    }
}

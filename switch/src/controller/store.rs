//! The state file: one JSON document, replaced whole.
//!
//! Written to a temporary file, flushed, renamed over the old one, and the folder flushed: after a crash at any point the
//! file is the old one or the new one. A file that is cut, or from a later vswitch, is refused and never half-read.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::state::{STATE_VERSION, State};

const FILE: &str = "state.json";
const TEMPORARY: &str = "state.json.new";
const LOCK: &str = "lock";

/// Why the durable state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another controller has the folder.
    #[error("{path} is in use by another controller: stop it, or give this one another --state-dir")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file is no state of ours.
    #[error(
        "{path} is damaged ({source}): restore it from a copy, or move it away to start anew with what is found in the data path"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: serde_json::Error,
    },
    /// The file is from a later vswitch.
    #[error(
        "{path} is of version {found}, this vswitch reads {STATE_VERSION}: use the vswitch that wrote it"
    )]
    Later {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
}

/// The state folder, held by one controller at a time.
pub struct Store {
    folder: PathBuf,
    _lock: Flock<File>,
}

impl Store {
    /// Opens the folder, makes it if need be, and takes it for this process.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another controller has it; [`StoreError::Io`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let path = folder.join(LOCK);
        let file = File::create(&path).map_err(failed(&path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| StoreError::InUse { path: folder.to_owned() })?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// The state of the run before, or none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Later`], [`StoreError::Io`].
    pub fn load(&self) -> Result<Option<State>, StoreError> {
        let path = self.folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let damaged = |source| StoreError::Damaged { path: path.clone(), source };
        let document: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
        match document.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if found > u64::from(STATE_VERSION) => Err(StoreError::Later { path, found }),
            _ => serde_json::from_value(document).map(Some).map_err(damaged),
        }
    }

    /// Makes `state` the durable one.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the file is then the one before.
    pub fn save(&self, state: &State) -> Result<(), StoreError> {
        let (path, temporary) = (self.folder.join(FILE), self.folder.join(TEMPORARY));
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(state)?)?;
            file.sync_data()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|source| StoreError::Io { path: path.clone(), source })
    }

    /// Removes the state and the folder, if nothing else is in it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove(&self) -> Result<(), StoreError> {
        for name in [FILE, TEMPORARY, LOCK] {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(StoreError::Io { path, source }),
            }
        }
        // Somebody else's files in it are theirs to keep.
        let _not_empty = fs::remove_dir(&self.folder);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("an empty folder");
        (folder, store)
    }

    #[test]
    fn nothing_saved_is_no_state() {
        assert!(store().1.load().expect("no file").is_none());
    }

    #[test]
    fn a_file_cut_at_any_byte_is_refused() {
        let (folder, store) = store();
        store.save(&State::default()).expect("saved");
        let path = folder.path().join(FILE);
        let whole = fs::read(&path).expect("the file");
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("cut");
            assert!(matches!(store.load(), Err(StoreError::Damaged { .. })), "cut at {length}");
        }
        fs::write(&path, &whole).expect("whole");
        assert_eq!(store.load().expect("whole"), Some(State::default()));
    }

    #[test]
    fn a_file_from_the_future_is_refused() {
        let (folder, store) = store();
        fs::write(folder.path().join(FILE), r#"{"version":2,"unknown":[]}"#).expect("written");
        assert!(matches!(store.load(), Err(StoreError::Later { found: 2, .. })));
    }

    #[test]
    fn a_folder_is_one_controllers_at_a_time() {
        let (folder, _store) = store();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::InUse { .. })));
    }
}

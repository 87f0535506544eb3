//! The state file: one JSON document, replaced whole, and behind it a journal of the ports and networks that changed since.
//!
//! The document is written to a temporary file, flushed, renamed over the old one, and the folder flushed: after a crash at any
//! point the file is the old one or the new one. A file that is cut, or from a later vswitch, is refused and never half-read.
//! So that a port or a network costs the same whether there are few or thousands, a change of those alone appends a line for
//! each to the journal that the document names. A last line that is cut was never said to be done, and is left out.

mod journal;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;

use super::state::{STATE_VERSION, State};
use journal::Tables;

const FILE: &str = "state.json";
const TEMPORARY: &str = "state.json.new";
const LOCK: &str = "lock";
/// Followed by the number that the document names.
const JOURNAL: &str = "state.journal.";

/// Names and addresses are nobody else's business: the folder is its owner's alone, and so are the files, which an older folder
/// may not hide.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The journal is folded into the document when it is longer than that and than the document, in bytes.
const JOURNAL_LEAST: u64 = 256 * 1024;

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
    /// The journal that the document names has gone, and what changed with it.
    #[error(
        "{path} is missing, without which {FILE} is not whole: restore it from a copy, or move {FILE} away to start anew with \
         what is found in the data path"
    )]
    Lost {
        /// The journal.
        path: PathBuf,
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
    /// What is durable; none until the first save of this run.
    durable: Option<Durable>,
    _lock: Flock<File>,
}

/// What the document and its journal hold.
struct Durable {
    journal: File,
    journal_bytes: u64,
    document_bytes: u64,
    /// All but the tables, as JSON.
    rest: Vec<u8>,
    tables: Tables,
}

/// The document: the state, and the number of the journal behind it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    state: &'a State,
    journal: u64,
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
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed(folder))?;
        let path = folder.join(LOCK);
        let file = File::create(&path).map_err(failed(&path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| StoreError::InUse { path: folder.to_owned() })?;
        Ok(Self { folder: folder.to_owned(), durable: None, _lock: lock })
    }

    /// The state of the run before, or none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Lost`], [`StoreError::Later`], [`StoreError::Io`].
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
            Some(found) if found > u64::from(STATE_VERSION) => return Err(StoreError::Later { path, found }),
            _ => {}
        }
        let number = document.get("journal").and_then(serde_json::Value::as_u64);
        let mut state: State = serde_json::from_value(document).map_err(damaged)?;
        if let Some(number) = number {
            self.replay(number, &mut state)?;
        }
        // As it will be written.
        state.version = STATE_VERSION;
        Ok(Some(state))
    }

    fn journal(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{JOURNAL}{number}"))
    }

    /// Brings the document's tables up to date.
    fn replay(&self, number: u64, state: &mut State) -> Result<(), StoreError> {
        let path = self.journal(number);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(StoreError::Lost { path }),
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let lines = journal::lines_of(&text).map_err(|source| StoreError::Damaged { path, source })?;
        Tables::replay(lines, state);
        Ok(())
    }

    /// Makes `state` the durable one; it comes back as it was given.
    ///
    /// # Errors
    /// [`StoreError::Io`]; what is durable is then what was before, but for lines that reached the journal all the same: the
    /// next save writes the document anew.
    pub fn save(&mut self, state: &mut State) -> Result<(), StoreError> {
        let tables = (std::mem::take(&mut state.ports), std::mem::take(&mut state.networks));
        let rest = serde_json::to_vec(state);
        (state.ports, state.networks) = tables;
        let failed = |source| StoreError::Io { path: self.folder.join(FILE), source };
        let rest = rest.map_err(|error| failed(error.into()))?;
        // After a failure nobody knows what is in the files: then the document is written anew.
        let durable = self.durable.take().filter(|durable| durable.rest == rest && !durable.is_long());
        let done = match durable {
            Some(durable) => durable.append(state),
            None => self.write(state, rest),
        };
        self.durable = Some(done.map_err(failed)?);
        Ok(())
    }

    /// Writes the document whole, with an empty journal behind it.
    fn write(&self, state: &mut State, rest: Vec<u8>) -> io::Result<Durable> {
        let (path, temporary) = (self.folder.join(FILE), self.folder.join(TEMPORARY));
        let journals = self.journals()?;
        let number = journals.iter().max().map_or(0, |number| number + 1);
        let mut private = File::options();
        private.mode(FILE_MODE);
        let journal = private.clone().append(true).create_new(true).open(self.journal(number))?;
        let text = serde_json::to_vec_pretty(&Document { state, journal: number })?;
        let mut file = private.write(true).create(true).truncate(true).open(&temporary)?;
        file.write_all(&text)?;
        file.sync_data()?;
        fs::rename(&temporary, &path)?;
        File::open(&self.folder)?.sync_all()?;
        for old in journals {
            fs::remove_file(self.journal(old))?;
        }
        let document_bytes = text.len() as u64;
        Ok(Durable { journal, journal_bytes: 0, document_bytes, rest, tables: Tables::of(state) })
    }

    /// Numbers of the journals in the folder; more than one after a crash.
    fn journals(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_prefix(JOURNAL)?.parse::<u64>().ok()));
        }
        Ok(numbers)
    }

    /// Removes the state and the folder, if nothing else is in it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove(&self) -> Result<(), StoreError> {
        let failed = |source| StoreError::Io { path: self.folder.clone(), source };
        let journals = self.journals().map_err(failed)?.into_iter().map(|number| self.journal(number));
        let files = [FILE, TEMPORARY, LOCK].map(|name| self.folder.join(name));
        for path in files.into_iter().chain(journals) {
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

impl Durable {
    /// Whether the journal had better be folded into the document.
    fn is_long(&self) -> bool {
        self.journal_bytes > JOURNAL_LEAST.max(self.document_bytes)
    }

    /// Adds a line for each port and network that is not what is durable.
    fn append(mut self, state: &mut State) -> io::Result<Self> {
        let lines = self.tables.lines_to(state);
        if lines.is_empty() {
            return Ok(self);
        }
        let text = journal::text_of(&lines)?;
        self.journal.write_all(&text)?;
        self.journal.sync_data()?;
        self.journal_bytes += text.len() as u64;
        lines.into_iter().for_each(|line| line.apply(&mut self.tables));
        Ok(self)
    }
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;

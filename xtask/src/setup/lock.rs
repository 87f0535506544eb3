//! One setup at a time for one copy of the project: two that install at once would trip over each other.

use std::fs::{self, File, TryLockError};

use anyhow::{Context as _, Result};

/// Holds the lock until it is dropped; the kernel drops it with the process, so a killed setup leaves none behind.
pub(crate) fn take() -> Result<File> {
    fs::create_dir_all(".tools")
        .context("cannot make the folder .tools; is the project's folder writable?")?;
    let path = ".tools/setup.lock";
    let file = File::create(path).with_context(|| format!("cannot open {path}; is it yours?"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("setup: another setup is at work here; waiting for it");
            file.lock().with_context(|| format!("cannot lock {path}"))?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {path}")),
    }
    Ok(file)
}

//! `cargo xtask uninstall`: takes back what `install` put there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::install::{LIST, installed};

/// Remove what `install` put below PREFIX; a running switch and its state stay
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder that was given to `install`
    #[arg(long, default_value = "/usr/local")]
    prefix: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let list = arguments.prefix.join(LIST);
    let others = fs::read_to_string(&list).unwrap_or_default();
    // Only what lies below the prefix: the list is a file like others.
    let others = others.lines().map(PathBuf::from).filter(|path| path.starts_with(&arguments.prefix));
    for path in others {
        remove(&path)?;
    }
    remove(&list)?;
    if let Some(folder) = list.parent() {
        let _not_empty = fs::remove_dir(folder);
    }
    remove(&installed(&arguments.prefix))
}

fn remove(target: &Path) -> Result<()> {
    match fs::remove_file(target) {
        Ok(()) => println!("removed {}", target.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => println!("{} is not there", target.display()),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot remove {0}; run `sudo rm {0}`", target.display()));
        }
    }
    Ok(())
}

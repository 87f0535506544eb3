//! `cargo xtask uninstall`: takes back what `install` put there.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::install::installed;

/// Remove what `install` put into PREFIX/bin; a running switch and its state stay
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder that was given to `install`
    #[arg(long, default_value = "/usr/local")]
    prefix: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let target = installed(&arguments.prefix);
    match fs::remove_file(&target) {
        Ok(()) => println!("removed {}", target.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => println!("{} is not there", target.display()),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot remove {0}; run `sudo rm {0}`", target.display()));
        }
    }
    Ok(())
}

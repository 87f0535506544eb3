//! `cargo xtask install`: the binary to where the path finds it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::build;

/// Build optimised and install vswitch into PREFIX/bin
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder whose `bin` gets the binary
    #[arg(long, default_value = "/usr/local")]
    prefix: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let built = build::binary(true)?;
    let target = installed(&arguments.prefix);
    place(&built, &target).with_context(|| {
        format!("cannot install {0}; run `sudo install -D -m 755 {1} {0}`", target.display(), built.display())
    })?;
    println!("installed {}; `cargo xtask uninstall` removes it", target.display());
    Ok(())
}

/// Where `install` puts the binary.
pub(crate) fn installed(prefix: &Path) -> PathBuf {
    prefix.join("bin/vswitch")
}

/// By way of a second name: a controller that runs from the old file goes on, and nobody finds half a file.
fn place(built: &Path, target: &Path) -> std::io::Result<()> {
    fs::create_dir_all(target.parent().expect("the target lies in a folder bin"))?;
    let draft = target.with_extension("new");
    fs::copy(built, &draft)?;
    fs::rename(&draft, target)
}
